// Failing system calls, by strace.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { alive, bad, BUILD, check, flood, one, Run, scratch } from './lib.mjs';

// AddressSanitizer's leak checker and strace do not get along.
const skip = process.getuid() !== 0 || spawnSync('strace', ['-V']).status !== 0 || (process.env.ASAN_OPTIONS ?? '') !== '';
const strace = (dir, ...args) => ['strace', '-f', '-o', path.join(dir, 'strace.txt'), ...args];

test('a failed write to the journal ends the run as failed, with a whole journal', { skip }, async (t) => {
	const dir = scratch(t);
	const journal = path.join(dir, 'run/journal');
	const run = new Run(t, one(['/bin/sh', '-c', 'while :; do echo line; sleep 0.01; done']), { dir, wrap: strace(dir, '-P', journal, '-e', 'trace=write', '-e', 'inject=write:error=EIO:when=5') });
	assert.equal((await run.exited).code, 0);
	const state = run.state();
	const end = check(run.bytes(), { ...state, durable: state.size });
	assert.deepEqual([end.status, end.reason], ['failed', null]);
	assert.match(end.message, /Input\/output error/);
	assert.deepEqual(alive(run.runId()), []);
});

test('what a failed fdatasync was about is never called durable', { skip }, async (t) => {
	const dir = scratch(t);
	const run = new Run(t, one(bad('on-term', '0')), { dir, wrap: strace(dir, '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO') });
	// The agent writes the last word; what can be said is in the journal, not in the state.
	assert.equal((await run.exited).code, 1);
	assert.equal(run.state().durable, 0);
	assert.equal(run.state().status, 'running');
	assert.equal(run.events('run.finished')[0].status, 'failed');
	assert.deepEqual(alive(run.runId()), []);
});

test('a full disk without fallocate costs no byte either', { skip }, async (t) => {
	const dir = scratch(t);
	const disk = path.join(dir, 'disk');
	fs.mkdirSync(disk);
	try {
		execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=755', 'tmpfs', disk], { stdio: 'pipe' });
	} catch {
		t.skip('no right to mount');
		return;
	}
	try {
		fs.writeFileSync(path.join(disk, 'ballast'), Buffer.alloc(1000000));
		const run = new Run(t, one(bad('flood', 3000000, 4096)), { dir: disk, wrap: strace(dir, '-e', 'trace=fallocate', '-e', 'inject=fallocate:error=EOPNOTSUPP') });
		await run.until('disk_full', () => run.state().diskFull);
		execFileSync('mount', ['-o', 'remount,size=8m', disk], { stdio: 'pipe' });
		const end = await run.finish();
		assert.deepEqual([end.status, end.bytes], ['succeeded', 3000000]);
		assert.ok(run.output().equals(flood(3000000)));
		assert.equal(run.events('run.disk_full').length, 1);
		assert.equal(run.events('run.disk_ok').length, 1);
	} finally {
		execFileSync('umount', ['-l', disk]);
	}
});

// What nobody ever sees, but POSIX allows: writes that take a few bytes, calls that a signal interrupts.
const short = (bytes) => ({
	LD_PRELOAD: path.join(BUILD, 'tests/tools/libshort-io.so'), SHORT_IO: String(bytes),
	...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS}:verify_asan_link_order=0` } : {}),
});

test('short reads and writes, and interrupted ones, neither lose nor double a byte', async (t) => {
	for (const bytes of [1, 23, 5000]) {
		const size = bytes * 2000;
		const run = new Run(t, one(bad('flood', size, 4096)), { dir: scratch(t), env: short(bytes) });
		const end = await run.finish();
		assert.deepEqual([end.status, end.bytes], ['succeeded', size]);
		assert.ok(run.output().equals(flood(size)), `${bytes} bytes a call`);
	}
});

test('without a descriptor left a step fails and says so, and the run ends with a whole journal', { skip }, async (t) => {
	for (const limit of [9, 12, 15]) {
		const run = new Run(t, one(['/bin/echo', 'hello']), { dir: scratch(t), wrap: ['prlimit', `--nofile=${limit}`] });
		const { code } = await run.exited;
		if (run.bytes().length === 0) {
			assert.match(run.stderr, /Too many open files/, `${limit}: refused at once`);
			assert.notEqual(code, 0);
			continue;
		}
		const end = check(run.bytes(), run.state());
		if (end.status === 'succeeded') continue; // as many as it needs
		const [step] = run.events('step.finished');
		assert.deepEqual([end.status, step.status, step.reason], ['failed', 'failed', 'spawn_failed'], String(limit));
		assert.match(step.message, /Too many open files/);
	}
});

test('when no process can be made the step fails and says so, and another attempt may succeed', { skip }, async (t) => {
	const dir = scratch(t);
	const calls = 'clone,clone3,fork,vfork';
	const run = new Run(t, one(['/bin/echo', 'hello'], { retry: 3, delay_ms: 1 }), { dir, wrap: ['strace', '-o', path.join(dir, 'strace.txt'), '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EAGAIN:when=1..2`] });
	const end = await run.finish();
	const steps = run.events('step.finished').concat(run.events('step.retrying'));
	assert.ok(steps.length > 0);
	assert.ok(['succeeded', 'failed'].includes(end.status));
	const failed = run.events('step.finished').find((e) => e.status === 'failed');
	assert.ok(failed, fs.readFileSync(path.join(dir, 'strace.txt'), 'utf8'));
	assert.equal(failed.reason, 'spawn_failed');
	assert.match(failed.message, /Resource temporarily unavailable/);
	assert.deepEqual(alive(run.runId()), []);
});
