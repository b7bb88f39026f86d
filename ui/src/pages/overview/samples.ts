// What was measured: GET /status/histories, for lines and charts.

import { list, num, shape, str, type Decoder } from '../../api/decode.ts';
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

const decodeSample: Decoder<Sample> = (v, at) => {
  if (!Array.isArray(v) || typeof v[0] !== 'number' || (v[1] !== null && typeof v[1] !== 'number')) throw new TypeError(`${at}: not a sample`);
  return [v[0] / 1000, v[1]];
};

const decodeSeries: Decoder<Series> = (v, at) => {
  const s = shape<{ item: string; value: string; step_us: number; samples: Sample[] }>({ item: str, value: str, step_us: num, samples: list(decodeSample) })(v, at);
  return { item: s.item, value: s.value, stepMs: s.step_us / 1000, points: s.samples };
};

export const decodeHistories = shape<{ series: Series[] }>({ series: list(decodeSeries) });

export function historiesPath(keys: readonly Key[], fromMs: number, toMs: number): string {
  const query = new URLSearchParams();
  for (const [item, value] of keys) {
    query.append('item', item);
    query.append('value', value);
  }
  query.set('from', String(Math.round(fromMs) * 1000));
  query.set('to', String(Math.round(toMs) * 1000));
  return `/status/histories?${query.toString()}`;
}

/** In the order of the keys, however many there are. */
export async function loadHistories(keys: readonly Key[], fromMs: number, toMs: number, signal?: AbortSignal): Promise<Series[]> {
  const all: Series[] = [];
  for (let i = 0; i < keys.length; i += MOST_KEYS) {
    const answer = await get(historiesPath(keys.slice(i, i + MOST_KEYS), fromMs, toMs), decodeHistories, signal ? { signal } : {});
    all.push(...answer.series);
  }
  return all;
}
