// The JSON Schemas for editors: what the loader takes they take, and a mistake it refuses for its
// form they refuse as well. (That they know the same keys is tests/unit/test_schema.c.)
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import { AGENT, BUILD_DIR } from '../lib/agent.mjs';

const root = new URL('../../../', import.meta.url);
const examples = fileURLToPath(new URL('deploy/ops-agent/examples/', root));
const ajv = new Ajv({ allErrors: true, strict: true, strictRequired: false, strictTypes: false, allowUnionTypes: true });
const schemas = Object.fromEntries(['commands', 'flow', 'status'].map((name) => [
	name, ajv.compile(JSON.parse(readFileSync(new URL(`agent/config/schema/${name}.schema.json`, root), 'utf8'))),
]));
const dir = mkdtempSync(join(tmpdir(), 'ops-schema-'));
after(() => rmSync(dir, { recursive: true }));

const parse = (file) => JSON.parse(execFileSync(join(BUILD_DIR, 'tests/tools/yaml-json'), [file], { encoding: 'utf8' }));
const errorsOf = (schema, file) => (schemas[schema](parse(file)) ? [] : schemas[schema].errors.map((e) => `${e.instancePath} ${e.message}`));

// What `ops-agent check` says of a set with this commands.yml and perhaps one flow.
let sets = 0;
const set = (commands, flow) => {
	const at = join(dir, String(sets++));
	mkdirSync(join(at, 'flows'), { recursive: true });
	writeFileSync(join(at, 'commands.yml'), commands);
	if (flow) writeFileSync(join(at, 'flows', 'f.yml'), flow);
	const run = spawnSync(AGENT, ['check', at], { encoding: 'utf8', env: { ...process.env, OPS_AGENT_USER: 'root', OPS_AGENT_RUN_USER: 'root' } });
	return { at, status: run.status, stderr: run.stderr };
};
const HEAD = 'version: 1\ncommands:\n  a:\n    title: T\n    exec: [/bin/true]\n';
const FLOW = 'version: 1\nid: f\ntitle: F\nsteps:\n';

describe('the schemas for editors', () => {
	const files = ['commands.yml', 'status.yml', ...readdirSync(join(examples, 'flows')).filter((f) => f.endsWith('.yml') || f.endsWith('.example')).map((f) => `flows/${f}`)];

	for (const file of files) {
		it(`take the example ${file}`, () => {
			const schema = file.startsWith('flows/') ? 'flow' : file.replace('.yml', '');
			assert.deepEqual(errorsOf(schema, join(examples, file)), []);
		});
	}

	it('take what the loader takes', () => {
		const good = [
			`${HEAD}    timeout: 0\n    kill_after: 1m30s\n    max_output: 0\n    success_codes: [0, 3]\n    env: { A: 1, B: true }\n    stdin: hello\n`,
			`${HEAD}    inputs: { s: { type: string, default: 5 }, d: { type: duration, min: 1s, max: 1h, default: 5m }, e: { type: enum, values: [1, yes], default: 1 } }\n`,
			`${HEAD}    inputs: { p: { type: path, under: /srv, required: true }, u: { type: url, schemes: [https], required: true } }\n`,
			`version: 1\ndefaults: { timeout: 0, user: root }\ncommands: { b.c: { title: T, exec: [/bin/true, 5, true], outputs: [x] } }\n`,
		];
		for (const text of good) {
			const { at, status, stderr } = set(text);
			assert.equal(status, 0, stderr);
			assert.deepEqual(errorsOf('commands', join(at, 'commands.yml')), [], text);
		}
		const flow = `${FLOW}  - { id: x, uses: a, continue_on_error: true, needs: [] }\nfinally: [{ uses: a }]\n`;
		const { at, status, stderr } = set(HEAD, flow);
		assert.equal(status, 0, stderr);
		assert.deepEqual(errorsOf('flow', join(at, 'flows/f.yml')), []);
	});

	it('refuse what the loader refuses for its form', () => {
		const bad = [
			`${HEAD}    timout: 5m\n`, `${HEAD}    timeout: 5 m\n`, `${HEAD}    timeout: 5\n`, `${HEAD}    confirm: maybe\n`, `${HEAD}    danger: medium\n`,
			`${HEAD}    max_output: 5MB\n`, `${HEAD}    cwd: srv\n`, `${HEAD}    success_codes: [256]\n`, `${HEAD}    outputs: [A b]\n`,
			`${HEAD}    inputs: { x: { type: strin, required: true } }\n`, `${HEAD}    inputs: { x: { type: slug } }\n`,
			`${HEAD}    inputs: { x: { type: slug, required: false } }\n`,
			`${HEAD}    inputs: { x: { type: path, required: true } }\n`, `${HEAD}    inputs: { x: { type: enum, required: true } }\n`,
			`${HEAD}    inputs: { X: { type: slug, required: true } }\n`, `${HEAD}    env: { 1A: x }\n`, 'version: 2\ncommands: { a: { title: T, exec: [/bin/true] } }\n',
			'version: 1\ncommands: {}\n', 'version: 1\ncommands: { a: { title: T, exec: [] } }\n', 'version: 1\ncommands: { a: { exec: [/bin/true] } }\n',
			'version: 1\ncommands: { A: { title: T, exec: [/bin/true] } }\n', 'version: 1\ncommands: { a: { title: T, exec: /bin/true } }\n',
		];
		for (const text of bad) {
			const { at, status } = set(text);
			assert.equal(status, 78, text);
			assert.notDeepEqual(errorsOf('commands', join(at, 'commands.yml')), [], text);
		}
		for (const steps of ['  - { id: x }\n', '  - { id: x, uses: a, run: ls }\n', '  - { id: x.y, uses: a }\n', '  - { uses: a }\n',
			'  - { id: x, uses: a, approve: { prompt: p } }\n', '  - { id: x, uses: a, retry: {} }\n', '  - { id: x, approve: { prompt: p, on_timeout: maybe } }\n']) {
			const { at, status } = set(HEAD, FLOW + steps);
			assert.equal(status, 78, steps);
			assert.notDeepEqual(errorsOf('flow', join(at, 'flows/f.yml')), [], steps);
		}
	});
});
