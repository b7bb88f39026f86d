// A chart as a table, for those who do not see it.

const ROWS = 24;

/** Every so many points one row, with the average of what was measured between. Pure. */
export function tableRows(times: readonly number[], lines: readonly (readonly (number | null)[])[], rows = ROWS): { ms: number; values: (number | null)[] }[] {
  const each = Math.max(1, Math.ceil(times.length / rows));
  const result = [];
  for (let i = 0; i < times.length; i += each) {
    const values = lines.map((l) => {
      const there = l.slice(i, i + each).filter((v): v is number => v !== null);
      return there.length === 0 ? null : there.reduce((a, b) => a + b, 0) / there.length;
    });
    if (values.some((v) => v !== null)) result.push({ ms: times[i]!, values });
  }
  return result;
}
