// All machines on one page: what is wrong on any of them first, then a card for each.

import { t } from '../../i18n/index.ts';
import { number } from '../../lib/format.ts';
import { hostKey, hosts, hostTitle, withHost } from '../../live/hosts.ts';
import { isAway, type HostState } from '../../live/system.ts';
import { Link } from '../../ui/Link.tsx';
import { Attention } from './Attention.tsx';
import { sinceWhen } from './Away.tsx';
import { LevelMark } from './Level.tsx';
import { disksOf } from './disks.ts';
import { ready } from './ready.ts';
import { bySeverity, isStale, numberOf, problems, RANK, statusOf, textOf, useStatus, type MachineStatus } from './status.ts';

interface Seen {
  state: HostState;
  status: MachineStatus | null;
}

/** Those that are away first, then by what is worst on them; else as configured. Pure. */
export function ordered(list: readonly Seen[]): Seen[] {
  const rank = (s: Seen) => (isAway(s.state) ? -1 : s.status ? RANK[s.status.level] : RANK.unknown);
  return [...list].sort((a, b) => rank(a) - rank(b));
}

function Values({ status }: { status: MachineStatus }) {
  const m = t.value;
  const host = status.sections['host'] ?? [];
  const share = (id: string) => numberOf(host.find((i) => i.id === id), 'used_pct');
  const [full] = disksOf(host);
  const values: [string, number | null][] = [
    [m.cpu, share('cpu')],
    [m.memory, share('memory')],
    [full ? textOf(full, 'mount') || m.disk : m.disk, numberOf(full, 'used_pct')],
  ];
  return (
    <dl class="host-values">
      {values.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="metric-value">{value === null ? '–' : `${number(Math.round(value))}\u00a0%`}</dd>
        </div>
      ))}
    </dl>
  );
}

function HostCard({ state, status }: Seen) {
  const m = t.value;
  const name = hostTitle(state.host);
  const wrong = status ? problems(status).length : 0;
  const away = state.state !== 'connected';
  return (
    <li>
      <Link href={withHost('/', state.host)} class={`card metric-card host-card ${status && (away || isStale(hostKey(state.host))) ? 'stale' : ''}`}>
        <span class="running-head">
          {status && !away ? <LevelMark level={status.level} quiet /> : <LevelMark level={isAway(state) ? 'bad' : 'unknown'} quiet />}
          <b>{name}</b>
          {name !== state.host && <span class="mono muted">{state.host}</span>}
        </span>
        {status && <Values status={status} />}
        <span class="metric-note">{isAway(state) ? sinceWhen(state) : away ? m.agentState[state.state] : !status ? '\u00a0' : wrong > 0 ? m.wrongOnes(wrong) : m.allWell}</span>
      </Link>
    </li>
  );
}

export function AllHosts() {
  const m = t.value;
  useStatus(hosts.value.map((h) => hostKey(h.host)));
  if (!ready.value) return null;
  const seen = hosts.value.map((state) => ({ state, status: statusOf(hostKey(state.host)) }));
  const list = bySeverity(seen.flatMap(({ state, status }) => (status ? problems(status).map((p) => ({ ...p, host: state.host })) : [])));
  const known = seen.filter((s) => s.status !== null);
  return (
    <>
      {known.length > 0 && <Attention list={list} timeUs={Math.min(...known.map((s) => s.status!.time_us))} />}
      <ul class="host-cards" aria-label={m.hosts}>
        {ordered(seen).map((s) => (
          <HostCard key={s.state.host} {...s} />
        ))}
      </ul>
    </>
  );
}
