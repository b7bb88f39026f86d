import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { now } from '../../lib/format.ts';
import { useListKeys } from '../../lib/listKeys.ts';
import { go, here } from '../../lib/router.ts';
import { midnight } from '../../lib/zone.ts';
import { pagePath, runPath } from '../../live/hosts.ts';
import { loadRuns, runs } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { runName } from '../../ui/runText.ts';
import { Days } from '../../ui/Days.tsx';
import { Empty, Problem, Skeleton } from '../../ui/Notice.tsx';
import { RunRow } from '../../ui/RunRow.tsx';
import { Filters } from './Filters.tsx';
import { PickBar } from './PickBar.tsx';
import { Preview } from './Preview.tsx';
import { addressOf, FILTERS, merge, wantedOf } from './wanted.ts';

const PAGE = 50;
/** As many as are given at once. */
const MOST = 200;

/** How many rows there were when the page of this entry of the browser's history was left: so many are there again. */
const rowsBefore = (): number => (history.state as { rows?: number } | null)?.rows ?? PAGE;
const keepRows = (rows: number): void => history.replaceState({ ...(history.state as object | null), rows }, '');

/** What can be done where there are no runs. */
function Nothing({ filtered }: { filtered: boolean }) {
  const m = t.value;
  return (
    <Empty icon="history" action={<Button onClick={() => go(filtered ? '/history' : pagePath('/commands'))}>{filtered ? m.clearFilters : m.browseCommands}</Button>}>
      {filtered ? m.noMatch : m.noRunsYet}
    </Empty>
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
  const today = useSignal(midnight(now.peek()));
  useSignalEffect(() => {
    today.value = midnight(now.value); // days turn while the page is open
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

  const load = async (before: string, signal?: AbortSignal, limit = PAGE) => {
    const older = before !== '';
    busy.value = true;
    error.value = null;
    try {
      const query: Record<string, string> = {};
      if (wanted.status !== 'all') query['status'] = FILTERS[wanted.status];
      if (wanted.name !== '') query['name'] = wanted.name;
      if (wanted.q !== '') query['q'] = wanted.q;
      if (wanted.host !== '') query['host'] = wanted.host;
      const got: Run[] = [];
      do {
        const page = await loadRuns({ ...query, limit: String(Math.min(MOST, limit - got.length)), ...(before === '' ? {} : { before }) }, signal);
        if (signal?.aborted) return;
        got.push(...page.runs);
        before = page.next;
      } while (before !== '' && got.length < limit);
      loaded.value = older ? [...(loaded.value ?? []), ...got] : got;
      next.value = before;
      if (older) keepRows(loaded.value.length);
    } catch (e) {
      if (!signal?.aborted) error.value = e;
    } finally {
      busy.value = false;
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    if (loaded.peek()) keepRows(PAGE); // what was filtered otherwise is another list
    loaded.value = null;
    picked.value = new Set();
    void load('', abort.signal, rowsBefore());
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
        <Button small class="only-phone" pressed={picking.value} onClick={() => (picking.value ? clear() : (picking.value = true))}>
          {m.pickRuns}
        </Button>
        <Filters wanted={wanted} />
      </header>
      {list === null && error.value === null && (
        <div class="card">
          <Skeleton rows={10} />
        </div>
      )}
      {list && list.length === 0 && <Nothing filtered={address !== '/history'} />}
      {list && (
        <Days
          list={list}
          timeOf={(r) => r.created_us}
          nowMs={today.value}
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
