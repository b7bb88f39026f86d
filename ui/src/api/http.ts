// Requests to /api/v1. Errors are problem details (RFC 9457) with a code for programs.

import { noteDate } from '../lib/clock.ts';
import { DecodeError, type Decoder } from './decode.ts';

export class ApiError extends Error {
  override name = 'ApiError';
  constructor(
    /** 0: no answer at all. */
    readonly status: number,
    /** As "reauth_required"; '' when the server said none. */
    readonly code: string,
    message: string,
    readonly requestId = '',
    /** What is wrong with each input, by name. */
    readonly fields: Readonly<Record<string, string>> = {},
    /** Seconds to wait before the next try; 0: not said. */
    readonly retryAfter = 0,
    /** On a 401: signing in takes a code as well. */
    readonly totp = false,
    /** Which hosts it could be, where none was named. */
    readonly choices: readonly string[] = [],
  ) {
    super(message);
  }
}

/** Told of each 401: the session is over. */
export const onUnauthorized: { call: () => void } = { call: () => undefined };

function record(v: unknown): Record<string, unknown> {
  return typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Record<string, unknown>) : {};
}

/** {"errors":[{"name":…,"message":…}]} or {"errors":{name: message}}. */
function problemFields(errors: unknown): Record<string, string> {
  const out: Record<string, string> = {};
  const put = (name: unknown, message: unknown) => {
    if (typeof name === 'string' && typeof message === 'string') out[name] = message;
  };
  if (Array.isArray(errors)) for (const e of errors.map(record)) put(e['name'] ?? e['field'] ?? e['input'], e['message'] ?? e['detail']);
  else for (const [name, message] of Object.entries(record(errors))) put(name, message);
  return out;
}

const choice = (v: unknown): string => {
  const host = typeof v === 'string' ? v : record(v)['host'];
  return typeof host === 'string' ? host : '';
};

async function problem(response: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {};
  try {
    body = record(await response.json());
  } catch {
    // not JSON: the status has to do
  }
  const word = (k: string) => (typeof body[k] === 'string' ? (body[k] as string) : '');
  return new ApiError(
    response.status,
    word('code'),
    word('detail') || word('title') || `${response.status} ${response.statusText}`.trim(),
    word('request_id') || response.headers.get('X-Request-Id') || '',
    problemFields(body['errors'] ?? body['inputs']),
    Number(response.headers.get('Retry-After')) || 0,
    body['totp'] === true,
    Array.isArray(body['choices']) ? body['choices'].map(choice).filter((host) => host !== '') : [],
  );
}

export interface Options {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** A 401 is an answer here (sign-in), not the end of the session. */
  quiet?: boolean;
}

async function send(method: string, path: string, o: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...o.headers };
  if (o.body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers,
      credentials: 'same-origin',
      ...(o.body !== undefined ? { body: JSON.stringify(o.body) } : {}),
      ...(o.signal ? { signal: o.signal } : {}),
    });
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new ApiError(0, 'unreachable', '');
  }
  noteDate(response.headers.get('Date'));
  if (response.ok) return response;
  const error = await problem(response);
  if (error.status === 401 && !o.quiet) onUnauthorized.call();
  throw error;
}

async function decoded<T>(response: Response, path: string, decode: Decoder<T>): Promise<T> {
  try {
    return decode(await response.json(), path);
  } catch (e) {
    throw new ApiError(response.status, 'bad_answer', e instanceof DecodeError ? e.message : String(e));
  }
}

export async function get<T>(path: string, decode: Decoder<T>, o: Options = {}): Promise<T> {
  return decoded(await send('GET', path, o), path, decode);
}

/** An answer that is plain text. */
export async function getText(path: string, o: Options = {}): Promise<string> {
  return (await send('GET', path, { ...o, headers: { Accept: 'text/plain' } })).text();
}

export async function post<T>(path: string, decode: Decoder<T>, o: Options = {}): Promise<T> {
  return decoded(await send('POST', path, o), path, decode);
}

/** A request whose answer says nothing beyond its status. */
export async function act(method: string, path: string, o: Options = {}): Promise<void> {
  await send(method, path, o);
}
