// How somebody likes logs to look, remembered.

import { signal } from '@preact/signals';
import { load, save } from '../../lib/storage.ts';
import type { Times } from './rowview.ts';

const times = load('log.times');
export const wrapLines = signal(load('log.wrap') === 'on');
export const timestamps = signal<Times>(times === 'relative' || times === 'absolute' ? times : 'off');

export function toggleWrap(): void {
  wrapLines.value = !wrapLines.value;
  save('log.wrap', wrapLines.value ? 'on' : 'off');
}

const ORDER: Times[] = ['off', 'relative', 'absolute'];

export function nextTimes(): void {
  timestamps.value = ORDER[(ORDER.indexOf(timestamps.value) + 1) % ORDER.length]!;
  save('log.times', timestamps.value);
}
