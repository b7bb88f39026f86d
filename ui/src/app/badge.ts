// Title and icon of the tab carry the state of the run that is looked at, or of any that runs.

import { effect, signal } from '@preact/signals';
import type { Run } from '../api/types.ts';
import { t } from '../i18n/index.ts';
import { route } from '../lib/router.ts';
import { activeRuns, isActive } from '../live/store.ts';

/** The run on the screen. */
export const shownRun = signal<Run | null>(null);

type Badge = keyof typeof __ICONS__;

export function badgeOf(run: Run): Badge {
  if (run.status === 'waiting') return 'waiting';
  if (isActive(run)) return 'running';
  if (run.status === 'succeeded') return 'ok';
  return run.status === 'cancelled' || run.status === 'skipped' ? 'idle' : 'failed';
}

const MARKS: Record<Badge, string> = { idle: '', running: '● ', waiting: '⏸ ', ok: '✓ ', failed: '✖ ' };

function pageTitle(): string {
  const m = t.value;
  const r = route.value;
  const run = shownRun.value;
  if (r.page === 'run' && run) return `${run.title || run.name} #${run.number}`;
  if (r.page === 'resources') return m.section[r.section];
  const names = { overview: m.overview, commands: m.commands, run: m.run, history: m.history, schedule: m.schedule, audit: m.audit, more: m.more, settings: m.settings, login: m.signIn, notFound: m.notFound };
  return names[r.page];
}

export function startBadge(): void {
  effect(() => {
    const run = route.value.page === 'run' ? shownRun.value : null;
    const badge: Badge = run ? badgeOf(run) : activeRuns.value.length > 0 ? 'running' : 'idle';
    const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
    const href = __ICONS__[badge];
    if (icon && icon.getAttribute('href') !== href) icon.setAttribute('href', href);
    document.title = `${MARKS[run ? badge : 'idle']}${pageTitle()} · Ops`;
  });
}
