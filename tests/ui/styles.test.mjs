// Every class that a style names is one that the page sets, and every class that the page sets has a style, or is what
// code or a test finds it by, or is listed here. What nobody uses is weight that everybody loads.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ui } from './harness.mjs';

/** They only tell what something is: parts that a style or a test may want, and looks that differ by having none. */
const NAMES = new Set(['brand-name', 'entry-text', 'secondary', 'with-times']);
/** Made of a name and a number, or of a state's name: what they begin with, and where. */
const MADE = [
  [/^fg\d+$/, 'log/view/rowview.ts', /`fg\$\{/],
  [/^bg\d+$/, 'log/view/rowview.ts', /`bg\$\{/],
  [/^line-\d$/, 'pages/resources/History.tsx', /line-\$\{/],
];

const src = path.join(ui, 'src');
const files = (dir, ends) => fs.readdirSync(dir, { recursive: true }).map(String).filter((f) => ends.test(f)).map((f) => path.join(dir, f));
const read = (f) => fs.readFileSync(f, 'utf8');

/** The text between the brace at `from` and the one that closes it. */
function braced(text, from) {
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return text.slice(from + 1, i);
  }
  throw new Error('a brace is not closed');
}

const words = (text) => text.split(/\s+/).filter((w) => /^-?[a-z][\w-]*$/i.test(w));

/** Words of the texts in an expression; what something is compared with is no class. */
function ofExpression(expression) {
  const found = [];
  const rest = expression.replace(/`(?:[^`\\]|\\.)*`/g, (template) => {
    let outside = '';
    for (let i = 1; i < template.length - 1; i++) {
      if (template.startsWith('${', i)) {
        const inner = braced(template, i + 1);
        found.push(...ofExpression(inner));
        i += inner.length + 2;
        outside += '\u0000'; // part of a name
      } else outside += template[i];
    }
    found.push(...words(outside.replace(/\S*\u0000\S*/g, (w) => (w === '\u0000' ? ' ' : w))));
    return '';
  });
  for (const m of rest.replace(/[!=]==\s*'[^']*'/g, '').matchAll(/'([^']*)'/g)) found.push(...words(m[1]));
  return found;
}

function usedIn(text) {
  const found = [];
  for (const m of text.matchAll(/\bclass(?:Name)?=(?:"([^"]*)"|(?=\{))/g)) found.push(...(m[1] === undefined ? ofExpression(braced(text, m.index + m[0].length)) : words(m[1])));
  for (const m of text.matchAll(/\bclassName = ([^;]+);/g)) found.push(...ofExpression(m[1]));
  for (const m of text.matchAll(/\bclassList\.(?:add|toggle)\(\s*([^)]+)\)/g)) found.push(...ofExpression(m[1]));
  return found;
}

const styles = files(path.join(src, 'styles'), /\.css$/).map((f) => read(f).replace(/\/\*[^]*?\*\//g, ''));
const styled = new Set(styles.flatMap((css) => [...css.matchAll(/([^{}]+)\{/g)].flatMap((m) => [...m[1].matchAll(/\.(-?[a-z_][\w-]*)/gi)].map((c) => c[1]))));
const code = new Map(files(src, /\.tsx?$/).map((f) => [path.relative(src, f), read(f)]));
const used = new Map([...code].flatMap(([f, text]) => usedIn(text).map((c) => [c, f])));

test('every class that has a style is used', () => {
  const all = [...code.values()].join('\n');
  const uplot = read(path.join(ui, 'node_modules/uplot/dist/uPlot.esm.js'));
  const unused = [...styled].filter((name) => {
    if (name.startsWith('u-')) return !uplot.includes(`"${name.slice(2)}"`);
    const made = MADE.find(([of]) => of.test(name));
    if (made) return !made[2].test(code.get(made[1]) ?? '');
    // Also where it is not seen as a class: names of tones, levels and statuses are put together elsewhere.
    return !used.has(name) && !new RegExp(`['"\`\\s]${name}['"\`\\s]|\\b${name}:`).test(all);
  });
  assert.deepEqual(unused, []);
});

test('every class that is used has a style, or something is found by it', () => {
  const tests = path.dirname(fileURLToPath(import.meta.url));
  const finders = [...code.values(), ...['.', '../e2e', '../bench', '../smoke'].flatMap((d) => files(path.join(tests, d), /\.(mjs|ts)$/).map(read))].join('\n');
  const found = (name) => new RegExp(`\\.${name}(?![\\w-])`).test(finders);
  assert.deepEqual([...used].filter(([name]) => !styled.has(name) && !found(name) && !NAMES.has(name)), []);
});
