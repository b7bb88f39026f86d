// The manual pages and the shell's completion say what the programs do, and all of it: commands, options,
// variables, exit codes and keys are compared both ways.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AGENT, Agent, OPSCTL } from '../lib/agent.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';

const root = new URL('../../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');
const sorted = (words) => [...new Set(words)].sort();
const help = (program, ...args) => execFileSync(program, [...args, '--help'], { encoding: 'utf8' });
const all = (text, pattern) => [...text.matchAll(pattern)].map((m) => m[1]);
// Lines of a page that begin an item, and what stands in them behind a macro.
const items = (page, macro) => all(page, /^\.It (.*)$/gm).flatMap((line) => all(line, new RegExp(`(?:^|[ ,])${macro} ([^ ,]+)`, 'g')));
const section = (page, name) => page.split(`.Sh ${name}\n`)[1].split('\n.Sh ')[0];
const sources = (folder) => readdirSync(new URL(folder, root), { recursive: true })
	.filter((f) => f.endsWith('.c')).map((f) => read(`${folder}${f}`)).join('\n');
const variables = (folder) => all(sources(folder), /(?:getenv|env_or|from_environment)\(\s*"([A-Z_]+)"/g);

const PAGES = ['ops-agent.8', 'opsctl.1', 'commands.yml.5', 'flows.5', 'status.yml.5'];
const page = Object.fromEntries(PAGES.map((name) => [name, read(`agent/man/${name}`)]));

describe('the manual pages', () => {
	it('are well formed', { skip: spawnSync('man', ['--version']).error !== undefined && 'there is no man' }, () => {
		for (const name of PAGES) {
			const run = spawnSync('man', ['--warnings', '-E', 'UTF-8', '-l', fileURLToPath(new URL(`agent/man/${name}`, root))], { encoding: 'utf8' });
			assert.equal(run.stderr, '', name);
			assert.equal(run.status, 0);
			assert.match(run.stdout, /SEE ALSO/);
		}
	});

	it('know the commands and options of opsctl', () => {
		const verbs = all(help(OPSCTL), /^ {2}([a-z][a-z-]*) /gm);
		assert.deepEqual(sorted(items(page['opsctl.1'].split('Options may stand anywhere')[0], 'Cm')), sorted(verbs));
		const options = verbs.flatMap((verb) => all(help(OPSCTL, verb), /(?:^ {2}|, )(--?[a-z-]+)/gm));
		assert.deepEqual(sorted(items(page['opsctl.1'], 'Fl').map((o) => `-${o}`)), sorted([...options, '--version']));
		assert.deepEqual(sorted(items(page['opsctl.1'], 'Ev')), sorted(variables('agent/ctl/')));
	});

	it('know the exit codes of opsctl', () => {
		const codes = all(read('agent/ctl/exitcode.h'), /EXIT_\w+ = (\d+)/g);
		const told = all(section(page['opsctl.1'], 'EXIT STATUS'), /^\.It (\d+)$/gm);
		assert.deepEqual(told.filter((code) => code !== '1').sort(), codes.sort());
	});

	it('know the commands, variables and exit codes of ops-agent', () => {
		const verbs = all(help(AGENT), /^ {2}([a-z]+) /gm);
		assert.deepEqual(sorted(items(page['ops-agent.8'], 'Cm')), sorted(verbs));
		const folders = readdirSync(new URL('agent/', root), { withFileTypes: true }).filter((f) => f.isDirectory() && f.name !== 'ctl');
		// TZ is the C library's, for every program.
		const own = folders.flatMap((folder) => variables(`agent/${folder.name}/`)).filter((name) => name !== 'TZ');
		const main = all(read('agent/main.c'), /getenv\("([A-Z_]+)"/g);
		// A service manager's; WATCHDOG_PID only says whose WATCHDOG_USEC is, and sockets are handed to nobody but the dashboard.
		const service = all(read('core/base/service.c'), /getenv\("([A-Z_]+)"/g).filter((name) => !['WATCHDOG_PID', 'LISTEN_FDS'].includes(name));
		assert.deepEqual(sorted(items(page['ops-agent.8'], 'Ev')), sorted([...own, ...main, ...service]));
		const headers = read('agent/config/check.h') + read('agent/monitor/monitor.h');
		const codes = all(headers, /define (?:CHECK|MONITOR)_EXIT_\w+ (\d+)/g);
		assert.deepEqual(sorted(all(section(page['ops-agent.8'], 'EXIT STATUS'), /^\.It (\d+)$/gm)), sorted(codes));
	});

	// Alternatives are left out where they repeat what stands beside them.
	const keys = (node, found = [], alternatives = false) => {
		if (typeof node !== 'object' || node === null) return found;
		if (node.properties && node.type === 'object') found.push(...Object.keys(node.properties));
		for (const [key, child] of Object.entries(node)) {
			if (!alternatives && (key === 'anyOf' || key === 'allOf' || key === 'oneOf')) continue;
			keys(child, found, alternatives);
		}
		return found;
	};

	it('know every key of the configuration', () => {
		const commands = JSON.parse(read('agent/config/schema/commands.schema.json'));
		assert.deepEqual(sorted(items(page['commands.yml.5'], 'Ic')), sorted(keys(commands)));
		assert.deepEqual(items(page['commands.yml.5'], 'Cm'), commands.definitions.input.properties.type.enum);
		const flow = JSON.parse(read('agent/config/schema/flow.schema.json'));
		const { input, ...own } = flow.definitions;
		assert.deepEqual(sorted(items(page['flows.5'], 'Ic')), sorted(keys({ ...flow, definitions: own })));
		assert.ok(input);
		const status = JSON.parse(read('agent/config/schema/status.schema.json'));
		assert.deepEqual(sorted(items(page['status.yml.5'], 'Ic')), sorted(keys(status, [], true)));
	});
});

describe('completion', { timeout: 600000 }, () => {
	// What bash offers for this command line, the cursor at its end.
	const complete = (env, program, ...words) => {
		const script = `. "${fileURLToPath(new URL(`deploy/ops-agent/completion/${program}`, root))}"
			COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _${program.replace('-', '_')}; printf '%s\\n' "\${COMPREPLY[@]}"`;
		return execFileSync('bash', ['-c', script, 'bash', program, ...words], { encoding: 'utf8', env }).split('\n').filter(Boolean);
	};

	it('offers what there is', async () => {
		const agent = await Agent.start({ commands: commandsYml(makeScripts()) });
		const path = mkdtempSync(join(tmpdir(), 'ops-path-'));
		try {
			symlinkSync(OPSCTL, join(path, 'opsctl'));
			const env = { ...process.env, ...agent.env, PATH: `${path}:${process.env.PATH}` };
			const client = await agent.connect();
			const { run } = await client.start('stay');
			assert.deepEqual(sorted(complete(env, 'opsctl', '')), sorted(all(help(OPSCTL), /^ {2}([a-z][a-z-]*) /gm)));
			for (const verb of complete(env, 'opsctl', '')) {
				const options = all(help(OPSCTL, verb), /(?:^ {2}|, )(--[a-z-]+)/gm);
				assert.deepEqual(sorted(complete(env, 'opsctl', verb, '-')), sorted(options), verb);
			}
			assert.deepEqual(complete(env, 'opsctl', 'run', 'sp'), ['speak']);
			assert.deepEqual(complete(env, 'opsctl', 'run', '-f', 'speak', ''), ['code=']);
			assert.deepEqual(complete(env, 'opsctl', 'cancel', ''), [String(run.number)]);
			assert.deepEqual(complete({ ...env, OPS_AGENT_SOCKET: '/nonexistent' }, 'opsctl', 'show', ''), []);
			const verbs = all(help(AGENT), /^ {2}([a-z]+) /gm).filter((verb) => verb !== 'runner');
			assert.deepEqual(sorted(complete(env, 'ops-agent', '')), sorted([...verbs, '--help', '--version']));
			await client.cancel(run.id);
		} finally {
			rmSync(path, { recursive: true });
			await agent.destroy();
		}
	});
});
