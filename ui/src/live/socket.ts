// The one WebSocket. Subscriptions outlive connections: after a cut each is made again, with the
// offset its owner has come to, and begins with a new snapshot. Nothing is polled.

import { decodeFrame, FrameType, type EndReason, type Frame } from '../proto/frame.ts';

export type Connection =
  | { kind: 'idle' }
  | { kind: 'connecting' }
  | { kind: 'open' }
  /** Lost since `since`; the next try is at `retryAt` (both ms since 1970). */
  | { kind: 'waiting'; since: number; retryAt: number }
  | { kind: 'offline'; since: number }
  | { kind: 'unauthorized' };

export interface Chunk {
  offset: number;
  buffer: ArrayBuffer;
  /** Where in the buffer the records are. */
  at: number;
  length: number;
}

export interface Subscriber {
  topic: string;
  /** For `status` and tails: of which machine; none: of the primary one. */
  host?: string;
  /** For logs: where to go on. Negative: about so many bytes before the end. */
  offset?: () => number;
  onEvent(event: string, data: unknown): void;
  onChunk?(chunk: Chunk): void;
  /** A log's stream is over; it is not made again. */
  onEnd?(offset: number, reason: EndReason): void;
  /** Nobody needs it while the page is not seen: it goes on, as after a cut, when it is seen again. */
  rests?: boolean;
  /** Of runs: while the page is not seen only what changes a run's status is wanted; then all of it again. */
  hushes?: boolean;
}

export interface Subscription {
  credit(bytes: number): void;
  /** Ends it and begins anew with the subscriber's offset. */
  restart(): void;
  close(): void;
}

/** What the socket needs of the world, for tests with a clock of their own. */
export interface World {
  connect(): WebSocket;
  now(): number;
  random(): number;
  setTimeout(fn: () => void, ms: number): number;
  clearTimeout(id: number): void;
  online(): boolean;
}

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 10_000;
const OPEN_TIMEOUT_MS = 10_000;
/** A network can go without a word. After so much silence the server is asked for one, and has so long to answer. */
const SILENCE_MS = 30_000;
const ANSWER_MS = 10_000;
const CLOSE_UNAUTHORIZED = 4401;

interface Entry {
  id: number;
  ended: boolean;
  /** The server said it cannot be; tried again by retryFailed(). */
  failed: boolean;
  subscriber: Subscriber;
}

export class LiveSocket {
  private ws: WebSocket | null = null;
  private readonly entries = new Set<Entry>();
  private readonly byId = new Map<number, Entry>();
  private nextId = 1;
  private attempts = 0;
  private lostAt = 0;
  private timer = 0;
  private wanted = false;
  private seen = true;
  private heardAt = 0;
  /** The server was asked for a word at `heardAt` or later. */
  private asked = false;

  constructor(
    private readonly world: World,
    private readonly onState: (state: Connection) => void,
  ) {}

  start(): void {
    this.wanted = true;
    if (!this.ws) this.connect();
  }

  stop(state: Connection = { kind: 'idle' }): void {
    this.wanted = false;
    this.attempts = 0;
    this.lostAt = 0;
    this.world.clearTimeout(this.timer);
    this.drop();
    this.onState(state);
  }

  retryNow(): void {
    if (!this.wanted || this.ws) return;
    this.attempts = 0;
    this.connect();
  }

  /** The browser says whether it has a network. */
  network(online: boolean): void {
    if (!this.wanted) return;
    if (online) this.retryNow();
    else this.lost();
  }

  /** Whether anybody can see the page. What was asleep may have lost its connection without being told. */
  visible(seen: boolean): void {
    this.seen = seen;
    for (const entry of this.entries) {
      const { rests, hushes } = entry.subscriber;
      if (entry.ended || entry.failed || !(rests || hushes)) continue;
      if (!seen && hushes) this.hush(entry);
      else {
        this.release(entry);
        if (seen && this.isOpen()) this.open(entry);
      }
    }
    if (!seen) return;
    if (this.isOpen()) this.ask();
    else this.retryNow();
  }

  subscribe(subscriber: Subscriber): Subscription {
    const entry: Entry = { id: 0, ended: false, failed: false, subscriber };
    this.entries.add(entry);
    if (this.isOpen()) this.open(entry);
    return {
      credit: (bytes) => {
        if (entry.id > 0) this.send({ op: 'credit', id: entry.id, bytes });
      },
      restart: () => {
        this.release(entry);
        entry.ended = false;
        if (this.isOpen()) this.open(entry);
      },
      close: () => {
        this.release(entry);
        this.entries.delete(entry);
      },
    };
  }

  /** What was missing is there again: makes the subscriptions that could not be. */
  retryFailed(): void {
    if (!this.isOpen()) return;
    for (const entry of this.entries) if (entry.failed && !entry.ended) this.open(entry);
  }

  private isOpen(): boolean {
    return this.ws !== null && this.ws.readyState === 1;
  }

  private send(message: Record<string, unknown>): void {
    if (this.isOpen()) this.ws!.send(JSON.stringify(message));
  }

  private open(entry: Entry): void {
    if (entry.subscriber.rests && !this.seen) return;
    entry.id = this.nextId++;
    entry.failed = false;
    this.byId.set(entry.id, entry);
    const { topic, host } = entry.subscriber;
    const offset = entry.subscriber.offset?.();
    this.send({ op: 'subscribe', topic, id: entry.id, ...(host ? { host } : {}), ...(offset === undefined ? {} : { offset }) });
    if (entry.subscriber.hushes && !this.seen) this.hush(entry);
  }

  private hush(entry: Entry): void {
    if (entry.id > 0) this.send({ op: 'hush', id: entry.id });
  }

  private release(entry: Entry): void {
    if (entry.id === 0) return;
    // What still comes for the old id finds nobody.
    this.byId.delete(entry.id);
    if (!entry.ended) this.send({ op: 'unsubscribe', id: entry.id });
    entry.id = 0;
  }

  private connect(): void {
    this.world.clearTimeout(this.timer);
    if (!this.world.online()) {
      this.lostAt ||= this.world.now();
      this.onState({ kind: 'offline', since: this.lostAt });
      return;
    }
    if (this.lostAt === 0) this.onState({ kind: 'connecting' });
    const ws = this.world.connect();
    this.ws = ws;
    ws.binaryType = 'arraybuffer';
    this.timer = this.world.setTimeout(() => this.lost(), OPEN_TIMEOUT_MS);
    ws.onopen = () => this.opened();
    ws.onmessage = (e: MessageEvent<unknown>) => this.message(e.data);
    ws.onclose = (e) => this.closed(e.code);
  }

  private opened(): void {
    this.world.clearTimeout(this.timer);
    this.lostAt = 0;
    this.asked = false;
    this.heardAt = this.world.now();
    this.listen(SILENCE_MS);
    this.onState({ kind: 'open' });
    for (const entry of this.entries) if (!entry.ended) this.open(entry);
  }

  /** Looks after some time whether anything has been heard. A page that is not seen leaves that to the server. */
  private listen(ms: number): void {
    this.world.clearTimeout(this.timer);
    this.timer = this.world.setTimeout(() => {
      const left = this.seen ? this.heardAt + SILENCE_MS - this.world.now() : SILENCE_MS;
      if (this.asked) this.lost();
      else if (left <= 0) this.ask();
      else this.listen(Math.min(left, SILENCE_MS)); // a clock may be set back
    }, ms);
  }

  /** A topic's first document is a word that the server owes. */
  private ask(): void {
    const id = this.nextId++;
    this.asked = true;
    this.send({ op: 'subscribe', topic: 'system', id });
    this.send({ op: 'unsubscribe', id });
    this.listen(ANSWER_MS);
  }

  private closed(code: number): void {
    if (code === CLOSE_UNAUTHORIZED) this.stop({ kind: 'unauthorized' });
    else this.lost();
  }

  /** Drops the connection and sets the next try. */
  private lost(): void {
    this.drop();
    if (!this.wanted) return;
    this.world.clearTimeout(this.timer);
    this.lostAt ||= this.world.now();
    if (!this.world.online()) {
      this.onState({ kind: 'offline', since: this.lostAt });
      return;
    }
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** this.attempts);
    this.attempts = Math.min(this.attempts + 1, 16);
    const delay = ceiling / 2 + (this.world.random() * ceiling) / 2;
    this.timer = this.world.setTimeout(() => this.connect(), delay);
    this.onState({ kind: 'waiting', since: this.lostAt, retryAt: this.world.now() + delay });
  }

  private drop(): void {
    const ws = this.ws;
    this.ws = null;
    this.byId.clear();
    for (const entry of this.entries) entry.id = 0;
    if (!ws) return;
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.close();
  }

  private message(data: unknown): void {
    this.attempts = 0; // only a server that speaks counts as reached
    this.heardAt = this.world.now();
    if (this.asked) {
      this.asked = false;
      this.listen(SILENCE_MS);
    }
    if (typeof data === 'string') this.text(data);
    else if (data instanceof ArrayBuffer) this.frame(data);
  }

  private text(data: string): void {
    let m: unknown;
    try {
      m = JSON.parse(data);
    } catch {
      this.lost();
      return;
    }
    if (typeof m !== 'object' || m === null) return;
    const { id, event, data: payload } = m as Record<string, unknown>;
    const entry = typeof id === 'number' ? this.byId.get(id) : undefined;
    if (!entry || typeof event !== 'string' || event === 'end') return;
    if (event === 'error') {
      // It goes no further; its id is free.
      this.byId.delete(entry.id);
      entry.id = 0;
      entry.failed = true;
    }
    entry.subscriber.onEvent(event, payload);
  }

  private frame(buffer: ArrayBuffer): void {
    let f: Frame;
    try {
      f = decodeFrame(buffer);
    } catch {
      this.lost(); // somebody else's bytes: begin anew
      return;
    }
    const entry = this.byId.get(f.stream);
    if (!entry) return;
    if (f.type === FrameType.chunk) {
      const { records } = f;
      entry.subscriber.onChunk?.({ offset: f.offset, buffer, at: records.byteOffset, length: records.length });
    } else {
      entry.ended = true;
      entry.subscriber.onEnd?.(f.offset, f.reason);
    }
  }
}
