// An extent: a piece of the journal [off, end), at record boundaries, and the rows in it. Its bytes
// may be in memory or not; what is known about its rows outlives the bytes, so that nothing moves on
// the screen when the cache lets go of them.

import { recordKind, recordStep, recordTime, type Kind } from '../proto/record.ts';
import type { PenStates } from './pens.ts';

/** New bytes at the tail open a new extent past this many. */
export const EXTENT_BYTES = 256 * 1024;

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

export class Extent {
  end: number;
  /** Newlines in it. */
  lines = 0;
  /** Rows it shows; for an unknown extent a guess: one a line, at least one. */
  rows: number;
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
  lastUse = 0;

  flags = new Uint8Array(0);
  from = new Uint32Array(0);
  to = new Uint32Array(0);
  style = new Uint16Array(0);
  record = new Uint32Array(0);
  line = new Uint32Array(0);
  multi = new Map<number, Pieces>();

  constructor(
    readonly off: number,
    end: number,
    /** Newlines in the journal before it. */
    readonly line0: number,
    lines: number,
  ) {
    this.end = end;
    this.lines = lines;
    this.rows = Math.max(1, lines);
  }

  get size(): number {
    return this.end - this.off;
  }

  get loaded(): boolean {
    return this.buf !== null;
  }

  /** Bytes of memory it holds. */
  get memory(): number {
    return (this.buf?.byteLength ?? 0) + this.flags.length * 19;
  }

  /** Makes it hold `bytes`, not indexed yet. */
  hold(bytes: Uint8Array, capacity = bytes.length): void {
    if (capacity > bytes.length) {
      this.buf = new Uint8Array(capacity);
      this.buf.set(bytes);
    } else this.buf = bytes;
    this.used = bytes.length;
    this.end = this.off + bytes.length;
    this.resetRows();
  }

  resetRows(): void {
    this.rows = 0;
    this.lines = 0;
    this.multi = new Map();
    this.indexed = true;
    if (this.flags.length === 0) this.grow(Math.max(64, this.used >> 6));
  }

  /** Lets go of the bytes and the rows, keeps the counts. */
  evict(): void {
    this.buf = null;
    this.used = 0;
    this.flags = new Uint8Array(0);
    this.from = this.to = this.record = this.line = new Uint32Array(0);
    this.style = new Uint16Array(0);
    this.multi = new Map();
  }

  addRow(flags: number, from: number, to: number, style: number, record: number, line: number): number {
    const i = this.rows++;
    if (i >= this.flags.length) this.grow(Math.max(64, i * 2));
    this.flags[i] = flags;
    this.from[i] = from;
    this.to[i] = to;
    this.style[i] = style;
    this.record[i] = record;
    this.line[i] = line;
    return i;
  }

  private grow(n: number): void {
    const copy = <T extends Uint8Array | Uint16Array | Uint32Array>(a: T, b: T): T => (b.set(a), b);
    this.flags = copy(this.flags, new Uint8Array(n));
    this.from = copy(this.from, new Uint32Array(n));
    this.to = copy(this.to, new Uint32Array(n));
    this.style = copy(this.style, new Uint16Array(n));
    this.record = copy(this.record, new Uint32Array(n));
    this.line = copy(this.line, new Uint32Array(n));
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
  kind(row: number): Kind {
    return recordKind(this.buf!, this.record[row]!);
  }

  /** The row of line number `n` (1-based), or the first row after it. */
  rowOfLine(n: number): number {
    for (let i = 0; i < this.rows; i++) if (this.line[i]! >= n) return i;
    return Math.max(0, this.rows - 1);
  }

  /** The first row made by the record at journal offset `offset` or one after it. */
  rowOfOffset(offset: number): number {
    const at = offset - this.off;
    for (let i = 0; i < this.rows; i++) if (this.record[i]! >= at) return i;
    return Math.max(0, this.rows - 1);
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
