import type { ReadonlySignal } from '@preact/signals';
import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { clock, full } from '../../lib/format.ts';
import { entryOf, hostTitle, several } from '../../live/hosts.ts';
import { isActive } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { Link } from '../../ui/Link.tsx';
import { Status, tone } from '../../ui/Status.tsx';
import { Took } from '../../ui/Time.tsx';
import { actorName, outcome } from '../../ui/runText.ts';
import { CancelButton } from './CancelButton.tsx';
import { runAgain } from './runAgain.ts';

function Facts({ run }: { run: Run }) {
  const m = t.value;
  const why = isActive(run) ? '' : outcome(run);
  const how = why === m.status[run.status].toLowerCase() ? '' : why; // the pill says it
  const inputs = Object.entries(run.inputs);
  return (
    <p class="run-facts">
      {inputs.map(([k, v]) => (
        <span key={k} class="input-chip mono">
          {k}=<b>{v}</b>
        </span>
      ))}
      <span title={full(run.started_us || run.created_us)}>{m.startedAt(clock(run.started_us || run.created_us))}</span>
      <span>{m.startedBy(actorName(run.actor))}</span>
      {several.value && <span>{m.on(hostTitle(run.host))}</span>}
      {how !== '' && <span class={`run-how ${tone(run.status)}`}>{how}</span>}
      {run.truncated && <span class="run-how warn">{m.outputTruncated}</span>}
    </p>
  );
}

export function RunHeader({ run }: { run: ReadonlySignal<Run> }) {
  const m = t.value;
  const r = run.value;
  const active = isActive(r);
  const entry = entryOf(r);
  return (
    <header class="run-head">
      <div class="run-title">
        <p class="crumbs">
          <Link href="/history">{m.history}</Link>
          <span aria-hidden="true">/</span>
          <span class="mono">#{r.number}</span>
        </p>
        <h1>
          {r.title || r.name}
          <Status status={r.status} pill />
        </h1>
        <Facts run={r} />
      </div>
      <div class="run-actions">
        <span class="run-timer">
          <Took of={r} />
        </span>
        {active ? (
          <CancelButton run={r} />
        ) : (
          <Button icon="rotate-cw" look="primary" disabled={!entry} title={entry ? undefined : m.noLongerInCatalog} onClick={() => runAgain(r)}>
            {m.runAgain}
          </Button>
        )}
      </div>
    </header>
  );
}
