// Ticks beside the scroll bar: where errors and hits are. For the mouse; keys have e, E, n and N.
// One path for each kind, however many there are: they change several times a second.

import { svgNode } from './svg.ts';

/** Height of the drawing's own units; it is stretched to what there is. */
const UNITS = 1000;

export class Minimap {
  readonly #paths = ['error', 'hit'].map((name) => svgNode('path', { class: name }));

  constructor(root: HTMLElement) {
    root.append(svgNode('svg', { viewBox: `0 0 1 ${UNITS}`, preserveAspectRatio: 'none' }, ...this.#paths));
  }

  /** Places are parts of the log; `fill`: of what height it is itself beside the window, 1 when it is taller. */
  draw(errors: readonly number[], hits: readonly number[], fill: number): void {
    [errors, hits].forEach((ticks, i) => {
      const d = ticks.map((at) => `M0 ${(at * fill * UNITS).toFixed(1)}h1`).join('');
      if (this.#paths[i]!.getAttribute('d') !== d) this.#paths[i]!.setAttribute('d', d);
    });
  }
}
