// What a row leaves behind when it shows another line (layout, glyphs, styles) lies mostly where the collector of a Chromium does
// not count: it comes when a hundred megabytes lie about of which eight are in use. So it is told: a large buffer counts at
// once, and takes no memory when nobody writes into it.

/** More than what makes it look, in any size of heap. */
const COUNTS = 66 << 20;
/** Rows that may lie about: 10 to 20 KB each. */
const ROWS = 500;

let rows = 0;

/** The collector is to look soon. */
export function collect(): void {
  // Others count for themselves, or write into a new buffer.
  if (!('memory' in performance)) return;
  try {
    (new ArrayBuffer(COUNTS) as { transfer?(length: number): unknown }).transfer?.(0);
  } catch {
    // There is no room even for the promise of one: then it is collected anyway.
  }
}

/** A row was drawn. */
export function drew(): void {
  if (++rows < ROWS) return;
  rows = 0;
  collect();
}
