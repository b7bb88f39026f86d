import type { Row, View } from './messages.ts';

/** What the page has of its window after a message: what it was told before it is not told again. */
export const viewAfter = (was: View, m: { from: number; rows: readonly (Row | null)[] }): View => ({ from: m.from, rows: m.rows.map((row, i) => row ?? was.rows[m.from + i - was.from]!) });
