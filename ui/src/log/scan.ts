// Looks through the rows that are here, in slices: for errors, and for what somebody searches.

import type { Extent } from './extent.ts';
import { RowFlag } from './extent.ts';
import type { Journal } from './journal.ts';
import type { Query } from './messages.ts';
import { lineAt, placeText } from './rows.ts';
import { isRed, runsText, type Run } from './text.ts';

const ERROR = /\b(?:error|errors|fatal|panic|panicked|exception|traceback|failed|failure|segfault|denied)\b|[✖✗✘❌]/i;
const NO_ERROR = /\b(?:0|no|zero|without|ignor(?:e|ed|ing))\s+(?:errors?|failures?|failed|exceptions?)\b|\bstandard error\b|\b(?:errors?|failures?|failed)\s*[:=]\s*0\b/i;

export function isErrorText(text: string): boolean {
  return ERROR.test(text) && !NO_ERROR.test(text);
}

/** The expression of a query: smart case (capitals make it exact). Throws on a bad pattern. */
export function queryRegExp(q: Query): RegExp {
  const source = q.regex ? q.text : q.text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(source, /\p{Lu}/u.test(q.regex ? q.text.replace(/\\./g, '') : q.text) ? 'gu' : 'giu');
}

/** Splits runs where the expression matches. */
export function markRuns(runs: Run[], re: RegExp): Run[] {
  const text = runsText(runs);
  const spans: [number, number][] = [];
  re.lastIndex = 0;
  for (let m = re.exec(text); m && spans.length < 200; m = re.exec(text)) {
    if (m[0] === '') re.lastIndex++;
    else spans.push([m.index, m.index + m[0].length]);
  }
  if (spans.length === 0) return runs;
  const out: Run[] = [];
  let at = 0;
  let k = 0;
  for (const run of runs) {
    const end = at + run.text.length;
    let from = at;
    while (from < end) {
      while (k < spans.length && spans[k]![1] <= from) k++;
      const s = spans[k];
      const inside = s !== undefined && s[0] <= from;
      const to = s === undefined ? end : Math.min(end, inside ? s[1] : Math.max(s[0], from));
      const part: Run = { ...run, text: run.text.slice(from - at, to - at) };
      if (inside) part.mark = 1;
      if (part.text !== '') out.push(part);
      from = to;
    }
    at = end;
  }
  return out;
}

interface Seen {
  /** Rows looked at. */
  upTo: number;
  rows: number[];
}

/** Rows of a kind, found extent by extent as their bytes are here; kept when the bytes go. */
export class Scan {
  private readonly seen = new Map<Extent, Seen>();
  total = 0;

  constructor(
    private readonly journal: Journal,
    private readonly test: (extent: Extent, row: number, index: number) => boolean,
  ) {}

  /** Works until the deadline. False: nothing is left to do for now. */
  slice(deadline: number): boolean {
    const { extents } = this.journal;
    if (this.seen.size > extents.length) for (const e of this.seen.keys()) if (!extents.includes(e)) this.drop(e);
    // From the end: what just came in is what people look at.
    for (let i = extents.length - 1; i >= 0; i--) {
      const e = extents[i]!;
      if (!e.buf) continue;
      let s = this.seen.get(e);
      if (!s) this.seen.set(e, (s = { upTo: 0, rows: [] }));
      while (s.upTo < e.rows) {
        if ((s.upTo & 63) === 0 && performance.now() > deadline) return true;
        const row = s.upTo++;
        if (!(e.flags[row]! & RowFlag.event) && this.test(e, row, i)) {
          s.rows.push(row);
          this.total++;
        }
      }
    }
    return false;
  }

  private drop(e: Extent): void {
    this.total -= this.seen.get(e)?.rows.length ?? 0;
    this.seen.delete(e);
  }

  has(e: Extent, row: number): boolean {
    const rows = this.seen.get(e)?.rows;
    return rows !== undefined && rows.length > 0 && rows[lowerBound(rows, row)] === row;
  }

  /** Journal bytes that were looked at. */
  get bytes(): number {
    let n = 0;
    for (const [e, s] of this.seen) if (e.rows === 0 || s.upTo >= e.rows) n += e.size;
    return n;
  }

  /** The nearest found row after (or before) a row of the log; null when there is none. */
  next(from: number, forward: boolean): number | null {
    const { extents } = this.journal;
    for (let k = 0; k < extents.length; k++) {
      const i = forward ? k : extents.length - 1 - k;
      const rows = this.seen.get(extents[i]!)?.rows;
      if (!rows || rows.length === 0) continue;
      const start = this.journal.start(i);
      const at = lowerBound(rows, from - start + (forward ? 1 : 0));
      const row = forward ? rows[at] : rows[at - 1];
      if (row !== undefined) return start + row;
    }
    return null;
  }

  /** How many found rows come before this row of the log. */
  rank(row: number): number {
    let n = 0;
    this.journal.extents.forEach((e, i) => {
      const rows = this.seen.get(e)?.rows;
      if (rows) n += lowerBound(rows, row - this.journal.start(i));
    });
    return n;
  }

  /** Where they are, as fractions of all rows, at most one for each of `buckets`. */
  ticks(buckets: number): number[] {
    const all = Math.max(1, this.journal.rows);
    const out = new Set<number>();
    this.journal.extents.forEach((e, i) => {
      const rows = this.seen.get(e)?.rows;
      if (!rows) return;
      const start = this.journal.start(i);
      for (const r of rows) out.add(Math.floor(((start + r) / all) * buckets));
    });
    return [...out].map((b) => (b + 0.5) / buckets);
  }
}

/** The first index whose value is at least v. */
function lowerBound(a: readonly number[], v: number): number {
  let lo = 0;
  let hi = a.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (a[mid]! < v) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

export function errorScan(journal: Journal): Scan {
  return new Scan(journal, (extent, row, index) => {
    const place = { index, extent, row, open: -1 };
    if (extent.flags[row]! & RowFlag.escape) {
      const { runs } = lineAt(journal, place);
      return isRed(runs) || isErrorText(runsText(runs));
    }
    return isErrorText(placeText(journal, place).slice(0, 2000));
  });
}

export function queryScan(journal: Journal, re: RegExp): Scan {
  return new Scan(journal, (extent, row, index) => {
    re.lastIndex = 0;
    return re.test(placeText(journal, { index, extent, row, open: -1 }));
  });
}
