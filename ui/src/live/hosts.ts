// Which machines there are, and which one is looked at. A dashboard of one machine never names it in an address;
// of several the address says which (?host=), so that a link means the same to everybody.

import { computed } from '@preact/signals';
import type { CatalogEntry, Run } from '../api/types.ts';
import { t } from '../i18n/index.ts';
import { go, here } from '../lib/router.ts';
import { catalog, live, loadRun, runs, system } from './store.ts';
import { isAway, type HostState } from './system.ts';

export const hosts = computed<readonly HostState[]>(() => system.value?.agents ?? []);
export const several = computed(() => hosts.value.length > 1);

const named = (query: string): string => new URLSearchParams(query).get('host') ?? '';

/** The one that the address names; '' for all, or for the only one. Until it is known which there are the address is believed. */
export const chosenHost = computed(() => {
  const name = named(here.value.query);
  if (!system.value) return name;
  return several.value && hosts.value.some((h) => h.host === name) ? name : '';
});

export const hostState = (host: string): HostState | undefined => hosts.value.find((h) => h.host === host);
const isPrimary = (host: string): boolean => host === '' || (system.value !== null && (!several.value || (hostState(host)?.primary ?? false)));

/** By which a host's status, samples and tails are asked for: '' for the primary one, which is meant when none is named. */
export const hostKey = (host: string): string => (isPrimary(host) ? '' : host);
/** The machine whose status a page shows. */
export const shownKey = computed(() => hostKey(chosenHost.value));
/** Its name, when there are several. */
export const shownHost = computed(() => chosenHost.value || (hosts.value.find((h) => h.primary) ?? hosts.value[0])?.host || '');

/** What people call a host. */
export const hostTitle = (host: string): string => hostState(host)?.title || host;

/** Whether what is of host `a` belongs to host `b`; of one machine everything does. '' is the primary one. */
export const sameHost = (a: string, b: string): boolean => a === b || hostKey(a) === hostKey(b);

/** An address with the host it is about; '' leaves it out. The fragment stays at the end. */
export function withHost(path: string, host: string): string {
  if (host === '') return path;
  const [rest = '', ...hash] = path.split('#');
  return `${rest}${rest.includes('?') ? '&' : '?'}host=${encodeURIComponent(host)}${hash.length > 0 ? `#${hash.join('#')}` : ''}`;
}

/** A run's address. Of several machines one cannot tell a run by its number alone; before it is known how many there are,
 * only by its id. */
export const runPath = (run: Pick<Run, 'id' | 'number' | 'host'>): string => (system.value ? withHost(`/runs/${run.number}`, several.value ? run.host : '') : `/runs/${run.id}`);

/** A page's address, of the machine that is looked at. */
export const pagePath = (path: string): string => withHost(path, chosenHost.value);

/** The run that an address names by its id or number, when it is known already. */
export function knownRun(id: string): Run | null {
  const host = named(here.peek().query);
  return runs.peek()?.find((r) => r.id === id || (String(r.number) === id && (host !== '' ? r.host === host : !several.peek()))) ?? null;
}

/** Asks for the run that an address names; of several machines by its number only together with a host. */
export const loadNamedRun = (id: string, signal?: AbortSignal): Promise<Run> => loadRun(withHost(id, named(here.peek().query)), signal);

/** To the run before or after this one. Numbers may have holes where runs were pruned. */
export function goNeighbour(run: Run, by: 1 | -1): void {
  const known = (runs.peek() ?? []).filter((r) => r.host === run.host && (by > 0 ? r.number > run.number : r.number < run.number)).map((r) => r.number);
  const number = known.length > 0 ? (by > 0 ? Math.min(...known) : Math.max(...known)) : by < 0 ? run.number - 1 : 0;
  if (number > 0 && system.peek()) go(runPath({ ...run, number }));
}

/** What runs were started from; undefined: that is no longer in the catalogue. */
export function findEntry(kind: string, id: string, host: string): CatalogEntry | undefined {
  return catalog.value?.entries.find((e) => (kind === '' || e.kind === kind) && e.id === id && sameHost(e.host, host));
}

/** What a run was started from. */
export const entryOf = ({ kind, name, host }: Run): CatalogEntry | undefined => findEntry(kind, name, host);

/** How long (in µs) what runs has between being asked to end and being killed; 0: that is not known. */
export function grace(run: Run): number {
  const running = run.steps.filter((s) => s.status === 'running' && s.phase !== 'finally').map((s) => s.id);
  const entry = entryOf(run);
  const uses = (entry?.steps ?? []).filter((s) => running.includes(s.id)).map((s) => findEntry('command', s.uses, run.host));
  return Math.max(0, ...[entry, ...uses].map((e) => e?.kill_after_us ?? 0));
}

/** Tells entries apart that bear one id on several machines. */
export const entryKey = (e: Pick<CatalogEntry, 'kind' | 'id' | 'host'>): string => `${e.kind} ${e.id} ${e.host}`;

/** Why nothing can be started there now; '' when it can. */
export function blockedOn(host: string): string {
  const m = t.value;
  if (!live.value) return m.notConnected;
  const state = several.value ? hostState(host || shownHost.value) : hosts.value[0];
  if (!state || !isAway(state)) return '';
  return several.value ? m.hostAway(hostTitle(state.host)) : m.agentAway;
}
