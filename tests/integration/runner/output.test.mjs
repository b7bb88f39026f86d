// What a command writes is in the journal, byte for byte, whatever it does.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { bad, flood, one, Run } from './lib.mjs';

test('keeps a plain command byte for byte and tells its end', async (t) => {
	const run = new Run(t, one(['/bin/sh', '-c', 'echo hello; echo oops >&2; exit 3']));
	const end = await run.finish();
	assert.equal(run.output(1).toString(), 'hello\n');
	assert.equal(run.output(2).toString(), 'oops\n');
	assert.deepEqual([end.status, end.reason, end.exit_code, end.signal], ['failed', 'exit', 3, null]);
	const [created] = run.events('run.created');
	assert.equal(created.steps[0].argv[0], '/bin/sh');
	assert.equal(run.state().steps[0].status, 'failed');
	assert.equal(run.state().steps[0].attempt, 1);
});

test('keeps a flood of large writes', async (t) => {
	const run = new Run(t, one(bad('flood', 8 << 20, 65536)));
	const end = await run.finish();
	assert.equal(end.status, 'succeeded');
	assert.ok(run.output().equals(flood(8 << 20)));
	assert.equal(fs.statSync(path.join(run.dir, 'index')).size % 24, 0);
	assert.ok(fs.statSync(path.join(run.dir, 'index')).size >= 24 * 20);
});

test('gathers a flood of tiny writes into few records', async (t) => {
	const run = new Run(t, one(bad('flood', 2 << 20, 120)));
	await run.finish();
	assert.ok(run.output().equals(flood(2 << 20)));
	const records = run.records().filter((r) => r.kind === 1).length;
	assert.ok(records < 17477 / 4, `${records} records for 17477 writes`);
});

test('passes every byte value, broken UTF-8, CR and NUL', async (t) => {
	const run = new Run(t, one(bad('binary')));
	await run.finish();
	const tail = Buffer.concat([Buffer.from('€😀'), Buffer.from([0xc3, 0x28, 0xff, 0xfe]), Buffer.from('\r50%\r100%\n\x1b[31mred\x1b[0m')]);
	assert.ok(run.output().equals(Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, i) => i)), tail])));
});

test('keeps one line of 32 MiB whole', async (t) => {
	const run = new Run(t, one(bad('one-line', 32 << 20)));
	const end = await run.finish();
	assert.equal(end.bytes, 32 << 20);
	assert.equal(end.lines, 0);
	assert.ok(run.output().every((b) => b === 120));
});

test('loses nothing of a command that exits right after its last write', async (t) => {
	for (let i = 0; i < 20; i++) {
		const run = new Run(t, one(bad('say', `last words ${i}`, '5')));
		const end = await run.finish();
		assert.equal(run.output().toString(), `last words ${i}`);
		assert.equal(end.exit_code, 5);
	}
});

test('keeps the order of lines within each stream', async (t) => {
	const run = new Run(t, one(bad('both', 2000)));
	await run.finish();
	const numbers = (kind) => run.output(kind).toString().trim().split('\n').map((l) => Number(l.slice(4)));
	assert.deepEqual(numbers(1), Array.from({ length: 1000 }, (_, i) => 2 * i));
	assert.deepEqual(numbers(2), Array.from({ length: 1000 }, (_, i) => 2 * i + 1));
});

test('waits for a command that closed its output', async (t) => {
	const run = new Run(t, one(bad('close-stdout')));
	const end = await run.finish();
	assert.equal(end.exit_code, 7);
	assert.equal(run.output().toString(), 'before\n');
});

test('counts and drops output beyond max_output, and lets the command end', async (t) => {
	const run = new Run(t, one(bad('flood', 4 << 20, 65536), {}, { max_output: 1000000 }));
	const end = await run.finish();
	assert.equal(end.status, 'succeeded');
	assert.equal(end.bytes, 1000000);
	assert.equal(end.truncated, true);
	assert.ok(run.output().equals(flood(4 << 20).subarray(0, 1000000)));
	const cut = run.events('output.truncated');
	assert.equal(cut.length, 1);
	assert.deepEqual([cut[0].bytes, cut[0].reason], [(4 << 20) - 1000000, 'max_output']);
	assert.equal(run.state().truncated, true);
});

test('gives a command nothing but what it is to have', async (t) => {
	const run = new Run(t, one(bad('report'), { stdin: 'secret text', raw: [['env', 'PGHOST=/run/pg'], ['env', 'OPS_STEP=forged'], ['env', 'HOME=/elsewhere']] }),
		{ env: { LD_PRELOAD: '', BASH_ENV: '/tmp/evil', OPS_AGENT_SECRET: 'x' } });
	await run.finish();
	const text = run.output().toString();
	const got = (key) => text.split('\n').filter((l) => l.startsWith(key + ' ')).map((l) => l.slice(key.length + 1));
	assert.deepEqual(got('fd'), ['0', '1', '2']);
	const env = Object.fromEntries(got('env').map((e) => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)]));
	assert.equal(env.PGHOST, '/run/pg');
	assert.equal(env.HOME, '/elsewhere');
	assert.equal(env.OPS_STEP, 'a');
	assert.equal(env.OPS_RUN_ID, run.runId());
	assert.deepEqual(Object.keys(env).sort(), ['CLICOLOR_FORCE', 'FORCE_COLOR', 'HOME', 'LANG', 'LESSSECURE', 'LOGNAME', 'OPS_ATTEMPT', 'OPS_OUTPUT', 'OPS_RUN_ID',
		'OPS_STEP', 'PAGER', 'PATH', 'PGHOST', 'SYSTEMD_PAGER', 'TERM', 'USER']);
	assert.deepEqual([got('core'), got('blocked'), got('ignored'), got('umask')], [['0'], ['0'], ['0'], ['022']]);
	assert.deepEqual([got('session'), got('no_new_privs'), got('tty')], [['1'], ['1'], ['0']]);
	assert.deepEqual(got('stdin'), ['secret text']);
});

test('without a text standard input is empty', async (t) => {
	const run = new Run(t, one(bad('report'), { new_privileges: 1 }));
	await run.finish();
	assert.match(run.output().toString(), /^stdin $/m);
	assert.match(run.output().toString(), /^no_new_privs 0$/m);
});

test('switches to the account of the command', { skip: process.getuid() !== 0 }, async (t) => {
	// A checkout may be in a home that nobody else enters.
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ops-program-'));
	t.after(() => fs.rmSync(dir, { recursive: true }));
	fs.chmodSync(dir, 0o755);
	fs.copyFileSync(bad()[0], path.join(dir, 'hostile'));
	const run = new Run(t, one([path.join(dir, 'hostile'), 'report'], { user: 'nobody' }));
	await run.finish();
	const text = run.output().toString();
	assert.match(text, /^uid 65534 65534$/m);
	assert.match(text, /^gid 65534$/m);
	assert.match(text, /^env USER=nobody$/m);
	assert.equal(run.events('step.started')[0].user, 'nobody');
});

test('lets a command of another account open /dev/stdout and write its outputs', { skip: process.getuid() !== 0 }, async (t) => {
	const run = new Run(t, one(['/bin/sh', '-c', 'echo x > /dev/stdout; echo y > /dev/stderr; echo path=/z >> "$OPS_OUTPUT"'], { user: 'nobody', output: 'path' }));
	const end = await run.finish();
	assert.equal(end.status, 'succeeded');
	assert.equal(run.output(1).toString() + run.output(2).toString(), 'x\ny\n');
	assert.deepEqual(run.events('step.finished')[0].outputs, { path: '/z' });
});
