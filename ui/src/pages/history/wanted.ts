// What the history looks for: it lives in the address.

import type { Run } from '../../api/types.ts';

export const FILTERS = { all: '', active: 'queued,running,waiting', failed: 'failed,timed_out,lost', succeeded: 'succeeded' } as const;
export type Filter = keyof typeof FILTERS;

/** What is looked for; it lives in the address. */
export interface Wanted {
  status: Filter;
  /** A command or flow by its id; '' for any. */
  name: string;
  /** Part of a name, title, actor or reason, or #1482. */
  q: string;
  /** Of one machine; '' for all. */
  host: string;
}

export function wantedOf(query: string): Wanted {
  const p = new URLSearchParams(query);
  const f = p.get('status');
  return { status: f === 'active' || f === 'failed' || f === 'succeeded' ? f : 'all', name: p.get('name') ?? '', q: (p.get('q') ?? '').trim(), host: p.get('host') ?? '' };
}

export function addressOf(w: Wanted): string {
  const p = new URLSearchParams();
  if (w.status !== 'all') p.set('status', w.status);
  if (w.name !== '') p.set('name', w.name);
  if (w.q !== '') p.set('q', w.q);
  if (w.host !== '') p.set('host', w.host);
  const query = p.toString();
  return query === '' ? '/history' : `/history?${query}`;
}

/** As the daemon looks for it. */
function matches(r: Run, q: string): boolean {
  if (q === '') return true;
  if (/^#\d+$/.test(q)) return `#${r.number}` === q;
  const part = q.toLowerCase();
  return [r.name, r.title, r.actor, r.reason].some((t) => t.toLowerCase().includes(part));
}

/** Loaded runs with what the live topic knows better or newer. */
export function merge(loaded: readonly Run[], fresh: readonly Run[], w: Wanted): Run[] {
  const known = new Set(loaded.map((r) => r.id));
  const fits = (r: Run) =>
    (w.status === 'all' || FILTERS[w.status].split(',').includes(r.status)) && (w.name === '' || r.name === w.name) && (w.host === '' || r.host === w.host) && (known.has(r.id) || matches(r, w.q));
  const byId = new Map(loaded.map((r) => [r.id, r]));
  const oldest = loaded[loaded.length - 1]?.created_us ?? 0;
  for (const r of fresh) if (byId.has(r.id) || r.created_us >= oldest) byId.set(r.id, r);
  return [...byId.values()].filter(fits).sort((a, b) => b.created_us - a.created_us || b.number - a.number);
}
