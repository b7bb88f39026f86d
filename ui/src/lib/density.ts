// How close together rows are.

import { effect, signal } from '@preact/signals';
import { load, save } from './storage.ts';

export const DENSITIES = ['comfortable', 'compact'] as const;
export type Density = (typeof DENSITIES)[number];

export const density = signal<Density>(load('density') === 'compact' ? 'compact' : 'comfortable');

export function setDensity(value: Density): void {
  density.value = value;
  save('density', value);
}

export function startDensity(): void {
  effect(() => {
    if (density.value === 'compact') document.documentElement.dataset['density'] = 'compact';
    else delete document.documentElement.dataset['density'];
  });
}
