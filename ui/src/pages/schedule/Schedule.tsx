import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { act, post } from '../../api/http.ts';
import { decodeSchedule, type Maintenance as State, type Schedule as Plan, type ScheduledFlow } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { full } from '../../lib/format.ts';
import { useLoad, type Loaded } from '../../lib/useLoad.ts';
import { chosenHost, hostTitle, runPath, sameHost, several } from '../../live/hosts.ts';
import { live } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { TextInput } from '../../ui/Field.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Link } from '../../ui/Link.tsx';
import { Empty, Failed, Problem, Skeleton } from '../../ui/Notice.tsx';
import { Status } from '../../ui/Status.tsx';
import { actorName } from '../../ui/runText.ts';
import { Ago, Until } from '../../ui/Time.tsx';
import { useListKeys } from '../../lib/listKeys.ts';
import { Calendar } from './Calendar.tsx';
import { PauseForm } from './PauseForm.tsx';
import { cronWords } from './words.ts';

/** Of several machines a change says of which. */
const ofHost = (host: string): { host?: string } => (several.value && host !== '' ? { host } : {});

/** Sends a change; what the schedule is afterwards comes with the answer. */
function useChange(plan: Loaded<Plan>) {
  const busy = useSignal('');
  const error = useSignal<unknown>(null);
  const send = async (what: string, path: string, body: unknown) => {
    if (busy.value !== '') return;
    busy.value = what;
    error.value = null;
    try {
      if (several.value) {
        // The answer is of one machine.
        await act('POST', path, { body });
        plan.reload();
      } else plan.put(await post(path, decodeSchedule, { body }));
    } catch (e) {
      error.value = e;
    } finally {
      busy.value = '';
    }
  };
  return { busy, error, send };
}

type Change = ReturnType<typeof useChange>;

/** In words and as it is written, or only that. */
function Rule({ cron, timezone }: { cron: string; timezone: string }) {
  const words = cronWords(cron);
  return (
    <span class="schedule-rule">
      {words ?? <span class="mono">{cron}</span>} <span class="muted">{timezone}</span> {words !== null && <span class="mono muted">{cron}</span>}
    </span>
  );
}

function FlowRow({ flow, change }: { flow: ScheduledFlow; change: Change }) {
  const m = t.value;
  const last = flow.last_run;
  const title = flow.title || flow.flow;
  const key = `${flow.host} ${flow.flow}`;
  const row = useRef<HTMLLIElement>(null);
  /** Before it is paused one may say why. */
  const asked = useSignal(false);
  const close = () => {
    asked.value = false;
    row.current?.querySelector('button')?.focus();
  };
  const set = (pause: boolean, reason = '') => {
    close();
    void change.send(key, '/schedule/pause', { flow: flow.flow, pause, ...ofHost(flow.host), ...(reason === '' ? {} : { reason }) });
  };
  return (
    <li ref={row} class="row schedule-row" data-keys=".btn">
      <Icon name={flow.paused ? 'pause' : 'calendar-clock'} class="entry-icon" />
      <div class="entry-text">
        <p class="entry-title">
          <b>{title}</b>
          <span class="mono entry-id">{flow.flow}</span>
          {several.value && <span class="tag">{hostTitle(flow.host)}</span>}
          {flow.paused && <span class="tag warn">{m.paused}</span>}
        </p>
        <p class="entry-description">
          {flow.rules.map((r) => (
            <Rule key={`${r.cron} ${r.timezone}`} cron={r.cron} timezone={r.timezone} />
          ))}
          {flow.paused && (flow.reason !== '' || flow.paused_by !== '') && <span class="muted"> · {[flow.paused_by === '' ? '' : m.startedBy(actorName(flow.paused_by)), flow.reason].filter(Boolean).join(': ')}</span>}
        </p>
      </div>
      <span class="schedule-next">
        {flow.next_us > 0 && !flow.paused ? (
          <>
            <b>
              <Until us={flow.next_us} />
            </b>
            <span class="muted small">{full(flow.next_us)}</span>
          </>
        ) : (
          <span class="muted">{m.noNextRun}</span>
        )}
      </span>
      {last ? (
        <Link href={runPath(last)} class="schedule-last" title={m.lastRun}>
          <Status status={last.status} quiet />
          <span class="mono">#{last.number}</span>
          <Ago us={last.created_us} />
        </Link>
      ) : (
        <span class="schedule-last muted">{m.neverRun}</span>
      )}
      <Button small icon={flow.paused ? 'play' : 'pause'} busy={change.busy.value === key} disabled={!live.value} onClick={() => (flow.paused ? set(false) : (asked.value = !asked.value))}>
        {flow.paused ? m.resume : m.pause}
        <span class="visually-hidden"> {title}</span>
      </Button>
      {asked.value && !flow.paused && <PauseForm title={title} id={`reason-${flow.host}-${flow.flow}`} disabled={!live.value} onPause={(reason) => set(true, reason)} onClose={close} />}
    </li>
  );
}

/** No new runs while somebody works on the machine. */
function Maintenance({ state, change }: { state: State; change: Change }) {
  const m = t.value;
  const reason = useSignal('');
  const id = `maintenance${several.value ? `-${state.host}` : ''}`;
  const set = (on: boolean) => void change.send(id, '/maintenance', { on, ...ofHost(state.host), ...(on && reason.value.trim() !== '' ? { reason: reason.value.trim() } : {}) });
  return (
    <section class={`card maintenance ${state.on ? 'on' : ''}`} aria-labelledby={id}>
      <div class="maintenance-what">
        <h2 id={id}>
          {several.value && `${hostTitle(state.host)} · `}
          {state.on ? m.maintenanceOn : m.maintenance}
        </h2>
        {state.error === '' ? (
          <p class="muted small">{state.on && state.reason !== '' ? state.reason : m.maintenanceNote}</p>
        ) : (
          <p class="small">
            {state.asOf > 0 ? m.hostAsOf : m.hostNotAsked} <Ago us={state.asOf} /> <span lang="en">{state.error}</span>
          </p>
        )}
      </div>
      {!state.on && state.error === '' && (
        <div class="maintenance-reason">
          <label class="visually-hidden" for={`${id}-reason`}>
            {m.reasonWord}
          </label>
          <TextInput id={`${id}-reason`} placeholder={m.reasonWord} maxLength={200} value={reason.value} onInput={(e) => (reason.value = e.currentTarget.value)} />
        </div>
      )}
      <Button busy={change.busy.value === id} disabled={!live.value || state.error !== ''} onClick={() => set(!state.on)}>
        {state.on ? m.maintenanceEnd : m.maintenanceBegin}
        {several.value && <span class="visually-hidden"> {hostTitle(state.host)}</span>}
      </Button>
    </section>
  );
}

/** What runs by itself, and when next. */
export function Schedule() {
  const m = t.value;
  const plan = useLoad('/schedule', decodeSchedule);
  const change = useChange(plan);
  const p = plan.data.value;
  useListKeys();
  const host = chosenHost.value;
  const shown = (p?.flows ?? []).filter((f) => host === '' || f.host === host);
  const states = (p?.maintenance ?? []).filter((s) => host === '' || s.host === host);
  const flows = [...shown].sort((a, b) => (a.paused ? 1 : 0) - (b.paused ? 1 : 0) || (a.next_us || Infinity) - (b.next_us || Infinity));
  return (
    <>
      <header class="page-head">
        <h1>{m.schedule}</h1>
      </header>
      {plan.error.value !== null && <Failed error={plan.error.value} retry={plan.reload} />}
      {p === null && plan.error.value === null && (
        <div class="card">
          <Skeleton rows={4} />
        </div>
      )}
      {change.error.value !== null && <Problem error={change.error.value} />}
      {p && flows.length === 0 && <Empty icon="calendar-clock">{m.nothingScheduled}</Empty>}
      {flows.length > 0 && (
        <ul class="card rows">
          {flows.map((f) => (
            <FlowRow key={`${f.host} ${f.flow}`} flow={f} change={change} />
          ))}
        </ul>
      )}
      {flows.length > 0 && <Calendar key={host} flows={flows.filter((f) => !states.some((s) => s.on && sameHost(s.host, f.host)))} host={host} />}
      {states.map((s) => (
        <Maintenance key={s.host} state={s} change={change} />
      ))}
    </>
  );
}
