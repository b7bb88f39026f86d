import { type Signal, useSignal } from '@preact/signals';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { ApiError } from '../../api/http.ts';
import { t } from '../../i18n/index.ts';
import { now, running } from '../../lib/format.ts';
import { grace } from '../../live/hosts.ts';
import { cancelRun } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { errorText } from '../../ui/Notice.tsx';
import { actorName } from '../../ui/runText.ts';
import { say } from '../../ui/toast.ts';

interface Props {
  run: Run;
  sent: Signal<{ at: number; kill: boolean }>;
  onClose: () => void;
}

/**
 * Whether one is sure; the harmless answer has the focus. Of a run that is being cancelled: whether it is to end at
 * once. What is asked stays what it was when it was opened, whatever somebody else does meanwhile.
 */
export function CancelQuestion({ run, sent, onClose }: Props) {
  const m = t.value;
  const box = useRef<HTMLDivElement>(null);
  const busy = useSignal(false);
  const [before] = useState(run.cancel);
  const kill = before !== null;
  const left = grace(run);
  const name = run.title || run.name;
  const flow = run.kind === 'flow';

  // At once, so that a key that follows lands in it.
  useLayoutEffect(() => box.current?.querySelector<HTMLElement>('[data-autofocus]')?.focus(), []);

  const cancel = async () => {
    busy.value = true;
    try {
      await cancelRun(run.id, kill);
      sent.value = { at: now.peek(), kill };
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
        <b>{before ? m.endQuestion(name) : m.cancelQuestion(name)}</b>
      </p>
      <p id="cancel-how" class="muted small">
        {before ? (
          <>
            {m.endHow(actorName(before.actor))} {flow && m.endFinally}
          </>
        ) : (
          <>
            {left > 0 ? m.cancelSignals(running(left)) : m.cancelHow} {flow && m.cancelFinally}
          </>
        )}
      </p>
      <div class="popover-actions">
        <Button small autoFocus onClick={onClose}>
          {before ? m.keepWaiting : m.keepRunning}
        </Button>
        <Button small look="danger-solid" busy={busy.value} onClick={() => void cancel()} testId="cancel-confirm">
          {before ? m.endNow : m.cancelRun}
        </Button>
      </div>
    </div>
  );
}
