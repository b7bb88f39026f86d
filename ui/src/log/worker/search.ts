// A search by the server: one JSON object a line as matches are found, the last one says whether there
// are more than were told.

import type { Query } from '../messages.ts';

/** Smart case: capitals make it exact. Those of escapes such as \\W do not count. */
export function exactCase(q: Query): boolean {
  return /\p{Lu}/u.test(q.regex ? q.text.replace(/\\./g, '') : q.text);
}

export interface Bytes {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
}

export interface Answer {
  total: number;
  /** There are more than were told, or lines that the expression could not be tried on. */
  truncated: boolean;
}

/** Reads an answer. Throws when it is cut off or none of ours. */
export async function matches(body: Bytes, onMatch: (line: number) => void): Promise<Answer> {
  const decoder = new TextDecoder();
  let rest = '';
  let answer: Answer | null = null;
  const take = (text: string) => {
    if (text.trim() === '') return;
    const o = JSON.parse(text) as Record<string, unknown> | null; // or anything else: then it has none of these
    if (typeof o?.['line'] === 'number') onMatch(o['line']);
    else if (typeof o?.['truncated'] === 'boolean' && typeof o['total'] === 'number') answer = { total: o['total'], truncated: o['truncated'] };
    else throw new TypeError('search: neither match nor summary');
  };
  for (;;) {
    const { done, value } = await body.read();
    rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
    const parts = rest.split('\n');
    rest = parts.pop()!;
    parts.forEach(take);
    if (done) break;
  }
  take(rest);
  if (answer === null) throw new TypeError('search: cut off');
  return answer;
}
