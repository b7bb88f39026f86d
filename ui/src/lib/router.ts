// Routes are paths; the page keeps them in one signal.

import { computed, signal } from '@preact/signals';
import { sectionAt, type SectionName } from '../pages/resources/sections.ts';
import { arrive, goneTo, leave, startPlaces } from './places.ts';

interface Location {
  path: string;
  query: string;
  hash: string;
}

const read = (): Location =>
  typeof location === 'undefined' ? { path: '/', query: '', hash: '' } : { path: location.pathname, query: location.search, hash: location.hash };

export const here = signal<Location>(read());
export const path = computed(() => here.value.path);

export function go(to: string, replace = false): void {
  const from = here.value.path;
  if (replace) history.replaceState(history.state, '', to);
  else history.pushState(leave(), '', to);
  here.value = read();
  if (here.value.path !== from) arrive(undefined);
}

/** Replaces the fragment without a step in the history. */
export function setHash(hash: string): void {
  if (location.hash === hash) return;
  history.replaceState(history.state, '', hash === '' ? location.pathname + location.search : hash);
  here.value = read();
}

export function startRouter(): void {
  startPlaces();
  addEventListener('popstate', (e) => {
    const from = here.value.path;
    const place = goneTo(e.state);
    here.value = read();
    if (here.value.path !== from) arrive(place);
  });
  addEventListener('hashchange', () => (here.value = read()));
}

export type Route =
  | { page: 'overview' }
  | { page: 'commands' }
  | { page: 'run'; id: string }
  | { page: 'history' }
  | { page: 'schedule' }
  | { page: 'audit' }
  | { page: 'more' }
  | { page: 'settings' }
  | { page: 'login' }
  | { page: 'resources'; section: SectionName }
  | { page: 'notFound' };

export function match(p: string): Route {
  const parts = p.split('/').filter((s) => s !== '');
  const [first, second] = parts;
  if (parts.length === 0) return { page: 'overview' };
  if (first === 'commands' && parts.length === 1) return { page: 'commands' };
  if (first === 'runs' && parts.length === 2 && /^[0-9a-f-]{1,36}$/i.test(second ?? '')) return { page: 'run', id: second! };
  if (parts.length === 1 && (first === 'history' || first === 'schedule' || first === 'audit' || first === 'more' || first === 'settings' || first === 'login')) return { page: first };
  const section = sectionAt(`/${parts.join('/')}`);
  if (section) return { page: 'resources', section };
  return { page: 'notFound' };
}

export const route = computed(() => match(path.value));
