// What a week holds: runs that schedules began, and when they will begin more.

import type { Run, ScheduledFlow } from '../../api/types.ts';
import { midnight, weekday } from '../../lib/zone.ts';
import { fires, parseCron, zoneOffset } from './cron.ts';

export interface Coming {
  atMs: number;
  flow: ScheduledFlow;
}

export interface Day {
  /** Its midnight. */
  startMs: number;
  /** By time. */
  past: Run[];
  /** By time; what comes often is there as its first time, with how many more. */
  coming: (Coming & { more: number })[];
}

/** As often as a flow is named in one day. */
const NAMED = 3;

/** Monday's midnight of the week that is `weeks` after the one of `nowMs`. */
export const weekStart = (nowMs: number, weeks: number): number => midnight(nowMs, weeks * 7 - weekday(nowMs));

function comingOf(flow: ScheduledFlow, fromMs: number, toMs: number): Coming[] {
  const times = new Set<number>();
  for (const rule of flow.rules) {
    const cron = parseCron(rule.cron);
    if (cron) for (const ms of fires(cron, zoneOffset(rule.timezone), fromMs, toMs)) times.add(ms);
  }
  return [...times].sort((a, b) => a - b).map((atMs) => ({ atMs, flow }));
}

export function weekOf(startMs: number, nowMs: number, runs: readonly Run[], flows: readonly ScheduledFlow[]): Day[] {
  const end = midnight(startMs, 7);
  const coming = end > nowMs ? flows.filter((f) => !f.paused).map((f) => comingOf(f, Math.max(startMs, nowMs + 1), end)) : [];
  return Array.from({ length: 7 }, (_, i) => {
    const from = midnight(startMs, i);
    const to = midnight(startMs, i + 1);
    const past = runs.filter((r) => r.created_us >= from * 1000 && r.created_us < to * 1000).sort((a, b) => a.created_us - b.created_us);
    const ahead = coming.flatMap((list) => {
      const today = list.filter((c) => c.atMs >= from && c.atMs < to);
      const named = today.length > NAMED ? 1 : today.length;
      return today.slice(0, named).map((c) => ({ ...c, more: named === today.length ? 0 : today.length - 1 }));
    });
    return { startMs: from, past, coming: ahead.sort((a, b) => a.atMs - b.atMs) };
  });
}
