// What the page and the log worker say to each other. The worker owns the bytes; the page only ever
// sees the rows in its window.

import type { Run } from './worker/text.ts';

export interface LineRow {
  k: 'line';
  /** Line number; 0 for text that no newline has ended. */
  n: number;
  step: number;
  stderr: boolean;
  error: boolean;
  timeUs: number;
  runs: Run[];
  /** Bytes of the line that are not shown. */
  more: number;
  /** Lines before it are left out. */
  apart: boolean;
}

export interface EventRow {
  k: 'event';
  name: string;
  step: number;
  timeUs: number;
  fields: Readonly<Record<string, unknown>>;
  /** Of a step's header: its lines are folded away. */
  folded: boolean;
  /** Of a step's header: errors among its lines, as far as they were seen. */
  errors: number;
}

/** A line whose bytes are on their way. */
export interface WaitRow {
  k: 'wait';
  n: number;
}

/** A stretch that is not fetched by itself, or could not be. */
export interface GapRow {
  k: 'gap';
  bytes: number;
  lines: number;
  problem: string;
}

export type Row = LineRow | EventRow | WaitRow | GapRow;

/** What the page has of the rows of its window. */
export interface View {
  from: number;
  rows: readonly Row[];
}

export interface Query {
  text: string;
  regex: boolean;
}

/** A point in the log: a row and a character in its text. */
export interface Point {
  row: number;
  col: number;
}

export const STREAMS = ['both', 'stdout', 'stderr'] as const;
/** Which lines are shown. */
export type Stream = (typeof STREAMS)[number];

export type Target = { line: number } | { offset: number };

/** Rows around one that is looked for: so many of the window are above it, `spare` more before those. */
export interface Around {
  above: number;
  spare: number;
  count: number;
}

export type ToWorker =
  | { t: 'open'; url: string; memory: number }
  /** A subscription begins at this offset. */
  | { t: 'start'; offset: number }
  | { t: 'chunk'; offset: number; buffer: ArrayBuffer; at: number; length: number }
  /** The journal is shorter than what is held: begin again. */
  | { t: 'reset' }
  | { t: 'view'; from: number; count: number; top: number; follow: boolean }
  /** The last view was painted; the next may be sent. */
  | { t: 'painted' }
  /** With `view`, the rows that will be shown then come before the answer. */
  | { t: 'seek'; id: number; target: Target; view: Around | null }
  | { t: 'find'; query: Query | null }
  /** Past the end it goes on at the other side, but `once`. */
  | { t: 'next'; id: number; what: 'hit' | 'error'; from: number; forward: boolean; once?: boolean }
  | { t: 'text'; id: number; from: Point; to: Point }
  /** Steps whose lines are folded away, which streams are shown, and whether only what is searched for is. */
  | { t: 'show'; folded: readonly number[]; stream: Stream; only: boolean }
  | { t: 'expand'; row: number }
  | { t: 'load'; row: number }
  /** The connection is back: what failed may be tried again. */
  | { t: 'retry' };

export interface Size {
  rows: number;
  lines: number;
  /** Journal bytes up to the last record seen. */
  end: number;
  /** Journal bytes held here. */
  held: number;
  errors: number;
  /** Every byte up to `end` was looked at for errors. */
  errorsComplete: boolean;
}

export interface Found {
  rows: number;
  /** Journal bytes that were searched. */
  searched: number;
  busy: boolean;
  /** Hits in the log when there are more than were told, else 0. */
  truncated: number;
  /** Why the pattern is none; ''. */
  problem: string;
}

export type FromWorker =
  /** null: a row that is as the page was told last. */
  | { t: 'view'; from: number; rows: (Row | null)[]; size: Size }
  /** Rows came or went above the top of the window. */
  | { t: 'shift'; delta: number }
  | { t: 'consumed'; bytes: number }
  /** `rank`: which of the hits it is, from 1; 0: none. */
  | { t: 'row'; id: number; row: number | null; rank: number }
  /** A jump went to something hidden: this is what is shown now. */
  | { t: 'shows'; folded: readonly number[]; stream: Stream; only: boolean }
  | { t: 'text'; id: number; text: string; missing: number }
  | { t: 'found'; found: Found }
  /** Where in the log errors and hits are, as fractions of its rows. */
  | { t: 'ticks'; errors: number[]; hits: number[] }
  /** A record was damaged on its way: the stream has to come again from this offset. */
  | { t: 'damaged'; offset: number; message: string }
  | { t: 'unauthorized' };
