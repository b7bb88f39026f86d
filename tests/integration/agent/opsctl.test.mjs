// opsctl as a person and as a script meets it: words, exit codes, JSON, a terminal and none.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, OPSCTL, until } from '../lib/agent.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';

const bin = makeScripts();
writeFileSync(join(bin, 'die'), '#!/bin/sh\nkill -9 $$\n');
writeFileSync(join(bin, 'late'), '#!/bin/sh\necho begun\nsleep 1.5\nprintf "no newline"\n');
for (const name of ['die', 'late']) chmodSync(join(bin, name), 0o755);
const commands = `${commandsYml(bin)}  die: { title: Die, exec: [${bin}/die] }
  late: { title: Late, exec: [${bin}/late] }
  slow: { title: Slow, exec: [${bin}/stay], timeout: 300ms, kill_after: 100ms }
  typed:
    title: Typed
    description: Inputs of several types
    exec: [/usr/bin/printf, '%s\\n', "\${inputs.word}", "--n=\${inputs.n}"]
    inputs:
      word: { type: enum, values: [one, two], required: true, description: Which }
      n: { type: int, min: 1, max: 9, default: 4 }
`;
const flows = {
	asks: `version: 1
id: asks
title: Asks
steps:
  - { id: gate, approve: { prompt: Go on?, timeout: 1h } }
  - { id: then, uses: speak }
`,
};
const VERBS = ['list', 'run', 'logs', 'runs', 'show', 'cancel', 'approve', 'status', 'reload'];

describe('opsctl', { timeout: 600000 }, () => {
	let agent, client;

	before(async () => {
		agent = await Agent.start({ commands, flows });
		client = await agent.connect();
	});
	after(() => agent.destroy());

	// Runs a program to its end: { code, out, err }.
	const end = (child) => new Promise((resolve) => {
		const out = [], err = [];
		child.stdout.on('data', (d) => out.push(d));
		child.stderr.on('data', (d) => err.push(d));
		child.on('close', (code) => resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }));
	});
	const start = (args, env = {}) => spawn(OPSCTL, args, { env: { ...process.env, ...agent.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
	const opsctl = (...args) => end(start(args));
	// The same on a terminal of its own; what both streams wrote is in `out`.
	const onTerminal = (args, env = {}) => end(spawn('script', ['-qec', [OPSCTL, ...args].join(' '), '/dev/null'], {
		env: { ...process.env, ...agent.env, TERM: 'xterm', ...env }, stdio: ['ignore', 'pipe', 'pipe'],
	}));
	const numberOf = (text) => /#(\d+)/.exec(text)[1];

	it('explains every command, and what is wrong with a command line', async () => {
		const help = await opsctl('--help');
		assert.equal(help.code, 0);
		for (const verb of VERBS) {
			assert.match(help.out, new RegExp(`^  ${verb} `, 'm'));
			const one = await opsctl(verb, '--help');
			assert.equal(one.code, 0);
			assert.match(one.out, new RegExp(`^usage: opsctl ${verb}`));
			assert.match(one.out, /--json/);
		}
		assert.match((await opsctl('--version')).out, /^opsctl \d/);
		const cases = [
			[[], /which command\?/], [['lst'], /there is no command 'lst'; there are list, run,/],
			[['runs', '--limt', '3'], /there is no option --limt/], [['runs', '-x'], /there is no option -x/],
			[['runs', '--limit'], /a value is missing behind --limit/], [['runs', '--limit', '0'], /--limit takes a number from 1 to 200/],
			[['show'], /an argument is missing: RUN/], [['show', '1', '2'], /too many arguments: 2/],
			[['show', '1', '-f'], /this command has no option -f, --follow/], [['run', 'typed', 'word'], /given as NAME=VALUE, not 'word'/],
		];
		for (const [args, message] of cases) {
			const { code, out, err } = await opsctl(...args);
			assert.equal(code, 64, args.join(' '));
			assert.equal(out, '');
			assert.match(err, message);
		}
	});

	it('lists what may be run, and one entry in full', async () => {
		const { out } = await opsctl('list');
		assert.match(out, /^flow {5}asks +Asks$/m);
		assert.match(out, /^command {2}typed +Typed {2}\(word=, n\)$/m);
		const one = (await opsctl('list', 'typed')).out;
		assert.match(one, /^input {4}word +enum of one, two, required$/m);
		assert.match(one, /^input {4}n +int, min 1, max 9, default 4$/m);
		assert.match(one, /^executes as \S+: '\/usr\/bin\/printf' '%s\\n' '\$\{inputs.word\}' '--n=\$\{inputs.n\}'$/m);
		assert.equal((await opsctl('list', '--names', 'typed')).out, 'word=\nn=\n');
		assert.match((await opsctl('list', '--names')).out, /^asks\nspeak\n/);
		assert.equal(JSON.parse((await opsctl('list', '--json', 'typed')).out).inputs[0].name, 'word');
		assert.equal(JSON.parse((await opsctl('--json', 'list')).out).flows[0].id, 'asks');
		const none = await opsctl('list', 'typd');
		assert.equal(none.code, 65);
	});

	it('ends as the run did', async () => {
		const results = await Promise.all([
			opsctl('run', 'speak', '-f'), opsctl('run', 'speak', 'code=3', '-f'), opsctl('run', 'die', '-f'), opsctl('run', 'slow', '-f'),
			opsctl('run', 'speak', 'code=300', '-f'), opsctl('run', 'spek'),
		]);
		assert.deepEqual(results.map((r) => r.code), [0, 3, 137, 124, 65, 65]);
		assert.deepEqual([results[1].out, results[1].err], ['out\n', 'err\n']);
		assert.match(results[4].err, /\n {2}code: must be between 0 and 255\n$/);
		assert.match(results[5].err, /did you mean speak\?/);
	});

	it('ends with codes of their own for a cancelled and a lost run', async () => {
		const stay = start(['run', 'stay', '-f', '--json']), done = end(stay);
		const run = await until('the run', async () => (await client.list({ filter: 1 })).runs.find((r) => r.name === 'stay'));
		assert.equal((await opsctl('cancel', `#${run.number}`)).out, 'cancel requested\n');
		assert.equal((await done).code, 130);
		const other = end(start(['run', 'stay', '-f']));
		const second = await until('the other', async () => (await client.list({ filter: 1 })).runs.find((r) => r.name === 'stay' && r.number > run.number && r.status === 'running'));
		process.kill(await until('its runner', () => agent.runnerPid(second.id)), 'SIGKILL');
		assert.equal((await other).code, 75);
		const late = await opsctl('cancel', String(run.number), '--json');
		assert.equal(late.code, 77);
		assert.equal(JSON.parse(late.out).error.exit, 77);
	});

	it('says who is away, and what to do about it', async () => {
		const away = await end(start(['status'], { OPS_AGENT_SOCKET: '/nonexistent/sock' }));
		assert.equal(away.code, 69);
		assert.match(away.err, /no agent answers on \/nonexistent\/sock: .*; 'systemctl status ops-agent'/);
		const secret = await end(start(['status', '--json'], { OPS_AGENT_SECRET_PATH: '/nonexistent/secret' }));
		assert.equal(secret.code, 77);
		assert.match(JSON.parse(secret.out).error.message, /\/nonexistent\/secret.*OPS_AGENT_SECRET_PATH/);
		const wrong = join(agent.dir, 'wrong');
		writeFileSync(wrong, 'battery-staple-correct-horse');
		assert.equal((await end(start(['runs'], { OPS_AGENT_SECRET_PATH: wrong }))).code, 77);
	});

	it('writes JSON for programs, errors too', async () => {
		const bad = await opsctl('run', 'typed', 'word=three', 'm=1', '--json');
		assert.deepEqual(JSON.parse(bad.out).error.problems.map((p) => p.name).sort(), ['m', 'word']);
		const lines = (await opsctl('run', 'speak', '-f', '--json')).out.trim().split('\n').map((l) => JSON.parse(l));
		assert.equal(lines[0].name, 'speak');
		assert.equal(lines[1].event.event, 'run.created');
		assert.deepEqual(lines.filter((l) => l.text).map((l) => [l.stream, l.text]).sort(), [['stderr', 'err\n'], ['stdout', 'out\n']]);
		assert.equal(lines.at(-1).event.event, 'run.finished');
		const again = (await opsctl('logs', String(lines[0].number), '--json')).out.trim().split('\n').map((l) => JSON.parse(l));
		assert.deepEqual(again, lines.slice(1));
		assert.equal(JSON.parse((await opsctl('show', String(lines[0].number), '--json')).out).id, lines[0].id);
		assert.equal(JSON.parse((await opsctl('runs', '--limit', '1', '--json')).out).runs.length, 1);
		assert.match(JSON.parse((await opsctl('run', 'speak', '--dry-run', '--json')).out).plan[0].argv[0], /speak$/);
		assert.match((await opsctl('runs', '--names')).out, /^\d+\n/);
	});

	it('shows what waits for an answer, and answers it', async () => {
		const number = numberOf((await opsctl('run', 'asks')).out);
		const shown = await until('the question', async () => {
			const { out } = await opsctl('show', number);
			return /asks: Go on\?/.test(out) ? out : null;
		});
		assert.match(shown, new RegExp(`answer: opsctl approve ${number} gate \\[--reject\\]`));
		assert.match((await opsctl('runs', '--active')).out, /waiting/);
		const done = await opsctl('approve', number, 'gate', '--json');
		assert.deepEqual(JSON.parse(done.out), { run: number, done: 'approved' });
		assert.equal((await opsctl('logs', number, '-f')).code, 0);
	});

	it('keeps colours and the line of progress for terminals', async () => {
		const plain = await opsctl('run', 'late', '-f');
		assert.equal(plain.out, 'begun\nno newline');
		assert.equal(plain.err, '');
		for (const args of [['runs'], ['show', '1'], ['status'], ['list']]) assert.ok(!(await opsctl(...args)).out.includes('\x1b'));
		const seen = await onTerminal(['run', 'late', '-f']);
		assert.equal(seen.code, 0);
		assert.match(seen.out, /\x1b\[2Klate|\x1b\[2mlate {2}0:0\d {2}6 bytes/);
		assert.match(seen.out, /no newline/);
		assert.match(seen.out, /run\x1b\[0m succeeded/);
		assert.match((await onTerminal(['runs'])).out, /\x1b\[32msucceeded/);
		assert.ok(!(await onTerminal(['runs'], { NO_COLOR: '1' })).out.includes('\x1b'));
	});

	it('leaves a run alone when it is interrupted', async () => {
		const child = start(['run', 'stay', '-f']), done = end(child);
		const run = await until('the run', async () => (await client.list({ filter: 1 })).runs.find((r) => r.name === 'stay' && r.lines > 0));
		child.kill('SIGINT');
		const { code, err } = await done;
		assert.equal(code, 130);
		assert.match(err, new RegExp(`run #${run.number} goes on.*opsctl cancel ${run.number}`));
		assert.equal((await client.get(run.id)).status, 'running');
		await opsctl('cancel', String(run.number));
	});

	it('reloads, and tells that the newest files are broken', async () => {
		assert.match((await opsctl('status')).out, /^agent {4}\S+ on .*\nconfig {3}[0-9a-f]{64}\n/);
		agent.configure({ commands: commands.replace('title: Late', 'titel: Late'), flows });
		const { code, err } = await opsctl('reload');
		assert.equal(code, 65);
		assert.match(err, /commands.yml:\d+:\d+: /);
		await until('the error in the status', async () => /newest files are not loaded: .*titel/.test((await opsctl('status')).out));
		assert.match(JSON.parse((await opsctl('status', '--json')).out).config_error, /titel/);
		agent.configure({ commands, flows });
		assert.equal(JSON.parse((await opsctl('reload', '--json')).out).config_digest, JSON.parse((await opsctl('status', '--json')).out).agent.config_digest);
	});
});
