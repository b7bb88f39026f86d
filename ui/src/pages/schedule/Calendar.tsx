import { useComputed, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run, ScheduledFlow } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { dayAndDate, hourMinute, now, weekName } from '../../lib/format.ts';
import { useKeys } from '../../lib/keys.ts';
import { midnight } from '../../lib/zone.ts';
import { hostTitle, runPath, several } from '../../live/hosts.ts';
import { loadRuns, runs } from '../../live/store.ts';
import { Button, IconButton } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Link } from '../../ui/Link.tsx';
import { Problem } from '../../ui/Notice.tsx';
import { Status } from '../../ui/Status.tsx';
import { weekOf, weekStart, type Day } from './week.ts';

const PAGE = 200;
/** Of a week with more runs than this the newest are shown. */
const MAX_PAGES = 5;

/** Runs that a schedule began, back to a time. */
function useScheduledRuns(fromMs: number, host: string) {
  const loaded = useSignal<readonly Run[]>([]);
  const next = useSignal<string | null>(null);
  const error = useSignal<unknown>(null);
  const load = async (signal: AbortSignal) => {
    error.value = null;
    try {
      let list = loaded.value;
      for (let i = 0; i < MAX_PAGES && next.value !== ''; i++) {
        const oldest = list[list.length - 1];
        if (oldest && oldest.created_us < fromMs * 1000) break;
        const page = await loadRuns({ q: 'schedule:', limit: String(PAGE), ...(host === '' ? {} : { host }), ...(next.value ? { before: next.value } : {}) }, signal);
        if (signal.aborted) return;
        list = [...list, ...page.runs];
        loaded.value = list;
        next.value = page.next;
      }
    } catch (e) {
      if (!signal.aborted) error.value = e;
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    void load(abort.signal);
    return () => abort.abort();
  }, [fromMs]);
  // What the live topic knows is newer.
  const all = useComputed(() => {
    const byId = new Map(loaded.value.map((r) => [r.id, r]));
    for (const r of runs.value ?? []) byId.set(r.id, r);
    return [...byId.values()].filter((r) => r.actor.startsWith('schedule:') && (host === '' || r.host === host));
  });
  return { runs: all, error, retry: () => void load(new AbortController().signal) };
}

function DayColumn({ day, today }: { day: Day; today: boolean }) {
  const m = t.value;
  const [weekday, date] = dayAndDate(day.startMs);
  return (
    <li class={`cal-day ${today ? 'today' : ''} ${day.past.length + day.coming.length === 0 ? 'free' : ''}`} aria-current={today ? 'date' : undefined}>
      <h3>
        <span>{weekday}</span> <b>{date}</b>
      </h3>
      <ul>
        {day.past.map((r) => (
          <li key={r.id} data-item>
            <Link href={runPath(r)} class="cal-item">
              <Status status={r.status} quiet />
              <time class="mono">{hourMinute(r.created_us / 1000)}</time>
              <span class="cal-name">
                {r.title || r.name}
                {several.value && <span class="muted"> {hostTitle(r.host)}</span>}
              </span>
            </Link>
          </li>
        ))}
        {day.coming.map((c) => (
          <li key={`${c.flow.host} ${c.flow.flow} ${c.atMs}`} class="cal-item coming">
            <Icon name="clock" />
            <time class="mono">{hourMinute(c.atMs)}</time>
            <span class="cal-name">
              {c.flow.title || c.flow.flow}
              {several.value && <span class="muted"> {hostTitle(c.flow.host)}</span>}
              {c.more > 0 && <span class="muted"> {m.andMore(c.more)}</span>}
            </span>
            <span class="visually-hidden">{m.planned}</span>
          </li>
        ))}
      </ul>
    </li>
  );
}

/** A week of what schedules began and will begin. */
export function Calendar({ flows, host }: { flows: readonly ScheduledFlow[]; /** Of one machine; '' for all. */ host: string }) {
  const m = t.value;
  const weeks = useSignal(0);
  // Once a minute is enough for what is past and what is not.
  const minute = useComputed(() => Math.floor(now.value / 60_000) * 60_000);
  const start = weekStart(minute.value, weeks.value);
  const past = useScheduledRuns(start, host);
  const days = weekOf(start, minute.value, past.runs.value, flows);
  useEffect(() => useKeys({ '[': () => void weeks.value--, ']': () => void weeks.value++ }), []);
  return (
    <section class="card calendar" aria-labelledby="calendar">
      <header class="cal-head">
        <h2 id="calendar" aria-live="polite">
          {weekName(start, midnight(start, 6))}
        </h2>
        {weeks.value !== 0 && (
          <Button small onClick={() => (weeks.value = 0)}>
            {m.thisWeek}
          </Button>
        )}
        <IconButton icon="chevron-left" label={m.previousWeek} keys="[" onClick={() => void weeks.value--} />
        <IconButton icon="chevron-right" label={m.nextWeek} keys="]" onClick={() => void weeks.value++} />
      </header>
      {past.error.value !== null && <Problem error={past.error.value} retry={past.retry} />}
      <ul class="cal-week">
        {days.map((d) => (
          <DayColumn key={d.startMs} day={d} today={minute.value >= d.startMs && minute.value < midnight(d.startMs, 1)} />
        ))}
      </ul>
    </section>
  );
}
