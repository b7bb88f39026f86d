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

function apply(): void {
  const value = theme.value;
  if (value === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = value;
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
