// The heart of the viewer: whatever way the bytes are split, the same rows come out.
import test from 'node:test';
import assert from 'node:assert/strict';
import { encodeRecord, Kind, RECORD_STEP_RUN } from '../../../ui/src/proto/record.ts';
import { Journal } from '../../../ui/src/log/worker/journal.ts';
import { RowFlag } from '../../../ui/src/log/worker/extent.ts';
import { rowText, rowRuns } from '../../../ui/src/log/worker/rows.ts';

const enc = new TextEncoder();
type Out = [step: number, stream: 1 | 2, bytes: Uint8Array | string] | [event: Record<string, unknown>, step?: number];

/** A journal from what steps write, each item one record. */
function journal(items: Out[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let line = 0;
  let timeUs = 1_700_000_000_000_000;
  for (const item of items) {
    timeUs += 1000;
    if (typeof item[0] === 'object') {
      parts.push(encodeRecord({ timeUs, line, step: (item[1] as number | undefined) ?? RECORD_STEP_RUN, kind: Kind.event, flags: 0 }, enc.encode(JSON.stringify(item[0]))));
      continue;
    }
    const payload = typeof item[2] === 'string' ? enc.encode(item[2]) : item[2]!;
    parts.push(encodeRecord({ timeUs, line, step: item[0], kind: item[1] as Kind, flags: 0 }, payload));
    for (const b of payload) if (b === 10) line++;
  }
  return concat(parts);
}

function concat(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let o = 0;
  for (const p of parts) {
    out.set(p, o);
    o += p.length;
  }
  return out;
}

/** Everything a person can see of a model, as text. */
function model(j: Journal): string[] {
  const out: string[] = [];
  for (let r = 0; r < j.rows; r++) {
    const p = j.place(r)!;
    const e = p.extent;
    if (p.open >= 0) {
      const o = j.openLine(p.open)!;
      out.push(`open ${o.step} ${o.stderr} ${rowText(j, r)}`);
    } else if (!e.buf) out.push(`unknown ${e.off}-${e.end}`);
    else {
      const f = e.flags[p.row]!;
      const runs = rowRuns(j, r).map((x) => `${x.fg}/${x.bg}/${x.attrs}/${x.link}:${x.text}`);
      out.push(`${e.line[p.row]} ${f & RowFlag.stderr ? 'err' : 'out'} ${f & RowFlag.event ? 'event' : ''}${f & RowFlag.open ? 'open' : ''} ${runs.join('|')}`);
    }
  }
  return out;
}

const OUTPUT =
  'a\r\nb\x1b[31mred\nstill red\x1b[0m\n\x1b[38;5;208mo\x1b[48;2;1;2;3mx\x1b[m\npull 10%\rpull 50%\rpull 100%\n' +
  '\x1b]8;;https://example.org/x\x07link\x1b]8;;\x07 日本 é 👍\n\r\n\r\n\n abc\b\bX\n12345\r\x1b[Kok\r\nlong \x1b[1;4mstyled\x1b[22m text\nlast without newline';
const BYTES = concat([enc.encode(OUTPUT.slice(0, 60)), new Uint8Array([0xff, 0xfe, 0x41, 0x0a]), enc.encode(OUTPUT.slice(60))]);

function oneJournal(split: (b: Uint8Array) => Uint8Array[]): Uint8Array {
  return journal([
    [{ event: 'run.created' }],
    [{ event: 'step.started', step_id: 'x', attempt: 1 }, 0],
    ...split(BYTES).map((b): Out => [0, 1, b]),
  ]);
}

const every = (n: number) => (b: Uint8Array) => {
  const out: Uint8Array[] = [];
  for (let i = 0; i < b.length; i += n) out.push(b.subarray(i, i + n));
  return out;
};

function load(bytes: Uint8Array, chunk = bytes.length): Journal {
  const j = new Journal();
  for (let i = 0; i < bytes.length; i += chunk) j.append(i, bytes.subarray(i, i + chunk));
  return j;
}

test('any split of the output into records gives the same rows', () => {
  const whole = model(load(oneJournal((b) => [b])));
  assert.ok(whole.length > 10);
  for (let n = 1; n < 70; n++) assert.deepEqual(model(load(oneJournal(every(n)))), whole, `records of ${n} bytes`);
});

test('any split of the journal into chunks gives the same rows', () => {
  const bytes = oneJournal(every(7));
  const whole = model(load(bytes));
  for (let n = 1; n < 200; n++) assert.deepEqual(model(load(bytes, n)), whole, `chunks of ${n} bytes`);
});

test('any cut into fetched blocks, in any order, gives the same rows', () => {
  const bytes = oneJournal(every(5));
  const whole = model(load(bytes));
  const cuts: number[] = [];
  for (let o = 0; o < bytes.length; ) {
    o += 24 + new DataView(bytes.buffer, bytes.byteOffset + o).getUint32(0, true);
    if (o < bytes.length) cuts.push(o);
  }
  for (let seed = 1; seed < 60; seed++) {
    let x = seed * 2654435761;
    const random = (n: number) => ((x = (x * 1103515245 + 12345) & 0x7fffffff), x % n);
    const start = cuts[cuts.length - 1 - random(3)]!;
    const j = new Journal();
    j.startAt(start);
    j.append(start, bytes.subarray(start));
    for (let guard = 0; j.extents.some((e) => !e.indexed); guard++) {
      assert.ok(guard < 500);
      const unknown = j.extents.map((e, i) => ({ e, i })).filter(({ e }) => !e.indexed);
      const { e, i } = unknown[random(unknown.length)]!;
      const inside = [e.off, ...cuts.filter((c) => c > e.off && c < e.end)];
      const from = inside[random(inside.length)]!;
      const ends = [...cuts.filter((c) => c > from && c < e.end), e.end];
      j.fill(i, from, bytes.slice(from, ends[random(ends.length)]!));
    }
    assert.deepEqual(model(j), whole, `seed ${seed}`);
  }
});

test('bytes that come twice change nothing', () => {
  const bytes = oneJournal(every(9));
  const j = load(bytes);
  const before = model(j);
  j.append(0, bytes);
  j.append(48, bytes.subarray(48));
  assert.deepEqual(model(j), before);
});

test('a resumed stream goes on where it was cut, wherever that is', () => {
  const bytes = oneJournal(every(6));
  const whole = model(load(bytes));
  for (let cut = 1; cut < bytes.length; cut += 13) {
    const j = load(bytes.subarray(0, cut));
    const at = j.end;
    j.append(at, bytes.subarray(at));
    assert.deepEqual(model(j), whole, `cut at ${cut}`);
  }
});

test('line n is what the n-th newline ends, whichever step wrote it', () => {
  const j = load(
    journal([
      [0, 1, 'from zero '],
      [1, 1, 'one\n'],
      [0, 2, 'problem\n'],
      [0, 1, 'ends third\n'],
    ]),
  );
  assert.deepEqual(model(j), ['1 out  0/0/0/:one', '2 err  0/0/0/:problem', '3 out  0/0/0/:from zero ends third']);
});

test('colours of one stream do not leak into another', () => {
  const j = load(journal([[0, 1, '\x1b[31mred\n'], [0, 2, 'plain\n'], [1, 1, 'plain\n'], [0, 1, 'red\n']]));
  assert.deepEqual(model(j).map((m) => m.split(' ').pop()), ['2/0/0/:red', '0/0/0/:plain', '0/0/0/:plain', '2/0/0/:red']);
});

test('text without a newline is a row of its own when its step ends', () => {
  const j = load(
    journal([
      [{ event: 'step.started', step_id: 'a' }, 0],
      [0, 1, 'half'],
      [{ event: 'step.finished', step_id: 'a', status: 'failed' }, 0],
      [{ event: 'step.started', step_id: 'b' }, 1],
      [1, 1, 'x\n'],
    ]),
  );
  const rows = model(j);
  assert.equal(rows.length, 5);
  assert.match(rows[1]!, /^0 out open .*half$/);
  assert.match(rows[4]!, /^1 out .*:x$/);
});

test('a damaged record is refused', () => {
  const bytes = oneJournal((b) => [b]);
  bytes[bytes.length - 1]! ^= 1;
  assert.throws(() => load(bytes), /checksum/);
});

test('a gap before the stream keeps line numbers and is filled in place', () => {
  const items: Out[] = [];
  for (let i = 1; i <= 100; i++) items.push([0, 1, `line ${i}\n`]);
  const bytes = journal(items);
  const start = bytes.length - 10 * (24 + 9) - 3;
  let at = 0;
  while (at < start) at += 24 + new DataView(bytes.buffer).getUint32(at, true);
  const j = new Journal();
  j.startAt(at);
  j.append(at, bytes.subarray(at));
  assert.equal(j.rows, 100);
  assert.equal(j.rowOfLine(50), 49);
  const a = j.anchor(60);
  j.fill(0, 0, bytes.slice(0, at));
  assert.equal(j.rowOfAnchor(a), 60);
  assert.equal(rowText(j, 49), 'line 50');
  assert.equal(rowText(j, 99), 'line 100');
});

test('the top stays the top when what stands above the first line comes', () => {
  const enc = new TextEncoder();
  const head = encodeRecord({ timeUs: 1, line: 0, step: 0, kind: Kind.event, flags: 0 }, enc.encode('{"event":"step.started","step_id":"a"}'));
  const lines = encodeRecord({ timeUs: 2, line: 0, step: 0, kind: Kind.stdout, flags: 0 }, enc.encode('one\ntwo\nthree\n'));
  const rest = encodeRecord({ timeUs: 3, line: 3, step: 0, kind: Kind.stdout, flags: 0 }, enc.encode('four\n'));
  const before = new Uint8Array([...head, ...lines]);
  const j = new Journal();
  j.startAt(before.length);
  j.append(before.length, rest);
  const [top, second] = [j.anchor(0), j.anchor(1)];
  j.fill(0, 0, before);
  assert.equal(j.rowOfAnchor(top), 0);
  assert.equal(rowText(j, j.rowOfAnchor(second)!), 'two');
});

test('evicted bytes keep their rows and come back the same', () => {
  const items: Out[] = [];
  for (let i = 1; i <= 4000; i++) items.push([i % 3, 1, `\x1b[3${i % 8}mline ${i} ${'x'.repeat(200)}\n`]);
  const bytes = journal(items);
  const j = load(bytes, 65536);
  const rows = j.rows;
  const before = [0, 500, 1999, 3000].map((r) => JSON.stringify(rowRuns(j, r)));
  j.evict(0, new Set());
  assert.equal(j.rows, rows);
  assert.equal(j.extents.filter((e) => e.buf).length, 1);
  for (let i = 0; i < j.extents.length; i++) {
    const e = j.extents[i]!;
    if (!e.buf) j.fill(i, e.off, bytes.slice(e.off, e.end));
  }
  assert.equal(j.rows, rows);
  assert.deepEqual([0, 500, 1999, 3000].map((r) => JSON.stringify(rowRuns(j, r))), before);
});
