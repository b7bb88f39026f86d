// What is said of a run to who listens: between two documents of it.
import test from 'node:test';
import assert from 'node:assert/strict';
import { news } from '../../../ui/src/pages/run/RunHands.tsx';
import type { Run, Step } from '../../../ui/src/api/types.ts';

const step = (index: number, status: Step['status']): Step => ({ index, id: `s${index}`, title: `Step ${index}`, status }) as Step;
const run = (status: Run['status'], steps: Step[], more: Partial<Run> = {}): Run => ({ status, steps, started_us: 1e6, finished_us: 0, ...more }) as Run;

test('a step that goes wrong is told, one that goes well is not', () => {
  const before = run('running', [step(0, 'running'), step(1, 'running'), step(2, 'pending')]);
  assert.deepEqual(news(before, run('running', [step(0, 'failed'), step(1, 'succeeded'), step(2, 'skipped')])), ['Step 0 failed']);
  assert.deepEqual(news(before, before), []);
});

test('the end is told with how long it took, after what went wrong', () => {
  const said = news(run('running', [step(0, 'running')]), run('failed', [step(0, 'timed_out')], { finished_us: 73e6 }));
  assert.deepEqual(said, ['Step 0 timed out', 'The run failed after 1m\u00a012s']);
});

test('steps that come with the first whole document are no news', () => {
  assert.deepEqual(news(run('failed', []), run('failed', [step(0, 'failed')])), []);
});

test('who asked a run to end is told, once', () => {
  const asked = { actor: 'user:anna', time_us: 5, kill: false };
  const [before, after] = [run('running', [], { cancel: null }), run('running', [], { cancel: asked })];
  assert.deepEqual(news(before, after), ['Cancelled by anna']);
  assert.deepEqual(news(after, run('running', [], { cancel: { ...asked, kill: true } })), []);
});

test('a run that waits says so', () => {
  assert.deepEqual(news(run('running', []), run('waiting', [])), ['The run is waiting']);
});
