// How each machine is: the topic `status`, subscribed to while a page shows it, and the last values of
// what is drawn as a line. Sections and items are kept as they come; what a page does not know is
// shown by its title and level all the same. Machines are told apart by their key (live/hosts.ts).

import { batch, computed, effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Level, LiveStatusPut, Status, StatusItem } from '../../api/document.gen.ts';
import { decoder } from '../../api/documents.ts';
import { dashboardNow } from '../../lib/clock.ts';
import { now } from '../../lib/format.ts';
import { hostKey, hosts, shownKey } from '../../live/hosts.ts';
import { live, session, socket } from '../../live/store.ts';
import { isAway } from '../../live/system.ts';
import { answered } from './ready.ts';
import { loadHistories } from './samples.ts';

export type { Level, Status as MachineStatus, StatusItem as Item } from '../../api/document.gen.ts';
type Item = StatusItem;
type MachineStatus = Status;

export const decodeStatus = decoder('Status');
const decodePut = decoder('LiveStatusPut');

interface Known {
  status: MachineStatus;
  /** When something last came. */
  heardAt: number;
}

/** By key. */
const known = signal<ReadonlyMap<string, Known>>(new Map());

export const statusOf = (key: string): MachineStatus | null => known.value.get(key)?.status ?? null;
/** Of the machine that is looked at; null: nothing has come yet. */
export const machine = computed(() => statusOf(shownKey.value));

function put(key: string, status: MachineStatus, heardAt: number): void {
  known.value = new Map([...known.peek(), [key, { status, heardAt }]]);
}

/** Puts replace whole items and add new ones. Pure. */
export function merge(status: MachineStatus, put: LiveStatusPut): MachineStatus {
  const sections = { ...status.sections };
  for (const [name, items] of Object.entries(put.sections)) {
    const changed = new Map(items.map((i) => [i.id, i]));
    const kept = (sections[name] ?? []).map((i) => {
      const other = changed.get(i.id);
      changed.delete(i.id);
      return other ?? i;
    });
    sections[name] = [...kept, ...changed.values()];
  }
  return { ...status, time_us: put.time_us, level: put.level, sections };
}

/** Takes away "section/id". Pure. */
export function without(status: MachineStatus, path: string): MachineStatus {
  const slash = path.indexOf('/');
  const name = path.slice(0, slash);
  const rest = (status.sections[name] ?? []).filter((i) => i.id !== path.slice(slash + 1));
  const sections = { ...status.sections, [name]: rest };
  if (rest.length === 0) delete sections[name];
  return { ...status, sections };
}

// ---- the last values ----

export const SPARK_MS = 90_000;
const MAX_POINTS = 240;
export type Point = readonly [ms: number, value: number];
/** By "item value key". Not a signal: drawn when the status changes. */
const points = new Map<string, Point[]>();

export function series(item: string, value: string, key = shownKey.value): readonly Point[] {
  return points.get(`${item} ${value} ${key}`) ?? [];
}

const DRAWN: readonly (readonly [string, string])[] = [
  ['cpu', 'used_pct'], ['memory', 'used_pct'], ['network', 'rx_bps'], ['network', 'tx_bps'], ['io', 'read_bps'], ['io', 'write_bps'],
];

/** What was measured before this page looked, so that lines begin full. */
async function remembered(key: string): Promise<void> {
  const to = dashboardNow();
  const before = await loadHistories(DRAWN.map(([id, value]) => [`host/${id}`, value] as const), to - 2 * SPARK_MS, to, { host: key });
  for (const s of before) {
    const name = `${s.item.slice('host/'.length)} ${s.value} ${key}`;
    const now = points.get(name) ?? [];
    const first = now[0]?.[0] ?? Infinity;
    points.set(name, [...s.points.filter((p): p is Point => p[1] !== null && p[0] < first), ...now].slice(-MAX_POINTS));
  }
  const is = known.peek().get(key);
  if (is) put(key, { ...is.status }, is.heardAt); // another one, so that it is drawn
}

function remember(key: string, status: MachineStatus): void {
  for (const [id, value] of DRAWN) {
    const item = status.sections['host']?.find((i) => i.id === id);
    const measured = item?.values[value];
    if (!item || typeof measured !== 'number') continue;
    const name = `${id} ${value} ${key}`;
    const before = points.get(name) ?? [];
    const ms = item.checked_us / 1000;
    if (before.length > 0 && before.at(-1)![0] >= ms) continue;
    points.set(name, [...before.filter((p) => p[0] > ms - 2 * SPARK_MS), [ms, measured] as const].slice(-MAX_POINTS));
  }
}

// ---- the topic ----

function onStatus(key: string, event: string, data: unknown): void {
  batch(() => take(key, event, data));
}

function take(key: string, event: string, data: unknown): void {
  if ((event === 'snapshot' || event === 'error') && !answered.peek().has(key)) answered.value = new Set([...answered.peek(), key]);
  const before = known.peek().get(key)?.status ?? null;
  let next = before;
  if (event === 'snapshot') next = decodeStatus(data, 'status');
  else if (event === 'put' && before) next = merge(before, decodePut(data, 'status'));
  else if (event === 'del' && before) next = without(before, String((data as { id?: unknown } | null)?.id ?? ''));
  if (next === before || !next) return;
  remember(key, next);
  put(key, next, dashboardNow());
}

/** Who uses the topic of a machine, and how to end it. */
const users = new Map<string, { n: number; stop: () => void }>();

function use(key: string): () => void {
  let u = users.get(key);
  if (!u) {
    const subscription = socket.subscribe({ topic: 'status', host: key, rests: true, onEvent: (event, data) => onStatus(key, event, data) });
    users.set(key, (u = { n: 0, stop: () => subscription.close() }));
    // A line without its past is a line all the same.
    remembered(key).catch(() => undefined);
  }
  const { stop } = u;
  u.n++;
  return () => {
    if (--u.n > 0) return;
    users.delete(key);
    stop();
  };
}

/** Subscribes while any page uses it; what was known stays for the next one. */
export function useStatus(keys: readonly string[] = [shownKey.value]): void {
  useEffect(() => {
    const stops = keys.map(use);
    return () => stops.forEach((stop) => stop());
  }, [keys.join('\n')]);
}

effect(() => {
  if (session.value !== null) return;
  known.value = new Map();
  answered.value = new Set();
});

/** Nothing has come for three intervals, or the dashboard or the machine is away: what is shown is old. */
export function isStale(key: string): boolean {
  const is = known.value.get(key);
  if (!is) return false;
  if (hosts.value.some((h) => isAway(h) && hostKey(h.host) === key)) return true;
  return !live.value || now.value - is.heardAt > Math.max(3 * is.status.interval_ms, 3000) + 2000;
}
export const stale = computed(() => isStale(shownKey.value));

// ---- order ----

export const RANK: Record<Level, number> = { bad: 0, warn: 1, unknown: 2, ok: 3 };

/** Problems first, the newest of them before older ones; then as they came. Pure. */
export function bySeverity<T extends { item: Item }>(all: readonly T[]): T[] {
  return [...all].sort((a, b) => RANK[a.item.level] - RANK[b.item.level] || (a.item.level === 'ok' ? 0 : b.item.since_us - a.item.since_us));
}

export interface Placed {
  section: string;
  item: Item;
}

export function problems(status: MachineStatus | null): Placed[] {
  const all = Object.entries(status?.sections ?? {}).flatMap(([section, items]) => items.map((item) => ({ section, item })));
  return bySeverity(all.filter((p) => p.item.level !== 'ok'));
}

export function worst(items: readonly Item[]): Level {
  return items.reduce<Level>((w, i) => (RANK[i.level] < RANK[w] ? i.level : w), 'ok');
}

export const numberOf = (item: Item | undefined, key: string): number | null => {
  const v = item?.values[key];
  return typeof v === 'number' ? v : null;
};
export const textOf = (item: Item | undefined, key: string): string => {
  const v = item?.values[key];
  return typeof v === 'string' ? v : '';
};
