// The licences of what the page is made of, as one text file that About links to.
import * as fs from 'node:fs';

const SHIPPED = ['preact', '@preact/signals', '@preact/signals-core', 'lucide-static', '@fontsource-variable/geist', '@fontsource-variable/geist-mono'];

export function licences() {
  const parts = ['Ops Dashboard ships with parts of these packages.\n'];
  for (const name of SHIPPED) {
    const folder = `node_modules/${name}`;
    const { version, license } = JSON.parse(fs.readFileSync(`${folder}/package.json`, 'utf8'));
    const file = fs.readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
    const text = file ? fs.readFileSync(`${folder}/${file}`, 'utf8').trim() : license;
    parts.push(`${'='.repeat(78)}\n${name} ${version} (${license})\n${'='.repeat(78)}\n\n${text}\n`);
  }
  return parts.join('\n');
}
