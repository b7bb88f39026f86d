// Fetches what the window needs and the journal does not hold.

import { Journal } from './journal.ts';
import type { Query, Stream } from '../messages.ts';
import { exactCase, matches, type Answer } from './search.ts';
import { CAPACITY, give, take, type Extent } from './extent.ts';

/** Bytes of one fetch. */
export const BLOCK = CAPACITY - 1024;
/** Read before a place that is entered from the middle, to settle its colours. */
export const LOOK_BACK = 64 * 1024;
/** A stretch without a line end is not fetched by itself past this. */
export const LINELESS = 1024 * 1024;
const MAX_PARALLEL = 2;
/** As many matches as are asked for at once. */
const MAX_MATCHES = 100_000;

export class FetchError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface Transport {
  /** Whole records from offset on, about limit bytes. */
  records(offset: number, limit: number, signal: AbortSignal): Promise<Uint8Array>;
  /** The offset of a record at or before the one that holds line n (0-based). */
  locate(line: number, signal: AbortSignal): Promise<number>;
  /** Searches the whole log, tells of each match as it comes. */
  search(query: Query | 'errors', stream: Stream, onMatch: (line: number) => void, signal: AbortSignal): Promise<Answer>;
}

/** A reader into buffers of ours; null where the browser has none. */
function ownReader(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | null {
  try {
    return body.getReader({ mode: 'byob' });
  } catch {
    return null;
  }
}

/** All of a body, about `expected` bytes, in what `take` gives: of buffers that a browser makes for us, as many as are
 * held would lie about until they are collected. */
export async function gather(body: ReadableStream<Uint8Array>, expected: number): Promise<Uint8Array> {
  let out = take(expected + 1);
  let n = 0;
  const room = (wanted: number) => {
    if (n + wanted <= out.length) return;
    const grown = new Uint8Array(2 * out.length + wanted);
    grown.set(out.subarray(0, n));
    give(out);
    out = grown;
  };
  const own = ownReader(body);
  const other = own ? null : body.getReader();
  for (;;) {
    if (own) room(1);
    const { done, value } = await (own ? own.read(out.subarray(n) as Uint8Array<ArrayBuffer>) : other!.read());
    if (own && value) out = new Uint8Array(value.buffer); // it went there and back
    if (done) return out.subarray(0, n);
    if (!own) {
      room(value!.length);
      out.set(value!, n);
    }
    n += value!.length;
  }
}

export function httpTransport(url: string): Transport {
  const get = async (path: string, signal: AbortSignal): Promise<Response> => {
    const response = await fetch(url + path, { signal, credentials: 'same-origin' });
    if (!response.ok) throw new FetchError(response.status, `HTTP ${response.status}`);
    return response;
  };
  return {
    async records(offset, limit, signal) {
      return gather((await get(`?format=records&offset=${offset}&limit=${limit}`, signal)).body!, limit);
    },
    async locate(line, signal) {
      const body: unknown = await (await get(`/locate?line=${line}`, signal)).json();
      const offset = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)['offset'] : null;
      if (typeof offset !== 'number') throw new FetchError(502, 'locate: no offset');
      return offset;
    },
    async search(query, stream, onMatch, signal) {
      const q = query === 'errors' ? 'preset=errors' : new URLSearchParams({ q: query.text, regex: query.regex ? '1' : '0', case: exactCase(query) ? '1' : '0' }).toString();
      const { body } = await get(`/search?${q}${stream === 'both' ? '' : `&stream=${stream}`}&before=0&after=0&limit=${MAX_MATCHES}`, signal);
      return matches(body!.getReader(), onMatch);
    },
  };
}

/** Where in an unknown extent to begin and how much to read, for line `wanted` (1-based). A null
 * offset: ask `locate` for `line` first. */
export function plan(e: Extent, wanted: number): { offset: number | null; line: number; limit: number } {
  if (e.size <= BLOCK) return { offset: e.off, line: e.line0, limit: e.size };
  const perLine = e.lines > 0 ? e.size / e.lines : e.size;
  const before = wanted - 1 - e.line0;
  if (before * perLine < BLOCK / 2) return { offset: e.off, line: e.line0, limit: BLOCK };
  const line = Math.max(e.line0, wanted - 1 - Math.max(50, Math.ceil(LOOK_BACK / perLine)));
  return { offset: null, line, limit: BLOCK };
}

export class Loader {
  readonly #running = new Map<Extent, AbortController>();

  readonly #journal: Journal;
  readonly #transport: Transport;
  readonly #change: (work: () => void) => void;
  readonly #onError: (e: unknown) => void;

  constructor(
    journal: Journal,
    transport: Transport,
    /** Called around each change of the journal, to keep the window where it is. */
    change: (work: () => void) => void,
    onError: (e: unknown) => void,
  ) {
    this.#journal = journal;
    this.#transport = transport;
    this.#change = change;
    this.#onError = onError;
  }

  /** Whether an extent is only fetched when somebody asks for it. */
  static isGap(e: Extent): boolean {
    return e.problem !== '' || (!e.indexed && e.lines === 0 && e.size > LINELESS);
  }

  /** Fetches the bytes of an extent; `line`: the line that is wanted, `at`: or the offset. */
  async load(e: Extent, line: number, at = -1): Promise<void> {
    if (e.loaded || e.loading || this.#running.size >= MAX_PARALLEL) return;
    const abort = new AbortController();
    this.#running.set(e, abort);
    e.loading = true;
    try {
      let { offset, limit } = at >= 0 ? { offset: at, limit: BLOCK } : { offset: e.off, limit: e.size };
      if (!e.indexed && at < 0) {
        const p = plan(e, line);
        limit = p.limit;
        offset = p.offset ?? (await this.#transport.locate(p.line, abort.signal));
      }
      offset = Math.min(Math.max(offset, e.off), e.end - 1);
      if (!e.indexed) limit = Math.min(BLOCK, e.end - offset);
      const bytes = await this.#transport.records(offset, limit, abort.signal);
      const i = this.#journal.extents.indexOf(e);
      if (i < 0 || e.loaded) return;
      if (bytes.length === 0) throw new FetchError(404, 'no bytes');
      this.#change(() => this.#journal.fill(i, offset, bytes));
      e.problem = '';
    } catch (error) {
      if (abort.signal.aborted) return;
      e.problem = error instanceof Error ? error.message : String(error);
      this.#onError(error);
    } finally {
      e.loading = false;
      this.#running.delete(e);
    }
  }

  /** Stops fetching what the window has left behind. */
  keep(wanted: ReadonlySet<Extent>): void {
    for (const [e, abort] of this.#running) if (!wanted.has(e)) abort.abort();
  }
}
