// Flows as graphs: steps in parallel, conditions, retries, approvals.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { alive, bad, Run, scratch } from './lib.mjs';

const flow = (steps, run = {}) => ({ run: { flow: 1, ...run }, steps });
const statuses = (run) => run.state().steps.map((s) => s.status);
const sh = (text, ...args) => ['/bin/sh', '-c', text, 'sh', ...args];
const finished = (run, id) => run.events('step.finished').filter((e) => e.step_id === id);

// Fails with the codes given, one an attempt, then succeeds. Leaves a line an attempt in `file`.
const failing = (file, ...codes) => sh('echo $$ >> "$1"; n=$(wc -l < "$1"); shift $n; exit ${1:-0}', file, ...codes.map(String));

test('the branches of a diamond run at the same time', async (t) => {
	const dir = scratch(t);
	const meet = (mine, other) => sh('touch "$1"; while [ ! -e "$2" ]; do sleep 0.01; done; echo met', path.join(dir, mine), path.join(dir, other));
	const run = new Run(t, flow([
		{ id: 'top', argv: bad('exit') },
		{ id: 'left', needs: 0, argv: meet('l', 'r') }, { id: 'right', needs: 0, argv: meet('r', 'l') },
		{ id: 'join', needs: '1,2', argv: bad('say', 'joined\n') }]), { dir });
	assert.equal((await run.finish()).status, 'succeeded');
	assert.equal(run.output(1, 1).toString(), 'met\n');
	assert.equal(run.output(1, 2).toString(), 'met\n');
	const names = run.events().map((e) => `${e.event} ${e.step_id}`);
	assert.ok(names.indexOf('step.started join') > Math.max(names.indexOf('step.finished left'), names.indexOf('step.finished right')));
});

test('sixteen of twenty independent steps run at once', async (t) => {
	const dir = scratch(t);
	const steps = Array.from({ length: 20 }, (_, i) => ({ id: `s${i}`, argv: sh('touch "$1/in.$2"; while [ ! -e "$1/go" ]; do sleep 0.02; done', dir, i) }));
	const run = new Run(t, flow(steps), { dir });
	await run.until('sixteen', () => run.events('step.started').length === 16);
	await new Promise((r) => setTimeout(r, 200));
	assert.equal(run.events('step.started').length, 16);
	fs.writeFileSync(path.join(dir, 'go'), '');
	assert.equal((await run.finish()).status, 'succeeded');
	assert.equal(run.events('step.started').length, 20);
});

test('the end of a step leaves alone what its neighbour detached', async (t) => {
	const dir = scratch(t);
	// A helper in a session of its own, its parent gone: a child of the runner by now.
	const left = sh('setsid sh -c "sleep 1; echo done > \\"$1\\"" x "$1" > /dev/null 2>&1 & while [ ! -e "$1" ]; do sleep 0.05; done', path.join(dir, 'helped'));
	const run = new Run(t, flow([{ id: 'left', argv: left }, { id: 'right', argv: sh('sleep 0.2; (setsid sleep 60 > /dev/null 2>&1 &)'), kill_after_ms: 200 }]), { dir });
	assert.equal((await run.finish()).status, 'succeeded');
	assert.deepEqual(run.events('children.killed').map((e) => [e.step_id, e.names]), [['right', ['sleep']]]);
	assert.deepEqual(alive(run.runId()), []);
});

test('a step that times out is ended whole while its neighbour goes on', async (t) => {
	const run = new Run(t, flow([
		{ id: 'slow', argv: bad('tree'), timeout_ms: 300, kill_after_ms: 200 },
		{ id: 'good', argv: sh('sleep 1.5; echo good') }]));
	const end = await run.finish();
	assert.equal(end.status, 'timed_out');
	assert.deepEqual(statuses(run), ['timed_out', 'succeeded']);
	assert.equal(run.output(1, 1).toString(), 'good\n');
	assert.deepEqual(alive(run.runId()), []);
});

test('what a step was allowed to leave outlives the steps after it', async (t) => {
	const run = new Run(t, flow([
		{ id: 'one', leave: 1, argv: sh('setsid sleep 30 > /dev/null 2>&1 &') },
		{ id: 'two', needs: 0, argv: sh('(sleep 30 > /dev/null 2>&1 &)'), kill_after_ms: 200 }]));
	assert.equal((await run.finish()).status, 'succeeded');
	const left = alive(run.runId());
	for (const pid of left) process.kill(pid, 'SIGKILL');
	assert.equal(left.length, 1);
	assert.deepEqual(run.events('children.killed').map((e) => e.step_id), ['two']);
});

test('failure() and always() run what a failure would skip', async (t) => {
	const run = new Run(t, flow([
		{ id: 'one', argv: bad('exit', '3') }, { id: 'two', needs: 0, argv: bad('exit') },
		{ id: 'mend', needs: 1, if: 'failure()', argv: bad('say', 'mend\n') },
		{ id: 'all', needs: 1, if: "always() && steps.one.status == 'failed'", argv: bad('say', 'all\n') },
		{ id: 'fine', needs: 0, if: '!failure()', argv: bad('say', 'no\n') }]));
	const end = await run.finish();
	assert.deepEqual([end.status, end.exit_code], ['failed', 3]);
	assert.deepEqual(statuses(run), ['failed', 'skipped', 'succeeded', 'succeeded', 'skipped']);
});

test('a cancel runs what asks for it, then finally', async (t) => {
	const run = new Run(t, flow([
		{ id: 'one', argv: bad('on-term', '0') }, { id: 'two', needs: 0, argv: bad('exit') },
		{ id: 'tidy', needs: 0, if: 'cancelled()', argv: bad('say', 'tidy\n') },
		{ id: 'on_failure.1', phase: 'on_failure', argv: bad('say', 'no\n') },
		{ id: 'finally.1', phase: 'finally', argv: bad('say', 'clean\n') }]));
	await run.hears('ready');
	run.control('cancel');
	const end = await run.finish();
	assert.deepEqual([end.status, end.reason], ['cancelled', 'cancelled']);
	assert.deepEqual(statuses(run), ['cancelled', 'skipped', 'succeeded', 'skipped', 'succeeded']);
});

test('the timeout of the run leads to on_failure', async (t) => {
	const run = new Run(t, flow([
		{ id: 'one', argv: bad('sleep-ms', 60000) }, { id: 'on_failure.1', phase: 'on_failure', argv: bad('say', 'told\n') },
		{ id: 'finally.1', phase: 'finally', argv: bad('say', 'clean\n') }], { timeout_ms: 200 }));
	assert.equal((await run.finish()).status, 'timed_out');
	assert.equal(run.output().toString(), 'told\nclean\n');
});

test('a second SIGTERM ends cleaning up, too', async (t) => {
	const run = new Run(t, flow([
		{ id: 'one', argv: bad('exit') }, { id: 'finally.1', phase: 'finally', argv: bad('ignore-term'), kill_after_ms: 60000 }]));
	await run.hears('ready');
	process.kill(run.pid, 'SIGTERM');
	await run.until('the first', () => run.events('run.cancel_requested').length === 1);
	process.kill(run.pid, 'SIGTERM');
	assert.equal((await run.finish()).reason, 'host_restarted');
	assert.deepEqual(run.events('run.cancel_requested').map((e) => e.kill), [false, true]);
});

test('retries until it succeeds, the delay growing', async (t) => {
	const dir = scratch(t), file = path.join(dir, 'count');
	const run = new Run(t, flow([
		{ id: 'one', argv: failing(file, 7, 8), retry: 3, delay_ms: 20, backoff: 3 },
		{ id: 'two', needs: 0, argv: bad('exit') }]), { dir });
	assert.equal((await run.finish()).status, 'succeeded');
	assert.equal(fs.readFileSync(file, 'utf8').split('\n').length - 1, 3);
	assert.deepEqual(run.events('step.started').filter((e) => e.step_id === 'one').map((e) => e.attempt), [1, 2, 3]);
	assert.deepEqual(finished(run, 'one').map((e) => [e.attempt, e.status, e.exit_code]), [[1, 'failed', 7], [2, 'failed', 8], [3, 'succeeded', 0]]);
	assert.deepEqual(run.events('step.retrying').map((e) => [e.attempt, e.delay_us, e.reason]), [[1, 20000, 'exit'], [2, 60000, 'exit']]);
	const [one] = run.state().steps;
	assert.deepEqual([one.attempt, one.status, one.exitCode], [3, 'succeeded', 0]);
	assert.equal(one.offset, run.records().find((r) => r.event?.event === 'step.started').offset);
});

test('gives up after the limit, and at once after a code that is not listed', async (t) => {
	const dir = scratch(t);
	const run = new Run(t, flow([
		{ id: 'limit', argv: failing(path.join(dir, 'a'), 1, 1, 1, 1), retry: 2 },
		{ id: 'code', argv: failing(path.join(dir, 'b'), 75, 3), retry: 5, retry_codes: '75,76' },
		{ id: 'time', argv: bad('sleep-ms', 60000), timeout_ms: 50, retry: 1 },
		{ id: 'gone', argv: ['/nowhere/at/all'], retry: 1 }]), { dir });
	assert.equal((await run.finish()).status, 'failed');
	assert.deepEqual(run.state().steps.map((s) => [s.attempt, s.status, s.exitCode]), [[3, 'failed', 1], [2, 'failed', 3], [2, 'timed_out', null], [2, 'failed', 127]]);
});

test('a cancel ends the pause before another attempt', async (t) => {
	const run = new Run(t, flow([{ id: 'one', argv: bad('exit', '1'), retry: 5, delay_ms: 3600000 },
		{ id: 'finally.1', phase: 'finally', argv: bad('say', 'clean\n') }]));
	await run.until('retrying', () => statuses(run)[0] === 'retrying');
	assert.equal(run.state().status, 'running');
	run.control('cancel');
	const end = await run.finish();
	assert.equal(end.status, 'cancelled');
	assert.deepEqual(statuses(run), ['cancelled', 'succeeded']);
	assert.deepEqual(finished(run, 'one').map((e) => e.status), ['failed', 'cancelled']);
});

const gated = (approve, run) => flow([{ id: 'one', argv: bad('exit') }, { id: 'gate', needs: 0, approve: 'Really?', ...approve },
	{ id: 'two', needs: 1, argv: bad('say', 'two\n') }, { id: 'finally.1', phase: 'finally', argv: bad('exit') }], run);

test('waits for an approval and goes on', async (t) => {
	const run = new Run(t, gated({ approve_ms: 3600000 }, { timeout_ms: 500 }));
	await run.until('waiting', () => run.state().status === 'waiting');
	assert.deepEqual(statuses(run), ['succeeded', 'waiting', 'pending', 'pending']);
	assert.deepEqual(run.events('step.waiting'), [{ event: 'step.waiting', step_id: 'gate', prompt: 'Really?', timeout_us: 3600000000, on_timeout: 'reject' }]);
	await new Promise((r) => setTimeout(r, 700)); // longer than the flow's timeout, which stands still
	run.control('approve.1', 'user:admin\nlooks good\nyes\n');
	const end = await run.finish();
	assert.equal(end.status, 'succeeded');
	assert.deepEqual(run.events('step.approved'), [{ event: 'step.approved', step_id: 'gate', approve: true, actor: 'user:admin', comment: 'looks good' }]);
	assert.equal(run.output().toString(), 'two\n');
});

test('a refusal fails the step and skips the rest', async (t) => {
	const run = new Run(t, gated({}));
	await run.until('waiting', () => run.state().status === 'waiting');
	assert.equal(run.events('step.waiting')[0].timeout_us, null);
	run.control('approve.1', 'user:admin\n\nno\n');
	const end = await run.finish();
	assert.deepEqual([end.status, end.reason], ['failed', 'rejected']);
	assert.deepEqual(statuses(run), ['succeeded', 'failed', 'skipped', 'succeeded']);
});

test('nobody has to be there for an approval to expire, and then it is closed', async (t) => {
	for (const yes of [false, true]) {
		const run = new Run(t, gated({ approve_ms: 100, ...(yes ? { approve_yes: 1 } : {}) }));
		const end = await run.finish();
		assert.deepEqual([end.status, end.reason], yes ? ['succeeded', 'exit'] : ['failed', 'rejected']);
		assert.equal(run.events('step.timed_out')[0].timeout_us, 100000);
		assert.match(finished(run, 'gate')[0].message, /nobody answered/);
		assert.match(fs.readFileSync(path.join(run.dir, 'control/approve.1'), 'utf8'), yes ? /\nyes\n$/ : /\nno\n$/);
	}
});

test('nobody is asked any more once the run was stopped', async (t) => {
	const run = new Run(t, flow([{ id: 'one', argv: bad('on-term', '0') }, { id: 'gate', needs: 0, if: 'always()', approve: 'Really?' },
		{ id: 'tidy', needs: 1, if: 'always()', argv: bad('say', 'tidy\n') }]));
	await run.hears('ready');
	run.control('cancel');
	assert.equal((await run.finish()).status, 'cancelled');
	assert.deepEqual(statuses(run), ['cancelled', 'skipped', 'succeeded']);
	assert.equal(run.events('step.waiting').length, 0);
});

test('a cancel ends an approval, and other steps go on beside one', async (t) => {
	const run = new Run(t, flow([{ id: 'gate', approve: 'Really?' }, { id: 'beside', argv: bad('on-term', '0') }]));
	await run.hears('ready');
	assert.equal(run.state().status, 'running');
	run.control('cancel');
	assert.equal((await run.finish()).status, 'cancelled');
	assert.deepEqual(statuses(run), ['cancelled', 'cancelled']);
});
