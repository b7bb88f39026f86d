// Single-key shortcuts. They never fire while somebody types, and can be switched off (WCAG 2.1.4).

import { signal } from '@preact/signals';
import { load, save } from './storage.ts';

/** A handler that has nothing to do says 'pass': the key is of the map below, or stays the browser's. */
export type Keys = Readonly<Record<string, (e: KeyboardEvent) => unknown>>;

export const singleKeys = signal(load('keys') !== 'off');

export function setSingleKeys(on: boolean): void {
  singleKeys.value = on;
  save('keys', on ? 'on' : 'off');
}

const layers: Keys[] = [];
let prefix = '';
let prefixTimer: ReturnType<typeof setTimeout> | undefined;

/** Adds a map of keys ("f", "?", "Shift+X", "g o"); the last added wins. Returns how to remove it. */
export function useKeys(keys: Keys): () => void {
  layers.push(keys);
  return () => void layers.splice(layers.indexOf(keys), 1);
}

/** Closes what floats when somebody presses elsewhere, or Escape. Returns how to stop looking. */
export function onAway(box: () => Element | null, close: () => void): () => void {
  const away = (e: Event) => {
    if (e instanceof KeyboardEvent ? e.key === 'Escape' : !box()?.contains(e.target as Node)) close();
  };
  addEventListener('pointerdown', away);
  addEventListener('keydown', away);
  return () => {
    removeEventListener('pointerdown', away);
    removeEventListener('keydown', away);
  };
}

export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches('textarea, select')) return true;
  return target.matches('input:not([type=checkbox]):not([type=radio]):not([type=button])');
}

/** Letters by whether Shift is held, whatever Caps Lock says. */
function keyName(e: KeyboardEvent): string {
  if (!/^[a-z]$/i.test(e.key)) return e.key;
  return e.shiftKey ? `Shift+${e.key.toUpperCase()}` : e.key.toLowerCase();
}

/** AltGr, by which many keyboards write [ and ], counts for some systems as Ctrl and Alt. */
const modified = (e: KeyboardEvent): boolean => e.metaKey || ((e.ctrlKey || e.altKey) && !e.getModifierState('AltGraph'));

function dispatch(e: KeyboardEvent): void {
  if (!singleKeys.value || modified(e) || e.isComposing) return;
  if (typing(e.target) || document.querySelector('dialog[open]')) return;
  const name = keyName(e);
  const full = prefix === '' ? name : `${prefix} ${name}`;
  clearTimeout(prefixTimer);
  prefix = '';
  for (let i = layers.length - 1; i >= 0; i--) {
    const layer = layers[i]!;
    const handler = layer[full];
    if (handler) {
      if (handler(e) === 'pass') continue;
      e.preventDefault();
      return;
    }
    if (Object.keys(layer).some((k) => k.startsWith(`${full} `))) {
      prefix = full;
      prefixTimer = setTimeout(() => (prefix = ''), 1200);
      return;
    }
  }
}

export function startKeys(): void {
  addEventListener('keydown', dispatch);
}
