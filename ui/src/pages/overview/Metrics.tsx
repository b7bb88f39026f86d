import type { ComponentChildren } from 'preact';
import { t } from '../../i18n/index.ts';
import { bytes, clock, number } from '../../lib/format.ts';
import { Link } from '../../ui/Link.tsx';
import { pagePath } from '../../live/hosts.ts';
import { disksOf } from './disks.ts';
import { LevelMark } from './Level.tsx';
import { Sparkline } from './Sparkline.tsx';
import { machine, numberOf, series, stale, textOf, type Item, type Point } from './status.ts';

const percent = (v: number | null): string => (v === null ? '–' : `${number(Math.round(v))}\u00a0%`);
const rate = (v: number | null): string => (v === null ? '–' : `${bytes(v)}/s`);

interface CardProps {
  item: Item;
  title: string;
  value: string;
  note: ComponentChildren;
  lines?: readonly (readonly Point[])[];
  top?: number | null;
  share?: number | null;
}

function MetricCard({ item, title, value, note, lines, top = null, share = null }: CardProps) {
  const m = t.value;
  const old = stale.value;
  return (
    <li>
      <Link href={pagePath('/host')} class={`card metric-card ${item.level} ${old ? 'stale' : ''}`}>
        <span class="metric-title">
          {title}
          {item.level !== 'ok' && <LevelMark level={item.level} quiet />}
        </span>
        <span class="metric-value">{value}</span>
        {lines && <Sparkline lines={lines} top={top} />}
        {share !== null && (
          <svg class="share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
            <rect width="100" height="6" class="whole" />
            <rect width={Math.min(100, share)} height="6" />
          </svg>
        )}
        <span class="metric-note">{old ? m.noDataSince(clock(item.checked_us)) : note}</span>
      </Link>
    </li>
  );
}

export function Metrics() {
  const m = t.value;
  const host = machine.value?.sections['host'] ?? [];
  const find = (id: string) => host.find((i) => i.id === id);
  const cpu = find('cpu'), memory = find('memory'), network = find('network');
  const disks = disksOf(host);
  const [full, next] = disks;
  if (!cpu && !memory && !full) return null;
  return (
    <ul class="metrics" aria-label={m.section.host}>
      {cpu && (
        <MetricCard item={cpu} title={m.cpu} value={percent(numberOf(cpu, 'used_pct'))} lines={[series('cpu', 'used_pct')]} top={100}
          note={m.loadOf(number(numberOf(cpu, 'load1') ?? 0), numberOf(cpu, 'cores') ?? 0)} />
      )}
      {memory && (
        <MetricCard item={memory} title={m.memory} value={percent(numberOf(memory, 'used_pct'))} lines={[series('memory', 'used_pct')]} top={100}
          note={m.usedOf(bytes(numberOf(memory, 'used') ?? 0), bytes(numberOf(memory, 'total') ?? 0))} />
      )}
      {full && (
        <MetricCard item={full} title={disks.length > 1 ? m.fullestDisk : m.disk} value={percent(numberOf(full, 'used_pct'))}
          share={numberOf(full, 'used_pct') ?? 0}
          note={
            <>
              <b class="mono">{textOf(full, 'mount')}</b> {m.freeOf(bytes(numberOf(full, 'available') ?? 0))}
              {next && ` · ${textOf(next, 'mount')} ${percent(numberOf(next, 'used_pct'))}`}
            </>
          } />
      )}
      {network && (
        <MetricCard item={network} title={m.network}
          value={rate((numberOf(network, 'rx_bps') ?? 0) + (numberOf(network, 'tx_bps') ?? 0))}
          lines={[series('network', 'rx_bps'), series('network', 'tx_bps')]}
          note={`↓ ${rate(numberOf(network, 'rx_bps'))}  ↑ ${rate(numberOf(network, 'tx_bps'))}`} />
      )}
    </ul>
  );
}
