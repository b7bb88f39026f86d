// By which clock times are told and days begin: that of the place where one is, or UTC, as servers' own logs often have it.

import { computed, signal } from '@preact/signals';
import { load, save } from './storage.ts';

export const ZONES = ['local', 'utc'] as const;
export type Zone = (typeof ZONES)[number];

export const zone = signal<Zone>(load('zone') === 'utc' ? 'utc' : 'local');

export function setZone(value: Zone): void {
  zone.value = value;
  save('zone', value);
}

/** The part of it in the options of an Intl.DateTimeFormat. */
export const zoned = computed<{ timeZone?: 'UTC' }>(() => (zone.value === 'utc' ? { timeZone: 'UTC' } : {}));

/** Midnight of the day that `ms` is in, or of one so many days after it: not all are 24 hours long. */
export function midnight(ms: number, days = 0): number {
  const d = new Date(ms);
  return zone.value === 'utc' ? Date.UTC(d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate() + days) : new Date(d.getFullYear(), d.getMonth(), d.getDate() + days).getTime();
}

/** 0 is Monday. */
export function weekday(ms: number): number {
  const d = new Date(ms);
  return ((zone.value === 'utc' ? d.getUTCDay() : d.getDay()) + 6) % 7;
}
