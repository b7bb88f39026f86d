import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { ApiError } from '../../api/http.ts';
import { shownRun } from '../../app/badge.ts';
import { t } from '../../i18n/index.ts';
import { go, here } from '../../lib/router.ts';
import { knownRun, loadNamedRun, runPath } from '../../live/hosts.ts';
import { system } from '../../live/store.ts';
import { Problem, Skeleton } from '../../ui/Notice.tsx';
import { NotFound } from '../notfound/NotFound.tsx';
import { RunView } from './RunView.tsx';

/** Finds the run that the address names, by number or id, then shows it. */
export function RunPage({ id }: { id: string }) {
  const run = useSignal<Run | null>(knownRun(id));
  const error = useSignal<unknown>(null);
  const hash = useSignal(location.hash);
  const load = (signal?: AbortSignal) => {
    error.value = null;
    loadNamedRun(id, signal).then(
      (r) => {
        run.value = r;
      },
      (e: unknown) => {
        if (!signal?.aborted) error.value = e;
      },
    );
  };
  useEffect(() => {
    if (run.value) return undefined;
    const abort = new AbortController();
    load(abort.signal);
    return () => abort.abort();
  }, []);
  const found = run.value;
  const known = system.value !== null;
  // By its number and host, as links say it: known once the machines are. What is shown before that would be shown twice.
  const { path, query } = here.value;
  const named = found !== null && (known ? runPath(found) === path + query : String(found.number) === id);
  useEffect(() => {
    if (found && known && !named) go(runPath(found) + (location.hash || hash.peek()), true);
  }, [found, known, named]);
  useEffect(() => () => void (shownRun.value = null), []);
  const e = error.value;
  if (found && named) return <RunView key={found.id} first={found} />;
  if (e instanceof ApiError && e.status === 404) return <NotFound>{t.value.runNotFound(id)}</NotFound>;
  if (e)
    return (
      <>
        <h1 class="visually-hidden">
          {t.value.history} #{id}
        </h1>
        <Problem error={e} retry={() => load()} />
      </>
    );
  return <Skeleton rows={6} />;
}
