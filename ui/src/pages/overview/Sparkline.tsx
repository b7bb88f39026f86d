import { SPARK_MS, type Point } from './status.ts';

const WIDTH = 100;
const HEIGHT = 28;

/** The path of the points in the last SPARK_MS before `end`, from 0 to `top`. Pure. */
export function sparkPath(points: readonly Point[], end: number, top: number): string {
  const start = end - SPARK_MS;
  const x = (ms: number) => (((ms - start) / SPARK_MS) * WIDTH).toFixed(1);
  const y = (v: number) => (HEIGHT - 1 - (Math.min(v, top) / (top || 1)) * (HEIGHT - 2)).toFixed(1);
  const shown = points.filter((p) => p[0] >= start);
  return shown.map((p, i) => `${i === 0 ? 'M' : 'L'}${x(p[0])} ${y(p[1])}`).join('');
}

/** The value is beside it as text: this is for the eye only. top null: the largest point. */
export function Sparkline({ lines, top }: { lines: readonly (readonly Point[])[]; top: number | null }) {
  const end = Math.max(0, ...lines.map((l) => l.at(-1)?.[0] ?? 0));
  const most = top ?? Math.max(1, ...lines.flatMap((l) => l.filter((p) => p[0] >= end - SPARK_MS).map((p) => p[1])));
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {lines.map((l, i) => (
        <path key={i} class={i === 0 ? '' : 'second'} d={sparkPath(l, end, most)} />
      ))}
    </svg>
  );
}
