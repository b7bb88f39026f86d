// The values of an item as text. Their names say what they are: _pct, _bps, _us, _s; the rest is shown as it is.

import { ago, bytes, duration, full, number } from '../../lib/format.ts';

const SIZES = new Set(['total', 'used', 'available', 'size', 'median_size', 'min_size', 'memory']);

function words(key: string): string {
  return key.replace(/_pct$/, ' %').replace(/_(bps|us|s|ms)$/, '').replaceAll('_', ' ');
}

function shown(key: string, value: unknown): string {
  if (value === null || value === undefined || value === '') return '';
  if (typeof value === 'boolean') return value ? '✓' : '–';
  if (Array.isArray(value)) return value.every((v) => typeof v !== 'object') ? value.join(', ') : '';
  if (typeof value !== 'number') return typeof value === 'string' ? value : '';
  if (key.endsWith('_pct')) return `${number(value)}\u00a0%`;
  if (key.endsWith('_bps')) return `${bytes(value)}/s`;
  if (key.endsWith('_us')) return `${full(value)} (${ago(value, Date.now())})`;
  if (key.endsWith('_s')) return duration(value * 1e6);
  if (key.endsWith('_ms')) return `${number(value)}\u00a0ms`;
  return SIZES.has(key) ? bytes(value) : number(value);
}

/** Name and text of each value there is something to say about. Pure but for "ago". */
export function valueTexts(values: Record<string, unknown>): [string, string][] {
  return Object.entries(values)
    .map(([key, value]): [string, string] => [words(key), shown(key, value)])
    .filter(([, text]) => text !== '');
}
