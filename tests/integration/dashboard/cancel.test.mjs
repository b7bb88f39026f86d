// Cancelling: who asked is known to everybody until the run has ended, asking twice in one's own time changes
// nothing, and the hard end, which also ends `finally`, comes only to whom asks for it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, until } from '../lib/agent.mjs';
import { AgentError } from '../lib/agent-client.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';

const bin = makeScripts();
const ENOUGH = join(bin, '..', 'enough');

// Deaf to SIGTERM until there is a file of its label.
const deaf = join(bin, 'deaf');
writeFileSync(deaf, '#!/bin/sh\ntrap "" TERM\necho started\nuntil [ -e "$1-$2" ]; do sleep 0.02; done\n', { mode: 0o755 });
const commands = `${commandsYml(bin)}
  deaf:
    title: Deaf
    exec: [${deaf}, "${ENOUGH}", "\${inputs.label}"]
    inputs:
      label: { type: slug, required: true }
    kill_after: 10m
`;
const flows = {
	tidy: `version: 1
id: tidy
title: Tidies up
inputs:
  label: { type: slug, required: true }
steps:
  - { id: work, uses: deaf, with: { label: "\${inputs.label}" } }
finally:
  - { uses: speak, with: { code: "0" } }
`,
};

describe('cancelling', () => {
	let agent, client, dashboard, session, labels = 0;

	before(async () => {
		agent = await Agent.start({ commands, flows });
		client = await agent.connect();
		dashboard = await (await Dashboard.start({ agent })).connected();
		session = await dashboard.login();
	});
	after(async () => {
		await dashboard?.destroy();
		await agent?.destroy();
	});

	const document = async (run) => (await session.get(`/api/v1/runs/${run.id}`)).json.run;
	const cancel = async (run, body) => (await session.post(`/api/v1/runs/${run.id}/cancel`, body)).status;

	// A run whose first step works, and what lets it end.
	async function start() {
		const label = `n${++labels}`;
		const run = await session.run('tidy', { label }, { kind: 'flow' });
		await client.follow(run.id, 0, { until: (journal) => journal.text().includes('started') });
		return { run, enough: () => writeFileSync(`${ENOUGH}-${label}`, '') };
	}

	// How it ended: status, whether `finally` succeeded, and which requests its journal has.
	async function end(run) {
		const journal = await client.follow(run.id);
		const done = await until('its end to be known', async () => {
			const found = await document(run);
			return found.finished_us && found;
		});
		assert.equal(done.cancel ?? null, null, 'who has ended is not being ended');
		return {
			status: done.status,
			tidied: done.steps.find((s) => s.phase === 'finally').status,
			asked: journal.events.filter((e) => e.event === 'run.cancel_requested').map((e) => [e.actor, e.kill]),
		};
	}

	it('is known to everybody: who, when, and how, also after a restart of all', async () => {
		const { run, enough } = await start();
		const live = await session.live();
		const runs = live.subscribe('runs');
		await runs.snapshot();
		assert.equal((await document(run)).cancel, null);
		assert.equal(await cancel(run, { kill: false, reason: 'enough' }), 202);
		await runs.until('the word', () => runs.messages.some((m) => JSON.stringify(m).includes('"cancel":{"actor":"user:admin"')));
		live.destroy();
		const { cancel: asked } = await document(run);
		assert.equal(asked.actor, 'user:admin');
		assert.equal(asked.kill, false);
		assert.match((await agent.opsctl('show', String(run.number))).stdout, /^cancel   asked for by user:admin$/m);
		assert.ok(Math.abs(asked.time_us / 1000 - Date.now()) < 3600000, 'a time in microseconds');
		await agent.restart();
		client = await agent.connect();
		await dashboard.restart();
		await dashboard.connected();
		session = await dashboard.login();
		assert.deepEqual(await until('the run', () => document(run).then((found) => found?.cancel)), asked);
		enough();
		assert.deepEqual(await end(run), { status: 'cancelled', tidied: 'succeeded', asked: [['user:admin', false]] });
	});

	it('in its own time, from as many sides as there are, changes nothing more', async () => {
		const { run, enough } = await start();
		const answers = await Promise.all([cancel(run, { kill: false }), cancel(run, { kill: false }), client.stop(run.id), client.stop(run.id)]);
		assert.deepEqual(answers.slice(0, 2), [202, 202]);
		assert.equal(await cancel(run, { kill: false }), 202);
		enough();
		const { asked, ...how } = await end(run);
		assert.deepEqual(how, { status: 'cancelled', tidied: 'succeeded' });
		assert.equal(asked.length, 1);
		assert.equal(asked[0][1], false);
	});

	it('at once ends `finally` too, after it was asked in its own time, and without', async () => {
		for (const first of [true, false]) {
			const { run } = await start();
			if (first) {
				assert.equal(await cancel(run, { kill: false }), 202);
				await until('it to be known', async () => (await document(run)).cancel);
			}
			assert.equal(await cancel(run, { kill: true }), 202);
			assert.deepEqual(await end(run), {
				status: 'cancelled', tidied: 'skipped', asked: [...(first ? [['user:admin', false]] : []), ['user:admin', true]],
			});
			await assert.rejects(client.stop(run.id, { kill: true }), (e) => e instanceof AgentError && e.status === 'conflict');
			assert.equal(await cancel(run, { kill: false }), 409);
		}
	});

	it('without a word on how is as before: the second request ends it at once', async () => {
		const { run } = await start();
		assert.equal(await cancel(run, {}), 202);
		await until('it to be known', async () => (await document(run)).cancel);
		assert.equal(await cancel(run), 202);
		assert.deepEqual(await end(run), { status: 'cancelled', tidied: 'skipped', asked: [['user:admin', false], ['user:admin', true]] });
	});

	it('refuses what is no answer to how', async () => {
		const { run, enough } = await start();
		for (const body of [{ kill: 'yes' }, { kill: 1 }, { kill: null }, { kil: true }, { kill: false, reason: 'x'.repeat(201) }])
			assert.ok([400, 422].includes(await cancel(run, body)), JSON.stringify(body));
		assert.equal((await document(run)).cancel, null);
		await assert.rejects(client.stop(run.id, { actor: 'opsctl:12345' }), (e) => e instanceof AgentError && e.status === 'forbidden');
		await assert.rejects(client.stop('4711'), (e) => e instanceof AgentError && e.status === 'not_found');
		enough();
		assert.deepEqual(await end(run), { status: 'succeeded', tidied: 'succeeded', asked: [] });
	});

	it('is asked of an older agent as it knows it', async () => {
		const old = await FakeAgent.start();
		old.cancels = [];
		const run = new FakeRun();
		old.add(run);
		const other = await (await Dashboard.start({ agent: old })).connected();
		try {
			const visitor = await other.login();
			assert.equal((await visitor.post(`/api/v1/runs/${run.id}/cancel`, { kill: false, reason: 'enough' })).status, 202);
			assert.equal((await visitor.post(`/api/v1/runs/${run.id}/cancel`, { kill: true })).status, 202);
			assert.deepEqual(old.cancels, [{ run: run.id, actor: 'user:admin', reason: 'enough' }, { run: run.id, actor: 'user:admin', reason: '' }]);
		} finally {
			await other.destroy();
			await old.destroy();
		}
	});
});
