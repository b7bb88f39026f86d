// The last hour of one value of each item, for the small lines of a list.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { dashboardNow } from '../../lib/clock.ts';
import { shownKey } from '../../live/hosts.ts';
import { loadHistories } from '../overview/samples.ts';
import type { Item, Point } from '../overview/status.ts';
import { sparkKey } from './panels.ts';

const HOUR_MS = 3_600_000;
const EVERY_MS = 60_000;
/** Lists longer than that have lines for the first ones only. */
const MOST = 64;

export function useSparks(section: string, items: readonly Item[]): (item: Item) => readonly Point[] | null {
  const lines = useSignal<Map<string, readonly Point[]>>(new Map());
  const keys = items
    .map((i) => sparkKey(section, i))
    .filter((k) => k !== null)
    .slice(0, MOST);
  const host = shownKey.value;
  const name = keys.map((k) => k.join(' ')).join('\n');
  useEffect(() => {
    if (keys.length === 0) return undefined;
    const abort = new AbortController();
    const load = () => {
      if (document.hidden) return;
      const now = dashboardNow();
      loadHistories(keys, now - HOUR_MS, now, { host, signal: abort.signal }).then(
        (all) => (lines.value = new Map(all.map((s) => [s.item, s.points.filter((p): p is Point => p[1] !== null)]))),
        () => undefined, // no history, no lines: the page says elsewhere that the database is away
      );
    };
    load();
    const timer = setInterval(load, EVERY_MS);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [name, host]);
  const known = lines.value;
  return (item) => (keys.length === 0 ? null : (known.get(`${section}/${item.id}`) ?? []));
}
