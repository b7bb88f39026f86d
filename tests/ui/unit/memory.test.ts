// What the log viewer holds: bounded by real bytes, and given back at once.
import test from 'node:test';
import assert from 'node:assert/strict';
import { encodeRecord, Kind } from '../../../ui/src/proto/record.ts';
import { EXTENT_BYTES, type Extent } from '../../../ui/src/log/worker/extent.ts';
import { Journal } from '../../../ui/src/log/worker/journal.ts';
import { gather } from '../../../ui/src/log/worker/loader.ts';
import { rowText } from '../../../ui/src/log/worker/rows.ts';
import { Bench, LINES } from './bench.ts';

// Node.js 20 lacks it; what it does is the same.
const buffers = ArrayBuffer.prototype as { transfer?(length: number): ArrayBuffer };
buffers.transfer ??= function (this: ArrayBuffer, length: number): ArrayBuffer {
  structuredClone(this, { transfer: [this] });
  return new ArrayBuffer(length);
};

const enc = new TextEncoder();
const MIB = 1024 * 1024;
/** The last extent stays: its bytes, and what its rows take when there is one in each of them. */
const SLACK = 4 * EXTENT_BYTES;
const ALL_ROWS = 30 * EXTENT_BYTES;

/** Streams payloads into a journal that may hold `limit` bytes; says what it held at most, by its own account and really. */
function stream(j: Journal, payloads: Iterable<Uint8Array>, limit: number): { told: number; real: number } {
  let line = 0;
  let offset = 0;
  let told = 0;
  let real = 0;
  for (const payload of payloads) {
    const r = encodeRecord({ timeUs: 1, line, step: 0, kind: Kind.stdout, flags: 0 }, payload);
    for (const b of payload) if (b === 10) line++;
    j.append(offset, r);
    offset += r.length;
    j.evict(limit, new Set());
    told = Math.max(told, j.memory);
    real = Math.max(real, bytesOf(j));
  }
  return { told, real };
}

/** Every buffer that extents hold, once. */
function bytesOf(j: Journal): number {
  const all = new Set<ArrayBufferLike>();
  const heads = new Set<Uint8Array>();
  for (const e of j.extents) {
    if (e.buf) all.add(e.buf.buffer);
    for (const view of [e.flags, e.from, e.to, e.style, e.record, e.line]) all.add(view.buffer);
    for (const states of [e.entry, e.exit]) for (const s of states?.values() ?? []) if (s.head) heads.add(s.head);
  }
  let n = 0;
  for (const b of all) n += b.byteLength;
  for (const h of heads) n += h.byteLength;
  return n;
}

function* times(n: number, payload: (i: number) => Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < n; i++) yield payload(i);
}

const lines = (n: number, text: string): Uint8Array => enc.encode(`${text}\n`.repeat(n));

test('what is held stays within its limit, whatever the lines are like', () => {
  const limit = 2 * MIB;
  const logs: [string, () => Generator<Uint8Array>][] = [
    ['lines of a hundred bytes', () => times(400, () => lines(600, 'x'.repeat(99)))],
    ['empty lines', () => times(60, () => lines(60_000, ''))],
    ['short records', () => times(60_000, (i) => enc.encode(`line ${i}\n`))],
    ['one line without an end', () => times(400, () => enc.encode('x'.repeat(60_000)))],
    ['lines longer than an extent', () => times(800, (i) => enc.encode(`${'x'.repeat(60_000)}${i % 7 === 6 ? '\n' : ''}`))],
    ['coloured lines', () => times(400, () => lines(500, `\x1b[31m${'x'.repeat(90)}\x1b[0m`))],
  ];
  for (const [name, payloads] of logs) {
    const j = new Journal();
    const { told, real } = stream(j, payloads(), limit);
    const most = limit + (name === 'empty lines' ? ALL_ROWS : SLACK);
    assert.ok(told <= most, `${name}: it says ${told}`);
    assert.ok(real <= most, `${name}: it holds ${real}`);
    assert.ok(told > limit / 2 || name.includes('without'), `${name}: the limit is used`);
  }
});

test('lines in pieces count for what they take', () => {
  const j = new Journal();
  const limit = 2 * MIB;
  stream(j, times(60_000, (i) => enc.encode(i % 2 ? 'its end\n' : 'the beginning of a line ')), limit);
  let pieces = 0;
  for (const e of j.extents) pieces += e.multi.size;
  assert.ok(pieces * 100 <= limit + SLACK, `${pieces} lines in pieces are held`);
});

test('what is let go of is given back at once', () => {
  const j = new Journal();
  stream(j, times(100, () => lines(600, 'x'.repeat(99))), Infinity);
  const away = j.extents.slice(0, -1).map((e) => [e.buf!, e.flags] as const);
  j.evict(0, new Set());
  for (const [, flags] of away) assert.equal(flags.buffer.byteLength, 0);
  const kept = away.filter(([bytes]) => bytes.buffer.byteLength > 0).length;
  assert.ok(away.length > 15 && kept <= 4, `${kept} of ${away.length} are kept for the next`);
  assert.ok(j.extents[j.extents.length - 1]!.buf!.byteLength > 0, 'the tail stays');
});

test('the least recently used goes first, and what is in view never', () => {
  const j = new Journal();
  stream(j, times(60, () => lines(600, 'x'.repeat(99))), Infinity);
  const [a, b, c] = j.extents as [Extent, Extent, Extent];
  j.use(a);
  j.evict(j.memory - 1, new Set([b]));
  assert.deepEqual([a.loaded, b.loaded, c.loaded], [true, true, false]);
  j.clear();
  assert.deepEqual([j.memory, j.heldBytes], [0, 0]);
});

test('rows take little more than they need', async () => {
  const b = new Bench();
  b.tail(0);
  await b.settle();
  const { journal } = b.engine as unknown as { journal: Journal };
  const room = journal.extents.reduce((n, e) => n + e.flags.length, 0);
  assert.ok(room < LINES * 1.6, `room for ${room} rows of ${LINES} lines`);
});

test('a line that is longer than an extent is shown alike when its bytes have gone and come back', () => {
  const j = new Journal();
  const text = `begin ${'x'.repeat(700_000)} end\n`;
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (let i = 0, line = 0; i < text.length; i += 50_000, line = 0) {
    const r = encodeRecord({ timeUs: 1, line, step: 0, kind: Kind.stdout, flags: 0 }, enc.encode(text.slice(i, i + 50_000)));
    j.append(offset, r);
    parts.push(r);
    offset += r.length;
  }
  const more = encodeRecord({ timeUs: 1, line: 1, step: 0, kind: Kind.stdout, flags: 0 }, lines(600, 'x'.repeat(99)));
  for (let i = 0; i < 10; i++) {
    j.append(offset, more);
    parts.push(more);
    offset += more.length;
  }
  const all = new Uint8Array(offset);
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  const before = rowText(j, 0).slice(0, 4000);
  assert.match(before, /^begin x+$/);
  j.evict(0, new Set());
  const i = j.place(0)!.index;
  const e = j.extents[i]!;
  assert.ok(!e.buf);
  j.fill(i, e.off, all.slice(e.off, e.end));
  assert.equal(rowText(j, 0).slice(0, 4000), before);
});

test('a fetched block is read whole, with readers of both kinds', async () => {
  const bytes = new Uint8Array(500_000).map((_, i) => i * 7);
  for (const own of [true, false]) {
    for (const [length, expected] of [[500_000, 500_000], [500_000, 320_000], [700, 3], [300_000, 320_000], [0, 10]] as const) {
      const { body } = new Response(bytes.slice(0, length));
      const stream = own ? body! : body!.pipeThrough(new TransformStream<Uint8Array, Uint8Array>());
      const got = await gather(stream, expected);
      assert.deepEqual(got, bytes.slice(0, length), `${length} bytes of ${expected}`);
    }
  }
});
