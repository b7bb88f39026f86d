// A cron line in words. Apart from the other words: only the schedule needs them.

import { lang } from './index.ts';

const en = {
  minutely: 'every minute',
  everyMinutes: (n: number) => `every ${n} minutes`,
  hourly: (minute: string) => `every hour at :${minute}`,
  everyHours: (n: number, from: string) => `every ${n} hours from ${from}`,
  between: (what: string, from: string, to: string) => `${what}, ${from} to ${to}`,
  daily: 'daily',
  weekdays: 'Monday to Friday',
  monthly: (days: string) => `monthly on the ${days}`,
  yearly: (date: string) => `yearly on ${date}`,
  dayOfMonth: (n: number) => `${n}${['th', 'st', 'nd', 'rd'][n > 10 && n < 14 ? 0 : n % 10] ?? 'th'}`,
  at: (days: string, times: string) => `${days} at ${times}`,
};

const nl: typeof en = {
  minutely: 'elke minuut',
  everyMinutes: (n) => `elke ${n} minuten`,
  hourly: (minute) => `elk uur om :${minute}`,
  everyHours: (n, from) => `elke ${n} uur vanaf ${from}`,
  between: (what, from, to) => `${what}, ${from} tot en met ${to}`,
  daily: 'dagelijks',
  weekdays: 'maandag tot en met vrijdag',
  monthly: (days) => `maandelijks op de ${days}`,
  yearly: (date) => `jaarlijks op ${date}`,
  dayOfMonth: (n) => `${n}e`,
  at: (days, times) => `${days} om ${times}`,
};

export const cronTexts = () => (lang.value === 'nl' ? nl : en);

const named = (options: Intl.DateTimeFormatOptions, month: number, date: number): string =>
  new Intl.DateTimeFormat(lang.value === 'nl' ? 'nl-NL' : 'en-GB', { ...options, timeZone: 'UTC' }).format(Date.UTC(2023, month, date));

/** 0 is Sunday, as cron has it. */
export const weekdayName = (n: number): string => named({ weekday: 'long' }, 0, 1 + n);
export const dateName = (month: number, day: number): string => named({ day: 'numeric', month: 'long' }, month - 1, day);
