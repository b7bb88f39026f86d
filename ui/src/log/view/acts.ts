// What a person does with a log now and then, by key or menu: loaded when the log stands.

import type { Step } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { number } from '../../lib/format.ts';
import { copyText, say } from '../../ui/toast.ts';
import type { LogClient } from './client.ts';
import type { LogControl } from './control.ts';
import type { Point } from '../messages.ts';

/** Lines that are read out by the command for it. */
const READ_OUT = 20;

/** Copies what is between two points, and says what of it is not there. */
export async function copyRange(client: LogClient, from: Point, to: Point): Promise<void> {
  const { text, missing } = await client.text(from, to);
  await copyText(text, missing > 0 ? t.value.copiedWithout(number(missing)) : t.value.copied);
}

export async function copyPicked({ client, list }: LogControl): Promise<void> {
  const lines = list.value?.selection.lines.value;
  if (!lines) return say(t.value.pickLineFirst);
  // The end first: what comes to light for it may move the beginning.
  const to = await client.seek({ line: lines.to });
  const from = lines.to === lines.from ? to : await client.seek({ line: lines.from });
  if (from === null || to === null) return;
  // The rows between may be counted otherwise by now.
  const end = lines.to === lines.from ? from : ((await client.seek({ line: lines.to })) ?? to);
  await copyRange(client, { row: from, col: 0 }, { row: end, col: Number.MAX_SAFE_INTEGER });
}

export async function copyLink({ list }: LogControl): Promise<void> {
  await copyText(location.href.split('#')[0] + (list.value?.selection.hash ?? ''), t.value.linkCopied);
}

/** Has the last lines read out: nothing of a stream is, by itself. */
export async function readLast({ client, list }: LogControl): Promise<void> {
  const { rows } = client.size.value;
  const { text } = await client.text({ row: Math.max(0, rows - 2 * READ_OUT), col: 0 }, { row: rows - 1, col: Number.MAX_SAFE_INTEGER });
  if (list.value) list.value.cursorText.value = text.split('\n').slice(-READ_OUT).join('\n') || t.value.logEmpty;
}

/** Folds the step that is read: the one at the top, or the last one while following. Its header is at the top then: once more, and it is back. */
export async function foldHere(control: LogControl, steps: readonly Step[]): Promise<void> {
  const step = control.list.value?.stepAtTop ?? null;
  if (step === null) return;
  control.toggleFold(step);
  const { offset } = steps[step] ?? {};
  if (offset !== null && offset !== undefined) await control.show({ offset }, 0);
}

/** To the header of the next or the previous step. */
export async function nextStep(control: LogControl, steps: readonly Step[], forward: boolean): Promise<void> {
  const list = control.list.value;
  const begun = steps.filter((s) => s.offset !== null).sort((a, b) => a.offset! - b.offset!);
  if (!list || begun.length === 0) return;
  const at = begun.findIndex((s) => s.index === list.stepAtTop);
  // Back goes to the beginning of the step first.
  const inside = list.topStep.value !== null;
  const to = begun[Math.max(0, Math.min(begun.length - 1, at + (forward ? 1 : inside ? 0 : -1)))]!;
  await control.show({ offset: to.offset! }, 0);
}

// ---- searching

export function search({ query, regex, hitAt, client }: LogControl, text: string, isRegex: boolean): void {
  if (text === query.value && isRegex === regex.value) return;
  query.value = text;
  regex.value = isRegex;
  hitAt.value = 0;
  // What was found of something else is no answer to this.
  client.found.value = { rows: 0, searched: 0, busy: text !== '', truncated: 0, problem: '' };
  client.send({ t: 'find', query: text === '' ? null : { text, regex: isRegex } });
}

/** Shows only hits and the lines around them, or everything again. */
export function toggleOnly({ query, client, list }: LogControl): void {
  if (query.value === '' && !client.only.value) return;
  list.value?.forget();
  client.show(client.folded.value, client.streams.value, !client.only.value);
}

export function closeFind(control: LogControl): void {
  const list = control.list.value;
  control.findOpen.value = false;
  if (control.client.only.value) toggleOnly(control);
  search(control, '', control.regex.value);
  list?.setCurrent(-1);
  list?.root.focus({ preventScroll: true });
}

/** Goes to the next hit or error. Its number among all, from 1; 0: there is none. */
function step(control: LogControl, what: 'hit' | 'error', forward: boolean): Promise<number> {
  const done = control.stepping.then(async () => {
    const list = control.list.value;
    if (!list) return 0;
    const { row, rank } = await control.client.next(what, list.reference, forward);
    if (row === null) return 0;
    list.showRow(row);
    list.setCurrent(row);
    return rank;
  });
  control.stepping = done;
  return done;
}

export async function nextHit(control: LogControl, forward: boolean): Promise<void> {
  if (control.query.value === '') return control.openFind();
  control.hitAt.value = await step(control, 'hit', forward);
}

export async function nextError(control: LogControl, forward: boolean): Promise<void> {
  if ((await step(control, 'error', forward)) > 0) return;
  say(control.client.size.value.errorsComplete ? t.value.noErrors : t.value.noErrorsHere);
}
