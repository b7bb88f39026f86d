// How soon after a picture of new lines the next may come. Frames that come late say that pictures cost too much here (a slow
// phone, a loaded machine): then there are fewer, and the time between them is for taps, keys and scrolling, whose own
// pictures wait for nobody.
//
// late frame → twice the pause, up to MOST; CALM frames on time in a row → half of it, down to none

/** From one frame to the next; 50 a second are on time. */
const LATE_MS = 25;
const LEAST_MS = 32;
/** With what the picture itself takes, ten a second or less. */
const MOST_MS = 96;
const CALM = 12;

export class Pace {
  /** Milliseconds before the next picture; 0: with the next frame. */
  pause = 0;
  #calm = 0;

  /** The frame after a picture came so many milliseconds after the picture's. */
  frame(ms: number): void {
    if (ms > LATE_MS) {
      this.#calm = 0;
      this.pause = Math.min(MOST_MS, Math.max(LEAST_MS, 2 * this.pause));
    } else if (++this.#calm >= CALM) {
      this.#calm = 0;
      this.pause = this.pause > LEAST_MS ? this.pause / 2 : 0;
    }
  }
}
