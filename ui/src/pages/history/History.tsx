import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { now } from '../../lib/format.ts';
import { useListKeys } from '../../lib/listKeys.ts';
import { go, here } from '../../lib/router.ts';
import { hosts, hostTitle, runPath, sameHost, several } from '../../live/hosts.ts';
import { catalog, loadRuns, runs } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { runName } from '../../ui/runText.ts';
import { Days } from '../../ui/Days.tsx';
import { Segmented } from '../../ui/Field.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Empty, Problem, Skeleton } from '../../ui/Notice.tsx';
import { RunRow } from '../../ui/RunRow.tsx';
import { PickBar } from './PickBar.tsx';
import { Preview } from './Preview.tsx';

const PAGE = 50;
const FILTERS = { all: '', active: 'queued,running,waiting', failed: 'failed,timed_out,lost', succeeded: 'succeeded' } as const;
type Filter = keyof typeof FILTERS;

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

function addressOf(w: Wanted): string {
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

/** A moment after somebody stopped typing. */
const TYPING_MS = 250;

function Filters({ wanted }: { wanted: Wanted }) {
  const m = t.value;
  const typed = useSignal(wanted.q);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    // Back and forward change the address under the field.
    if (typed.value.trim() !== wanted.q) typed.value = wanted.q;
  }, [wanted.q]);
  const set = (change: Partial<Wanted>) => go(addressOf({ ...wanted, ...change }), true);
  // What several machines have is there once.
  const entries = [...new Map((catalog.value?.entries ?? []).filter((e) => wanted.host === '' || sameHost(e.host, wanted.host)).map((e) => [e.id, e])).values()];
  const known = wanted.name === '' || entries.some((e) => e.id === wanted.name);
  return (
    <div class="page-tools">
      <label class="filter">
        <Icon name="search" />
        <span class="visually-hidden">{m.filterRuns}</span>
        <input
          type="search"
          placeholder={m.filterRuns}
          value={typed.value}
          onInput={(e) => {
            typed.value = e.currentTarget.value;
            clearTimeout(timer.current);
            timer.current = setTimeout(() => set({ q: typed.value.trim() }), TYPING_MS);
          }}
        />
      </label>
      {several.value && (
        <label class="wide-only">
          <span class="visually-hidden">{m.host}</span>
          <select class="input filter-select" value={wanted.host} onChange={(e) => set({ host: e.currentTarget.value })}>
            <option value="">{m.anyHost}</option>
            {hosts.value.map((h) => (
              <option key={h.host} value={h.host}>
                {hostTitle(h.host)}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        <span class="visually-hidden">{m.command}</span>
        <select class="input filter-select" value={wanted.name} onChange={(e) => set({ name: e.currentTarget.value })}>
          <option value="">{m.anyCommand}</option>
          {!known && <option value={wanted.name}>{wanted.name}</option>}
          {entries.map((e) => (
            <option key={e.id} value={e.id}>
              {e.title || e.id}
            </option>
          ))}
        </select>
      </label>
      <Segmented
        name="status"
        label={m.show}
        value={wanted.status}
        onChange={(v) => set({ status: v as Filter })}
        options={[
          ['all', m.all],
          ['active', m.status.running],
          ['succeeded', m.status.succeeded],
          ['failed', m.status.failed],
        ]}
      />
    </div>
  );
}

export function History() {
  const m = t.value;
  const wanted = wantedOf(here.value.query);
  const address = addressOf(wanted);
  const loaded = useSignal<Run[] | null>(null);
  const next = useSignal('');
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const today = useSignal(new Date(now.peek()).toDateString());
  useSignalEffect(() => {
    today.value = new Date(now.value).toDateString(); // days turn while the page is open
  });

  /** The run whose last lines are shown. */
  const previewed = useSignal('');
  useListKeys((href) => (previewed.value = previewed.value === href ? '' : href));
  /** Ids of the runs that are picked. */
  const picked = useSignal<ReadonlySet<string>>(new Set());
  /** On a phone rows have room for what picks them only when that is wanted. */
  const picking = useSignal(false);
  const pick = (id: string) => {
    const ids = new Set(picked.value);
    if (!ids.delete(id)) ids.add(id);
    picked.value = ids;
  };
  const clear = () => {
    picked.value = new Set();
    picking.value = false;
  };

  const load = async (before: string, signal?: AbortSignal) => {
    busy.value = true;
    error.value = null;
    try {
      const query: Record<string, string> = { limit: String(PAGE) };
      if (before !== '') query['before'] = before;
      if (wanted.status !== 'all') query['status'] = FILTERS[wanted.status];
      if (wanted.name !== '') query['name'] = wanted.name;
      if (wanted.q !== '') query['q'] = wanted.q;
      if (wanted.host !== '') query['host'] = wanted.host;
      const page = await loadRuns(query, signal);
      if (signal?.aborted) return;
      loaded.value = before === '' ? page.runs : [...(loaded.value ?? []), ...page.runs];
      next.value = page.next;
    } catch (e) {
      if (!signal?.aborted) error.value = e;
    } finally {
      busy.value = false;
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    loaded.value = null;
    picked.value = new Set();
    void load('', abort.signal);
    return () => abort.abort();
  }, [address]);

  const list = loaded.value && merge(loaded.value, runs.value ?? [], wanted);
  const chosen = (list ?? []).filter((r) => picked.value.has(r.id));
  const checkbox = (r: Run) => (
    <label class="pick">
      <input type="checkbox" checked={picked.value.has(r.id)} onChange={() => pick(r.id)} aria-label={m.pickRun(runName(r))} />
    </label>
  );
  return (
    <div class={`history ${picking.value || chosen.length > 0 ? 'picking' : ''}`}>
      <header class="page-head">
        <h1>{m.history}</h1>
        <Filters wanted={wanted} />
        <Button small class="only-phone" pressed={picking.value} onClick={() => (picking.value ? clear() : (picking.value = true))}>
          {m.pickRuns}
        </Button>
      </header>
      {list === null && error.value === null && (
        <div class="card">
          <Skeleton rows={10} />
        </div>
      )}
      {list && list.length === 0 && <Empty icon="history">{address === '/history' ? m.noRunsYet : m.noMatch}</Empty>}
      {list && (
        <Days
          list={list}
          timeOf={(r) => r.created_us}
          nowMs={new Date(today.value).getTime()}
          row={(r) => (
            <RunRow key={r.id} run={r} pick={checkbox(r)}>
              {previewed.value === runPath(r) && <Preview run={r} />}
            </RunRow>
          )}
        />
      )}
      {error.value !== null && <Problem error={error.value} retry={() => void load(list?.length ? next.value : '')} />}
      {next.value !== '' && error.value === null && (
        <p class="center">
          <Button busy={busy.value} onClick={() => void load(next.value)}>
            {m.loadOlder}
          </Button>
        </p>
      )}
      {chosen.length > 0 && <PickBar runs={chosen} onClear={clear} />}
    </div>
  );
}
