// Failing system calls, by strace.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { alive, bad, check, flood, one, Run, scratch } from './lib.mjs';

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
