import { signal, useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { ApiError } from '../../api/http.ts';
import { t } from '../../i18n/index.ts';
import { cancelRun, live } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { errorText } from '../../ui/Notice.tsx';
import { say } from '../../ui/toast.ts';

/** The question is open (Shift+X opens it too). */
export const cancelAsked = signal(false);

/** Asks in place, then says that it is being done until the run tells its end. */
export function CancelButton({ run }: { run: Run }) {
  const m = t.value;
  const box = useRef<HTMLDivElement>(null);
  const sent = useSignal(false);
  const busy = useSignal(false);

  useEffect(() => () => void (cancelAsked.value = false), []);
  // At once, so that a key that follows lands in it.
  useLayoutEffect(() => {
    if (!cancelAsked.value) return undefined;
    box.current?.querySelector<HTMLElement>('[data-autofocus]')?.focus();
    const away = (e: Event) => {
      if (e instanceof KeyboardEvent ? e.key === 'Escape' : !box.current?.contains(e.target as Node)) cancelAsked.value = false;
    };
    addEventListener('pointerdown', away);
    addEventListener('keydown', away);
    return () => {
      removeEventListener('pointerdown', away);
      removeEventListener('keydown', away);
    };
  }, [cancelAsked.value]);

  const cancel = async () => {
    busy.value = true;
    try {
      await cancelRun(run.id);
      sent.value = true;
    } catch (e) {
      // It was faster: the run has ended already.
      if (!(e instanceof ApiError && e.status === 409)) say(errorText(e));
    } finally {
      busy.value = false;
      cancelAsked.value = false;
    }
  };

  return (
    <div class="cancel" ref={box}>
      <Button look="danger" icon="square" busy={sent.value} disabled={!live.value} onClick={() => (cancelAsked.value = !cancelAsked.value)}>
        {sent.value ? m.cancelling : m.cancelRun}
      </Button>
      {cancelAsked.value && (
        <div class="popover" role="alertdialog" aria-labelledby="cancel-question" aria-describedby="cancel-how">
          <p id="cancel-question">
            <b>{m.cancelQuestion(run.title || run.name)}</b>
          </p>
          <p id="cancel-how" class="muted small">
            {m.cancelHow}
          </p>
          <div class="popover-actions">
            <Button small autoFocus onClick={() => (cancelAsked.value = false)}>
              {m.keepRunning}
            </Button>
            <Button small look="danger-solid" busy={busy.value} onClick={() => void cancel()} testId="cancel-confirm">
              {m.cancelRun}
            </Button>
          </div>
        </div>
      )}
    </div>
  );
}
