// The page in engines that the other tests do not use, on the real daemons: signs in, starts a run, follows its log, searches,
// opens a line far inside a large one, in both themes and on a phone's width. Whatever the page complains of is collected from
// its first script on, and must be nothing. OPS_SMOKE_SHOTS=DIR keeps pictures.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import http from 'node:http';
import * as path from 'node:path';
import { Stack } from '../integration/lib/stack.mjs';
import { firefox, webkit } from './driver.mjs';

const COLLECT = `
globalThis.complaints = [];
const put = (what) => globalThis.complaints.push(String(what).slice(0, 300));
addEventListener('error', (e) => put('error: ' + e.message));
addEventListener('unhandledrejection', (e) => put('rejection: ' + e.reason));
addEventListener('securitypolicyviolation', (e) => put('csp: ' + e.violatedDirective + ' ' + e.blockedURI));
for (const level of ['error', 'warn']) {
  const plain = console[level];
  console[level] = (...args) => { put('console: ' + args.join(' ')); plain.apply(console, args); };
}
`;

const missing = (...programs) => programs.filter((p) => spawnSync('which', [p]).status !== 0).map((p) => `no ${p}`)[0] ?? false;
const engines = [
  ['Firefox ESR', firefox, missing('firefox-esr')],
  ['WebKitGTK', webkit, missing('WebKitWebDriver', 'xvfb-run')],
];
const shots = process.env.OPS_SMOKE_SHOTS;

// In front of the dashboard: puts the collector before the page's own script, and passes all else on as it is.
async function withCollector() {
  const proxy = { target: 0 };
  const pass = (req, packed) => {
    const at = `127.0.0.1:${proxy.target}`;
    const headers = { ...req.headers, host: at, ...(req.headers.origin ? { origin: `http://${at}` } : {}), ...(packed ? {} : { 'accept-encoding': 'identity' }) };
    return http.request({ host: '127.0.0.1', port: proxy.target, method: req.method, path: req.url, headers });
  };
  proxy.server = http.createServer((req, res) => {
    if (req.url === '/collect.js') {
      res.writeHead(200, { 'content-type': 'text/javascript' }).end(COLLECT);
      return;
    }
    const up = pass(req, req.url.startsWith('/api/') || req.url.startsWith('/assets/'));
    up.on('error', () => res.destroy());
    up.on('response', async (down) => {
      if (!/text\/html/.test(down.headers['content-type'] ?? '')) {
        res.writeHead(down.statusCode, down.headers);
        down.pipe(res);
        return;
      }
      let html = '';
      for await (const part of down) html += part;
      const { 'content-length': _, etag: __, ...headers } = down.headers;
      res.writeHead(down.statusCode, headers).end(html.replace('<title>', '<script src="/collect.js"></script><title>'));
    });
    req.pipe(up);
  });
  proxy.server.on('upgrade', (req, client, head) => {
    const up = pass(req, true);
    up.on('error', () => client.destroy());
    up.on('upgrade', (answer, server, first) => {
      client.write(`HTTP/1.1 101 Switching Protocols\r\n${answer.rawHeaders.reduce((all, v, i) => all + (i % 2 ? `${v}\r\n` : `${v}: `), '')}\r\n`);
      client.write(first);
      server.write(head);
      for (const [from, to] of [[client, server], [server, client]]) {
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
        from.pipe(to);
      }
    });
    up.end();
  });
  proxy.server.listen(0, '127.0.0.1');
  await once(proxy.server, 'listening');
  proxy.origin = `http://127.0.0.1:${proxy.server.address().port}`;
  return proxy;
}

describe('other engines', () => {
  let stack, proxy;

  before(async () => {
    proxy = await withCollector();
    stack = await Stack.start({ status: () => 'version: 1\ninterval: 1s\nhost: true\n' });
    proxy.target = stack.dashboard.port;
  });
  after(async () => {
    proxy?.server.closeAllConnections();
    proxy?.server.close();
    await stack?.destroy();
  });

  for (const [name, open, skip] of engines) {
    it(`${name}: sign in, run, follow, search, open a line far inside, both themes, a phone's width`, { skip }, async () => {
      const { session } = stack;
      const driver = await open();
      const shot = async (what) => {
        if (!shots) return;
        fs.mkdirSync(shots, { recursive: true });
        fs.writeFileSync(path.join(shots, `${name.split(' ')[0].toLowerCase()}-${what}.png`), Buffer.from(await driver.command('shot'), 'base64'));
      };
      const to = (href) => driver.run((at) => (history.pushState(null, '', at), dispatchEvent(new PopStateEvent('popstate'))), href);
      const press = (selector) => driver.run((s) => document.querySelector(s).click(), selector);
      try {
        await driver.command('open', { url: proxy.origin });
        await driver.type('#password', stack.dashboard.password);
        await driver.click('form button[type=submit]');
        await driver.waitFor(() => [...document.querySelectorAll('.metric-value')].some((e) => /%/.test(e.textContent)));
        await driver.waitFor(() => document.querySelector('.connection .dot.ok') !== null);
        assert.ok(await driver.run(() => document.fonts.check('14px Geist')), 'its font is there');
        await shot('overview');

        // A run with a form; its log streams and is followed to its end.
        await driver.click('nav a[href="/commands"]');
        await driver.waitFor(() => [...document.querySelectorAll('.entry-row')].some((e) => /demo\.work/.test(e.textContent)));
        await driver.run(() => [...document.querySelectorAll('.entry-row')].find((e) => /demo\.work/.test(e.textContent)).querySelector('.btn').click());
        await driver.waitFor(() => document.querySelector('#input-seconds') !== null);
        await shot('form');
        await driver.run(() => {
          const field = document.querySelector('#input-seconds');
          Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, '3');
          field.dispatchEvent(new Event('input', { bubbles: true }));
        });
        await driver.click('dialog [data-testid=start]');
        await driver.waitFor(() => /^\/runs\/\d+$/.test(location.pathname));
        await driver.waitFor(() => /Running/.test(document.querySelector('h1 .status')?.textContent ?? '') && document.querySelectorAll('.lr:not(.wait) .lx').length > 1);
        const early = await driver.run(() => document.querySelectorAll('.lr .lx').length);
        await driver.waitFor((n) => document.querySelectorAll('.lr .lx').length > n, early);
        await driver.waitFor(() => /Succeeded/.test(document.querySelector('h1 .status')?.textContent ?? ''));
        assert.match(await driver.run(() => document.title), /^✓ /);

        await to(`/runs/${(await session.run('demo.colours')).number}`);
        await driver.waitFor(() => /Succeeded/.test(document.querySelector('h1 .status')?.textContent ?? '') && document.querySelector('.lr .lx span') !== null);
        await driver.waitFor(() => [...document.fonts].some((f) => /Geist Mono/.test(f.family) && f.status === 'loaded'));
        for (const theme of ['dark', 'light']) {
          await driver.run((value) => (document.documentElement.dataset.theme = value), theme);
          const [ink, paper] = await driver.run(() => ['color', 'backgroundColor'].map((p) => getComputedStyle(document.body)[p]));
          assert.notEqual(ink, paper);
          await shot(`colours-${theme}`);
        }

        // A large log: its end is followed, what is far inside is found and opened.
        const flood = await session.run('demo.flood', { mib: 8 });
        await to(`/runs/${flood.number}`);
        await driver.waitFor(() => /Succeeded/.test(document.querySelector('h1 .status')?.textContent ?? ''));
        const { lines } = await session.finished(flood.id);
        await driver.waitFor((last) => [...document.querySelectorAll('.lr:not(.wait) .ln')].some((e) => e.textContent === String(last)), lines);
        await to(`/runs/${flood.number}#L60000`);
        await driver.waitFor(() => document.querySelector('.lr.picked .ln')?.textContent === '60000');
        const text = await driver.run(() => document.querySelector('.lr.picked .lx').textContent);
        assert.ok(text.length > 4);
        await press('.find-button, [aria-keyshortcuts~="/"]').catch(() => undefined);
        await driver.run(() => document.querySelector('.find input') ?? dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true })));
        await driver.type('.find input', text);
        await driver.waitFor(() => /\d/.test(document.querySelector('.find-count')?.textContent ?? ''));
        await driver.type('.find input', '\uE007');
        await driver.waitFor(() => document.querySelector('.lr.current .mark') !== null);
        await shot('search');
        await driver.run(() => (document.querySelector('.log-scroll').scrollTop = 0));
        await driver.waitFor(() => [...document.querySelectorAll('.lr:not(.wait) .ln')].some((e) => e.textContent === '1'));

        await driver.command('size', { width: 450, height: 844 });
        await to('/history');
        await driver.waitFor(() => document.querySelectorAll('a.run-row').length > 2);
        assert.ok(await driver.run(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the window');
        await shot('narrow');
        assert.deepEqual(await driver.run(() => globalThis.complaints), []);
      } finally {
        await driver.quit();
      }
    });
  }
});
