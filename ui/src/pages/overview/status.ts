// How the machine is: the topic `status`, subscribed to while a page shows it, and the last values of
// what is drawn as a line. Sections and items are kept as they come; what a page does not know is
// shown by its title and level all the same.

import { computed, effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { list, map, num, object, oneOf, or, shape, str, type Decoder } from '../../api/decode.ts';
import { now } from '../../lib/format.ts';
import { live, session, socket } from '../../live/store.ts';
import { loadHistories } from './samples.ts';

export const LEVELS = ['ok', 'warn', 'bad', 'unknown'] as const;
export type Level = (typeof LEVELS)[number];

export interface Item {
  id: string;
  title: string;
  level: Level;
  message: string;
  since_us: number;
  checked_us: number;
  /** The command or flow that would help; '' when none is named. */
  action: string;
  values: Record<string, unknown>;
}

export interface MachineStatus {
  host: string;
  time_us: number;
  interval_ms: number;
  sections: Record<string, Item[]>;
}

const decodeItem: Decoder<Item> = shape<Item>({
  id: str,
  title: or(str, ''),
  level: oneOf(LEVELS, 'unknown'),
  message: or(str, ''),
  since_us: or(num, 0),
  checked_us: or(num, 0),
  action: or(str, ''),
  values: (v, at) => (v === undefined || v === null ? {} : object(v, at)),
});
const decodeSections = map(list(decodeItem));
export const decodeStatus: Decoder<MachineStatus> = shape<MachineStatus>({
  host: or(str, ''),
  time_us: num,
  interval_ms: or(num, 0),
  sections: decodeSections,
});
const decodePut = shape<Pick<MachineStatus, 'time_us' | 'sections'>>({ time_us: num, sections: decodeSections });

/** null: nothing has come yet. */
export const machine = signal<MachineStatus | null>(null);
/** When something last came, by this browser's clock; 0: never. */
export const heardAt = signal(0);
/** The agent does not tell how the machine is. */
export const statusError = signal('');

/** Puts replace whole items and add new ones. Pure. */
export function merge(status: MachineStatus, put: Pick<MachineStatus, 'time_us' | 'sections'>): MachineStatus {
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
  return { ...status, time_us: put.time_us, sections };
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
/** By "item value". Not a signal: drawn when `machine` changes. */
const points = new Map<string, Point[]>();

export function series(item: string, value: string): readonly Point[] {
  return points.get(`${item} ${value}`) ?? [];
}

const DRAWN: readonly (readonly [string, string])[] = [
  ['cpu', 'used_pct'], ['memory', 'used_pct'], ['network', 'rx_bps'], ['network', 'tx_bps'], ['io', 'read_bps'], ['io', 'write_bps'],
];

/** What was measured before this page looked, so that lines begin full. */
async function remembered(): Promise<void> {
  const to = Date.now();
  const known = await loadHistories(DRAWN.map(([id, value]) => [`host/${id}`, value] as const), to - 2 * SPARK_MS, to);
  for (const s of known) {
    const key = `${s.item.slice('host/'.length)} ${s.value}`;
    const now = points.get(key) ?? [];
    const first = now[0]?.[0] ?? Infinity;
    points.set(key, [...s.points.filter((p): p is Point => p[1] !== null && p[0] < first), ...now].slice(-MAX_POINTS));
  }
  if (machine.peek()) machine.value = { ...machine.peek()! };
}

function remember(status: MachineStatus): void {
  for (const [id, key] of DRAWN) {
    const item = status.sections['host']?.find((i) => i.id === id);
    const value = item?.values[key];
    if (!item || typeof value !== 'number') continue;
    const known = points.get(`${id} ${key}`) ?? [];
    const ms = item.checked_us / 1000;
    if (known.length > 0 && known.at(-1)![0] >= ms) continue;
    points.set(`${id} ${key}`, [...known.filter((p) => p[0] > ms - 2 * SPARK_MS), [ms, value] as const].slice(-MAX_POINTS));
  }
}

// ---- the topic ----

function onStatus(event: string, data: unknown): void {
  if (event === 'error') {
    statusError.value = String((data as { message?: unknown } | null)?.message ?? '');
    return;
  }
  const known = machine.peek();
  let next = known;
  if (event === 'snapshot') next = decodeStatus(data, 'status');
  else if (event === 'put' && known) next = merge(known, decodePut(data, 'status'));
  else if (event === 'del' && known) next = without(known, String((data as { id?: unknown } | null)?.id ?? ''));
  if (next === known || !next) return;
  statusError.value = '';
  remember(next);
  machine.value = next;
  heardAt.value = Date.now();
}

let users = 0;
let stop: (() => void) | undefined;

/** Subscribes while any page uses it; what was known stays for the next one. */
export function useStatus(): void {
  useEffect(() => {
    if (users++ === 0) {
      const subscription = socket.subscribe({ topic: 'status', onEvent: onStatus });
      stop = () => subscription.close();
      // A line without its past is a line all the same.
      remembered().catch(() => undefined);
    }
    return () => {
      if (--users === 0) stop?.();
    };
  }, []);
}

effect(() => {
  if (session.value === null) machine.value = null;
});

/** Nothing has come for three intervals, or the dashboard is away: what is shown is old. */
export const stale = computed(() => {
  const status = machine.value;
  if (!status) return false;
  return !live.value || now.value - heardAt.value > Math.max(3 * status.interval_ms, 3000) + 2000;
});

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

export function problems(status: MachineStatus): Placed[] {
  const all = Object.entries(status.sections).flatMap(([section, items]) => items.map((item) => ({ section, item })));
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
