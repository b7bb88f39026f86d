// P7: no secret value appears in a journal, nor anywhere else in RUN_DIR, however it was written.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { bad, Run, scratch } from './lib.mjs';

const SECRET = 'p@ss word/1+2';
const url = encodeURIComponent(SECRET).replace(/'/g, '%27');
const base64 = (before) => Buffer.from(before + SECRET + '??').toString('base64');

function secretFile(dir, text, mode = 0o600, name = 'secret') {
	const file = path.join(dir, name);
	fs.writeFileSync(file, text, { mode });
	fs.chmodSync(file, mode);
	return file;
}

// No form of the secret is in any file of the run; base64 by what is in the middle of it.
function holdsNone(run, secret = SECRET) {
	const forms = [secret, encodeURIComponent(secret), ...[0, 1, 2].map((n) => Buffer.from('x'.repeat(n) + secret).toString('base64').slice(4, -4))];
	for (const name of fs.readdirSync(run.dir, { recursive: true })) {
		const file = path.join(run.dir, name);
		if (!fs.statSync(file).isFile()) continue;
		const bytes = fs.readFileSync(file);
		for (const form of forms) assert.ok(!bytes.includes(form), `${name} holds ${form}`);
	}
}

const sh = (text, ...args) => ['/bin/sh', '-c', text, 'sh', ...args];

test('a secret is masked on both streams wherever two writes split it', async (t) => {
	const dir = scratch(t), file = secretFile(dir, SECRET + '\n');
	// The two pieces of a line come in one after the other: between them the runner has time to read.
	const script = 'i=1; while [ $i -lt ${#S} ]; do r="${S#??????????????}"; a=$(printf %s "$S" | cut -c1-$i); b=$(printf %s "$S" | cut -c$((i+1))-);' +
		' printf "%s" "$a" >&$1; sleep 0.02; printf "%s.\\n" "$b" >&$1; i=$((i+1)); done';
	const run = new Run(t, { steps: [1, 2].map((fd) => ({ id: `s${fd}`, argv: sh(script, String(fd)), raw: [['secret', `S=${file}`]] })) }, { dir });
	assert.equal((await run.finish()).status, 'succeeded');
	const wanted = '***.\n'.repeat(SECRET.length - 1);
	assert.equal(run.output(1, 0).toString(), wanted);
	assert.equal(run.output(2, 1).toString(), wanted);
	assert.ok(run.records().filter((r) => r.kind !== 3 && r.payload.includes('*')).every((r) => r.flags === 1));
	holdsNone(run);
});

test('encodings are masked, and what only begins like a secret is not lost', async (t) => {
	const dir = scratch(t), file = secretFile(dir, SECRET);
	const begins = SECRET.slice(0, 9);
	const lines = [`u=${url};`, base64(''), base64('a'), base64('ab'), begins, `${begins}${SECRET}`];
	// Not as arguments or literal environment: those are the plan's, which no secret is in.
	const input = path.join(dir, 'lines');
	fs.writeFileSync(input, lines.join('\n'));
	const run = new Run(t, { steps: [{ id: 'a', argv: ['/bin/cat', input], raw: [['secret', `S=${file}`]] }] }, { dir });
	assert.equal((await run.finish()).status, 'succeeded');
	const out = run.output().toString().split('\n');
	assert.deepEqual([out[0], out[4], out[5]], ['u=***;', begins, `${begins}***`]);
	for (const n of [1, 2, 3]) assert.match(out[n], /^.{0,3}\*\*\*.{0,6}$/);
	holdsNone(run);
});

test('a prompt is not held back, and the tail of a step that ends is not lost', async (t) => {
	const dir = scratch(t), file = secretFile(dir, SECRET), go = path.join(dir, 'go');
	const run = new Run(t, { steps: [{ id: 'a', argv: sh('printf "Password: "; while [ ! -e "$1" ]; do sleep 0.02; done; printf %s p@ss', go), raw: [['secret', `S=${file}`]] }] }, { dir });
	await run.hears('Password: ');
	fs.writeFileSync(go, '');
	assert.equal((await run.finish()).status, 'succeeded');
	assert.equal(run.output().toString(), 'Password: p@ss');
	assert.ok(run.records().every((r) => r.flags === 0));
});

test('the command gets the secret; outputs, messages and argv shown are masked', async (t) => {
	const dir = scratch(t), file = secretFile(dir, SECRET);
	const same = path.join(dir, 'same');
	const steps = [
		{ id: 'env', argv: sh('[ "$S" = "$(cat "$1")" ] && cp "$1" "$2"; echo "token=$S" >> "$OPS_OUTPUT"; echo "$S=1" >> "$OPS_OUTPUT"', file, same), output: 'token', raw: [['secret', `S=${file}`]] },
		// Another step of the run, which has no secret of its own.
		{ id: 'shown', needs: 0, argv: ['/bin/echo', 'begin', SECRET] },
		{ id: 'input', needs: 1, argv: sh('echo "got $PW"; [ ${#PW} = 12 ]'), raw: [['input', 'pw:secret:entered-here'], ['env_input', 'PW=0']] },
	];
	const run = new Run(t, { run: { flow: 1 }, steps }, { dir });
	assert.equal((await run.finish()).status, 'succeeded');
	assert.equal(fs.readFileSync(same, 'utf8'), SECRET);
	const [first] = run.events('step.finished');
	assert.deepEqual(first.outputs, { token: '***' });
	assert.match(first.message, /\*\*\*/);
	assert.deepEqual(run.events('step.started')[1].argv, ['/bin/echo', 'begin', '***']);
	assert.equal(run.output(1, 1).toString(), 'begin ***\n');
	assert.equal(run.output(1, 2).toString(), 'got ***\n');
	const text = run.records().filter((r) => r.event?.event !== 'run.created').map((r) => r.payload.toString('latin1')).join('\n');
	assert.ok(!text.includes(SECRET) && !text.includes('entered-here'));
});

test('a file that is not fit to hold a secret fails the step, and says why without telling it', async (t) => {
	const dir = scratch(t);
	const rows = [
		[secretFile(dir, 'short\n', 0o600, 'short'), /fewer than 8 bytes/],
		[secretFile(dir, 'long-enough', 0o644, 'open'), /chmod 600/],
		[secretFile(dir, 'with\0a-nul-in-it', 0o600, 'nul'), /NUL/],
		[secretFile(dir, 'x'.repeat(5000), 0o600, 'long'), /more than 4096/],
		[path.join(dir, 'nowhere'), /nowhere/],
	];
	for (const [file, message] of rows) {
		const run = new Run(t, { steps: [{ id: 'a', argv: bad('say', 'ran'), raw: [['secret', `S=${file}`]] }] });
		const end = await run.finish();
		assert.deepEqual([end.status, end.reason], ['failed', 'spawn_failed']);
		assert.match(run.events('step.finished')[0].message, message);
		assert.equal(run.output().length, 0);
		assert.ok(!run.bytes().includes('long-enough') && !run.bytes().includes('short\\n'));
	}
});

test('a torrent with a secret in it is masked at full length', async (t) => {
	const dir = scratch(t), file = secretFile(dir, SECRET);
	const run = new Run(t, { steps: [{ id: 'a', argv: sh('yes "0123456789 $S abcdefghij" | head -n 200000'), raw: [['secret', `S=${file}`]] }] }, { dir });
	assert.equal((await run.finish()).status, 'succeeded');
	assert.ok(run.output().equals(Buffer.from('0123456789 *** abcdefghij\n'.repeat(200000))));
	holdsNone(run);
});
