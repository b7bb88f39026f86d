// How often the log is painted, from the frames the browser manages.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Pace } from '../../../ui/src/log/pace.ts';

const on = (p: Pace, frames: number, ms = 16.7): number[] => Array.from({ length: frames }, () => (p.frame(ms), p.pause));

test('while frames are on time every one may have a picture', () => {
  assert.ok(on(new Pace(), 200).every((pause) => pause === 0));
  assert.ok(on(new Pace(), 200, 8.3).every((pause) => pause === 0), 'at 120 Hz as well');
});

test('each late frame makes pictures rarer, to ten a second and no fewer', () => {
  assert.deepEqual(on(new Pace(), 5, 60), [32, 64, 96, 96, 96]);
  assert.deepEqual(on(new Pace(), 4, 900), [32, 64, 96, 96], 'however late');
});

test('it comes back step by step when frames are on time again', () => {
  const p = new Pace();
  on(p, 5, 60);
  const back = on(p, 60);
  assert.equal(back[10], 96, 'not after one or two');
  assert.deepEqual([...new Set(back)], [96, 48, 24, 0]);
  assert.equal(back.at(-1), 0);
});

test('one late frame among many costs a few pictures, not the rate', () => {
  const p = new Pace();
  on(p, 50);
  p.frame(40);
  assert.equal(p.pause, 32);
  assert.equal(on(p, 12).at(-1), 0);
});

test('a machine that is late now and then settles between', () => {
  const p = new Pace();
  const pauses: number[] = [];
  for (let i = 0; i < 40; i++) pauses.push(...on(p, 1, 50), ...on(p, 5));
  assert.ok(pauses.slice(30).every((pause) => pause === 96), 'one in six is too many');
  assert.equal(on(p, 40).at(-1), 0);
});
