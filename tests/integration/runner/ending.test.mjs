// How runs end: by themselves, by time, by order; and that nobody stays behind.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { alive, bad, check, one, Run, scratch } from './lib.mjs';

async function nobodyLeft(run, id = run.runId()) {
	const deadline = Date.now() + 10000;
	while (alive(id).length !== 0) {
		if (Date.now() > deadline) throw new Error(`still alive: ${alive(id)}`);
		await new Promise((r) => setTimeout(r, 20));
	}
}

test('tells an exit by signal', async (t) => {
	for (const [signal, number] of [['SIGTERM', 15], ['SIGSEGV', 11], ['SIGKILL', 9]]) {
		const run = new Run(t, one(bad('die', number)));
		const end = await run.finish();
		assert.deepEqual([end.status, end.reason, end.exit_code, end.signal], ['failed', 'signal', null, number], signal);
		assert.equal(run.output().toString(), 'dying\n');
	}
});

test('honours success_codes', async (t) => {
	const run = new Run(t, one(bad('exit', '3'), { ok: '0,3' }));
	assert.deepEqual([(await run.finish()).status, run.events('step.finished')[0].exit_code], ['succeeded', 3]);
});

test('says why a program cannot be executed', async (t) => {
	const dir = scratch(t);
	const file = path.join(dir, 'text');
	fs.writeFileSync(file, 'no program\n');
	const cases = [
		[['/no/such/program'], {}, 127, /\/no/],
		[['/etc/passwd'], {}, 126, /passwd/],
		[['/bin/true'], { cwd: '/no/such/folder' }, 127, /\/no\/such\/folder/],
		[['/bin/true'], { user: 'no-such-user' }, 126, /no-such-user/],
	];
	for (const [argv, more, code, message] of cases) {
		const run = new Run(t, one(argv, more));
		const end = await run.finish();
		assert.deepEqual([end.status, end.reason, end.exit_code], ['failed', 'spawn_failed', code]);
		assert.match(run.events('step.finished')[0].message, message);
	}
});

test('refuses a program that others may write to', { skip: process.getuid() !== 0 }, async (t) => {
	const dir = scratch(t);
	const file = path.join(dir, 'script');
	fs.writeFileSync(file, '#!/bin/sh\necho hi\n', { mode: 0o755 });
	const good = new Run(t, one([file]), { dir: scratch(t) });
	assert.equal((await good.finish()).status, 'succeeded');
	fs.chmodSync(file, 0o777);
	const run = new Run(t, one([file]), { dir: scratch(t) });
	const end = await run.finish();
	assert.deepEqual([end.reason, end.exit_code], ['spawn_failed', 126]);
});

test('ends a step at its timeout, with SIGKILL for who ignores SIGTERM', async (t) => {
	const run = new Run(t, one(bad('ignore-term'), { timeout_ms: 300, kill_after_ms: 200 }));
	const end = await run.finish();
	assert.deepEqual([end.status, end.reason, end.signal], ['timed_out', 'timeout', 9]);
	assert.equal(run.events('step.timed_out')[0].timeout_us, 300000);
	assert.deepEqual(run.events('children.killed')[0].names, ['hostile']);
	await nobodyLeft(run);
});

test('cancels with SIGTERM, and tells who and why', async (t) => {
	const run = new Run(t, one(bad('on-term', '0'), { kill_after_ms: 20000 }));
	await run.hears('ready');
	run.control('cancel', 'user:admin\nno time\n');
	const end = await run.finish();
	assert.deepEqual([end.status, end.reason], ['cancelled', 'cancelled']);
	const [asked] = run.events('run.cancel_requested');
	assert.deepEqual([asked.actor, asked.reason, asked.kill], ['user:admin', 'no time', false]);
	assert.equal(run.state().cancelRequested, true);
	assert.equal(run.state().steps[0].status, 'cancelled');
});

test('takes a cancel that was there before it started', async (t) => {
	const dir = scratch(t);
	fs.mkdirSync(path.join(dir, 'run/control'), { recursive: true });
	fs.writeFileSync(path.join(dir, 'run/control/cancel'), 'user:admin\n\n');
	const run = new Run(t, one(bad('ignore-term')), { dir });
	assert.equal((await run.finish()).status, 'cancelled');
	assert.equal(run.state().steps[0].status, 'skipped');
});

test('ends a tree of sessions, stopped and stubborn processes', async (t) => {
	const run = new Run(t, one(bad('tree'), { kill_after_ms: 300 }));
	await run.hears('tree is up');
	run.control('cancel');
	assert.equal((await run.finish()).status, 'cancelled');
	assert.equal(run.events('children.killed')[0].left, 0);
	await nobodyLeft(run);
});

test('ends a bounded fork bomb', async (t) => {
	const run = new Run(t, one(bad('bomb', 300), { kill_after_ms: 200 }));
	await run.hears('bomb');
	run.control('cancel');
	assert.equal((await run.finish()).status, 'cancelled');
	const [killed] = run.events('children.killed');
	assert.ok(killed.count > 50, `${killed.count} killed`);
	assert.equal(killed.left, 0);
	await nobodyLeft(run);
});

for (const how of [[], ['no-env']]) {
	test(`ends a daemon that holds the pipes ${how}`, async (t) => {
		const run = new Run(t, one(bad('daemon', ...how), { kill_after_ms: 200 }));
		const end = await run.finish();
		assert.deepEqual([end.status, end.exit_code], ['succeeded', 0]);
		assert.equal(run.output().toString(), 'daemon is up\n');
		const [killed] = run.events('children.killed');
		assert.deepEqual([killed.count, killed.left, killed.names], [1, 0, ['hostile']]);
		await nobodyLeft(run);
	});
}

test('leaves what a command with leave_children left', async (t) => {
	const run = new Run(t, one(bad('daemon'), { leave: 1 }));
	const end = await run.finish();
	assert.equal(end.status, 'succeeded');
	assert.equal(run.events('children.killed').length, 0);
	const left = alive(run.runId());
	assert.equal(left.length, 1);
	process.kill(left[0], 'SIGKILL');
});

test('waits a moment for children that end by themselves', async (t) => {
	const run = new Run(t, one(bad('linger', '60')));
	const end = await run.finish();
	assert.equal(end.exit_code, 3);
	assert.equal(run.output().toString(), 'the leader leaves\nthe last word\n');
	assert.equal(run.events('children.killed').length, 0);
});

test('SIGTERM to the runner is a cancel because of the host', async (t) => {
	const run = new Run(t, one(bad('on-term', '1')));
	await run.hears('ready');
	run.child.kill('SIGTERM');
	const end = await run.finish();
	assert.deepEqual([end.status, end.reason], ['cancelled', 'host_restarted']);
});

test('lives on when whoever started it is gone', async (t) => {
	const run = new Run(t, one(['/bin/sh', '-c', 'echo one; sleep 0.5; echo two']));
	await run.hears('one');
	run.child.stderr.destroy();
	const end = await run.finish();
	assert.equal(end.status, 'succeeded');
	assert.equal(run.output().toString(), 'one\ntwo\n');
});

test('a killed runner takes its command with it', async (t) => {
	const run = new Run(t, one(bad('ignore-term')));
	await run.hears('ready');
	const id = run.runId();
	assert.ok(alive(id).length > 0);
	run.child.kill('SIGKILL');
	await run.exited;
	await nobodyLeft(run, id);
	assert.equal(run.state().status, 'running');
});

test('refuses a folder whose lock is taken', async (t) => {
	const first = new Run(t, one(bad('on-term', '0')));
	await first.hears('ready');
	const second = new Run(t, one(bad('exit')), { dir: path.dirname(first.dir) });
	assert.equal((await second.exited).code, 75);
	assert.match(second.stderr, /lock/);
	first.control('cancel');
	await first.exited;
});

test('waits for room on a full disk and goes on at the same byte', { skip: process.getuid() !== 0 }, async (t) => {
	const dir = scratch(t);
	const { execFileSync } = await import('node:child_process');
	try {
		execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=755', 'tmpfs', dir], { stdio: 'pipe' });
	} catch {
		t.skip('no right to mount');
		return;
	}
	try {
		fs.writeFileSync(path.join(dir, 'ballast'), Buffer.alloc(4 << 20));
		const run = new Run(t, one(bad('flood', 3 << 20, 4096)), { dir });
		await run.until('disk_full', () => run.state().diskFull);
		assert.equal(run.events('run.disk_full').length, 1);
		assert.equal(run.state().status, 'running');
		fs.rmSync(path.join(dir, 'ballast'));
		const end = await run.finish();
		assert.deepEqual([end.status, end.bytes, end.truncated], ['succeeded', 3 << 20, false]);
		assert.equal(run.events('run.disk_ok').length, 1);
		const { flood } = await import('./lib.mjs');
		assert.ok(run.output().equals(flood(3 << 20)));
	} finally {
		execFileSync('umount', ['-l', dir]);
	}
});

test('a run on a full disk can be cancelled, and ended by a second cancel', { skip: process.getuid() !== 0 }, async (t) => {
	const dir = scratch(t);
	const { execFileSync } = await import('node:child_process');
	try {
		execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m,mode=755', 'tmpfs', dir], { stdio: 'pipe' });
	} catch {
		t.skip('no right to mount');
		return;
	}
	try {
		const run = new Run(t, one(bad('flood', 64 << 20, 65536), { kill_after_ms: 200 }), { dir });
		await run.until('disk_full', () => run.state().diskFull);
		run.control('cancel');
		await run.until('cancel', () => run.events('run.cancel_requested').length === 1);
		run.control('kill');
		const { code } = await run.exited;
		assert.equal(code, 0, run.stderr);
		const end = check(run.bytes(), run.state());
		assert.deepEqual([end.status, end.truncated], ['cancelled', true]);
		assert.equal(run.events('output.truncated')[0].reason, 'disk_full');
	} finally {
		execFileSync('umount', ['-l', dir]);
	}
});
