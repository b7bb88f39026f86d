// The page in engines that the other tests do not use: signs in, runs a command, shows its log, opens a line far inside a
// large one. Whatever the page complains of is collected from its first script on, and must be nothing.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { buildPage } from '../ui/harness.mjs';
import { Fixture } from '../ui/fixture-server.mjs';
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

let built;
before(() => {
  built = buildPage();
  fs.writeFileSync(path.join(built.dist, 'assets/collect.js'), COLLECT);
  const index = path.join(built.dist, 'index.html');
  fs.writeFileSync(index, fs.readFileSync(index, 'utf8').replace('<title>', '<script src="/assets/collect.js"></script><title>'));
});
after(() => built?.remove());

for (const [name, open, skip] of engines) {
  test(`${name}: sign in, run, read, open a line far inside`, { skip }, async () => {
    const fixture = new Fixture(built.dist);
    await fixture.listen();
    let driver;
    try {
      driver = await open();
      await driver.command('open', { url: fixture.origin });
      await driver.type('#password', 'secret');
      await driver.click('form button[type=submit]');
      await driver.waitFor(() => document.querySelectorAll('.run-row').length > 3);
      assert.ok(await driver.run(() => document.fonts.check('14px Geist')), 'its font is there');
      await driver.click('nav a[href="/commands"]');
      await driver.waitFor(() => [...document.querySelectorAll('.entry-row')].some((e) => /Colours and progress/.test(e.textContent)));
      await driver.run(() => [...document.querySelectorAll('.entry-row')].find((e) => /Colours and progress/.test(e.textContent)).querySelector('.btn').click());
      await driver.waitFor(() => /^\/runs\/\d+$/.test(location.pathname));
      await driver.waitFor(() => /Succeeded/.test(document.querySelector('h1 .status')?.textContent ?? ''));
      await driver.waitFor(() => document.querySelectorAll('.lr .lx').length > 3);
      assert.ok(await driver.run(() => document.querySelector('.lr .lx span') !== null), 'colours');

      const flood = fixture.byName('demo.flood');
      await driver.run((href) => (history.pushState(null, '', href), dispatchEvent(new PopStateEvent('popstate'))), `/runs/${flood.doc.number}#L60000`);
      await driver.waitFor(() => document.querySelector('.lr.picked .ln')?.textContent === '60000');
      assert.ok(await driver.run(() => document.querySelector('.lr.picked .lx').textContent.length > 20));
      await driver.run(() => (document.querySelector('.log-scroll').scrollTop = 0));
      await driver.waitFor(() => [...document.querySelectorAll('.lr:not(.wait) .ln')].some((e) => e.textContent === '1'));
      assert.deepEqual(await driver.run(() => globalThis.complaints), []);
    } finally {
      await driver?.quit();
      await fixture.close();
    }
  });
}
