// Numbers, sizes, times, in the language of the page.

import { computed, signal } from '@preact/signals';
import { lang } from '../i18n/index.ts';
import { dashboardNow } from './clock.ts';
import { midnight, zone, zoned } from './zone.ts';

const locale = computed(() => (lang.value === 'nl' ? 'nl-NL' : 'en-GB'));
/** By the page's language and clock. */
export const dateTime = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => new Intl.DateTimeFormat(locale.value, { ...options, ...zoned.value });
const plain = computed(() => new Intl.NumberFormat(locale.value));
const one = computed(() => new Intl.NumberFormat(locale.value, { maximumFractionDigits: 1, minimumFractionDigits: 1 }));
const clockFormat = computed(() => dateTime({ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }));
const dayFormat = computed(() => dateTime({ weekday: 'long', day: 'numeric', month: 'long' }));
const fullFormat = computed(() => dateTime({ dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' }));
const hourMinuteFormat = computed(() => dateTime({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }));
const weekdayFormat = computed(() => dateTime({ weekday: 'short' }));
const dateFormat = computed(() => dateTime({ day: 'numeric', month: 'short' }));
const longDateFormat = computed(() => dateTime({ dateStyle: 'medium' }));
const relative = computed(() => new Intl.RelativeTimeFormat(locale.value, { numeric: 'auto', style: 'narrow' }));
const listFormat = computed(() => new Intl.ListFormat(locale.value, { type: 'conjunction' }));

/** Milliseconds by the dashboard's clock, once a second while something on the page shows it and the page can be seen. */
export const now = signal(dashboardNow(), {
  watched: () => startTicking(),
  unwatched: () => clearInterval(ticking),
});
let ticking: ReturnType<typeof setInterval> | undefined;

function startTicking(): void {
  clearInterval(ticking);
  now.value = dashboardNow();
  ticking = setInterval(() => {
    if (typeof document === 'undefined' || !document.hidden) now.value = dashboardNow();
  }, 1000);
}

export const number = (n: number): string => plain.value.format(n);
export const listed = (items: string[]): string => listFormat.value.format(items);

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function bytes(n: number): string {
  let unit = 0;
  while (n >= 1000 && unit < UNITS.length - 1) {
    n /= 1000;
    unit++;
  }
  const digits = unit > 0 && n < 10 ? one.value : plain.value;
  return `${digits.format(unit > 0 && n < 10 ? n : Math.round(n))}\u00a0${UNITS[unit]!}`;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** 0.4 s · 12.3 s · 1m 12s · 2h 03m · 3d 04h */
export function duration(us: number): string {
  const s = Math.max(0, us) / 1e6;
  if (s < 59.95) return `${one.value.format(s)}\u00a0s`;
  const whole = Math.round(s);
  if (whole < 3600) return `${Math.floor(whole / 60)}m\u00a0${two(whole % 60)}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}h\u00a0${two(minutes % 60)}m`;
  return `${Math.floor(minutes / 1440)}d\u00a0${two(Math.floor(minutes / 60) % 24)}h`;
}

/** A running time without tenths, so that it ticks calmly: 7 s · 1m 12s. */
export function running(us: number): string {
  const s = Math.floor(Math.max(0, us) / 1e6);
  return s < 60 ? `${number(s)}\u00a0s` : duration(s * 1e6);
}

export const clock = (us: number): string => clockFormat.value.format(us / 1000);
export const full = (us: number): string => `${fullFormat.value.format(us / 1000)}${zone.value === 'utc' ? ' UTC' : ''}`;
/** 26 Nov 2026 */
export const date = (us: number): string => longDateFormat.value.format(us / 1000);

export function clockMillis(us: number): string {
  return `${clock(us)}.${String(Math.floor(us / 1000) % 1000).padStart(3, '0')}`;
}

/** +0.000 · +12.345 · +1:02:03.4 since the start. */
export function offsetTime(us: number): string {
  const ms = Math.max(0, Math.floor(us / 1000));
  const s = Math.floor(ms / 1000);
  const tail = `${two(s % 60)}.${String(ms % 1000).padStart(3, '0')}`;
  if (s < 3600) return `+${two(Math.floor(s / 60))}:${tail}`;
  return `+${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${tail.slice(0, 4)}`;
}

export function ago(us: number, nowMs: number): string {
  const s = Math.max(0, Math.floor((nowMs - us / 1000) / 1000));
  const r = relative.value;
  if (s < 10) return r.format(0, 'second');
  if (s < 60) return r.format(-s, 'second');
  if (s < 3600) return r.format(-Math.floor(s / 60), 'minute');
  if (s < 86400) return r.format(-Math.floor(s / 3600), 'hour');
  return r.format(-Math.floor(s / 86400), 'day');
}

/** "in 3 hours". */
export function until(us: number, nowMs: number): string {
  const s = Math.max(0, Math.round((us / 1000 - nowMs) / 1000));
  const r = relative.value;
  if (s < 60) return r.format(s, 'second');
  if (s < 3600) return r.format(Math.round(s / 60), 'minute');
  if (s < 172800) return r.format(Math.round(s / 3600), 'hour');
  return r.format(Math.floor(s / 86400), 'day'); // whole ones, as a certificate's days are counted
}

/** A browser reads its tables at the first use, which takes long on a phone: better while nothing has come to be shown. */
export function warmFormats(): void {
  number(0);
  ago(0, 0);
  full(0);
}

export const hourMinute = (ms: number): string => hourMinuteFormat.value.format(ms);
/** Thu, 26 Nov */
export const dayAndDate = (ms: number): [string, string] => [weekdayFormat.value.format(ms), dateFormat.value.format(ms)];
/** 23–29 Nov */
export const weekName = (from: number, to: number): string => dateFormat.value.formatRange(from, to);

/** Today, yesterday, or the day by name. */
export function day(us: number, nowMs: number): string {
  const days = Math.round((midnight(nowMs) - midnight(us / 1000)) / 86400000);
  const r = new Intl.RelativeTimeFormat(locale.value, { numeric: 'auto' });
  const s = days > -2 && days < 2 ? r.format(-days, 'day') : dayFormat.value.format(us / 1000);
  return s.charAt(0).toUpperCase() + s.slice(1);
}
