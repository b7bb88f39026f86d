// The text of a stretch of the log, for the clipboard: what of it is not here is fetched on the way.

import type { Journal } from './journal.ts';
import { Loader } from './loader.ts';
import type { Point, Target } from '../messages.ts';
import { lineAt, placeText } from './rows.ts';
import { RowFlag } from './extent.ts';
import { runsText } from './text.ts';

const MAX_COPY = 8 * 1024 * 1024;
/** The window's own needs come first, and may cut a fetch short. */
const MAX_TRIES = 100;

/** `missing`: rows that could not be had, or are past what a clipboard is given. */
export async function textBetween(j: Journal, from: Point, to: Point, bring: (what: Target) => Promise<void>): Promise<{ text: string; missing: number }> {
  const parts: string[] = [];
  const end = j.anchor(to.row);
  let last = to.row;
  let missing = 0;
  let length = 0;
  let tries = 0;
  for (let row = from.row, first = true; row <= last; row++) {
    if (length >= MAX_COPY) {
      missing += last - row + 1;
      break;
    }
    const p = j.place(row);
    if (!p) break;
    const e = p.extent;
    if (!e.buf && tries < MAX_TRIES && !Loader.isGap(e)) {
      // Rows may be counted otherwise when it is here.
      const here = j.anchor(row);
      await bring(e.indexed || p.row === 0 ? { offset: e.off } : { line: e.line0 + p.row + 1 });
      row = (j.rowOfAnchor(here) ?? row) - 1;
      last = j.rowOfAnchor(end) ?? last;
      tries++;
      continue;
    }
    tries = 0;
    if (!e.buf) missing++;
    else if (p.open >= 0 || !(e.flags[p.row]! & RowFlag.event)) {
      const shown = p.open >= 0 ? runsText(lineAt(j, p).runs) : placeText(j, p);
      const part = shown.slice(first ? from.col : 0, row === last ? to.col : undefined);
      parts.push(part);
      length += part.length + 1;
    }
    first = false;
  }
  return { text: parts.join('\n'), missing };
}
