// Where one was on each page of the browser's history: how far it was scrolled and what had the focus, so that back and
// forward lead to the same place. On a page that is new its heading gets the focus, so that a reader begins there.

interface Place {
  y: number;
  /** A selector of what had the focus in the page; '' for none that can be found again. */
  focus: string;
  /** Of a log, the line at its top; 0: it was followed, or there is none. */
  line: number;
}

/** By the id that an entry of the history carries. */
const places = new Map<number, Place>();
let current = 0;

/** What comes after it was asked for is waited for so long. */
const PATIENCE_MS = 3000;
const HANDS_ON = ['wheel', 'touchstart', 'pointerdown', 'keydown'] as const;

function focused(): string {
  const e = document.activeElement;
  if (!e?.closest('#main')) return '';
  if (e.id !== '' && e.id !== 'main') return `#${CSS.escape(e.id)}`;
  const href = e.getAttribute('href');
  return href === null ? '' : `#main a[href="${CSS.escape(href)}"]`;
}

const noLine = (): number => 0;
let lineNow = noLine;

function keep(): void {
  places.set(current, { y: scrollY, focus: focused(), line: lineNow() });
  lineNow = noLine;
}

/** The page that is shown has a log: which line is at its top when it is left. */
export const keepLine = (line: () => number): unknown => (lineNow = line);

/** The line that was there when this page was left; 0: it is new, or the log was followed. */
export const keptLine = (): number => places.get(current)?.line ?? 0;

const idOf = (state: unknown): number => (state as { place?: number } | null)?.place ?? 0;

/** The state of a history entry that is made now. The page that is left is remembered by its own. */
export function leave(): unknown {
  keep();
  current = Date.now() + Math.random();
  return { place: current };
}

/** The entry that the browser has gone to; what is on the screen is still the page before. */
export function goneTo(state: unknown): Place | undefined {
  keep();
  current = idOf(state);
  return places.get(current);
}

let arrival: (() => void) | null = null;

/**
 * Scrolls the page that is about to be shown and gives the focus: to its heading, or to what had it. Ends as soon as it
 * is done, the page gave the focus itself, or somebody does anything.
 */
export function arrive(place: Place | undefined): void {
  arrival?.();
  const before = document.activeElement;
  const end = performance.now() + PATIENCE_MS;
  let scrolled = false;
  let focusedIt = false;
  let frame = 0;
  const stop = () => {
    cancelAnimationFrame(frame);
    for (const name of HANDS_ON) removeEventListener(name, stop, true);
    arrival = null;
  };
  const look = () => {
    const y = place?.y ?? 0;
    if (!scrolled) scrollTo(0, y);
    scrolled ||= Math.abs(scrollY - y) < 2;
    const now = document.activeElement;
    focusedIt ||= (now !== before && now !== document.body) || now?.matches('[data-autofocus]') === true;
    if (!focusedIt && !document.querySelector('dialog[open]')) focusedIt = focus(place?.focus ?? '');
    if ((scrolled && focusedIt) || performance.now() > end) stop();
    else frame = requestAnimationFrame(look);
  };
  for (const name of HANDS_ON) addEventListener(name, stop, true);
  arrival = stop;
  frame = requestAnimationFrame(look);
}

function focus(selector: string): boolean {
  const target = document.querySelector<HTMLElement>(selector || '#main h1');
  if (!target) return false;
  if (selector === '') {
    target.tabIndex = -1;
    target.style.outline = 'none'; // it is read from here, not used
  }
  target.focus({ preventScroll: true });
  return true;
}

/** What a page that is loaded again is told of itself. */
const AGAIN = 'ops.place';

export function startPlaces(): void {
  history.scrollRestoration = 'manual';
  current = idOf(history.state);
  try {
    const { id, y } = JSON.parse(sessionStorage.getItem(AGAIN) ?? '{}') as { id?: unknown; y?: unknown };
    sessionStorage.removeItem(AGAIN);
    if (id === `${current} ${location.href}` && typeof y === 'number') arrive({ y, focus: 'body', line: 0 });
  } catch {
    // forbidden: it begins at the top
  }
  addEventListener('pagehide', () => {
    try {
      sessionStorage.setItem(AGAIN, JSON.stringify({ id: `${current} ${location.href}`, y: scrollY }));
    } catch {
      // full or forbidden
    }
  });
}
