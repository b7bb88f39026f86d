import { signal, useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { now } from '../../lib/format.ts';
import { onAway } from '../../lib/keys.ts';
import { lazy } from '../../lib/lazy.tsx';
import { blockedOn, grace } from '../../live/hosts.ts';
import { Button } from '../../ui/Button.tsx';

const CancelQuestion = lazy(() => import('./CancelQuestion.tsx').then((m) => m.CancelQuestion), { soon: true });

/** The question is open (Shift+X opens it too). */
export const cancelAsked = signal(false);
const close = () => void (cancelAsked.value = false);

/** Asks in place; then says that it is being done, whoever wanted it, and offers to end it at once. */
export function CancelButton({ run }: { run: Run }) {
  const m = t.value;
  const box = useRef<HTMLDivElement>(null);
  /** When this page's own request was taken, in ms: the document tells of it a moment later (an older agent's never). */
  const sent = useSignal({ at: 0, kill: false });
  const asked = run.cancel;
  const kill = asked?.kill || sent.value.kill;
  const at = asked ? asked.time_us / 1000 : sent.value.at;
  const end = at + grace(run) / 1000;
  const left = end > now.peek() ? Math.ceil((end - now.value) / 1000) : 0;
  const blocked = blockedOn(run.host);

  useEffect(() => close, []);
  useLayoutEffect(() => (cancelAsked.value ? onAway(() => box.current, close) : undefined), [cancelAsked.value]);

  return (
    <div class="cancel" ref={box}>
      <Button look="danger" icon="square" busy={kill || (!asked && at > 0)} disabled={blocked !== ''} title={blocked || undefined} onClick={() => (cancelAsked.value = !cancelAsked.value)}>
        {kill ? m.ending : asked || at > 0 ? m.cancelling(left) : m.cancelRun}
      </Button>
      {cancelAsked.value && !kill && <CancelQuestion run={run} sent={sent} onClose={close} />}
    </div>
  );
}
