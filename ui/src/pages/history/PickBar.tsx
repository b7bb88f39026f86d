import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { ApiError } from '../../api/http.ts';
import { t } from '../../i18n/index.ts';
import { onAway, useKeys } from '../../lib/keys.ts';
import { cancelRun, isActive, live } from '../../live/store.ts';
import { runPath } from '../../live/hosts.ts';
import { Button, IconButton } from '../../ui/Button.tsx';
import { errorText } from '../../ui/Notice.tsx';
import { copyText, say } from '../../ui/toast.ts';

/** Asks each to end; one that was faster has ended already. Returns why the first of the others could not, or null. */
export async function cancelAll(runs: readonly Pick<Run, 'id'>[], cancel: (id: string) => Promise<void>): Promise<unknown> {
  let first: unknown = null;
  for (const run of runs) {
    try {
      await cancel(run.id);
    } catch (e) {
      if (!(e instanceof ApiError && e.status === 409)) first ??= e;
    }
  }
  return first;
}

interface QuestionProps {
  runs: readonly Run[];
  onClose: () => void;
}

/** Whether one is sure; the harmless answer has the focus. */
function Question({ runs, onClose }: QuestionProps) {
  const m = t.value;
  const box = useRef<HTMLDivElement>(null);
  const busy = useSignal(false);
  useLayoutEffect(() => box.current?.querySelector<HTMLElement>('[data-autofocus]')?.focus(), []);
  useEffect(() => onAway(() => box.current, onClose), []);
  const cancel = async () => {
    busy.value = true;
    const error = await cancelAll(runs, cancelRun);
    if (error !== null) say(errorText(error));
    onClose();
  };
  return (
    <div class="popover" ref={box} role="alertdialog" aria-labelledby="cancel-question" aria-describedby="cancel-how">
      <p id="cancel-question">
        <b>{m.cancelRunsQuestion(runs.length)}</b>
      </p>
      <p id="cancel-how" class="muted small">
        {m.cancelHow} {m.cancelFinally}
      </p>
      <div class="popover-actions">
        <Button small autoFocus onClick={onClose}>
          {m.keepRunning}
        </Button>
        <Button small look="danger-solid" busy={busy.value} onClick={() => void cancel()} testId="cancel-confirm">
          {m.cancelRuns(runs.length)}
        </Button>
      </div>
    </div>
  );
}

/** What can be done with the runs that are picked. */
export function PickBar({ runs, onClear }: { runs: readonly Run[]; onClear: () => void }) {
  const m = t.value;
  const asked = useSignal(false);
  const active = runs.filter(isActive);
  const lost = asked.value && active.length === 0;
  useEffect(() => {
    if (lost) asked.value = false; // the last of them has ended meanwhile
  }, [lost]);
  // At once, so that a key that follows lands here.
  useLayoutEffect(() => useKeys({ Escape: () => (asked.value ? 'pass' : onClear()), 'Shift+X': () => (active.length > 0 ? (asked.value = true) : 'pass') }), [active.length > 0]);
  const links = runs.map((r) => location.origin + runPath(r)).join('\n');
  return (
    <div class="pick-bar" role="region" aria-label={m.picked(runs.length)}>
      <b role="status">{m.picked(runs.length)}</b>
      <span class="grow" />
      <Button small icon="link" onClick={() => void copyText(links, m.linkCopied)}>
        {m.copyLinks}
      </Button>
      <div class="pick-cancel">
        <Button small look="danger" icon="square" disabled={!live.value || active.length === 0} onClick={() => (asked.value = !asked.value)}>
          {m.cancelRuns(active.length)}
        </Button>
        {asked.value && active.length > 0 && <Question runs={active} onClose={() => (asked.value = false)} />}
      </div>
      <IconButton icon="x" label={m.clearPicked} keys="Esc" onClick={onClear} />
    </div>
  );
}
