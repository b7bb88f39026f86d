// Looks through the rows that are here, in slices: for errors, and for what somebody searches.

import { lowerBound, RowFlag, type Extent } from './extent.ts';
import type { Journal } from './journal.ts';
import type { Query, Stream } from '../messages.ts';
import { lineAt, placeText } from './rows.ts';
import { exactCase } from './search.ts';
import { isRed, runsText, type Run } from './text.ts';

/** Words of an error. `^` is where four letters begin that are rare in logs, two by two: what is looked for first. */
const WORDS = "f^atal|p^anic|trace^back|fail|crit^ical|d^enied|re^fused|ca^nnot|c^an't|could not|unable to|not ^found|no^ such|s^egfault|segmentation^ fault|core ^dumped|a^borted|killed|inte^rrupted|out of ^memory|timed^ out|u^nreachable";
/** What is an error, as the dashboard says it (core/app/logs/pattern.c; tests/vectors/errors.json holds for both): what is counted to
 * none, or none of which there were, is no error. */
const ERROR = new RegExp(
  String.raw`(?<!\b0\s|\bno\s|\bzero\s|\bwithout\s|\bignore\s|\bignored\s|\bignoring\s|\bstandard\s)\b(?:errors?|failures?|failed|exceptions?)\b(?!\s*[:=]\s*0\b)|(?<=\w)(?:error(?=:)|exceptions?\b)|\b(?:err[!:]|(?:${WORDS.replaceAll('^', '')})(?:s|ked)?\b)|[✖✗✘❌]`,
  'i',
);

export function isErrorText(text: string): boolean {
  return ERROR.test(text);
}

// Two bytes in a row say how far it is at least to where a word's four letters may end (Wu and Manber): most of a log is
// never touched. Five bits of a byte are enough, and letters of both cases are alike in them.
const SKIP = new Uint8Array(1024).fill(3);
const KNOWN = new Map<number, readonly [word: string, at: number]>();
const fold = (a: number, b: number): number => ((a & 31) << 5) | (b & 31);
// One of these is in every line with an error's word, in any case; ✖ ✗ ✘ ❌ are looked for by themselves.
for (const marked of `${WORDS}|error|e^xception|err!|err:`.split('|')) {
  const at = Math.max(0, marked.indexOf('^'));
  const w = marked.replace('^', '');
  const c = (i: number) => w.charCodeAt(at + i);
  for (let i = 1; i < 4; i++) SKIP[fold(c(i - 1), c(i))] = Math.min(SKIP[fold(c(i - 1), c(i))]!, 3 - i);
  KNOWN.set((fold(c(0), c(1)) << 10) | fold(c(2), c(3)), [w, at]);
}

/** Where the next word or symbol in [from, end) is; `end`: nowhere. */
function nextWord(u: Uint8Array, from: number, end: number): number {
  for (let i = from + 3; i < end; ) {
    const skip = SKIP[fold(u[i - 1]!, u[i]!)]!;
    if (skip === 0) {
      const known = KNOWN.get((fold(u[i - 3]!, u[i - 2]!) << 10) | fold(u[i - 1]!, u[i]!));
      const start = i - 3 - (known?.[1] ?? 0);
      if (known && start >= from && [...known[0]].every((c, k) => (u[start + k]! | 32) === c.charCodeAt(0))) return start;
    }
    i += skip || 1;
  }
  return end;
}

function nextSymbol(u: Uint8Array, from: number, end: number): number {
  for (let i = u.indexOf(0xe2, from); i >= 0; i = u.indexOf(0xe2, i + 1)) {
    const [b, c] = [u[i + 1]!, u[i + 2]!];
    if ((b === 0x9c && c >= 0x96 && c <= 0x98) || (b === 0x9d && c === 0x8c)) return i;
  }
  return end;
}

/** Rows of [from, to) that may be errors; those that are not in one piece are. One look over the bytes of all of
 * them; what it finds is then looked at properly. */
export function maybeErrors(e: Extent, from: number, to: number): number[] {
  const out = new Set<number>();
  let start = -1;
  let end = 0;
  for (let row = from; row < to; row++) {
    const flags = e.flags[row]!;
    if (flags & RowFlag.event) continue;
    if (flags & (RowFlag.multi | RowFlag.moves | RowFlag.red)) out.add(row);
    if (flags & RowFlag.multi) continue;
    if (start < 0) start = e.from[row]!;
    end = e.to[row]!;
  }
  if (start < 0) return [...out];
  const u = e.buf!.subarray(0, end); // a search through it ends there
  for (const next of [nextWord, nextSymbol]) {
    let row = from;
    for (let at = next(u, start, end); at < end; ) {
      while (row < to && (e.flags[row]! & RowFlag.multi || e.to[row]! <= at)) row++;
      if (row === to) break;
      const inside = e.from[row]! <= at; // or between lines: a record's header
      if (inside) out.add(row);
      at = next(u, inside ? e.to[row]! : at + 1, end);
    }
  }
  return [...out].sort((a, b) => a - b);
}

/** The expression of a query: smart case (capitals make it exact). Throws on a bad pattern. */
export function queryRegExp(q: Query): RegExp {
  const source = q.regex ? q.text : q.text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(source, exactCase(q) ? 'gu' : 'giu');
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
  /** Their line numbers; 0 for text that no newline ended. */
  lines: number[];
  /** How many of them are of which step. */
  steps: Map<number, number>;
}

function* range(from: number, to: number): Generator<number> {
  for (let i = from; i < to; i++) yield i;
}

/** A row of the journal, hidden ones counted; `row` -1: its bytes are not here, only the line is known. */
export interface Spot {
  index: number;
  row: number;
  line: number;
}

/** Before all of a journal, or behind it. */
export function edge(journal: Journal, behind: boolean): Spot {
  const last = Math.max(0, journal.extents.length - 1);
  return behind ? { index: last, row: Number.MAX_SAFE_INTEGER, line: Number.MAX_SAFE_INTEGER } : { index: 0, row: -1, line: 0 };
}

/** Whether a line is of a stream; `stderr`: its bit of a pen or of a row's flags. */
export const isOf = (stream: Stream, stderr: number): boolean => stream === 'both' || (stream === 'stderr') === stderr > 0;

export interface Hit extends Spot {
  /** Its number among all hits, from 1. */
  rank: number;
}

/**
 * Rows of a kind, found extent by extent as their bytes are here and kept when the bytes go. What was
 * never here is filled in from a search by the server, as line numbers.
 */
export class Scan {
  readonly #seen = new Map<Extent, Seen>();
  #remote: number[] | null = null;
  #sorted = true;
  /** The server has looked at everything up to here. */
  #remoteEnd = -1;
  /** Rows found here. */
  #count = 0;

  readonly #journal: Journal;
  readonly #test: (extent: Extent, row: number) => boolean;

  constructor(
    journal: Journal,
    test: (extent: Extent, row: number) => boolean,
    /** Which of many rows are worth a test; null: all of them. */
    private readonly candidates: ((extent: Extent, from: number, to: number) => readonly number[]) | null = null,
  ) {
    this.#journal = journal;
    this.#test = test;
  }

  /** Works until the deadline. False: nothing is left to do for now. */
  slice(deadline: number): boolean {
    if (this.#seen.size > this.#journal.extents.length) this.#forget();
    // What was used last comes first: it is what people look at.
    for (const e of [...this.#journal.held].reverse()) {
      let s = this.#seen.get(e);
      if (!s) this.#seen.set(e, (s = { upTo: 0, rows: [], lines: [], steps: new Map() }));
      while (s.upTo < e.count) {
        if (performance.now() > deadline) return true;
        const from = s.upTo;
        s.upTo = Math.min(e.count, from + (this.candidates ? 512 : 64));
        for (const row of this.candidates?.(e, from, s.upTo) ?? range(from, s.upTo)) {
          if (e.flags[row]! & RowFlag.event || !this.#test(e, row)) continue;
          this.#count++;
          s.rows.push(row);
          s.lines.push(e.line[row]!);
          const step = e.step(row);
          s.steps.set(step, (s.steps.get(step) ?? 0) + 1);
        }
      }
    }
    return false;
  }

  /** Extents that are no more. */
  #forget(): void {
    const there = new Set(this.#journal.extents);
    for (const [e, s] of this.#seen) {
      if (there.has(e)) continue;
      this.#count -= s.rows.length;
      this.#seen.delete(e);
    }
  }

  // ---- what the server found

  /** The server's answer begins: what it finds comes by `found`. */
  beginRemote(): void {
    this.#remote = [];
    this.#sorted = true;
  }

  found(line: number): void {
    const remote = this.#remote;
    if (!remote) return;
    if (remote.length > 0 && line < remote[remote.length - 1]!) this.#sorted = false;
    if (line !== remote[remote.length - 1]) remote.push(line);
  }

  /** The server has looked at all bytes up to `end`. */
  endRemote(end: number): void {
    this.#remoteEnd = end;
  }

  /** Lines of the server's in an extent that was not looked at here, as [from, to) of `remote`. */
  #linesOf(e: Extent): [number, number] {
    if (!this.#remote) return [0, 0];
    if (!this.#sorted) {
      this.#remote = [...new Set(this.#remote)].sort((a, b) => a - b);
      this.#sorted = true;
    }
    return [lowerBound(this.#remote, e.line0 + 1), lowerBound(this.#remote, e.line0 + e.lines + 1)];
  }

  /** The rows found in an extent, when all of it was looked at here. */
  #rowsOf(e: Extent): number[] | null {
    const s = this.#seen.get(e);
    return s && (!this.#remote || s.upTo >= e.count) ? s.rows : null;
  }

  /** Each of its rows was looked at here. */
  sawAll(e: Extent): boolean {
    return (this.#seen.get(e)?.upTo ?? -1) >= e.count;
  }

  #countOf(e: Extent): number {
    const rows = this.#rowsOf(e);
    if (rows) return rows.length;
    const [from, to] = this.#linesOf(e);
    return to - from;
  }

  // ---- questions

  get total(): number {
    if (!this.#remote) return this.#count;
    let n = 0;
    for (const e of this.#journal.extents) n += this.#countOf(e);
    return n;
  }

  /** Numbers of the lines that were found and those up to `around` lines beside them, in order. */
  linesWith(around: number): number[] {
    const out: number[] = [];
    const most = this.#journal.lines;
    let last = 0;
    const put = (n: number) => {
      for (let k = Math.max(last + 1, n - around); k <= Math.min(most, n + around); k++) out.push((last = k));
    };
    for (const e of this.#journal.extents) {
      if (this.#rowsOf(e)) for (const n of this.#seen.get(e)!.lines) n > 0 && put(n);
      else {
        const [from, to] = this.#linesOf(e);
        for (let k = from; k < to; k++) put(this.#remote![k]!);
      }
    }
    return out;
  }

  /** How many were found in the lines of a step that were here. */
  ofStep(step: number): number {
    let n = 0;
    for (const s of this.#seen.values()) n += s.steps.get(step) ?? 0;
    return n;
  }

  has(e: Extent, row: number): boolean {
    const rows = this.#seen.get(e)?.rows;
    return rows !== undefined && rows.length > 0 && rows[lowerBound(rows, row)] === row;
  }

  /** Journal bytes that were looked at, here or by the server. */
  get bytes(): number {
    let n = 0;
    for (const e of this.#journal.extents) {
      if (e.end <= this.#remoteEnd || this.sawAll(e)) n += e.size;
    }
    return n;
  }

  /** The nearest hit after (or before) a spot; null when there is none. */
  next(from: Spot, forward: boolean): Hit | null {
    const { extents } = this.#journal;
    for (let i = from.index; i >= 0 && i < extents.length; i += forward ? 1 : -1) {
      const e = extents[i]!;
      const here = i === from.index;
      const rows = this.#rowsOf(e);
      if (rows) {
        const at = here ? lowerBound(rows, forward ? from.row + 1 : from.row) : forward ? 0 : rows.length;
        const k = forward ? at : at - 1;
        const row = rows[k];
        if (row !== undefined) return { index: i, row, line: 0, rank: this.#before(i) + k + 1 };
        continue;
      }
      const [lo, hi] = this.#linesOf(e);
      const at = here ? lowerBound(this.#remote ?? [], forward ? from.line + 1 : from.line) : forward ? lo : hi;
      const k = forward ? Math.max(lo, at) : Math.min(hi, at) - 1;
      if (k >= lo && k < hi) return { index: i, row: -1, line: this.#remote![k]!, rank: this.#before(i) + k - lo + 1 };
    }
    return null;
  }

  #before(index: number): number {
    let n = 0;
    for (let i = 0; i < index; i++) n += this.#countOf(this.#journal.extents[i]!);
    return n;
  }

  /** Where they are, as fractions of all rows, at most one for each of `buckets`. */
  ticks(buckets: number): number[] {
    const all = Math.max(1, this.#journal.rows);
    const out = new Set<number>();
    const put = (row: number) => out.add(Math.min(buckets - 1, Math.floor((row / all) * buckets)));
    this.#journal.extents.forEach((e, i) => {
      const start = this.#journal.start(i);
      const rows = this.#rowsOf(e);
      if (rows) for (const r of rows) put(start + e.shownOf(r));
      else {
        const [from, to] = this.#linesOf(e);
        for (let k = from; k < to; k++) put(start + Math.min(e.rows, e.shownOf(this.#remote![k]! - e.line0 - 1)));
      }
    });
    return [...out].map((b) => (b + 0.5) / buckets);
  }
}

/** Rows that count at all: those of the stream that is shown. */
type RowTest = (extent: Extent, row: number) => boolean;

export function errorScan(journal: Journal, wanted: RowTest): Scan {
  const test = (extent: Extent, row: number): boolean => {
    if (!wanted(extent, row)) return false;
    const place = { index: -1, extent, row, open: -1 };
    if (extent.flags[row]! & RowFlag.escape) {
      const { runs } = lineAt(journal, place);
      return isRed(runs) || isErrorText(runsText(runs));
    }
    return isErrorText(placeText(journal, place).slice(0, 2000));
  };
  return new Scan(journal, test, maybeErrors);
}

export function queryScan(journal: Journal, re: RegExp, wanted: RowTest): Scan {
  return new Scan(journal, (extent, row) => {
    if (!wanted(extent, row)) return false;
    re.lastIndex = 0;
    return re.test(placeText(journal, { index: -1, extent, row, open: -1 }));
  });
}
