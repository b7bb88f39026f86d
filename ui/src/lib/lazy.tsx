import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../api/http.ts';
import { t } from '../i18n/index.ts';
import { outdated, reconnects } from '../live/store.ts';
import { Problem } from '../ui/Notice.tsx';

function whenIdle(fn: () => void): void {
  if (typeof requestIdleCallback === 'function') requestIdleCallback(fn, { timeout: 5000 });
  else setTimeout(fn, 1500); // Safari has none
}

/** What has to be shown first goes first: those that are loaded `soon` wait for loadSoon(). */
let waiting: (() => void)[] | null = [];

export function loadSoon(): void {
  waiting?.forEach(whenIdle);
  waiting = null;
}

export function soon(fn: () => void): void {
  if (waiting) waiting.push(fn);
  else whenIdle(fn);
}

export type Lazy<P> = ComponentType<P> & {
  /** Begins to load it before it is shown. */
  fetch(): void;
};

/**
 * What is loaded when it is first shown; with `soon`, when the browser has nothing better to do. A failed load
 * says so, can be tried again, and is when the dashboard is back.
 */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>, { soon: early = false } = {}): Lazy<P> {
  // A signal, so that whichever instance waits is drawn again, also when another one asked for it.
  const loaded = signal<{ page: ComponentType<P> } | null>(null);
  const get = () => load().then((page) => void (loaded.value ??= { page }));
  // One that fails is asked for again when it is shown.
  const fetch = () => void get().catch(() => undefined);
  if (early) soon(fetch);
  function Lazy(props: P) {
    const [error, setError] = useState<unknown>(null);
    const [tried, setTried] = useState(false);
    const start = () => {
      setError(null);
      get().catch(setError);
    };
    // A page older than its dashboard finds its files no more, and some browsers ask for a file once only.
    const again = () => (outdated.peek() || tried ? location.reload() : (setTried(true), start()));
    useEffect(() => {
      if (!loaded.peek()) start();
    }, [reconnects.value]);
    const Page = loaded.value?.page;
    if (Page) return <Page {...props} />;
    return error ? <Problem error={outdated.value ? new Error(t.value.newVersion) : new ApiError(0, 'unreachable', '')} retry={again} /> : null;
  }
  return Object.assign(Lazy, { fetch });
}
