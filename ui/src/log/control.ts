// What can be done with a log that is shown: the toolbar, the keys and the step list all call this.

import { signal } from '@preact/signals';
import { t } from '../i18n/index.ts';
import { number } from '../lib/format.ts';
import { copyText, say } from '../ui/toast.ts';
import { LogClient } from './client.ts';
import { LogList, type ListLook } from './list.ts';
import type { Target } from './messages.ts';
import { linesHash, type Lines } from './selection.ts';

export class LogControl {
  readonly client: LogClient;
  readonly list = signal<LogList | null>(null);
  readonly findOpen = signal(false);
  readonly query = signal('');
  readonly regex = signal(false);
  /** Which hit is the current one, from 1; 0: none yet. */
  readonly hitAt = signal(0);
  readonly focusMode = signal(false);

  constructor(run: string) {
    this.client = new LogClient(run);
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
    this.query.value = text;
    this.regex.value = regex;
    this.hitAt.value = 0;
    this.client.find(text === '' ? null : { text, regex });
  }

  openFind(): void {
    this.findOpen.value = true;
    document.querySelector<HTMLInputElement>('.find input')?.select();
  }

  closeFind(): void {
    this.findOpen.value = false;
    this.search('', this.regex.value);
    this.list.value?.setCurrent(-1);
    this.list.value?.root.focus({ preventScroll: true });
  }

  private async step(what: 'hit' | 'error', forward: boolean): Promise<boolean> {
    const list = this.list.value;
    if (!list) return false;
    let row = await this.client.next(what, list.reference, forward);
    // Past the end it goes on at the other side.
    if (row === null) row = await this.client.next(what, forward ? -1 : this.client.size.value.rows, forward);
    if (row === null) return false;
    list.showRow(row, 4);
    list.setCurrent(row);
    return true;
  }

  async nextHit(forward: boolean): Promise<void> {
    if (this.query.value === '') return this.openFind();
    const total = this.client.found.value.rows;
    if (!(await this.step('hit', forward))) return;
    const at = this.hitAt.value;
    this.hitAt.value = at === 0 ? (forward ? 1 : total) : ((at - 1 + (forward ? 1 : -1) + total) % Math.max(1, total)) + 1;
  }

  async nextError(forward: boolean): Promise<void> {
    if (!(await this.step('error', forward))) say(t.value.noErrors);
  }

  /** Opens a line, an offset; the current lines are marked when they are lines. */
  async show(target: Target, above = 3): Promise<void> {
    const row = await this.client.seek(target);
    if (row !== null) this.list.value?.showRow(row, above);
  }

  async showLines(lines: Lines): Promise<void> {
    this.list.value?.selection.setLines(lines);
    this.list.value?.hold();
    await this.show({ line: lines.from }, 5);
    this.list.value?.countFromHere();
  }

  async copyPicked(): Promise<void> {
    const list = this.list.value;
    const lines = list?.selection.lines.value;
    if (!list || !lines) return say(t.value.pickLineFirst);
    const from = await this.client.seek({ line: lines.from });
    const to = lines.to === lines.from ? from : await this.client.seek({ line: lines.to });
    if (from === null || to === null) return;
    const { text, missing } = await this.client.text({ row: from, col: 0 }, { row: to, col: Number.MAX_SAFE_INTEGER });
    await copyText(text, missing > 0 ? t.value.copiedWithout(number(missing)) : t.value.copied);
  }

  async copyLink(): Promise<void> {
    const lines = this.list.value?.selection.lines.value ?? null;
    await copyText(location.origin + location.pathname + linesHash(lines), t.value.linkCopied);
  }
}
