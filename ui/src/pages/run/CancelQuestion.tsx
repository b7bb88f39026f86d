import { type Signal, useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { ApiError } from '../../api/http.ts';
import { t } from '../../i18n/index.ts';
import { running } from '../../lib/format.ts';
import { findEntry } from '../../live/hosts.ts';
import { cancelRun } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { errorText } from '../../ui/Notice.tsx';
import { say } from '../../ui/toast.ts';

interface Props {
  run: Run;
  /** Once the run was told to end: when (in ms) what is left of it is killed. */
  sent: Signal<number>;
  onClose: () => void;
}

/** How long (in µs) what runs has between being asked to end and being killed; 0: that is not known. */
function grace(run: Run): number {
  const of = (kind: string, id: string) => findEntry(kind, id, run.host);
  const running = run.steps.filter((s) => s.status === 'running').map((s) => s.id);
  const entry = of(run.kind, run.name);
  const uses = entry?.steps.filter((s) => running.includes(s.id)).map((s) => of('command', s.uses)) ?? [];
  return Math.max(0, entry?.kill_after_us ?? 0, ...uses.map((e) => e?.kill_after_us ?? 0));
}

/** Whether one is sure; the harmless answer has the focus. */
export function CancelQuestion({ run, sent, onClose }: Props) {
  const m = t.value;
  const box = useRef<HTMLDivElement>(null);
  const busy = useSignal(false);
  const left = grace(run);

  // At once, so that a key that follows lands in it.
  useLayoutEffect(() => box.current?.querySelector<HTMLElement>('[data-autofocus]')?.focus(), []);

  const cancel = async () => {
    busy.value = true;
    try {
      await cancelRun(run.id);
      sent.value = Date.now() + left / 1000;
    } catch (e) {
      // It was faster: the run has ended already.
      if (!(e instanceof ApiError && e.status === 409)) say(errorText(e));
    } finally {
      busy.value = false;
      onClose();
    }
  };

  return (
    <div class="popover" ref={box} role="alertdialog" aria-labelledby="cancel-question" aria-describedby="cancel-how">
      <p id="cancel-question">
        <b>{m.cancelQuestion(run.title || run.name)}</b>
      </p>
      <p id="cancel-how" class="muted small">
        {left > 0 ? m.cancelSignals(running(left)) : m.cancelHow} {run.kind === 'flow' && m.cancelFinally}
      </p>
      <div class="popover-actions">
        <Button small autoFocus onClick={onClose}>
          {m.keepRunning}
        </Button>
        <Button small look="danger-solid" busy={busy.value} onClick={() => void cancel()} testId="cancel-confirm">
          {m.cancelRun}
        </Button>
      </div>
    </div>
  );
}
