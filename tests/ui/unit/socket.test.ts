// The live socket with a clock, a network and a server of its own.
import test from 'node:test';
import assert from 'node:assert/strict';
import { LiveSocket, type Connection, type World } from '../../../ui/src/live/socket.ts';

class FakeWebSocket {
  readyState = 0;
  binaryType = '';
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  onclose: ((e: { code: number }) => void) | null = null;
  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close(): void {
    this.readyState = 3;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  say(m: unknown): void {
    this.onmessage?.({ data: JSON.stringify(m) });
  }
  frame(b: Uint8Array): void {
    this.onmessage?.({ data: b.slice().buffer });
  }
  drop(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

class FakeWorld {
  time = 1_000_000;
  up = true;
  sockets: FakeWebSocket[] = [];
  timers = new Map<number, { at: number; fn: () => void }>();
  states: Connection[] = [];
  private next = 1;
  readonly socket: LiveSocket;

  constructor() {
    const world: World = {
      connect: () => {
        const ws = new FakeWebSocket();
        this.sockets.push(ws);
        return ws as unknown as WebSocket;
      },
      now: () => this.time,
      random: () => 1,
      setTimeout: (fn, ms) => {
        this.timers.set(this.next, { at: this.time + ms, fn });
        return this.next++;
      },
      clearTimeout: (id) => void this.timers.delete(id),
      online: () => this.up,
    };
    this.socket = new LiveSocket(world, (s) => this.states.push(s));
  }

  get ws(): FakeWebSocket {
    return this.sockets[this.sockets.length - 1]!;
  }
  get state(): Connection {
    return this.states[this.states.length - 1]!;
  }

  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.time = due[1].at;
      due[1].fn();
    }
    this.time = end;
  }
}

function chunk(stream: number, offset: number, records: number[]): Uint8Array {
  const b = new Uint8Array(24 + records.length);
  const v = new DataView(b.buffer);
  v.setUint32(0, 8 + records.length, true);
  b[4] = 1;
  b[5] = 3;
  v.setUint32(8, stream, true);
  v.setBigUint64(16, BigInt(offset), true);
  b.set(records, 24);
  return b;
}

test('subscriptions are made when the connection is there', () => {
  const w = new FakeWorld();
  const events: unknown[] = [];
  w.socket.subscribe({ topic: 'runs', onEvent: (e, d) => events.push([e, d]) });
  w.socket.start();
  assert.equal(w.ws.sent.length, 0);
  w.ws.open();
  assert.deepEqual(w.ws.sent, [{ op: 'subscribe', topic: 'runs', id: 1 }]);
  w.ws.say({ id: 1, event: 'snapshot', data: [1] });
  w.ws.say({ id: 99, event: 'put', data: 2 });
  assert.deepEqual(events, [['snapshot', [1]]]);
});

test('after a cut it waits longer each time, and a speaking server ends that', () => {
  const w = new FakeWorld();
  w.socket.start();
  const delays: number[] = [];
  for (let i = 0; i < 7; i++) {
    w.ws.drop();
    assert.equal(w.state.kind, 'waiting');
    if (w.state.kind === 'waiting') delays.push(w.state.retryAt - w.time);
    w.advance(20_000 * 0 + delays[i]!);
  }
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 10000, 10000]);
  w.ws.open();
  w.ws.say({});
  w.ws.drop();
  if (w.state.kind === 'waiting') assert.equal(w.state.retryAt - w.time, 500);
});

test('a log goes on at the offset it has come to', () => {
  const w = new FakeWorld();
  let at = -1000;
  const seen: number[] = [];
  w.socket.subscribe({
    topic: 'run/1/log',
    offset: () => at,
    onEvent: () => undefined,
    onChunk: (c) => {
      seen.push(c.offset);
      at = c.offset + c.length;
    },
  });
  w.socket.start();
  w.ws.open();
  assert.equal(w.ws.sent[0]!['offset'], -1000);
  w.ws.frame(chunk(1, 5000, [1, 2, 3]));
  assert.equal(at, 5003);
  w.ws.drop();
  w.advance(500);
  w.ws.open();
  assert.deepEqual(w.ws.sent[0], { op: 'subscribe', topic: 'run/1/log', id: 2, offset: 5003 });
  w.ws.frame(chunk(1, 9999, [9]));
  assert.deepEqual(seen, [5000], 'a frame for the old id is nobody’s');
});

test('credit carries the id of now', () => {
  const w = new FakeWorld();
  const s = w.socket.subscribe({ topic: 'run/1/log', offset: () => 0, onEvent: () => undefined });
  s.credit(1);
  w.socket.start();
  w.ws.open();
  s.credit(4096);
  assert.deepEqual(w.ws.sent[1], { op: 'credit', id: 1, bytes: 4096 });
});

test('a restarted stream gets a new id and the old one is given back', () => {
  const w = new FakeWorld();
  let at = 10;
  const s = w.socket.subscribe({ topic: 'run/1/log', offset: () => at, onEvent: () => undefined });
  w.socket.start();
  w.ws.open();
  at = -512;
  s.restart();
  assert.deepEqual(w.ws.sent.slice(1), [
    { op: 'unsubscribe', id: 1 },
    { op: 'subscribe', topic: 'run/1/log', id: 2, offset: -512 },
  ]);
  s.close();
  assert.deepEqual(w.ws.sent[3], { op: 'unsubscribe', id: 2 });
});

test('a finished log is not asked for again', () => {
  const w = new FakeWorld();
  let ended = 0;
  w.socket.subscribe({ topic: 'run/1/log', offset: () => 0, onEvent: () => undefined, onEnd: () => ended++ });
  w.socket.start();
  w.ws.open();
  const end = new Uint8Array(26);
  const v = new DataView(end.buffer);
  v.setUint32(0, 10, true);
  end[4] = 1;
  end[5] = 6;
  v.setUint32(8, 1, true);
  v.setUint16(24, 1, true);
  w.ws.frame(end);
  assert.equal(ended, 1);
  w.ws.drop();
  w.advance(500);
  w.ws.open();
  assert.equal(w.ws.sent.length, 0);
});

test('a session that has ended is not knocked at again', () => {
  const w = new FakeWorld();
  w.socket.start();
  w.ws.open();
  w.ws.drop(4401);
  assert.equal(w.state.kind, 'unauthorized');
  w.advance(60_000);
  assert.equal(w.sockets.length, 1);
  w.socket.start();
  assert.equal(w.sockets.length, 2);
});

test('without a network it waits for one', () => {
  const w = new FakeWorld();
  w.socket.start();
  w.ws.open();
  w.up = false;
  w.socket.network(false);
  assert.equal(w.state.kind, 'offline');
  w.advance(60_000);
  assert.equal(w.sockets.length, 1);
  w.up = true;
  w.socket.network(true);
  assert.equal(w.sockets.length, 2);
});

test('a handshake that never ends is given up', () => {
  const w = new FakeWorld();
  w.socket.start();
  w.advance(10_000);
  assert.equal(w.state.kind, 'waiting');
});

test('somebody who asks does not wait', () => {
  const w = new FakeWorld();
  w.socket.start();
  w.ws.drop();
  w.socket.retryNow();
  assert.equal(w.sockets.length, 2);
  w.advance(60_000);
  w.ws.open();
  w.socket.retryNow();
});

test('what could not be subscribed to is tried again when asked', () => {
  const w = new FakeWorld();
  const events: string[] = [];
  w.socket.subscribe({ topic: 'catalog', onEvent: (e) => events.push(e) });
  w.socket.start();
  w.ws.open();
  w.ws.say({ id: 1, event: 'error', data: { code: 'agent_unavailable', message: '' } });
  assert.deepEqual(events, ['error']);
  w.socket.retryFailed();
  assert.deepEqual(w.ws.sent[1], { op: 'subscribe', topic: 'catalog', id: 2 });
});

test('bytes that are no frame end the connection, not the page', () => {
  const w = new FakeWorld();
  w.socket.start();
  w.ws.open();
  w.ws.frame(new Uint8Array([1, 2, 3]));
  assert.equal(w.state.kind, 'waiting');
});

test('silence is asked about, and no answer ends the connection', () => {
  const w = new FakeWorld();
  w.socket.subscribe({ topic: 'runs', onEvent: () => undefined });
  w.socket.start();
  w.ws.open();
  w.advance(20_000);
  w.ws.say({ id: 1, event: 'snapshot', data: [] });
  w.advance(29_000);
  assert.equal(w.ws.sent.length, 1, 'it was heard not long ago');
  w.advance(2_000);
  const asked = w.ws.sent.slice(1);
  assert.deepEqual(asked.map((m) => [m['op'], m['topic']]), [['subscribe', 'system'], ['unsubscribe', undefined]]);
  assert.equal(asked[0]!['id'], asked[1]!['id']);
  w.ws.say({ id: asked[0]!['id'], event: 'snapshot', data: {} });
  w.advance(11_000);
  assert.equal(w.state.kind, 'open', 'it answered');
  w.advance(60_000);
  assert.ok(w.sockets.length > 1, 'the second time nobody did');
});

test('nobody who sees the page: only what is wanted then goes on, and the rest where it was', () => {
  const w = new FakeWorld();
  let at = 100;
  w.socket.subscribe({ topic: 'runs', onEvent: () => undefined });
  w.socket.subscribe({ topic: 'run/1/log', rests: true, offset: () => at, onEvent: () => undefined });
  w.socket.start();
  w.ws.open();
  w.socket.visible(false);
  assert.deepEqual(w.ws.sent[2], { op: 'unsubscribe', id: 2 });
  w.socket.subscribe({ topic: 'status', rests: true, onEvent: () => undefined });
  w.advance(600_000);
  assert.equal(w.ws.sent.length, 3, 'nothing is begun, nothing is asked');
  at = 700;
  w.socket.visible(true);
  assert.deepEqual(w.ws.sent.slice(3, 5).map((m) => [m['topic'], m['offset']]), [['run/1/log', 700], ['status', undefined]]);
  assert.equal(w.ws.sent[5]?.['topic'], 'system', 'a connection may have gone meanwhile');
  w.advance(11_000);
  assert.equal(w.state.kind, 'waiting');
  w.socket.visible(true);
  assert.equal(w.sockets.length, 2, 'somebody looks: at once');
});

test('of runs a hidden page hears only what becomes of them, and all of it again when it is seen', () => {
  const w = new FakeWorld();
  w.socket.subscribe({ topic: 'runs', hushes: true, onEvent: () => undefined });
  w.socket.start();
  w.ws.open();
  w.socket.visible(false);
  assert.deepEqual(w.ws.sent.slice(1), [{ op: 'hush', id: 1 }]);
  w.ws.drop();
  w.advance(1000);
  w.ws.open();
  assert.deepEqual(w.ws.sent, [{ op: 'subscribe', topic: 'runs', id: 2 }, { op: 'hush', id: 2 }]);
  w.socket.visible(true);
  assert.deepEqual(w.ws.sent.slice(2, 4), [{ op: 'unsubscribe', id: 2 }, { op: 'subscribe', topic: 'runs', id: 3 }]);
});

test('what a hidden page lost is made again when it is seen', () => {
  const w = new FakeWorld();
  w.socket.subscribe({ topic: 'runs', onEvent: () => undefined });
  w.socket.subscribe({ topic: 'status', rests: true, onEvent: () => undefined });
  w.socket.start();
  w.ws.open();
  w.socket.visible(false);
  w.ws.drop();
  w.advance(1000);
  w.ws.open();
  assert.deepEqual(w.ws.sent.map((m) => m['topic']), ['runs']);
  w.socket.visible(true);
  assert.deepEqual(w.ws.sent.slice(1, 3).map((m) => m['topic']), ['status', 'system']);
});
