// How the items of a section are put together: containers by compose project, timers apart from
// other units; what is wrong comes first in each, and the worst group first. Pure.

import { bySeverity, RANK, textOf, worst, type Item } from '../overview/status.ts';

export interface Group {
  /** The project; 'timers'; '' for all others. */
  name: string;
  items: Item[];
}

const sorted = (items: readonly Item[]): Item[] => bySeverity(items.map((item) => ({ item }))).map((x) => x.item);

/** Part of its title, id or message; or of the project it belongs to. */
export function matching(items: readonly Item[], query: string): readonly Item[] {
  const q = query.trim().toLowerCase();
  return q === '' ? items : items.filter((i) => [i.title, i.id, i.message, textOf(i, 'project')].some((text) => text.toLowerCase().includes(q)));
}

/** By title, whatever is wrong; numbers by their size. */
export function byTitle(list: readonly Group[]): Group[] {
  const nameOf = (i: Item): string => i.title || i.id;
  const compare = (a: string, b: string): number => a.localeCompare(b, undefined, { numeric: true });
  return list
    .map((g) => ({ ...g, items: [...g.items].sort((a, b) => compare(nameOf(a), nameOf(b))) }))
    .sort((a, b) => Number(a.name === '') - Number(b.name === '') || compare(a.name, b.name));
}

export const isTimer = (item: Item): boolean => item.id.endsWith('.timer');

export function groups(section: string, items: readonly Item[]): Group[] {
  const by = new Map<string, Item[]>();
  for (const item of items) {
    const name = section === 'docker' ? textOf(item, 'project') : section === 'units' && isTimer(item) ? 'timers' : '';
    by.set(name, [...(by.get(name) ?? []), item]);
  }
  return [...by]
    .map(([name, list]) => ({ name, items: sorted(list) }))
    .sort((a, b) => RANK[worst(a.items)] - RANK[worst(b.items)] || (a.name === '' ? 1 : b.name === '' ? -1 : a.name.localeCompare(b.name)));
}
