import { useComputed } from '@preact/signals';
import type { Run, Step } from '../api/types.ts';
import { ago, duration, full, now, running, until } from '../lib/format.ts';

/** "4 min ago", kept true while it is looked at. */
export function Ago({ us }: { us: number }) {
  const words = useComputed(() => ago(us, now.value));
  if (us === 0) return null;
  return (
    <time dateTime={new Date(us / 1000).toISOString()} title={full(us)}>
      {words}
    </time>
  );
}

/** "in 3 hours", kept true while it is looked at. */
export function Until({ us }: { us: number }) {
  const words = useComputed(() => until(us, now.value));
  return (
    <time dateTime={new Date(us / 1000).toISOString()} title={full(us)}>
      {words}
    </time>
  );
}

function Ticking({ since }: { since: number }) {
  const words = useComputed(() => running(now.value * 1000 - since));
  return <>{words}</>;
}

/** How long it took, or has taken so far. */
export function Took({ of }: { of: Pick<Run | Step, 'started_us' | 'finished_us'> }) {
  if (of.started_us === 0) return null;
  return <span class="took">{of.finished_us > 0 ? duration(of.finished_us - of.started_us) : <Ticking key={of.started_us} since={of.started_us} />}</span>;
}
