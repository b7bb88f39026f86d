// What the palette offers: commands and flows, pages, recent runs, what is watched, a few settings. All of it is
// here already, so results are instant.

import type { Words } from '../../i18n/en.ts';
import { LANGUAGES, lang, setLanguage, statusWords, type Language } from '../../i18n/index.ts';
import { itemTitle } from '../../i18n/values.ts';
import { rank } from '../../lib/fuzzy.ts';
import { chosenHost, entryKey, hostKey, hosts, hostTitle, pagePath, runPath, sameHost, several, shownHost, withHost } from '../../live/hosts.ts';
import { go, setHash } from '../../lib/router.ts';
import { shownRun } from '../badge.ts';
import { THEMES, setTheme, theme } from '../../lib/theme.ts';
import type { Catalog, Run } from '../../api/types.ts';
import { errorText } from '../../ui/Notice.tsx';
import { say } from '../../ui/toast.ts';
import { openRunForm } from '../../pages/commands/start.ts';
import { NAV } from '../nav.ts';
import type { MachineStatus } from '../../pages/overview/status.ts';
import { SECTIONS } from '../../pages/resources/sections.ts';
import { shortcutsOpen } from '../state.ts';

export interface Entry {
  key: string;
  icon: string;
  label: string;
  /** Said at the right. */
  detail: string;
  group: 'run' | 'goto' | 'recent' | 'resources' | 'settings';
  /** Searched besides the label. */
  also: string;
  /** Above 0: somebody ran it not long ago; the latest most. */
  recent?: number;
  act: () => void;
}

const LEVEL_ICONS = { ok: 'circle-check', warn: 'triangle-alert', bad: 'circle-x', unknown: 'circle-help' };

/** Each thing that is watched, and the pages they are on. */
function watched(m: Words, status: MachineStatus | null): Entry[] {
  const out: Entry[] = SECTIONS.map((s) => ({ key: s.path, icon: 'server', label: m.section[s.name], detail: on(shownHost.value, ''), group: 'resources', also: s.path, act: () => go(pagePath(s.path)) }));
  for (const s of SECTIONS) {
    for (const item of status?.sections[s.name] ?? []) {
      out.push({ key: `${s.name} ${item.id}`, icon: LEVEL_ICONS[item.level], label: itemTitle(s.name, item) || item.id, detail: on(shownHost.value, item.level === 'ok' ? '' : (statusWords(item) ?? item.message)), group: 'resources', also: `${item.id} ${m.section[s.name]}`, act: () => go(pagePath(`${s.path}#${encodeURIComponent(item.id)}`)) });
    }
  }
  return out;
}

/** Of several machines it is said whose it is. */
const on = (host: string, text: string): string => (several.value ? [hostTitle(host), text].filter(Boolean).join(' · ') : text);

/** How recently people ran what: by entry, from 1 to RECENT. What runs by itself says nothing of what a person wants. */
function recency(runs: readonly Run[]): Map<string, number> {
  const out = new Map<string, number>();
  for (const r of runs) {
    const key = `${r.kind} ${r.name} ${hostKey(r.host)}`;
    if (/^(manual|rerun)/.test(r.trigger) && out.size < RECENT && !out.has(key)) out.set(key, RECENT - out.size);
  }
  return out;
}
const RECENT = 8;
const RECENT_BONUS = 20;

/** Those first, each in the order it was. */
const firstOf = <T>(list: readonly T[], which: (e: T) => boolean): T[] => [...list.filter(which), ...list.filter((e) => !which(e))];

export function allEntries(m: Words, catalog: Catalog | null, runs: readonly Run[] | null, status: MachineStatus | null = null): Entry[] {
  const out: Entry[] = [];
  const own = (e: { host: string }) => chosenHost.value !== '' && sameHost(e.host, chosenHost.value);
  // What is of the machine that is looked at comes first.
  const ran = recency(runs ?? []);
  for (const e of firstOf(catalog?.entries ?? [], own)) {
    out.push({
      recent: ran.get(`${e.kind} ${e.id} ${hostKey(e.host)}`) ?? 0,
      key: `run ${entryKey(e)}`,
      icon: e.danger === 'high' ? 'triangle-alert' : e.kind === 'flow' ? 'workflow' : 'terminal',
      label: e.title || e.id,
      detail: on(e.host, e.id),
      group: 'run',
      also: `${e.id} ${e.group} ${on(e.host, '')}`,
      act: () => openRunForm(e),
    });
  }
  for (const n of NAV) out.push({ key: n.href, icon: n.icon, label: m[n.word], detail: '', group: 'goto', also: n.href, act: () => go(pagePath(n.href)) });
  for (const h of several.value ? hosts.value : []) out.push({ key: `host ${h.host}`, icon: 'server', label: m.overviewOf(hostTitle(h.host)), detail: h.title === '' ? '' : h.host, group: 'goto', also: h.host, act: () => go(withHost('/', h.host)) });
  for (const r of firstOf(runs ?? [], own).slice(0, 20)) {
    out.push({
      key: r.id,
      icon: 'file-text',
      label: `${r.title || r.name} #${r.number}`,
      detail: on(r.host, m.status[r.status]),
      group: 'recent',
      also: `${r.name} ${on(r.host, '')}`,
      act: () => go(runPath(r)),
    });
  }
  out.push(...watched(m, status));
  const themeNames = { system: m.themeSystem, light: m.themeLight, dark: m.themeDark };
  const icons = { system: 'monitor', light: 'sun', dark: 'moon' };
  for (const x of THEMES) {
    if (x !== theme.value) {
      out.push({ key: `theme ${x}`, icon: icons[x], label: `${m.theme}: ${themeNames[x]}`, detail: '', group: 'settings', also: 'theme', act: () => setTheme(x) });
    }
  }
  for (const l of Object.keys(LANGUAGES) as Language[]) {
    if (l !== lang.value) out.push({ key: l, icon: 'languages', label: LANGUAGES[l], detail: '', group: 'settings', also: 'language taal', act: () => void setLanguage(l).catch((e: unknown) => say(errorText(e))) });
  }
  out.push({ key: 'keys', icon: 'keyboard', label: m.shortcuts, detail: '', group: 'settings', also: 'keys', act: () => (shortcutsOpen.value = true) });
  return out;
}

/** Of each group so many are shown before anything is typed. */
const FIRST = { run: 8, goto: 12, recent: 5, resources: 0, settings: 8 };

function firstFew(): (e: Entry) => boolean {
  const left = { ...FIRST };
  return (e) => left[e.group]-- > 0;
}

const GROUP_BONUS = { run: 60, goto: 40, recent: 0, resources: 0, settings: 0 };

const text = (e: Entry): string => `${e.label} ${e.also}`;
const recent = (e: Entry): number => (e.recent ?? 0) * RECENT_BONUS;

/** `>` commands only, `#` a run's number, `:` a line of the log that is shown. */
export function search(query: string, entries: Entry[]): Entry[] {
  const q = query.trim();
  if (q.startsWith(':')) {
    const n = q.slice(1).trim();
    const run = shownRun.peek();
    if (!run || !/^[1-9]\d{0,9}$/.test(n)) return [];
    return [{ key: `line ${n}`, icon: 'file-text', label: `${run.title || run.name} #${run.number} · L${n}`, detail: '', group: 'goto', also: '', act: () => setHash(`#L${n}`) }];
  }
  if (q.startsWith('#')) {
    const n = q.slice(1).trim();
    const known = entries.filter((e) => e.group === 'recent' && e.label.includes(`#${n}`));
    if (!/^\d+$/.test(n)) return known;
    const exact = known.some((e) => e.label.endsWith(`#${n}`));
    const open = (host: string): Entry => ({ key: `go ${n} ${host}`, icon: 'file-text', label: `#${n}`, detail: on(host, ''), group: 'recent', also: '', act: () => go(withHost(`/runs/${n}`, host)) });
    // Each machine counts for itself.
    if (several.value) return [...known, ...hosts.value.map((h) => open(h.host))];
    return exact ? known : [open(''), ...known];
  }
  const commands = entries.filter((e) => e.group === 'run').sort((a, b) => (b.recent ?? 0) - (a.recent ?? 0));
  if (q.startsWith('>')) return rank(q.slice(1), commands, text, recent);
  if (q === '') return [...commands, ...entries.filter((e) => e.group !== 'run')].filter(firstFew());
  return rank(q, entries, text, (e) => GROUP_BONUS[e.group] + recent(e)).slice(0, 30);
}
