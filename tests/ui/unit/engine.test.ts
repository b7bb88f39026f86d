// The worker's engine with a journal of 40,000 lines.
import test from 'node:test';
import assert from 'node:assert/strict';
import { plan } from '../../../ui/src/log/worker/loader.ts';
import { Extent } from '../../../ui/src/log/worker/extent.ts';
import type { LineRow } from '../../../ui/src/log/messages.ts';
import { Bench, LINES, LOG, TAIL_FROM, textOf } from './bench.ts';

test('a log opens at its tail, knows its length, and fetches what is looked at', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  const { size } = b.last('view');
  assert.equal(size.lines, LINES);
  assert.equal(b.fetched.length, 0);
  const rows = await b.view(20_000);
  assert.ok(rows.every((r) => r.k === 'line'));
  const first = rows[0] as LineRow;
  assert.equal(textOf(first), `line ${first.n}${first.n % 1000 === 0 ? ' error' : ''} ${'x'.repeat(40)}`);
  assert.equal(first.runs[0]!.fg, 3 + (first.n % 5), 'colours are settled');
  assert.ok(b.fetched.reduce((n, [a, z]) => n + z - a, 0) < 1_500_000, 'not the whole log');
});

test('a line of a cold address is found without what lies between', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  const row = await b.ask((id) => ({ t: 'seek', id, target: { line: 12_345 }, view: null }));
  const rows = await b.view(row!);
  assert.equal((rows[0] as LineRow).n, 12_345);
});

test('a step is found by its offset', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  const row = await b.ask((id) => ({ t: 'seek', id, target: { offset: 0 }, view: null }));
  assert.equal(row, 0);
  assert.equal((await b.view(0))[0]!.k, 'event');
});

test('when rows come in above, the page is told by how many its own moved', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  await b.view(39_500);
  const before = textOf(b.shown.rows[0]);
  const at = b.last('view').from;
  await b.ask((id) => ({ t: 'seek', id, target: { offset: 0 }, view: null }));
  const delta = b.messages.filter((m) => m.t === 'shift').reduce((n, m) => n + (m as { delta: number }).delta, 0);
  assert.equal(delta, 1, 'the header of the step is a row that was not known');
  assert.equal(textOf((await b.view(at + delta))[0]), before);
});

test('a row of the window is told once, and again when it is another', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  const told = () => b.last('view').rows.filter((r) => r !== null).length;
  await b.view(39_000, 100);
  await b.view(39_020, 100);
  assert.equal(told(), 20, 'the other eighty are there');
  await b.view(38_990, 100);
  assert.equal(told(), 30);
  await b.view(39_010, 5);
  assert.equal(told(), 0);
  const numbers = (await b.view(38_985, 60)).map((r) => (r as LineRow).n);
  assert.deepEqual(numbers, Array.from({ length: 60 }, (_, i) => numbers[0]! + i));
  // What is searched for is marked, in rows that were told.
  b.send({ t: 'find', query: { text: `line ${numbers[7]}`, regex: false } });
  await b.settle();
  assert.deepEqual(b.shown.rows.map((r) => (r as LineRow).runs.some((x) => x.mark === 1)), numbers.map((n) => n === numbers[7]));
  b.send({ t: 'find', query: null });
  await b.settle();
  assert.ok(b.shown.rows.every((r) => (r as LineRow).runs.every((x) => x.mark === undefined)));
});

test('an error that is found in a row that was told is marked', async () => {
  const b = new Bench();
  b.send({ t: 'view', from: 0, count: 60, top: 0, follow: true });
  b.tail(TAIL_FROM);
  await b.settle();
  const views = b.messages.filter((m) => m.t === 'view');
  await b.view(39_975, 50);
  assert.ok(views.length > 1, 'it was shown before it was looked at');
  assert.deepEqual(b.shown.rows.filter((r) => r.k === 'line' && r.error).map((r) => (r as LineRow).n), [40_000]);
});

test('after any moves the page has what a new page would be told', async () => {
  const b = new Bench(1 << 20);
  b.tail(TAIL_FROM);
  await b.settle();
  let seed = 7;
  const random = (n: number) => (seed = (seed * 16807) % 2147483647) % n;
  let at = 20_000;
  for (let i = 0; i < 60; i++) {
    at = i % 6 === 5 ? random(LINES - 200) : Math.max(0, Math.min(LINES - 200, at + random(120) - 60));
    if (i === 20) b.send({ t: 'find', query: { text: '7', regex: false } });
    if (i === 40) b.send({ t: 'find', query: null });
    if (i % 10 === 7) b.send({ t: 'retry' });
    const rows = await b.view(at, 20 + random(80));
    const before = b.messages.length;
    b.send({ t: 'show', folded: [], stream: 'both', only: false });
    await b.settle();
    const all = b.messages.slice(before).find((m) => m.t === 'view')!.rows;
    assert.ok(all.every((r) => r !== null), 'a filter tells all anew');
    assert.deepEqual(rows, all, `move ${i}`);
  }
});

test('memory stays within its limit and evicted rows come back', async () => {
  const b = new Bench(1 << 20);
  b.tail(TAIL_FROM);
  await b.settle();
  for (let row = 0; row < LINES; row += 1500) await b.view(row);
  const held = b.last('view').size.held;
  assert.ok(held < 2_000_000, String(held));
  const again = (await b.view(300))[5] as LineRow;
  assert.equal(textOf(again).split(' ')[1], String(again.n));
});

test('what could not be fetched says so and can be tried again', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  b.fail = 1;
  let rows = await b.view(20_000);
  assert.equal(rows[0]!.k, 'gap');
  b.send({ t: 'retry' });
  await b.settle();
  rows = await b.view(20_000);
  assert.equal(rows[0]!.k, 'line');
});

test('without a search of the server it covers what is here and says how much that is', async () => {
  const b = new Bench();
  b.cannotSearch = true;
  b.tail(TAIL_FROM);
  await b.settle();
  b.send({ t: 'find', query: { text: 'line 39', regex: false } });
  await b.settle();
  const { found } = b.last('found');
  assert.ok(!found.busy && found.rows > 900);
  assert.ok(found.searched < b.last('view').size.end);
  const next = await b.ask((id) => ({ t: 'next', id, what: 'hit', from: 39_500, forward: true }));
  const row = (await b.view(next!))[0] as LineRow;
  assert.ok(row.runs.some((r) => r.mark === 1 && r.text === 'line 39'));
  b.send({ t: 'find', query: { text: '(', regex: true } });
  assert.ok(b.last('found').found.problem !== '');
});

test('errors are counted, marked and jumped to', async () => {
  const b = new Bench();
  b.tail(LOG.offsets[LOG.offsets.length - 160]!);
  await b.settle();
  assert.equal(b.last('view').size.errors, 4);
  const row = await b.ask((id) => ({ t: 'next', id, what: 'error', from: LINES, forward: false }));
  const line = (await b.view(row!))[0] as LineRow;
  assert.ok(line.error);
  assert.equal(line.n % 1000, 0);
});

test('bytes are acknowledged as they are consumed', async () => {
  const b = new Bench();
  b.tail(0);
  const acknowledged = b.messages.filter((m) => m.t === 'consumed').reduce((n, m) => n + (m as { bytes: number }).bytes, 0);
  assert.ok(acknowledged > LOG.bytes.length - 128 * 1024);
});

test('copied text holds no numbers and no events', async () => {
  const b = new Bench();
  b.tail(0);
  await b.settle();
  b.send({ t: 'text', id: 1, from: { row: 0, col: 0 }, to: { row: 2, col: 6 } });
  await b.settle();
  assert.equal(b.last('text').text, `line 1 ${'x'.repeat(40)}\nline 2`);
});

test('what is not here is fetched to be copied, whatever its rows were believed to be', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  const first = await b.ask((id) => ({ t: 'seek', id, target: { line: 1 }, view: null }));
  const last = await b.ask((id) => ({ t: 'seek', id, target: { line: 39_990 }, view: null }));
  b.send({ t: 'text', id: 1, from: { row: first!, col: 0 }, to: { row: last!, col: Number.MAX_SAFE_INTEGER } });
  await b.settle();
  const { text, missing } = b.last('text');
  assert.equal(missing, 0);
  const lines = text.split('\n');
  assert.equal(lines.length, 39_990);
  lines.forEach((l, i) => assert.match(l, new RegExp(`^line ${i + 1}\\b`)));
});

test('a copy that ends says how many rows it is without', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  b.fail = 1000;
  const last = await b.ask((id) => ({ t: 'seek', id, target: { line: 39_990 }, view: null }));
  b.send({ t: 'text', id: 1, from: { row: 0, col: 0 }, to: { row: last!, col: Number.MAX_SAFE_INTEGER } });
  await b.settle();
  assert.ok(b.last('text').missing > 0);
});

test('a damaged chunk is told with where to go on', () => {
  const b = new Bench();
  const broken = LOG.bytes.slice(0, LOG.offsets[3]);
  broken[broken.length - 5]! ^= 0xff;
  b.send({ t: 'chunk', offset: 0, buffer: broken.buffer as ArrayBuffer, at: 0, length: broken.length });
  assert.ok(b.messages.some((m) => m.t === 'damaged'));
});

test('small stretches are fetched whole, large ones around the line', () => {
  assert.deepEqual(plan(new Extent(0, 100_000, 0, 1000), 500), { offset: 0, line: 0, limit: 100_000 });
  const far = plan(new Extent(0, 100_000_000, 0, 1_000_000), 500_000);
  assert.equal(far.offset, null);
  assert.ok(far.line < 500_000 && far.line > 498_000);
  assert.equal(plan(new Extent(0, 100_000_000, 0, 1_000_000), 5).offset, 0);
});
