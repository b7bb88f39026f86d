import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { chosenHost, hostKey, hosts, hostTitle, pagePath, shownKey } from '../../live/hosts.ts';
import { activeRuns, hostName, runs } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { Link } from '../../ui/Link.tsx';
import { Empty, Skeleton } from '../../ui/Notice.tsx';
import { RunRow } from '../../ui/RunRow.tsx';
import { lazy } from '../../lib/lazy.tsx';
import { useListKeys } from '../../lib/listKeys.ts';
import { go } from '../../lib/router.ts';
import { QuickCommands } from './QuickCommands.tsx';
import { asked, ready, usePatience, waited, whole } from './ready.ts';
import { RunningNow } from './RunningNow.tsx';
import { problems, statusOf } from './status.ts';

/** Its code is asked for together with the session (app/App.tsx). */
export const Machine = lazy(() => import('./Machine.tsx').then((m) => m.Machine));
const AllHosts = lazy(() => import('./AllHosts.tsx').then((m) => m.AllHosts));

const RECENT = 10;

/** Those of one machine; '' leaves all. */
const ofHost = (list: readonly Run[] | null, host: string): readonly Run[] | null => (host === '' ? list : (list?.filter((r) => r.host === host) ?? null));

export function Overview() {
  const m = t.value;
  useListKeys();
  usePatience();
  const host = chosenHost.value;
  const all = ofHost(runs.value, host);
  const active = ofHost(activeRuns.value, host)!;
  const machines = whole.value ? <AllHosts key="machines" /> : <Machine key="machines" />;
  const list = ready.value ? <Runs key="runs" all={all} active={active} /> : <Skeleton key="runs" rows={10} />;
  return (
    <>
      <header class="page-head">
        <div>
          <h1>{m.overview}</h1>
          <p class="muted">{whole.value ? m.nHosts(hosts.value.length) : (host && hostTitle(host)) || hostName.value || '\u00a0'}</p>
        </div>
      </header>
      {waited.value && <Late host={host} />}
      {waited.value ? [list, machines] : [machines, list]}
    </>
  );
}

/** Where what is wrong would stand, of a machine that was slow to say it. */
function Late({ host }: { host: string }) {
  const m = t.value;
  const wrong = (whole.value ? hosts.value.map((h) => hostKey(h.host)) : [shownKey.value]).flatMap((key) => problems(statusOf(key))).length;
  return (
    <p class="all-well" role="status">
      {asked.value ? (
        <span class="running-sub">{m.stillAsked(hostTitle(host) || hostName.value)}</span>
      ) : (
        <a href="#attention" class="text-button">
          {wrong > 0 ? m.needsAttention : m.allWell} {wrong > 0 && <span class="count">{wrong}</span>}
        </a>
      )}
    </p>
  );
}

function Runs({ all, active }: { all: readonly Run[] | null; active: readonly Run[] }) {
  const m = t.value;
  const recent = (all ?? []).slice(0, RECENT);
  return (
    <>
      {active.length > 0 && <RunningNow runs={active} />}
      <div class="columns">
        <section class="card list-card" aria-labelledby="recent">
          <header class="card-head">
            <h2 id="recent">{m.recentRuns}</h2>
            <Link href={pagePath('/history')} class="card-link">
              {m.allRuns}
            </Link>
          </header>
          {all === null ? (
            <Skeleton rows={5} />
          ) : recent.length === 0 ? (
            <Empty icon="circle-play" action={<Button look="primary" onClick={() => go(pagePath('/commands'))}>{m.browseCommands}</Button>}>
              {m.noRunsYet}
            </Empty>
          ) : (
            <ul class="rows">
              {recent.map((r) => (
                <RunRow key={r.id} run={r} />
              ))}
            </ul>
          )}
        </section>
        <QuickCommands />
      </div>
    </>
  );
}
