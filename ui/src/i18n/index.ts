// The words of the page. Two dictionaries of one type: a string that is missing in one does not
// compile. The daemon sends codes and numbers, never sentences of its own.

import { computed, signal } from '@preact/signals';
import { load, save } from '../lib/storage.ts';
import { en, type Words } from './en.ts';
import { nl } from './nl.ts';

export const LANGUAGES = { en: 'English', nl: 'Nederlands' } as const;
export type Language = keyof typeof LANGUAGES;

function initial(): Language {
  const stored = load('lang');
  if (stored === 'en' || stored === 'nl') return stored;
  return typeof navigator !== 'undefined' && /^nl\b/i.test(navigator.language) ? 'nl' : 'en';
}

export const lang = signal<Language>(initial());
export const t = computed<Words>(() => (lang.value === 'nl' ? nl : en));

export function setLanguage(l: Language): void {
  lang.value = l;
  save('lang', l);
  document.documentElement.lang = l;
}

/** A count with its noun. */
export function plural(n: number, forms: { one: string; other: string }, shown: string): string {
  const form = new Intl.PluralRules(lang.value).select(n) === 'one' ? forms.one : forms.other;
  return form.replace('{n}', shown);
}
