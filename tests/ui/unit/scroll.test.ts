import test from 'node:test';
import assert from 'node:assert/strict';
import { ScrollMap } from '../../../ui/src/log/view/scroll.ts';
import { following, next, pending } from '../../../ui/src/log/view/follow.ts';
import { linesHash, parseLines } from '../../../ui/src/log/view/selection.ts';

const fixed = { of: () => 20, mean: 20, fixed: true };

function map(rows: number, viewport = 600, max = 6_000_000): ScrollMap {
  const m = new ScrollMap(20, fixed, max);
  m.viewport = viewport;
  m.rows = rows;
  return m;
}

test('a short log scrolls pixel for pixel', () => {
  const m = map(1000);
  assert.equal(m.height, 20000);
  m.scrolled(333);
  assert.deepEqual([m.row, m.px], [16, 13]);
  assert.equal(m.top(), 333);
});

test('both ends are reached, of a million rows too', () => {
  const m = map(1_000_000);
  assert.equal(m.height, 6_000_000);
  m.scrolled(m.height - 600);
  assert.ok(m.atEnd);
  assert.equal(m.row, 1_000_000 - 30);
  m.scrolled(0);
  assert.deepEqual([m.row, m.px], [0, 0]);
});

test('a near move in a compressed range is a move by pixels', () => {
  const m = map(1_000_000);
  m.toRow(500_000, 0);
  const top = m.top();
  m.scrolled(top + 40);
  assert.equal(m.row, 500_002);
  m.scrolled(top);
  assert.equal(m.row, 500_000);
});

test('a far move in a compressed range is in proportion', () => {
  const m = map(1_000_000);
  m.toRow(0, 0);
  m.top();
  m.scrolled(3_000_000);
  assert.ok(Math.abs(m.row - 500_000) < 100);
});

test('every row can be brought to the top and is still there after the bar was moved along', () => {
  const m = map(1_000_000);
  for (const row of [1, 299, 123_456, 777_777, 999_900]) {
    m.toRow(row, 0);
    const before = m.row;
    m.scrolled(m.top());
    assert.ok(Math.abs(m.row - before) < 2, String(row));
  }
});

test('context above a row, but not before the first', () => {
  const m = map(1000);
  m.toRow(100, 60);
  assert.deepEqual([m.row, m.px], [97, 0]);
  m.toRow(1, 60);
  assert.deepEqual([m.row, m.px], [0, 0]);
});

test('fewer rows than fit stay at the top', () => {
  const m = map(5);
  m.toEnd();
  assert.deepEqual([m.row, m.px], [0, 0]);
  assert.ok(m.atEnd);
  assert.equal(m.height, 600);
  assert.equal(m.top(), 0);
  map(0).toEnd();
});

test('rows of unequal height: the end shows the last row whole', () => {
  const h = (row: number) => (row % 3 === 0 ? 60 : 20);
  const m = new ScrollMap(20, { of: h, mean: 33, fixed: false });
  m.viewport = 600;
  m.rows = 300;
  m.toEnd();
  let y = -m.px;
  for (let r = m.row; r < 300; r++) y += h(r);
  assert.equal(y, 600);
  m.move(-1000);
  m.move(1000);
  y = -m.px;
  for (let r = m.row; r < 300; r++) y += h(r);
  assert.equal(y, 600);
});

test('rows that come in above leave the same row at the edge', () => {
  const m = map(1000);
  m.toRow(500, 0);
  m.rows += 7;
  m.shift(7);
  assert.equal(m.row, 507);
});

test('following stops at the first sign of reading and comes back at the bottom', () => {
  let s = following;
  s = next(s, 'up', 100);
  assert.ok(!s.on);
  assert.equal(pending(s, 314), 214);
  s = next(s, 'hold', 300);
  assert.equal(pending(s, 314), 214, 'the first sign counts');
  s = next(s, 'bottom', 314);
  assert.ok(s.on);
  assert.equal(pending(s, 400), 0);
  for (const event of ['hold', 'up'] as const) assert.ok(!next(s, event, 1).on);
  assert.ok(next(next(s, 'hold', 1), 'follow', 2).on);
});

test('addresses of lines', () => {
  assert.deepEqual(parseLines('#L120'), { from: 120, to: 120 });
  assert.deepEqual(parseLines('#L140-L120'), { from: 120, to: 140 });
  assert.deepEqual(parseLines('#L120-140'), { from: 120, to: 140 });
  for (const bad of ['', '#', '#L', '#L0', '#120', '#L1-', '#L12345678901']) assert.equal(parseLines(bad), null, bad);
  assert.equal(linesHash({ from: 3, to: 9 }), '#L3-L9');
  assert.equal(linesHash({ from: 3, to: 3 }), '#L3');
  assert.equal(linesHash(null), '');
});
