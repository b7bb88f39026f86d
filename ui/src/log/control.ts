// What can be done with a log that is shown: the toolbar, the keys and the step list all call this.

import { signal } from '@preact/signals';
import { t } from '../i18n/index.ts';
import { say } from '../ui/toast.ts';
import { LogClient } from './client.ts';
import { LogList, type ListLook } from './list.ts';
import type { Stream, Target } from './messages.ts';
import { nextTimes, timestamps, toggleWrap, wrapLines } from './prefs.ts';
import type { Lines } from './selection.ts';

export class LogControl {
  /** How logs look, for what is loaded later: with an import of its own it would be a file of its own. */
  readonly prefs = { nextTimes, timestamps, toggleWrap, wrapLines };
  readonly client: LogClient;
  readonly list = signal<LogList | null>(null);
  readonly findOpen = signal(false);
  readonly query = signal('');
  readonly regex = signal(false);
  /** Which hit is the current one, from 1; 0: none yet. */
  readonly hitAt = signal(0);
  readonly focusMode = signal(false);
  #stepping: Promise<number> = Promise.resolve(0);

  /** topic, host: of what is no run's log (see LogClient). */
  constructor(run: string, topic?: string, host?: string) {
    this.client = new LogClient(run, topic, host);
  }

  mount(root: HTMLElement, look: ListLook): LogList {
    const list = new LogList(root, this.client, look);
    this.list.value = list;
    return list;
  }

  unmount(): void {
    this.list.value?.close();
    this.list.value = null;
  }

  close(): void {
    this.unmount();
    this.client.close();
  }

  search(text: string, regex: boolean): void {
    if (text === this.query.value && regex === this.regex.value) return;
    this.query.value = text;
    this.regex.value = regex;
    this.hitAt.value = 0;
    this.client.find(text === '' ? null : { text, regex });
  }

  /** Shows only hits and the lines around them, or everything again. */
  toggleOnly(): void {
    const { client } = this;
    if (this.query.value === '' && !client.only.value) return;
    this.list.value?.forget();
    client.show(client.folded.value, client.streams.value, !client.only.value);
  }

  openFind(): void {
    this.findOpen.value = true;
    document.querySelector<HTMLInputElement>('.find input')?.select();
  }

  closeFind(): void {
    this.findOpen.value = false;
    if (this.client.only.value) this.toggleOnly();
    this.search('', this.regex.value);
    this.list.value?.setCurrent(-1);
    this.list.value?.root.focus({ preventScroll: true });
  }

  /** One after the other: each goes on from where the one before it came to. */
  #step(what: 'hit' | 'error', forward: boolean): Promise<number> {
    this.#stepping = this.#stepping.then(() => this.#stepOnce(what, forward));
    return this.#stepping;
  }

  async #stepOnce(what: 'hit' | 'error', forward: boolean): Promise<number> {
    const list = this.list.value;
    if (!list) return 0;
    const { row, rank } = await this.client.next(what, list.reference, forward);
    if (row === null) return 0;
    list.showRow(row);
    list.setCurrent(row);
    return rank;
  }

  async nextHit(forward: boolean): Promise<void> {
    if (this.query.value === '') return this.openFind();
    this.hitAt.value = await this.#step('hit', forward);
  }

  async nextError(forward: boolean): Promise<void> {
    if ((await this.#step('error', forward)) > 0) return;
    say(this.client.size.value.errorsComplete ? t.value.noErrors : t.value.noErrorsHere);
  }

  // ---- steps

  fold(steps: ReadonlySet<number>): void {
    this.list.value?.forget();
    this.client.show(steps, this.client.streams.value);
  }

  setStreams(streams: Stream): void {
    this.list.value?.forget();
    this.client.show(this.client.folded.value, streams);
  }

  /** Folds the lines of a step away, or brings them back. */
  toggleFold(step: number): void {
    const steps = new Set(this.client.folded.value);
    if (!steps.delete(step)) steps.add(step);
    this.fold(steps);
  }

  /** Opens a line, an offset; the current lines are marked when they are lines. */
  async show(target: Target, above = 3): Promise<void> {
    const row = await this.client.seek(target, this.list.value?.around(above) ?? null);
    if (row !== null) this.list.value?.showRow(row, above);
  }

  async showLines(lines: Lines): Promise<void> {
    this.list.value?.selection.setLines(lines);
    this.list.value?.hold();
    await this.show({ line: lines.from });
    this.list.value?.countFromHere();
  }
}
