// Colours of the log. The sixteen are theme tokens (classes); of the 256 and the true colours, text
// is moved towards white or black until it can be read on what is behind it.

import { TRUE_COLOUR, type Colour } from '../ansi.ts';

export type Rgb = readonly [number, number, number];

/** Log background of each theme, as in tokens.css. */
const BACK: Record<'dark' | 'light', Rgb> = { dark: [9, 10, 14], light: [253, 253, 255] };
/** 4.5 is what has to be kept; a row under the pointer, of an error or picked is tinted, which takes some. */
const MIN_CONTRAST = 5.6;

/** Red, green and blue of a colour past the sixteen; null for those, which are the theme's. */
export function rgbOf(c: Colour): Rgb | null {
  if (c >= TRUE_COLOUR) return [(c >> 16) & 255, (c >> 8) & 255, c & 255];
  if (c < 17) return null;
  const i = c - 17;
  if (i >= 232) {
    const grey = 8 + (i - 232) * 10;
    return [grey, grey, grey];
  }
  const cube = i - 16;
  const level = (v: number) => (v > 0 ? 55 + v * 40 : 0);
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

function linear(v: number): number {
  const x = v / 255;
  return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
}

export function luminance([r, g, b]: Rgb): number {
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}

export function contrast(a: Rgb, b: Rgb): number {
  const x = luminance(a);
  const y = luminance(b);
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

const hex = (c: Rgb): string => `#${c.map((v) => Math.round(v).toString(16).padStart(2, '0')).join('')}`;

/** The nearest colour to `c` that can be read on `back`. */
export function readable(c: Rgb, back: Rgb): Rgb {
  if (contrast(c, back) >= MIN_CONTRAST) return c;
  const target = luminance(back) < 0.18 ? 255 : 0;
  let lo = 0;
  let hi = 1;
  const mix = (k: number): Rgb => [c[0] + (target - c[0]) * k, c[1] + (target - c[1]) * k, c[2] + (target - c[2]) * k];
  for (let i = 0; i < 8; i++) {
    const mid = (lo + hi) / 2;
    if (contrast(mix(mid).map(Math.round) as unknown as Rgb, back) >= MIN_CONTRAST) hi = mid;
    else lo = mid;
  }
  return mix(hi);
}

const cache = new Map<string, string>();

/** CSS colour of text in `fg` (not one of the sixteen) on `bg` (null: the log's own). */
export function textColour(fg: Rgb, bg: Rgb | null, dark: boolean): string {
  const back = bg ?? BACK[dark ? 'dark' : 'light'];
  const key = `${fg.join()}/${back.join()}`;
  let css = cache.get(key);
  if (css === undefined) {
    if (cache.size > 4096) cache.clear();
    css = hex(readable(fg, back));
    cache.set(key, css);
  }
  return css;
}

/** Black or white, whichever reads better on a coloured background. */
export function onColour(bg: Rgb): string {
  return contrast([255, 255, 255], bg) >= contrast([0, 0, 0], bg) ? '#fff' : '#000';
}

export const cssOf = hex;
