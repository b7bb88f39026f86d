// The hands and the voice of a run's page: keys, gestures, what is said to who listens. Loaded when the page stands.

import { useSignal, type ReadonlySignal, type Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { duration } from '../../lib/format.ts';
import { useKeys } from '../../lib/keys.ts';
import { closeFind, copyLink, copyPicked, foldHere, nextError, nextHit, nextStep, toggleOnly } from '../../log/view/acts.ts';
import type { LogControl } from '../../log/view/control.ts';
import { gestures } from '../../log/view/gestures.ts';
import { goNeighbour } from '../../live/hosts.ts';
import { isActive } from '../../live/store.ts';
import { actorName, stepName } from '../../ui/runText.ts';
import { wentWrong } from '../../ui/Status.tsx';

/** The second Ctrl+F within a moment is the browser's own. */
const SECOND_FIND_MS = 1000;
/** Nobody is spoken to more often. */
const SPEECH_MS = 3000;

interface Props {
  control: LogControl;
  run: ReadonlySignal<Run>;
  /** Of the page: with imports of their own they would be a file of their own. */
  cancelAsked: Signal<boolean>;
  runAgain: (run: Run) => void;
}

/** What has happened between two documents of a run, in words. */
export function news(before: Run, after: Run): string[] {
  const m = t.value;
  const was = new Map(before.steps.map((s) => [s.index, s.status]));
  const said = after.steps.filter((s) => wentWrong(s) && was.has(s.index) && was.get(s.index) !== s.status).map((s) => m.stepEnded(stepName(s, after.steps), m.status[s.status].toLowerCase()));
  if (!before.cancel && after.cancel) said.push(m.eventCancel(actorName(after.cancel.actor)));
  if (before.status !== after.status) {
    const status = m.status[after.status].toLowerCase();
    said.push(after.finished_us > 0 && after.started_us > 0 ? m.runEnded(status, duration(after.finished_us - after.started_us)) : m.runIsNow(status));
  }
  return said;
}

/** Says what happens to the run, once every few seconds at most. */
function Voice({ run }: Pick<Props, 'run'>) {
  const words = useSignal('');
  useEffect(() => {
    let before = run.value;
    let waiting: string[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const speak = () => {
      timer = undefined;
      if (waiting.length === 0) return;
      words.value = `${waiting.join('. ')}.`;
      waiting = [];
      timer = setTimeout(speak, SPEECH_MS);
    };
    const stop = run.subscribe((r) => {
      waiting.push(...news(before, r));
      before = r;
      if (!timer) speak();
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
  return (
    <p class="visually-hidden" role="status" aria-live="polite">
      {words}
    </p>
  );
}

export function RunHands({ control, run, cancelAsked, runAgain }: Props) {
  const { nextTimes, toggleWrap } = control.prefs;
  useEffect(() => gestures(control), []);
  useEffect(() => {
    const list = () => control.list.value;
    // The log is what one reads here, wherever the focus is; where it has it, the browser does this.
    const page = (by: 1 | -1) => {
      const root = list()?.root;
      if (!root || root === document.activeElement) return 'pass';
      root.scrollTop += by * (root.clientHeight - 40);
      return undefined;
    };
    const remove = useKeys({
      f: () => list()?.toEnd(),
      End: () => list()?.toEnd(),
      'Shift+G': () => list()?.toEnd(),
      Home: () => list()?.toTop(),
      'g g': () => list()?.toTop(),
      PageUp: () => page(-1),
      PageDown: () => page(1),
      '/': () => control.openFind(),
      n: () => void nextHit(control, true),
      'Shift+N': () => void nextHit(control, false),
      m: () => toggleOnly(control),
      e: () => void nextError(control, true),
      'Shift+E': () => void nextError(control, false),
      '[': () => goNeighbour(run.value, -1),
      ']': () => goNeighbour(run.value, 1),
      s: () => void nextStep(control, run.value.steps, true),
      'Shift+S': () => void nextStep(control, run.value.steps, false),
      o: () => {
        if (run.value.steps.length > 1) void foldHere(control, run.value.steps);
      },
      w: toggleWrap,
      t: nextTimes,
      z: () => (control.focusMode.value = !control.focusMode.value),
      c: () => void copyPicked(control),
      y: () => void copyLink(control),
      d: () => location.assign(`/api/v1/runs/${run.value.id}/log?format=raw&download=1`),
      r: () => {
        if (!isActive(run.value)) runAgain(run.value);
      },
      'Shift+X': () => {
        if (isActive(run.value)) cancelAsked.value = true;
      },
      Escape: () => {
        // What floats on top goes first, by itself.
        if (document.querySelector('.menu, .popover')) return 'pass';
        if (control.findOpen.value) closeFind(control);
        else control.focusMode.value = false;
        return undefined;
      },
    });
    let lastFind = -SECOND_FIND_MS; // the page may be younger than that
    const onFind = (e: KeyboardEvent) => {
      if (!(e.ctrlKey || e.metaKey) || e.shiftKey || e.altKey || e.key.toLowerCase() !== 'f') return;
      if (document.querySelector('dialog[open]') || performance.now() - lastFind < SECOND_FIND_MS) return;
      lastFind = performance.now();
      e.preventDefault();
      control.openFind();
    };
    addEventListener('keydown', onFind);
    return () => {
      remove();
      removeEventListener('keydown', onFind);
    };
  }, []);
  return <Voice run={run} />;
}
