// A cron line in words, for the shapes that people write. What is not one of them has none: it is shown as it is.

import { cronTexts, dateName, weekdayName } from '../../i18n/cron.ts';
import { listed } from '../../lib/format.ts';
import { parseCron, type Cron } from './cron.ts';

/** As many times of day as are named one by one. */
const NAMED = 4;

const two = (n: number): string => String(n).padStart(2, '0');
const time = (hour: number, minute: number): string => `${two(hour)}:${two(minute)}`;
const inOrder = (set: ReadonlySet<number>): number[] => [...set].sort((a, b) => a - b);

/** Between one and the next, when that is the same all along; 0: it is not. */
function spacing(list: readonly number[]): number {
  const step = list.length > 1 ? list[1]! - list[0]! : 0;
  return list.every((n, i) => i === 0 || n - list[i - 1]! === step) ? step : 0;
}

/** '' for all days; null: there are no sure words. Of cron's days of the month or of the week one is enough, unless one of
 * them is a star. */
function daysOf(c: Cron): string | null {
  const m = cronTexts();
  const allDays = c.days.size === 31 && c.anyDay;
  const weekdays = inOrder(c.weekdays).filter((n) => n < 7);
  const allWeekdays = weekdays.length === 7 && c.anyWeekday;
  if (allDays && c.months.size === 12) {
    if (allWeekdays) return '';
    if (weekdays.join('') === '12345') return m.weekdays;
    return weekdays.length < 7 ? listed([...weekdays].sort((a, b) => ((a + 6) % 7) - ((b + 6) % 7)).map(weekdayName)) : null;
  }
  if (!allWeekdays || allDays || c.days.size > NAMED) return null;
  const days = inOrder(c.days);
  if (c.months.size === 12) return m.monthly(listed(days.map(m.dayOfMonth)));
  return c.months.size === 1 && days.length === 1 ? m.yearly(dateName([...c.months][0]!, days[0]!)) : null;
}

/** What comes again within a day; null: there are no sure words. */
function oftenOf(hours: readonly number[], minutes: readonly number[]): string | null {
  const m = cronTexts();
  const step = spacing(minutes);
  const first = time(hours[0]!, minutes[0]!);
  const evenHours = spacing(hours);
  let often: string;
  if (minutes.length === 60) often = m.minutely;
  else if (minutes.length > 1) {
    // Evenly over the hour's end as well.
    if (step === 0 || step * minutes.length !== 60) return null;
    often = m.everyMinutes(step);
  } else if (evenHours > 1 && evenHours * hours.length === 24) return m.everyHours(evenHours, first);
  else often = m.hourly(two(minutes[0]!));
  if (hours.length === 24) return often;
  const whole = hours.length === 1 || evenHours === 1;
  return whole ? m.between(often, first, time(hours[hours.length - 1]!, minutes[minutes.length - 1]!)) : null;
}

/** null: none that are sure. */
export function cronWords(line: string): string | null {
  const m = cronTexts();
  const c = parseCron(line);
  const days = c && daysOf(c);
  if (!c || days === null) return null;
  const [hours, minutes] = [inOrder(c.hours), inOrder(c.minutes)];
  const named = hours.length * minutes.length <= NAMED && hours.length < 24;
  const often = named ? '' : oftenOf(hours, minutes);
  if (often === null) return null;
  const words = named ? m.at(days || m.daily, listed(hours.flatMap((h) => minutes.map((n) => time(h, n))))) : days === '' ? often : `${days}: ${often}`;
  return words.charAt(0).toUpperCase() + words.slice(1);
}
