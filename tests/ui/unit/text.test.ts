import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { applySgr, Attr, PLAIN, safeLink, StyleTable, TRUE_COLOUR } from '../../../ui/src/log/ansi.ts';
import { isRed, lineRuns, runsText } from '../../../ui/src/log/worker/text.ts';
import { contrast, onColour, readable, rgbOf } from '../../../ui/src/log/view/colour.ts';
import { isErrorText, markRuns, queryRegExp } from '../../../ui/src/log/worker/scan.ts';

const enc = new TextEncoder();
const runs = (s: string | Uint8Array, moves = false) => lineRuns(typeof s === 'string' ? enc.encode(s) : s, PLAIN, moves);
const text = (s: string | Uint8Array, moves = false) => runsText(runs(s, moves));

test('sixteen, 256 and true colours', () => {
  const [a, b, c, d] = runs('\x1b[31ma\x1b[94mb\x1b[38;5;208mc\x1b[48;2;1;2;3md');
  assert.equal(a!.fg, 2);
  assert.equal(b!.fg, 13);
  assert.equal(c!.fg, 225);
  assert.equal(d!.bg, TRUE_COLOUR | 0x010203);
  assert.equal(d!.fg, 225);
});

test('the colon form of true colour, with and without a colour space', () => {
  assert.equal(runs('\x1b[38:2::10:20:30mx')[0]!.fg, TRUE_COLOUR | 0x0a141e);
  assert.equal(runs('\x1b[38:2:10:20:30mx')[0]!.fg, TRUE_COLOUR | 0x0a141e);
  assert.equal(runs('\x1b[38:5:9mx')[0]!.fg, 10);
});

test('attributes go on and off', () => {
  const s = { ...PLAIN };
  applySgr(s, [1, 3, 4, 7, 9]);
  assert.equal(s.attrs, Attr.bold | Attr.italic | Attr.underline | Attr.inverse | Attr.strike);
  applySgr(s, [22, 23, 24, 27, 29]);
  assert.equal(s.attrs, 0);
  applySgr(s, [1, 31]);
  applySgr(s, [-1]);
  assert.deepEqual(s, { ...PLAIN });
});

test('links lead to the web or nowhere', () => {
  assert.equal(runs('\x1b]8;;https://example.org/\x07go\x1b]8;;\x07')[0]!.link, 'https://example.org/');
  assert.equal(runs('\x1b]8;id=1;http://example.org/\x1b\\go\x1b]8;;\x1b\\ on')[0]!.link, 'http://example.org/');
  for (const bad of ['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'https://', 'https://a b', '//x'])
    assert.equal(safeLink(bad), '', bad);
});

test('sequences that are not ours vanish', () => {
  assert.equal(text('a\x1b[2Jb\x1b[?25lc\x1b(Bd\x1b]0;title\x07e\x1bPq#0\x1b\\f\x1b=g'), 'abcdefg');
});

test('a sequence that is cut off does no harm', () => {
  for (const s of ['a\x1b', 'a\x1b[', 'a\x1b[38;5', 'a\x1b]8;;http://x', 'a\x1b]8;', 'a\x1bP']) assert.equal(text(s), 'a');
});

test('a carriage return overwrites from the first column and keeps the rest', () => {
  assert.equal(text('abcdef\rXY', true), 'XYcdef');
  assert.equal(text('10%\r50%\r100%', true), '100%');
});

test('backspace and erase', () => {
  assert.equal(text('abc\b\bX', true), 'aXc');
  assert.equal(text('\b\babc', true), 'abc');
  assert.equal(text('12345\r\x1b[Kok', true), 'ok');
  assert.equal(text('12345\x1b[1K', false), '');
  assert.equal(text('abc\x1b[2K', false), '');
});

test('bytes that are no UTF-8 are shown', () => {
  assert.equal(text(new Uint8Array([0x61, 0xff, 0xc3, 0x28, 0xe2, 0x82, 0x62])), 'a\\xff\\xc3(\\xe2\\x82b');
  assert.equal(text(new Uint8Array([0xed, 0xa0, 0x80])), '\\xed\\xa0\\x80');
  assert.equal(text('日本 é 👍'), '日本 é 👍');
});

test('control and reordering characters are shown', () => {
  assert.equal(text('a\x00b\x07c\x7f'), 'a\\x00b\\x07c\\x7f');
  assert.equal(text('x\u202ey\u2066z\u200b'), 'x\\u202ey\\u2066z\\u200b');
  assert.deepEqual(runs('\x1b[31m\\x07\x07\x07b').map((r) => [r.text, r.fg, r.attrs]), [['\\x07', 2, 0], ['\\x07\\x07', 2, Attr.shown], ['b', 2, 0]], 'told from the same letters');
  assert.equal(text('\x07bc\rX', true), 'Xbc', 'one place, however many letters');
  assert.equal(text('tab\tstays'), 'tab\tstays');
});

test('the style table is bounded and starts with the plain style', () => {
  const t = new StyleTable();
  assert.equal(t.id(PLAIN), 0);
  const id = t.id({ fg: 2, bg: 0, attrs: 1, link: '' });
  assert.equal(t.id({ fg: 2, bg: 0, attrs: 1, link: '' }), id);
  for (let i = 0; i < 70000; i++) t.id({ fg: TRUE_COLOUR | i, bg: 0, attrs: 0, link: '' });
  assert.equal(t.id({ fg: TRUE_COLOUR | 0xffffff, bg: 1, attrs: 3, link: '' }), 0);
});

test('every 256-colour text can be read on both backgrounds', () => {
  for (const back of [[9, 10, 14], [253, 253, 255]] as const) {
    for (let i = 17; i < 273; i++) {
      const c = rgbOf(i)!;
      const fixed = readable(c, back).map(Math.round) as [number, number, number];
      assert.ok(contrast(fixed, back) >= 4.45, `${i} on ${back.join()}`);
    }
  }
  assert.equal(onColour([0, 0, 0]), '#fff');
  assert.equal(onColour([255, 255, 0]), '#000');
});

test('what counts as an error is what the dashboard says', () => {
  const vectors = JSON.parse(readFileSync(`${__VECTORS__}/errors.json`, 'utf8')) as Record<'errors' | 'others', string[]>;
  const isError = (line: string): boolean => isErrorText(runsText(runs(line, true))) || isRed(runs(line, true));
  assert.deepEqual(vectors.errors.filter((l) => !isError(l)), []);
  assert.deepEqual(vectors.others.filter(isError), []);
});

test('hits are marked across the runs they span', () => {
  const marked = markRuns(runs('ab\x1b[31mcd\x1b[0mef'), queryRegExp({ text: 'bcde', regex: false }));
  assert.deepEqual(marked.map((r) => [r.text, r.mark ?? 0] as const).map(([t, m]) => `${t}${m}`), ['a0', 'b1', 'cd1', 'e1', 'f0']);
});

test('small letters find capitals, capitals are exact, patterns are patterns', () => {
  assert.ok(queryRegExp({ text: 'warn', regex: false }).test('WARN'));
  assert.ok(!queryRegExp({ text: 'Warn', regex: false }).test('warn'));
  assert.ok(queryRegExp({ text: 'a.c', regex: true }).test('abc'));
  assert.ok(!queryRegExp({ text: 'a.c', regex: false }).test('abc'));
  assert.throws(() => queryRegExp({ text: '(', regex: true }));
});

test('what is no text at all is few runs', () => {
  const bytes = new Uint8Array(65536).map((_, i) => (i % 2 ? 0xff : 0x61));
  assert.ok(runs(bytes).length < 10, 'each byte in a run of its own could not be drawn');
  assert.equal(text(bytes).slice(0, 10), 'a\\xffa\\xff');
  assert.equal(text(bytes, true), text(bytes));
});

test('UTF-8 is decoded as the browser does, and what is none is shown byte by byte', () => {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** The shortest whole character at i, by trying. */
  const wanted = (u: Uint8Array): string => {
    let out = '';
    for (let i = 0; i < u.length; ) {
      let n = 1;
      let c: string | null = null;
      for (; n <= 4 && i + n <= u.length && c === null; n++) {
        try {
          c = strict.decode(u.subarray(i, i + n));
        } catch {
          // not yet, or none
        }
      }
      if (c === null) out += `\\x${u[i++]!.toString(16)}`;
      else {
        out += c;
        i += n - 1;
      }
    }
    return out;
  };
  let seed = 42;
  const random = (n: number) => (seed = (seed * 16807) % 2147483647) % n;
  const edges = [0x41, 0x7e, 0xa1, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0x10000, 0x1f600, 0x10ffff];
  for (let round = 0; round < 3000; round++) {
    const whole = enc.encode(Array.from({ length: 6 }, () => String.fromCodePoint(edges[random(edges.length)]!)).join(''));
    // Cut, changed in a byte, or noise of the bytes that begin and go on characters.
    const u = round % 3 === 0 ? whole.slice(random(4), whole.length - random(4)) : round % 3 === 1 ? whole.map((b, i) => (i === round % whole.length ? 0x80 + random(0x80) : b)) : Uint8Array.from({ length: 12 }, () => [0x41, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xa0, 0xef, 0xf0, 0xf4, 0xf5, 0x90, 0xff][random(14)]!);
    const clear = wanted(u);
    if (/[\u007f-\u009f\u00ad\u200b\ufeff\ufff9-\ufffb]/.test(clear)) continue; // shown in a way of their own
    assert.equal(text(u), clear, [...u].map((b) => b.toString(16)).join(' '));
  }
  const long = enc.encode('…'.repeat(5000) + '\x01' + 'é'.repeat(3000));
  assert.equal(text(long), '…'.repeat(5000) + '\\x01' + 'é'.repeat(3000));
});
