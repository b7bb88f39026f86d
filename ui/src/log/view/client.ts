// The page's side of the log: a worker, the live subscription that feeds it, and what the worker
// says, in signals.

import { signal } from '@preact/signals';
import { EndReason } from '../../proto/frame.ts';
import type { Subscription } from '../../live/socket.ts';
import { onUnauthorized } from '../../api/http.ts';
import { connection, socket } from '../../live/store.ts';
import type { Around, Found, FromWorker, Point, Size, Stream, Target, ToWorker, View } from '../messages.ts';
import { viewAfter } from '../window.ts';

/** A log is opened at about so many bytes before its end. */
const TAIL_BYTES = 512 * 1024;
/** When the journal is that far ahead of what came, the stream is opened anew at the tail. */
const OUTRUN_BYTES = 24 << 20;
const MAX_DAMAGED = 3;

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

let makeUrl: ((url: string) => string) | null = null;

/** The one use of Trusted Types: the worker's own URL, and no other. */
function workerUrl(): string {
  if (!makeUrl) {
    const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
    const policy = types?.createPolicy('ops-worker', {
      createScriptURL(url) {
        if (url !== __WORKER__) throw new TypeError('not the log worker');
        return url;
      },
    });
    makeUrl = policy ? (url) => policy.createScriptURL(url) : (url) => url;
  }
  return makeUrl(__WORKER__);
}

export class LogClient {
  readonly size = signal<Size>({ rows: 0, lines: 0, end: 0, held: 0, errors: 0, errorsComplete: false });
  readonly found = signal<Found>({ rows: 0, searched: 0, busy: false, truncated: 0, problem: '' });
  /** Steps whose lines are folded away. */
  readonly folded = signal<ReadonlySet<number>>(new Set());
  readonly streams = signal<Stream>('both');
  /** Only what is searched for is shown, and what is around it. */
  readonly only = signal(false);
  readonly ticks = signal<{ errors: number[]; hits: number[] }>({ errors: [], hits: [] });
  /** Something went wrong with the stream; '' when not. */
  readonly problem = signal<'' | 'pruned' | 'damaged' | 'failed'>('');
  /** What the dashboard said of it; '' when it said nothing. */
  readonly problemText = signal('');
  /** Its code. */
  problemCode = '';
  /** The first rows are here, or it is known that there are none. */
  readonly ready = signal(false);
  /** All that the journal will ever hold has come. */
  readonly ended = signal(false);
  /** The rows that the worker told last. */
  shown: View = { from: 0, rows: [] };
  onView: (view: View) => void = () => undefined;
  onShift: (delta: number) => void = () => undefined;

  readonly #worker: Worker;
  readonly #stream: Subscription;
  readonly #waiting = new Map<number, (m: FromWorker) => void>();
  readonly #stopWatching: () => void;
  #nextId = 1;
  /** Where the stream has to go on; negative: at the tail. */
  #at = -TAIL_BYTES;
  #started = false;
  #damaged = 0;
  #owed = 0;

  /** topic: what a container or unit writes (tail/…) instead of a run's log. It begins at 0 each time it is
   * opened, and what was let go of cannot be had again. */
  constructor(
    readonly run: string,
    private readonly topic = `run/${run}/log`,
    host = '',
  ) {
    if (this.#isTail) this.#at = 0;
    this.#worker = new Worker(workerUrl(), { type: 'module' });
    this.#worker.onmessage = (e: MessageEvent<FromWorker>) => this.#receive(e.data);
    const phone = matchMedia('(max-width: 720px)').matches;
    this.send({ t: 'open', url: `${location.origin}/api/v1/runs/${run}/log`, memory: (phone ? 16 : 64) << 20 });
    this.#stream = socket.subscribe({
      topic,
      host,
      rests: !this.#isTail,
      offset: () => this.#at,
      onEvent: (event, data) => this.#event(event, data),
      onChunk: (c) => this.#chunk(c),
      onEnd: (offset, reason) => this.#end(offset, reason),
    });
    document.addEventListener('visibilitychange', this.#payCredit);
    let wasOpen = connection.value.kind === 'open';
    this.#stopWatching = connection.subscribe((c) => {
      const open = c.kind === 'open';
      if (open && !wasOpen) this.send({ t: 'retry' });
      wasOpen = open;
    });
  }

  get #isTail(): boolean {
    return this.topic.startsWith('tail/');
  }

  /** Tells the worker; what is answered or kept here as well has a function of its own. */
  send(m: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(m, transfer);
  }

  #event(event: string, data: unknown): void {
    if (event === 'snapshot') {
      const { offset, size } = (data ?? {}) as { offset?: unknown; size?: unknown };
      if (typeof offset !== 'number') return;
      this.problem.value = '';
      if (this.#isTail && this.#started) this.send({ t: 'reset' });
      this.#started = true;
      if (this.#at < 0 || this.#isTail) this.#at = offset;
      this.send({ t: 'start', offset });
      if (size === 0 || this.#isTail) this.ready.value = true;
    } else if (event === 'error') {
      const { code, message } = (data ?? {}) as { code?: unknown; message?: unknown };
      this.problemCode = String(code);
      this.problemText.value = typeof message === 'string' ? message : '';
      this.problem.value = 'failed';
    }
  }

  #chunk(c: { offset: number; buffer: ArrayBuffer; at: number; length: number }): void {
    this.#at = Math.max(this.#at, c.offset + c.length);
    this.send({ t: 'chunk', offset: c.offset, buffer: c.buffer, at: c.at, length: c.length }, [c.buffer]);
  }

  #end(_offset: number, reason: EndReason): void {
    if (reason === EndReason.finished) {
      this.ended.value = true;
      this.ready.value = true;
    } else if (reason === EndReason.shortened) {
      this.#at = -TAIL_BYTES;
      this.send({ t: 'reset' });
      this.#stream.restart();
    } else if (reason === EndReason.pruned) {
      this.problem.value = 'pruned';
      this.ready.value = true;
    }
  }

  /** The run's document says how long the journal is by now. */
  noteSize(size: number, follow: boolean): void {
    if (follow && this.#at > 0 && size - this.#at > OUTRUN_BYTES && !this.ended.value) {
      this.#at = -TAIL_BYTES;
      this.#stream.restart();
    }
  }

  /** A hidden page takes what it was promised and then lets the server wait. */
  readonly #payCredit = (): void => {
    if (document.hidden || this.#owed === 0) return;
    this.#stream.credit(this.#owed);
    this.#owed = 0;
  };

  #receive(m: FromWorker): void {
    switch (m.t) {
      case 'view':
        this.size.value = m.size;
        if (m.size.held > 0) this.ready.value = true;
        this.shown = viewAfter(this.shown, m);
        this.onView(this.shown);
        break;
      case 'shift':
        this.onShift(m.delta);
        break;
      case 'consumed':
        this.#owed += m.bytes;
        this.#payCredit();
        break;
      case 'found':
        this.found.value = m.found;
        break;
      case 'ticks':
        this.ticks.value = m;
        break;
      case 'shows':
        this.folded.value = new Set(m.folded);
        this.streams.value = m.stream;
        this.only.value = m.only;
        break;
      case 'row':
      case 'text':
        this.#waiting.get(m.id)?.(m);
        this.#waiting.delete(m.id);
        break;
      case 'damaged':
        if (++this.#damaged > MAX_DAMAGED) this.problem.value = 'damaged';
        else {
          this.#at = m.offset;
          this.#stream.restart();
        }
        break;
      case 'unauthorized':
        onUnauthorized.call();
        break;
    }
  }

  /** Folds steps away, shows one stream or both, all lines or only what is searched for. */
  show(folded: ReadonlySet<number>, streams: Stream, only = this.only.value): void {
    this.folded.value = folded;
    this.streams.value = streams;
    this.only.value = only;
    this.send({ t: 'show', folded: [...folded], stream: streams, only });
  }
  #ask<T extends FromWorker['t']>(make: (id: number) => ToWorker): Promise<Extract<FromWorker, { t: T }>> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, (m) => resolve(m as Extract<FromWorker, { t: T }>));
      this.send(make(id));
    });
  }

  async seek(target: Target, view: Around | null = null): Promise<number | null> {
    return (await this.#ask<'row'>((id) => ({ t: 'seek', id, target, view }))).row;
  }
  async next(what: 'hit' | 'error', from: number, forward: boolean, once = false): Promise<{ row: number | null; rank: number }> {
    return this.#ask<'row'>((id) => ({ t: 'next', id, what, from, forward, once }));
  }
  async text(from: Point, to: Point): Promise<{ text: string; missing: number }> {
    return this.#ask<'text'>((id) => ({ t: 'text', id, from, to }));
  }

  close(): void {
    this.#stopWatching();
    document.removeEventListener('visibilitychange', this.#payCredit);
    this.#stream.close();
    this.#worker.terminate();
  }
}
