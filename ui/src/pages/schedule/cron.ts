// When a cron line fires: the same rules as the agent's (agent/config/cron.h), for a week to look at. The agent
// decides; this only draws what it will do.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Between looks at the clock of a zone. */
const LONGEST_SHIFT = DAY;

const ALIASES: Record<string, string> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
};
const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const WEEKDAYS = 'sun mon tue wed thu fri sat'.split(' ');

export interface Cron {
  minutes: ReadonlySet<number>;
  hours: ReadonlySet<number>;
  days: ReadonlySet<number>;
  months: ReadonlySet<number>;
  weekdays: ReadonlySet<number>;
  anyHour: boolean;
  anyDay: boolean;
  anyWeekday: boolean;
}

function field(text: string, low: number, high: number, names: readonly string[] = [], first = 0): Set<number> | null {
  const out = new Set<number>();
  const value = (s: string): number => {
    const named = names.indexOf(s.toLowerCase());
    return named >= 0 ? named + first : /^\d{1,2}$/.test(s) ? Number(s) : NaN;
  };
  for (const part of text.split(',')) {
    const [range = '', stepText] = part.split('/');
    const step = stepText === undefined ? 1 : Number(stepText);
    const [a = '', b] = range.split('-');
    const from = range === '*' ? low : value(a);
    const to = range === '*' ? high : b !== undefined ? value(b) : from;
    if (!(from >= low && to <= high && from <= to && step >= 1)) return null;
    for (let n = from; n <= to; n += step) out.add(n);
  }
  return out;
}

/** null: it is none (the agent has refused it long before). */
export function parseCron(text: string): Cron | null {
  const parts = (ALIASES[text.trim()] ?? text).trim().split(/\s+/);
  if (parts.length !== 5) return null;
  const [minute, hour, day, month, weekday] = parts as [string, string, string, string, string];
  const minutes = field(minute, 0, 59);
  const hours = field(hour, 0, 23);
  const days = field(day, 1, 31);
  const months = field(month, 1, 12, MONTHS, 1);
  const weekdays = field(weekday, 0, 7, WEEKDAYS);
  if (!minutes || !hours || !days || !months || !weekdays) return null;
  if (weekdays.has(7)) weekdays.add(0);
  return { minutes, hours, days, months, weekdays, anyHour: hour.startsWith('*'), anyDay: day.startsWith('*'), anyWeekday: weekday.startsWith('*') };
}

/** Milliseconds that clocks of a zone are ahead of UTC, remembered by the hour. */
export function zoneOffset(zone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
  const at = (ms: number): number => {
    const p = Object.fromEntries(format.formatToParts(ms).map((x) => [x.type, Number(x.value)]));
    return Date.UTC(p['year']!, p['month']! - 1, p['day'], p['hour'], p['minute'], p['second']) - Math.floor(ms / 1000) * 1000;
  };
  const known = new Map<number, number>();
  const hourly = (ms: number): number => {
    let v = known.get(ms);
    if (v === undefined) known.set(ms, (v = at(ms)));
    return v;
  };
  return (ms) => {
    const hour = Math.floor(ms / HOUR) * HOUR;
    const begin = hourly(hour);
    return begin === hourly(hour + HOUR) ? begin : at(ms);
  };
}

function matches(c: Cron, local: number): boolean {
  const d = new Date(local);
  if (!c.minutes.has(d.getUTCMinutes()) || !c.hours.has(d.getUTCHours()) || !c.months.has(d.getUTCMonth() + 1)) return false;
  const day = c.days.has(d.getUTCDate());
  const weekday = c.weekdays.has(d.getUTCDay());
  return c.anyDay || c.anyWeekday ? day && weekday : day || weekday;
}

/** The times (unix milliseconds) in from..to (without to) at which it fires, as many as `most`. */
export function fires(c: Cron, offset: (ms: number) => number, from: number, to: number, most = 2000): number[] {
  const out: number[] = [];
  for (let ms = Math.ceil(from / MINUTE) * MINUTE; ms < to && out.length < most; ms += MINUTE) {
    const now = offset(ms);
    const shift = now - offset(ms - MINUTE);
    let fire = matches(c, ms + now);
    // Clocks were put forward: what lay in the gap fires once, behind it.
    for (let skipped = MINUTE; !fire && shift > 0 && skipped <= Math.min(shift, LONGEST_SHIFT); skipped += MINUTE) fire = matches(c, ms + now - skipped);
    // They were put back: a time of day that was there already does not come again.
    if (fire && !c.anyHour) {
      const back = offset(ms - 3 * HOUR) - now;
      if (back > 0 && offset(ms - back) === now + back) fire = false;
    }
    if (fire) out.push(ms);
  }
  return out;
}
