// How values went over an hour, a day, a month or a year: panels that share one range and one cursor.

import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { dashboardNow } from '../../lib/clock.ts';
import { full } from '../../lib/format.ts';
import { Button } from '../../ui/Button.tsx';
import { Segmented } from '../../ui/Field.tsx';
import { Problem, Skeleton } from '../../ui/Notice.tsx';
import { shownKey } from '../../live/hosts.ts';
import { loadHistories, type Series } from '../overview/samples.ts';
import type { Panel } from './panels.ts';
import { tableRows } from './table.ts';
import { TimeChart } from './TimeChart.tsx';
import { numberText, valueName } from './values.ts';

const HOUR = 3_600_000;
export const RANGES = { hour: HOUR, day: 24 * HOUR, month: 30 * 24 * HOUR, year: 365 * 24 * HOUR } as const;
type Range = keyof typeof RANGES;
const NAMES = Object.keys(RANGES) as Range[];
const SHORTEST_MS = 60_000;

/** What a panel is called: the host's by its own words, an item's by its value. */
function panelTitle(panel: Panel): string {
  const m = t.value;
  const known: Record<string, string> = m.panel;
  return known[panel.id] ?? valueName(panel.id);
}

function lineLabel(label: string): string {
  return label === '' || label.startsWith('/') ? label : valueName(label);
}

interface ChartProps {
  panel: Panel;
  series: readonly Series[];
  table: boolean;
  onZoom: (fromMs: number, toMs: number) => void;
}

function Chart({ panel, series, table, onZoom }: ChartProps) {
  const m = t.value;
  const key = panel.lines[0]!.key[1];
  const format = (v: number) => numberText(key, v);
  const times = useMemo(() => (series[0]?.points ?? []).map((p) => p[0]), [series]);
  const lines = useMemo(() => panel.lines.map((l, i) => ({ label: lineLabel(l.label), values: (series[i]?.points ?? []).map((p) => p[1]) })), [series]);
  const all = lines.flatMap((l) => l.values.filter((v): v is number => v !== null));
  const last = lines.map((l) => l.values.findLast((v) => v !== null)).filter((v): v is number => v !== undefined && v !== null);
  return (
    <figure class="panel">
      <figcaption>
        <b>{panelTitle(panel)}</b>
        {lines.length > 1 && (
          <span class="panel-lines">
            {lines.map((l, i) => (
              <span key={l.label} class={`panel-line line-${i}`}>
                {l.label}
              </span>
            ))}
          </span>
        )}
        <span class="muted panel-text">
          {all.length > 0 && `${last.map(format).join(' · ')} (${m.lowestHighest(format(Math.min(...all)), format(Math.max(...all)))})`}
        </span>
      </figcaption>
      {all.length === 0 ? (
        <p class="muted panel-nothing">{m.nothingMeasured}</p>
      ) : table ? (
        <div class="panel-table" tabIndex={0} role="region" aria-label={panelTitle(panel)}>
          <table>
            <thead>
              <tr>
                <th scope="col">{m.time}</th>
                {lines.map((l) => (
                  <th scope="col" key={l.label}>
                    {l.label || panelTitle(panel)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {tableRows(times, lines.map((l) => l.values)).map((r) => (
                <tr key={r.ms}>
                  <td>{full(r.ms * 1000)}</td>
                  {r.values.map((v, i) => (
                    <td key={i}>{v === null ? '–' : format(v)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <TimeChart times={times} lines={lines} top={panel.top} format={format} onZoom={onZoom} />
      )}
    </figure>
  );
}

/** What the panels show of one range; asked for again as time goes on. */
function useHistories(panels: readonly Panel[], fromMs: number | null, toMs: number | null, range: Range) {
  const data = useSignal<Series[] | null>(null);
  const error = useSignal<unknown>(null);
  const keys = panels.flatMap((p) => p.lines.map((l) => l.key));
  const host = shownKey.value;
  const name = keys.map((k) => k.join(' ')).join('\n');
  const load = (signal?: AbortSignal) => {
    const now = dashboardNow();
    loadHistories(keys, fromMs ?? now - RANGES[range], toMs ?? now, { host, signal }).then(
      (series) => {
        error.value = null;
        data.value = series;
      },
      (e: unknown) => {
        if (!signal?.aborted) error.value = e;
      },
    );
  };
  useEffect(() => {
    const abort = new AbortController();
    load(abort.signal);
    // An hour's step is ten seconds, a day's a minute; more often there is nothing new.
    const timer = toMs === null ? setInterval(() => document.hidden || load(abort.signal), range === 'hour' ? 30_000 : 300_000) : undefined;
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [name, host, fromMs, toMs, range]);
  return { data, error, reload: () => load() };
}

export function History({ id, panels }: { id: string; panels: readonly Panel[] }) {
  const m = t.value;
  const range = useSignal<Range>('hour');
  const zoom = useSignal<{ from: number; to: number } | null>(null);
  const table = useSignal(false);
  const { data, error, reload } = useHistories(panels, zoom.value?.from ?? null, zoom.value?.to ?? null, range.value);
  let at = 0;
  const onZoom = (from: number, to: number) => (zoom.value = { from, to: Math.max(to, from + SHORTEST_MS) });
  return (
    <section class="over-time" aria-label={m.overTime} onDblClick={() => (zoom.value = null)}>
      <header class="over-time-head">
        <Segmented
          name={`range-${id}`}
          label={m.range}
          value={zoom.value ? '' : range.value}
          options={NAMES.map((r) => [r, m.ranges[r]] as const)}
          onChange={(r) => {
            zoom.value = null;
            range.value = r as Range;
          }}
        />
        {zoom.value && (
          <span class="muted">
            {full(zoom.value.from * 1000)} – {full(zoom.value.to * 1000)}
          </span>
        )}
        <span class="grow" />
        <Button small look="ghost" icon="list-tree" onClick={() => (table.value = !table.value)} pressed={table.value}>
          {m.asTable}
        </Button>
      </header>
      {error.value ? (
        <Problem error={error.value} retry={reload} />
      ) : data.value === null ? (
        <Skeleton rows={4} />
      ) : (
        <div class="panels">
          {panels.map((p) => {
            const series = data.value!.slice(at, at + p.lines.length);
            at += p.lines.length;
            return <Chart key={`${p.id} ${p.lines.map((l) => l.key.join(' ')).join()}`} panel={p} series={series} table={table.value} onZoom={onZoom} />;
          })}
        </div>
      )}
    </section>
  );
}
