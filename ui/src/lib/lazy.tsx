import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Problem } from '../ui/Notice.tsx';

/** A page that is loaded when it is first shown. A failed load says so and can be tried again. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let Loaded: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [error, setError] = useState<unknown>(null);
    const start = () => {
      setError(null);
      load().then(
        (c) => {
          Loaded = c;
          redraw((n) => n + 1);
        },
        (e: unknown) => setError(e),
      );
    };
    useEffect(() => {
      if (!Loaded) start();
    }, []);
    if (Loaded) return <Loaded {...props} />;
    return error ? <Problem error={error} retry={start} /> : null;
  };
}
