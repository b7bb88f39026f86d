// P2, its other half: the runner is killed, and what its command hid ends with the run as well.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AGENT, Agent, BUILD_DIR, processesWith, until, verify } from '../lib/agent.mjs';

const hostile = join(BUILD_DIR, 'tests/children/hostile');

describe('a runner that is killed', { timeout: 600000 }, () => {
	let agent;

	before(async () => {
		agent = await Agent.start({ commands: `version: 1
commands:
  hidden:
    title: Hidden
    exec: [/usr/bin/env, ${hostile}, daemon, leave-no-trace]
    leave_children: false
    kill_after: 10m
  fails:
    title: Fails
    exec: [/bin/false]
`, flows: { idle: `version: 1
id: idle
title: Idle
steps:
  - { id: gate, needs: [], approve: { prompt: Sure? } }
  - { id: again, needs: [], uses: fails, retry: { limit: 1, delay: 1h } }
  - { id: after, uses: fails, needs: [gate] }
` } });
	});
	after(() => agent.destroy());

	it('has not ended steps that only waited: they are lost, too, and what had not begun is skipped', async () => {
		const client = await agent.connect();
		const { run } = await client.start('idle', {}, { kind: 2 });
		await until('both to wait', async () => (await client.get(run.id)).steps.slice(0, 2).map((s) => s.status).join() === 'waiting,retrying');
		process.kill(agent.runnerPid(run.id), 'SIGKILL');
		const document = await until('the end', async () => {
			const found = await client.get(run.id);
			return found.finished_us && found;
		});
		assert.equal(document.status, 'lost');
		assert.deepEqual(document.steps.map((s) => s.status), ['lost', 'lost', 'skipped']);
		const { events } = await client.follow(run.id);
		assert.deepEqual(events.filter((e) => e.event === 'step.finished').map((e) => [e.step_id, e.status]), [['again', 'failed'], ['gate', 'lost'], ['again', 'lost']]);
		client.destroy();
	});

	it('is told of once, however often its end cannot be written', { skip: spawnSync('strace', ['-V']).error !== undefined && 'there is no strace' }, async () => {
		const client = await agent.connect();
		const { run } = await client.start('idle', {}, { kind: 2 });
		await until('it to wait', async () => (await client.get(run.id)).steps[0].status === 'waiting');
		const meta = join(agent.stateDir, 'runs', run.id, 'meta'), good = readFileSync(meta);
		writeFileSync(meta, 'damaged');
		process.kill(agent.runnerPid(run.id), 'SIGKILL');
		const told = (event) => agent.log().split('\n').filter((line) => line.includes(event) && (event !== 'run.lost' || line.includes(run.id))).length;
		await until('the first try', () => told('run.settle_failed') === 1);
		// what is damaged is not looked at every half a second: a look takes a trace with it
		const traced = spawnSync('timeout', ['-s', 'INT', '8', 'strace', '-e', 'trace=openat', '-p', String(agent.monitor.pid)], { encoding: 'utf8' });
		const looks = (traced.stderr.match(/"meta"/g) ?? []).length;
		assert.ok(looks >= 1 && looks <= 5, `${looks} looks in 8 s\n${traced.stderr}`);
		assert.deepEqual([told('run.lost'), told('run.settle_failed')], [1, 1]);
		const ledger = readFileSync(join(agent.stateDir, 'ledger'), 'latin1');
		assert.equal(ledger.split(`"event":"run.not_settled","run":"${run.id}"`).length, 2, 'once');
		const judged = spawnSync(AGENT, ['verify'], { env: agent.env, encoding: 'utf8' });
		assert.equal(judged.status, 1);
		assert.match(judged.stdout, new RegExp(`runs/${run.id}/meta, byte 0: not a run's meta file`));
		writeFileSync(meta, good);
		const document = await until('the end', async () => {
			const found = await client.get(run.id);
			return found.finished_us && found;
		});
		assert.equal(document.status, 'lost');
		client.destroy();
	});

	it('leaves nobody behind, also not who cannot be told from a stranger', async (t) => {
		const client = await agent.connect();
		const { run } = await client.start('hidden');
		const cgroup = join(agent.stateDir, 'runs', run.id, 'cgroup');
		await until('the daemon', async () => (await client.get(run.id)).bytes > 0);
		const folder = existsSync(cgroup) ? readFileSync(cgroup, 'utf8') : null;
		process.kill(agent.runnerPid(run.id), 'SIGKILL');
		const document = await until('the end', async () => {
			const found = await client.get(run.id);
			return found.finished_us && found;
		});
		assert.deepEqual([document.status, document.reason], ['lost', 'runner_died']);
		const left = processesWith('leave-no-trace');
		client.destroy();
		if (folder === null) {
			for (const pid of left) process.kill(pid, 'SIGKILL');
			t.skip('no cgroup v2 that can be used');
			return;
		}
		assert.deepEqual(left, []);
		assert.ok(!existsSync(folder));
		assert.ok(!existsSync(join(agent.dir, 'steps', run.id)), 'where its $OPS_OUTPUT was');
		await agent.stop();
		verify(agent);
	});
});
