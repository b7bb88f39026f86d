// What holds on every page: one connection and no polling, hidden pages that are quiet, back and forward, titles, focus, the
// palette, every key that the help sheet names, and that it can be installed.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { until } from '../integration/lib/agent.mjs';
import { DESKTOP, launch, PHONE, Visitor } from './browser.mjs';
import { startWorkshop } from './workshop.mjs';

// What a browser does when another tab is chosen; headless ones are always seen.
const hide = (page, hidden) => page.evaluate((value) => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
  Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => (value ? 'hidden' : 'visible') });
  document.dispatchEvent(new Event('visibilitychange'));
}, hidden);

// What a binary message is: records of a stream, or its end with how far it came (proto/frame.h).
const frame = (bytes) => (bytes[5] === 6 ? { end: bytes.readUInt32LE(8), offset: Number(bytes.readBigUInt64LE(16)) } : { chunk: bytes.readUInt32LE(8) });

describe('the shell', () => {
  let stack, browser, long;

  before(async () => {
    stack = await startWorkshop({ status: () => 'version: 1\ninterval: 1s\nhost: true\n' });
    browser = await launch();
    long = await stack.session.run('demo.flood', { mib: 1 });
    await stack.session.finished(long.id);
    for (let i = 0; i < 24; i++) await stack.session.finished((await stack.session.run('demo.work', { label: `n${i}`, seconds: 0 })).id);
  });
  after(async () => {
    await browser?.close();
    await stack?.destroy();
  });

  const word = ({ page }, text) => page.locator('h1').getByText(text).waitFor({ timeout: 60000 });
  const active = (page) => page.evaluate(() => { const e = document.activeElement; return e.id || e.getAttribute('href') || e.textContent.slice(0, 60) || e.tagName; });

  async function open(path, options) {
    const visitor = await Visitor.open(browser, stack.dashboard, options);
    visitor.sockets = [];
    visitor.requests = [];
    visitor.page.on('websocket', (ws) => {
      visitor.sockets.push(ws);
      ws.frames = [];
      ws.sent = [];
      ws.on('framesent', ({ payload }) => ws.sent.push(JSON.parse(payload)));
      ws.on('framereceived', ({ payload }) => ws.frames.push(typeof payload === 'string' ? { text: payload.length < 200 ? payload : payload.slice(0, 120) } : frame(payload)));
    });
    visitor.page.on('request', (r) => visitor.requests.push(r.url()));
    await visitor.arrive(path);
    return visitor;
  }

  it('at rest has one connection and asks for nothing, whatever is shown', async () => {
    const visitor = await open('/');
    const { page } = visitor;
    for (const path of ['/', '/commands', '/history', '/schedule', '/audit', '/settings', `/runs/${long.number}`, '/']) {
      await page.evaluate((to) => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }, path);
      await page.getByRole('heading', { level: 1 }).waitFor();
    }
    assert.equal(visitor.sockets.length, 1);
    const { frames } = visitor.sockets[0];
    const values = () => frames.filter(({ text }) => text?.includes('"put"') && text.includes('time_us')).length;
    await until('the machine to be measured', () => values() > 2);
    // What a page asks for when it is opened comes to an end: two measurements without a request.
    for (let asked = -1; asked !== visitor.requests.length;) {
      asked = visitor.requests.length;
      const at = values();
      await until('two more measurements', () => values() >= at + 2);
    }
    const [seen, asked] = [values(), visitor.requests.length];
    await until('five more measurements', () => values() >= seen + 5);
    assert.deepEqual(visitor.requests.slice(asked), []);
    assert.equal(visitor.sockets.length, 1);
    await visitor.leave();
  });

  it('hidden is quiet while a run streams and the machine is measured, tells the end in its title, and lacks nothing when it is seen', async () => {
    const visitor = await open('/', { viewport: { width: 1440, height: 12000 } });
    const { page } = visitor;
    const run = await stack.session.run('test.until');
    await page.evaluate((to) => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }, `/runs/${run.number}`);
    await until('the first lines', async () => (await visitor.lines()).length > 5);
    const watcher = stack.watch(run.id);
    const [{ frames, sent }] = visitor.sockets;
    const asked = sent.length;
    await hide(page, true);
    // What is not wanted any more is answered with its end, and behind that nothing of it comes: the log's is a frame.
    const ended = (id) => frames.find((f) => f.end === id || f.text?.includes('"event":"end"') && JSON.parse(f.text).id === id);
    const log = await until('the end of the log', () => frames.find((f) => f.end && sent.slice(asked).some((m) => m.op === 'unsubscribe' && m.id === f.end)));
    await until('the end of all that rests', () => sent.slice(asked).every((m) => m.op !== 'unsubscribe' || ended(m.id)));
    const at = frames.length;
    await until('more output', () => watcher.journal.offset > log.offset + 1500);
    const during = frames.slice(at);
    writeFileSync(`${stack.dir}/files/seen`, '');
    await watcher.finished;
    await until('its title to tell the end', async () => /^✓ /.test(await page.title()));
    assert.match(await page.evaluate(() => document.querySelector('link[rel=icon]').getAttribute('href')), /icon-ok/);
    assert.deepEqual(during.filter((f) => !/"(put|snapshot)"/.test(f.text) || f.text.includes('time_us')), [], 'no output, no measurement');
    assert.ok(during.length <= 4, `only what the title needs: ${JSON.stringify(during)}`);
    assert.equal(visitor.sockets.length, 1);
    await hide(page, false);
    const { lines: all } = await stack.session.finished(run.id);
    await until('every line', async () => (await visitor.lines()).length > all);
    assert.deepEqual((await visitor.lines()).slice(1, all + 1), Array.from({ length: all }, (_, i) => `line ${i + 1} goes on`));
    await visitor.leave();
  });

  it('back and forward lead to where one was, with the focus; a new page is read from its heading', async () => {
    const visitor = await open('/history', { viewport: { ...DESKTOP, height: 600 } });
    const { page } = visitor;
    await page.locator('.run-row').nth(20).waitFor();
    const link = page.locator('a.run-row').nth(19);
    const href = await link.getAttribute('href');
    await link.scrollIntoViewIfNeeded();
    await link.focus();
    const y = await page.evaluate(() => scrollY);
    assert.ok(y > 100);
    await page.keyboard.press('Enter');
    await page.waitForURL(`**${href}`);
    await word(visitor, 'Succeeded');
    await until('the heading to have the focus', () => page.evaluate(() => document.activeElement.tagName === 'H1'));
    assert.equal(await page.evaluate(() => scrollY), 0);
    await page.goBack();
    await until('the same place', () => page.evaluate(() => scrollY).then((now) => Math.abs(now - y) < 3));
    await until('the same focus', async () => (await active(page)) === href);
    await page.goForward();
    await word(visitor, 'Succeeded');
    await until('the heading to have the focus again', () => page.evaluate(() => document.activeElement.tagName === 'H1'));
    // A way out of the page and back: the browser asks for it anew.
    await page.goBack();
    await until('the list', () => page.evaluate(() => scrollY > 100));
    await page.reload();
    await until('the same place after loading it again', () => page.evaluate(() => scrollY).then((now) => Math.abs(now - y) < 3));
    // The first Tab of a page offers to skip what is the same on all of them.
    await page.evaluate(() => scrollTo(0, 0));
    await visitor.goto('/commands');
    await page.locator('.entry-row').first().waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.ok(await page.evaluate(() => document.activeElement.closest('#main') !== null));
    await visitor.leave();
  });

  it('each page has a title of its own, and the tab says how the run is', async () => {
    const visitor = await open('/');
    const { page } = visitor;
    const titles = new Set();
    for (const path of ['/', '/commands', '/history', '/schedule', '/audit', '/settings', '/host', '/nowhere', `/runs/${long.number}`]) {
      await visitor.goto(path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await until('a title', async () => (await page.title()) !== 'Ops');
      if (path.startsWith('/runs')) await until('the run in it', async () => (await page.title()).includes(`#${long.number}`));
      titles.add(await page.title());
    }
    assert.equal(titles.size, 9, [...titles].join('\n'));
    assert.ok([...titles].some((t) => t === `✓ Flood of output #${long.number} · Ops`));
    const icon = () => page.evaluate(() => document.querySelector('link[rel=icon]').getAttribute('href'));
    const run = await stack.session.run('test.stay');
    await visitor.goto('/commands');
    await until('the icon of what runs', async () => /icon-running/.test(await icon()));
    await stack.session.post(`/api/v1/runs/${run.id}/cancel`, {});
    await until('the icon of rest', async () => /icon-idle/.test(await icon()));
    await visitor.leave();
  });

  it('the palette finds by letters and by use, and has its three signs', async () => {
    await stack.session.finished((await stack.session.run('demo.work', { label: 'last', seconds: 0 })).id);
    const visitor = await open('/');
    const { page } = visitor;
    const { keyboard } = page;
    const chosen = () => page.locator('[role=option][aria-selected=true]').innerText();
    const groups = () => page.locator('.palette-group').allInnerTexts().then((all) => [...new Set(all)]);
    const ask = async (text, expected) => {
      await page.locator('.palette input').fill(text);
      await until(`${expected} for ${text}`, async () => expected.test(await chosen()));
    };
    await keyboard.press('Control+k');
    await page.locator('[role=option]').first().waitFor();
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('dialog.palette')).animationName), 'none');
    assert.match(await chosen(), /Work for a while/, 'what was run last is first');
    assert.deepEqual(await groups(), ['Run', 'Go to', 'Recent runs', 'Settings']);
    await ask('dpdb', /Dump the database/);
    await ask('audit', /Audit/);
    await ask('cpu', /CPU/);
    assert.ok((await groups()).includes('Watched'));
    await ask('>host', /host\./);
    assert.deepEqual(await groups(), ['Run']);
    await ask(`#${long.number}`, /#/);
    await keyboard.press('Enter');
    await page.waitForURL(`**/runs/${long.number}`);
    await word(visitor, 'Succeeded');
    await page.locator('.lr:not(.wait)').first().waitFor();
    await keyboard.press('Control+k');
    await ask(':4000', /L4000/);
    await keyboard.press('Enter');
    await page.locator('.lr.picked .ln', { hasText: '4000' }).waitFor();
    assert.equal(new URL(page.url()).hash, '#L4000');
    await keyboard.press('Control+k');
    await ask('theme: dark', /Dark/);
    await keyboard.press('Enter');
    await until('dark', () => page.evaluate(() => document.documentElement.dataset.theme === 'dark'));
    assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('meta[name=theme-color]')].map((m) => m.content)), ['#0c0e13', '#0c0e13']);
    await page.locator('.find-button, [aria-keyshortcuts]').first().focus();
    const before = await active(page);
    await keyboard.press('Control+k');
    await keyboard.type('zzzzqq');
    await page.getByText('Nothing found').waitFor();
    await keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    assert.equal(await active(page), before, 'the focus is where it was');
    await visitor.leave();
  });

  it('every key that the help sheet names does what it says', async () => {
    const flow = await stack.session.run('demo.parallel', { seconds: 0 }, { kind: 'flow' });
    await until('its question', async () => (await stack.session.get(`/api/v1/runs/${flow.id}`)).json.run.steps.some((s) => s.status === 'waiting'));
    await stack.session.post(`/api/v1/runs/${flow.id}/approve`, { step: 'gate', approve: true });
    await stack.session.finished(flow.id);
    const visitor = await open('/');
    const { page } = visitor;
    const { keyboard } = page;
    await visitor.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const clip = () => page.evaluate(() => navigator.clipboard.readText());
    const heading = (name) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
    const press = async (...keys) => { for (const key of keys) await keyboard.press(key); };
    const atTop = () => page.evaluate(() => document.querySelector('.log-scroll').scrollTop < 40);
    const atEnd = () => page.evaluate(() => { const s = document.querySelector('.log-scroll'); return s.scrollTop > 0 && s.scrollTop + s.clientHeight >= s.scrollHeight - 2; });
    const goto = async (path) => {
      await page.evaluate((to) => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }, path);
      if (!path.startsWith('/runs/')) return;
      await word(visitor, 'Succeeded');
      await page.locator('.lr:not(.wait) .lx').first().waitFor();
    };
    const does = {
      'Ctrl K': async () => { await press('Control+k'); await page.locator('dialog.palette[open]').waitFor(); await press('Control+k'); await page.locator('dialog.palette').waitFor({ state: 'detached' }); },
      'g o': async () => { await press('g', 'o'); await heading('Overview'); },
      'g c': async () => { await press('g', 'c'); await page.waitForURL('**/commands'); },
      'g h': async () => { await press('g', 'h'); await heading('History'); },
      'g e': async () => { await press('g', 'e'); await heading('Schedule'); },
      'g a': async () => { await press('g', 'a'); await heading('Audit'); },
      'g s': async () => { await press('g', 's'); await heading('Settings'); },
      '?': async () => { await press('?'); await page.locator('dialog.shortcuts').waitFor(); },
      Esc: async () => { await press('Escape'); await page.locator('dialog.shortcuts').waitFor({ state: 'detached' }); },
      'j · k': async () => {
        await goto('/history');
        await page.locator('.run-row').nth(2).waitFor();
        await press('j', 'j');
        const second = await active(page);
        await press('j', 'k');
        assert.equal(await active(page), second);
      },
      Space: async () => { await press('Space'); await page.locator('.run-preview pre').waitFor(); await press('Space'); await page.locator('.run-preview').waitFor({ state: 'detached' }); },
      x: async () => { await press('x'); await until('one to be picked', async () => (await page.locator('#main input[type=checkbox]:checked').count()) === 1); },
      'Shift X': async (group) => {
        if (group === 'On a run') {
          const run = await stack.session.run('test.stay');
          await page.locator('.count', { hasText: '1' }).waitFor();
          await page.evaluate((to) => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }, `/runs/${run.number}`);
          await word(visitor, 'Running');
          await press('Shift+X');
          await page.getByTestId('cancel-confirm').click();
          await word(visitor, 'Cancelled');
        } else {
          const run = await stack.session.run('test.stay');
          const row = page.locator('.row', { has: page.locator(`a[href="/runs/${run.number}"]`) });
          await row.waitFor();
          await press('x'); // the one before is picked no more
          await row.getByRole('checkbox').check();
          await press('Shift+X');
          await page.getByTestId('cancel-confirm').or(page.getByRole('alertdialog').getByRole('button', { name: /^Cancel/ })).first().click();
          await stack.session.finished(run.id);
        }
      },
      Enter: async () => { await goto('/history'); await page.locator('.run-row').nth(2).waitFor(); await press('j', 'Enter'); await page.waitForURL(/\/runs\/\d+/); },
      '[ · ]': async (group) => {
        if (group === 'On a run') {
          await goto(`/runs/${flow.number}`);
          await press('[');
          await page.waitForURL(`**/runs/${flow.number - 1}`);
          await page.locator('h1 .status').waitFor();
          await press(']');
          await page.waitForURL(`**/runs/${flow.number}`);
        } else {
          await goto('/schedule');
          await heading('Schedule');
          const week = page.locator('.calendar');
          await week.waitFor();
          const now = await page.locator('#calendar').innerText();
          await press('[');
          await until('another week', async () => (await page.locator('#calendar').innerText()) !== now);
          await press(']');
          await until('the same week', async () => (await page.locator('#calendar').innerText()) === now);
        }
      },
      'Home · End': async () => { await goto(`/runs/${long.number}`); await press('Home'); await until('the top', async () => await atTop()); await press('End'); await until('the end', atEnd); },
      'g g · G': async () => { await press('g', 'g'); await until('the top', async () => await atTop()); await press('Shift+G'); await until('the end', atEnd); },
      f: async () => { await press('Home'); await until('the top', async () => await atTop()); await press('f'); await until('the end', atEnd); },
      '/ · Ctrl F': async () => {
        await press('/');
        await until('the search', () => page.evaluate(() => document.activeElement.matches('.find input')));
        await press('Escape');
        await page.locator('.find input').waitFor({ state: 'detached' }).catch(() => undefined);
        await press('Control+f');
        await until('the search', () => page.evaluate(() => document.activeElement.matches('.find input')));
        await keyboard.type('77');
        await page.locator('.find-count', { hasText: /\d/ }).waitFor();
        await press('Enter');
        await page.locator('.lr.current').waitFor();
      },
      'n · N': async () => {
        await page.evaluate(() => document.activeElement.blur());
        const line = () => page.locator('.lr.current .ln').first().textContent();
        const first = await line();
        await press('n');
        await until('the next hit', async () => (await page.locator('.lr.current').count()) === 1 && (await line()) !== first);
        await press('Shift+N');
        await until('the hit before', async () => (await page.locator('.lr.current').count()) === 1 && (await line()) === first);
      },
      m: async () => {
        const filtered = () => page.locator('.only-hits[aria-pressed=true]').count();
        const was = await filtered();
        await press('m');
        await until('only hits', async () => (await filtered()) !== was);
        await press('m');
        await until('all lines', async () => (await filtered()) === was);
        await press('Escape');
      },
      'e · E': async () => {
        const broken = await stack.session.run('test.fails');
        await stack.session.finished(broken.id);
        await page.evaluate((to) => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }, `/runs/${broken.number}`);
        await word(visitor, 'Failed');
        await page.locator('.lr:not(.wait) .lx').first().waitFor();
        for (const key of ['e', 'Shift+E']) {
          await press('Home');
          await until('the top', () => atTop());
          await press(key);
          await page.locator('.lr.current', { hasText: 'it broke' }).waitFor();
        }
        await goto(`/runs/${flow.number}`);
      },
      's · S': async () => {
        // So low that its steps are not all in view.
        await page.setViewportSize({ ...DESKTOP, height: 480 });
        await press('Home');
        await until('the top', () => atTop());
        await press('s', 's');
        await until('the next steps', async () => !(await atTop()));
        await press('Shift+S', 'Shift+S');
        await until('the first step', () => atTop());
        await page.setViewportSize(DESKTOP);
      },
      o: async () => {
        const rows = () => page.locator('.log-scroll .lr').count();
        const n = await rows();
        await press('o');
        await until('a step to fold', async () => (await rows()) !== n);
      },
      w: async () => { const cls = () => page.evaluate(() => document.querySelector('.log').outerHTML.slice(0, 300) + (document.querySelector('.log-scroll')?.className ?? '')); const was = await cls(); await press('w'); await until('lines to wrap', async () => (await cls()) !== was); await press('w'); },
      t: async () => { const width = () => page.evaluate(() => document.querySelector('.lr:not(.wait)').innerText); const was = await width(); await press('t'); await until('times', async () => (await width()) !== was); await press('t', 't'); },
      z: async () => { await press('z'); await page.locator('.log.focus').waitFor(); await press('z'); await page.locator('.log.focus').waitFor({ state: 'detached' }); },
      'c · y': async () => {
        await goto(`/runs/${long.number}#L12-L13`);
        await page.locator('.lr.picked').first().waitFor();
        await press('c');
        await until('two lines', async () => (await clip()).trimEnd().split('\n').length === 2);
        await press('y');
        await until('a link', async () => (await clip()).endsWith(`/runs/${long.number}#L12-L13`));
      },
      d: async () => { const [file] = await Promise.all([page.waitForEvent('download'), press('d')]); assert.match(file.suggestedFilename(), /\.log$/); },
      r: async () => { await press('r'); await page.locator('#input-mib').waitFor(); await press('Escape'); },
    };
    await press('?');
    await page.locator('dialog.shortcuts').waitFor();
    const sheet = await page.locator('dialog.shortcuts section').evaluateAll((all) => all.map((s) => [s.querySelector('h3').textContent, [...s.querySelectorAll('kbd')].map((k) => k.textContent)]));
    await press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    assert.equal(sheet.length, 3);
    for (const [group, keys] of sheet) {
      // In the order above, which is one that a person could go through.
      for (const key of Object.keys(does).filter((k) => keys.includes(k))) {
        try {
          await does[key](group);
        } catch (e) {
          throw new Error(`${key} (${group}): ${e.message}`);
        }
      }
      assert.deepEqual(keys.filter((k) => !does[k]), [], 'keys that are not tried');
    }

    // Not where one types, not when they are switched off; the palette's stays.
    await goto('/history');
    await page.getByRole('searchbox').or(page.locator('#main input[type=search], #main input[type=text]')).first().focus();
    await press('g', 'c', '?');
    await heading('History');
    assert.equal(await page.locator('dialog[open]').count(), 0);
    await goto('/settings');
    await page.getByLabel('Single-key shortcuts').click();
    await page.evaluate(() => document.activeElement.blur());
    await press('g', 'c', '?');
    await heading('Settings');
    assert.equal(await page.locator('dialog[open]').count(), 0);
    await press('Control+k');
    await page.locator('dialog.palette[open]').waitFor();
    await visitor.leave();
  });

  it('can be installed: a manifest, icons of their sizes, colours for both schemes', async () => {
    const visitor = await open('/', { viewport: PHONE });
    const { page } = visitor;
    const cdp = await visitor.context.newCDPSession(page);
    const { errors, data } = await cdp.send('Page.getAppManifest');
    assert.deepEqual(errors, []);
    const manifest = JSON.parse(data);
    const sizes = await page.evaluate(async (icons) => {
      const out = [];
      for (const { src, sizes: said } of icons) {
        const image = new Image();
        image.src = src;
        await image.decode();
        out.push([said, `${image.naturalWidth}x${image.naturalHeight}`]);
      }
      return out;
    }, [...manifest.icons.filter((i) => i.type === 'image/png'), { src: '/apple-touch-icon.png', sizes: '180x180' }]);
    for (const [said, is] of sizes) assert.equal(is, said);
    for (const size of ['192x192', '512x512']) for (const purpose of ['any', 'maskable']) assert.ok(manifest.icons.some((i) => i.sizes === size && i.purpose === purpose), `${size} ${purpose}`);
    const { installabilityErrors } = await cdp.send('Page.getInstallabilityErrors');
    // A private window, as every test's is, is the only reason against it.
    assert.deepEqual(installabilityErrors.map((e) => e.errorId).filter((id) => id !== 'in-incognito'), []);
    assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('meta[name=theme-color]')].map((m) => [m.media, m.content])), [['(prefers-color-scheme: light)', '#f8f9fb'], ['(prefers-color-scheme: dark)', '#0c0e13']]);
    assert.match(await page.evaluate(() => document.querySelector('meta[name=viewport]').content), /viewport-fit=cover/);
    await visitor.leave();
  });

  it('stands still for whoever asked the system for it', async () => {
    const visitor = await open('/history', { viewport: PHONE });
    const { page } = visitor;
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.locator(`a[href="/runs/${long.number}"]`).first().tap();
    await word(visitor, 'Succeeded');
    await page.getByRole('button', { name: 'Run again' }).first().tap();
    await page.locator('dialog[open]').waitFor();
    const moving = await page.evaluate(() => document.getAnimations().filter((a) => a.effect.getComputedTiming().activeDuration > 20).map((a) => a.animationName ?? a.transitionProperty));
    assert.deepEqual(moving, []);
    await visitor.leave();
  });
});
