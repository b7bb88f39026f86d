// What cgroup v2 makes exact, where there is one, and what is left to do without it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { alive, bad, one, Run, scratch } from './lib.mjs';

// AddressSanitizer's leak checker and strace do not get along.
const noStrace = process.getuid() !== 0 || spawnSync('strace', ['-V']).status !== 0 || (process.env.ASAN_OPTIONS ?? '') !== '';
const sh = (text, ...args) => ['/bin/sh', '-c', text, 'sh', ...args];

// The folder of the run's cgroups, or null.
function folderOf(run) {
	try {
		return fs.readFileSync(path.join(run.dir, 'cgroup'), 'utf8');
	} catch {
		return null;
	}
}

const members = (dir) => fs.readFileSync(path.join(dir, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);

// A process that shook off its session, its parent and its environment.
const hidden = () => fs.readdirSync('/proc').filter((d) => /^\d+$/.test(d)).filter((pid) => {
	try {
		return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('hostile\0daemon\0x\0') && !/\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
	} catch {
		return false;
	}
});

// Step 0 leaves a hidden daemon behind, step 1 lasts until it is told to end.
const beside = (go) => ({ run: { flow: 1 }, steps: [
	{ id: 'daemon', argv: bad('daemon', 'x'), kill_after_ms: 200 },
	{ id: 'beside', argv: sh('while [ ! -e "$1" ]; do sleep 0.02; done; echo good', go) }] });

test('a hidden daemon is ended with its step, while another step goes on', async (t) => {
	const dir = scratch(t), go = path.join(dir, 'go');
	const run = new Run(t, beside(go), { dir });
	await run.until('the start', () => run.events('step.started').length === 2);
	if (folderOf(run) === null) {
		fs.writeFileSync(go, '');
		await run.finish();
		t.skip('no cgroup v2 that can be used');
		return;
	}
	await run.until('the end of the first', () => run.events('step.finished').length === 1);
	assert.equal(hidden().length, 0);
	const [killed] = run.events('children.killed');
	assert.deepEqual([killed.step_id, killed.count, killed.names, killed.left], ['daemon', 1, ['hostile'], 0]);
	fs.writeFileSync(go, '');
	assert.equal((await run.finish()).status, 'succeeded');
	assert.equal(run.output(1, 1).toString(), 'good\n');
	assert.ok(!fs.existsSync(folderOf(run)));
});

test('without cgroups it is ended with the last step', async (t) => {
	const dir = scratch(t), go = path.join(dir, 'go');
	const run = new Run(t, beside(go), { dir, env: { OPS_CGROUP: 'off' } });
	await run.until('the end of the first', () => run.events('step.finished').length === 1);
	assert.equal(folderOf(run), null);
	fs.writeFileSync(go, '');
	assert.equal((await run.finish()).status, 'succeeded');
	assert.equal(hidden().length, 0);
});

// Sandboxes forbid it, and kernels before 5.7 do not know its flag: then the child moves by itself.
for (const error of ['ENOSYS', 'EPERM', 'E2BIG']) {
	test(`a command is in its cgroup also where clone3 says ${error}`, { skip: noStrace }, async (t) => {
		const dir = scratch(t), go = path.join(dir, 'go'), trace = path.join(dir, 'strace.txt');
		const run = new Run(t, one(sh('echo started; while [ ! -e "$1" ]; do sleep 0.02; done', go)),
			{ dir, wrap: ['strace', '-f', '-o', trace, '-e', 'trace=clone3', '-e', `inject=clone3:error=${error}`] });
		await run.until('some output', () => run.output().length > 0);
		const folder = folderOf(run), { pid } = run.state().steps[0];
		const where = folder === null ? null : members(path.join(folder, 'step-0.1'));
		fs.writeFileSync(go, '');
		assert.equal((await run.finish()).status, 'succeeded');
		if (where === null) {
			t.skip('no cgroup v2 that can be used');
			return;
		}
		assert.ok(where.includes(pid));
		assert.match(fs.readFileSync(trace, 'utf8'), new RegExp(`clone3\\(\\{flags=CLONE_INTO_CGROUP.*${error}`));
	});
}

for (const env of [{}, { OPS_CGROUP: 'off' }]) {
	const how = env.OPS_CGROUP ? 'without cgroups' : 'as it comes';
	test(`P6: what a cancelled step started is gone, ${how}`, async (t) => {
		for (const argv of [bad('bomb', 200), bad('tree'), sh('"$1" daemon x; trap "" TERM; while :; do sleep 1; done', bad()[0])]) {
			const run = new Run(t, one(argv, { kill_after_ms: 200 }), { env });
			await run.until('some output', () => run.output().length > 0);
			run.control('cancel');
			assert.equal((await run.finish()).status, 'cancelled');
			assert.deepEqual(alive(run.runId()), []);
			assert.equal(hidden().length, 0);
			assert.equal(run.events('children.killed').reduce((n, e) => n + e.left, 0), 0);
		}
	});
}

test('limits are kept by the cgroup, or as far as they can be by rlimits', async (t) => {
	const run = new Run(t, one(['/bin/bash', '-c', 'ulimit -v; ulimit -u'], { memory: 64 << 20, pids: 77, cpu: 50 }), {});
	assert.equal((await run.finish()).status, 'succeeded');
	const [memory, pids] = run.output().toString().split('\n');
	const kept = fs.existsSync(path.join(run.dir, 'cgroup')) && fs.existsSync('/sys/fs/cgroup/cgroup.controllers');
	if (!kept) assert.deepEqual([memory, pids], ['65536', '77']);
	const big = new Run(t, one(['/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=256M', 'count=1'], { memory: 64 << 20 }));
	assert.equal((await big.finish()).status, 'failed');
	assert.equal(big.state().steps[0].reason, kept && big.state().steps[0].signal ? 'oom' : 'exit');
});

test('in a unit of its own the runner stands beside its attempts', async (t) => {
	const id = '01a20aa3-3d80-7000-8000-0000000000c6';
	const mount = fs.readFileSync('/proc/self/mountinfo', 'latin1').split('\n').find((l) => l.includes(' - cgroup2 '))?.split(' ')[4];
	const own = fs.readFileSync('/proc/self/cgroup', 'utf8').split('\n').find((l) => l.startsWith('0::'))?.slice(3);
	const unit = path.join(mount ?? '/nowhere', own ?? '', `ops-run-${id}.service`);
	try {
		fs.mkdirSync(unit);
	} catch (e) {
		t.skip(`no cgroup v2 that can be used: ${e.code}`);
		return;
	}
	t.after(() => {
		for (const name of fs.readdirSync(unit, { withFileTypes: true })) if (name.isDirectory()) fs.rmdirSync(path.join(unit, name.name));
		fs.rmdirSync(unit);
	});
	const dir = scratch(t), go = path.join(dir, 'go');
	const run = new Run(t, { run: { id }, steps: [{ id: 'a', argv: sh('while [ ! -e "$1" ]; do sleep 0.02; done', go) }] },
		{ dir, wrap: ['/bin/sh', '-c', `echo $$ > ${unit}/cgroup.procs; exec "$@"`, 'sh'] });
	// The child is born beside the runner, and moves.
	await run.until('both in their places', () => members(path.join(unit, 'runner')).join() === String(run.pid) &&
		members(path.join(unit, 'step-0.1')).includes(run.state().steps[0].pid));
	assert.equal(folderOf(run), unit);
	fs.writeFileSync(go, '');
	assert.equal((await run.finish()).status, 'succeeded');
	assert.deepEqual(fs.readdirSync(unit, { withFileTypes: true }).filter((d) => d.isDirectory()).map((d) => d.name), ['runner']);
});
