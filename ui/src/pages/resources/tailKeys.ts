// The keys of a live log, as those of a run's log: they act on the one that was opened last, or that has the focus.

import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';
import { useKeys, type Keys } from '../../lib/keys.ts';
import type { LogControl } from '../../log/view/control.ts';
import { closeFind, copyPicked, nextError, nextHit, toggleOnly } from '../../log/view/acts.ts';
import { gestures } from '../../log/view/gestures.ts';
import { nextTimes, toggleWrap } from '../../log/view/prefs.ts';

const MARK = '.log.tail';

export function useTailKeys(control: LogControl, box: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const mine = () => {
      const focused = document.activeElement?.closest(MARK);
      return !focused || focused === box.current;
    };
    const list = () => control.list.value;
    const keys: Record<string, (e: KeyboardEvent) => unknown> = {
      f: () => list()?.toEnd(),
      End: () => list()?.toEnd(),
      'Shift+G': () => list()?.toEnd(),
      Home: () => list()?.toTop(),
      '/': () => {
        const input = box.current?.querySelector<HTMLInputElement>('.find input');
        if (!input) return control.openFind();
        input.focus();
        return input.select();
      },
      n: () => void nextHit(control, true),
      'Shift+N': () => void nextHit(control, false),
      m: () => toggleOnly(control),
      e: () => void nextError(control, true),
      'Shift+E': () => void nextError(control, false),
      w: toggleWrap,
      t: nextTimes,
      z: () => (control.focusMode.value = !control.focusMode.value),
      c: () => void copyPicked(control),
      Escape: () => {
        if (control.findOpen.value) closeFind(control);
        else if (control.focusMode.value) control.focusMode.value = false;
        else return 'pass';
        return undefined;
      },
    };
    const guarded: Keys = Object.fromEntries(Object.entries(keys).map(([key, act]) => [key, (e: KeyboardEvent) => (mine() ? act(e) : 'pass')]));
    const stops = [useKeys(guarded), gestures(control)];
    return () => stops.forEach((stop) => stop());
  }, [control]);
}
