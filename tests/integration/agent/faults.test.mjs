// System calls that fail in monitor and worker, by strace, limits, and a shim: who asked is told what is
// wrong, nobody else notices, and afterwards all is as before.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Agent, BUILD_DIR, isAlive, until, verify } from '../lib/agent.mjs';

const commands = `version: 1
commands:
  t: { title: t, exec: [/bin/echo, hello] }
  flood: { title: f, exec: [/usr/bin/seq, "1", "200000"] }
`;
// AddressSanitizer's leak checker and strace do not get along.
const skip = process.getuid() !== 0 || spawnSync('strace', ['-V']).status !== 0 || (process.env.ASAN_OPTIONS ?? '') !== '';

describe('a system call fails', { timeout: 600000 }, () => {
	let agent, client;
	const straces = [];

	beforeEach(async () => {
		agent = await Agent.start({ commands });
		client = await agent.connect();
		await client.hello();
	});
	afterEach(async () => {
		for (const child of straces.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
		client.destroy();
		await agent.destroy();
	});

	// Attached when this returns; the returned function takes it away.
	async function inject(pid, ...options) {
		const child = spawn('strace', ['-p', String(pid), ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
		let text = '';
		straces.push(child);
		child.stderr.on('data', (d) => (text += d));
		await until('strace to be attached', () => /attached/.test(text));
		return async () => {
			child.kill('SIGINT');
			await once(child, 'exit');
			return text;
		};
	}

	async function works() {
		const { run } = await client.start('t');
		const journal = await client.follow(run.id);
		assert.equal(journal.finished.status, 'succeeded');
		assert.equal(journal.text(), 'hello\n');
	}

	async function isWhole() {
		await works();
		await until('every end in the ledger', async () => {
			const { runs } = await client.list();
			return runs.every((run) => run.finished_us) && readdirSync(join(agent.stateDir, 'runs')).filter((n) => !n.startsWith('.')).length === runs.length;
		});
		const said = verify(agent);
		assert.match(said, / 0 damaged/);
	}

	it('no process for a runner (EAGAIN): the run ends as lost, the next one works', { skip }, async () => {
		const calls = 'clone,clone3,fork,vfork';
		const detach = await inject(agent.monitor.pid, '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EAGAIN:when=1`);
		const { run } = await client.start('t');
		const journal = await client.follow(run.id);
		await detach();
		assert.deepEqual([journal.finished.status, journal.finished.reason], ['lost', 'runner_died']);
		assert.equal(journal.bytes, 0);
		assert.match(agent.log(), /run\.not_started.*Resource temporarily unavailable/);
		await isWhole();
	});

	it('no room for the ledger (ENOSPC): no start, which says so, and the chain stays whole', { skip }, async () => {
		const ledger = join(agent.stateDir, 'ledger');
		const detach = await inject(agent.monitor.pid, '-P', ledger, '-e', 'trace=write', '-e', 'inject=write:error=ENOSPC:when=1');
		await assert.rejects(client.start('t'), /unavailable: cannot write the ledger: No space left on device/);
		assert.equal((await client.list()).runs.length, 0, 'nothing of it is left');
		await works(); // the second write goes well
		await detach();
		await isWhole();
	});

	it('a run that cannot be made durable (EIO) is no run', { skip }, async () => {
		const calls = 'fsync,fdatasync,syncfs';
		const detach = await inject(agent.monitor.pid, '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EIO:when=1`);
		await assert.rejects(client.start('t'), /unavailable: Input\/output error/);
		await detach();
		assert.equal((await client.list()).runs.length, 0);
		await isWhole();
	});

	it('no descriptor for a client (EMFILE): it waits, who is connected does not, and the worker does not spin', { skip }, async () => {
		const detach = await inject(agent.workerPid, '-e', 'trace=accept4', '-e', 'inject=accept4:error=EMFILE:when=1..3');
		const late = await agent.connect();
		const answer = late.hello();
		await client.hello();
		await answer;
		late.destroy();
		const text = await detach();
		assert.ok((text.match(/accept4/g) ?? []).length < 20, text);
		assert.match(agent.log(), /worker\.accept_failed.*Too many open files/);
		await isWhole();
	});

	it('no descriptor left in the monitor: a start is refused and says why; with some left it works', { skip }, async () => {
		const pid = agent.monitor.pid, limit = (n) => execFileSync('prlimit', ['--pid', String(pid), `--nofile=${n}:8192`]);
		await works();
		const open = Math.max(...readdirSync(`/proc/${pid}/fd`).map(Number)) + 1;
		limit(open);
		for (let i = 0; i < 5; i++) await assert.rejects(client.start('t'), /unavailable: .*Too many open files/);
		limit(8192);
		await isWhole();
		assert.equal(Math.max(...readdirSync(`/proc/${pid}/fd`).map(Number)) + 1 <= open + 2, true, 'none was lost');
	});

	it('short and interrupted reads and writes, in monitor, worker and runner: every byte, once', async () => {
		client.destroy();
		await agent.stop();
		Object.assign(agent.env, {
			LD_PRELOAD: join(BUILD_DIR, 'tests/tools/libshort-io.so'), SHORT_IO: '611',
			...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS}:verify_asan_link_order=0` } : {}),
		});
		await agent.spawn();
		client = await agent.connect();
		const wanted = Array.from({ length: 200000 }, (_, i) => `${i + 1}\n`).join('');
		const { run } = await client.start('flood');
		const [one, two] = await Promise.all([client.follow(run.id), client.follow(run.id)]);
		assert.ok(one.text() === wanted && two.text() === wanted);
		assert.ok(isAlive(agent.monitor.pid));
		await isWhole();
		assert.ok(!readFileSync(agent.logPath, 'utf8').includes('damaged'));
	});
});
