// One chart over time: uPlot on a canvas. What it shows stands beside it as text too.

import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { lang, t } from '../../i18n/index.ts';
import { dateTime } from '../../lib/format.ts';
import { darkNow } from '../../lib/theme.ts';
import { zone } from '../../lib/zone.ts';

export interface ChartLine {
  label: string;
  values: readonly (number | null)[];
}

interface Props {
  /** Milliseconds, rising; one for each value of every line. */
  times: readonly number[];
  lines: readonly ChartLine[];
  /** The axis ends here at least; null: at the largest value. */
  top: number | null;
  format: (v: number) => string;
  onZoom: (fromMs: number, toMs: number) => void;
}

const HEIGHT = 150;
const COLOURS = ['--accent', '--run', '--ok', '--warn'];
const HOUR = 3600;
const DAY = 24 * HOUR;

/** How moments of a time that long are told. */
function timeFormat(seconds: number): Intl.DateTimeFormat {
  if (seconds <= 26 * HOUR) return dateTime({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  if (seconds <= 60 * DAY) return dateTime({ day: 'numeric', month: 'short' });
  return dateTime({ month: 'short', year: '2-digit' });
}

const moment = (ms: number): string => dateTime({ dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' }).format(ms);

/** A canvas knows no custom properties: they are looked up on an element. */
function colour(element: HTMLElement, name: string): string {
  element.style.color = `var(${name})`;
  const value = getComputedStyle(element).color;
  element.style.color = '';
  return value;
}

export function TimeChart({ times, lines, top, format, onZoom }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLParagraphElement>(null);
  const dark = darkNow.value;
  const language = lang.value;

  useEffect(() => {
    const root = box.current!;
    const quiet = colour(root, '--text-3');
    const grid = { stroke: colour(root, '--line'), width: 1 };
    const say = (u: uPlot) => {
      const at = u.cursor.idx;
      const values = typeof at === 'number' ? lines.map((l) => (l.label === '' ? '' : `${l.label} `) + (l.values[at] == null ? '–' : format(l.values[at]))) : [];
      readout.current!.textContent = typeof at === 'number' ? `${moment(times[at]!)} · ${values.join(' · ')}` : '';
    };
    const plot = new uPlot(
      {
        width: root.clientWidth,
        height: HEIGHT,
        // Where the axis begins its hours and days.
        tzDate: (s) => (zone.value === 'utc' ? uPlot.tzDate(new Date(s * 1000), 'UTC') : new Date(s * 1000)),
        legend: { show: false },
        cursor: { sync: { key: 'machine' }, points: { size: 6 }, drag: { x: true, y: false, setScale: false } },
        scales: { x: { time: true }, y: { range: (_u, _min, max) => [0, Math.max(top ?? 0, max > 0 ? max * 1.05 : 1)] } },
        axes: [
          { stroke: quiet, grid, ticks: grid, font: '12px Geist, sans-serif', size: 30, values: (_u, splits) => splits.map((s) => timeFormat(times.length > 1 ? (times.at(-1)! - times[0]!) / 1000 : HOUR).format(s * 1000)) },
          { stroke: quiet, grid, ticks: grid, font: '12px Geist, sans-serif', size: 76, values: (_u, splits) => splits.map(format) },
        ],
        series: [{}, ...lines.map((_l, i) => ({ stroke: colour(root, COLOURS[i % COLOURS.length]!), width: 1.5, spanGaps: false, points: { show: false } }))],
        hooks: {
          setCursor: [say],
          setSelect: [
            (u) => {
              if (u.select.width < 4) return;
              onZoom(u.posToVal(u.select.left, 'x') * 1000, u.posToVal(u.select.left + u.select.width, 'x') * 1000);
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
        },
      },
      [times.map((ms) => ms / 1000), ...lines.map((l) => [...l.values])],
      root,
    );
    const resize = new ResizeObserver(() => {
      if (root.clientWidth > 0 && root.clientWidth !== plot.width) plot.setSize({ width: root.clientWidth, height: HEIGHT });
    });
    resize.observe(root);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [times, lines, dark, language]);

  return (
    <>
      <div ref={box} class="time-chart" title={t.value.dragToZoom} aria-hidden="true" />
      <p ref={readout} class="chart-readout mono" aria-hidden="true" />
    </>
  );
}
