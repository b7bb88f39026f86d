// Maps a scroll bar to rows. A browser cannot make an element tall enough for a million rows, so the
// range is compressed past MAX: near moves go pixel by pixel, far ones in proportion. Rows may be of
// unequal height (wrapped lines): the place is kept as a row and pixels into it, never as a sum.

export const MAX_HEIGHT = 6_000_000;

export interface Heights {
  /** Height of a row; a guess when it was never measured. */
  of(row: number): number;
  /** Mean height, for the length of the bar. */
  mean: number;
  /** All rows are of the same height. */
  fixed: boolean;
}

export class ScrollMap {
  rows = 0;
  viewport = 0;
  /** First visible row, and how far its top is above the edge. */
  row = 0;
  px = 0;
  #previous = 0;

  readonly #heights: Heights;

  constructor(
    readonly rowHeight: number,
    heights: Heights,
    private readonly max = MAX_HEIGHT,
  ) {
    this.#heights = heights;
  }

  get #virtual(): number {
    return this.rows * this.#heights.mean;
  }

  /** Height to give the scrolled element. */
  get height(): number {
    return Math.max(this.viewport, Math.min(this.#virtual, this.max));
  }

  get #exact(): boolean {
    return this.#heights.fixed && this.#virtual <= this.max;
  }

  /** The place at which the last row ends at the bottom edge. */
  #end(): { row: number; px: number } {
    let left = this.viewport;
    for (let row = this.rows - 1; row >= 0; row--) {
      const h = this.#heights.of(row);
      if (h >= left) return { row, px: h - left };
      left -= h;
    }
    return { row: 0, px: 0 };
  }

  /** Whether the place is so many pixels or more below (or above, negative) the last one there is. */
  #beyond(px: number): boolean {
    const end = this.#end();
    return this.row > end.row || (this.row === end.row && this.px >= end.px + px);
  }

  get atEnd(): boolean {
    return this.#beyond(-2);
  }

  #clamp(): void {
    if (this.row < 0 || this.rows === 0) this.row = this.px = 0;
    if (this.#beyond(0)) this.toEnd();
  }

  toEnd(): void {
    Object.assign(this, this.#end());
  }

  /** Brings a row to a distance from the top edge. */
  toRow(row: number, above: number): void {
    this.row = Math.max(0, Math.min(this.rows - 1, row));
    this.px = 0;
    this.move(-above);
  }

  /** Moves by pixels. */
  move(d: number): void {
    this.px += d;
    while (this.px < 0 && this.row > 0) this.px += this.#heights.of(--this.row);
    if (this.px < 0) this.px = 0;
    while (this.row < this.rows - 1 && this.px >= this.#heights.of(this.row)) this.px -= this.#heights.of(this.row++);
    this.#clamp();
  }

  /** Rows came or went above: the same row stays at the edge. */
  shift(delta: number): void {
    this.row = Math.max(0, this.row + delta);
  }

  /** The element was scrolled to `top` by somebody. */
  scrolled(top: number): void {
    const d = top - this.#previous;
    this.#previous = top;
    const last = this.height - this.viewport;
    if (top <= 0) this.row = this.px = 0;
    else if (this.#exact) {
      this.row = Math.floor(top / this.rowHeight);
      this.px = top - this.row * this.rowHeight;
      this.#clamp();
    } else if (top >= last - 1) this.toEnd();
    else if (Math.abs(d) < this.viewport * 1.5) this.move(d);
    else {
      const at = (top / last) * Math.max(0, this.rows - this.viewport / this.#heights.mean);
      this.row = Math.floor(at);
      this.px = (at - this.row) * this.#heights.of(this.row);
      this.#clamp();
    }
  }

  /** Where the bar belongs for the present place. Takes it as scrolled there. */
  top(): number {
    const last = this.height - this.viewport;
    let top: number;
    if (last <= 0) top = 0;
    else if (this.#exact) top = Math.min(last, this.row * this.rowHeight + this.px);
    else if (this.atEnd) top = last;
    else if (this.row === 0 && this.px === 0) top = 0;
    else {
      const span = Math.max(1, this.rows - this.viewport / this.#heights.mean);
      // Never quite at an edge: those mean the very first and last row.
      top = Math.max(1, Math.min(last - 2, ((this.row + this.px / this.#heights.of(this.row)) / span) * last));
    }
    this.#previous = top;
    return top;
  }
}
