// The values of an item as text. The words say what they are called; how they are shown follows from
// what their names end in: _pct, _bps, _bytes, _us, _s, _ms.

import { t } from '../../i18n/index.ts';
import { valueWord } from '../../i18n/values.ts';
import { dashboardNow } from '../../lib/clock.ts';
import { ago, bytes, duration, full, number, until } from '../../lib/format.ts';
import { numberOf, type Item } from '../overview/status.ts';

const SIZES = new Set(['total', 'used', 'available', 'size', 'median_size', 'min_size', 'memory']);
/** Told by the item itself, or of no use to a person. */
const HIDDEN = new Set(['listed', 'container_id', 'cpu_at_us']);
const DURATIONS = new Set(['cpu_us']);
/** Names, though they are numbers. */
const NUMBERS = new Set(['pid', 'status', 'expected', 'exit_code']);

/** What a value is called; one that this page does not know is told by its own name. */
export function valueName(key: string): string {
  return valueWord(key) ?? key.replace(/_pct$/, ' %').replace(/_(bps|bytes|us|s|ms)$/, '').replaceAll('_', ' ');
}

function moment(us: number): string {
  const now = dashboardNow();
  return `${full(us)} (${us / 1000 > now ? until(us, now) : ago(us, now)})`;
}

/** A number as its name says what it is. */
export function numberText(key: string, value: number): string {
  if (key.endsWith('_pct') || key.endsWith('_percent')) return `${number(Math.round(value * 10) / 10)}\u00a0%`;
  if (key.endsWith('_bps')) return `${bytes(value)}/s`;
  if (DURATIONS.has(key)) return duration(value);
  if (NUMBERS.has(key)) return String(value);
  if (key.endsWith('_us')) return moment(value);
  if (key.endsWith('_s')) return duration(value * 1e6);
  if (key.endsWith('_ms')) return value < 1000 ? `${number(Math.round(value))}\u00a0ms` : duration(value * 1000);
  return SIZES.has(key) || key.endsWith('_bytes') ? bytes(value) : number(Math.round(value * 100) / 100);
}

function shown(key: string, value: unknown): string {
  if (HIDDEN.has(key) || value === null || value === undefined || value === '') return '';
  if (typeof value === 'boolean') return value ? t.value.yes : t.value.no;
  if (Array.isArray(value)) return value.every((v) => typeof v !== 'object') ? value.join(', ') : '';
  if (typeof value !== 'number') return typeof value === 'string' ? value : '';
  return numberText(key, value);
}

/** Name and text of each value there is something to say about. Pure but for "ago". */
export function valueTexts(values: Record<string, unknown>): [string, string][] {
  return Object.entries(values)
    .map(([key, value]): [string, string] => [valueName(key), shown(key, value)])
    .filter(([, text]) => text !== '');
}

/** What to know first of an item of the section `database`; '' when that was not measured. */
export function databaseFact(item: Item): string {
  const n = (key: string) => numberOf(item, key);
  if (item.id === 'server') {
    const size = n('size_bytes'), connections = n('connections');
    return [size === null ? '' : bytes(size), connections === null ? '' : t.value.connectionsOf(number(connections), number(n('connections_max') ?? 0))].filter((s) => s !== '').join(' · ');
  }
  const keys = item.id === 'replication' ? ['lag_ms'] : item.id === 'maintenance' ? ['dead_pct'] : ['slowest_ms', 'active'];
  const key = keys.find((k) => n(k) !== null);
  return key === undefined ? '' : `${valueName(key)}: ${numberText(key, n(key)!)}`;
}
