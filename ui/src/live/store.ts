// What the page knows, in signals: session, connection, system, catalogue, newest runs. Filled by
// the live socket; pages only read.

import { computed, effect, signal } from '@preact/signals';
import { act, ApiError, get, onUnauthorized, post } from '../api/http.ts';
import { decodeCatalog, decodeRunAnswer, decodeRuns, decodeSession, type Catalog, type Run, type Session } from '../api/types.ts';
import { dashboardNow } from '../lib/clock.ts';
import { LiveSocket, type Connection, type Subscription } from './socket.ts';
import { decodeSystem, isAway, type System } from './system.ts';

/** undefined: not asked yet; null: signed out. */
export const session = signal<Session | null | undefined>(undefined);
/** The session ended while the page was in use: sign in over it, keeping its state. */
export const expired = signal(false);
export const connection = signal<Connection>({ kind: 'idle' });
export const system = signal<System | null>(null);
export const catalog = signal<Catalog | null>(null);
export const catalogError = signal<unknown>(null);
/** Newest first. null: not there yet. */
export const runs = signal<readonly Run[] | null>(null);
export const sessionError = signal<unknown>(null);
/** Signing in takes a code. */
export const codeWanted = signal(false);

export const hostName = computed(() => system.value?.host ?? '');
export const activeRuns = computed(() => (runs.value ?? []).filter((r) => isActive(r)));
/** Whether what needs the daemon can be done now. */
export const live = computed(() => connection.value.kind === 'open');
/** The dashboard answers requests, again and again, and no live connection comes about. */
export const socketBlocked = signal(false);
/** Becomes another number when a lost connection is there again: what was asked for before may have changed. */
export const reconnects = signal(0);
/** Nothing can be started anywhere. */
export const agentAway = computed(() => system.value?.agents.every(isAway) ?? false);

const build = typeof document === 'undefined' ? '' : (document.querySelector<HTMLMetaElement>('meta[name=ops-build]')?.content ?? '');
/** The dashboard has another page by now than this one. */
export const outdated = computed(() => build !== '' && !['', build].includes(system.value?.assets ?? ''));

const RUNS_KEPT = 100;

export function isActive(r: Pick<Run, 'status'>): boolean {
  return r.status === 'queued' || r.status === 'running' || r.status === 'waiting';
}

export const socket = new LiveSocket(
  {
    connect: () => new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/live`, 'ops.v1'),
    now: dashboardNow,
    random: () => Math.random(),
    setTimeout: (fn, ms) => setTimeout(fn, ms) as unknown as number,
    clearTimeout: (id) => clearTimeout(id),
    online: () => navigator.onLine,
  },
  (state) => (connection.value = state),
);

/** A summary has no steps: those that are known stay. */
function withSteps(run: Run, list: readonly Run[] | null): Run {
  if (run.steps.length > 0) return run;
  const before = list?.find((r) => r.id === run.id);
  return before && before.steps.length > 0 ? { ...run, steps: before.steps } : run;
}

function putRun(list: readonly Run[] | null, given: Run): readonly Run[] {
  const run = withSteps(given, list);
  const rest = (list ?? []).filter((r) => r.id !== run.id);
  const i = rest.findIndex((r) => r.created_us < run.created_us || (r.created_us === run.created_us && r.number < run.number));
  if (i < 0) rest.push(run);
  else rest.splice(i, 0, run);
  return rest.slice(0, RUNS_KEPT);
}

function onRuns(event: string, data: unknown): void {
  const known = runs.value;
  if (event === 'snapshot') runs.value = decodeRuns(data, 'runs').runs.map((r) => withSteps(r, known));
  else if (event === 'put') runs.value = putRun(runs.value, decodeRunAnswer(data, 'runs'));
  else if (event === 'del') {
    const id = typeof data === 'string' ? data : ((data as { id?: unknown } | null)?.id ?? '');
    runs.value = (runs.value ?? []).filter((r) => r.id !== id);
  }
}

function onCatalog(event: string, data: unknown): void {
  if (event !== 'snapshot' && event !== 'put') return;
  try {
    catalog.value = decodeCatalog(data, 'catalog');
    catalogError.value = null;
  } catch (e) {
    catalogError.value = e;
  }
}

const connected = (s: System | null): number => s?.agents.filter((a) => a.state === 'connected').length ?? 0;

function onSystem(event: string, data: unknown): void {
  if (event !== 'snapshot' && event !== 'put') return;
  const before = connected(system.value);
  system.value = decodeSystem(data, 'system');
  if (connected(system.value) > before) socket.retryFailed();
}

function subscribeAll(): Subscription[] {
  return [
    socket.subscribe({ topic: 'system', rests: true, onEvent: onSystem }),
    socket.subscribe({ topic: 'runs', hushes: true, onEvent: onRuns }),
    socket.subscribe({ topic: 'catalog', onEvent: onCatalog }),
  ];
}

let topics: Subscription[] = [];

function begin(): void {
  if (topics.length === 0) topics = subscribeAll();
  socket.start();
}

function over(): void {
  if (expired.peek() || !session.peek()) return;
  expired.value = true;
  socket.stop({ kind: 'unauthorized' });
  // A code may be what ended it: whether one is asked for now is learned from the refusal.
  void loadSession(true);
}

async function enter(): Promise<void> {
  const s = await get('/session', decodeSession, { quiet: true });
  session.value = s;
  codeWanted.value = s.totp; // also for the next sign-in
  expired.value = false;
  begin();
}

/** Asks who is signed in; starts the live side. `again`: somebody was, and the page stays as it is. */
export async function loadSession(again = false): Promise<void> {
  try {
    await enter();
    sessionError.value = null;
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) {
      codeWanted.value = e.totp;
      if (!again) session.value = null;
    } else if (!again) sessionError.value = e;
  }
}

export async function signIn(user: string, password: string, code: string): Promise<void> {
  await act('POST', '/login', { body: { user, password, ...(code === '' ? {} : { code }) }, quiet: true });
  await enter();
}

export async function signOut(): Promise<void> {
  try {
    await act('POST', '/logout', { quiet: true });
  } catch (e) {
    if (!(e instanceof ApiError && e.status === 401)) throw e;
  }
  socket.stop();
  session.value = null;
  runs.value = null;
  catalog.value = null;
}

/** The password again, for what is dangerous. */
export async function reauth(password: string, code: string): Promise<void> {
  await act('POST', '/session/reauth', { body: { password, ...(code === '' ? {} : { code }) }, quiet: true });
}

/** Starts a run; the answer is there before the topic tells of it. */
export async function startRun(body: Record<string, unknown>, key: string): Promise<Run> {
  const run = await post('/runs', decodeRunAnswer, { body, headers: { 'Idempotency-Key': key } });
  runs.value = putRun(runs.value, run);
  return run;
}

/** In its own time, however often and from how many windows; with kill at once, "finally" too. */
export async function cancelRun(id: string, kill = false): Promise<void> {
  await act('POST', `/runs/${id}/cancel`, { body: { kill } });
}

/** Answers a step that waits for a person. */
export async function approveStep(run: string, step: string, approve: boolean, comment: string): Promise<void> {
  await act('POST', `/runs/${run}/approve`, { body: { step, approve, ...(comment === '' ? {} : { comment }) } });
}

export const loadRun = (id: string, signal?: AbortSignal): Promise<Run> => get(`/runs/${id}`, decodeRunAnswer, signal ? { signal } : {});

export interface Page {
  runs: Run[];
  next: string;
}

export function loadRuns(query: Record<string, string>, signal?: AbortSignal): Promise<Page> {
  return get(`/runs?${new URLSearchParams(query)}`, decodeRuns, signal ? { signal } : {});
}

/** A run that is watched: its document as it changes. */
export function watchRun(id: string, put: (run: Run) => void): Subscription {
  return socket.subscribe({
    topic: `run/${id}`,
    hushes: true,
    onEvent: (event, data) => {
      if (event !== 'snapshot' && event !== 'put') return;
      const run = decodeRunAnswer(data, 'run');
      put(run);
      if (runs.value?.some((r) => r.id === run.id)) runs.value = putRun(runs.value, run);
    },
  });
}

export function startLive(): void {
  onUnauthorized.call = over;
  addEventListener('online', () => socket.network(true));
  addEventListener('offline', () => socket.network(false));
  const look = () => {
    socket.visible(!document.hidden);
    // Somebody may have signed in in another tab.
    if (!document.hidden && expired.peek()) void loadSession(true);
  };
  document.addEventListener('visibilitychange', look);
  look();
  let failures = 0;
  let answers = 0;
  effect(() => {
    const c = connection.value;
    if (c.kind === 'unauthorized') over();
    if (c.kind === 'open') {
      if (failures > 0) reconnects.value = reconnects.peek() + 1;
      failures = answers = 0;
      socketBlocked.value = false;
    }
    // A refused handshake looks like a lost connection: ask whether we are still signed in. One that has just come back
    // may answer this before it takes the connection: that happens once, not again and again.
    if (c.kind === 'waiting' && ++failures > 1) {
      get('/session', decodeSession).then(
        () => (socketBlocked.value = ++answers > 2),
        () => (answers = 0),
      );
    }
  });
}

