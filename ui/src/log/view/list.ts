// The virtual list: a scrolled element of compressed height, and in it a window that stays in view
// and holds the few rows there are to see, in order, so that selecting text works as anywhere.

import { signal } from '@preact/signals';
import { following, next, type Follow, type FollowEvent } from './follow.ts';
import type { LogClient } from './client.ts';
import type { Around, Row, View } from '../messages.ts';
import { collect } from './litter.ts';
import { Pace } from './pace.ts';
import { drawRow, eventText, makeRow, markRow, type Look, type RowElement } from './rowview.ts';
import { ScrollMap } from './scroll.ts';
import { LogSelection } from './selection.ts';

export const ROW_HEIGHT = 20;
/** Rows asked for beyond the window, so that a small scroll paints at once. */
const SPARE = 40;
/** Lines that rush by cannot be read: no more than a picture of them in so many milliseconds. */
const RUSH_MS = 50;

/** What a row needs that is not in it. */
export interface ListLook extends Look {
  wrap: boolean;
}

export class LogList {
  readonly follow = signal<Follow>(following);
  /** Step of the first visible row, when its header is not what is seen. */
  readonly topStep = signal<number | null>(null);
  /** The last row is in view. */
  readonly atEnd = signal(true);
  /** Step of the first visible row, header or not. */
  stepAtTop: number | null = null;
  /** A step's header was clicked. */
  onFold: (step: number) => void = () => undefined;
  /** Text of the line under the cursor, for those who listen. */
  readonly cursorText = signal('');
  readonly selection: LogSelection;

  readonly #space = document.createElement('div');
  readonly #window = document.createElement('div');
  readonly #box = document.createElement('div');
  readonly #map: ScrollMap;
  #heights = new Map<number, number>();
  #mean = ROW_HEIGHT;
  #view: View = { from: 0, rows: [] };
  readonly #shown = new Map<number, RowElement>();
  readonly #pool: RowElement[] = [];
  #look: ListLook;
  #digits = '';
  #frame = 0;
  #expectedTop = 0;
  #asked = '';
  #settle: ReturnType<typeof setTimeout> | undefined;
  /** Rows to mark. */
  #currentHit = -1;
  #bringMark = false;
  #cursor = -1;
  /** Its row was not here yet when it came to it. */
  #unsaid = false;
  readonly #resize: ResizeObserver;
  #resizing = 0;
  readonly #gone = new AbortController();
  #started = false;
  /** Where it is going, until it is known how many rows there are by now: what was hidden may have come to light for it. */
  #goal: { row: number; above: number } | null = null;
  /** The row behind those of the last picture. */
  #painted = 0;
  #rush: ReturnType<typeof setTimeout> | undefined;
  readonly #pace = new Pace();

  readonly #client: LogClient;

  constructor(
    readonly root: HTMLElement,
    client: LogClient,
    look: ListLook,
  ) {
    this.#client = client;
    this.#look = look;
    this.#map = this.#makeMap();
    this.#space.className = 'log-space';
    this.#window.className = 'log-window';
    this.#box.className = 'log-rows';
    this.#window.append(this.#box);
    this.#space.append(this.#window);
    root.append(this.#space);
    this.selection = new LogSelection(this.#box, client, () => this.hold());
    this.selection.lines.subscribe(() => this.#schedule());
    const heard = { signal: this.#gone.signal };
    const quiet = { ...heard, passive: true };
    root.addEventListener('scroll', this.#onScroll, quiet);
    root.addEventListener('wheel', this.#onWheel, quiet);
    root.addEventListener('touchmove', this.#onTouch, quiet);
    root.addEventListener('click', this.#onClick, heard);
    root.addEventListener('keydown', this.#onKey, heard);
    // In a frame of its own: what changes the layout while sizes are told is an error to some browsers.
    this.#resize = new ResizeObserver(() => (this.#resizing ||= requestAnimationFrame(() => this.#resized())));
    this.#resize.observe(root);
    client.onView = (v) => this.#received(v);
    client.onShift = (d) => this.#shifted(d);
    this.#resized();
  }

  #makeMap(): ScrollMap {
    const self = this;
    return new ScrollMap(ROW_HEIGHT, {
      of: (row) => self.#heightOf(row),
      get mean() {
        return self.#look.wrap ? self.#mean : ROW_HEIGHT;
      },
      get fixed() {
        return !self.#look.wrap;
      },
    });
  }

  /** Only of wrapped rows others were measured. */
  #heightOf(row: number): number {
    return this.#heights.get(row) ?? ROW_HEIGHT;
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    cancelAnimationFrame(this.#resizing);
    clearTimeout(this.#settle);
    clearTimeout(this.#rush);
    this.#resize.disconnect();
    this.selection.close();
    this.#client.onView = this.#client.onShift = () => undefined;
    this.#space.remove();
    collect();
    this.#gone.abort();
  }

  setLook(look: ListLook): void {
    const rewrap = look.wrap !== this.#look.wrap || look.times !== this.#look.times;
    this.#look = look;
    this.root.classList.toggle('wrap', look.wrap);
    this.#keepWidth();
    if (rewrap) this.#heights.clear();
    this.#sync();
  }

  #resized(): void {
    this.#resizing = 0;
    this.#map.viewport = this.root.clientHeight;
    this.#window.style.height = `${this.#map.viewport}px`;
    if (this.#look.wrap) this.#heights.clear();
    this.#sync();
  }

  // ---- following

  #to(event: FollowEvent): void {
    const was = this.follow.value;
    this.follow.value = next(was, event, this.#client.size.value.lines);
    if (this.follow.value.on && !was.on) this.#sync();
  }

  /** Somebody reads here: stop following. */
  hold(): void {
    this.#to('hold');
  }

  /** What is there now counts as seen; lines: so many are there, whatever of them has come. */
  countFromHere(lines = 0): void {
    if (!this.follow.value.on) this.follow.value = { on: false, heldAt: Math.max(lines, this.#client.size.value.lines) };
  }

  toEnd(): void {
    this.#goal = null;
    this.#to('follow');
    this.#sync();
  }

  toTop(): void {
    this.#goal = null;
    this.#to('hold');
    this.#map.toRow(0, 0);
    this.#sync();
  }

  /** Rows will come and go in the middle: what is remembered by row is no longer true. */
  forget(): void {
    this.#heights.clear();
    this.#currentHit = -1;
    this.#cursor = -1;
    this.selection.clear();
  }

  /** Shows a row with so many above it, below the header of its step; 0: at the very top. */
  showRow(row: number, above = 3): void {
    this.#to('hold');
    this.#goal = { row, above: above && above * ROW_HEIGHT + Number.parseFloat(getComputedStyle(this.root).getPropertyValue('--icon-btn')) };
    this.#map.toRow(row, this.#goal.above);
    this.#asked = ''; // where it came from a seek, the worker's window is there as well
    this.#sync();
    if (!this.#dataOf(this.#map.row)) return;
    // Somebody waits for these rows: they are in place before the next frame, not after it.
    cancelAnimationFrame(this.#frame);
    this.#paint();
  }

  /** The rows that showRow will want. */
  around(above: number): Around {
    return { above, spare: SPARE, count: this.#visible + SPARE * 2 };
  }

  showFraction(f: number): void {
    this.showRow(Math.floor(f * this.#map.rows), Math.floor(this.#map.viewport / ROW_HEIGHT / 2));
  }

  /** The first line in view; 0 while following. */
  get lineAtTop(): number {
    const { from, rows } = this.#view;
    const first = this.follow.value.on ? undefined : rows.slice(Math.max(0, this.#map.row - from)).find((r) => r.k === 'line');
    return first?.k === 'line' ? first.n : 0;
  }

  /** How much of the window the rows fill. */
  get fill(): number {
    return Math.min(1, (this.#map.rows * ROW_HEIGHT) / this.#map.viewport);
  }

  /** From where the next error or hit is looked for. */
  get reference(): number {
    const inView = this.#currentHit >= this.#map.row && this.#currentHit <= this.#lastVisible();
    return this.#currentHit >= 0 && inView ? this.#currentHit : this.follow.value.on ? this.#map.rows : this.#map.row + 2;
  }

  setCurrent(row: number): void {
    this.#currentHit = row;
    this.#bringMark = row >= 0;
    this.#schedule();
  }

  /** A match that is beyond the edge is brought into view, once. */
  #showMark(): void {
    const mark = this.#shown.get(this.#currentHit)?.querySelector<HTMLElement>('.mark');
    if (!this.#bringMark || !mark) return;
    this.#bringMark = false;
    const box = this.root.getBoundingClientRect();
    const at = mark.getBoundingClientRect();
    const text = mark.parentElement!.getBoundingClientRect().left + this.root.scrollLeft - box.left;
    if (at.right > box.right - 16) this.root.scrollLeft += at.right - box.right + 64;
    else if (at.left < box.left + text) this.root.scrollLeft = Math.max(0, this.root.scrollLeft - (box.left + text - at.left) - 64);
  }

  // ---- scrolling

  readonly #onScroll = (): void => {
    this.#keepWidth();
    const top = this.root.scrollTop;
    if (Math.abs(top - this.#expectedTop) < 1.5) return;
    // The window grew (a notice above went away), and the browser moved the end along: nobody reads upwards.
    const taller = this.root.clientHeight > this.#map.viewport && this.root.scrollHeight - this.root.clientHeight - top < 2;
    if (this.follow.value.on && taller) return;
    this.#goal = null;
    const down = top > this.#expectedTop;
    this.#expectedTop = top;
    this.#map.scrolled(top);
    if (!down) this.#to('up');
    else if (this.#map.atEnd) this.#to('bottom');
    clearTimeout(this.#settle);
    // Wrapped or compressed, the bar drifts from the place: put it right when things are calm.
    this.#settle = setTimeout(() => this.#sync(), 180);
    this.#schedule();
  };

  readonly #onWheel = (e: WheelEvent): void => {
    if (e.deltaY < 0) this.#to('up');
  };

  readonly #onTouch = (): void => {
    if (!this.#map.atEnd) this.#to('up');
  };

  /** Scrolled sideways, numbers stay in view, and the range stays while rows of other lengths come and go. */
  #keepWidth(): void {
    const wide = this.root.scrollLeft > 0 && !this.#look.wrap;
    this.root.classList.toggle('wide', wide);
    this.#space.style.minWidth = wide ? `${this.root.scrollWidth}px` : '';
  }

  readonly #onKey = (e: KeyboardEvent): void => {
    if (e.target !== this.root || e.ctrlKey || e.metaKey || e.altKey) return;
    const down = e.key === 'ArrowDown';
    if (!down && e.key !== 'ArrowUp') return;
    e.preventDefault();
    this.#goal = null;
    const inView = this.#cursor >= this.#map.row && this.#shown.has(this.#cursor);
    const from = inView ? this.#cursor : down ? this.#map.row - 1 : this.#lastVisible() + 1;
    this.#cursor = Math.max(0, Math.min(this.#map.rows - 1, from + (down ? 1 : -1)));
    this.#to('hold');
    if (this.#cursor <= this.#map.row) this.#map.toRow(this.#cursor, ROW_HEIGHT * 2);
    else if (this.#cursor >= this.#lastVisible()) this.#map.move(ROW_HEIGHT * 2);
    this.#sync();
    this.#unsaid = true;
    this.#say();
  };

  /** Tells the row under the cursor, when it is here. */
  #say(): void {
    const row = this.#unsaid ? this.#dataOf(this.#cursor) : undefined;
    if (!row || row.k === 'wait') return;
    this.#unsaid = false;
    if (row.k === 'event') this.cursorText.value = eventText(row, this.#look).words;
    if (row.k === 'line') this.cursorText.value = `${row.n}: ${row.runs.map((r) => r.text).join('')}`;
  }

  #lastVisible(): number {
    return this.#map.row + Math.floor(this.#map.viewport / ROW_HEIGHT) - 1;
  }

  readonly #onClick = (e: MouseEvent): void => {
    if (!(e.target instanceof Element)) return;
    const el = e.target.closest<RowElement>('.lr');
    if (!el) return;
    if (e.target.closest('.more-bytes')) this.#client.send({ t: 'expand', row: el.row });
    else if (e.target.closest('.load-gap')) this.#client.send({ t: 'load', row: el.row });
    else if (e.target.closest('.ln')) {
      const row = this.#dataOf(el.row);
      if (row?.k === 'line' && row.n > 0) this.selection.pickLine(row.n, e.shiftKey, (e as PointerEvent).pointerType === 'touch');
    } else if (e.target.closest('.le')) {
      const row = this.#dataOf(el.row);
      if (row?.k === 'event' && row.name === 'step.started') this.onFold(row.step);
    }
  };

  // ---- data

  #dataOf(row: number): Row | undefined {
    return this.#view.rows[row - this.#view.from];
  }

  #received(view: View): void {
    this.#view = view;
    const { rows, lines } = this.#client.size.value;
    // All numbers are as wide as the largest, which may not come into view for long.
    const digits = String(Math.max(4, String(lines).length));
    if (digits !== this.#digits) this.root.style.setProperty('--digits', (this.#digits = digits));
    if (rows !== this.#map.rows || !this.#started) {
      this.#started = true;
      this.#map.rows = rows;
      if (this.#goal) this.#map.toRow(this.#goal.row, this.#goal.above);
      else this.#map.move(0); // fewer rows than there were: no window beyond the last
      this.#sync();
    } else this.#schedule();
    this.#goal = null;
    this.#say();
  }

  #shifted(delta: number): void {
    this.#map.shift(delta);
    this.#view = { from: this.#view.from + delta, rows: this.#view.rows };
    this.#heights = new Map([...this.#heights].map(([row, h]) => [row + delta, h]));
    for (const e of this.#shown.values()) e.row += delta;
    const moved = [...this.#shown.values()];
    this.#shown.clear();
    for (const e of moved) this.#shown.set(e.row, e);
    this.selection.shift(delta);
    if (this.#currentHit >= 0) this.#currentHit += delta;
    if (this.#cursor >= 0) this.#cursor += delta;
    if (this.#goal) this.#goal.row += delta;
    this.#sync();
  }

  /** Length and position of the bar follow the place, then a paint. */
  #sync(): void {
    if (this.follow.value.on) this.#map.toEnd();
    this.#space.style.height = `${this.#map.height}px`;
    const top = this.#map.top();
    this.#expectedTop = top;
    if (Math.abs(this.root.scrollTop - top) > 0.75) {
      this.root.scrollTop = top;
      this.#expectedTop = this.root.scrollTop;
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#paint());
  }

  /** Rows that fit into the window. */
  get #visible(): number {
    return Math.ceil(this.#map.viewport / ROW_HEIGHT) + 1;
  }

  #ask(): void {
    const follow = this.follow.value.on;
    const from = Math.max(0, this.#map.row - SPARE);
    const count = this.#visible + SPARE * (follow ? 1 : 2);
    // Following, it is the end that is asked for: to ask anew for each of its rows would be to ask for the next picture at once.
    const wanted = follow ? `${count}` : `${from}/${count}/${this.#map.row}`;
    if (wanted === this.#asked) return;
    this.#asked = wanted;
    this.#client.send({ t: 'view', from, count, top: this.#map.row, follow });
  }

  // ---- painting

  #paint(): void {
    this.#frame = 0;
    this.#draw();
    if (this.#look.wrap && this.#measure()) {
      // Heights were guessed: once more with the real ones.
      if (this.follow.value.on) this.#map.toEnd();
      this.#draw();
      this.#measure();
    }
    this.#box.style.transform = `translateY(${-this.#map.px}px)`;
    this.#showMark();
    this.#headOf(this.#dataOf(this.#map.row));
    this.atEnd.value = this.#map.atEnd;
    this.#ask();
    this.#ready();
  }

  /** Lets the next picture come: after a moment when none of the rows of the last one is left in this; where frames come
   * late, after a frame without one and a pause. */
  #ready(): void {
    const last = this.#painted;
    const rushes = this.follow.value.on && last > 0 && this.#map.row >= last;
    this.#painted = this.#map.row + this.#visible;
    const slow = this.#pace.pause > 0;
    const at = document.timeline.currentTime as number; // of this frame
    const painted = () => this.#client.send({ t: 'painted' });
    const next = () => {
      clearTimeout(this.#rush);
      const pause = Math.max(rushes ? RUSH_MS : 0, this.#pace.pause);
      if (pause > 0) this.#rush = setTimeout(painted, pause);
      else painted();
    };
    requestAnimationFrame((then) => {
      this.#pace.frame(then - at);
      if (slow) next();
    });
    if (!slow) next();
  }

  #lastRow(): number {
    let y = -this.#map.px;
    let row = this.#map.row;
    while (row < this.#map.rows && y < this.#map.viewport + ROW_HEIGHT) y += this.#heightOf(row++);
    return row;
  }

  #draw(): void {
    const from = this.#map.row;
    const to = this.#lastRow();
    const pinned = this.selection.pinned();
    // Rows that leave stay in their place until it is known whether another can have it: to take one out and put it
    // back costs the browser much more than new words in it.
    const free = new Set<RowElement>();
    for (const [row, e] of this.#shown) {
      if (row >= from && row < to) continue;
      if (pinned.has(row)) markRow(e, ' pinned');
      else {
        this.#shown.delete(row);
        free.add(e);
      }
    }
    let at = this.#box.firstElementChild as RowElement | null;
    const next = () => (at = at!.nextElementSibling as RowElement | null);
    while (at && !free.has(at) && at.row < from) next();
    for (let row = from; row < to; row++) {
      let e = this.#shown.get(row);
      if (e) while (at && free.has(at)) next();
      else {
        e = at && free.has(at) ? at : (free.values().next().value ?? this.#pool.pop() ?? makeRow());
        free.delete(e);
        e.row = row;
        this.#shown.set(row, e);
      }
      const data = this.#dataOf(row);
      if (data) drawRow(e, data, this.#look);
      else if (!e.shows) drawRow(e, { k: 'wait', n: 0 }, this.#look);
      this.#marks(e, row, data);
      if (e === at) next();
      else this.#box.insertBefore(e, at);
    }
    for (const e of free) {
      e.remove();
      if (this.#pool.length < 100) this.#pool.push(e);
    }
  }

  #marks(e: RowElement, row: number, data: Row | undefined): void {
    const n = data?.k === 'line' ? data.n : 0;
    markRow(e, `${n > 0 && this.selection.isPicked(n) ? ' picked' : ''}${row === this.#currentHit ? ' current' : ''}${row === this.#cursor ? ' cursor' : ''}`);
  }

  /** Reads the heights of wrapped rows; true when one was another than believed. */
  #measure(): boolean {
    let changed = false;
    let sum = 0;
    let count = 0;
    for (const [row, e] of this.#shown) {
      if (e.classes.endsWith(' pinned')) continue;
      const h = e.offsetHeight || ROW_HEIGHT;
      sum += h;
      count++;
      if (this.#heightOf(row) !== h) {
        this.#heights.set(row, h);
        changed = true;
      }
    }
    if (this.#heights.size > 20000) this.#heights.clear();
    if (count > 0) this.#mean = Math.max(ROW_HEIGHT, this.#mean * 0.8 + (sum / count) * 0.2);
    return changed;
  }

  #headOf(row: Row | undefined): void {
    const isHeader = row?.k === 'event' && row.name === 'step.started';
    const of = row && (row.k === 'line' || row.k === 'event') && row.step !== 0xffff ? row.step : null;
    if (row && row.k !== 'wait') this.stepAtTop = of;
    const step = isHeader ? null : of;
    if (this.topStep.value !== step) this.topStep.value = step;
  }
}
