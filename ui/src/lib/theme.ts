// Light, dark, or as the system says.

import { effect, signal } from '@preact/signals';
import { load, save } from './storage.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const stored = load('theme');
export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system');
/** Changes whenever colours do. */
export const darkNow = signal(false);

const media = typeof matchMedia === 'undefined' ? null : matchMedia('(prefers-color-scheme: dark)');

/** What surrounds the page on a phone: the page's background, as in tokens.css; the page names both, light first. */
const AROUND = { light: '#f8f9fb', dark: '#0c0e13' };

function apply(): void {
  const value = theme.value;
  if (value === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = value;
  document.querySelectorAll<HTMLMetaElement>('meta[name=theme-color]').forEach((meta, i) => {
    meta.content = AROUND[value === 'system' ? (i === 0 ? 'light' : 'dark') : value];
  });
  darkNow.value = value === 'dark' || (value === 'system' && (media?.matches ?? false));
}

export function setTheme(value: Theme): void {
  theme.value = value;
  save('theme', value);
}

export function startTheme(): void {
  effect(apply);
  media?.addEventListener('change', apply);
}
