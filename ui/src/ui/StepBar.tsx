import type { Step } from '../api/types.ts';
import { t } from '../i18n/index.ts';
import { tone } from './Status.tsx';

/** One mark a step, in the tone of its state. */
export function StepBar({ steps }: { steps: readonly Step[] }) {
  const done = steps.filter((s) => s.finished_us > 0 || s.status === 'skipped').length;
  return (
    <span class="step-bar" role="img" aria-label={t.value.stepsDone(done, steps.length)}>
      {steps.map((s) => (
        <span key={s.index} class={tone(s.status)} />
      ))}
    </span>
  );
}
