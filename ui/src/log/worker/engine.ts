// The worker's side: keeps the journal, answers for rows, fetches what the window needs, looks for
// errors and hits when there is nothing better to do. Knows no worker API, so that it can be tested.

import { RecordError } from '../../proto/record.ts';
import { textBetween } from './copy.ts';
import { parseEvent } from './events.ts';
import { RowFlag, type Extent } from './extent.ts';
import { Finder } from './finder.ts';
import { Journal, type Place } from './journal.ts';
import { FetchError, Loader, type Transport } from './loader.ts';
import type { Around, FromWorker, Point, Row, Size, Stream, Target, ToWorker, View } from '../messages.ts';
import { viewAfter } from '../window.ts';
import { lineAt } from './rows.ts';
import { edge, isOf, markRuns, type Spot } from './scan.ts';

/** Rows beyond the window that are fetched before somebody scrolls there. */
const AHEAD = 150;
/** Lines shown beside each hit when only hits are shown. */
const CONTEXT = 2;
/** Hits change what is shown so often. */
const HITS_MS = 150;
/** Consumed bytes are reported in pieces of this size. */
const CREDIT_STEP = 128 * 1024;
const NOTHING: View = { from: 0, rows: [] };

export interface Host {
  post(message: FromWorker): void;
  /** Runs fn soon, after waiting messages. */
  soon(fn: () => void): void;
  /** Runs fn after some time. */
  later(fn: () => void, ms: number): void;
  transport(url: string): Transport;
}

export class Engine {
  private readonly journal = new Journal();
  #loader: Loader | null = null;
  #memory = 64 << 20;
  #view = { from: 0, count: 60, top: 0, follow: true };
  #painted = true;
  #dirty = false;
  #viewDue = false;
  #consumed = 0;
  readonly #finder: Finder;
  readonly #folded = new Set<number>();
  #stream: Stream = 'both';
  /** Only hits and their context are shown. */
  #only = false;
  #hitsDue = false;
  readonly #expanded = new Map<Extent, Set<number>>();
  /** What the page was told of its window, to tell it only what differs. Without rows: all of it may. */
  #told: View = NOTHING;
  #toldRe: RegExp | null = null;

  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
    this.#finder = new Finder(this.journal, host, () => this.#redraw(), () => this.#hitsChanged());
  }

  receive(m: ToWorker): void {
    switch (m.t) {
      case 'open':
        this.#memory = m.memory;
        this.#finder.transport = this.#host.transport(m.url);
        this.#loader = new Loader(this.journal, this.#finder.transport, (work) => this.#change(work), (e) => this.#fetchFailed(e));
        break;
      case 'start':
        this.#change(() => this.journal.startAt(m.offset));
        break;
      case 'chunk':
        this.#chunk(m.offset, new Uint8Array(m.buffer, m.at, m.length));
        break;
      case 'reset':
        this.#change(() => this.journal.clear());
        break;
      case 'view': {
        const { from, count, top, follow } = this.#view;
        const sent = !this.#dirty && from === m.from && count === m.count && top === m.top && follow === m.follow;
        this.#view = m;
        this.#painted = true;
        if (!sent) this.#sendView();
        break;
      }
      case 'painted':
        this.#painted = true;
        if (this.#dirty) this.#scheduleView();
        break;
      case 'seek':
        void this.#seek(m.id, m.target, m.view);
        break;
      case 'find':
        this.#finder.find(m.query);
        break;
      case 'next':
        void this.#next(m.id, m.what, m.from, m.forward, m.once);
        break;
      case 'show':
        this.#folded.clear();
        for (const step of m.folded) this.#folded.add(step);
        this.#stream = m.stream;
        this.#only = m.only;
        this.#applyFilter();
        break;
      case 'text':
        void this.#text(m.id, m.from, m.to);
        break;
      case 'expand':
        this.#expand(m.row);
        break;
      case 'load':
        this.#loadRow(m.row);
        break;
      case 'retry':
        for (const e of this.journal.extents) e.problem = '';
        this.#sendView();
        break;
    }
  }

  #chunk(offset: number, bytes: Uint8Array): void {
    try {
      // No anchor is needed: the tail grows below the window, and gaps open there.
      this.journal.append(offset, bytes);
    } catch (e) {
      if (!(e instanceof RecordError)) throw e;
      this.#host.post({ t: 'damaged', offset: this.journal.end, message: e.message });
    }
    // The buffer is left to the collector. Were it let go of here, the browser, which made it, would keep its memory all
    // the same, and the collector would not know that there is something to collect.
    this.#consumed += bytes.length;
    if (this.#consumed >= CREDIT_STEP) {
      this.#host.post({ t: 'consumed', bytes: this.#consumed });
      this.#consumed = 0;
    }
    this.#evict();
    this.#changed();
  }

  /** Changes the journal and keeps the row at the top of the window where it is. */
  #change(work: () => void): void {
    const anchor = this.journal.anchor(this.#view.top);
    work();
    this.#told = NOTHING;
    const row = this.journal.rowOfAnchor(anchor);
    const delta = row === null ? 0 : row - this.#view.top;
    if (delta !== 0 && !this.#view.follow) {
      this.#view = { ...this.#view, from: Math.max(0, this.#view.from + delta), top: Math.max(0, this.#view.top + delta) };
      this.#host.post({ t: 'shift', delta });
    }
    this.#evict();
    this.#changed();
  }

  #changed(): void {
    this.#redraw();
    this.#finder.scan();
  }

  #redraw(): void {
    this.#dirty = true;
    if (this.#painted) this.#scheduleView();
  }

  // ---- what is shown

  #applyFilter(): void {
    const [folded, stream] = [this.#folded, this.#stream];
    this.#finder.setStream(stream);
    const lines = this.#only ? (this.#finder.hits?.linesWith(CONTEXT) ?? null) : null;
    // Hits are looked for in folded steps as well.
    const pen = (p: number) => (lines !== null || !folded.has(p >> 1)) && isOf(stream, p & 1);
    const all = lines === null && folded.size === 0 && stream === 'both';
    this.#change(() => this.journal.setFilter(all ? null : { pen, lines }));
  }

  #hitsChanged(): void {
    if (!this.#only || this.#hitsDue) return;
    this.#hitsDue = true;
    this.#host.later(() => {
      this.#hitsDue = false;
      if (this.#only) this.#applyFilter();
    }, HITS_MS);
  }

  /** Shows a row that somebody jumped to, when it is hidden. */
  #reveal(e: Extent, row: number): void {
    if (!e.loaded || e.passes(row)) return;
    this.#only = false;
    const pen = e.pen(row);
    this.#folded.delete(pen >> 1);
    if (!isOf(this.#stream, pen & 1)) this.#stream = 'both';
    this.#applyFilter();
    this.#host.post({ t: 'shows', folded: [...this.#folded], stream: this.#stream, only: this.#only });
  }

  #scheduleView(): void {
    if (this.#viewDue) return;
    this.#viewDue = true;
    this.#host.soon(() => {
      this.#viewDue = false;
      if (this.#dirty) this.#sendView();
    });
  }

  #window(): [number, number] {
    const { from, count, follow } = this.#view;
    const rows = this.journal.rows;
    const start = follow ? Math.max(0, rows - count) : Math.max(0, Math.min(from, rows));
    return [start, Math.min(rows, start + count)];
  }

  #size(): Size {
    const j = this.journal;
    return {
      rows: j.rows,
      lines: j.lines,
      end: j.end,
      held: j.heldBytes,
      errors: this.#finder.errors.total,
      errorsComplete: this.#finder.errorsComplete,
    };
  }

  #sendView(): void {
    this.#dirty = false;
    this.#painted = false;
    const [from, to] = this.#window();
    const { errors, re } = this.#finder;
    const told = re === this.#toldRe ? this.#told : NOTHING;
    const rows: (Row | null)[] = [];
    let last = 0;
    for (let r = from; r < to; r++) {
      const p = this.journal.place(r);
      if (!p) break;
      const e = p.extent;
      const n = p.open < 0 && e.buf ? e.line[p.row]! : 0;
      const apart = this.#only && last > 0 && n > last + 1;
      if (n > 0) last = n;
      const was = told.rows[r - told.from];
      if (n > 0 && was?.k === 'line' && was.n === n && was.apart === apart && was.error === errors.has(e, p.row)) {
        this.journal.use(e);
        rows.push(null);
        continue;
      }
      const row = this.#row(p);
      if (row.k === 'line') row.apart = apart;
      // What is no line may be another at any time.
      rows.push(n === 0 && JSON.stringify(row) === JSON.stringify(was) ? null : row);
    }
    this.#told = viewAfter(told, { from, rows });
    this.#toldRe = re;
    this.#host.post({ t: 'view', from, rows, size: this.#size() });
    this.#fetchAround(from, to);
  }

  #row(p: Place): Row {
    const e = p.extent;
    if (p.open >= 0) {
      const open = this.journal.openLine(p.open)!;
      const line = lineAt(this.journal, p);
      return { k: 'line', n: 0, step: open.step, stderr: open.stderr, error: false, timeUs: 0, runs: this.#marked(line.runs), more: line.more, apart: false };
    }
    if (!e.buf) {
      if (Loader.isGap(e)) return { k: 'gap', bytes: e.size, lines: e.lines, problem: e.problem };
      return { k: 'wait', n: e.indexed ? 0 : e.line0 + p.row + 1 };
    }
    this.journal.use(e);
    const flags = e.flags[p.row]!;
    if (flags & RowFlag.event) {
      const event = parseEvent(e.bytes(p.row));
      const step = e.step(p.row);
      const header = event.name === 'step.started';
      return {
        k: 'event',
        name: event.name,
        step,
        timeUs: e.time(p.row),
        fields: slim(event.fields),
        folded: header && this.#folded.has(step),
        errors: header ? this.#finder.errors.ofStep(step) : 0,
      };
    }
    const line = lineAt(this.journal, p, this.#expanded.get(e)?.has(p.row) ?? false);
    return {
      k: 'line',
      n: e.line[p.row]!,
      step: e.step(p.row),
      stderr: (flags & RowFlag.stderr) !== 0,
      error: this.#finder.errors.has(e, p.row),
      timeUs: e.time(p.row),
      runs: this.#marked(line.runs),
      more: line.more,
      apart: false,
    };
  }

  #marked(runs: ReturnType<typeof lineAt>['runs']): ReturnType<typeof lineAt>['runs'] {
    return this.#finder.re ? markRuns(runs, this.#finder.re) : runs;
  }

  #extentsOf(from: number, to: number): Place[] {
    const out: Place[] = [];
    for (let r = Math.max(0, from); r < to; ) {
      const p = this.journal.place(r);
      if (!p || p.open >= 0) break;
      out.push(p);
      r = Math.max(r + 1, this.journal.start(p.index) + p.extent.rows);
    }
    return out;
  }

  /** What the window and its surroundings need: first what is seen. */
  #wanted(from: number, to: number): Place[] {
    // Few hits may be spread over much of a log: they are fetched when they are looked at.
    const ahead = this.#only ? 0 : AHEAD;
    return [...this.#extentsOf(from, to), ...this.#extentsOf(from - ahead, from), ...this.#extentsOf(to, to + ahead)];
  }

  /** Lets go of bytes above the limit, but of none that would be fetched again at once. */
  #evict(): void {
    if (this.journal.memory > this.#memory) this.journal.evict(this.#memory, new Set(this.#wanted(...this.#window()).map((p) => p.extent)));
  }

  #fetchAround(from: number, to: number): void {
    if (!this.#loader) return;
    const wanted = this.#wanted(from, to);
    const missing = wanted.filter((p) => !p.extent.loaded && !Loader.isGap(p.extent));
    this.#loader.keep(new Set(wanted.map((p) => p.extent)));
    for (const p of missing) void this.#fetch(p);
  }

  async #fetch(p: Place): Promise<void> {
    await this.#loader?.load(p.extent, p.extent.line0 + p.row + 1);
    this.#changed();
  }

  #fetchFailed(e: unknown): void {
    if (e instanceof FetchError && e.status === 401) this.#host.post({ t: 'unauthorized' });
    this.#changed();
  }

  #loadRow(row: number): void {
    const p = this.journal.place(row);
    if (!p || p.open >= 0 || !this.#loader) return;
    p.extent.problem = '';
    void this.#loader.load(p.extent, p.extent.line0 + 1, p.extent.indexed ? -1 : p.extent.off).then(() => this.#changed());
  }

  /** Finds the row of a line or an offset, fetching its surroundings when they are not here. */
  async #seek(id: number, target: Target, view: Around | null): Promise<void> {
    await this.#bring(target);
    const row = this.#rowOf(target);
    if (row !== null && view) {
      // The page will go there: it need not ask for what it is about to show, and knows by then how many rows there are.
      const top = Math.max(0, row - view.above);
      this.#view = { from: Math.max(0, top - view.spare), count: view.count, top, follow: false };
      this.#sendView();
    }
    this.#host.post({ t: 'row', id, row, rank: 0 });
  }

  async #bring(target: Target): Promise<void> {
    const j = this.journal;
    for (let attempt = 0; attempt < 6; attempt++) {
      const i = 'line' in target ? j.indexOfLine(target.line) : j.indexOfOffset(target.offset);
      const e = j.extents[i];
      if (!e || e.loaded || !this.#loader) break;
      if (e.loading) await new Promise<void>((resolve) => this.#host.later(resolve, 30));
      else if ('line' in target) await this.#loader.load(e, target.line);
      else await this.#loader.load(e, e.line0 + 1, e.indexed ? -1 : target.offset);
      if (e.problem !== '') break;
    }
  }

  #rowOf(target: Target): number | null {
    const j = this.journal;
    if (j.extents.length === 0) return null;
    if ('line' in target) {
      const e = j.extents[j.indexOfLine(target.line)];
      if (e?.loaded) this.#reveal(e, e.rowOfLine(target.line));
      return j.rowOfLine(target.line);
    }
    const i = j.indexOfOffset(target.offset);
    if (i < 0) return Math.max(0, j.rows - 1);
    const e = j.extents[i]!;
    return j.start(i) + (e.loaded ? e.shownOf(e.rowOfOffset(target.offset)) : 0);
  }

  /** Where in the journal a row of the window is; before all of it, or behind. */
  #spot(row: number): Spot {
    const p = this.journal.place(row);
    if (!p) return edge(this.journal, row >= 0);
    const e = p.extent;
    return { index: p.index, row: p.row, line: e.loaded ? 0 : e.line0 + p.row + 1 };
  }

  async #next(id: number, what: 'hit' | 'error', from: number, forward: boolean, once = false): Promise<void> {
    const hit = await this.#finder.next(what, this.#spot(from), forward, once);
    let row: number | null = null;
    const e = hit && this.journal.extents[hit.index];
    if (hit && e) {
      // Seen before its bytes went, or told by the server: they have to be here to show it.
      const byLine = hit.row < 0;
      await this.#bring(byLine ? { line: hit.line } : { offset: e.off });
      if (!byLine) this.#reveal(e, hit.row);
      row = byLine ? this.#rowOf({ line: hit.line }) : this.journal.start(this.journal.extents.indexOf(e)) + e.shownOf(hit.row);
    }
    this.#sendView(); // the page is to know how many rows there are before it goes there
    this.#host.post({ t: 'row', id, row, rank: hit?.rank ?? 0 });
  }

  #expand(row: number): void {
    const p = this.journal.place(row);
    if (!p || p.open >= 0) return;
    let rows = this.#expanded.get(p.extent);
    if (!rows) this.#expanded.set(p.extent, (rows = new Set()));
    rows.add(p.row);
    this.#told = NOTHING;
    this.#changed();
  }

  async #text(id: number, from: Point, to: Point): Promise<void> {
    const answer = await textBetween(this.journal, from, to, async (what) => {
      await this.#bring(what);
      await new Promise<void>((resolve) => this.#host.later(resolve, 0));
    });
    this.#host.post({ t: 'text', id, ...answer });
  }
}

/** Events are shown from a few of their fields; argv and outputs can be long. */
function slim(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [k, v] of Object.entries(fields)) {
    if (typeof v === 'string') out[k] = v.slice(0, 1000);
    else if (typeof v === 'number' || typeof v === 'boolean') out[k] = v;
    else if (k === 'names' && Array.isArray(v)) out[k] = v.filter((n) => typeof n === 'string').slice(0, 16);
  }
  return out;
}
