// How soon after a picture of new lines the next may come. Frames that come late say that pictures cost too much here (a slow
// phone, a loaded machine): then there are fewer, and the time between them is for taps, keys and scrolling, whose own
// pictures wait for nobody.
//
// more than one frame in four late → a longer pause, up to MOST; fewer → a shorter one, down to none

/** From one frame to the next; 50 a second are on time. */
const LATE_MS = 25;
const STEP_MS = 32;
/** With what the picture itself takes, ten a second or less. */
const MOST_MS = 96;
/** A late frame weighs as three on time; so much to one side changes the pace. */
const LATE = 3;
const SLOWER = 9;
const FASTER = -12;

export class Pace {
  /** Milliseconds before the next picture; 0: with the next frame. */
  pause = 0;
  #score = 0;

  /** The frame after a picture came so many milliseconds after the picture's. */
  frame(ms: number): void {
    this.#score += ms > LATE_MS ? LATE : -1;
    const slower = this.#score >= SLOWER;
    if (!slower && this.#score > FASTER) return;
    this.#score = 0;
    this.pause = slower ? Math.min(MOST_MS, STEP_MS + this.pause) : Math.max(0, this.pause - STEP_MS);
  }
}
