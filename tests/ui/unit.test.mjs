// The unit tests of the page: tests/ui/unit/*.test.ts, bundled by the page's own esbuild.
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const ui = path.join(here, '../../ui');
const { build } = createRequire(path.join(ui, 'package.json'))('esbuild');

const out = fs.mkdtempSync(path.join(os.tmpdir(), 'ops-ui-unit-'));
process.on('exit', () => fs.rmSync(out, { recursive: true, force: true }));

const only = process.env.OPS_UI_TEST;
const entryPoints = fs
  .readdirSync(path.join(here, 'unit'))
  .filter((f) => f.endsWith('.test.ts') && (!only || f.includes(only)))
  .map((f) => path.join(here, 'unit', f));
await build({
  entryPoints,
  outdir: out,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node18',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  nodePaths: [path.join(ui, 'node_modules')],
  outExtension: { '.js': '.mjs' },
  sourcemap: 'inline',
  define: { __SPRITE__: '""', __WORKER__: '""', __ICONS__: '{}', __VERSION__: '"test"', __VECTORS__: JSON.stringify(path.join(here, '../vectors')) },
  logLevel: 'warning',
});
for (const f of fs.readdirSync(out).sort()) await import(pathToFileURL(path.join(out, f)).href);
