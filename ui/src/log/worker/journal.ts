// The log of one run as the viewer knows it: extents in order, from offset 0 to the end seen so far,
// without holes (what was never fetched is an unknown extent). Owns the bytes; no DOM, no network.

import { recordLine, recordSize, recordVerify } from '../../proto/record.ts';
import { StyleTable } from '../ansi.ts';
import { CAPACITY, Extent, EXTENT_BYTES, give, take, type RowFilter } from './extent.ts';
import { indexRecords } from './indexer.ts';
import { NO_PENS, Pens, samePens } from './pens.ts';

/** Where a row is. `open`: index of an unfinished line behind the last extent, else -1. */
export interface Place {
  index: number;
  extent: Extent;
  /** Its row in the extent, hidden ones counted; while the bytes are not here: shown ones. */
  row: number;
  open: number;
}

/** Something that stays the same row while rows come and go above it. */
export type Anchor = { extent: Extent; row: number; exact: boolean; line: number } | { open: number } | null;

export class Journal {
  readonly styles = new StyleTable();
  readonly extents: Extent[] = [];
  /** First row of each extent; good below `startsGood`. */
  #starts: number[] = [];
  #startsGood = 0;
  #tailPens = new Pens(null);
  /** The start of a record whose rest has not come yet. */
  #carry = new Uint8Array(0);
  /** Extents whose bytes are here, the least recently used first. */
  readonly held = new Set<Extent>();
  #filter: RowFilter | null = null;

  /** Journal bytes known about, up to the last whole record: from there a stream goes on. */
  get end(): number {
    return this.extents.at(-1)?.end ?? 0;
  }

  get lines(): number {
    const last = this.extents.at(-1);
    return last ? last.line0 + last.lines : 0;
  }

  get openLines(): number {
    return this.#tail ? this.#openPens().length : 0;
  }

  #openPens(): ReturnType<Pens['open']> {
    const open = this.#tailPens.open();
    if (this.#filter?.lines) return []; // they have no number yet
    return this.#filter ? open.filter(([pen]) => this.#filter!.pen(pen)) : open;
  }

  /** Shows only what passes; null: everything. Events are shown unless lines are chosen. */
  setFilter(filter: RowFilter | null): void {
    this.#filter = filter;
    for (const e of this.extents) e.setFilter(filter);
    this.#startsGood = 0;
  }

  #extent(off: number, end: number, line0: number, lines: number): Extent {
    const e = new Extent(off, end, line0, lines);
    e.setFilter(this.#filter);
    return e;
  }

  get rows(): number {
    const n = this.extents.length;
    return n === 0 ? 0 : this.start(n - 1) + this.extents[n - 1]!.rows + this.openLines;
  }

  /** The extent the stream appends to, when its bytes are here. */
  get #tail(): Extent | null {
    const last = this.extents.at(-1);
    return last?.buf ? last : null;
  }

  /** Bytes of memory that what is here takes. */
  get memory(): number {
    let n = 0;
    for (const e of this.held) n += e.memory;
    return n;
  }

  get heldBytes(): number {
    let n = 0;
    for (const e of this.held) n += e.used;
    return n;
  }

  /** Forgets everything: the journal is shorter than what we hold. */
  clear(): void {
    for (const e of this.held) e.free();
    this.held.clear();
    this.extents.length = 0;
    this.#startsGood = 0;
    this.#dropTail();
  }

  #dropTail(): void {
    this.#tailPens = new Pens(null);
    this.#carry = new Uint8Array(0);
  }

  /**
   * Bytes of the stream, in any split. What is already here is skipped; what is missing before them
   * becomes an unknown extent. Throws RecordError when a record is damaged: nothing of it is kept.
   */
  append(offset: number, bytes: Uint8Array): void {
    const at = this.end + this.#carry.length;
    if (offset + bytes.length <= at) return;
    if (offset < at) {
      bytes = bytes.subarray(at - offset);
      offset = at;
    } else if (offset > at) this.#openGap(offset, bytes);
    if (this.#carry.length > 0) {
      const joined = new Uint8Array(this.#carry.length + bytes.length);
      joined.set(this.#carry);
      joined.set(bytes, this.#carry.length);
      bytes = joined;
      this.#carry = new Uint8Array(0);
    }
    let done = 0;
    while (done < bytes.length) {
      const whole = this.#appendSome(bytes, done);
      if (whole === 0) break;
      done += whole;
    }
    if (done < bytes.length) this.#carry = bytes.slice(done);
  }

  /** Appends the whole records that fit into the tail extent; 0 when there is no whole record. */
  #appendSome(bytes: Uint8Array, from: number): number {
    let e = this.#tail;
    if (e && e.used >= EXTENT_BYTES) e = null;
    if (e && e.buf!.length < CAPACITY) {
      // A tail that was filled by a fetch has no room of its own.
      const grown = take(CAPACITY);
      grown.set(e.buf!.subarray(0, e.used));
      give(e.buf!);
      e.buf = grown;
    }
    const room = CAPACITY - (e ? e.used : 0);
    let n = 0;
    while (from + n < bytes.length && n < EXTENT_BYTES) {
      const size = recordSize(bytes, from + n);
      if (size === 0 || from + n + size > bytes.length || n + size > room) break;
      recordVerify(bytes, from + n, size);
      n += size;
    }
    if (n === 0) {
      const size = e ? recordSize(bytes, from) : 0;
      if (size === 0 || from + size > bytes.length) return 0;
      this.#newTail(recordLine(bytes, from)); // it is whole, and there was no room for it
      return this.#appendSome(bytes, from);
    }
    if (!e) e = this.#newTail(recordLine(bytes, from));
    const start = e.used;
    e.buf!.set(bytes.subarray(from, from + n), start);
    e.used += n;
    e.end += n;
    indexRecords(e, start, this.#tailPens, this.styles);
    this.#touched(this.extents.length - 1);
    return n;
  }

  #newTail(line: number): Extent {
    const last = this.#tail;
    const before = this.extents.at(-1);
    if (before && !before.indexed) {
      // Only now is it known how many lines the stretch before the stream holds.
      before.lines = Math.max(0, line - before.line0);
      before.count = Math.max(1, before.lines);
      this.#touched(this.extents.length - 1);
    }
    const e = this.#extent(this.end, this.end, line, 0);
    if (last) {
      last.exit = this.#tailPens.states(last.buf!);
      e.entry = last.exit;
    } else if (this.extents.length === 0) e.entry = NO_PENS;
    e.hold(take(CAPACITY), 0, last?.count ?? 512);
    this.use(e);
    this.extents.push(e);
    return e;
  }

  #openGap(offset: number, bytes: Uint8Array): void {
    const last = this.#tail;
    if (last) last.exit = this.#tailPens.states(last.buf!);
    this.#dropTail();
    const from = this.end;
    const lines = this.lines;
    const next = recordSize(bytes, 0) > 0 ? recordLine(bytes, 0) : lines;
    const before = this.extents.at(-1);
    // Two unknown stretches in a row are one.
    const old = before && !before.indexed ? this.extents.pop()! : { off: from, line0: lines };
    this.extents.push(this.#extent(old.off, offset, old.line0, Math.max(0, next - old.line0)));
    this.#touched(this.extents.length - 1);
  }

  /** The stream starts at `offset`: what lies before and was not seen is unknown. */
  startAt(offset: number): void {
    if (offset <= this.end) return;
    this.#openGap(offset, new Uint8Array(0));
  }

  /**
   * Fetched bytes, whole records from `offset` on, that lie in extent i; they are the journal's from now on. Returns
   * the index of the extent that now holds them. Throws RecordError.
   */
  fill(i: number, offset: number, bytes: Uint8Array): number {
    let n = 0;
    for (let size; n < bytes.length; n += size) {
      size = recordSize(bytes, n);
      if (size === 0 || n + size > bytes.length) break;
      recordVerify(bytes, n, size);
    }
    const old = this.extents[i]!;
    n = Math.min(n, old.end - offset);
    bytes = bytes.subarray(0, n);
    let at = i;
    let e = old;
    const rows = old.indexed ? old.count : Math.ceil((old.lines * n) / Math.max(1, old.size));
    if (!old.indexed) {
      const line = n > 0 ? recordLine(bytes, 0) : old.line0;
      e = this.#extent(offset, offset + n, line, 0);
      const parts = [e];
      if (offset > old.off) parts.unshift(this.#extent(old.off, offset, old.line0, line - old.line0));
      at = i + parts.length - 1;
      this.extents.splice(i, 1, ...parts);
    }
    e.hold(bytes, n, rows);
    this.#index(at);
    const done = e.line0 + e.lines;
    if (e !== old && offset + n < old.end) this.extents.splice(at + 1, 0, this.#extent(offset + n, old.end, done, old.line0 + old.lines - done));
    this.use(e);
    this.#settle(at);
    this.#touched(i);
    return at;
  }

  /** Indexes extent i from its bytes, with what the extent before it leaves behind. */
  #index(i: number): void {
    const e = this.extents[i]!;
    const before = this.extents[i - 1];
    if (i === 0) e.entry = NO_PENS;
    else if (before?.exit) e.entry = before.exit;
    const pens = new Pens(e.entry);
    const lines = e.lines;
    e.resetRows();
    indexRecords(e, 0, pens, this.styles);
    e.lines = Math.max(lines, e.lines);
    if (i === this.extents.length - 1) this.#tailPens = pens;
    else e.exit = pens.states(e.buf!);
  }

  /** Carries the pens at the end of extent i into those behind it that did not know them. */
  #settle(i: number): void {
    for (let k = i + 1; k < this.extents.length; k++) {
      const exit = this.extents[k - 1]!.exit;
      const e = this.extents[k]!;
      if (!exit || !e.indexed || samePens(e.entry, exit)) return;
      e.entry = exit;
      if (!e.buf) return;
      this.#index(k);
    }
  }

  /** Lets go of the least recently used bytes above the limit; `keep` are not to go. */
  evict(limit: number, keep: ReadonlySet<Extent>): void {
    let { memory } = this;
    const last = this.extents.at(-1);
    for (const e of this.held) {
      if (memory <= limit) return;
      if (e === last || keep.has(e)) continue;
      memory -= e.memory;
      e.evict();
      this.held.delete(e);
    }
  }

  use(e: Extent): void {
    this.held.delete(e);
    this.held.add(e);
  }

  #touched(i: number): void {
    this.#startsGood = Math.min(this.#startsGood, i + 1);
    this.#starts.length = Math.min(this.#starts.length, this.extents.length);
  }

  /** First row of extent i. */
  start(i: number): number {
    for (let k = Math.max(1, this.#startsGood); k <= i; k++) this.#starts[k] = (this.#starts[k - 1] ?? 0) + this.extents[k - 1]!.rows;
    this.#starts[0] = 0;
    this.#startsGood = Math.max(this.#startsGood, i + 1);
    return this.#starts[i]!;
  }

  place(row: number): Place | null {
    const n = this.extents.length;
    if (n === 0 || row < 0) return null;
    const last = this.start(n - 1);
    const lastExtent = this.extents[n - 1]!;
    if (row >= last + lastExtent.rows) {
      const open = row - last - lastExtent.rows;
      return open < this.openLines ? { index: n - 1, extent: lastExtent, row: lastExtent.rows, open } : null;
    }
    let lo = 0;
    let hi = n - 1;
    while (lo < hi) {
      const mid = (lo + hi + 1) >> 1;
      if (this.#starts[mid]! <= row) lo = mid;
      else hi = mid - 1;
    }
    // Extents without rows share their start with the next one.
    while (row - this.#starts[lo]! >= this.extents[lo]!.rows && lo < n - 1) lo++;
    const extent = this.extents[lo]!;
    return { index: lo, extent, row: extent.rowAt(row - this.#starts[lo]!), open: -1 };
  }

  /** The pen of unfinished line `i` and whether it writes stderr. */
  openLine(i: number): { step: number; stderr: boolean; pen: ReturnType<Pens['get']> } | null {
    const found = this.#openPens()[i];
    return found ? { step: found[0] >> 1, stderr: (found[0] & 1) === 1, pen: found[1] } : null;
  }

  indexOfOffset(offset: number): number {
    return this.extents.findIndex((e) => offset >= e.off && offset < e.end);
  }

  /** The extent in which line n (1-based) ends, -1 when it has not ended. */
  indexOfLine(n: number): number {
    return this.extents.findIndex((e) => n > e.line0 && n <= e.line0 + e.lines);
  }

  /** The row of line n, or the nearest one. */
  rowOfLine(n: number): number {
    const i = this.indexOfLine(n);
    if (i < 0) return n <= 1 ? 0 : Math.max(0, this.rows - 1);
    const e = this.extents[i]!;
    return this.start(i) + (e.buf ? e.shownOf(e.rowOfLine(n)) : Math.max(0, Math.min(e.rows - 1, e.shownOf(n - e.line0 - 1))));
  }

  anchor(row: number): Anchor {
    const p = this.place(row);
    if (!p) return null;
    if (p.open >= 0) return { open: p.open };
    return { extent: p.extent, row: p.row, exact: p.extent.loaded, line: p.extent.byLine ? p.extent.line0 + p.row + 1 : 0 };
  }

  rowOfAnchor(a: Anchor): number | null {
    if (!a) return null;
    if ('open' in a) return Math.max(0, this.rows - this.openLines + a.open);
    const i = this.extents.indexOf(a.extent);
    if (i >= 0 && (a.line === 0 || !a.extent.loaded)) return this.start(i) + Math.min(a.exact || a.line > 0 ? a.extent.shownOf(a.row) : a.row, a.extent.rows);
    if (a.line === 1 && !a.exact) return 0; // the very top, whatever comes to light above the first line
    return a.line > 0 ? this.rowOfLine(a.line) : null;
  }
}
