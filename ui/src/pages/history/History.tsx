import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { day, now } from '../../lib/format.ts';
import { go, here } from '../../lib/router.ts';
import { loadRuns, runs } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { Segmented } from '../../ui/Field.tsx';
import { Empty, Problem, Skeleton } from '../../ui/Notice.tsx';
import { RunRow } from '../../ui/RunRow.tsx';

const PAGE = 50;
const FILTERS = { all: '', active: 'queued,running,waiting', failed: 'failed,timed_out,lost', succeeded: 'succeeded' } as const;
type Filter = keyof typeof FILTERS;

function filterOf(query: string): Filter {
  const f = new URLSearchParams(query).get('status');
  return f === 'active' || f === 'failed' || f === 'succeeded' ? f : 'all';
}

/** Loaded runs with what the live topic knows better or newer. */
export function merge(loaded: readonly Run[], fresh: readonly Run[], filter: Filter): Run[] {
  const fits = (r: Run) => filter === 'all' || FILTERS[filter].split(',').includes(r.status);
  const byId = new Map(loaded.map((r) => [r.id, r]));
  const oldest = loaded[loaded.length - 1]?.created_us ?? 0;
  for (const r of fresh) if (byId.has(r.id) || r.created_us >= oldest) byId.set(r.id, r);
  return [...byId.values()].filter(fits).sort((a, b) => b.created_us - a.created_us || b.number - a.number);
}

function byDay(list: readonly Run[], nowMs: number): [string, Run[]][] {
  const out: [string, Run[]][] = [];
  for (const r of list) {
    const name = day(r.created_us, nowMs);
    const last = out[out.length - 1];
    if (last && last[0] === name) last[1].push(r);
    else out.push([name, [r]]);
  }
  return out;
}

export function History() {
  const m = t.value;
  const filter = filterOf(here.value.query);
  const loaded = useSignal<Run[] | null>(null);
  const next = useSignal('');
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const today = useSignal(new Date(now.peek()).toDateString());
  useSignalEffect(() => {
    today.value = new Date(now.value).toDateString(); // days turn while the page is open
  });

  const load = async (before: string, signal?: AbortSignal) => {
    busy.value = true;
    error.value = null;
    try {
      const query: Record<string, string> = { limit: String(PAGE) };
      if (before !== '') query['before'] = before;
      if (filter !== 'all') query['status'] = FILTERS[filter];
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
    void load('', abort.signal);
    return () => abort.abort();
  }, [filter]);

  const list = loaded.value && merge(loaded.value, runs.value ?? [], filter);
  return (
    <>
      <header class="page-head">
        <h1>{m.history}</h1>
        <Segmented
          name="status"
          label={m.show}
          value={filter}
          onChange={(v) => go(v === 'all' ? '/history' : `/history?status=${v}`, true)}
          options={[
            ['all', m.all],
            ['active', m.status.running],
            ['succeeded', m.status.succeeded],
            ['failed', m.status.failed],
          ]}
        />
      </header>
      {list === null && error.value === null && (
        <div class="card">
          <Skeleton rows={10} />
        </div>
      )}
      {list && list.length === 0 && <Empty icon="history">{filter === 'all' ? m.noRunsYet : m.noMatch}</Empty>}
      {list &&
        byDay(list, new Date(today.value).getTime()).map(([name, dayRuns]) => (
          <section key={name} aria-label={name}>
            <h2 class="section-title">{name}</h2>
            <ul class="card rows">
              {dayRuns.map((r) => (
                <RunRow key={r.id} run={r} />
              ))}
            </ul>
          </section>
        ))}
      {error.value !== null && <Problem error={error.value} retry={() => void load(list?.length ? next.value : '')} />}
      {next.value !== '' && error.value === null && (
        <p class="center">
          <Button busy={busy.value} onClick={() => void load(next.value)}>
            {m.loadOlder}
          </Button>
        </p>
      )}
    </>
  );
}
