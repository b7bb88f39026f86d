// One short message at a time, spoken politely.

import { signal } from '@preact/signals';

export const toast = signal<{ id: number; text: string } | null>(null);

let timer: ReturnType<typeof setTimeout> | undefined;
let next = 1;

export function say(text: string): void {
  clearTimeout(timer);
  toast.value = { id: next++, text };
  timer = setTimeout(() => (toast.value = null), 5000);
}

export async function copyText(text: string, done: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text);
  }
  say(done);
}

/** Where the clipboard interface is not there (plain http): a selection and the copy command. */
function copyBySelection(text: string): void {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'visually-hidden';
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
