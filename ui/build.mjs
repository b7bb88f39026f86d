// Builds the page and embeds it.
//
//   node build.mjs --out DIR [--c] [--depfile FILE] [--version V] [--report]
//
// DIR/dist gets the files as they are served. With --c, DIR gets assets.c (the table of
// core/web/asset.h), blobs.S (the bytes, by .incbin) and blob/. No network; the same sources give
// the same dist/ in any folder. Compressed bytes may differ between Node versions, so ETags come
// from the raw bytes.

import * as fs from 'node:fs';
import * as path from 'node:path';
import * as zlib from 'node:zlib';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { iconSprite, favicons, appIcon } from './build/icons.mjs';
import { embed } from './build/embed.mjs';
import { licences } from './build/licences.mjs';
import { report } from './build/report.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const flag = (name) => process.argv.includes(name);
const option = (name) => {
  const i = process.argv.indexOf(name);
  return i < 0 ? null : process.argv[i + 1];
};

if (!fs.existsSync(path.join(here, 'node_modules/esbuild/package.json'))) {
  console.error(
    'ui/node_modules is missing. Run `npm ci --ignore-scripts` in ui/ (./dev build does it for you),\n' +
      'or configure with -Dui=none for a daemon without the page.',
  );
  process.exit(1);
}
const esbuild = await import('esbuild');

const out = path.resolve(option('--out') ?? path.join(here, 'dist'));
const depfile = option('--depfile') && path.resolve(option('--depfile'));
const version = option('--version') ?? '0.0.0';
const dist = path.join(out, 'dist');
process.chdir(here); // esbuild's paths, and so its hashes, must not depend on where it was started

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 12);
const inputs = new Set();
for (const f of fs.readdirSync('build')) inputs.add(path.join(here, 'build', f));
for (const f of ['build.mjs', 'package.json', 'package-lock.json', 'src/icons.mjs']) inputs.add(path.join(here, f));

fs.rmSync(dist, { recursive: true, force: true });
fs.mkdirSync(path.join(dist, 'assets'), { recursive: true });
const write = (name, bytes) => fs.writeFileSync(path.join(dist, name), bytes);
const writeHashed = (name, ext, bytes) => {
  const file = `assets/${name}-${hash(bytes)}${ext}`;
  write(file, bytes);
  return '/' + file;
};

const common = {
  absWorkingDir: here,
  bundle: true,
  minify: !flag('--dev'),
  target: ['chrome123', 'firefox121', 'safari17.5'],
  legalComments: 'none',
  charset: 'utf8',
  format: 'esm',
  metafile: true,
  logLevel: 'warning',
};
const track = (result) => {
  for (const f of Object.keys(result.metafile.inputs)) inputs.add(path.resolve(here, f));
  return result;
};

// 1. icons, 2. the worker, 3. the page, which knows the names of both
const sprite = writeHashed('icons', '.svg', Buffer.from(iconSprite((await import('./src/icons.mjs')).default)));
const icons = {};
for (const [state, svg] of Object.entries(favicons())) icons[state] = writeHashed(`icon-${state}`, '.svg', Buffer.from(svg));

const workerBuild = track(await esbuild.build({ ...common, entryPoints: ['src/log/worker/worker.ts'], write: false }));
const worker = writeHashed('log-worker', '.js', Buffer.from(workerBuild.outputFiles[0].contents));

// What everybody loads is one file, not one for each set of pages that share it: each request is a round trip. So what is
// loaded later is told to need the entry, which is there by then.
const main = path.join(here, 'src/main.tsx');
const later = new Set();
for (const f of fs.readdirSync('src', { recursive: true }).map(String).filter((f) => /\.tsx?$/.test(f))) {
  const at = path.join(here, 'src', f);
  for (const [, what] of fs.readFileSync(at, 'utf8').matchAll(/\bimport\('(\.[^']+)'\)/g)) later.add(path.resolve(path.dirname(at), what));
}
const oneFile = {
  name: 'one-file',
  setup(b) {
    b.onLoad({ filter: /\.tsx?$/ }, ({ path: file }) => {
      if (!later.has(file)) return undefined;
      const from = path.relative(path.dirname(file), main);
      return { contents: `${fs.readFileSync(file, 'utf8')}\nimport ${JSON.stringify(from.startsWith('.') ? from : `./${from}`)};\n`, loader: file.endsWith('x') ? 'tsx' : 'ts' };
    });
  },
};

const app = track(
  await esbuild.build({
    ...common,
    entryPoints: { app: 'src/main.tsx', style: 'src/styles/index.css' },
    splitting: true,
    plugins: [oneFile],
    outdir: path.join(dist, 'assets'),
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    publicPath: '/assets',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.woff2': 'file' },
    define: {
      __SPRITE__: JSON.stringify(sprite),
      __WORKER__: JSON.stringify(worker),
      __ICONS__: JSON.stringify(icons),
      __VERSION__: JSON.stringify(version),
    },
  }),
);

const outputs = Object.entries(app.metafile.outputs);
const url = (file) => '/assets/' + path.basename(file);
const entry = outputs.find(([, o]) => o.entryPoint === 'src/main.tsx');
const style = outputs.find(([, o]) => o.entryPoint === 'src/styles/index.css');
const needs = (output) => output.imports.filter((i) => i.kind === 'import-statement').map((i) => i.path);
const preloads = needs(entry[1]).map(url);
// The overview is opened most: its code comes beside the shell's. A page that is not shown costs nobody a second trip.
const machine = outputs.find(([, o]) => o.entryPoint === 'src/pages/overview/Machine.tsx');
const beside = [machine[0], ...needs(machine[1])].map(url).filter((u) => !preloads.includes(u) && u !== url(entry[0]));
const fonts = outputs.map(([file]) => file).filter((f) => /geist-latin-wght[^/]*woff2$/.test(f)).map(url);

write('favicon.svg', favicons().idle);
write('apple-touch-icon.png', appIcon(180));
for (const size of [192, 512]) write(`icon-${size}.png`, appIcon(size));
write('licences.txt', licences());
write(
  'manifest.webmanifest',
  JSON.stringify({
    id: '/',
    name: 'Ops Dashboard',
    short_name: 'Ops',
    description: 'Runs commands of a catalogue on a server and shows what they write.',
    start_url: '/',
    scope: '/',
    display: 'standalone',
    background_color: '#0c0e13',
    theme_color: '#0c0e13',
    icons: [
      { src: '/favicon.svg', sizes: 'any', type: 'image/svg+xml' },
      ...['any', 'maskable'].flatMap((purpose) => [192, 512].map((size) => ({ src: `/icon-${size}.png`, sizes: `${size}x${size}`, type: 'image/png', purpose }))),
    ],
    shortcuts: [
      { name: 'Commands', url: '/commands', icons: [{ src: '/icon-192.png', sizes: '192x192' }] },
      { name: 'History', url: '/history', icons: [{ src: '/icon-192.png', sizes: '192x192' }] },
    ],
  }) + '\n',
);

// What this build is: every file but the page itself, which carries it.
const files = () => fs.readdirSync(dist, { recursive: true, withFileTypes: false }).map(String).filter((f) => fs.statSync(path.join(dist, f)).isFile()).sort();
const build = hash(files().map((f) => `${f} ${hash(fs.readFileSync(path.join(dist, f)))}\n`).join(''));

write(
  'index.html',
  [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8">`,
    '<meta name="viewport" content="width=device-width,initial-scale=1,viewport-fit=cover">',
    '<meta name="color-scheme" content="dark light">',
    '<meta name="theme-color" media="(prefers-color-scheme: light)" content="#f8f9fb">',
    '<meta name="theme-color" media="(prefers-color-scheme: dark)" content="#0c0e13">',
    `<meta name="ops-build" content="${build}">`,
    '<title>Ops</title>',
    ...fonts.map((f) => `<link rel="preload" as="font" type="font/woff2" crossorigin href="${f}">`),
    `<link rel="stylesheet" href="${url(style[0])}">`,
    ...[...preloads, ...beside].map((p) => `<link rel="modulepreload" href="${p}">`),
    `<script type="module" src="${url(entry[0])}"></script>`,
    '<link rel="icon" type="image/svg+xml" href="/favicon.svg">',
    '<meta name="apple-mobile-web-app-title" content="Ops">',
    '<link rel="apple-touch-icon" href="/apple-touch-icon.png">',
    '<link rel="manifest" href="/manifest.webmanifest">',
    '</head><body><div id="app"></div>',
    '<noscript><p>Ops Dashboard needs JavaScript.</p></noscript></body></html>',
    '',
  ].join('\n'),
);

const MIME = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.txt': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
};
const assets = files().map((f) => {
  const raw = fs.readFileSync(path.join(dist, f));
  const ext = path.extname(f);
  const packs = ext !== '.woff2' && ext !== '.png';
  const gz = packs ? zlib.gzipSync(raw, { level: 9 }) : null;
  if (gz) gz[9] = 255; // the operating system byte
  const br = packs
    ? zlib.brotliCompressSync(raw, {
        params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: raw.length },
      })
    : null;
  const smaller = (b) => (b && b.length < raw.length ? b : null);
  const immutable = f.startsWith('assets/');
  // Every browser that can run the page takes gzip: what only the page asks for is not kept twice as large as well.
  return { path: '/' + f, mime: MIME[ext], etag: hash(raw), immutable, raw: immutable && smaller(gz) ? null : raw, gz: smaller(gz), br: smaller(br) };
});

if (flag('--c')) embed(out, assets, build);
if (depfile) {
  const escaped = [...inputs].sort().map((f) => f.replace(/[ #$]/g, '\\$&'));
  fs.writeFileSync(depfile, `assets.c blobs.S: ${escaped.join(' \\\n  ')}\n`);
}
if (flag('--report')) {
  // A page's chunk with all that it cannot be shown without and that is not here already.
  const closure = (file, seen = new Set()) => {
    if (seen.has(file)) return seen;
    seen.add(file);
    for (const i of app.metafile.outputs[file].imports) if (i.kind === 'import-statement') closure(i.path, seen);
    return seen;
  };
  const first = closure(entry[0]);
  const runPage = outputs.find(([, o]) => o.entryPoint === 'src/pages/run/RunPage.tsx')[0];
  const log = [...closure(runPage)].filter((f) => !first.has(f)).map(url);
  process.exitCode = report(assets, { entry: [url(entry[0]), ...preloads], style: url(style[0]), worker, log });
}
