// The log worker: an Engine behind postMessage.

import { Engine } from './engine.ts';
import { httpTransport } from './loader.ts';
import type { FromWorker, ToWorker } from '../messages.ts';

interface Scope {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
}
const scope = globalThis as unknown as Scope;

// A message to ourselves comes after those that wait and is not clamped to 4 ms as a timer is.
const channel = new MessageChannel();
const queue: (() => void)[] = [];
channel.port1.onmessage = () => queue.shift()?.();

const engine = new Engine({
  post: (m) => scope.postMessage(m),
  soon: (fn) => {
    queue.push(fn);
    channel.port2.postMessage(null);
  },
  later: (fn, ms) => setTimeout(fn, ms),
  transport: httpTransport,
});
scope.onmessage = (event) => engine.receive(event.data);
