// What is said of a run to who listens: between two documents of it.
import test from 'node:test';
import assert from 'node:assert/strict';
import { news } from '../../../ui/src/pages/run/RunHands.tsx';
import { wentWrong } from '../../../ui/src/pages/run/wentWrong.ts';
import type { Run, Step } from '../../../ui/src/api/types.ts';

const step = (index: number, status: Step['status']): Step => ({ index, id: `s${index}`, title: `Step ${index}`, status }) as Step;
const run = (status: Run['status'], steps: Step[], more: Partial<Run> = {}): Run => ({ status, steps, started_us: 1e6, finished_us: 0, ...more }) as Run;

test('a step that goes wrong is told, one that goes well is not', () => {
  const before = run('running', [step(0, 'running'), step(1, 'running'), step(2, 'pending')]);
  assert.deepEqual(news(before, run('running', [step(0, 'failed'), step(1, 'succeeded'), step(2, 'skipped')]), wentWrong), ['Step 0 failed']);
  assert.deepEqual(news(before, before, wentWrong), []);
});

test('the end is told with how long it took, after what went wrong', () => {
  const said = news(run('running', [step(0, 'running')]), run('failed', [step(0, 'timed_out')], { finished_us: 73e6 }), wentWrong);
  assert.deepEqual(said, ['Step 0 timed out', 'The run failed after 1m\u00a012s']);
});

test('steps that come with the first whole document are no news', () => {
  assert.deepEqual(news(run('failed', []), run('failed', [step(0, 'failed')]), wentWrong), []);
});

test('a run that waits says so', () => {
  assert.deepEqual(news(run('running', []), run('waiting', []), wentWrong), ['The run is waiting']);
});
