// Errors and hits of a log: looked for in slices where the bytes are here, asked of the server where
// they are not.
//
// find → hits are scanned here; when part of the log is not here, after a moment the server is asked too
// and its lines stand for what was not looked at. A server that cannot search leaves what was found here.

import type { Journal } from './journal.ts';
import type { Transport } from './loader.ts';
import type { FromWorker, Query, Stream } from '../messages.ts';
import { edge, errorScan, isOf, queryRegExp, queryScan, type Hit, type Scan, type Spot } from './scan.ts';
import { RowFlag, type Extent } from './extent.ts';

const SLICE_MS = 6;
/** An answer waits so many times 20 ms for the scan of what is here. */
const SCAN_WAITS = 100;
const TICK_BUCKETS = 400;
/** Somebody who types is not yet asking. */
const PAUSE_MS = 220;
/** Matches are counted anew so often while they come in. */
const TELL_EVERY = 500;

export interface FinderHost {
  post(message: FromWorker): void;
  soon(fn: () => void): void;
  later(fn: () => void, ms: number): void;
}

interface Search {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

export class Finder {
  transport: Transport | null = null;
  errors: Scan;
  hits: Scan | null = null;
  /** What is marked in the lines. */
  re: RegExp | null = null;
  #query: Query | null = null;
  #stream: Stream = 'both';
  #scanning = false;
  #ticksDue = false;
  /** Of how many hits not all were told; 0: all were. */
  #truncated = 0;
  #asked: Search | null = null;
  /** Asks the server, when somebody who types paused. */
  #due: (() => void) | null = null;
  #askedErrors: Search | null = null;
  /** Hits that the page was told of. */
  #told = -1;

  readonly #journal: Journal;
  readonly #host: FinderHost;
  readonly #changed: () => void;
  readonly #hitsChanged: () => void;

  constructor(
    journal: Journal,
    host: FinderHost,
    /** Rows of the window may look different now. */
    changed: () => void,
    /** There are other hits than before. */
    hitsChanged: () => void,
  ) {
    this.#journal = journal;
    this.#host = host;
    this.#changed = changed;
    this.#hitsChanged = hitsChanged;
    this.errors = this.#newErrors();
  }

  readonly #wanted = (e: Extent, row: number): boolean => isOf(this.#stream, e.flags[row]! & RowFlag.stderr);

  #newErrors(): Scan {
    return errorScan(this.#journal, this.#wanted);
  }

  /** Only lines of this stream count. */
  setStream(stream: Stream): void {
    if (stream === this.#stream) return;
    this.#stream = stream;
    this.#askedErrors?.abort.abort();
    this.#askedErrors = null;
    this.errors = this.#newErrors();
    this.find(this.#query);
  }

  /** Everything was looked at, here or by the server. */
  get errorsComplete(): boolean {
    return this.errors.bytes >= this.#journal.end;
  }

  /** Part of the log is not here, and was not looked at when it was. */
  #partly(scan: Scan): boolean {
    return this.#journal.extents.some((e) => !e.loaded && e.size > 0 && !scan.sawAll(e));
  }

  // ---- searching

  find(query: Query | null): void {
    this.#query = query;
    this.hits = null;
    this.re = null;
    this.#truncated = 0;
    this.#told = -1;
    this.#hitsChanged();
    this.#asked?.abort.abort();
    this.#asked = null;
    this.#due = null;
    let problem = '';
    if (query && query.text !== '') {
      try {
        this.re = queryRegExp(query);
        this.hits = queryScan(this.#journal, queryRegExp(query), this.#wanted);
      } catch (e) {
        problem = e instanceof Error ? e.message : String(e);
      }
    }
    this.#host.post({ t: 'found', found: { rows: 0, searched: 0, busy: this.hits !== null, truncated: 0, problem } });
    this.ticks();
    this.#changed();
    this.scan();
    const { hits } = this;
    if (!query || !hits) return;
    const due = (this.#due = () => {
      if (this.#due !== due) return;
      this.#due = null;
      if (this.#partly(hits)) this.#asked = this.#ask(query, hits);
      this.#tell(this.#scanning);
    });
    this.#host.later(due, PAUSE_MS);
  }

  #ask(what: Query | 'errors', scan: Scan): Search | null {
    const { transport } = this;
    if (!transport) return null;
    const abort = new AbortController();
    const { end } = this.#journal;
    let n = 0;
    scan.beginRemote();
    const onMatch = (line: number) => {
      scan.found(line);
      if (++n % TELL_EVERY === 0) this.#tell(true);
    };
    const done = transport.search(what, this.#stream, onMatch, abort.signal).then(
      ({ total, truncated }) => {
        if (what !== 'errors') this.#truncated = truncated ? total : 0;
        // Past the last match told nothing is known.
        if (!truncated) scan.endRemote(end);
      },
      // It cannot, or not now: what was looked at here has to do, and the page says how much that is.
      () => undefined,
    );
    const search: Search = { abort, done };
    void done.then(() => {
      if (abort.signal.aborted) return;
      if (this.#asked === search) this.#asked = null;
      this.#tell(false);
      this.ticks();
      this.#changed();
    });
    return search;
  }

  #tell(busy: boolean): void {
    if (!this.hits) return;
    if (this.hits.total !== this.#told) this.#hitsChanged();
    this.#told = this.hits.total;
    this.#host.post({ t: 'found', found: { rows: this.hits.total, searched: this.hits.bytes, busy: busy || (this.#asked ?? this.#due) !== null, truncated: this.#truncated, problem: '' } });
  }

  /** The next error or hit; past the end it goes on at the other side, but `once`. */
  async next(what: 'hit' | 'error', from: Spot, forward: boolean, once = false): Promise<Hit | null> {
    if (what === 'error' && !this.#askedErrors && this.#partly(this.errors)) this.#askedErrors = this.#ask('errors', this.errors);
    if (what === 'error') await this.#askedErrors?.done;
    const scan = what === 'hit' ? this.hits : this.errors;
    if (!scan) return null;
    // What is here is looked through first; a stream that never rests is not waited for.
    for (let i = 0; i < SCAN_WAITS && this.#scanning; i++) await new Promise<void>((resolve) => this.#host.later(resolve, 20));
    const there = scan.next(from, forward);
    if (there || once) return there;
    if (what === 'hit') {
      // Who asks has paused, and the first may be one that only the server knows.
      this.#due?.();
      await this.#asked?.done;
      if (scan !== this.hits) return null; // something else is looked for by now
    }
    return scan.next(from, forward) ?? scan.next(edge(this.#journal, !forward), forward);
  }

  // ---- looking through what is here

  scan(): void {
    if (this.#scanning) return;
    this.#scanning = true;
    this.#host.soon(() => this.#slice());
  }

  #slice(): void {
    const deadline = performance.now() + SLICE_MS;
    const before = this.errors.total + (this.hits?.total ?? 0);
    const hitsLeft = this.hits?.slice(deadline) ?? false;
    const errorsLeft = this.errors.slice(deadline);
    this.#tell(hitsLeft);
    if (this.errors.total + (this.hits?.total ?? 0) !== before) {
      this.#changed(); // rows of the window may be marked now
      this.ticks();
    }
    if (hitsLeft || errorsLeft) this.#host.soon(() => this.#slice());
    else {
      this.#scanning = false;
      this.#changed(); // now it is known whether everything was looked at
    }
  }

  ticks(): void {
    if (this.#ticksDue) return;
    this.#ticksDue = true;
    this.#host.later(() => {
      this.#ticksDue = false;
      this.#host.post({ t: 'ticks', errors: this.errors.ticks(TICK_BUCKETS), hits: this.hits?.ticks(TICK_BUCKETS) ?? [] });
    }, 120);
  }
}
