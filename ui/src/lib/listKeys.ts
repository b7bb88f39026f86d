// j and k go through the rows of a page, whatever they are; Enter is the browser's own on a link or button, Space shows
// more of a row where a page has more to show, and x picks one where rows can be picked.

import { useEffect } from 'preact/hooks';
import { useKeys } from './keys.ts';

/** What can be gone to: the first link or button of each row. */
const ITEMS = '#main :is(.row, [data-item])';
const TARGET = 'a[href], button:not(:disabled)';

function targets(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>(ITEMS)].map((row) => (row.matches(TARGET) ? row : row.querySelector<HTMLElement>(row.dataset['keys'] ?? TARGET))).filter((e): e is HTMLElement => e !== null && e.offsetParent !== null);
}

function step(by: 1 | -1): void {
  const list = targets();
  const row = document.activeElement?.closest('.row, [data-item]');
  const at = list.findIndex((e) => e === document.activeElement || (row && row.contains(e)));
  const next = at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.max(0, Math.min(list.length - 1, at + by));
  list[next]?.focus();
  list[next]?.scrollIntoView({ block: 'nearest' });
}

/** The row that has the focus, or was gone to. */
function pick(): unknown {
  const box = document.activeElement?.closest('#main .row')?.querySelector<HTMLInputElement>('input[type=checkbox]');
  if (!box) return 'pass';
  return box.click();
}

/** `preview`: Space on a row, by the address its link goes to. */
export function useListKeys(preview?: (href: string) => void): void {
  useEffect(
    () =>
      useKeys({
        j: () => step(1),
        k: () => step(-1),
        x: pick,
        ...(preview
          ? {
              ' ': () => {
                const link = document.activeElement?.closest('#main .row a[href]');
                return link ? preview(link.getAttribute('href')!) : 'pass';
              },
            }
          : {}),
      }),
    [],
  );
}
