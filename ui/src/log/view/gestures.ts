// Fingers and the mouse in a log: a drag along the numbers picks lines, a tap on a phone gives it the whole window,
// Ctrl+A picks all lines and Ctrl+C copies what is picked.

import { copyPicked } from './acts.ts';
import type { LogControl } from './control.ts';

/** A finger that rests longer selects text. */
const TAP_MS = 400;
/** Beyond the edge the log moves on so often, by a line for so many pixels. */
const EDGE_MS = 40;
const EDGE_PX = 6;

const numberAt = (x: number, y: number): number => Number(document.elementFromPoint(x, y)?.closest('.lr')?.querySelector('.ln')?.textContent ?? 0);

/** Returns how to let go. */
export function gestures(control: LogControl): () => void {
  const list = control.list.value!;
  const { root, selection } = list;
  let stopDrag = () => {};
  let hadSelection = false;
  let downAt = 0;

  /** From a number on, as far as the mouse is held down. */
  const drag = (e: MouseEvent): void => {
    const number = e.target instanceof Element ? e.target.closest('.ln') : null;
    const from = Number(number?.textContent ?? 0);
    if (!(from > 0) || e.button !== 0) return;
    if (e.shiftKey) return;
    const x = number!.getBoundingClientRect().left + 4;
    let y = e.clientY;
    let dragged = false;
    const look = (): void => {
      const box = root.getBoundingClientRect();
      const beyond = y < box.top ? y - box.top : Math.max(0, y - box.bottom);
      if (beyond !== 0) root.scrollTop += Math.round(beyond / EDGE_PX) * 20;
      const n = numberAt(x, Math.max(box.top + 2, Math.min(box.bottom - 8, y)));
      if (!(n > 0) || (n === from && !dragged)) return;
      if (!dragged) selection.setLines({ from, to: from });
      dragged = true;
      selection.pickLine(n, true);
    };
    const timer = setInterval(look, EDGE_MS);
    const move = (m: MouseEvent): void => {
      y = m.clientY;
      look();
    };
    // The click that ends a drag is none on a number.
    const click = (c: Event): void => {
      if (dragged) c.stopPropagation();
    };
    const none = (s: Event): void => s.preventDefault(); // no text is selected from here
    const up = (): void => {
      stopDrag();
      setTimeout(() => root.removeEventListener('click', click, true));
    };
    stopDrag = () => {
      clearInterval(timer);
      removeEventListener('selectstart', none);
      removeEventListener('mousemove', move);
      removeEventListener('mouseup', up);
    };
    addEventListener('selectstart', none);
    addEventListener('mousemove', move);
    addEventListener('mouseup', up);
    root.addEventListener('click', click, true);
  };

  const down = (e: Event): void => {
    hadSelection = !getSelection()?.isCollapsed;
    downAt = e.timeStamp;
  };
  const tap = (e: Event): void => {
    if ((e as PointerEvent).pointerType !== 'touch' || hadSelection || e.timeStamp - downAt > TAP_MS || !matchMedia('(max-width: 720px)').matches) return;
    if (e.target instanceof Element && e.target.closest('a, button, .ln, .le')) return;
    control.focusMode.value = !control.focusMode.value;
  };
  const key = (e: KeyboardEvent): void => {
    const { lines } = control.client.size.value;
    if (!(e.ctrlKey || e.metaKey) || e.shiftKey || e.altKey || e.key.toLowerCase() !== 'a' || lines === 0) return;
    e.preventDefault();
    selection.setLines({ from: 1, to: lines });
    list.hold();
  };
  const copy = (e: Event): void => {
    if (e.defaultPrevented || !getSelection()?.isCollapsed || !selection.lines.value) return;
    e.preventDefault();
    void copyPicked(control);
  };
  const all: [string, EventListener][] = [['mousedown', drag as EventListener], ['pointerdown', down], ['click', tap], ['keydown', key as EventListener], ['copy', copy]];
  for (const [name, fn] of all) root.addEventListener(name, fn);
  return () => {
    stopDrag();
    for (const [name, fn] of all) root.removeEventListener(name, fn);
  };
}
