// One line's bytes to styled runs of text: carriage returns and backspaces overwrite, CSI K erases,
// bytes that are no UTF-8 and control characters are shown (\xff \u202e, in runs of their own), never interpreted.

import { Attr, isRedStyle, parseEscape, PLAIN, type Style } from '../ansi.ts';

export interface Run {
  text: string;
  fg: number;
  bg: number;
  attrs: number;
  link: string;
  /** Marks a match of the search; 2: the current one. Set later. */
  mark?: 1 | 2;
}

/** What stands for a byte that is part of no character, until it is shown: half of a pair, which no UTF-8 makes. */
const LONE = 0xdc00;
// Those, and characters that would hide or reorder text: bidirectional controls, zero width, line separators.
const TRICKY = /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\udc80-\udcff])/u;

/** In letters that every font has. A byte is told by two digits, a character that is more than one by four. */
function visible(c: string): string {
  const n = c.charCodeAt(0);
  const byte = n >> 8 === LONE >> 8;
  const hex = (byte ? n - LONE : n).toString(16);
  return byte || n < 0x80 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`;
}

/** The character whose UTF-8 begins at u[i], which is no ASCII; -1: none does. */
function pointAt(u: Uint8Array, i: number, end: number): number {
  const b = u[i]!;
  const more = b < 0xc0 || b > 0xf7 ? 0 : b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3;
  let point = b & (0x3f >> more);
  if (more === 0 || i + more >= end) return -1;
  for (let k = 1; k <= more; k++) {
    const c = u[i + k]!;
    if ((c & 0xc0) !== 0x80) return -1;
    point = (point << 6) | (c & 0x3f);
  }
  // Not in more bytes than it needs, and no half of a pair.
  return point < 0x80 || (more > 1 && point < 1 << (5 * more + 1)) || point >> 11 === 0x1b || point > 0x10ffff ? -1 : point;
}

/** Text is put together from pieces of so many characters. */
const PIECE = 2048;
/** What cannot be shown is told apart by a style in so many places of a line, between two escapes. */
const BOXES = 400;

/** Decodes UTF-8 and hands it on, what is shown in place of something else by itself. Not with a TextDecoder: each call of one leaves an object behind,
 * which a worker's browser collects late or never, and hundreds of thousands of lines are looked at. */
function decode(u: Uint8Array, from: number, end: number, s: Style, put: (text: string, s: Style) => void): void {
  let text = '';
  let points: number[] = [];
  let plain = true;
  for (let i = from; i < end; i++) {
    const b = u[i]!;
    if (b < 0x20 || b > 0x7e) plain = false;
    if (b < 0x80) points.push(b);
    else {
      const p = pointAt(u, i, end);
      points.push(p < 0 ? LONE + b : p);
      i += p < 0 ? 0 : p < 0x800 ? 1 : p < 0x10000 ? 2 : 3;
    }
    if (points.length >= PIECE) {
      text += String.fromCodePoint(...points);
      points = [];
    }
  }
  text += String.fromCodePoint(...points);
  if (plain) return put(text, s);
  const parts = text.split(TRICKY);
  // Of what is no text at all, each byte in a run of its own would be more than a page can draw.
  const boxes = parts.length < BOXES;
  const shown = boxes ? { ...s, attrs: s.attrs | Attr.shown } : s;
  parts.forEach((part, i) => {
    if (i & 1) put(visible(part), shown);
    else if (part !== '') put(part, s);
  });
}

function push(runs: Run[], text: string, s: Style): void {
  const last = runs[runs.length - 1];
  if (last && last.fg === s.fg && last.bg === s.bg && last.attrs === s.attrs && last.link === s.link) last.text += text;
  else runs.push({ text, fg: s.fg, bg: s.bg, attrs: s.attrs, link: s.link });
}

/** Lines without CR, BS and erase sequences: straight through. Null when it met an erase. */
function straight(u: Uint8Array, style: Style): Run[] | null {
  const runs: Run[] = [];
  const put = (text: string, s: Style) => push(runs, text, s);
  let from = 0;
  for (;;) {
    const esc = u.indexOf(0x1b, from);
    if (esc < 0) break;
    if (esc > from) decode(u, from, esc, style, put);
    const seq = parseEscape(u, esc, u.length, style);
    if (seq.erase >= 0) return null;
    from = Math.max(esc + 1, seq.end);
  }
  if (from < u.length) decode(u, from, u.length, style, put);
  return runs;
}

interface Cell extends Style {
  c: string;
}

const BLANK: Cell = { c: ' ', ...PLAIN };

/** Cells of a line with a cursor that moves back. */
function overwritten(u: Uint8Array, style: Style): Run[] {
  const cells: Cell[] = [];
  let col = 0;
  const put = (text: string, { fg, bg, attrs, link }: Style) => {
    for (const c of attrs & Attr.shown ? [text] : text) {
      while (cells.length < col) cells.push(BLANK);
      cells[col++] = { c, fg, bg, attrs, link };
    }
  };
  let from = 0;
  for (let i = 0; i < u.length; ) {
    const b = u[i]!;
    if (b !== 0x1b && b !== 0x0d && b !== 0x08) {
      i++;
      continue;
    }
    if (i > from) decode(u, from, i, style, put);
    if (b === 0x1b) {
      const seq = parseEscape(u, i, u.length, style);
      if (seq.erase === 0) cells.length = Math.min(cells.length, col);
      else if (seq.erase > 0) for (let k = seq.erase === 2 ? cells.length : Math.min(cells.length, col + 1); k-- > 0; ) cells[k] = BLANK;
      i = Math.max(i + 1, seq.end);
    } else {
      col = b === 0x0d ? 0 : Math.max(0, col - 1);
      i++;
    }
    from = i;
  }
  if (from < u.length) decode(u, from, u.length, style, put);
  let end = cells.length;
  while (end > 0 && cells[end - 1] === BLANK) end--;
  const runs: Run[] = [];
  for (let k = 0; k < end; k++) push(runs, cells[k]!.c, cells[k]!);
  return runs;
}

/** What a line shows. `style` is the style at its first byte. `moves`: the line holds CR or BS. */
export function lineRuns(u: Uint8Array, style: Style, moves: boolean): Run[] {
  if (!moves) {
    const runs = straight(u, { ...style });
    if (runs) return runs;
  }
  return overwritten(u, { ...style });
}

export function runsText(runs: readonly Run[]): string {
  let text = '';
  for (const r of runs) text += r.text;
  return text;
}

/** True when the line begins in one of the two reds (not in reverse), or a quarter of its characters is in one. */
export function isRed(runs: readonly Run[]): boolean {
  let red = 0;
  let all = 0;
  for (const r of runs) {
    const n = r.text.match(/[^ \t]/gu)?.length ?? 0;
    const isRedRun = isRedStyle(r);
    if (all === 0 && n > 0 && isRedRun && !(r.attrs & Attr.inverse)) return true;
    all += n;
    if (isRedRun) red += n;
  }
  return red > 0 && red * 4 >= all;
}
