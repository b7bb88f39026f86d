// What can be done with a log that is shown: the toolbar, the keys and the step list all call this. What is done only now
// and then is in acts.ts.

import { signal } from '@preact/signals';
import { LogClient } from './client.ts';
import { LogList, type ListLook } from './list.ts';
import type { Stream, Target } from '../messages.ts';
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
  /** The jump to a hit or an error that is under way: the next one goes on from where it comes to. */
  stepping: Promise<unknown> = Promise.resolve();

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

  openFind(): void {
    this.findOpen.value = true;
    document.querySelector<HTMLInputElement>('.find input')?.select();
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

  /** kept: the line that was at the top when somebody read here before; 0: none. */
  async showLines(lines: Lines | null, kept = 0): Promise<void> {
    this.list.value?.selection.setLines(lines);
    this.list.value?.hold();
    await this.show({ line: kept || (lines?.from ?? 1) }, kept ? 0 : undefined);
    this.list.value?.countFromHere();
  }
}
