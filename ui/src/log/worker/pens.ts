// Pens. Each (step, stream) writes with its own pen: records of parallel steps interleave, and line n
// is what the n-th newline ends, whichever pen wrote it. A pen holds the text since its last newline
// and the style that text starts with.

import { PLAIN, styleAfter, type StyleTable } from '../ansi.ts';
import { joinPieces, type Pieces } from './extent.ts';

/** Of a line that goes on and on without a newline, the first and last bytes are kept. */
const HEAD_FIRST = 16 * 1024;
const HEAD_LAST = 48 * 1024;
/** Of one between two extents that are not here, so much. */
const HEAD_AWAY = 4 * 1024;

/** A pen between two extents. Immutable. */
export interface PenState {
  readonly style: number;
  readonly head: Uint8Array | null;
  readonly skipped: number;
  readonly returns: number;
  readonly flags: number;
}

/** Keyed by step * 2, + 1 for stderr. Pens in their first state are left out. */
export type PenStates = ReadonlyMap<number, PenState>;

export const NO_PENS: PenStates = new Map();

const scratch = { ...PLAIN };

export class Pen implements Pieces {
  /** Style id at the first byte of the line. */
  style = 0;
  head: Uint8Array | null = null;
  skipped = 0;
  spans: number[] = [];
  /** Carriage returns in the line so far. */
  returns = 0;
  /** RowFlag bits seen so far. */
  flags = 0;
  /** Position of the header of the record that wrote last. */
  record = 0;

  get empty(): boolean {
    return this.head === null && this.spans.length === 0;
  }

  /** Goes on with the style that the bytes leave behind. Says whether some of them may be red. */
  passes(u: Uint8Array, from: number, end: number, table: StyleTable): boolean {
    const style = Object.assign(scratch, table.get(this.style));
    const red = styleAfter(u, from, end, style);
    this.style = table.id(style);
    return red;
  }

  clear(): void {
    this.head = null;
    this.skipped = 0;
    this.spans = [];
    this.returns = 0;
    this.flags = 0;
  }

  /** Moves what it holds out of the extent's buffer, which may go away. */
  detach(buf: Uint8Array): void {
    if (this.spans.length === 0) return;
    let head = joinPieces(this, buf);
    if (head.length > HEAD_FIRST + HEAD_LAST) {
      const kept = new Uint8Array(HEAD_FIRST + HEAD_LAST);
      kept.set(head.subarray(0, HEAD_FIRST));
      kept.set(head.subarray(head.length - HEAD_LAST), HEAD_FIRST);
      this.skipped += head.length - kept.length;
      head = kept;
    }
    this.head = head;
    this.spans = [];
  }

  state(): PenState {
    return { style: this.style, head: this.head, skipped: this.skipped, returns: this.returns, flags: this.flags };
  }

  static of(s: PenState): Pen {
    return Object.assign(new Pen(), s);
  }
}

export class Pens {
  readonly byKey: Map<number, Pen>;

  constructor(entry: PenStates | null) {
    this.byKey = new Map();
    if (entry) for (const [key, s] of entry) this.byKey.set(key, Pen.of(s));
  }

  get(key: number): Pen {
    let p = this.byKey.get(key);
    if (!p) this.byKey.set(key, (p = new Pen()));
    return p;
  }

  /** Pens with text that no newline has ended, in a fixed order. */
  open(step = -1): [number, Pen][] {
    const out: [number, Pen][] = [];
    for (const [key, p] of this.byKey) if (!p.empty && (step < 0 || key >> 1 === step)) out.push([key, p]);
    return out.sort((a, b) => a[0] - b[0]);
  }

  forget(step: number): void {
    this.byKey.delete(step * 2);
    this.byKey.delete(step * 2 + 1);
  }

  /** The states at this point; the pens let go of `buf`. */
  states(buf: Uint8Array): PenStates {
    const out = new Map<number, PenState>();
    for (const [key, p] of this.byKey) {
      p.detach(buf);
      if (p.style !== 0 || p.head !== null) out.set(key, p.state());
    }
    return out;
  }
}

/** Bytes of unfinished lines in them. */
export function headBytes(states: PenStates | null): number {
  let n = 0;
  for (const s of states?.values() ?? []) n += s.head?.length ?? 0;
  return n;
}

/** The same, with less of long lines. */
export function shortened(states: PenStates | null): PenStates | null {
  if (headBytes(states) <= HEAD_AWAY) return states;
  return new Map(
    [...states!].map(([key, s]) => {
      const head = s.head?.slice(0, HEAD_AWAY) ?? null;
      return [key, { ...s, head, skipped: s.skipped + (s.head?.length ?? 0) - (head?.length ?? 0) }];
    }),
  );
}

export function samePens(a: PenStates | null, b: PenStates | null): boolean {
  const x = a ?? NO_PENS;
  const y = b ?? NO_PENS;
  if (x.size !== y.size) return false;
  for (const [key, s] of x) {
    const t = y.get(key);
    if (!t || s.style !== t.style || s.skipped !== t.skipped || s.returns !== t.returns || s.flags !== t.flags || String(s.head) !== String(t.head)) return false;
  }
  return true;
}
