import { useEffect } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { hostTitle, runPath, several } from '../../live/hosts.ts';
import { watchRun } from '../../live/store.ts';
import { Icon } from '../../ui/Icon.tsx';
import { Link } from '../../ui/Link.tsx';
import { StepBar } from '../../ui/StepBar.tsx';
import { Status } from '../../ui/Status.tsx';
import { Took } from '../../ui/Time.tsx';
import { actorName, inputsText, stepName } from '../../ui/runText.ts';

function RunningCard({ run }: { run: Run }) {
  const m = t.value;
  // Lists tell no steps; what runs now is watched for them.
  useEffect(() => {
    const watch = watchRun(run.id, () => undefined);
    return () => watch.close();
  }, [run.id]);
  const step = run.steps.find((s) => s.status === 'running' || s.status === 'waiting' || s.status === 'retrying');
  return (
    <li>
      <Link href={runPath(run)} class="card running-card">
        <span class="running-head">
          <Status status={run.status} quiet />
          <b>{run.title || run.name}</b>
          <span class="mono muted">#{run.number}</span>
          <Took of={run} />
          <Icon name="chevron-right" />
        </span>
        <span class="running-sub">
          {several.value && `${hostTitle(run.host)} · `}
          {step && run.steps.length > 1 ? `${m.stepOf(step.index + 1, run.steps.length)} · ${stepName(step, run.steps)}` : inputsText(run) || m.startedBy(actorName(run.actor))}
        </span>
        {run.steps.length > 1 && <StepBar steps={run.steps} />}
      </Link>
    </li>
  );
}

/** What runs now, before anything else. */
export function RunningNow({ runs }: { runs: readonly Run[] }) {
  return (
    <section aria-labelledby="running" class="running">
      <h2 id="running" class="section-title">
        {t.value.runningNow}
        <span class="count">{runs.length}</span>
      </h2>
      <ul>
        {runs.slice(0, 6).map((r) => (
          <RunningCard key={r.id} run={r} />
        ))}
      </ul>
    </section>
  );
}
