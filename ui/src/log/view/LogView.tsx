import { effect, useComputed, useSignalEffect, type ReadonlySignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { lang, t } from '../../i18n/index.ts';
import { bytes, full } from '../../lib/format.ts';
import { keepLine, keptLine } from '../../lib/places.ts';
import { here, setHash } from '../../lib/router.ts';
import { darkNow } from '../../lib/theme.ts';
import { isActive } from '../../live/store.ts';
import { IconButton } from '../../ui/Button.tsx';
import { Status } from '../../ui/Status.tsx';
import { stepName } from '../../ui/runText.ts';
import { Took } from '../../ui/Time.tsx';
import type { LogControl } from './control.ts';
import type { ListLook } from './list.ts';
import { Pill } from './Pill.tsx';
import { timestamps, wrapLines } from './prefs.ts';
import { linesHash, parseLines } from './selection.ts';
import { Minimap, Toolbar } from './Toolbar.tsx';

interface Props {
  control: LogControl;
  run: ReadonlySignal<Run>;
}

/** Header of the step whose lines are at the top. */
function StickyStep({ control, run }: Props) {
  const m = t.value;
  const index = control.list.value?.topStep.value ?? null;
  const step = index === null ? undefined : run.value.steps[index];
  if (!step) return null;
  const name = stepName(step, run.value.steps);
  const show = () => step.offset !== null && void control.show({ offset: step.offset }, 0);
  const fold = () => {
    control.toggleFold(step.index);
    show();
  };
  return (
    <div class="sticky-step">
      <button type="button" class="sticky-name" onClick={show}>
        <Status status={step.status} quiet />
        <b>{name}</b>
        <Took of={step} />
      </button>
      {run.value.steps.length > 1 && <IconButton icon="fold-vertical" label={m.foldStep(name)} keys="o" onClick={fold} />}
    </div>
  );
}

/** Why there are no rows, or no more of them. */
function Missing({ control, run }: Props) {
  const m = t.value;
  const { client } = control;
  const some = useComputed(() => client.size.value.rows > 0).value;
  const problem = client.problem.value;
  const words =
    problem === 'pruned'
      ? m.logPruned(bytes(Math.max(0, run.value.size - client.size.peek().end)), full(run.value.created_us))
      : problem === 'damaged'
        ? m.logDamaged
        : problem === 'failed'
          ? some
            ? m.logRestFailed
            : m.logFailed
          : some
            ? ''
            : client.only.value
              ? m.noMatch
              : client.ready.value
                ? isActive(run.value)
                  ? m.logWaiting
                  : m.logEmpty
                : '';
  return words === '' ? null : <p class={some ? 'note warn' : 'log-nothing'}>{words}</p>;
}

export function LogView({ control, run }: Props) {
  const m = t.value;
  const scroll = useRef<HTMLDivElement>(null);
  const look = useComputed<ListLook>(() => ({
    dark: darkNow.value,
    wrap: wrapLines.value,
    times: timestamps.value,
    startUs: run.value.started_us || run.value.created_us,
    steps: run.value.steps,
    lang: lang.value,
  }));

  useEffect(() => {
    const list = control.mount(scroll.current!, look.peek());
    list.onFold = (step) => control.toggleFold(step);
    const lines = parseLines(location.hash);
    const kept = keptLine();
    keepLine(() => list.lineAtTop);
    const first = kept || lines?.from;
    if (first) {
      if (lines) list.selection.setLines(lines); // at once: the address keeps what is picked
      list.hold();
      // The line may be in what has not come yet.
      const begin = effect(() => {
        const there = control.client.ended.value || control.client.size.value.lines >= first;
        if (control.client.ready.value && there) setTimeout(() => (begin(), void control.showLines(lines, kept)));
      });
    }
    const stopHash = list.selection.lines.subscribe((l) => {
      if (l || parseLines(location.hash)) setHash(linesHash(l));
    });
    return () => {
      stopHash();
      control.unmount();
    };
  }, []);
  useSignalEffect(() => control.list.value?.setLook(look.value));
  useSignalEffect(() => {
    const lines = parseLines(here.value.hash);
    const shown = control.list.value?.selection.lines.peek();
    if (lines && control.client.ready.peek() && linesHash(shown ?? null) !== linesHash(lines)) void control.showLines(lines);
  });
  const cursorText = control.list.value?.cursorText.value ?? '';
  const base = `/api/v1/runs/${run.value.id}/log`;

  return (
    <section class={`log ${control.focusMode.value ? 'focus' : ''}`} aria-label={m.log}>
      <Toolbar control={control} download={`${base}?format=raw&download=1`} raw={`${base}?format=text`} steps={run.value.steps.length} />
      <div class="log-body" translate={false}>
        <div ref={scroll} class={`log-scroll ${timestamps.value === 'off' ? '' : 'with-times'}`} tabIndex={0} role="log" aria-live="off" aria-label={m.logOutput} />
        <StickyStep control={control} run={run} />
        <Minimap control={control} />
        <Pill control={control} />
      </div>
      <Missing control={control} run={run} />
      <p class="visually-hidden" role="status" aria-live="polite">
        {cursorText}
      </p>
    </section>
  );
}
