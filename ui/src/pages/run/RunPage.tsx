import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { ApiError } from '../../api/http.ts';
import { shownRun } from '../../app/badge.ts';
import { t } from '../../i18n/index.ts';
import { go } from '../../lib/router.ts';
import { knownRun, loadNamedRun, runPath } from '../../live/hosts.ts';
import { Problem, Skeleton } from '../../ui/Notice.tsx';
import { NotFound } from '../notfound/NotFound.tsx';
import { RunView } from './RunView.tsx';

/** Finds the run that the address names, by number or id, then shows it. */
export function RunPage({ id }: { id: string }) {
  const run = useSignal<Run | null>(knownRun(id));
  const error = useSignal<unknown>(null);
  const load = (signal?: AbortSignal) => {
    error.value = null;
    loadNamedRun(id, signal).then(
      (r) => {
        run.value = r;
        if (r.id === id) go(runPath(r) + location.hash, true);
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
  useEffect(() => () => void (shownRun.value = null), []);
  const e = error.value;
  if (run.value) return <RunView key={run.value.id} first={run.value} />;
  if (e instanceof ApiError && e.status === 404) return <NotFound>{t.value.runNotFound(id)}</NotFound>;
  if (e) return <Problem error={e} retry={() => load()} />;
  return <Skeleton rows={6} />;
}
