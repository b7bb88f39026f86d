import { SPARK_MS, type Point } from './status.ts';

const WIDTH = 100;
const HEIGHT = 28;
/** Two points are not joined when so many times the usual distance lies between them, and more than some moments: nothing was
 * measured there. The dashboard keeps samples a minute at a time, so that what came just before this page looked may be missing. */
const GAP = 3;
const MOMENTS_MS = 75_000;

/** The path of the points in the last `span` ms before `end`, from 0 to `top`. Pure. */
export function sparkPath(points: readonly Point[], end: number, top: number, span = SPARK_MS): string {
  const start = end - span;
  const x = (ms: number) => (((ms - start) / span) * WIDTH).toFixed(1);
  const y = (v: number) => (HEIGHT - 1 - (Math.min(v, top) / (top || 1)) * (HEIGHT - 2)).toFixed(1);
  const shown = points.filter((p) => p[0] >= start);
  const steps = shown.slice(1).map((p, i) => p[0] - shown[i]![0]);
  const most = Math.max(GAP * ([...steps].sort((a, b) => a - b)[steps.length >> 1] ?? 0), MOMENTS_MS);
  const apart = (i: number) => i === 0 || steps[i - 1]! > most;
  return shown.map((p, i) => `${apart(i) ? 'M' : 'L'}${x(p[0])} ${y(p[1])}`).join('');
}

/** The value is beside it as text: this is for the eye only. top null: the largest point. */
export function Sparkline({ lines, top, span = SPARK_MS }: { lines: readonly (readonly Point[])[]; top: number | null; span?: number }) {
  const end = Math.max(0, ...lines.map((l) => l.at(-1)?.[0] ?? 0));
  const most = top ?? Math.max(...lines.flatMap((l) => l.filter((p) => p[0] >= end - span).map((p) => p[1])), Number.MIN_VALUE);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {lines.map((l, i) => (
        <path key={i} class={i === 0 ? '' : 'second'} d={sparkPath(l, end, most, span)} />
      ))}
    </svg>
  );
}
