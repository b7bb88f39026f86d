// Follow-tail as a state machine. On at the bottom; off at the first sign that somebody reads.

export type FollowEvent =
  /** Wheel, touch, key or drag that moved the view up. */
  | 'up'
  /** The view reached the last row. */
  | 'bottom'
  /** A selection began, a hit, a line or a step was jumped to. */
  | 'hold'
  /** The key, the pill or End. */
  | 'follow';

export interface Follow {
  readonly on: boolean;
  /** Lines seen when following stopped. */
  readonly heldAt: number;
}

export const following: Follow = { on: true, heldAt: 0 };

export function next(state: Follow, event: FollowEvent, lines: number): Follow {
  switch (event) {
    case 'follow':
    case 'bottom':
      return state.on ? state : { on: true, heldAt: 0 };
    case 'up':
    case 'hold':
      return state.on ? { on: false, heldAt: lines } : state;
  }
}

/** New lines since following stopped. */
export function pending(state: Follow, lines: number): number {
  return state.on ? 0 : Math.max(0, lines - state.heldAt);
}
