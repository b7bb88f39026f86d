import { signal, useComputed, useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { now } from '../../lib/format.ts';
import { onAway } from '../../lib/keys.ts';
import { lazy } from '../../lib/lazy.tsx';
import { blockedOn } from '../../live/hosts.ts';
import { Button } from '../../ui/Button.tsx';

const CancelQuestion = lazy(() => import('./CancelQuestion.tsx').then((m) => m.CancelQuestion), { soon: true });

/** The question is open (Shift+X opens it too). */
export const cancelAsked = signal(false);
const close = () => void (cancelAsked.value = false);

/** Asks in place, then says that it is being done until the run tells its end. */
export function CancelButton({ run }: { run: Run }) {
  const m = t.value;
  const box = useRef<HTMLDivElement>(null);
  const sent = useSignal(0);
  const left = useComputed(() => (sent.value > 0 ? Math.ceil((sent.value - now.value) / 1000) : 0)).value;
  const blocked = blockedOn(run.host);

  useEffect(() => close, []);
  useLayoutEffect(() => (cancelAsked.value ? onAway(() => box.current, close) : undefined), [cancelAsked.value]);

  return (
    <div class="cancel" ref={box}>
      <Button look="danger" icon="square" busy={sent.value > 0} disabled={blocked !== ''} title={blocked || undefined} onClick={() => (cancelAsked.value = !cancelAsked.value)}>
        {sent.value > 0 ? m.cancelling(left) : m.cancelRun}
      </Button>
      {cancelAsked.value && <CancelQuestion run={run} sent={sent} onClose={close} />}
    </div>
  );
}
