// What the agent says in JSON is what the API document says it is: catalogue, runs, plans, the events
// of journals and of the ledger.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { assertIs } from '../../api/document.mjs';
import { Agent, until } from '../lib/agent.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';

const FLOW = `version: 1
id: both
title: Both
inputs: { code: { type: int, default: 0 } }
steps:
  - { id: first, uses: speak, with: { code: "\${inputs.code}" }, continue_on_error: true }
  - { id: second, uses: flood, with: { lines: "3" } }
finally: [{ uses: speak, with: { code: "0" } }]
`;

// Follows a run to its end; the events of its journal, as they are written there.
async function eventsOf(client, run) {
	const tail = await client.tail(run);
	const pieces = [];
	for await (const chunk of tail)
		pieces.push(chunk.records);
	const journal = Buffer.concat(pieces), events = [];
	for (let at = 0; at < journal.length; at += 24 + journal.readUInt32LE(at)) {
		if (journal[at + 22] === 3)
			events.push(JSON.parse(journal.toString('utf8', at + 24, at + 24 + journal.readUInt32LE(at))));
	}
	return events;
}

describe('documents of the agent', () => {
	let agent, client;

	before(async () => {
		agent = await Agent.start({ commands: commandsYml(makeScripts()), flows: { both: FLOW } });
		client = await agent.connect();
	});
	after(() => agent.destroy());

	const finished = (id) => until('the document to be final', async () => {
		const run = await client.get(id);
		return run.finished_us !== null && run;
	});

	it('the catalogue', async () => {
		const catalogue = await client.catalog();
		assertIs('Catalogue', catalogue);
		assert.equal(catalogue.flows[0].steps.length, 3);
	});

	it('a plan', async () => {
		assertIs('Plan', await client.start('both', {}, { kind: 2, dryRun: true }));
	});

	it('a run while it goes on, when it is cancelled, and its journal', async () => {
		const { run } = await client.start('stay');
		assertIs('Run', run);
		const events = eventsOf(client, run.id);
		await until('the step to run', async () => (await client.get(run.id)).steps[0].status === 'running');
		assertIs('Run', await client.get(run.id));
		await client.cancel(run.id, { reason: 'enough' });
		for (const event of await events)
			assertIs('JournalEvent', event);
		const document = await finished(run.id);
		assertIs('Run', document);
		assert.equal(document.status, 'cancelled');
	});

	it('a flow with a failed step, and its journal', async () => {
		const { run } = await client.start('both', { code: 7 }, { kind: 2 });
		const events = await eventsOf(client, run.id);
		for (const event of events)
			assertIs('JournalEvent', event);
		assertIs('Run', await finished(run.id));
		assert.ok(events.some((event) => event.event === 'step.finished' && event.exit_code === 7));
	});

	it('a list of runs', async () => {
		const { runs } = await client.list();
		assert.ok(runs.length >= 2);
		for (const run of runs)
			assertIs('Run', run);
	});

	it('the ledger, from its first event', async () => {
		const { run } = await client.start('speak');
		const journal = await client.follow(run.id);
		await finished(run.id);
		await client.reload();
		const stranger = await agent.connect('not-the-secret-at-all');
		await assert.rejects(stranger.hello(), { status: 'unauthorized' });
		stranger.destroy();
		agent.configure({ commands: 'version: 2\n' });
		await assert.rejects(client.reload(), { status: 'invalid_input' });
		await client.release(run.id, journal.finished.digest);
		assert.equal((await agent.opsctl('rotate-secret')).code, 0);

		const events = await client.events(0n), seen = new Set();
		while (!seen.has('run.sealed') || !seen.has('secret.rotated')) {
			const event = await events.next();
			if (event.event === 'run.changed')
				assertIs('Run', event.run);
			else
				assertIs('LedgerEvent', event);
			seen.add(event.event);
		}
		events.close();
		for (const event of ['agent.started', 'run.started', 'run.cancel_requested', 'run.finished', 'config.loaded', 'config.refused', 'secret.wrong', 'run.released'])
			assert.ok(seen.has(event), `${event} is not in the ledger`);
		assertIs('Catalogue', await client.catalog());
		assert.match((await client.catalog()).config_error, /commands\.yml/);
	});
});
