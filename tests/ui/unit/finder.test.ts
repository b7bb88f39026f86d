// Searching where the bytes are not, folding steps, showing one stream.
import test from 'node:test';
import assert from 'node:assert/strict';
import { encodeRecord, Kind, RECORD_STEP_RUN } from '../../../ui/src/proto/record.ts';
import { RowFlag } from '../../../ui/src/log/worker/extent.ts';
import { Journal } from '../../../ui/src/log/worker/journal.ts';
import { lineAt } from '../../../ui/src/log/worker/rows.ts';
import { isErrorText, maybeErrors } from '../../../ui/src/log/worker/scan.ts';
import { matches } from '../../../ui/src/log/worker/search.ts';
import { isRed } from '../../../ui/src/log/worker/text.ts';
import type { EventRow, LineRow, Row } from '../../../ui/src/log/messages.ts';
import { Bench, LINES, TAIL_FROM, textOf, type Log } from './bench.ts';

test('the server searches what is not here: counted, reached and marked', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  b.send({ t: 'find', query: { text: 'line 1234', regex: false } });
  await b.settle();
  const { found } = b.last('found');
  assert.deepEqual([found.rows, found.busy, found.truncated], [11, false, 0]); // 1234 and 12340…12349
  assert.equal(found.searched, b.last('view').size.end);
  const first = await b.ask((id) => ({ t: 'next', id, what: 'hit', from: -1, forward: true }));
  assert.equal(b.last('row').rank, 1);
  const row = (await b.view(first!))[0] as LineRow;
  assert.equal(row.n, 1234);
  assert.ok(row.runs.some((r) => r.mark === 1 && r.text === 'line 1234'));
  // What was fetched meanwhile is not counted twice.
  assert.equal(b.last('found').found.rows, 11);
  const second = await b.ask((id) => ({ t: 'next', id, what: 'hit', from: first!, forward: true }));
  assert.equal(((await b.view(second!))[0] as LineRow).n, 12340);
  assert.equal(b.last('row').rank, 2);
  const round = await b.ask((id) => ({ t: 'next', id, what: 'hit', from: first!, forward: false }));
  assert.equal(((await b.view(round!))[0] as LineRow).n, 12349);
  assert.equal(b.last('row').rank, 11);
});

test('no hit is no answer while the server was not asked yet', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  b.send({ t: 'find', query: { text: 'line 1234', regex: false } });
  const ask = b.queue.pop()!; // when who types has paused
  await b.settle();
  assert.deepEqual([b.last('found').found.rows, b.last('found').found.busy], [0, true]);
  ask();
  await b.settle();
  assert.deepEqual([b.last('found').found.rows, b.last('found').found.busy], [11, false]);
});

test('who asks for a hit before the server answered gets the first when it comes, and none of a query that was replaced', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  const answer = (id: number) => (b.messages.find((m) => m.t === 'row' && m.id === id) as { row: number | null } | undefined)?.row;
  let release = () => {};
  const ask = async (id: number, text: string) => {
    b.searchWaits = new Promise((done) => (release = done));
    b.send({ t: 'find', query: { text, regex: false } });
    b.send({ t: 'next', id, what: 'hit', from: b.last('view').size.rows, forward: true });
    await b.settle();
    assert.equal(answer(id), undefined, 'nobody knows yet');
  };
  await ask(98, 'line 1234');
  release();
  await b.settle();
  assert.equal(((await b.view(answer(98)!))[0] as LineRow).n, 1234);
  assert.equal(b.searched.length, 1, 'it is asked once');
  await ask(99, 'line 2345');
  b.send({ t: 'find', query: { text: 'nowhere', regex: false } });
  release();
  await b.settle();
  assert.equal(answer(99), null);
});

test('a log that is here whole is not searched by the server', async () => {
  const b = new Bench();
  b.tail(0);
  await b.settle();
  b.send({ t: 'find', query: { text: 'line 1234', regex: false } });
  await b.settle();
  assert.equal(b.last('found').found.rows, 11);
  assert.deepEqual(b.searched, []);
});

test('the first error of a log that is not here is asked of the server', async () => {
  const b = new Bench();
  b.tail(TAIL_FROM);
  await b.settle();
  const row = await b.ask((id) => ({ t: 'next', id, what: 'error', from: -1, forward: true }));
  const line = (await b.view(row!))[0] as LineRow;
  assert.deepEqual([line.n, line.error], [1000, true]);
  assert.equal(b.last('view').size.errors, LINES / 1000);
  assert.ok(b.last('view').size.errorsComplete);
});

test('an answer is read alike in any split, and a cut one is an error', async () => {
  const text = '{"offset":0,"line":7,"step":0,"stream":"stdout","time_us":1,"text":"\u00e9","ranges":[],"before":[],"after":[]}\n{"line":9,"stream":"stderr"}\n{"total":2,"truncated":true}\n';
  const bytes = new TextEncoder().encode(text);
  const reader = (sizes: number) => {
    let at = 0;
    return { read: async () => (at >= bytes.length ? { done: true as const } : { done: false as const, value: bytes.subarray(at, (at += sizes)) }) };
  };
  for (const size of [1, 2, 3, 7, 50, 1000]) {
    const got: number[] = [];
    assert.deepEqual(await matches(reader(size), (line) => got.push(line)), { total: 2, truncated: true });
    assert.deepEqual(got, [7, 9]);
  }
  await assert.rejects(matches({ read: async () => ({ done: true }) }, () => undefined), /cut off/);
});

// ---- three steps, the last two at the same time

const enc = new TextEncoder();

function parallel(): Log {
  const parts: Uint8Array[] = [];
  const offsets: number[] = [];
  const before: number[] = [];
  let size = 0;
  let line = 0;
  const put = (step: number, kind: Kind, text: string) => {
    const r = encodeRecord({ timeUs: 1 + line, line, step, kind, flags: 0 }, enc.encode(text));
    offsets.push(size);
    before.push(line);
    parts.push(r);
    size += r.length;
    if (kind !== Kind.event) line += text.split('\n').length - 1;
  };
  const begin = (step: number) => put(step, Kind.event, `{"event":"step.started","step_id":"s${step}","attempt":1}`);
  begin(0);
  for (let i = 0; i < 10; i++) put(0, Kind.stdout, `zero ${i}\n`);
  begin(1);
  begin(2);
  for (let i = 0; i < 10; i++) {
    put(1, Kind.stdout, `one ${i}\n`);
    put(2, i === 4 ? Kind.stderr : Kind.stdout, i === 4 ? 'an error\n' : `two ${i}\n`);
  }
  put(RECORD_STEP_RUN, Kind.event, '{"event":"run.finished","status":"failed"}');
  const bytes = new Uint8Array(size);
  let o = 0;
  for (const p of parts) {
    bytes.set(p, o);
    o += p.length;
  }
  return { bytes, offsets, before };
}

const LOG3 = parallel();
const shape = (rows: readonly Row[]): string[] => rows.map((r) => (r.k === 'event' ? `${r.name === 'step.started' ? `[${r.step}${r.folded ? '+' : ''}]` : '.'}` : textOf(r)));

async function opened(): Promise<Bench> {
  const b = new Bench(64 << 20, LOG3);
  b.send({ t: 'chunk', offset: 0, buffer: LOG3.bytes.slice().buffer as ArrayBuffer, at: 0, length: LOG3.bytes.length });
  await b.settle();
  return b;
}

test('a folded step leaves its header, also between the lines of another', async () => {
  const b = await opened();
  b.send({ t: 'show', folded: [0, 2], stream: 'both', only: false });
  const rows = await b.view(0, 40);
  assert.deepEqual(shape(rows), ['[0+]', '[1]', '[2+]', ...Array.from({ length: 10 }, (_, i) => `one ${i}`), '.']);
  assert.equal((rows[2] as EventRow).errors, 1, 'the header tells of the error inside');
  b.send({ t: 'show', folded: [], stream: 'both', only: false });
  assert.equal((await b.view(0, 60)).length, 34);
});

test('folded lines that arrive later stay away, and rows that are counted are there', async () => {
  const b = new Bench(64 << 20, LOG3);
  b.send({ t: 'show', folded: [1], stream: 'both', only: false });
  for (let i = 0; i < LOG3.offsets.length; i++) {
    const bytes = LOG3.bytes.slice(LOG3.offsets[i], LOG3.offsets[i + 1] ?? LOG3.bytes.length);
    b.send({ t: 'chunk', offset: LOG3.offsets[i]!, buffer: bytes.buffer as ArrayBuffer, at: 0, length: bytes.length });
  }
  await b.settle();
  const rows = await b.view(0, 60);
  assert.equal(rows.length, b.last('view').size.rows);
  assert.ok(!shape(rows).some((t) => t.startsWith('one')));
  assert.ok(shape(rows).includes('two 9'));
});

test('one stream alone: numbers stay those of the whole log', async () => {
  const b = await opened();
  b.send({ t: 'show', folded: [], stream: 'stderr', only: false });
  const rows = await b.view(0, 40);
  assert.deepEqual(shape(rows), ['[0]', '[1]', '[2]', 'an error', '.']);
  assert.equal((rows[3] as LineRow).n, 20);
});

test('what is jumped to opens itself', async () => {
  for (const how of ['line', 'error', 'hit'] as const) {
    const b = await opened();
    b.send({ t: 'show', folded: [0, 1, 2], stream: 'stdout', only: false });
    if (how === 'hit') b.send({ t: 'find', query: { text: 'two 9', regex: false } });
    await b.settle();
    if (how === 'error') b.send({ t: 'show', folded: [0, 1, 2], stream: 'both', only: false });
    await b.settle();
    const row = how === 'line' ? await b.ask((id) => ({ t: 'seek', id, target: { line: 20 }, view: null })) : await b.ask((id) => ({ t: 'next', id, what: how, from: -1, forward: true }));
    assert.equal(textOf((await b.view(row!))[0]), how === 'hit' ? 'two 9' : 'an error');
    assert.deepEqual(b.last('shows'), { t: 'shows', folded: [0, 1], stream: how === 'line' ? 'both' : how === 'hit' ? 'stdout' : 'both', only: false });
  }
});

test('a fold holds when the bytes have gone and come back', async () => {
  const b = await opened();
  b.send({ t: 'show', folded: [1], stream: 'both', only: false });
  const whole = shape(await b.view(0, 60));
  const { rows } = b.last('view').size;
  const extent = (b.engine as unknown as { journal: { extents: { evict(): void; rows: number }[] } }).journal.extents[0]!;
  extent.evict();
  assert.equal(extent.rows, rows, 'counted without the bytes');
  assert.deepEqual(shape(await b.view(0, 60)), whole);
});

test('errors are found alike whether lines are looked at one by one or many at once', async () => {
  const words = ['started', 'ERROR', 'Failed', 'no errors', 'permission denied', '\u2716', '\u274c', '\u00e9t\u00e9', 'panicked', 'ok', 'errors: 0', 'Traceback', 'terror', 'FataL', 'segFAULT', 'an exception', 'failure', 'fai', 'erro', 'fatfatal', 'x\u2717', '\u2718\u2713', '\u2714 fine'];
  const colours = ['', '', '\x1b[31m', '\x1b[1;91m', '\x1b[38;5;1m', '\x1b[38;5;208m', '\x1b[31;1m', '\x1b[32m', '\x1b[0m', '\x1b[131m', '\x1b[91;7m'];
  let seed = 7;
  const pick = <T>(list: readonly T[]): T => list[(seed = (seed * 1103515245 + 12345) & 0x7fffffff) % list.length]!;
  const lines = Array.from({ length: 6000 }, () => Array.from({ length: 3 }, () => pick(colours) + pick(words)).join(pick([' ', ' ', '\r'])) + pick(['', '\x1b[0m', '\x1b[0m']));
  const j = new Journal();
  const parts: Uint8Array[] = [];
  // In records of some lines, cut anywhere: lines in pieces are among them.
  const bytes = new TextEncoder().encode(`${lines.join('\n')}\n`);
  for (let at = 0, n = 0; at < bytes.length; ) {
    const to = Math.min(bytes.length, at + 1500);
    const payload = bytes.subarray(at, to);
    parts.push(encodeRecord({ timeUs: 1, line: n, step: 0, kind: Kind.stdout, flags: 0 }, payload));
    for (const b of payload) if (b === 10) n++;
    at = to;
  }
  let offset = 0;
  for (const p of parts) {
    j.append(offset, p);
    offset += p.length;
  }
  const oneByOne: number[] = [];
  const atOnce: number[] = [];
  j.extents.forEach((extent, index) => {
    const maybe = new Set(maybeErrors(extent, 0, extent.count));
    for (let row = 0; row < extent.count; row++) {
      const { runs } = lineAt(j, { index, extent, row, open: -1 }, true);
      const text = runs.map((r) => r.text).join('');
      const is = isErrorText(text) || ((extent.flags[row]! & RowFlag.escape) !== 0 && isRed(runs));
      if (is) oneByOne.push(extent.line[row]!);
      if (is && maybe.has(row)) atOnce.push(extent.line[row]!);
    }
    assert.ok(maybe.size < extent.count, 'not every line is looked at twice');
  });
  assert.ok(oneByOne.length > 1000);
  const missed = oneByOne.filter((n) => !atOnce.includes(n));
  assert.deepEqual(missed.map((n) => lines[n - 1]), []);
});

const numbers = (rows: readonly Row[]): number[] => rows.map((r) => ((r.k === 'line' || r.k === 'wait') ? r.n : -1));

test('only hits and two lines around each: what is here, and what only the server has looked at', async () => {
  for (const [what, from] of [['here', 0], ['there', TAIL_FROM]] as const) {
    const b = new Bench();
    b.tail(from);
    await b.settle();
    b.send({ t: 'find', query: { text: 'line \\d+000\\b', regex: true } });
    await b.settle();
    b.send({ t: 'show', folded: [], stream: 'both', only: true });
    await b.settle();
    assert.equal(b.last('view').size.rows, (LINES / 1000) * 5 - 2, `${what}: the last has nothing behind it`);
    await b.view(8, 6);
    await b.settle();
    const rows = await b.view(8, 6);
    assert.deepEqual(numbers(rows), [2001, 2002, 2998, 2999, 3000, 3001], what);
    assert.deepEqual(rows.map((r) => r.k === 'line' && r.apart), [false, false, true, false, false, false], what);
    assert.ok((rows[4] as LineRow).runs.some((r) => r.mark === 1), what);
    // A line that is asked for and is not among them brings all lines back.
    const row = await b.ask((id) => ({ t: 'seek', id, target: { line: 2500 }, view: null }));
    await b.settle();
    assert.equal(((await b.view(row!))[0] as LineRow).n, 2500, what);
    assert.equal(b.last('shows').only, false);
  }
});

test('only hits: lines that were let go of are among them, asked of the server', async () => {
  const b = new Bench(1 << 20);
  b.tail(0);
  await b.settle();
  b.send({ t: 'find', query: { text: 'line \\d+000\\b', regex: true } });
  b.send({ t: 'show', folded: [], stream: 'both', only: true });
  await b.settle();
  assert.equal(b.searched.length, 1);
  assert.equal(b.last('view').size.rows, (LINES / 1000) * 5 - 2);
  const rows = await b.view(0, 12);
  await b.settle();
  assert.deepEqual(numbers(rows).slice(0, 6), [998, 999, 1000, 1001, 1002, 1998]);
  assert.deepEqual((await b.view(0, 6)).map((r) => r.k), Array(6).fill('line'), 'their bytes are fetched again');
  b.send({ t: 'find', query: { text: 'no such thing', regex: false } });
  await b.settle();
  assert.equal(b.last('view').size.rows, 0);
  b.send({ t: 'find', query: null });
  await b.settle();
  assert.ok(b.last('view').size.rows > LINES);
});

test('only hits: they come as the stream brings them', async () => {
  const b = new Bench();
  b.send({ t: 'find', query: { text: 'error', regex: false } });
  b.send({ t: 'show', folded: [], stream: 'both', only: true });
  b.tail(0);
  await b.settle();
  assert.equal(b.last('view').size.rows, (LINES / 1000) * 5 - 2);
});
