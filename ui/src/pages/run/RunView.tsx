import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { shownRun } from '../../app/badge.ts';
import { t } from '../../i18n/index.ts';
import { LogControl } from '../../log/control.ts';
import { LogView } from '../../log/LogView.tsx';
import { parseLines } from '../../log/selection.ts';
import { isActive, watchRun } from '../../live/store.ts';
import { RunHeader } from './RunHeader.tsx';
import { Steps } from './Steps.tsx';
import { useRunKeys } from './runKeys.ts';

/** A failed run opens where it went wrong, when that is among what came first. */
async function openAtFailure(control: LogControl, run: Run): Promise<void> {
  const failed = run.steps.find((s) => s.status === 'failed' || s.status === 'timed_out');
  if (!failed || failed.offset === null || run.size > 64 * 1024 * 1024) return;
  const start = await control.client.seek({ offset: failed.offset });
  if (start === null) return;
  // The lines have to be looked at first.
  for (let i = 0; i < 20 && !control.client.size.value.errorsComplete; i++) await new Promise((r) => setTimeout(r, 50));
  const row = await control.client.next('error', start, true);
  if (row === null) return;
  control.list.value?.showRow(row, 4);
  control.list.value?.setCurrent(row);
}

export function RunView({ first }: { first: Run }) {
  const run = useSignal(first);
  const control = useMemo(() => new LogControl(first.id), []);
  // A flow's steps come a moment later when the run was known from a list.
  const withSteps = useComputed(() => run.value.steps.length > 1 || (run.value.kind === 'flow' && run.value.steps.length === 0));
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
    if (isActive(first) || parseLines(location.hash) || (first.status !== 'failed' && first.status !== 'timed_out')) return undefined;
    const stop = control.client.ended.subscribe((ended) => {
      if (ended) setTimeout(() => (stop(), void openAtFailure(control, run.value)));
    });
    return () => stop();
  }, []);
  useRunKeys(control, run);

  return (
    <div class={`run-page ${control.focusMode.value ? 'focus' : ''}`}>
      <RunHeader run={run} />
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
