// A document that a page asks for when it opens, when a lost connection is there again, and when told to.

import { useSignal, type ReadonlySignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get } from '../api/http.ts';
import type { Decoder } from '../api/decode.ts';
import { reconnects } from '../live/store.ts';

export interface Loaded<T> {
  /** null: not here yet. A failed reload leaves what was here. */
  readonly data: ReadonlySignal<T | null>;
  readonly error: ReadonlySignal<unknown>;
  reload(): void;
  /** What an action's answer says is newer. */
  put(value: T): void;
}

export function useLoad<T>(path: string, decode: Decoder<T>): Loaded<T> {
  const data = useSignal<T | null>(null);
  const error = useSignal<unknown>(null);
  const load = (signal?: AbortSignal) => {
    error.value = null;
    get(path, decode, signal ? { signal } : {}).then(
      (v) => (data.value = v),
      (e: unknown) => {
        if (!signal?.aborted) error.value = e;
      },
    );
  };
  useEffect(() => {
    const abort = new AbortController();
    load(abort.signal);
    return () => abort.abort();
  }, [path, reconnects.value]);
  return { data, error, reload: () => load(), put: (v) => (data.value = v) };
}
