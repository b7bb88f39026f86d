import { numberOf, type Item } from './status.ts';

/** The fullest first: an average would hide the one that matters. */
export function disksOf(items: readonly Item[]): Item[] {
  return items.filter((i) => i.id.startsWith('disk:')).sort((a, b) => (numberOf(b, 'used_pct') ?? 0) - (numberOf(a, 'used_pct') ?? 0));
}
