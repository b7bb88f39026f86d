import { effect, useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { shownRun } from '../../app/badge.ts';
import { LogControl } from '../../log/view/control.ts';
import { LogView } from '../../log/view/LogView.tsx';
import { Find } from '../../log/view/Toolbar.tsx';
import { parseLines } from '../../log/view/selection.ts';
import { watchRun } from '../../live/store.ts';
import { wentWrong } from '../../ui/Status.tsx';
import { cancelAsked } from './CancelButton.tsx';
import { runAgain } from './runAgain.ts';
import { RunHeader } from './RunHeader.tsx';
import { Steps } from './Steps.tsx';
import { lazy } from '../../lib/lazy.tsx';
import { keptLine } from '../../lib/places.ts';

// Beside the log: whoever is quick with the keys does not wait. What is typed right behind / is for the field, so that comes first.
const RunHands = lazy(() => Promise.all([import('./RunHands.tsx'), import('../../log/view/Find.tsx')]).then(([m]) => m.RunHands));
Find.fetch();
RunHands.fetch();
const Approvals = lazy(() => import('./Approvals.tsx').then((m) => m.Approvals));

/** A failed run opens at the first error of the step that went wrong; where that says none, at its end. */
async function openAtFailure(control: LogControl, run: Run): Promise<void> {
  const failed = run.steps.find(wentWrong);
  if (!failed || failed.offset === null) return;
  const start = await control.client.seek({ offset: failed.offset });
  if (start === null) return;
  const { row } = await control.client.next('error', start, true, true);
  if (row === null) return;
  control.list.value?.showRow(row);
  control.list.value?.setCurrent(row);
  control.list.value?.countFromHere(run.lines);
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

  useEffect(() => {
    shownRun.value = run.value;
    const watch = watchRun(first.id, (r) => {
      run.value = r;
      shownRun.value = r;
      control.client.noteSize(r.size, control.list.value?.follow.value.on ?? true);
    });
    return () => {
      watch.close();
      control.close();
    };
  }, []);
  useEffect(() => {
    const wanted = !parseLines(location.hash) && !keptLine() && (first.status === 'failed' || first.status === 'timed_out');
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

  return (
    <div class={`run-page ${control.focusMode.value ? 'focus' : ''}`}>
      <RunHeader run={run} />
      {waits.value && <Approvals run={run} />}
      <div class={`run-columns ${withSteps.value ? '' : 'single'}`}>
        {withSteps.value && <Steps run={run} control={control} />}
        <LogView control={control} run={run} />
      </div>
      <RunHands control={control} run={run} cancelAsked={cancelAsked} runAgain={runAgain} />
    </div>
  );
}
