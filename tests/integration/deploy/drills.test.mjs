// What ./dev drill leaves on the machine when it ends, or is ended; the drills themselves want root and Docker.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { groups, left, removeGroups } from '../../drills/leftovers.mjs';

const ENGINE = fileURLToPath(new URL('../../drills/engine.mjs', import.meta.url));

function folder(t) {
	const dir = mkdtempSync(join(tmpdir(), 'ops-drills-'));
	t.after(() => rmSync(dir, { recursive: true, force: true }));
	return dir;
}

test('groups_of_killed_containers_are_removed_and_those_of_others_are_not', (t) => {
	const root = folder(t);
	for (const path of ['memory/docker/before/x', 'docker/before', 'memory/docker/dead/init/inner', 'docker/dead', 'memory/docker/busy/init', 'memory/other/docker'])
		mkdirSync(join(root, path), { recursive: true });
	const before = ['memory/docker/before', 'docker/before'].map((path) => join(root, path));
	assert.deepEqual(before.every((group) => groups(root).includes(group)), true);
	writeFileSync(join(root, 'memory/docker/busy/init/cgroup.procs'), '17\n');
	removeGroups(before, root);
	assert.deepEqual(groups(root).sort(), [...before, join(root, 'memory/docker/busy')].sort());
	assert.ok(existsSync(join(root, 'memory/other/docker')));
});

test('a_process_that_was_left_is_found', async (t) => {
	const dir = folder(t);
	assert.deepEqual(left(dir), []);
	symlinkSync('/usr/bin/tail', join(dir, 'dockerd'));
	const child = spawn(join(dir, 'dockerd'), ['-f', '/dev/null'], { stdio: 'ignore' });
	t.after(() => child.kill('SIGKILL'));
	await new Promise((resolve) => child.once('spawn', resolve));
	assert.deepEqual(left(dir).map((line) => line.replace(/: .*/, '')), [`process ${child.pid}`]);
});

// Also while the drills wait for a command, and listen to nothing.
test('interrupted_drills_end_at_once_with_what_they_started', async (t) => {
	const dir = folder(t);
	const script = join(dir, 'drills.mjs');
	writeFileSync(script, `import { spawnSync } from 'node:child_process';
import { supervised } from '${ENGINE}';
await supervised();
console.log('begun');
spawnSync('sleep', ['1000'], { stdio: 'inherit' });
`);
	const { OPS_DRILL_SUPERVISED, DOCKER_HOST, ...env } = process.env;
	const child = spawn(process.execPath, [script], { env: { ...env, OPS_DRILL_DIR: join(dir, 'state') }, stdio: ['ignore', 'pipe', 'inherit'] });
	let out = '';
	child.stdout.on('data', (d) => {
		if (!out) child.kill('SIGTERM');
		out += d;
	});
	// the pipe is closed when nobody has it open: sleep is not there either
	const code = await new Promise((resolve) => child.on('close', resolve));
	assert.deepEqual([code, out], [143, 'begun\nInterrupted: removing what was started\n']);
});
