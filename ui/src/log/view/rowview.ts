// One row of the log as elements. Made by hand: thousands of them come and go a second, so a row keeps
// its elements and what is in them is changed, as far as it differs.

import { bytes, clockMillis, duration, number as formatNumber, offsetTime } from '../../lib/format.ts';
import { t } from '../../i18n/index.ts';
import type { AnyStatus, Step } from '../../api/types.ts';
import { actorName, outcome, signalName, stepName } from '../../ui/runText.ts';
import { STATUS_ICONS } from '../../ui/Status.tsx';
import { Attr } from '../ansi.ts';
import { cssOf, onColour, rgbOf, textColour } from './colour.ts';
import { drew } from './litter.ts';
import type { EventRow, LineRow, Row } from '../messages.ts';
import { svgNode } from './svg.ts';
import type { Run } from '../worker/text.ts';

export type Times = 'off' | 'relative' | 'absolute';

export interface Look {
  dark: boolean;
  times: Times;
  startUs: number;
  steps: readonly Step[];
  lang: string;
}

export interface RowElement extends HTMLDivElement {
  /** What it shows, and what else that depends on, to tell whether it has to be drawn again. */
  shows: Row | null;
  how: string;
  /** Classes of what it shows, and those it has: with marks. */
  base: string;
  classes: string;
  row: number;
  /** Number, time and text of a line; null while it shows something else. */
  parts: Parts | null;
}

interface Parts {
  number: HTMLSpanElement;
  time: HTMLSpanElement | null;
  text: HTMLSpanElement;
}

export function makeRow(): RowElement {
  const e = document.createElement('div') as RowElement;
  e.how = e.base = e.classes = '';
  e.row = -1;
  e.shows = e.parts = null;
  return e;
}

function element<K extends 'span' | 'button'>(tag: K, className: string, text: string): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  e.className = className;
  e.textContent = text;
  return e;
}

const span = (className: string, text: string): HTMLSpanElement => element('span', className, text);

function button(className: string, text: string): HTMLButtonElement {
  const b = element('button', className, text);
  b.type = 'button';
  return b;
}

function icon(name: string): SVGElement {
  return svgNode('svg', { class: 'icon', 'aria-hidden': 'true' }, svgNode('use', { href: `${__SPRITE__}#${name}` }));
}

interface Painted {
  classes: string;
  color: string;
  background: string;
}

function paint(r: Run, look: Look): Painted {
  const inverse = (r.attrs & Attr.inverse) !== 0;
  const fg = inverse ? r.bg : r.fg;
  const bg = inverse ? r.fg : r.bg;
  const classes: string[] = [];
  let color = '';
  let background = '';
  const back = rgbOf(bg);
  if (back && !r.mark) background = cssOf(back);
  else if (bg > 0) classes.push(`bg${bg - 1}`);
  else if (inverse) classes.push('bg7');
  const front = rgbOf(fg);
  if (r.mark) classes.push('mark');
  else if (front) color = textColour(front, back, look.dark);
  else if (back) color = onColour(back);
  else if (bg > 0) classes.push('on-bg');
  else if (fg > 0) classes.push(`fg${fg - 1}`);
  else if (inverse) classes.push('on-bg');
  if (r.attrs & Attr.bold) classes.push('bold');
  if (r.attrs & Attr.dim && !front && fg === 0) classes.push('fg8');
  if (r.attrs & Attr.italic) classes.push('italic');
  if (r.attrs & Attr.underline) classes.push('underline');
  if (r.attrs & Attr.strike) classes.push('strike');
  if (r.attrs & Attr.shown) classes.push('shown');
  return { classes: classes.join(' '), color, background };
}

function setText(node: Node, text: string): void {
  const first = node.firstChild;
  if (!first) node.textContent = text;
  else if ((first as Text).data !== text) (first as Text).data = text;
}

/** Where a link leads, when its words do not say it: they may say anything. */
function hostOf(r: Run): string {
  return r.text.trim() === r.link || !URL.canParse(r.link) ? '' : new URL(r.link).host;
}

/** Its digits make room for themselves at its right end. */
function setNumber(e: HTMLElement, text: string): void {
  if (e.textContent.length !== text.length) e.style.setProperty('--d', String(text.length));
  setText(e, text);
}

/** Shows a run in `node` when that is of the right kind, else in a new one. ends: the next run is of no or another link. */
function runNode(node: ChildNode | null, r: Run, look: Look, ends: boolean): ChildNode {
  if (r.link === '' && r.fg === 0 && r.bg === 0 && r.attrs === 0 && !r.mark) {
    if (!(node instanceof Text)) return document.createTextNode(r.text);
    if (node.data !== r.text) node.data = r.text;
    return node;
  }
  const name = r.link !== '' ? 'A' : r.mark ? 'MARK' : 'SPAN';
  const e = node instanceof HTMLElement && node.tagName === name ? node : document.createElement(name);
  if (r.link !== '') {
    const a = e as HTMLAnchorElement;
    a.href = a.title = r.link;
    a.target = '_blank';
    a.rel = 'noreferrer noopener';
    a.dataset['host'] = ends ? hostOf(r) : '';
  }
  const p = paint(r, look);
  if (e.className !== p.classes) e.className = p.classes;
  if (e.style.color !== p.color) e.style.color = p.color;
  if (e.style.backgroundColor !== p.background) e.style.backgroundColor = p.background;
  setText(e, r.text);
  return e;
}

function timeText(us: number, look: Look): string {
  if (us === 0) return '';
  return look.times === 'absolute' ? clockMillis(us) : offsetTime(us - look.startUs);
}

function gutter(us: number, look: Look): HTMLElement[] {
  const cells = [span('ln', '')];
  if (look.times !== 'off') cells.push(span(`lt ${look.times}`, timeText(us, look)));
  for (const c of cells) c.setAttribute('aria-hidden', 'true');
  return cells;
}

/** The three parts of a line's row, those of before where they fit. */
function lineParts(e: RowElement, look: Look): Parts {
  const { parts } = e;
  const wanted = look.times === 'off' ? '' : `lt ${look.times}`;
  if (parts && (parts.time?.className ?? '') === wanted) return parts;
  const [number, time] = gutter(0, look) as [HTMLSpanElement, HTMLSpanElement | undefined];
  const text = span('lx', '');
  e.replaceChildren(...(time ? [number, time, text] : [number, text]));
  return (e.parts = { number, time: time ?? null, text });
}

function drawLine(e: RowElement, r: LineRow, look: Look): void {
  e.base = `lr${r.stderr ? ' stderr' : ''}${r.error ? ' error' : ''}${r.n === 0 ? ' open' : ''}${r.apart ? ' apart' : ''}`;
  const { number, time, text } = lineParts(e, look);
  setNumber(number, r.n > 0 ? String(r.n) : '·');
  if (time) setText(time, timeText(r.timeUs, look));
  let at = text.firstChild;
  for (const [i, run] of r.runs.entries()) {
    const node = runNode(at, run, look, r.runs[i + 1]?.link !== run.link);
    if (node !== at) {
      if (at) at.replaceWith(node);
      else text.append(node);
    }
    at = node.nextSibling;
  }
  while (at) {
    const next: ChildNode | null = at.nextSibling;
    at.remove();
    at = next;
  }
  if (r.more > 0) {
    text.append(button('more-bytes', t.value.moreOfLine(bytes(r.more))));
  }
}

const text = (e: EventRow, k: string): string => (typeof e.fields[k] === 'string' ? e.fields[k] : '');
const num = (e: EventRow, k: string): number | null => (typeof e.fields[k] === 'number' ? e.fields[k] : null);

interface EventText {
  tone: string;
  icon: string;
  words: string;
  detail?: string;
}

function statusOf(e: EventRow): AnyStatus {
  const s = text(e, 'status');
  return s in STATUS_ICONS ? (s as AnyStatus) : 'failed';
}

function how(e: EventRow): string {
  const signal = num(e, 'signal');
  const o = outcome({ status: 'failed', reason: text(e, 'reason'), exit_code: num(e, 'exit_code'), signal });
  const words = o || (signal ? signalName(signal) : '');
  // "Run cancelled": once is enough.
  return words === t.value.status[statusOf(e)].toLowerCase() ? '' : words;
}

/** What an event says between the lines. */
export function eventText(e: EventRow, look: Look): EventText {
  const m = t.value;
  const step = look.steps[e.step];
  const name = step ? stepName(step, look.steps) : text(e, 'step_id');
  switch (e.name) {
    case 'step.started': {
      const attempt = num(e, 'attempt') ?? 1;
      const last = !step || attempt >= step.attempt; // the others have failed, or there were no more
      const status = !last ? 'failed' : (step?.status ?? 'running');
      const took = last && step && step.finished_us > 0 ? duration(step.finished_us - e.timeUs) : '';
      return { tone: `step ${status}`, icon: STATUS_ICONS[status], words: attempt > 1 ? m.stepAttempt(name, attempt) : name, detail: took };
    }
    case 'step.finished': {
      const message = text(e, 'message');
      return { tone: `end ${statusOf(e)}`, icon: STATUS_ICONS[statusOf(e)], words: m.stepEnded(name, m.status[statusOf(e)].toLowerCase()), detail: message || how(e) };
    }
    case 'step.retrying':
      return { tone: 'remark', icon: 'rotate-cw', words: m.eventRetrying(name) };
    case 'step.waiting':
      return { tone: 'remark', icon: 'circle-pause', words: m.eventWaiting(name) };
    case 'step.approved': {
      const yes = e.fields['approve'] !== false;
      const detail = [actorName(text(e, 'actor')), text(e, 'comment')].filter((x) => x !== '').join(' · ');
      return { tone: 'remark', icon: yes ? 'check' : 'ban', words: m.eventAnswered(name, yes), detail };
    }
    case 'step.timed_out':
    case 'run.timed_out':
      return { tone: 'bad', icon: 'clock', words: m.eventTimedOut(e.name === 'run.timed_out' ? m.theRun : name, duration(num(e, 'timeout_us') ?? 0)) };
    case 'run.cancel_requested':
      return { tone: 'remark', icon: 'ban', words: m.eventCancel(actorName(text(e, 'actor'))), detail: text(e, 'reason').replace(/^cancelled$/, '') };
    case 'run.disk_full':
      return { tone: 'bad', icon: 'hard-drive', words: m.eventDiskFull, detail: text(e, 'message') };
    case 'run.disk_ok':
      return { tone: 'remark', icon: 'hard-drive', words: m.eventDiskOk };
    case 'output.truncated':
      return { tone: 'bad', icon: 'triangle-alert', words: m.eventTruncated(bytes(num(e, 'bytes') ?? 0)) };
    case 'children.killed': {
      const names = Array.isArray(e.fields['names']) ? (e.fields['names'] as string[]).join(', ') : '';
      return { tone: 'remark', icon: 'zap', words: m.eventKilled(num(e, 'count') ?? 0), detail: names };
    }
    case 'run.finished': {
      const status = statusOf(e);
      const message = text(e, 'message');
      return { tone: `end run-end ${status}`, icon: STATUS_ICONS[status], words: m.eventRunEnded(m.status[status].toLowerCase()), detail: message || (status === 'succeeded' ? '' : how(e)) };
    }
    default:
      return { tone: 'remark', icon: 'info', words: e.name };
  }
}

function drawEvent(e: RowElement, r: EventRow, look: Look): void {
  const said = eventText(r, look);
  e.base = `lr event ${said.tone}${r.folded ? ' folded' : ''}`;
  const body = span('le', '');
  const header = r.name === 'step.started';
  // For the mouse; the sticky header and the key o do the same.
  if (header) body.append(icon(r.folded ? 'chevron-right' : 'chevron-down'));
  body.append(icon(said.icon), span('le-words', said.words));
  if (said.detail) body.append(span('le-detail', said.detail));
  if (r.folded && r.errors > 0) body.append(span('le-errors', t.value.errorsInside(r.errors)));
  else if (r.folded) body.append(span('le-detail', t.value.folded));
  e.replaceChildren(...gutter(r.name === 'step.started' || look.times !== 'off' ? r.timeUs : 0, look), body);
}

/** Marks a row; the document is only touched for what differs. */
export function markRow(e: RowElement, marks: string): void {
  const wanted = e.base + marks;
  if (e.classes !== wanted) e.className = e.classes = wanted;
}

/** Draws a row when it shows something else than before; its classes come with markRow. */
export function drawRow(e: RowElement, r: Row, look: Look): void {
  const step = r.k === 'event' ? look.steps[r.step] : undefined;
  const how = `${look.lang}${look.dark}${look.times}${look.startUs}${step?.status}${step?.attempt}${step?.finished_us}`;
  if (e.shows === r && e.how === how) return;
  e.shows = r;
  e.how = how;
  drew();
  if (r.k === 'line') drawLine(e, r, look);
  else if (r.k === 'wait') {
    const { number, time, text } = lineParts(e, look);
    e.base = 'lr wait';
    setNumber(number, r.n > 0 ? String(r.n) : '');
    if (time) setText(time, '');
    text.replaceChildren();
  } else if (r.k === 'event') {
    e.parts = null;
    drawEvent(e, r, look);
  } else {
    e.parts = null;
    e.base = 'lr gap';
    const words = r.problem !== '' ? t.value.gapFailed(formatNumber(r.lines)) : t.value.gapSkipped(bytes(r.bytes));
    e.replaceChildren(...gutter(0, look), span('le-words', words), button('load-gap', r.problem !== '' ? t.value.retry : t.value.load));
  }
}
