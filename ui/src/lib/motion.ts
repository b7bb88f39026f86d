// Whether anything moves: as the system has it, or nothing.

import { effect, signal } from '@preact/signals';
import { load, save } from './storage.ts';

export const still = signal(load('motion') === 'off');

export function setStill(on: boolean): void {
  still.value = on;
  save('motion', on ? 'off' : 'system');
}

export function startMotion(): void {
  effect(() => {
    document.documentElement.toggleAttribute('data-still', still.value);
  });
}
