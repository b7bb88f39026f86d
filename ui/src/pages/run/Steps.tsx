import { useComputed, type ReadonlySignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Run, Step } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { listed, now } from '../../lib/format.ts';
import type { LogControl } from '../../log/view/control.ts';
import { isActive } from '../../live/store.ts';
import { Status, tone, wentWrong } from '../../ui/Status.tsx';
import { Took } from '../../ui/Time.tsx';
import { outcome, stepName } from '../../ui/runText.ts';

/** When the step ran within the run, as a bar. */
function Bar({ step, run }: { step: Step; run: Run }) {
  const style = useComputed(() => {
    const start = run.started_us || run.created_us;
    const end = isActive(run) ? Math.max(now.value * 1000, start + 1) : run.finished_us;
    const span = Math.max(1, end - start);
    const from = Math.max(0, (step.started_us - start) / span);
    const to = Math.min(1, ((step.finished_us || end) - start) / span);
    return { left: `${(from * 100).toFixed(2)}%`, width: `${(Math.max(0, to - from) * 100).toFixed(2)}%` };
  });
  if (step.started_us === 0) return <span class="step-track" aria-hidden="true" />;
  return (
    <span class={`step-track ${tone(step.status)}`} aria-hidden="true">
      <i style={style.value} />
    </span>
  );
}

/** Two steps that ran, or run, at the same time. */
function overlaps(a: Step, b: Step): boolean {
  if (a.started_us === 0 || b.started_us === 0) return false;
  const end = (s: Step) => s.finished_us || Infinity;
  // A hand-over within a few milliseconds is no overlap.
  return Math.min(end(a), end(b)) - Math.max(a.started_us, b.started_us) > 20_000;
}

function StepItem({ step, run, control }: { step: Step; run: Run; control: LogControl }) {
  const m = t.value;
  const how = step.status === 'running' || step.status === 'pending' ? '' : outcome(step);
  const phase = step.phase === 'main' ? '' : m.phase[step.phase];
  // A step that waits for more than the one above it says for which: the list alone would not tell.
  const needs = step.started_us === 0 && step.status === 'pending' && step.needs.length > 1 ? m.after(listed(step.needs.map((i) => run.steps[i] ? stepName(run.steps[i], run.steps) : ''))) : '';
  const beside = run.steps.some((s) => s !== step && overlaps(s, step));
  const show = () => {
    if (step.offset !== null) void control.show({ offset: step.offset }, 0);
  };
  return (
    <li class={`step ${step.status} ${beside ? 'beside' : ''}`} aria-current={step.status === 'running' ? 'step' : undefined}>
      <button type="button" onClick={show} disabled={step.offset === null}>
        <Status status={step.status} quiet />
        <span class="step-name">
          <b title={step.title}>{stepName(step, run.steps)}</b>
          {(phase || step.attempt > 1 || how || needs) && (
            <span class="step-more">{[phase, step.attempt > 1 ? m.attempt(step.attempt) : '', how, needs].filter(Boolean).join(' · ')}</span>
          )}
        </span>
        <Took of={step} />
        <Bar step={step} run={run} />
      </button>
    </li>
  );
}

export function Steps({ run, control }: { run: ReadonlySignal<Run>; control: LogControl }) {
  const list = useRef<HTMLOListElement>(null);
  const { steps } = run.value;
  const at = steps.findIndex((s) => s.status === 'running' || s.status === 'waiting');
  const current = at < 0 ? steps.findIndex(wentWrong) : at;
  useEffect(() => {
    // On a phone the steps are chips in a row: keep the one in view that runs, or that went wrong.
    const el = list.current;
    const item = el?.children[current];
    if (el && item instanceof HTMLElement && el.scrollWidth > el.clientWidth) el.scrollTo({ left: item.offsetLeft - 24 });
  }, [current]);
  return (
    <nav class="steps" aria-label={t.value.steps}>
      <ol ref={list}>
        {steps.map((s) => (
          <StepItem key={s.index} step={s} run={run.value} control={control} />
        ))}
      </ol>
    </nav>
  );
}
