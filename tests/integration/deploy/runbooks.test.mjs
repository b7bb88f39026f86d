// The form of the runbooks, which ./dev drill executes: their parts, and commands that a shell understands.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { blocks, missingLine } from '../../drills/blocks.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PARTS = ['Symptoms', 'Be sure', 'Fix', 'Check', 'Prevention'];
const books = readdirSync(join(ROOT, 'runbooks')).filter((f) => f.endsWith('.md') && f !== 'README.md');

test('every_procedure_has_the_five_parts_in_order', () => {
	for (const book of books) {
		const titles = readFileSync(join(ROOT, 'runbooks', book), 'utf8').replace(/^```[^]*?^```/gm, '').match(/^#+ .*$/gm)
			.map((t) => t.replace(/^#+ /, ''));
		const parts = titles.filter((t) => PARTS.includes(t));
		assert.ok(parts.length >= 5, book);
		assert.deepEqual(parts, Array.from({ length: parts.length }, (_, i) => PARTS[i % 5]), book);
	}
});

test('every_block_is_shell_and_every_procedure_can_be_checked', () => {
	for (const file of [...books.map((b) => join('runbooks', b)), 'README.md']) {
		const all = blocks(join(ROOT, file));
		for (const block of all) {
			const r = spawnSync('bash', ['-n'], { input: block.sh, encoding: 'utf8' });
			assert.equal(r.status, 0, `${file}:${block.line}: ${r.stderr}`);
		}
		if (file === 'README.md') continue;
		// the procedures of a file: what stands above 'Check'
		for (const of of new Set(all.map((b) => b.heading.slice(0, -1).join(' / '))))
			assert.ok(all.some((b) => b.heading.slice(0, -1).join(' / ') === of && b.heading.at(-1) === 'Check'), `${file}: ${of} has no check`);
	}
});

test('the_installation_is_four_steps_and_the_rotation_three_commands', () => {
	assert.equal(blocks(join(ROOT, 'README.md'), 'Install it').length, 4);
	assert.equal(blocks(join(ROOT, 'README.md'), 'A new agent secret')[0].sh.trim().split('\n').length, 3);
});

test('a_new_secret_gets_into_the_settings_in_place', (t) => {
	const dir = mkdtempSync(join(tmpdir(), 'ops-env-'));
	t.after(() => rmSync(dir, { recursive: true }));
	const before = 'AUTH_USER=admin\nOPS_AGENT_SECRET=old\nAUTH_PASSWORD_HASH=$y$j9T$a\\b%s$c\n';
	for (const [file, heading] of [['README.md', 'A new agent secret'], ['runbooks/secret-rotation.md', 'The agent\'s secret']]) {
		const block = blocks(join(ROOT, file), heading).find((b) => b.sh.includes('rotate-secret'));
		const line = block.sh.split('\n').find((l) => l.includes('ops-dashboard.env'));
		writeFileSync(join(dir, 'env'), before, { mode: 0o640 });
		writeFileSync(join(dir, 'secret'), 'new\n');
		const { ino } = statSync(join(dir, 'env'));
		const r = spawnSync('bash', ['-ec', line.replaceAll('/srv/ops/ops-dashboard.env', join(dir, 'env')).replaceAll('/etc/ops-agent/secret', join(dir, 'secret'))]);
		assert.equal(r.status, 0, `${file}: ${r.stderr}`);
		assert.equal(readFileSync(join(dir, 'env'), 'utf8'), before.replace('OPS_AGENT_SECRET=old\n', '') + 'OPS_AGENT_SECRET=new\n');
		assert.equal(statSync(join(dir, 'env')).ino, ino, 'it is mounted into the container as this file');
		assert.equal(statSync(join(dir, 'env')).mode & 0o777, 0o640);
	}
});

// The blocks that `.follow(FILE, HEADING, { part, steps })` in the drills' source executes; every call must be written so
// that it can be read here. A file that is not there executes nothing.
function followed(source) {
	const calls = [...source.matchAll(/\.follow\('([^']+)'(?:, '((?:[^'\\]|\\.)+)')?(?:, (\{.*\}))?\);/g)];
	assert.equal(calls.length, source.match(/\.follow\(/g).length, 'a call of follow() that is not of one line, or not of plain words');
	return calls.flatMap(([, file, heading, options = '']) => {
		const part = options.match(/\bpart: '([^']+)'/)?.[1];
		if (!existsSync(join(ROOT, file))) return [];
		const [from, to] = JSON.parse(options.match(/\bsteps: (\[[^\]]*\])/)?.[1] ?? '[]');
		const found = blocks(join(ROOT, file), heading?.replaceAll("\\'", "'")).filter((b) => !part || b.heading.at(-1) === part).slice(from, to);
		assert.ok(found.length > 0, `${file} has nothing to execute below ${heading}, ${part}`);
		return found.map((b) => `${file}:${b.line}`);
	});
}

test('every_block_is_executed_by_a_drill', () => {
	const done = new Set(['scenes', 'second-host'].flatMap((name) => followed(readFileSync(join(ROOT, `tests/drills/${name}.mjs`), 'utf8'))));
	const missing = ['README.md', ...books.map((b) => `runbooks/${b}`)].flatMap((file) => blocks(join(ROOT, file)).map((b) => `${file}:${b.line}`))
		.filter((at) => !done.has(at));
	assert.deepEqual(missing, []);
});

// A block of another name, or an indented one, would be typed by a person and by no drill.
test('commands_stand_in_blocks_that_are_executed', () => {
	for (const book of books) {
		const text = readFileSync(join(ROOT, 'runbooks', book), 'utf8');
		for (const fence of text.match(/^ *```.*$/gm) ?? []) assert.match(fence, /^ *```(sh|output|)$/, `${book}: ${fence}`);
		assert.doesNotMatch(text.replace(/^ *```[^]*?^ *```$/gm, ''), /^(?: {4}|\t)\S/m, `${book}: an indented block`);
	}
	assert.doesNotMatch(readFileSync(join(ROOT, 'README.md'), 'utf8'), /^ *```(bash|shell|console)/m);
});

test('the_index_names_every_runbook', () => {
	const index = readFileSync(join(ROOT, 'runbooks/README.md'), 'utf8');
	for (const book of books) assert.ok(index.includes(`](${book})`), book);
});

test('finds_blocks_by_heading_with_their_output', (t) => {
	const dir = mkdtempSync(join(tmpdir(), 'ops-blocks-'));
	t.after(() => rmSync(dir, { recursive: true }));
	writeFileSync(join(dir, 'a.md'), '# A\n## B\n1. x\n\n   ```sh\n   one\n     two\n   ```\n\n```output\nx … y\n```\n## C\n```sh\nthree\n```\n');
	assert.deepEqual(blocks(join(dir, 'a.md'), 'B').map((b) => [b.sh, b.output, b.line]), [['one\n  two', ['x … y'], 5]]);
	assert.equal(blocks(join(dir, 'a.md'), 'C')[0].sh, 'three');
	assert.equal(blocks(join(dir, 'a.md'), 'A').length, 2);
	writeFileSync(join(dir, 'b.md'), '```sh\nnever ends\n');
	assert.throws(() => blocks(join(dir, 'b.md')), /does not end/);
});

test('expected_lines_come_in_order', () => {
	assert.equal(missingLine(['a', 'b … d'], 'a\nx\nb c d\n'), undefined);
	assert.equal(missingLine(['b … d', 'a'], 'a\nb c d\n'), 'a');
	assert.equal(missingLine(['a.c'], 'abc'), 'a.c', 'dots are dots');
	assert.equal(missingLine(['a'], 'ab'), 'a', 'whole lines');
});
