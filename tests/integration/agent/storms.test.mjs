// Much at once, and a host that restarts: nothing is forgotten, nothing leaks.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Agent, until, verify } from '../lib/agent.mjs';
import { crc32c } from '../lib/agent-client.mjs';

const commands = `version: 1
commands:
  t: { title: t, exec: [/bin/echo, hello] }
  s: { title: s, exec: [/bin/sleep, "600"] }
`;

describe('the agent', { timeout: 600000 }, () => {
	let agent, client;

	beforeEach(async () => {
		agent = await Agent.start({ commands });
		client = await agent.connect();
	});
	afterEach(async () => {
		client.destroy();
		await agent.destroy();
	});

	const fds = (pid) => readdirSync(`/proc/${pid}/fd`).length;

	it('takes two hundred starts at once, runs each one once, and leaks no descriptor', async () => {
		const first = await client.start('t');
		await client.follow(first.run.id);
		const before = [fds(agent.monitor.pid), fds(agent.workerPid)];
		const started = await Promise.all(Array.from({ length: 200 }, (_, i) => client.start('t', {}, { key: `k${i}` })));
		assert.equal(new Set(started.map((s) => s.run.id)).size, 200);
		for (const { run } of started) {
			const journal = await client.follow(run.id);
			assert.deepEqual([journal.finished.status, journal.text()], ['succeeded', 'hello\n']);
		}
		const again = await Promise.all(started.map((_, i) => client.start('t', {}, { key: `k${i}` })));
		assert.deepEqual(again.map((s) => s.run.id), started.map((s) => s.run.id), 'asked again they are the same');
		await until('all to be settled and sealed', () => {
			const ledger = readFileSync(join(agent.stateDir, 'ledger'), 'latin1');
			return ledger.split('"run.finished"').length === 202 && ledger.split('"run.sealed"').length === 202;
		});
		await until('the descriptors to be as many as before', () => fds(agent.monitor.pid) <= before[0] && fds(agent.workerPid) <= before[1]);
		assert.match(verify(agent), /runs: 201 good \(201 of them sealed\), 0 not finished, 0 damaged/);
	});

	it('takes no more than 32 of three hundred silent connections, and those it had stay', async () => {
		await client.hello();
		const sockets = Array.from({ length: 300 }, () => {
			const socket = net.connect(agent.socket);
			socket.on('error', () => {});
			socket.resume();
			return socket;
		});
		await until('the others to be sent away', () => sockets.filter((s) => s.closed || s.destroyed).length >= 300 - 31);
		const { run } = await client.start('t');
		assert.equal((await client.follow(run.id)).finished.status, 'succeeded');
		for (const socket of sockets) socket.destroy();
		await until('room', async () => {
			const other = await agent.connect();
			try { await other.hello(); return true; } catch { return false; } finally { other.destroy(); }
		});
	});

	it('after a restart of the host ends what ran as lost, and says that the host was it', async () => {
		const { run } = await client.start('s');
		const state = join(agent.stateDir, 'runs', run.id, 'state');
		await until('it to run', async () => (await client.get(run.id)).status === 'running');
		client.destroy();
		await agent.kill9Both();
		process.kill(agent.runnerPid(run.id), 'SIGKILL');
		await until('the runner to be gone', () => !agent.runnerPid(run.id));
		// what was written before belongs to another boot
		const boot = Buffer.from(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', ''), 'hex');
		const block = readFileSync(state), at = block.indexOf(boot);
		assert.ok(at > 0, 'the state holds the boot');
		block[at] ^= 0xff;
		block.writeUInt32LE(crc32c(block.subarray(8)), 4);
		writeFileSync(state, block);
		await agent.spawn();
		client = await agent.connect();
		const document = await until('its end', async () => {
			const found = await client.get(run.id);
			return found.finished_us && found;
		});
		assert.deepEqual([document.status, document.reason], ['lost', 'host_restarted']);
		assert.match(verify(agent), /0 damaged/);
	});
});
