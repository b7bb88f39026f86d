// JSON from the server is unknown until it was looked at. A decoder takes unknown and returns a
// typed value or throws, saying where. Documents gain members with time: what is not named here is
// ignored.

export type Decoder<T> = (v: unknown, at: string) => T;

export class DecodeError extends Error {
  override name = 'DecodeError';
}

function fail(at: string, wanted: string, v: unknown): never {
  throw new DecodeError(`${at}: expected ${wanted}, got ${v === null ? 'null' : Array.isArray(v) ? 'array' : typeof v}`);
}

export const str: Decoder<string> = (v, at) => (typeof v === 'string' ? v : fail(at, 'string', v));
export const num: Decoder<number> = (v, at) => (typeof v === 'number' && Number.isFinite(v) ? v : fail(at, 'number', v));
export const bool: Decoder<boolean> = (v, at) => (typeof v === 'boolean' ? v : fail(at, 'boolean', v));

/** Absent or null becomes the fallback. */
export function or<T, F>(d: Decoder<T>, fallback: F): Decoder<T | F> {
  return (v, at) => (v === undefined || v === null ? fallback : d(v, at));
}

export function list<T>(d: Decoder<T>): Decoder<T[]> {
  return (v, at) => (Array.isArray(v) ? v.map((x, i) => d(x, `${at}[${i}]`)) : fail(at, 'array', v));
}

export function object(v: unknown, at: string): Record<string, unknown> {
  return typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Record<string, unknown>) : fail(at, 'object', v);
}

export function map<T>(d: Decoder<T>): Decoder<Record<string, T>> {
  return (v, at) => {
    const out: Record<string, T> = {};
    for (const [k, x] of Object.entries(object(v, at))) out[k] = d(x, `${at}.${k}`);
    return out;
  };
}

export function shape<T>(fields: { readonly [K in keyof T]: Decoder<T[K]> }): Decoder<T> {
  return (v, at) => {
    const o = object(v, at);
    const out = {} as T;
    for (const k of Object.keys(fields) as (keyof T & string)[]) out[k] = fields[k](o[k], `${at}.${k}`);
    return out;
  };
}

/** One of some words; another word becomes the fallback, so that a newer server does no harm. */
export function oneOf<T extends string>(words: readonly T[], fallback: T): Decoder<T> {
  return (v, at) => {
    const s = str(v, at);
    return (words as readonly string[]).includes(s) ? (s as T) : fallback;
  };
}
