// Escape sequences: SGR (16, 256 and true colour), OSC 8 links; everything else is recognised and
// dropped. A newline always ends a sequence, so that a line can be parsed on its own once the style
// at its first byte is known. The page takes only constants from here: what is made is marked, so that none of it comes along.

/** 0 default · 1..16 the theme's colours · 17..272 the 256-colour table · TRUE_COLOUR + rgb. */
export type Colour = number;
export const TRUE_COLOUR = 0x1000000;

export const enum Attr {
  bold = 1,
  dim = 2,
  italic = 4,
  underline = 8,
  inverse = 16,
  strike = 32,
  /** Not of a style: stands for a character or a byte that cannot be shown as what it is. */
  shown = 64,
}

export interface Style {
  fg: Colour;
  bg: Colour;
  attrs: number;
  /** Target of an OSC 8 link, '' for none. */
  link: string;
}

export const PLAIN: Style = /* @__PURE__ */ Object.freeze({ fg: 0, bg: 0, attrs: 0, link: '' });

/** Styles as small numbers, so that the index holds one integer a line. 0 is the plain style. */
export class StyleTable {
  readonly #styles: Style[] = [PLAIN];
  readonly #ids = new Map<string, number>([['0,0,0,', 0]]);

  id(s: Style): number {
    if (s.fg === 0 && s.bg === 0 && s.attrs === 0 && s.link === '') return 0; // as most lines end
    const key = `${s.fg},${s.bg},${s.attrs},${s.link}`;
    let id = this.#ids.get(key);
    if (id === undefined) {
      // A log that invents a new colour for each line must not grow this without end.
      if (this.#styles.length >= 65535) return 0;
      id = this.#styles.length;
      this.#styles.push({ ...s });
      this.#ids.set(key, id);
    }
    return id;
  }

  get(id: number): Style {
    return this.#styles[id] ?? PLAIN;
  }
}

/** A colour sub-sequence (38 or 48) that starts at p[i]: the colour and the index of its last part. */
function extendedColour(p: readonly number[], i: number): [Colour, number] | null {
  const byte = (v: number | undefined) => (v !== undefined && v > 0 ? v & 255 : 0);
  if (p[i + 1] === 5) {
    const n = byte(p[i + 2]);
    return [n < 16 ? n + 1 : n + 17, i + 2];
  }
  if (p[i + 1] === 2) {
    return [TRUE_COLOUR | (byte(p[i + 2]) << 16) | (byte(p[i + 3]) << 8) | byte(p[i + 4]), i + 4];
  }
  return null;
}

/** What a parameter below 30 adds, and what it takes away. */
const ON: Readonly<Record<number, number>> = { 1: Attr.bold, 2: Attr.dim, 3: Attr.italic, 4: Attr.underline, 21: Attr.underline, 7: Attr.inverse, 9: Attr.strike };
const OFF: Readonly<Record<number, number>> = { 22: Attr.bold | Attr.dim, 23: Attr.italic, 24: Attr.underline, 27: Attr.inverse, 29: Attr.strike };

/** Applies the parameters of one SGR sequence. -1 stands for an empty parameter. */
export function applySgr(s: Style, p: readonly number[]): void {
  for (let i = 0; i < p.length; i++) {
    const v = p[i]! < 0 ? 0 : p[i]!;
    if (v === 0) s.fg = s.bg = s.attrs = 0;
    else if (v < 30) s.attrs = (s.attrs & ~(OFF[v] ?? 0)) | (ON[v] ?? 0);
    else if (v <= 37) s.fg = v - 29;
    else if (v === 39) s.fg = 0;
    else if (v >= 40 && v <= 47) s.bg = v - 39;
    else if (v === 49) s.bg = 0;
    else if (v >= 90 && v <= 97) s.fg = v - 81;
    else if (v >= 100 && v <= 107) s.bg = v - 91;
    else if (v === 38 || v === 48) {
      const c = extendedColour(p, i);
      if (!c) return; // unknown colour space: the rest cannot be told apart from its parts
      if (v === 38) s.fg = c[0];
      else s.bg = c[0];
      i = c[1];
    }
  }
}

export interface Sequence {
  /** Index of the first byte after the sequence. */
  end: number;
  /** CSI K, erase in line: 0 to the end, 1 to the start, 2 all. -1: it is another. */
  erase: number;
}

const seq: Sequence = { end: 0, erase: -1 };
/** The parameter of a sequence with one, as most are: a list for each would be most of what reading it costs. */
const one = [0];
const ascii = /* @__PURE__ */ new TextDecoder();

/** Links may only lead to the web; anything else is shown as plain text. */
export function safeLink(url: string): string {
  return /^https?:\/\/[^\s\u0000-\u001f\u007f]+$/i.test(url) && url.length <= 2048 ? url : '';
}

/** SGR colons: 38:2::r:g:b (with a colour space id) becomes 38;2;r;g;b. */
function foldColons(p: number[], colon: boolean): void {
  if (colon && (p[0] === 38 || p[0] === 48) && p[1] === 2 && p.length === 6) p.splice(2, 1);
  else if (colon && p[0] === 4) p.splice(0, p.length, p[1] === 0 ? 24 : 4);
}

/**
 * Parses the sequence whose ESC is at u[i], applying SGR and OSC 8 to `style`. The result object is
 * reused by the next call. A sequence that is cut off swallows what is there.
 */
export function parseEscape(u: Uint8Array, i: number, end: number, style: Style): Sequence {
  seq.erase = -1;
  const first = u[i + 1];
  if (first === 0x5b) return parseCsi(u, i + 2, end, style);
  if (first === 0x5d) return parseOsc(u, i + 2, end, style);
  if (first === 0x50 || first === 0x58 || first === 0x5e || first === 0x5f) {
    seq.end = stringEnd(u, i + 2, end)[1];
    return seq;
  }
  // ESC, intermediates 0x20..0x2f, final
  let j = i + 1;
  while (j < end && u[j]! >= 0x20 && u[j]! <= 0x2f) j++;
  seq.end = Math.min(end, j + 1);
  return seq;
}

function parseCsi(u: Uint8Array, from: number, end: number, style: Style): Sequence {
  let p: number[] | null = null;
  let value = -1;
  let colon = false;
  let plain = true;
  for (let j = from; j < end; j++) {
    const c = u[j]!;
    if (c >= 0x30 && c <= 0x39) value = Math.min(99999, (value < 0 ? 0 : value) * 10 + c - 0x30);
    else if (c === 0x3b || c === 0x3a) {
      p ??= [];
      if (p.length < 64) p.push(value);
      value = -1;
      colon ||= c === 0x3a;
    } else if (c >= 0x40 && c <= 0x7e) {
      if (p) p.push(value);
      else one[0] = value;
      p ??= one;
      seq.end = j + 1;
      if (c === 0x6d && plain) {
        foldColons(p, colon);
        applySgr(style, p);
      } else if (c === 0x4b && plain) seq.erase = Math.max(0, p[0]!);
      return seq;
    } else if (c < 0x20) {
      seq.end = j; // a control byte ends it and is looked at itself
      return seq;
    } else plain = false; // private marks and intermediates: not ours
  }
  seq.end = end;
  return seq;
}

/** End of a control string: [end of its text, first byte after the terminator]. */
function stringEnd(u: Uint8Array, from: number, end: number): [number, number] {
  for (let j = from; j < end; j++) {
    if (u[j] === 7) return [j, j + 1];
    if (u[j] === 0x1b) return u[j + 1] === 0x5c ? [j, Math.min(end, j + 2)] : [j, j];
  }
  return [end, end];
}

function parseOsc(u: Uint8Array, from: number, end: number, style: Style): Sequence {
  const [textEnd, after] = stringEnd(u, from, end);
  seq.end = after;
  // 8 ; params ; url
  if (u[from] === 0x38 && u[from + 1] === 0x3b) {
    let j = from + 2;
    while (j < textEnd && u[j] !== 0x3b) j++;
    style.link = safeLink(ascii.decode(u.subarray(Math.min(textEnd, j + 1), textEnd)));
  }
  return seq;
}

/** One of the two reds. */
export function isRedStyle(s: { fg: Colour }): boolean {
  return s.fg === 2 || s.fg === 10;
}

/** The style after the bytes, for lines that are not shown. Says whether it was red before, behind or on the way. */
export function styleAfter(u: Uint8Array, from: number, end: number, style: Style): boolean {
  let red = isRedStyle(style);
  for (let i = from; i < end; ) {
    if (u[i] !== 0x1b) i++;
    else {
      i = Math.max(i + 1, parseEscape(u, i, end, style).end);
      red ||= isRedStyle(style);
    }
  }
  return red;
}
