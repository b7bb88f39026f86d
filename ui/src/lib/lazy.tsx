import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Problem } from '../ui/Notice.tsx';

function whenIdle(fn: () => void): void {
  if (typeof requestIdleCallback === 'function') requestIdleCallback(fn, { timeout: 5000 });
  else setTimeout(fn, 1500); // Safari has none
}

/**
 * What is loaded when it is first shown; with `soon`, when the browser has nothing better to do. A failed load
 * says so and can be tried again.
 */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>, { soon = false } = {}): ComponentType<P> {
  // A signal, so that whichever instance waits is drawn again, also when another one asked for it.
  const loaded = signal<{ page: ComponentType<P> } | null>(null);
  // One that fails is asked for again when it is shown.
  if (soon) whenIdle(() => load().then((page) => (loaded.value = { page }), () => undefined));
  return function Lazy(props: P) {
    const [error, setError] = useState<unknown>(null);
    const start = () => {
      setError(null);
      load().then((page) => (loaded.value = { page }), setError);
    };
    useEffect(() => {
      if (!loaded.peek()) start();
    }, []);
    const Page = loaded.value?.page;
    if (Page) return <Page {...props} />;
    return error ? <Problem error={error} retry={start} /> : null;
  };
}
