// Values that want to be more than values, through the real agent to a real execve: rows F1 to F9 of
// the attack matrix. The command prints its arguments, so what a value became is seen, not assumed.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, until } from '../lib/agent.mjs';
import { AgentError, METHOD, Writer } from '../lib/agent-client.mjs';
import { makeScripts } from '../lib/commands.mjs';

const bin = makeScripts();
const root = join(bin, '..', 'root');
mkdirSync(join(root, 'sub'), { recursive: true });
writeFileSync(join(root, 'sub', 'file'), '');
symlinkSync('/etc', join(root, 'etc'));
symlinkSync('sub/file', join(root, 'inside'));
const script = (name, text) => {
	writeFileSync(join(bin, name), text);
	chmodSync(join(bin, name), 0o755);
};
script('tell', '#!/bin/sh\nprintf "path=%s\\n" "$1" >>"$OPS_OUTPUT"\n');
script('fds', '#!/bin/sh\nreadlink /proc/self/fd/0; umask; tty || true\n');

const commands = `version: 1
commands:
  show:
    title: Show
    exec: [/usr/bin/printf, '[%s]\\n', "\${inputs.a}", "--x=\${inputs.a}", end]
    inputs: { a: { type: string, required: true } }
  dash:
    title: Dash
    exec: [/usr/bin/printf, '[%s]\\n', "\${inputs.a}"]
    inputs: { a: { type: string, pattern: '-[a-z]+', allow_dash: true, required: true } }
  open:
    title: Open
    exec: [/usr/bin/printf, '[%s]\\n', "\${inputs.file}"]
    inputs: { file: { type: path, under: ${root}, required: true } }
  tell:
    title: Tell
    exec: [${bin}/tell, "\${inputs.text}"]
    inputs: { text: { type: string, required: true } }
    outputs: [path]
  env: { title: Environment, exec: [/usr/bin/env, "-0"] }
  fds: { title: Standard input, exec: [${bin}/fds] }
`;
const flows = {
	hand: `version: 1
id: hand
title: Hand over
inputs: { text: { type: string, required: true } }
steps:
  - { id: tell, uses: tell, with: { text: "\${inputs.text}" } }
  - { id: open, uses: open, with: { file: "\${steps.tell.outputs.path}" } }
`,
};

describe('a value', { timeout: 600000 }, () => {
	let agent, client;

	before(async () => {
		agent = await Agent.start({ commands, flows, env: {
			LD_LIBRARY_PATH: '/tmp', BASH_ENV: '/tmp/x', GIT_DIR: '/tmp', PAGER: 'less', HOME: '/tmp', FOO: 'bar',
		} });
		client = await agent.connect();
	});
	after(() => agent.destroy());

	const outputOf = async (id, inputs, opts) => {
		const { run } = await client.start(id, inputs, opts);
		const journal = await client.follow(run.id);
		const ended = await until('the end of the run', async () => {
			const now = await client.get(run.id);
			return now.finished_us ? now : null;
		});
		return { text: journal.text(1), run: ended };
	};
	const problemOf = async (id, inputs, opts) => {
		try {
			await client.start(id, inputs, opts);
		} catch (error) {
			assert.ok(error instanceof AgentError, String(error));
			return error.message;
		}
		return assert.fail(`${JSON.stringify(inputs)} was taken`);
	};

	it('reaches argv as it is, whatever it means to a shell', async () => {
		const values = [
			'; id', 'a | b', 'a && b', '$(id)', '`id`', '${HOME}', '$HOME', "'", '"', "a'b\"c", '\\', 'a\\nb', '*', '/etc/*',
			'~', '~root', 'a b  c', '{a,b}', '!!', '%s%n', '#x', '<(id)', '>/tmp/x', 'a=b', 'ünïcödé 😀', '${inputs.a}', '[%s]',
		];
		await Promise.all(values.map(async (value) => {
			const { text } = await outputOf('show', { a: value });
			assert.equal(text, `[${value}]\n[--x=${value}]\n[end]\n`);
		}));
	});

	it('is refused with its name when it could be an option or more than a line', async () => {
		const cases = {
			'-rf': "begin with '-'", '--output=/etc/x': "begin with '-'", '-': "begin with '-'", 'a\nb': 'single line',
			'a\rb': 'single line', 'a\0b': 'U+0000', 'a\tb': 'U+0009', '\x1b[2J': 'U+001B', '\u202eabc': 'U+202E', 'a\u200bb': 'U+200B',
			'': 'not be empty', ['x'.repeat(1025)]: 'at most 1024 characters', ['x'.repeat(20000)]: 'at most 16384 bytes',
			'ops-dashboard-updater.service': 'names the updater',
		};
		for (const [value, why] of Object.entries(cases)) {
			const problem = await problemOf('show', { a: value });
			assert.match(problem, /^invalid_input: /);
			assert.ok(problem.includes("'a'") && problem.includes(why), `${JSON.stringify(value)}: ${problem}`);
		}
		assert.equal((await outputOf('dash', { a: '-abc' })).text, '[-abc]\n');
		assert.match(await problemOf('dash', { a: '-abc=/etc' }), /must match/);
	});

	it('needs a name that is asked for, once', async () => {
		assert.match(await problemOf('show', {}), /'a' is required/);
		assert.match(await problemOf('show', { a: 'x', ot_a: 'y' }), /'ot_a' there is no such input/);
		const w = new Writer().u8(1).u8(0).str('show').str('user:t').str('manual').str('').u16(2);
		for (const value of ['x', 'y']) w.str('a').str(value);
		await assert.rejects(client.call(METHOD.RUN_START, w.done()), (e) => e.status === 'invalid_input' && /twice/.test(e.message));
	});

	it('cannot choose another command by a name that looks alike', async () => {
		for (const id of ['Show', 'show ', 'show\0', 'sһow', 'show/../dash', '../show', ''])
			assert.match(await problemOf(id, { a: 'x' }), /^not_found: /);
		assert.match(await problemOf('show', { a: 'x' }, { kind: 2 }), /^not_found: /);
	});

	it('that is a path stays below its folder', async () => {
		for (const good of ['sub/file', 'inside', join(root, 'sub')])
			assert.equal((await outputOf('open', { file: good })).text, `[${good.startsWith('/') ? good : join(root, good)}]\n`);
		for (const bad of ['etc/passwd', '../root/sub', '/etc/passwd', '//etc', 'sub//file', './sub', 'sub/', '/proc/self/fd/0', 'none'])
			assert.match(await problemOf('open', { file: bad }), /^invalid_input: .*'file'/, bad);
	});

	it('that a step hands over is checked like any other', async () => {
		const good = await outputOf('hand', { text: join(root, 'sub', 'file') }, { kind: 2 });
		assert.equal(good.run.status, 'succeeded');
		assert.equal(good.text, `[${root}/sub/file]\n`);
		for (const bad of [join(root, 'etc', 'passwd'), '/etc/passwd', 'x; id']) {
			const { text, run } = await outputOf('hand', { text: bad }, { kind: 2 });
			assert.equal(run.status, 'failed', bad);
			assert.equal(run.steps[1].status, 'failed');
			assert.equal(text, '');
		}
	});

	it('meets a command whose environment is built, whose input is empty, and that has no terminal', async () => {
		const names = (await outputOf('env')).text.split('\0').filter(Boolean);
		assert.deepEqual(names.map((n) => n.split('=')[0]).sort(), [
			'CLICOLOR_FORCE', 'FORCE_COLOR', 'HOME', 'LANG', 'LESSSECURE', 'LOGNAME', 'OPS_ATTEMPT', 'OPS_OUTPUT', 'OPS_RUN_ID', 'OPS_STEP', 'PAGER', 'PATH',
			'SYSTEMD_PAGER', 'TERM', 'USER',
		]);
		assert.ok(names.includes('PAGER=cat') && names.includes('LESSSECURE=1') && !names.includes('HOME=/tmp'), names.join(' '));
		const { text } = await outputOf('fds');
		assert.equal(text, '/dev/null\n0022\nnot a tty\n');
	});

	it('is not given to a program that somebody else could have changed since it was loaded', async () => {
		chmodSync(join(bin, 'tell'), 0o777);
		const { run } = await outputOf('tell', { text: 'x' });
		chmodSync(join(bin, 'tell'), 0o755);
		assert.equal(run.status, 'failed');
		assert.equal(run.reason, 'spawn_failed');
	});
});
