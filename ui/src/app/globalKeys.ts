import { useEffect } from 'preact/hooks';
import { useKeys, type Keys } from '../lib/keys.ts';
import { go } from '../lib/router.ts';
import { pagePath } from '../live/hosts.ts';
import { paletteOpen, shortcutsOpen } from './state.ts';

const KEYS: Keys = {
  'g o': () => go(pagePath('/')),
  'g c': () => go(pagePath('/commands')),
  'g h': () => go(pagePath('/history')),
  'g e': () => go(pagePath('/schedule')),
  'g a': () => go(pagePath('/audit')),
  'g s': () => go(pagePath('/settings')),
  '?': () => (shortcutsOpen.value = true),
};

function onKey(e: KeyboardEvent): void {
  if ((e.metaKey || e.ctrlKey) && !e.altKey && !e.shiftKey && e.key.toLowerCase() === 'k') {
    e.preventDefault();
    paletteOpen.value = !paletteOpen.value;
  }
}

export function useGlobalKeys(): void {
  useEffect(() => {
    addEventListener('keydown', onKey);
    const remove = useKeys(KEYS);
    return () => {
      removeEventListener('keydown', onKey);
      remove();
    };
  }, []);
}
