// How often the log is painted, from the frames the browser manages.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Pace } from '../../../ui/src/log/view/pace.ts';

const on = (p: Pace, frames: number, ms = 16.7): number[] => Array.from({ length: frames }, () => (p.frame(ms), p.pause));

test('while frames are on time every one may have a picture', () => {
  assert.ok(on(new Pace(), 200).every((pause) => pause === 0));
  assert.ok(on(new Pace(), 200, 8.3).every((pause) => pause === 0), 'at 120 Hz as well');
});

test('late frames make pictures rarer, to ten a second and no fewer', () => {
  assert.deepEqual(on(new Pace(), 12, 60), [0, 0, 32, 32, 32, 64, 64, 64, 96, 96, 96, 96]);
  assert.equal(on(new Pace(), 90, 900).at(-1), 96, 'however late');
});

test('it comes back step by step when frames are on time again', () => {
  const p = new Pace();
  on(p, 12, 60);
  const back = on(p, 60);
  assert.equal(back[10], 96, 'not after one or two');
  assert.deepEqual([...new Set(back)], [96, 64, 32, 0]);
  assert.equal(back.at(-1), 0);
});

test('a late frame now and then changes nothing', () => {
  const p = new Pace();
  for (let i = 0; i < 100; i++) assert.ok([...on(p, 1, 80), ...on(p, 5)].every((pause) => pause === 0));
});

test('where every second frame is late it stays slow, and does not go to and fro', () => {
  const p = new Pace();
  const pauses: number[] = [];
  for (let i = 0; i < 200; i++) pauses.push(...on(p, 1, 50), ...on(p, 1));
  assert.ok(pauses.slice(40).every((pause) => pause === 96));
  assert.equal(on(p, 60).at(-1), 0, 'until they are not');
});
