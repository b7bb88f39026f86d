import type { ComponentChildren } from 'preact';
import type { Run } from '../api/types.ts';
import { hostTitle, runPath, several } from '../live/hosts.ts';
import { isActive } from '../live/store.ts';
import { actorName, inputsText, outcome } from './runText.ts';
import { Link } from './Link.tsx';
import { Status, tone } from './Status.tsx';
import { Ago, Took } from './Time.tsx';

/** One run in a list: a link of one line, two on a phone. */
export function RunRow({ run, pick, children }: { run: Run; /** What picks it, before all else. */ pick?: ComponentChildren; children?: ComponentChildren }) {
  const how = isActive(run) ? '' : outcome(run);
  const why = run.first_error?.text;
  return (
    <li class={pick ? 'row pickable' : 'row'}>
      {pick}
      <Link href={runPath(run)} class="run-row">
        <Status status={run.status} quiet />
        <span class="run-what">
          <b>{run.title || run.name}</b>
          <span class="run-number mono">#{run.number}</span>
          {how !== '' && <span class={`run-outcome ${tone(run.status)}`}>{how}</span>}
        </span>
        <span class={why ? 'run-inputs why mono' : 'run-inputs mono'} title={why}>
          {why ? (
            <>
              <span>{inputsText(run)}</span> <bdi translate={false}>{why}</bdi>
            </>
          ) : (
            inputsText(run)
          )}
        </span>
        {several.value && <span class="run-host">{hostTitle(run.host)}</span>}
        <span class="run-actor">{actorName(run.actor)}</span>
        <span class="took">
          <Took of={run} />
        </span>
        <span class="run-when">
          <Ago us={run.created_us} />
        </span>
      </Link>
      {children}
    </li>
  );
}
