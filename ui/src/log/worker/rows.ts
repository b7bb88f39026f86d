// What a row shows, made when it is asked for.

import { lineRuns, runsText, type Run } from './text.ts';
import type { Journal, Place } from './journal.ts';
import { joinPieces, RowFlag } from './extent.ts';

/** Lines longer than LONG bytes are shown up to CUT, with an offer to show the rest. */
export const LONG = 8 * 1024;
export const CUT = 4 * 1024;
/** As much of one line as is ever shown. */
export const EXPANDED = 1024 * 1024;
/** Of a line that was written over and over, only the end can be seen. */
const OVERWRITTEN = 32 * 1024;

export interface Line {
  runs: Run[];
  /** Bytes that are not shown. */
  more: number;
}

interface Source {
  bytes: Uint8Array;
  skipped: number;
  style: number;
  moves: boolean;
}

function source(j: Journal, p: Place): Source {
  if (p.open >= 0) {
    const { pen } = j.openLine(p.open)!;
    return {
      bytes: joinPieces(pen, p.extent.buf!),
      skipped: pen.skipped,
      style: pen.style,
      moves: pen.returns > 0 || (pen.flags & RowFlag.moves) !== 0,
    };
  }
  const e = p.extent;
  return {
    bytes: e.bytes(p.row),
    skipped: e.multi.get(p.row)?.skipped ?? 0,
    style: e.style[p.row]!,
    moves: (e.flags[p.row]! & RowFlag.moves) !== 0,
  };
}

/** Moves a cut so that it does not split a UTF-8 sequence. */
function charStart(u: Uint8Array, i: number): number {
  while (i > 0 && (u[i]! & 0xc0) === 0x80) i--;
  return i;
}

function cut(s: Source, limit: number): { bytes: Uint8Array; more: number } {
  const u = s.bytes;
  if (u.length <= limit) return { bytes: u, more: s.skipped };
  if (s.moves) {
    const from = u.indexOf(0x0d, Math.max(0, u.length - OVERWRITTEN));
    return { bytes: from >= 0 ? u.subarray(from) : u.subarray(u.length - OVERWRITTEN), more: 0 };
  }
  const at = charStart(u, limit === LONG ? CUT : limit);
  return { bytes: u.subarray(0, at), more: s.skipped + u.length - at };
}

/** The line at a place whose bytes are here. */
export function lineAt(j: Journal, p: Place, expanded = false): Line {
  const s = source(j, p);
  const c = cut(s, expanded ? EXPANDED : LONG);
  return { runs: lineRuns(c.bytes, j.styles.get(s.style), s.moves), more: c.more };
}

export function rowRuns(j: Journal, row: number): Run[] {
  const p = j.place(row);
  return p && p.extent.buf ? lineAt(j, p).runs : [];
}

/** The whole text of a row, for copying and searching; '' when its bytes are not here. */
export function placeText(j: Journal, p: Place): string {
  return runsText(lineAt(j, p, true).runs);
}

export function rowText(j: Journal, row: number): string {
  const p = j.place(row);
  return p && p.extent.buf ? placeText(j, p) : '';
}
