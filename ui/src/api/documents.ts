// Looks at a document of the API by the generated table of what it is: each member is there and of its type, or the
// DecodeError says which is not. What the table does not name is left out; ui/types.mjs tells what stands for null.

import { bool, DecodeError, list, map, num, object, str, type Decoder } from './decode.ts';
import { TABLES, WORDS, type Documents } from './document.gen.ts';

const words = (name: string): readonly string[] => WORDS[name as keyof typeof WORDS];
const otherWord = (name: string): string => (words(name).includes('unknown') ? 'unknown' : words(name)[0]!);

/** What stands for null, or for what is absent. */
function nothing(kind: string, rest: string): unknown {
  switch (kind) {
    case 's':
      return '';
    case 't':
      return 0;
    case 'b':
      return false;
    case '[':
      return [];
    case '{':
    case 'o':
      return {};
    case '#':
      return otherWord(rest);
    default:
      return null;
  }
}

function read(code: string, v: unknown, at: string): unknown {
  const kind = code[0]!;
  const may = code[1] === '?';
  const rest = code.slice(may ? 2 : 1);
  if (may && (v === null || v === undefined)) return nothing(kind, rest);
  switch (kind) {
    case 's':
      return str(v, at);
    case 'b':
      return bool(v, at);
    case 'v':
      if (typeof v === 'string' || typeof v === 'number' || typeof v === 'boolean') return v;
      throw new DecodeError(`${at}: expected a value, got ${v === null ? 'null' : typeof v}`);
    case 'o':
      return object(v, at);
    case '[':
      return list((x, where) => read(rest, x, where))(v, at);
    case '{':
      return map((x, where) => read(rest, x, where))(v, at);
    case '#': {
      const word = str(v, at);
      return words(rest).includes(word) ? word : otherWord(rest);
    }
    case '@': {
      const o = object(v, at);
      const out: Record<string, unknown> = {};
      for (const [key, member] of Object.entries<string>(TABLES[rest as keyof Documents])) out[key] = read(member, o[key], `${at}.${key}`);
      return out;
    }
    default:
      return num(v, at);
  }
}

/** The decoder of one of the API's documents. */
export function decoder<K extends keyof Documents>(name: K): Decoder<Documents[K]> {
  return (v, at) => read(`@${name}`, v, at) as Documents[K];
}
