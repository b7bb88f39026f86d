import type { ReadonlySignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { useKeys } from '../../lib/keys.ts';
import type { LogControl } from '../../log/control.ts';
import { nextTimes, toggleWrap } from '../../log/prefs.ts';
import { goNeighbour } from '../../live/hosts.ts';
import { isActive } from '../../live/store.ts';
import { cancelAsked } from './CancelButton.tsx';
import { runAgain } from './runAgain.ts';

/** The second Ctrl+F within a moment is the browser's own. */
const SECOND_FIND_MS = 1000;

export function useRunKeys(control: LogControl, run: ReadonlySignal<Run>): void {
  useEffect(() => {
    const list = () => control.list.value;
    const remove = useKeys({
      f: () => list()?.toEnd(),
      End: () => list()?.toEnd(),
      'Shift+G': () => list()?.toEnd(),
      Home: () => list()?.toTop(),
      'g g': () => list()?.toTop(),
      '/': () => control.openFind(),
      n: () => void control.nextHit(true),
      'Shift+N': () => void control.nextHit(false),
      m: () => control.toggleOnly(),
      e: () => void control.nextError(true),
      'Shift+E': () => void control.nextError(false),
      '[': () => goNeighbour(run.value, -1),
      ']': () => goNeighbour(run.value, 1),
      s: () => void control.nextStep(run.value.steps, true),
      'Shift+S': () => void control.nextStep(run.value.steps, false),
      o: () => {
        if (run.value.steps.length > 1) control.foldHere();
      },
      w: toggleWrap,
      t: nextTimes,
      z: () => (control.focusMode.value = !control.focusMode.value),
      c: () => void control.copyPicked(),
      y: () => void control.copyLink(),
      d: () => location.assign(`/api/v1/runs/${run.value.id}/log?format=raw&download=1`),
      r: () => {
        if (!isActive(run.value)) runAgain(run.value);
      },
      'Shift+X': () => {
        if (isActive(run.value)) cancelAsked.value = true;
      },
      Escape: () => {
        if (control.findOpen.value) control.closeFind();
        else control.focusMode.value = false;
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
}
