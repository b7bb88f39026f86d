// When cron lines fire, as the agent's own tests have it, and what a week holds.
import test from 'node:test';
import assert from 'node:assert/strict';
import type { Run, ScheduledFlow } from '../../../ui/src/api/types.ts';
import { fires, parseCron, zoneOffset } from '../../../ui/src/pages/schedule/cron.ts';
import { lang } from '../../../ui/src/i18n/index.ts';
import { day, full, hourMinute } from '../../../ui/src/lib/format.ts';
import { midnight, setZone } from '../../../ui/src/lib/zone.ts';
import { weekOf, weekStart } from '../../../ui/src/pages/schedule/week.ts';
import { cronWords } from '../../../ui/src/pages/schedule/words.ts';

const at = (line: string, zone: string, from: string, to: string): string[] =>
  fires(parseCron(line)!, zoneOffset(zone), Date.parse(from), Date.parse(to)).map((ms) => new Date(ms).toISOString().slice(0, 16));

test('a line fires when the clocks of its zone say so', () => {
  assert.deepEqual(at('30 2 * * *', 'Europe/Amsterdam', '2026-11-23T00:00Z', '2026-11-25T00:00Z'), ['2026-11-23T01:30', '2026-11-24T01:30']);
  assert.deepEqual(at('30 2 * * *', 'Europe/Amsterdam', '2026-07-01T00:00Z', '2026-07-02T00:00Z'), ['2026-07-01T00:30']);
  assert.deepEqual(at('*/20 9-10 * * mon', 'UTC', '2026-11-23T00:00Z', '2026-11-30T00:00Z'), ['2026-11-23T09:00', '2026-11-23T09:20', '2026-11-23T09:40', '2026-11-23T10:00', '2026-11-23T10:20', '2026-11-23T10:40']);
  assert.deepEqual(at('@weekly', 'UTC', '2026-11-23T00:00Z', '2026-12-07T00:00Z'), ['2026-11-29T00:00', '2026-12-06T00:00']);
  assert.deepEqual(at('0 12 13 * 5', 'UTC', '2026-11-09T00:00Z', '2026-11-21T00:00Z'), ['2026-11-13T12:00', '2026-11-20T12:00'], 'a day or a weekday');
  assert.deepEqual(at('0 0 29 feb *', 'UTC', '2027-01-01T00:00Z', '2028-03-01T00:00Z').length, 1);
});

test('clocks that are put forward and back', () => {
  // 2026-03-29 02:00 → 03:00 and 2026-10-25 03:00 → 02:00 in Amsterdam
  assert.deepEqual(at('30 2 * * *', 'Europe/Amsterdam', '2026-03-29T00:00Z', '2026-03-30T00:00Z'), ['2026-03-29T01:00'], 'in the gap: once, behind it');
  assert.deepEqual(at('*/20 2 * * *', 'Europe/Amsterdam', '2026-03-29T00:00Z', '2026-03-30T00:00Z'), ['2026-03-29T01:00']);
  assert.deepEqual(at('30 2 * * *', 'Europe/Amsterdam', '2026-10-25T00:00Z', '2026-10-26T00:00Z'), ['2026-10-25T00:30'], 'twice there: the first time');
  assert.equal(at('30 * * * *', 'Europe/Amsterdam', '2026-10-25T00:00Z', '2026-10-25T04:00Z').length, 4, 'each hour goes on');
});

test('what is no cron line fires never', () => {
  for (const line of ['', '* * * *', '60 * * * *', '* 24 * * *', '5-1 * * * *', '* * 0 * *', '*/0 * * * *', '@reboot', 'a * * * *', '1- * * * *']) assert.equal(parseCron(line), null, line);
});

test('days begin at midnight here, or by UTC', () => {
  const at = Date.parse('2026-11-26T23:30Z');
  const here = new Date(at);
  assert.equal(midnight(at), new Date(here.getFullYear(), here.getMonth(), here.getDate()).getTime());
  setZone('utc');
  try {
    assert.equal(midnight(at), Date.parse('2026-11-26T00:00Z'));
    assert.equal(midnight(at, 5), Date.parse('2026-12-01T00:00Z'));
    assert.equal(weekStart(at, 0), Date.parse('2026-11-23T00:00Z'));
    assert.match(full(at * 1000), /^26 Nov 2026, 23:30:00 UTC$/);
    assert.equal(hourMinute(at), '23:30');
    assert.equal(day((at - 86_400_000) * 1000, at), 'Yesterday');
  } finally {
    setZone('local');
  }
});

test('a week: days from Monday, past runs, and what comes, however often', () => {
  const now = new Date(2026, 10, 26, 12, 0).getTime(); // a Thursday
  const start = weekStart(now, 0);
  assert.equal(new Date(start).getDay(), 1);
  assert.equal(weekStart(now, 1), midnight(start, 7));
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const flow = (name: string, cron: string, paused = false) => ({ flow: name, title: name, paused, rules: [{ cron, timezone: zone, next_us: 1 }] }) as unknown as ScheduledFlow;
  const run = (ms: number) => ({ id: String(ms), created_us: ms * 1000 }) as unknown as Run;
  const days = weekOf(start, now, [run(start + 1), run(start - 1), run(midnight(start, 7)), run(start + 9)], [flow('nightly', '30 2 * * *'), flow('often', '*/5 * * * *'), flow('off', '* * * * *', true)]);
  assert.deepEqual(days.map((d) => d.past.length), [2, 0, 0, 0, 0, 0, 0]);
  assert.ok(days[0]!.past[0]!.created_us < days[0]!.past[1]!.created_us);
  assert.deepEqual(days.map((d) => d.coming.filter((c) => c.flow.flow === 'nightly').length), [0, 0, 0, 0, 1, 1, 1], 'nothing comes in the past');
  const often = days[4]!.coming.filter((c) => c.flow.flow === 'often');
  assert.deepEqual(often.map((c) => c.more), [287]);
  assert.ok(!days.some((d) => d.coming.some((c) => c.flow.flow === 'off')));
});

test('a line is said in words', () => {
  for (const [line, en, nl] of [
    ['30 2 * * *', 'Daily at 02:30', 'Dagelijks om 02:30'],
    ['0 6,18 * * *', 'Daily at 06:00 and 18:00', 'Dagelijks om 06:00 en 18:00'],
    ['@daily', 'Daily at 00:00', 'Dagelijks om 00:00'],
    ['@weekly', 'Sunday at 00:00', 'Zondag om 00:00'],
    ['0 4 * * 7', 'Sunday at 04:00', 'Zondag om 04:00'],
    ['15 9 * * mon-fri', 'Monday to Friday at 09:15', 'Maandag tot en met vrijdag om 09:15'],
    ['15 9 * * sun,tue', 'Tuesday and Sunday at 09:15', 'Dinsdag en zondag om 09:15'],
    ['0 3 1,15 * *', 'Monthly on the 1st and 15th at 03:00', 'Maandelijks op de 1e en 15e om 03:00'],
    ['0 3 12 * *', 'Monthly on the 12th at 03:00', 'Maandelijks op de 12e om 03:00'],
    ['0 3 22 * *', 'Monthly on the 22nd at 03:00', 'Maandelijks op de 22e om 03:00'],
    ['@yearly', 'Yearly on 1 January at 00:00', 'Jaarlijks op 1 januari om 00:00'],
    ['@hourly', 'Every hour at :00', 'Elk uur om :00'],
    ['* * * * *', 'Every minute', 'Elke minuut'],
    ['*/15 * * * *', 'Every 15 minutes', 'Elke 15 minuten'],
    ['5 */2 * * *', 'Every 2 hours from 00:05', 'Elke 2 uur vanaf 00:05'],
    ['*/10 8-17 * * 1-5', 'Monday to Friday: every 10 minutes, 08:00 to 17:50', 'Maandag tot en met vrijdag: elke 10 minuten, 08:00 tot en met 17:50'],
  ] as const) {
    lang.value = 'en';
    assert.equal(cronWords(line), en, line);
    lang.value = 'nl';
    assert.equal(cronWords(line), nl, line);
  }
  lang.value = 'en';
});

test('a line that has no sure words has none', () => {
  for (const line of [
    '0 12 13 * 5', // a day or a weekday
    '0 3 */2 * *',
    '0 3 1 */3 *',
    '0 3 1-31 * 5', // always: the days of the month are enough
    '0,7,13 * * * *',
    '*/7 * * * *', // not over the hour's end
    '0 0,7,8,12,20 * * *',
    'no cron line',
  ])
    assert.equal(cronWords(line), null, line);
});
