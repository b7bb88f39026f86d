// The words of the page. Two dictionaries of one type: a string that is missing in one does not
// compile. The daemon sends codes and numbers, never sentences of its own.

import { computed, signal } from '@preact/signals';
import { load, save } from '../lib/storage.ts';
import { en, type Words } from './en.ts';

export const LANGUAGES = { en: 'English', nl: 'Nederlands' } as const;
export type Language = keyof typeof LANGUAGES;

function initial(): Language {
  const stored = load('lang');
  if (stored === 'en' || stored === 'nl') return stored;
  return typeof navigator !== 'undefined' && /^nl\b/i.test(navigator.language) ? 'nl' : 'en';
}

export const lang = signal<Language>(initial());
/** Dutch, once somebody reads it. */
const dutch = signal<Words | null>(null);
export const t = computed<Words>(() => (lang.value === 'nl' ? (dutch.value ?? en) : en));

/** Brings the words of the page's language. English is always here. */
export async function loadWords(l: Language = lang.value): Promise<void> {
  if (l === 'nl' && !dutch.peek()) dutch.value = (await import('./nl.ts')).nl;
}

export async function setLanguage(l: Language): Promise<void> {
  await loadWords(l);
  lang.value = l;
  save('lang', l);
  document.documentElement.lang = l;
}

/** A count with its noun. */
export function plural(n: number, forms: { one: string; other: string }, shown: string): string {
  const form = new Intl.PluralRules(lang.value).select(n) === 'one' ? forms.one : forms.other;
  return form.replace('{n}', shown);
}
