// How a run is told in a few words.

import type { Run, Step } from '../api/types.ts';
import { t } from '../i18n/index.ts';

const SIGNALS: Record<number, string> = { 1: 'SIGHUP', 2: 'SIGINT', 3: 'SIGQUIT', 6: 'SIGABRT', 9: 'SIGKILL', 11: 'SIGSEGV', 13: 'SIGPIPE', 15: 'SIGTERM' };

export function signalName(n: number): string {
  return SIGNALS[n] ?? t.value.signalNumber(n);
}

/** Why it did not succeed: "exit 1", "SIGKILL", "timed out"; '' when it did. */
export function outcome(r: Pick<Run | Step, 'status' | 'reason' | 'exit_code' | 'signal'>): string {
  const m = t.value;
  if (r.status === 'succeeded') return '';
  if (r.reason === 'signal' && r.signal) return signalName(r.signal);
  if ((r.reason === 'exit' || r.reason === '') && r.exit_code !== null && r.exit_code > 0) return m.exitCode(r.exit_code);
  const known = (m.reason as Record<string, string>)[r.reason];
  return known ?? r.reason;
}

/** Backup #1481 */
export const runName = (run: Pick<Run, 'title' | 'name' | 'number'>): string => `${run.title || run.name} #${run.number}`;

/** Its title, or its id where several steps of a run bear the same title: those would not be told apart. */
export function stepName(step: Pick<Step, 'id' | 'title'>, steps: readonly Pick<Step, 'title'>[]): string {
  const alike = steps.filter((s) => s.title === step.title).length;
  return step.title !== '' && alike < 2 ? step.title : step.id;
}

export function inputsText(run: Pick<Run, 'inputs'>): string {
  return Object.entries(run.inputs)
    .map(([k, v]) => `${k}=${v}`)
    .join(' ');
}

/** "user:admin" → "admin", "schedule:backup" → "schedule". */
export function actorName(actor: string): string {
  const at = actor.indexOf(':');
  const kind = actor.slice(0, at);
  const name = actor.slice(at + 1);
  if (at < 0 || kind === 'user') return name;
  const m = t.value;
  if (kind === 'schedule') return m.actorSchedule;
  if (kind === 'opsctl') return 'opsctl';
  return `${kind} ${name}`;
}
