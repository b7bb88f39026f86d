// Runs that systemd starts: what the agent asks of it, who has the lock, and what happens when it does not
// answer. The manager is a fake on a private bus; that a run is in a unit of its own, and what ends with it,
// only a real one can show (./dev drill units).
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, isAlive, processesWith, until, verify } from '../lib/agent.mjs';
import { Journal } from '../lib/agent-client.mjs';
import { commandsYml, hold, makeScripts } from '../lib/commands.mjs';
import { Manager } from '../lib/manager.mjs';

const bin = makeScripts();
const commands = `${commandsYml(bin).trimEnd()}
  daemon:
    title: Leaves a child
    exec: [/bin/true]
    leave_children: true
    kill_after: 2m
`;

describe('runs that systemd starts', { timeout: 600000 }, () => {
	let agent, client, manager;

	before(async () => {
		manager = await Manager.start();
		agent = await Agent.start({ commands, env: manager.env });
		client = await agent.connect();
	});
	after(async () => {
		client?.destroy();
		try {
			await agent?.destroy();
		} finally {
			await manager?.destroy();
		}
	});

	const finished = (run) => until(`run ${run.number} to end`, async () => {
		const now = await client.get(run.id);
		return now.finished_us !== null && now;
	});
	const of = (run) => processesWith(`OPS_RUN_ID=${run.id}`);
	async function going(n) {
		const { run } = await client.start('ticks', { n });
		await until('its runner', () => agent.runnerPid(run.id));
		return run;
	}

	it('asks for a unit of the run\'s own, and the run is whole', async () => {
		const { run } = await client.start('speak', { code: 3 });
		const now = await finished(run);
		assert.equal(now.status, 'failed');
		assert.equal(now.exit_code, 3);
		const asked = manager.started().find((s) => s.unit === `ops-run-${run.id}.service`);
		const { Slice, Type, Delegate, KillMode, CollectMode, OOMPolicy, StandardOutput, StandardError, Description } = asked;
		assert.deepEqual({ Slice, Type, Delegate, KillMode, CollectMode, OOMPolicy, StandardOutput, StandardError },
			{ Slice: 'ops-runs.slice', Type: 'exec', Delegate: '1', KillMode: 'mixed', CollectMode: 'inactive-or-failed', OOMPolicy: 'continue',
				StandardOutput: 'null', StandardError: 'journal' });
		assert.match(Description, new RegExp(`run ${run.number}: speak`));
		assert.ok(Number(asked.TimeoutStopUSec) > 1e6, 'longer than kill_after');
	});

	it('what a command may leave behind is not killed with its unit; a stop waits longer than kill_after', async () => {
		const { run } = await client.start('daemon');
		await finished(run);
		const asked = manager.started().find((s) => s.unit === `ops-run-${run.id}.service`);
		assert.equal(asked.KillMode, 'process');
		assert.ok(Number(asked.TimeoutStopUSec) > 120e6);
	});

	it('the runner is the manager\'s child and gets its lock without a gap: the end is noticed by it', async () => {
		const run = await going(60);
		const journal = new Journal();
		await client.follow(run.id, 0, { journal });
		assert.equal(journal.finished.status, 'succeeded');
		// settled by the lock's last close, which nothing else would tell
		await until('it is settled', () => existsSync(join(agent.stateDir, 'runs', run.id, 'settled')));
	});

	it('kill -9 of the monitor: the next one adopts the run by its lock', async () => {
		const letOn = hold(bin);
		const run = await going(100);
		client.destroy();
		await agent.kill9Monitor();
		await agent.spawn();
		client = await agent.connect();
		assert.equal((await client.get(run.id)).status, 'running');
		letOn();
		const journal = new Journal();
		await client.follow(run.id, 0, { journal });
		assert.equal(journal.text(), Array.from({ length: 100 }, (_, i) => `tick ${i}\n`).join(''));
	});

	// That what it left is killed is systemd's part, and shown on a real one.
	it('kill -9 of the runner: lost, once nobody has the lock', async () => {
		const { run } = await client.start('stay');
		const runner = await until('its runner', () => agent.runnerPid(run.id));
		await until('its command', () => of(run).length > 1);
		process.kill(runner, 'SIGKILL');
		const now = await finished(run);
		assert.equal(now.status, 'lost');
		assert.ok(!isAlive(runner));
	});

	it('a refusal: the run is lost, and the log says why', async () => {
		await manager.become('refuse');
		const { run } = await client.start('speak', { code: 0 });
		assert.equal((await finished(run)).status, 'lost');
		assert.match(agent.log(), /run\.not_started .*the fake manager refuses/);
	});

	it('an answer that is lost: the run is its runner\'s, and ends as it should', async () => {
		await manager.become('lose');
		const { run } = await client.start('speak', { code: 0 });
		assert.equal((await finished(run)).status, 'succeeded');
		// nobody is kept waiting for a manager that did not answer
		await assert.rejects(client.start('speak', { code: 0 }), /unavailable.*did not answer/);
	});

	it('without a bus nothing is started, and what runs is not harmed', async () => {
		await manager.become('start');
		const run = await until('the manager to be asked again', () => going(100).catch(() => null));
		await manager.stopBus();
		await assert.rejects(client.start('speak', { code: 0 }), /unavailable.*systemd cannot be asked on the system bus/);
		await client.cancel(run.id);
		assert.equal((await finished(run)).status, 'cancelled');
		await manager.startBus();
		await manager.become('start');
		const again = await client.start('speak', { code: 0 });
		assert.equal((await finished(again.run)).status, 'succeeded');
	});

	it('the ledger and every journal are in order', () => verify(agent));
});

describe('what cannot be', () => {
	it('OPS_LAUNCH is one of three words', async () => {
		await assert.rejects(Agent.start({ commands, env: { OPS_LAUNCH: 'docker' } }),
			/ended with 78[^]*OPS_LAUNCH is one of auto systemd fork, not 'docker'/);
	});
});
