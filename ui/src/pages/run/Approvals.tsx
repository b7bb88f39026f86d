import { useComputed, useSignal, type ReadonlySignal } from '@preact/signals';
import type { Run, Step } from '../../api/types.ts';
import { ApiError } from '../../api/http.ts';
import { t } from '../../i18n/index.ts';
import { now, running } from '../../lib/format.ts';
import { blockedOn } from '../../live/hosts.ts';
import { approveStep } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { TextInput } from '../../ui/Field.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { errorText, Problem } from '../../ui/Notice.tsx';
import { stepName } from '../../ui/runText.ts';
import { say } from '../../ui/toast.ts';
import { Reauth } from '../commands/Reauth.tsx';

/** What happens when nobody answers, and how soon. */
function Deadline({ step }: { step: Step }) {
  const words = useComputed(() => {
    const { approve } = step;
    if (!approve || approve.timeout_us === 0 || step.started_us === 0) return '';
    const left = Math.max(0, step.started_us + approve.timeout_us - now.value * 1000);
    return t.value.approvalDeadline(approve.on_timeout === 'approve', running(left));
  });
  return <span class="muted">{words}</span>;
}

function Question({ run, step }: { run: Run; step: Step }) {
  const m = t.value;
  const comment = useSignal('');
  const busy = useSignal<'' | 'yes' | 'no'>('');
  const blocked = blockedOn(run.host);
  const error = useSignal<unknown>(null);
  const askPassword = useSignal<boolean | null>(null);
  const id = `approve-${step.index}`;

  const answer = async (yes: boolean) => {
    if (busy.value !== '') return;
    busy.value = yes ? 'yes' : 'no';
    error.value = null;
    try {
      await approveStep(run.id, step.id, yes, comment.value.trim());
      askPassword.value = null;
      say(yes ? m.approved : m.rejected);
    } catch (e) {
      if (e instanceof ApiError && e.code === 'reauth_required') askPassword.value = yes;
      // Somebody else was faster: the question is about to go, and must not take with it why.
      else if (e instanceof ApiError && e.status === 409) say(errorText(e));
      else error.value = e;
    } finally {
      busy.value = '';
    }
  };

  return (
    <section class="approval" aria-labelledby={id}>
      <Icon name="circle-pause" />
      <div class="approval-what">
        <h2 id={id}>{step.approve?.prompt || m.approvalAsked(stepName(step, run.steps))}</h2>
        <p class="small">
          {step.approve?.prompt ? <span class="muted">{stepName(step, run.steps)} · </span> : null}
          <Deadline step={step} />
        </p>
      </div>
      <div class="approval-answer">
        <label class="visually-hidden" for={`${id}-comment`}>
          {m.comment}
        </label>
        <TextInput id={`${id}-comment`} placeholder={m.comment} maxLength={200} value={comment.value} onInput={(e) => (comment.value = e.currentTarget.value)} />
        <Button look="danger" icon="x" busy={busy.value === 'no'} disabled={blocked !== ''} title={blocked || undefined} onClick={() => void answer(false)} testId="reject">
          {m.reject}
        </Button>
        <Button look="primary" icon="check" busy={busy.value === 'yes'} disabled={blocked !== ''} title={blocked || undefined} onClick={() => void answer(true)} testId="approve">
          {m.approve}
        </Button>
      </div>
      {askPassword.value !== null && <Reauth label={askPassword.value ? m.approve : m.reject} onDone={() => void answer(askPassword.value === true)} />}
      {error.value !== null && <Problem error={error.value} />}
    </section>
  );
}

/** Steps that wait for a person are answered where they are seen. */
export function Approvals({ run }: { run: ReadonlySignal<Run> }) {
  const r = run.value;
  if (r.finished_us > 0) return null;
  return (
    <>
      {r.steps
        .filter((s) => s.status === 'waiting')
        .map((s) => (
          <Question key={s.index} run={r} step={s} />
        ))}
    </>
  );
}
