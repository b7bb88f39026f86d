// What runs are called that entries name by their id alone. Most are known: the page holds the newest runs, and other
// entries tell name and number. The rest is asked for, one after the other, and remembered.

import { signal, useComputed, type ReadonlySignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { AuditEntry, Run } from '../../api/types.ts';
import { ApiError } from '../../api/http.ts';
import { loadRun, runs } from '../../live/store.ts';
import { runName } from '../../ui/runText.ts';

export type RunNames = ReadonlyMap<string, string>;

/** Of the answers; a run that is no longer kept is known by the beginning of its id. */
const asked = signal<RunNames>(new Map());

/** An entry that says which run it is about by its id only. */
const nameless = (e: AuditEntry): boolean => e.run !== '' && typeof e.data['name'] !== 'string';

/** What is known without asking. Pure. */
export function knownNames(entries: readonly AuditEntry[], fresh: readonly Run[]): Map<string, string> {
  const names = new Map(fresh.map((r) => [r.id, runName(r)]));
  for (const { run, data } of entries) {
    const { name, number } = data;
    if (run !== '' && !names.has(run) && typeof name === 'string' && typeof number === 'number') names.set(run, `${name} #${number}`);
  }
  return names;
}

/** Runs that no name is known of, each once, in the order of the entries. Pure. */
export function missing(entries: readonly AuditEntry[], names: RunNames): string[] {
  return [...new Set(entries.filter(nameless).map((e) => e.run))].filter((id) => !names.has(id));
}

export function useRunNames(entries: ReadonlySignal<readonly AuditEntry[]>): ReadonlySignal<RunNames> {
  const names = useComputed<RunNames>(() => new Map([...asked.value, ...knownNames(entries.value, runs.value ?? [])]));
  const wanted = useComputed(() => missing(entries.value, names.value)[0] ?? '');
  const id = wanted.value;
  useEffect(() => {
    if (id === '') return undefined;
    const abort = new AbortController();
    const put = (name: string) => (asked.value = new Map([...asked.peek(), [id, name]]));
    loadRun(id, abort.signal).then(
      (run) => put(runName(run)),
      (e: unknown) => {
        // One that is gone stays gone; whatever else it was, the next visit asks again.
        if (e instanceof ApiError && e.status === 404) put(id.slice(0, 8));
      },
    );
    return () => abort.abort();
  }, [id]);
  return names;
}
