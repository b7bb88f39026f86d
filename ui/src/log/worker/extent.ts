// An extent: a piece of the journal [off, end), at record boundaries, and the rows in it. Its bytes
// may be in memory or not; what is known about its rows outlives the bytes, so that nothing moves on
// the screen when the cache lets go of them.

import { recordStep, recordTime, RECORD_HEADER_BYTES, RECORD_MAX_PAYLOAD } from '../../proto/record.ts';
import { headBytes, shortened, type PenStates } from './pens.ts';

/** Bytes of most extents' buffers, whether they were fetched or came with the stream: one can have another's. */
export const CAPACITY = 320 * 1024;
/** New bytes at the tail open a new extent past this many: one more record must fit. */
export const EXTENT_BYTES = CAPACITY - RECORD_HEADER_BYTES - RECORD_MAX_PAYLOAD;

export const enum RowFlag {
  /** A line of stderr. */
  stderr = 1,
  /** Holds carriage returns or backspaces: the cursor moved back. */
  moves = 2,
  /** Its bytes are in several places: see `multi`. */
  multi = 4,
  /** Holds an escape byte. */
  escape = 8,
  /** Text that no newline ended before its step did. */
  open = 16,
  /** An event record that is shown. */
  event = 32,
  /** Some of it may be in one of the two reds; not told of lines in pieces. */
  red = 64,
}

/** Bytes that a row takes in the index, and about as many as one in pieces takes besides. */
const ROW_BYTES = 19;
const PIECES_BYTES = 200;

/** Buffers for the next extents. Left to the collector, as much again as is held would lie about. */
const spare: ArrayBuffer[] = [];
const SPARES = 4;

/** Gives the memory of a buffer that was made here back now; nobody may hold a view of it. */
export function release(view: { readonly buffer: ArrayBufferLike }): void {
  (view.buffer as { transfer?(length: number): unknown }).transfer?.(0);
}

/** Room for so many bytes, with anything in it. */
export function take(bytes: number): Uint8Array {
  if (bytes < CAPACITY / 2 || bytes > CAPACITY) return new Uint8Array(bytes);
  return new Uint8Array(spare.pop() ?? new ArrayBuffer(CAPACITY));
}

/** What take gave is needed no more. */
export function give(view: Uint8Array): void {
  if (view.buffer.byteLength === CAPACITY && spare.length < SPARES) spare.push(view.buffer as ArrayBuffer);
  else release(view);
}

/** Where the bytes of a line are that is not one stretch of the buffer. */
export interface Pieces {
  /** What came before this extent. */
  head: Uint8Array | null;
  /** Bytes left out of the middle of `head`. */
  skipped: number;
  /** start, end, start, end, … in the buffer. */
  spans: number[];
}

/** What is shown of a log when it is not all of it. */
export interface RowFilter {
  /** Whether lines of a pen (step * 2, + 1 for stderr) are shown. */
  pen(pen: number): boolean;
  /** Only these lines (numbers from 1, in order), and nothing that is no line; null: all. */
  readonly lines: readonly number[] | null;
}

/** The first index whose value is at least v. */
export function lowerBound(a: readonly number[], v: number): number {
  let lo = 0;
  let hi = a.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (a[mid]! < v) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

export class Extent {
  end: number;
  /** Newlines in it. */
  lines = 0;
  /** Rows in it, shown or not; for an unknown extent a guess: one a line, at least one. */
  count: number;
  buf: Uint8Array | null = null;
  used = 0;
  /** Its rows were counted once (the bytes may be gone again). */
  indexed = false;
  /** How its first byte finds the pens; null: not known, taken as untouched. */
  entry: PenStates | null = null;
  exit: PenStates | null = null;
  /** Why it could not be fetched; '' when nobody failed. */
  problem = '';
  loading = false;

  // Views of one buffer (see `grow`).
  flags!: Uint8Array;
  from!: Uint32Array;
  to!: Uint32Array;
  style!: Uint16Array;
  record!: Uint32Array;
  line!: Uint32Array;
  multi = new Map<number, Pieces>();

  #filter: RowFilter | null = null;
  /** With a filter: the rows that pass, while the bytes are here. */
  #passing: number[] | null = null;
  /** With a filter: how many rows pass, when the bytes are gone. */
  #passed = 0;
  /** What the rows were, for counting when the bytes are gone: lines by pen, and events under -1. */
  #tally: ReadonlyMap<number, number> | null = null;

  constructor(
    readonly off: number,
    end: number,
    /** Newlines in the journal before it. */
    readonly line0: number,
    lines: number,
  ) {
    this.end = end;
    this.lines = lines;
    this.count = Math.max(1, lines);
    this.#layOut(0);
  }

  get size(): number {
    return this.end - this.off;
  }

  /** Rows it shows. */
  get rows(): number {
    if (!this.#filter) return this.count;
    if (this.#passing) return this.#passing.length;
    if (this.#filter.lines) return this.#linesHere(this.#filter.lines)[1];
    return this.indexed ? this.#passed : this.count;
  }

  /** Where its lines are among those of the filter: index of the first, and how many. */
  #linesHere(lines: readonly number[]): [number, number] {
    const from = lowerBound(lines, this.line0 + 1);
    return [from, lowerBound(lines, this.line0 + this.lines + 1) - from];
  }

  /** Shows only lines that pass; null: everything. */
  setFilter(filter: RowFilter | null): void {
    this.#filter = filter;
    this.#passing = null;
    if (!filter) return;
    if (this.buf) this.#passing = filter.lines ? this.#passingLines(filter, filter.lines) : this.#passingRows();
    else this.#countPassing();
  }

  #passingRows(): number[] {
    const out: number[] = [];
    for (let i = 0; i < this.count; i++) if (this.passes(i)) out.push(i);
    return out;
  }

  /** Both are in order: one walk over the rows, whatever the number of lines. */
  #passingLines(filter: RowFilter, lines: readonly number[]): number[] {
    const out: number[] = [];
    let [k, left] = this.#linesHere(lines);
    for (let i = 0; i < this.count && left > 0; i++) {
      const n = this.line[i]!;
      if (n === 0) continue;
      while (left > 0 && lines[k]! < n) k++, left--;
      if (left > 0 && lines[k] === n && filter.pen(this.pen(i))) out.push(i);
    }
    return out;
  }

  #countPassing(): void {
    this.#passed = 0;
    for (const [key, n] of this.#tally ?? []) if (key < 0 || this.#filter!.pen(key)) this.#passed += n;
  }

  /** Pen of a line, step * 2 + 1 for stderr; -1 for an event. */
  pen(row: number): number {
    const flags = this.flags[row]!;
    return flags & RowFlag.event ? -1 : this.step(row) * 2 + (flags & RowFlag.stderr ? 1 : 0);
  }

  /** Whether a row is shown. Its bytes must be here. */
  passes(row: number): boolean {
    const filter = this.#filter;
    if (!filter) return true;
    const pen = this.pen(row);
    if (!filter.lines) return pen < 0 || filter.pen(pen);
    const n = this.line[row]!;
    return pen >= 0 && n > 0 && filter.lines[lowerBound(filter.lines, n)] === n && filter.pen(pen);
  }

  /** Shown rows before a row. */
  shownOf(row: number): number {
    if (this.#passing) return lowerBound(this.#passing, row);
    const lines = this.#filter?.lines;
    return lines ? lowerBound(lines, this.line0 + row + 1) - this.#linesHere(lines)[0] : row;
  }

  /** The row that is shown at a place; of lines that are not here, how many come before. */
  rowAt(shown: number): number {
    if (this.#passing) return this.#passing[shown] ?? this.count;
    const lines = this.#filter?.lines;
    return lines ? lines[this.#linesHere(lines)[0] + shown]! - this.line0 - 1 : shown;
  }

  /** Its rows are lines, one for one: those it does not hold, when lines are chosen. */
  get byLine(): boolean {
    return !this.indexed || (!this.buf && this.#filter?.lines != null);
  }

  get loaded(): boolean {
    return this.buf !== null;
  }

  /** Bytes of memory it holds. */
  get memory(): number {
    return (this.buf?.buffer.byteLength ?? 0) + this.flags.length * ROW_BYTES + this.multi.size * PIECES_BYTES + headBytes(this.exit);
  }

  /** Makes it hold `buf`, of which `used` bytes are records that are not indexed yet, with about so many rows. */
  hold(buf: Uint8Array, used: number, rows: number): void {
    this.buf = buf;
    this.used = used;
    this.end = this.off + used;
    this.#grow(rows + 8);
    this.resetRows();
  }

  resetRows(): void {
    this.count = 0;
    this.lines = 0;
    this.multi = new Map();
    this.indexed = true;
    this.#passing = this.#filter ? [] : null;
  }

  /** Lets go of the bytes and the rows, keeps the counts. */
  evict(): void {
    const tally = new Map<number, number>();
    for (let i = 0; i < this.count; i++) {
      const pen = this.pen(i);
      tally.set(pen, (tally.get(pen) ?? 0) + 1);
    }
    this.#tally = tally;
    this.#passing = null;
    if (this.#filter) this.#countPassing();
    // Nobody looks into a stretch of one line; of long ones that reach into the next, what is shown of them is kept.
    this.entry = this.count > 0 ? shortened(this.entry) : null;
    this.exit = this.count > 0 ? shortened(this.exit) : null;
    this.free();
    this.multi = new Map();
  }

  /** Lets go of everything at once. */
  free(): void {
    if (this.buf) give(this.buf);
    this.buf = null;
    this.used = 0;
    release(this.flags);
    this.#layOut(0);
  }

  addRow(flags: number, from: number, to: number, style: number, record: number, line: number): number {
    const i = this.count++;
    if (i >= this.flags.length) this.#grow(i + (i >> 1));
    this.flags[i] = flags;
    this.from[i] = from;
    this.to[i] = to;
    this.style[i] = style;
    this.record[i] = record;
    this.line[i] = line;
    if (this.#passing && this.passes(i)) this.#passing.push(i);
    return i;
  }

  #grow(n: number): void {
    if (n <= this.flags.length) return;
    const columns = () => [this.flags, this.from, this.to, this.style, this.record, this.line];
    const old = columns();
    this.#layOut(n);
    columns().forEach((c, i) => c.set(old[i]!));
    release(old[0]!);
  }

  /** Room for n rows, in one buffer: of six, each costs a header and a place in the collector's books. */
  #layOut(n: number): void {
    const b = new ArrayBuffer(n * ROW_BYTES);
    const words = (k: number) => new Uint32Array(b, k * 4 * n, n);
    this.from = words(0);
    this.to = words(1);
    this.record = words(2);
    this.line = words(3);
    this.style = new Uint16Array(b, 16 * n, n);
    this.flags = new Uint8Array(b, 18 * n, n);
  }

  /** A row's bytes: its line without the newline, or its event's JSON. */
  bytes(row: number): Uint8Array {
    const buf = this.buf!;
    if (!(this.flags[row]! & RowFlag.multi)) return buf.subarray(this.from[row]!, this.to[row]!);
    return joinPieces(this.multi.get(row)!, buf);
  }

  time(row: number): number {
    return recordTime(this.buf!, this.record[row]!);
  }
  step(row: number): number {
    return recordStep(this.buf!, this.record[row]!);
  }

  /** The first row of which `what` is at least v. */
  #firstRow(what: Uint32Array, v: number): number {
    const i = what.findIndex((x) => x >= v);
    return i < 0 || i >= this.count ? Math.max(0, this.count - 1) : i;
  }

  /** The row of line number `n` (1-based), or the first row after it. */
  rowOfLine(n: number): number {
    return this.#firstRow(this.line, n);
  }

  /** The first row made by the record at journal offset `offset` or one after it. */
  rowOfOffset(offset: number): number {
    return this.#firstRow(this.record, offset - this.off);
  }
}

export function joinPieces(p: Pieces, buf: Uint8Array): Uint8Array {
  let n = p.head?.length ?? 0;
  for (let i = 0; i < p.spans.length; i += 2) n += p.spans[i + 1]! - p.spans[i]!;
  const out = new Uint8Array(n);
  let o = 0;
  if (p.head) {
    out.set(p.head);
    o = p.head.length;
  }
  for (let i = 0; i < p.spans.length; i += 2) {
    const s = buf.subarray(p.spans[i], p.spans[i + 1]);
    out.set(s, o);
    o += s.length;
  }
  return out;
}
