// What is drawn of an item, or of the host as a whole. Pure.

import type { Item } from '../overview/status.ts';
import type { Key } from '../overview/samples.ts';

export interface Line {
  key: Key;
  /** What tells it from the others of its panel; '': there is one. */
  label: string;
}

export interface Panel {
  id: string;
  lines: Line[];
  /** Where the axis ends at least; null: at the largest value. */
  top: number | null;
}

const MOST_PANELS = 6;
const MOST_LINES = 4;
/** What changes and is worth looking back at, best first. */
const DRAWN = [
  'used_pct', 'cpu_percent', 'memory_bytes', 'load1', 'waiting_pct', 'rx_bps', 'tx_bps', 'read_bps', 'write_bps', 'busy_pct', 'inodes_pct', 'time_ms', 'celsius', 'size', 'size_bytes',
  'connections', 'slowest_ms', 'active', 'waiting', 'idle_transaction_ms', 'lag_ms', 'dead_pct', 'dead_rows', 'xid_age', 'days_left', 'ahead', 'behind', 'changed', 'restarts',
];

const top = (key: string): number | null => (key.endsWith('_pct') ? 100 : null);
const numeric = (item: Item, key: string): boolean => typeof item.values[key] === 'number';

export function itemPanels(section: string, item: Item): Panel[] {
  return DRAWN.filter((key) => numeric(item, key))
    .slice(0, MOST_PANELS)
    .map((key) => ({ id: key, lines: [{ key: [`${section}/${item.id}`, key], label: '' }], top: top(key) }));
}

/** CPU, memory, disk I/O, each file system, network, load: as far as they are measured. */
export function hostPanels(items: readonly Item[]): Panel[] {
  const find = (id: string) => items.find((i) => i.id === id);
  const of = (id: string, name: string, keys: readonly string[], label = true): Panel | null => {
    const item = find(id);
    const there = item ? keys.filter((k) => numeric(item, k)) : [];
    if (there.length === 0) return null;
    return { id: name, lines: there.map((k) => ({ key: [`host/${id}`, k], label: label && keys.length > 1 ? k : '' })), top: top(there[0]!) };
  };
  const disks = items.filter((i) => i.id.startsWith('disk:') && numeric(i, 'used_pct')).sort((a, b) => Number(b.values['used_pct']) - Number(a.values['used_pct']));
  const space: Panel | null =
    disks.length === 0
      ? null
      : { id: 'space', lines: disks.slice(0, MOST_LINES).map((d) => ({ key: [`host/${d.id}`, 'used_pct'], label: d.title || d.id.slice(5) })), top: 100 };
  return [
    of('cpu', 'cpu', ['used_pct']),
    of('memory', 'memory', ['used_pct']),
    of('io', 'io', ['read_bps', 'write_bps']),
    space,
    of('network', 'network', ['rx_bps', 'tx_bps']),
    of('cpu', 'load', ['load1', 'load5', 'load15']),
  ].filter((p): p is Panel => p !== null);
}

/** What a small line beside an item shows; null: nothing. */
export function sparkKey(section: string, item: Item): Key | null {
  const key = section === 'docker' ? 'cpu_percent' : section === 'units' ? 'memory_bytes' : section === 'urls' ? 'time_ms' : section === 'database' ? (itemPanels(section, item)[0]?.id ?? '') : '';
  return numeric(item, key) ? [`${section}/${item.id}`, key] : null;
}
