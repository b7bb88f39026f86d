// The licences of what the page is made of, as one text file that About links to.
import * as fs from 'node:fs';

const SHIPPED = ['preact', '@preact/signals', '@preact/signals-core', 'uplot', 'lucide-static', '@fontsource-variable/geist', '@fontsource-variable/geist-mono'];

export function licences() {
  const parts = ['Ops Dashboard ships with parts of these packages.\n'];
  /** Names above each text: some packages share one. */
  const texts = new Map();
  for (const name of SHIPPED) {
    const folder = `node_modules/${name}`;
    const { version, license } = JSON.parse(fs.readFileSync(`${folder}/package.json`, 'utf8'));
    const file = fs.readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
    const text = file ? fs.readFileSync(`${folder}/${file}`, 'utf8').trim() : license;
    texts.set(text, [...(texts.get(text) ?? []), `${name} ${version} (${license})`]);
  }
  for (const [text, names] of texts) parts.push(`${'='.repeat(78)}\n${names.join('\n')}\n${'='.repeat(78)}\n\n${text}\n`);
  return parts.join('\n');
}
