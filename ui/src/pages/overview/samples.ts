// What was measured: GET /status/histories, for lines and charts.

import { DecodeError, type Decoder } from '../../api/decode.ts';
import { decoder } from '../../api/documents.ts';
import { get } from '../../api/http.ts';

export type Key = readonly [item: string, value: string];
/** null: nothing was measured then. */
export type Sample = readonly [ms: number, value: number | null];

export interface Series {
  item: string;
  value: string;
  stepMs: number;
  points: Sample[];
}

const MOST_KEYS = 32;

const histories = decoder('StatusHistories');

export const decodeHistories: Decoder<Series[]> = (v, at) =>
  histories(v, at).series.map((s) => ({
    item: s.item,
    value: s.value,
    stepMs: s.step_us / 1000,
    points: s.samples.map(([us, value]): Sample => {
      if (typeof us !== 'number') throw new DecodeError(`${at}: a sample without a time`);
      return [us / 1000, value ?? null];
    }),
  }));

/** host: '' for the primary machine. */
export function historiesPath(keys: readonly Key[], fromMs: number, toMs: number, host = ''): string {
  const query = new URLSearchParams();
  for (const [item, value] of keys) {
    query.append('item', item);
    query.append('value', value);
  }
  query.set('from', String(Math.round(fromMs) * 1000));
  query.set('to', String(Math.round(toMs) * 1000));
  if (host !== '') query.set('host', host);
  return `/status/histories?${query.toString()}`;
}

/** In the order of the keys, however many there are. */
export async function loadHistories(keys: readonly Key[], fromMs: number, toMs: number, { host = '', signal }: { host?: string; signal?: AbortSignal | undefined } = {}): Promise<Series[]> {
  const all: Series[] = [];
  for (let i = 0; i < keys.length; i += MOST_KEYS) {
    all.push(...(await get(historiesPath(keys.slice(i, i + MOST_KEYS), fromMs, toMs, host), decodeHistories, signal ? { signal } : {})));
  }
  return all;
}
