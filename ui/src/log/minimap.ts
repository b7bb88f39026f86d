// Ticks beside the scroll bar: where errors and hits are. For the mouse; keys have e, E, n and N.
// One path for each kind, however many there are: they change several times a second.

const SVG = 'http://www.w3.org/2000/svg';
/** Height of the drawing's own units; it is stretched to what there is. */
const UNITS = 1000;

export class Minimap {
  private readonly paths: SVGPathElement[];

  constructor(root: HTMLElement) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `0 0 1 ${UNITS}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    this.paths = ['error', 'hit'].map((name) => {
      const path = document.createElementNS(SVG, 'path');
      path.setAttribute('class', name);
      svg.append(path);
      return path;
    });
    root.append(svg);
  }

  draw(errors: readonly number[], hits: readonly number[]): void {
    [errors, hits].forEach((ticks, i) => {
      const d = ticks.map((at) => `M0 ${(at * UNITS).toFixed(1)}h1`).join('');
      if (this.paths[i]!.getAttribute('d') !== d) this.paths[i]!.setAttribute('d', d);
    });
  }
}
