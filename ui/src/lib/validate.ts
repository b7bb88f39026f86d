// What can be said about an input before it is sent. The agent decides; this only saves a round
// trip, so where the page cannot know, it lets a value pass.

import type { InputSpec, InputValue } from '../api/types.ts';
import type { Words } from '../i18n/en.ts';

const INT = /^(?:0|-?[1-9]\d*)$/;
const SLUG = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const DURATION = /^(?:0|(?=\d)(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?)$/;
/** A name, or an address of either kind: ::1 and fe80:: are ones. */
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|(?=.*:)[0-9A-Fa-f:.]+)$/;

function patternOf(spec: InputSpec): RegExp | null {
  if (spec.pattern === '') return null;
  try {
    return new RegExp(`^(?:${spec.pattern})$`, 'u');
  } catch {
    return null; // PCRE2 knows more than the browser
  }
}

/** What is wrong with a text; '' when nothing is. */
export function problemOf(spec: InputSpec, value: string, m: Words): string {
  if (value === '') return spec.required && spec.type !== 'bool' ? m.inputRequired : '';
  if (/[\u0000-\u001f\u007f]/.test(value)) return m.inputControl;
  if (spec.max_length !== null && [...value].length > spec.max_length) return m.inputTooLong(spec.max_length);
  const wrong = problemOfType(spec, value, m);
  if (wrong !== '') return wrong;
  const pattern = patternOf(spec);
  return pattern && !pattern.test(value) ? m.inputPattern(spec.pattern) : '';
}

function problemOfType(spec: InputSpec, value: string, m: Words): string {
  switch (spec.type) {
    case 'int':
      return problemOfInt(spec, value, m);
    case 'slug':
      return SLUG.test(value) && !value.includes('..') ? '' : m.inputSlug;
    case 'enum':
      return spec.values.includes(value) ? '' : m.inputEnum;
    case 'bool':
      return value === 'true' || value === 'false' ? '' : m.inputEnum;
    case 'duration':
      return DURATION.test(value) ? '' : m.inputDuration;
    case 'path':
      return value.split('/').includes('..') ? m.inputPath : '';
    case 'host':
      return HOST.test(value) ? '' : m.inputHost;
    case 'url':
      return problemOfUrl(spec, value, m);
    case 'string':
      return value.startsWith('-') && spec.pattern === '' ? m.inputDash : '';
    case 'secret':
      return '';
  }
}

function problemOfInt(spec: InputSpec, value: string, m: Words): string {
  if (!INT.test(value)) return m.inputInt;
  const n = Number(value);
  if (!Number.isSafeInteger(n)) return m.inputInt;
  if ((spec.min !== null && n < spec.min) || (spec.max !== null && n > spec.max)) return m.inputRange(spec.min, spec.max);
  return '';
}

function problemOfUrl(spec: InputSpec, value: string, m: Words): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/[^\s/?#]+/i.exec(value)?.[1]?.toLowerCase();
  if (!scheme) return m.inputUrl;
  return spec.schemes.length > 0 && !spec.schemes.includes(scheme) ? m.inputScheme(spec.schemes.join(', ')) : '';
}

/** The values as the API takes them. What is empty and not required is left out: its default holds. */
export function toInputs(specs: readonly InputSpec[], values: Readonly<Record<string, string>>): Record<string, InputValue> {
  const out: Record<string, InputValue> = {};
  for (const s of specs) {
    const v = values[s.name] ?? '';
    if (s.type === 'bool') out[s.name] = v === 'true';
    else if (v === '') continue;
    else if (s.type === 'int' && INT.test(v) && Number.isSafeInteger(Number(v))) out[s.name] = Number(v);
    else out[s.name] = v;
  }
  return out;
}

/** What a form begins with: given values, else the last used, else defaults. Never a secret. */
export function initialValues(specs: readonly InputSpec[], ...sources: (Readonly<Record<string, unknown>> | null)[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const s of specs) {
    out[s.name] = s.default === null ? (s.type === 'bool' ? 'false' : '') : String(s.default);
    if (s.type === 'secret') {
      out[s.name] = '';
      continue;
    }
    for (const source of sources) {
      const v = source?.[s.name];
      const usable = typeof v === 'string' && (s.type !== 'enum' || s.values.includes(v));
      if (usable) {
        out[s.name] = v;
        break;
      }
    }
  }
  return out;
}
