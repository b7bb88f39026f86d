// Approvals through the agent: who answers first, and that nobody has to be there for one to expire.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Agent, OPSCTL, until } from '../lib/agent.mjs';
import { AgentError } from '../lib/agent-client.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';

const bin = makeScripts();
const exec = promisify(execFile);
const flow = (id, approve) => `version: 1
id: ${id}
title: Gated
timeout: 1h
steps:
  - { id: one, uses: speak }
  - { id: gate, approve: ${approve} }
  - { id: two, uses: speak }
finally: [{ uses: speak }]
`;

const refused = (status, message) => (error) => {
	assert.ok(error instanceof AgentError, String(error));
	assert.equal(error.status, status);
	assert.match(error.message, message);
	return true;
};

describe('approvals', { timeout: 600000 }, () => {
	let agent, client;

	before(async () => {
		agent = await Agent.start({
			commands: commandsYml(bin),
			flows: { gated: flow('gated', '{ prompt: Sure?, timeout: 12h }'), soon: flow('soon', '{ prompt: Sure?, timeout: 1s, on_timeout: approve }') },
		});
		client = await agent.connect();
	});
	after(() => agent.destroy());

	const status = async (run) => (await client.get(run)).status;
	const waiting = async () => {
		const { run } = await client.start('gated', {}, { kind: 2 });
		await until('the gate', async () => (await status(run.id)) === 'waiting');
		return run.id;
	};
	const finished = (run) => until('the end', async () => {
		const document = await client.get(run);
		return document.finished_us && document;
	});

	it('are in the catalogue and in the run', async () => {
		const wanted = { prompt: 'Sure?', timeout_us: 43200000000, on_timeout: 'reject' };
		assert.deepEqual((await client.catalog()).flows.find((f) => f.id === 'gated').steps.map((s) => s.approve), [null, wanted, null, null]);
		const run = await waiting();
		const document = await client.get(run);
		assert.deepEqual(document.steps.map((s) => [s.id, s.uses, s.status, s.approve]), [
			['one', 'speak', 'succeeded', null], ['gate', '', 'waiting', wanted], ['two', 'speak', 'pending', null], ['finally.1', 'speak', 'pending', null]]);
		await client.approve(run, 'gate', true, { comment: 'looks\ngood' });
		assert.deepEqual((await finished(run)).steps.map((s) => s.status), ['succeeded', 'succeeded', 'succeeded', 'succeeded']);
		const { events } = await client.follow(run);
		const given = events.find((e) => e.event === 'step.approved');
		assert.deepEqual([given.step_id, given.approve, given.actor, given.comment], ['gate', true, 'user:test', 'looks good']);
	});

	it('count once: the second answer is told the first', async () => {
		const run = await waiting();
		const answers = await Promise.allSettled([client.approve(run, 'gate', false, { actor: 'user:ann', comment: 'no' }), client.approve(run, 'gate', true)]);
		assert.equal(answers[0].status, 'fulfilled');
		refused('conflict', /refused already by user:ann: no/)(answers[1].reason);
		const document = await finished(run);
		assert.deepEqual([document.status, document.reason], ['failed', 'rejected']);
		assert.deepEqual(document.steps.map((s) => s.status), ['succeeded', 'failed', 'skipped', 'succeeded']);
		await assert.rejects(client.approve(run, 'gate', true), refused('conflict', /refused already/));
	});

	it('are refused for what does not wait', async () => {
		const run = await waiting();
		await assert.rejects(client.approve(run, 'one', true), refused('not_found', /no approval of that name/));
		await assert.rejects(client.approve(run, 'gate', true, { actor: 'opsctl:4242' }), refused('forbidden', /actor/));
		await client.cancel(run);
		assert.equal((await finished(run)).status, 'cancelled');
		await assert.rejects(client.approve(run, 'gate', true), refused('conflict', /does not wait/));
		await assert.rejects(client.approve('999999', 'gate', true), refused('not_found', /no such run/));
	});

	it('can be given with opsctl', async () => {
		const opsctl = (...args) => exec(OPSCTL, args, { env: { ...process.env, ...agent.env } });
		const yes = await waiting(), no = await waiting();
		assert.equal((await opsctl('approve', yes, 'gate', '--comment', 'by hand')).stdout, 'approved\n');
		assert.equal((await opsctl('approve', no, 'gate', '--reject')).stdout, 'refused\n');
		assert.equal((await finished(yes)).status, 'succeeded');
		assert.equal((await finished(no)).reason, 'rejected');
		await assert.rejects(opsctl('approve', yes, 'gate'), (e) => /approved already by opsctl:\d+: by hand/.test(e.stderr));
	});

	it('are written to the ledger', async () => {
		const run = await waiting();
		const events = await client.events();
		await client.approve(run, 'gate', true, { comment: 'fine' });
		const event = await events.until((e) => e.event === 'run.approved');
		assert.deepEqual([event.run, event.step, event.approve, event.actor, event.comment], [run, 'gate', true, 'user:test', 'fine']);
	});

	it('expire with no agent alive', async () => {
		const { run } = await client.start('soon', {}, { kind: 2 });
		await until('the gate', async () => (await status(run.id)) === 'waiting');
		await agent.kill9Both();
		await new Promise((r) => setTimeout(r, 1500));
		await agent.restart();
		client = await agent.connect();
		const document = await finished(run.id);
		assert.equal(document.status, 'succeeded');
		await assert.rejects(client.approve(run.id, 'gate', false), refused('conflict', /approved already: nobody answered in time/));
	});
});
