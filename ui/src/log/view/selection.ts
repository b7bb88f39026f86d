// Selecting in a list whose rows come and go: the rows at both ends of a selection are pinned, and
// what is copied comes from the log, not from the few rows on the screen. And picked lines: the
// range of the address, #L120-L140.

import { signal } from '@preact/signals';
import type { LogClient } from './client.ts';
import type { Point } from '../messages.ts';
import type { RowElement } from './rowview.ts';

export interface Lines {
  from: number;
  to: number;
}

/** #L120 or #L120-L140; null for anything else. */
export function parseLines(hash: string): Lines | null {
  const m = /^#L(\d{1,10})(?:-L?(\d{1,10}))?$/.exec(hash);
  if (!m) return null;
  const a = Number(m[1]);
  const b = m[2] === undefined ? a : Number(m[2]);
  return a < 1 || b < 1 ? null : { from: Math.min(a, b), to: Math.max(a, b) };
}

export function linesHash(l: Lines | null): string {
  if (!l) return '';
  return l.from === l.to ? `#L${l.from}` : `#L${l.from}-L${l.to}`;
}

/** As many rows are at hand for a copy before anybody asks for it. */
const READY_ROWS = 2000;

interface Selected {
  from: Point;
  to: Point;
}

export class LogSelection {
  readonly lines = signal<Lines | null>(null);
  #selected: Selected | null = null;
  /** Where a selection begins, or would with Shift. */
  #caret = -1;
  #anchorLine = 0;
  #ready: { of: string; text: string } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly #box: HTMLElement;
  readonly #client: LogClient;
  readonly #onBegin: () => void;

  constructor(
    box: HTMLElement,
    client: LogClient,
    onBegin: () => void,
  ) {
    this.#box = box;
    this.#client = client;
    this.#onBegin = onBegin;
    document.addEventListener('selectionchange', this.#changed);
    box.addEventListener('copy', this.#copy);
  }

  close(): void {
    clearTimeout(this.#timer);
    document.removeEventListener('selectionchange', this.#changed);
    this.#box.removeEventListener('copy', this.#copy);
  }

  /** finger: a second tap takes all lines up to there, as Shift does for the mouse. */
  pickLine(n: number, extend: boolean, finger = false): void {
    const l = this.lines.value;
    if ((extend || (finger && l?.from === l?.to && l?.from !== n)) && this.#anchorLine > 0) {
      this.lines.value = { from: Math.min(n, this.#anchorLine), to: Math.max(n, this.#anchorLine) };
      getSelection()?.removeAllRanges(); // shift-click selects text too
    } else if (!extend && l?.from === n && l.to === n) {
      this.lines.value = null;
      this.#anchorLine = 0;
      return;
    } else {
      this.lines.value = { from: n, to: n };
      this.#anchorLine = n;
    }
    this.#onBegin();
  }

  /** What an address says of them. */
  get hash(): string {
    return linesHash(this.lines.value);
  }

  setLines(l: Lines | null): void {
    this.lines.value = l;
    this.#anchorLine = l?.from ?? 0;
  }

  /** Lets go of selected text; picked lines stay. */
  clear(): void {
    if (!this.#selected && this.#caret < 0) return;
    this.#selected = null;
    this.#caret = -1;
    this.#ready = null;
    getSelection()?.removeAllRanges();
  }

  isPicked(n: number): boolean {
    const l = this.lines.peek();
    return l !== null && n >= l.from && n <= l.to;
  }

  pinned(): ReadonlySet<number> {
    const s = this.#selected;
    return new Set(s ? [s.from.row, s.to.row] : [this.#caret]);
  }

  shift(delta: number): void {
    if (this.#caret >= 0) this.#caret += delta;
    const s = this.#selected;
    if (!s) return;
    s.from.row += delta;
    s.to.row += delta;
    this.#ready = null;
  }

  #pointOf(node: Node | null, offset: number): Point | null {
    const element = node instanceof Element ? node : node?.parentElement;
    const row = element?.closest<RowElement>('.lr');
    if (!row || !node || !this.#box.contains(row)) return null;
    const text = row.querySelector('.lx');
    if (!text || !text.contains(node)) return { row: row.row, col: 0 };
    const range = document.createRange();
    range.setStart(text, 0);
    range.setEnd(node, offset);
    return { row: row.row, col: range.toString().length };
  }

  readonly #changed = (): void => {
    const s = getSelection();
    const a = s && this.#pointOf(s.anchorNode, s.anchorOffset);
    this.#caret = a?.row ?? -1;
    if (!s || s.isCollapsed) {
      this.#selected = null;
      return;
    }
    const b = this.#pointOf(s.focusNode, s.focusOffset);
    if (!a || !b) {
      if (!a && !b) this.#selected = null;
      return;
    }
    if (!this.#selected) this.#onBegin();
    const forward = a.row < b.row || (a.row === b.row && a.col <= b.col);
    this.#selected = forward ? { from: a, to: b } : { from: b, to: a };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#fetch(), 120);
  };

  #key(s: Selected): string {
    return `${s.from.row}:${s.from.col}-${s.to.row}:${s.to.col}`;
  }

  /** A copy event wants its text at once: get it before, unless it is much. */
  async #fetch(): Promise<void> {
    const s = this.#selected;
    if (!s || s.to.row - s.from.row > READY_ROWS) return;
    const of = this.#key(s);
    const { text, missing } = await this.#client.text({ ...s.from }, { ...s.to });
    if (missing === 0) this.#ready = { of, text };
  }

  readonly #copy = (e: ClipboardEvent): void => {
    this.#changed(); // what was selected just now may not have been told yet
    const s = this.#selected;
    if (!s || !e.clipboardData) return;
    e.preventDefault();
    if (this.#ready?.of === this.#key(s)) e.clipboardData.setData('text/plain', this.#ready.text);
    else void import('./acts.ts').then((m) => m.copyRange(this.#client, { ...s.from }, { ...s.to }));
  };
}
