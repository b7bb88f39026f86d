import { effect, useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { shownRun } from '../../app/badge.ts';
import { t } from '../../i18n/index.ts';
import { LogControl } from '../../log/control.ts';
import { LogView } from '../../log/LogView.tsx';
import { parseLines } from '../../log/selection.ts';
import { watchRun } from '../../live/store.ts';
import { RunHeader } from './RunHeader.tsx';
import { Steps } from './Steps.tsx';
import { useRunKeys } from './runKeys.ts';
import { lazy } from '../../lib/lazy.tsx';

const Approvals = lazy(() => import('./Approvals.tsx').then((m) => m.Approvals));

/** A failed run opens where it went wrong, when that is among what came first. */
async function openAtFailure(control: LogControl, run: Run): Promise<void> {
  const failed = run.steps.find((s) => s.status === 'failed' || s.status === 'timed_out');
  if (!failed || failed.offset === null) return;
  const start = await control.client.seek({ offset: failed.offset });
  if (start === null) return;
  const { row } = await control.client.next('error', start, true);
  if (row === null) return;
  control.list.value?.showRow(row, 4);
  control.list.value?.setCurrent(row);
}

/** Steps that went well are folded away when somebody comes to see what did not, or what goes on. */
function foldedAtFirst(run: Run): Set<number> {
  if (run.status === 'succeeded' || run.steps.length < 2) return new Set();
  return new Set(run.steps.filter((s) => s.status === 'succeeded').map((s) => s.index));
}

export function RunView({ first }: { first: Run }) {
  const run = useSignal(first);
  const control = useMemo(() => new LogControl(first.id), []);
  // A flow's steps come a moment later when the run was known from a list.
  const withSteps = useComputed(() => run.value.steps.length > 1 || (run.value.kind === 'flow' && run.value.steps.length === 0));
  const waits = useComputed(() => run.value.finished_us === 0 && run.value.steps.some((s) => s.status === 'waiting'));
  const announce = useSignal('');

  useEffect(() => {
    shownRun.value = run.value;
    const watch = watchRun(first.id, (r) => {
      const before = run.value;
      run.value = r;
      shownRun.value = r;
      control.client.noteSize(r.size, control.list.value?.follow.value.on ?? true);
      if (before.status !== r.status) announce.value = t.value.runIsNow(t.value.status[r.status].toLowerCase());
    });
    return () => {
      watch.close();
      control.close();
    };
  }, []);
  useEffect(() => {
    const wanted = !parseLines(location.hash) && (first.status === 'failed' || first.status === 'timed_out');
    // A run that was known from a list gets its steps a moment later.
    let folded = false;
    const stop = effect(() => {
      const r = run.value;
      if (r.steps.length === 0) return;
      if (!folded) {
        folded = true;
        const steps = foldedAtFirst(r);
        if (steps.size > 0) control.fold(steps);
      }
      if (wanted && control.client.ended.value) setTimeout(() => (stop(), void openAtFailure(control, r)));
    });
    return () => stop();
  }, []);
  useRunKeys(control, run);

  return (
    <div class={`run-page ${control.focusMode.value ? 'focus' : ''}`}>
      <RunHeader run={run} />
      {waits.value && <Approvals run={run} />}
      <div class={`run-columns ${withSteps.value ? '' : 'single'}`}>
        {withSteps.value && <Steps run={run} control={control} />}
        <LogView control={control} run={run} />
      </div>
      <p class="visually-hidden" role="status" aria-live="polite">
        {announce.value}
      </p>
    </div>
  );
}
