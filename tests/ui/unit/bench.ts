// The worker's engine with a journal behind a transport of its own.
import assert from 'node:assert/strict';
import { encodeRecord, Kind, RECORD_STEP_RUN } from '../../../ui/src/proto/record.ts';
import { Engine } from '../../../ui/src/log/worker/engine.ts';
import { FetchError, type Transport } from '../../../ui/src/log/worker/loader.ts';
import type { FromWorker, Query, Row, ToWorker, View } from '../../../ui/src/log/messages.ts';
import { viewAfter } from '../../../ui/src/log/window.ts';

const enc = new TextEncoder();

export interface Log {
  bytes: Uint8Array;
  offsets: number[];
  before: number[];
}

/** Numbered lines of one step; each thousandth is an error. */
function build(lines: number): Log {
  const parts: Uint8Array[] = [];
  const offsets: number[] = [];
  const before: number[] = [];
  let size = 0;
  const put = (r: Uint8Array, line: number) => {
    offsets.push(size);
    before.push(line);
    parts.push(r);
    size += r.length;
  };
  put(encodeRecord({ timeUs: 1, line: 0, step: 0, kind: Kind.event, flags: 0 }, enc.encode('{"event":"step.started","step_id":"a","attempt":1}')), 0);
  for (let n = 0; n < lines; n += 20) {
    let text = '';
    for (let k = 1; k <= 20; k++) text += `\x1b[3${2 + ((n + k) % 5)}mline ${n + k}${(n + k) % 1000 === 0 ? ' error' : ''} ${'x'.repeat(40)}\n`;
    put(encodeRecord({ timeUs: 2 + n, line: n, step: 0, kind: Kind.stdout, flags: 0 }, enc.encode(text)), n);
  }
  put(encodeRecord({ timeUs: 9e6, line: lines, step: RECORD_STEP_RUN, kind: Kind.event, flags: 0 }, enc.encode('{"event":"run.finished","status":"succeeded"}')), lines);
  const bytes = new Uint8Array(size);
  let o = 0;
  for (const p of parts) {
    bytes.set(p, o);
    o += p.length;
  }
  return { bytes, offsets, before };
}

export const LINES = 40_000;
export const LOG = build(LINES);

export class Bench {
  readonly engine: Engine;
  messages: FromWorker[] = [];
  /** As the page has it. */
  shown: View = { from: 0, rows: [] };
  fetched: [number, number][] = [];
  fail = 0;
  searched: (Query | 'errors')[] = [];
  cannotSearch = false;
  /** A search is answered when this is over. */
  searchWaits: Promise<void> = Promise.resolve();
  readonly queue: (() => void)[] = [];
  private id = 1;

  constructor(
    memory = 64 << 20,
    private readonly log: Log = LOG,
  ) {
    const transport: Transport = {
      records: async (offset, limit) => {
        if (this.fail > 0) {
          this.fail--;
          throw new FetchError(503, 'HTTP 503');
        }
        assert.ok(this.log.offsets.includes(offset), 'a fetch begins at a record');
        let end = offset;
        for (const o of [...this.log.offsets.slice(1), this.log.bytes.length]) if (o > offset && (o - offset <= limit || end === offset)) end = o;
        this.fetched.push([offset, end]);
        return this.log.bytes.slice(offset, end);
      },
      locate: async (line) => {
        let i = 0;
        while (i + 1 < this.log.before.length && this.log.before[i + 1]! <= line) i++;
        return this.log.offsets[i]!;
      },
      search: async (query, _stream, onMatch) => {
        this.searched.push(query);
        await this.searchWaits;
        if (this.cannotSearch) throw new FetchError(501, 'HTTP 501');
        for (let n = 1; n <= LINES; n++) if (query === 'errors' ? n % 1000 === 0 : new RegExp(query.text).test(`line ${n}`)) onMatch(n);
        return { total: 0, truncated: false };
      },
    };
    this.engine = new Engine({ post: (m) => this.#post(m), soon: (fn) => this.queue.push(fn), later: (fn) => this.queue.push(fn), transport: () => transport });
    this.send({ t: 'open', url: '', memory });
  }

  #post(m: FromWorker): void {
    this.messages.push(m);
    if (m.t === 'view') this.shown = viewAfter(this.shown, m);
  }

  send(m: ToWorker): void {
    this.engine.receive(m);
  }

  /** Runs everything that is due, as an idle worker does; every view counts as painted. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 4; ) {
      const work = this.queue.splice(0);
      for (const fn of work) fn();
      await new Promise((r) => setTimeout(r, 0));
      this.send({ t: 'painted' });
      idle = work.length === 0 ? idle + 1 : 0;
    }
  }

  tail(from: number): void {
    this.send({ t: 'start', offset: from });
    this.send({ t: 'chunk', offset: from, buffer: this.log.bytes.slice(from).buffer as ArrayBuffer, at: 0, length: this.log.bytes.length - from });
  }

  async view(from: number, count = 30): Promise<readonly Row[]> {
    this.send({ t: 'view', from, count, top: from, follow: false });
    await this.settle();
    return this.shown.rows;
  }

  last<T extends FromWorker['t']>(t: T): Extract<FromWorker, { t: T }> {
    return this.messages.filter((m): m is Extract<FromWorker, { t: T }> => m.t === t).pop()!;
  }

  async ask(make: (id: number) => ToWorker): Promise<number | null> {
    const id = this.id++;
    this.send(make(id));
    await this.settle();
    return (this.messages.find((m) => m.t === 'row' && m.id === id) as { row: number | null }).row;
  }
}

export const textOf = (r: Row | undefined): string => (r?.k === 'line' ? r.runs.map((x) => x.text).join('') : (r?.k ?? 'nothing'));
export const TAIL_FROM = LOG.offsets[LOG.offsets.length - 60]!;

