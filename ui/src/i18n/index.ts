// The words of the page. Two dictionaries of one type: a string that is missing in one does not
// compile. The daemon sends codes and numbers; the English sentence beside a code is for those who read English.

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
const dutch = signal<typeof import('./nl.ts') | null>(null);
export const t = computed<Words>(() => (lang.value === 'nl' ? (dutch.value?.nl ?? en) : en));

/** Brings the words of the page's language. English is always here. */
export async function loadWords(l: Language = lang.value): Promise<void> {
  if (l === 'nl' && !dutch.peek()) dutch.value = await import('./nl.ts');
}

export async function setLanguage(l: Language): Promise<void> {
  await loadWords(l);
  lang.value = l;
  save('lang', l);
  document.documentElement.lang = l;
}

/** What a problem's code means, in the page's language. `sent`: what its English sentence says beyond that; '' when
 * nothing. null: the sentence has to do. */
export function problemWords(code: string, sentence: string): { words: string; sent: string } | null {
  const known = lang.value === 'nl' && dutch.value !== null && Object.hasOwn(dutch.value.problems, code) ? dutch.value.problems[code]! : null;
  return known && { words: known[0], sent: sentence === '' || known.includes(sentence, 1) ? '' : sentence };
}

/** What agent and dashboard say about an item: a sentence in English, and which one it is ('': none of the fixed ones, or an
 * older agent's). */
export interface Said {
  readonly message: string;
  readonly code: string;
  readonly params: readonly string[];
}

/** Why an item is not well, in the page's language; null: it is to be shown as it was sent, in English. */
export function statusWords(said: Said): string | null {
  const d = lang.value === 'nl' ? dutch.value : null;
  return d && d.translate(d.sentences, said.code, said.params);
}

/** A count with its noun. */
export function plural(n: number, forms: { one: string; other: string }, shown: string): string {
  const form = new Intl.PluralRules(lang.value).select(n) === 'one' ? forms.one : forms.other;
  return form.replace('{n}', shown);
}
