// What the world does to a page: a dashboard that comes and goes, networks that are slow, cut or dead without a word, proxies
// without WebSockets, a tab that slept, a wrong clock, a browser that remembers nothing, a page older than its dashboard.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';
import { until } from '../integration/lib/agent.mjs';
import { Dashboard } from '../integration/lib/dashboard.mjs';
import { Proxy } from '../integration/lib/proxy.mjs';
import { launch, TALL, Visitor } from './browser.mjs';
import { startWorkshop } from './workshop.mjs';

// Restarts of the dashboard under one run; more are opted into.
const RESTARTS = Number(process.env.OPS_RESTARTS ?? 6);

describe('the page in bad weather', () => {
  let stack, browser;

  before(async () => {
    stack = await startWorkshop({ status: () => 'version: 1\ninterval: 1s\nhost: true\n' });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await stack?.destroy();
  });

  const word = ({ page }, text) => page.locator('h1').getByText(text).waitFor({ timeout: 60000 });
  const ticks = (n) => Array.from({ length: n }, (_, i) => `tick ${i + 1} of ${n}`);
  const start = (n, gap) => stack.session.run('test.ticks', { n, gap });

  // Every line of a run of ticks, each once, in order; and it is still the document that was loaded.
  async function whole(visitor, n) {
    await word(visitor, 'Succeeded');
    await until('every line', async () => (await visitor.lines()).length > n);
    assert.deepEqual((await visitor.lines()).slice(1, n + 1), ticks(n));
    assert.equal(await visitor.page.evaluate(() => globalThis.sameDocument), true, 'the page was loaded again');
  }

  async function watching(dashboard, run, options = { viewport: TALL }) {
    const visitor = await Visitor.open(browser, dashboard, options);
    await visitor.arrive(`/runs/${run.number}`);
    await visitor.page.evaluate(() => { globalThis.sameDocument = true; });
    await until('the first lines', async () => (await visitor.lines()).length > 2);
    return visitor;
  }

  // The same dashboard, by another address.
  const through = (dashboard, port) => Object.create(dashboard, { url: { value: `http://127.0.0.1:${port}` } });

  it('the dashboard goes and comes again and again while a run streams', async () => {
    const run = await start(100000, '0.1');
    const visitor = await watching(stack.dashboard, run, { viewport: { width: 1440, height: 30000 } });
    for (let i = 0; i < RESTARTS; i++) {
      const have = (await visitor.lines()).length;
      if (i % 2) await stack.dashboard.kill9();
      else await stack.dashboard.stop();
      await visitor.page.locator('.connection', { hasText: 'Reconnecting' }).waitFor({ state: 'attached' });
      await stack.dashboard.spawn();
      await until('more lines', async () => (await visitor.lines()).length > have);
    }
    stack.session = await stack.dashboard.login();
    await stack.session.post(`/api/v1/runs/${run.id}/cancel`, {});
    await word(visitor, 'Cancelled');
    const { lines } = await stack.session.finished(run.id);
    await until('every line', async () => (await visitor.lines()).length > lines);
    assert.deepEqual((await visitor.lines()).slice(1, lines + 1), Array.from({ length: lines }, (_, i) => `tick ${i + 1} of 100000`));
    assert.equal(await visitor.page.evaluate(() => globalThis.sameDocument), true, 'the page was loaded again');
    await visitor.leave();
  });

  it('a dashboard that stays away: amber at once, then since when, when it is tried again and what cannot be done', async () => {
    const run = await start(60, '0.1');
    const visitor = await watching(stack.dashboard, run);
    const { page } = visitor;
    const button = page.locator('.entry-row', { hasText: 'host.uptime' }).getByRole('button', { name: /^Run/ });
    const go = async (key) => {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
    };
    await go('c');
    await button.waitFor(); // what it takes to show this page is there
    await page.goBack();
    await stack.dashboard.kill9();
    await page.locator('.connection .dot.warn').waitFor();
    assert.equal(await page.locator('.banner').count(), 0, 'a short cut is not worth a banner');
    const banner = page.locator('.banner', { hasText: 'Connection lost at' });
    await banner.waitFor();
    assert.match(await banner.innerText(), /\d\d:\d\d:\d\d: what you see is as of then\..*Trying again/s);
    const cancel = page.getByRole('button', { name: 'Cancel run' });
    if (await cancel.count()) {
      assert.ok(await cancel.isDisabled());
      assert.match(await cancel.getAttribute('title'), /Not connected/);
    }
    await go('c');
    await button.waitFor();
    assert.ok(await button.isDisabled());
    await page.getByRole('link', { name: 'Schedule' }).first().click();
    await page.locator('.problem').waitFor(); // this one was never loaded
    const retry = banner.getByRole('button', { name: 'Retry now' });
    await retry.click();
    assert.equal(await banner.count(), 1, 'nobody is there');
    await stack.dashboard.spawn();
    // By itself or by hand, whatever is first.
    const gone = banner.waitFor({ state: 'detached' });
    await Promise.race([retry.click(), gone]);
    await gone;
    await page.getByRole('button', { name: 'Begin maintenance' }).waitFor(); // by itself
    await page.goBack();
    await until('the button', () => button.isEnabled());
    await page.goBack();
    stack.session = await stack.dashboard.login();
    await whole(visitor, 60);
    await visitor.leave();
  });

  it('a browser without a network says so and goes on by itself', async () => {
    const run = await start(80, '0.05');
    const visitor = await watching(stack.dashboard, run);
    await visitor.context.setOffline(true);
    await visitor.page.locator('.banner', { hasText: 'You are offline' }).waitFor();
    await visitor.context.setOffline(false);
    await visitor.page.locator('.banner').waitFor({ state: 'detached' });
    await whole(visitor, 80);
    await visitor.leave();
  });

  it('a network that is slow and cuts every connection after some bytes', async () => {
    const proxy = await Proxy.start(0, { delayMs: 40 });
    const dashboard = await Dashboard.start({ agent: stack.agent, databaseUrl: stack.pg.url, env: { PUBLIC_ORIGIN: `http://127.0.0.1:${proxy.port}` } });
    proxy.target = dashboard.port;
    try {
      await dashboard.connected();
      const run = await start(240, '0.05');
      const visitor = await watching(through(dashboard, proxy.port), run);
      proxy.resetDown(6000);
      await until('some cuts', () => proxy.resets > 4);
      proxy.resetDown(Infinity);
      await whole(visitor, 240);
      await visitor.leave();
    } finally {
      await proxy.close?.();
      await dashboard.destroy();
    }
  });

  it('a network that dies without a word: the page finds out, and goes on when it is back', async () => {
    const proxy = await Proxy.start(0);
    const dashboard = await Dashboard.start({ agent: stack.agent, databaseUrl: stack.pg.url, env: { PUBLIC_ORIGIN: `http://127.0.0.1:${proxy.port}` } });
    proxy.target = dashboard.port;
    try {
      await dashboard.connected();
      const run = await start(100, '0.05');
      const visitor = await watching(through(dashboard, proxy.port), run);
      proxy.stall();
      // Somebody comes back to the tab: whether the connection is alive is asked at once.
      await visitor.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
      await visitor.page.locator('.connection', { hasText: 'Reconnecting' }).waitFor({ state: 'attached', timeout: 60000 });
      proxy.stalled = false;
      for (const socket of proxy.sockets) socket.destroy(); // the new network knows nothing of the old one
      await whole(visitor, 100);
      await visitor.leave();
    } finally {
      await proxy.close?.();
      await dashboard.destroy();
    }
  });

  it('a proxy that lets no WebSocket through is named as the reason, and what can be read can be read', async () => {
    let dashboard;
    let upgrades = 0;
    const server = http.createServer((req, res) => {
      const up = http.request({ host: '127.0.0.1', port: dashboard.port, method: req.method, path: req.url, headers: req.headers }, (down) => {
        res.writeHead(down.statusCode, down.headers);
        down.pipe(res);
      });
      up.on('error', () => res.destroy());
      req.pipe(up);
    });
    server.on('upgrade', (req, socket) => {
      upgrades++;
      socket.on('error', () => {});
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    dashboard = await Dashboard.start({ agent: stack.agent, databaseUrl: stack.pg.url, env: { PUBLIC_ORIGIN: `http://127.0.0.1:${port}` } });
    try {
      await dashboard.connected({ database: true });
      const visitor = await Visitor.open(browser, through(dashboard, port));
      const { page } = visitor;
      await visitor.goto('/history');
      await page.getByLabel('Password').fill(dashboard.password);
      await page.keyboard.press('Enter');
      await page.locator('.banner', { hasText: 'does not let WebSockets through' }).waitFor({ timeout: 60000 });
      await page.locator('a.run-row').first().waitFor();
      await until('it to go on trying', () => upgrades > 2);
      await visitor.leave();
    } finally {
      server.closeAllConnections();
      server.close();
      await dashboard.destroy();
    }
  });

  it('a tab that the browser froze while the dashboard was restarted has everything when it wakes', async () => {
    const run = await start(120, '0.05');
    const visitor = await watching(stack.dashboard, run);
    const cdp = await visitor.context.newCDPSession(visitor.page);
    await cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
    await stack.dashboard.kill9();
    await stack.dashboard.spawn();
    stack.session = await stack.dashboard.login();
    await stack.session.finished(run.id);
    await cdp.send('Page.setWebLifecycleState', { state: 'active' });
    await whole(visitor, 120);
    await visitor.leave();
  });

  it('a clock that is an hour off, either way, changes no time that the page tells', async () => {
    const ends = await start(1, '0.01');
    await stack.session.finished(ends.id);
    for (const hours of [-1, 1]) {
      const run = await start(600, '1');
      const visitor = await Visitor.open(browser, stack.dashboard);
      const { page } = visitor;
      await page.addInitScript((by) => {
        const Real = Date;
        const now = () => Real.now() + by;
        globalThis.Date = class extends Real {
          constructor(...args) { super(...(args.length ? args : [now()])); }
          static now() { return now(); }
        };
      }, hours * 3_600_000);
      await visitor.arrive('/history');
      const row = page.locator('.row', { has: page.locator(`a[href="/runs/${ends.number}"]`) });
      await row.waitFor();
      assert.match(await row.locator('.run-when').innerText(), /now|sec|min|\ds/);
      assert.doesNotMatch(await row.locator('.run-when').innerText(), /h/);
      await visitor.page.locator(`a[href="/runs/${run.number}"]`).first().click();
      await word(visitor, 'Running');
      await page.locator('.lr:not(.wait) .lx').first().waitFor();
      const head = await page.locator('#main header').first().innerText();
      assert.doesNotMatch(head, /\dh|59m|\d{4} s/, `an hour is nowhere: ${head}`);
      await page.evaluate(() => { history.pushState(null, '', '/'); dispatchEvent(new PopStateEvent('popstate')); });
      await page.locator('.metric-value', { hasText: '%' }).first().waitFor();
      assert.equal(await page.getByText(/no data since/).count(), 0, 'what was measured now is not called old');
      await stack.session.post(`/api/v1/runs/${run.id}/cancel`, {});
      await visitor.leave();
    }
  });

  for (const [name, script] of [
    ['forbids', () => { for (const store of ['localStorage', 'sessionStorage']) Object.defineProperty(globalThis, store, { get() { throw new DOMException('denied', 'SecurityError'); } }); }],
    ['has no room for', () => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; }],
  ]) {
    it(`a browser that ${name} what the page would remember`, async () => {
      const visitor = await Visitor.open(browser, stack.dashboard);
      const { page } = visitor;
      await page.addInitScript(script);
      await visitor.arrive('/settings');
      await page.locator('input[name=theme][value=dark]').check();
      await until('dark', () => page.evaluate(() => document.documentElement.dataset.theme === 'dark'));
      await page.locator('input[name=language][value=nl]').check();
      await page.getByRole('heading', { level: 1, name: 'Instellingen' }).waitFor();
      await page.locator('input[name=language][value=en]').check();
      await page.keyboard.press('Control+k');
      await page.keyboard.type('>largest');
      await page.locator('[role=option][aria-selected=true]', { hasText: 'host.processes' }).waitFor();
      await page.keyboard.press('Enter');
      await page.getByTestId('start').click();
      await word(visitor, 'Succeeded');
      await page.keyboard.press('w');
      await page.reload();
      await word(visitor, 'Succeeded');
      await visitor.leave();
    });
  }

  it('a page older than its dashboard: the other tab is not disturbed, it offers to be loaded again and says why a part is missing', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    const { page } = visitor;
    await visitor.arrive('/commands');
    const old = await visitor.context.newPage();
    await old.addInitScript(() => {
      if (sessionStorage.getItem('again')) return;
      sessionStorage.setItem('again', 'yes');
      addEventListener('readystatechange', () => { document.querySelector('meta[name=ops-build]').content = 'another'; }, { capture: true, once: true });
    });
    await old.goto(`${stack.dashboard.url}/commands`);
    const banner = old.locator('.banner', { hasText: 'new version' });
    await banner.waitFor();
    assert.equal(await page.locator('.banner').count(), 0);
    await old.evaluate(() => { globalThis.sameDocument = true; });
    // It goes on working; what it has not loaded yet is not there any more.
    await old.route(/\/assets\/Settings-/, (route) => route.fulfill({ status: 404, body: '' }));
    await old.keyboard.press('g');
    await old.keyboard.press('s');
    const problem = old.locator('.problem', { hasText: 'new version' });
    await problem.waitFor();
    assert.equal(await old.evaluate(() => globalThis.sameDocument), true, 'never by itself');
    await old.unroute(/\/assets\/Settings-/);
    await problem.getByRole('button', { name: 'Try again' }).click();
    await old.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
    assert.equal(await old.evaluate(() => globalThis.sameDocument), undefined, 'it was loaded again');
    await old.locator('.banner').waitFor({ state: 'detached' });
    await visitor.leave();
  });
});
