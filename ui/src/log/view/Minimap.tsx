import type { LogControl } from './control.ts';

/** Height of the drawing's own units; it is stretched to what there is. */
const UNITS = 1000;

/**
 * Ticks beside the scroll bar: where errors and hits are. For the mouse; keys have e, E, n and N. One path for each kind,
 * however many there are: they change several times a second.
 */
export function Minimap({ control }: { control: LogControl }) {
  const list = control.list.value;
  const { errors, hits } = control.client.ticks.value;
  // Places are parts of the log, which is as high as the window or fills a part of it.
  const path = (places: readonly number[]) => places.map((at) => `M0 ${(at * (list?.fill ?? 1) * UNITS).toFixed(1)}h1`).join('');
  const show = (e: MouseEvent & { currentTarget: HTMLElement }) => {
    const box = e.currentTarget.getBoundingClientRect();
    list?.showFraction((e.clientY - box.top) / box.height);
  };
  return (
    <div class="ticks" aria-hidden="true" onClick={show}>
      <svg viewBox={`0 0 1 ${UNITS}`} preserveAspectRatio="none">
        <path class="error" d={path(errors)} />
        <path class="hit" d={path(hits)} />
      </svg>
    </div>
  );
}
