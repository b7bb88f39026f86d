import type { ComponentChildren } from 'preact';
import { day } from '../lib/format.ts';

interface Props<T> {
  /** In order of time. */
  list: readonly T[];
  timeOf: (item: T) => number;
  /** What counts as today. */
  nowMs: number;
  row: (item: T) => ComponentChildren;
}

/** A list under a heading for each of its days. */
export function Days<T>({ list, timeOf, nowMs, row }: Props<T>) {
  const days: [string, T[]][] = [];
  for (const item of list) {
    const name = day(timeOf(item), nowMs);
    const last = days[days.length - 1];
    if (last && last[0] === name) last[1].push(item);
    else days.push([name, [item]]);
  }
  return (
    <>
      {days.map(([name, items]) => (
        <section key={name} aria-label={name}>
          <h2 class="section-title">{name}</h2>
          <ul class="card rows">{items.map(row)}</ul>
        </section>
      ))}
    </>
  );
}
