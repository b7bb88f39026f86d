// Flows: order, failure, finally, outputs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { bad, Run } from './lib.mjs';

const flow = (steps, run = {}) => ({ run: { flow: 1, ...run }, steps });
const chain = (steps) => steps.map((s, i) => (i === 0 || s.needs !== undefined || s.phase ? s : { ...s, needs: i - 1 }));
const statuses = (run) => run.state().steps.map((s) => s.status);

test('runs steps one after the other', async (t) => {
	const run = new Run(t, flow(chain([
		{ id: 'one', argv: bad('say', '1\n') }, { id: 'two', argv: bad('say', '2\n') }, { id: 'three', argv: bad('say', '3\n') }])));
	const end = await run.finish();
	assert.equal(end.status, 'succeeded');
	assert.equal(run.output().toString(), '1\n2\n3\n');
	assert.deepEqual(run.records().filter((r) => r.kind === 1).map((r) => r.step), [0, 1, 2]);
	assert.deepEqual(run.events('step.started').map((e) => e.step_id), ['one', 'two', 'three']);
	const state = run.state();
	for (const [i, record] of run.records().filter((r) => r.event?.event === 'step.started').entries()) assert.equal(state.steps[i].offset, record.offset);
	assert.deepEqual(run.events('run.created')[0].steps.map((s) => s.needs), [[], ['one'], ['two']]);
});

test('a failed step skips the rest, but finally runs', async (t) => {
	const run = new Run(t, flow(chain([
		{ id: 'one', argv: bad('exit', '4') }, { id: 'two', argv: bad('exit') }, { id: 'three', argv: bad('exit') },
		{ id: 'finally.1', phase: 'finally', argv: bad('say', 'clean\n') }, { id: 'finally.2', phase: 'finally', needs: 3, argv: bad('exit') }])));
	const end = await run.finish();
	assert.deepEqual([end.status, end.reason, end.exit_code], ['failed', 'exit', 4]);
	assert.deepEqual(statuses(run), ['failed', 'skipped', 'skipped', 'succeeded', 'succeeded']);
	assert.equal(run.output().toString(), 'clean\n');
	assert.deepEqual(run.events('step.finished').map((e) => e.status), ['failed', 'skipped', 'skipped', 'succeeded', 'succeeded']);
});

test('continue_on_error goes on and the run succeeds', async (t) => {
	const run = new Run(t, flow(chain([{ id: 'one', argv: bad('exit', '4'), continue: 1 }, { id: 'two', argv: bad('exit') }])));
	assert.equal((await run.finish()).status, 'succeeded');
	assert.deepEqual(statuses(run), ['failed', 'succeeded']);
});

test('on_failure runs after a failure only', async (t) => {
	for (const [code, expected] of [['1', 'succeeded'], ['0', 'skipped']]) {
		const run = new Run(t, flow([{ id: 'one', argv: bad('exit', code) }, { id: 'on_failure.1', phase: 'on_failure', argv: bad('exit') }]));
		await run.finish();
		assert.equal(statuses(run)[1], expected);
	}
});

test('passes outputs on, checked again by the input that takes them', async (t) => {
	const run = new Run(t, flow(chain([
		{ id: 'one', argv: bad('outputs', 'path=/x/first', 'path=/x/y z', 'size=12'), raw: [['output', 'path'], ['output', 'size']] },
		{ id: 'two', argv: bad('report'), raw: [['input_output', 'file:string:0:path'], ['arg_input', '0:--file='], ['env_input', 'FILE=0'], ['env_status', 'HOW=0']] }])));
	assert.equal((await run.finish()).status, 'succeeded');
	const started = run.events('step.started')[1];
	assert.equal(started.argv.at(-1), '--file=/x/y z');
	assert.match(run.output().toString(), /^env FILE=\/x\/y z$/m);
	assert.match(run.output().toString(), /^env HOW=succeeded$/m);
	assert.deepEqual(run.events('step.finished')[0].outputs, { path: '/x/y z', size: '12' });
	assert.equal(run.events('run.created')[0].steps[1].argv.at(-1), '--file=${steps.one.outputs.path}');
	assert.ok(fs.statSync(path.join(run.dir, 'outputs')).size > 0);
	assert.deepEqual(fs.readdirSync(run.outputs), []);
});

test('an output that its input refuses fails the step before it starts', async (t) => {
	for (const value of ['-rf', '', 'a;b']) {
		const run = new Run(t, flow(chain([
			{ id: 'one', argv: bad('outputs', `name=${value}`), raw: [['output', 'name']] },
			{ id: 'two', argv: bad('say', 'must not run'), raw: [['input_output', 'name:slug:0:name'], ['arg_input', '0:']] }])));
		const end = await run.finish();
		assert.deepEqual([end.status, end.reason], ['failed', 'spawn_failed']);
		assert.match(run.events('step.finished')[1].message, /input 'name'/);
		assert.equal(run.output().length, 0);
	}
});

test('a missing output fails the step that needs it', async (t) => {
	const run = new Run(t, flow(chain([
		{ id: 'one', argv: bad('exit'), raw: [['output', 'name']] },
		{ id: 'two', argv: bad('exit'), raw: [['input_output', 'name:slug:0:name'], ['arg_input', '0:']] }])));
	assert.equal((await run.finish()).status, 'failed');
	assert.match(run.events('step.finished')[1].message, /step 'one' did not set its output 'name'/);
});

test('takes only declared, clean outputs and says what it did not take', async (t) => {
	const run = new Run(t, { steps: [{ id: 'a', argv: bad('outputs', 'good=1', 'other=2', 'raw:bad=\u0007\n', 'no equals'), raw: [['output', 'good'], ['output', 'bad']] }] });
	assert.equal((await run.finish()).status, 'succeeded');
	const [finished] = run.events('step.finished');
	assert.deepEqual(finished.outputs, { good: '1' });
	assert.match(finished.message, /line 2.*other/);
});

test('reads outputs through its own descriptor, whatever the command puts in its place', async (t) => {
	const run = new Run(t, { steps: [{ id: 'a', argv: bad('swap-output', '/etc/passwd'), raw: [['output', 'root']] }] });
	assert.equal((await run.finish()).status, 'succeeded');
	assert.deepEqual(run.events('step.finished')[0].outputs, {});
});

test('refuses too large an output file', async (t) => {
	const run = new Run(t, { steps: [{ id: 'a', argv: ['/bin/sh', '-c', 'head -c 70000 /dev/zero | tr "\\0" x >> "$OPS_OUTPUT"'], raw: [['output', 'x']] }] });
	await run.finish();
	assert.match(run.events('step.finished')[0].message, /64 KiB/);
});

test('the timeout of the run ends what runs, skips the rest and cleans up', async (t) => {
	const run = new Run(t, flow(chain([
		{ id: 'one', argv: bad('sleep-ms', 60000) }, { id: 'two', argv: bad('exit') },
		{ id: 'finally.1', phase: 'finally', argv: bad('say', 'clean\n') }]), { timeout_ms: 300 }));
	const end = await run.finish();
	assert.deepEqual([end.status, end.reason], ['timed_out', 'timeout']);
	assert.deepEqual(statuses(run), ['timed_out', 'skipped', 'succeeded']);
	assert.equal(run.events('run.timed_out').length, 1);
});

test('a cancel lets finally run, a second one ends that too', async (t) => {
	const run = new Run(t, flow(chain([
		{ id: 'one', argv: bad('on-term', '0') }, { id: 'two', argv: bad('exit') },
		{ id: 'finally.1', phase: 'finally', argv: bad('ignore-term') }, { id: 'finally.2', phase: 'finally', needs: 2, argv: bad('exit') }])));
	await run.hears('ready');
	run.control('cancel');
	await run.until('finally', () => run.output(1, 2).includes('ready'));
	assert.equal(run.state().status, 'running');
	run.control('kill');
	const end = await run.finish();
	assert.deepEqual([end.status, end.reason], ['cancelled', 'cancelled']);
	assert.deepEqual(statuses(run), ['cancelled', 'skipped', 'cancelled', 'skipped']);
	assert.deepEqual(run.events('run.cancel_requested').map((e) => e.kill), [false, true]);
});

test('a cancel while only cleaning up is left changes nothing', async (t) => {
	const run = new Run(t, flow([
		{ id: 'one', argv: bad('exit') },
		{ id: 'finally.1', phase: 'finally', argv: bad('sleep-ms', 500) }]));
	await run.until('finally', () => run.events('step.started').length === 2);
	run.control('cancel');
	const end = await run.finish();
	assert.equal(end.status, 'succeeded');
	assert.deepEqual(statuses(run), ['succeeded', 'succeeded']);
});

test('runs sixty-four steps', async (t) => {
	const run = new Run(t, flow(chain(Array.from({ length: 64 }, (_, i) => ({ id: `s${i}`, argv: bad('exit') })))));
	assert.equal((await run.finish()).status, 'succeeded');
	assert.equal(run.state().steps.length, 64);
});

test('a record of a huge plan is abridged, never lost', async (t) => {
	const steps = chain(Array.from({ length: 60 }, (_, i) => ({ id: `s${i}`, argv: [...bad('exit'), '0', 'x'.repeat(8000)] })));
	const run = new Run(t, flow(steps));
	assert.equal((await run.finish()).status, 'succeeded');
	const [created] = run.events('run.created');
	assert.equal(created.abridged, true);
	assert.equal(created.steps.length, 60);
	assert.equal(created.steps[0].argv, null);
});
