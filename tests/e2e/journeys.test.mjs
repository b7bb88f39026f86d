// Journeys through the page on the real daemons: two tabs, a session revoked while somebody watches, language and theme,
// a finger on a phone, no mouse at all. Visitor.leave() fails on any console error and any policy violation.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../integration/lib/agent.mjs';
import { launch, PHONE, Visitor } from './browser.mjs';
import { colours, startWorkshop } from './workshop.mjs';

describe('the page', () => {
  let stack, browser;

  before(async () => {
    stack = await startWorkshop();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await stack?.destroy();
  });

  const word = (visitor, text) => visitor.page.locator('h1').getByText(text).waitFor({ timeout: 60000 });

  it('in two tabs of one browser: what is begun in one is seen, and cancelled, in the other', async () => {
    const first = await Visitor.open(browser, stack.dashboard);
    await first.arrive('/history');
    const page = await first.context.newPage();
    await page.goto(`${stack.dashboard.url}/history`);
    await page.getByText('Live', { exact: true }).first().waitFor({ state: 'attached' });
    const run = await stack.session.run('demo.stubborn', {}, { confirm: 'demo.stubborn' });
    for (const tab of [first.page, page]) await tab.locator(`a[href="/runs/${run.number}"]`).first().waitFor();
    await first.page.locator(`a[href="/runs/${run.number}"]`).first().click();
    await word(first, 'Running');
    await page.locator(`a[href="/runs/${run.number}"]`).first().click();
    await page.getByRole('button', { name: /^Cancel/ }).first().click();
    await page.getByTestId('cancel-confirm').click();
    await word(first, 'Cancelled');
    await page.locator('h1').getByText('Cancelled').waitFor({ timeout: 60000 });
    await first.leave();
  });

  it('whose session is revoked while it watches asks for the password over the page, and goes on without a gap', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard, { viewport: { width: 1440, height: 6000 } });
    await visitor.signIn('/commands');
    await visitor.page.evaluate(() => { globalThis.sameDocument = true; });
    colours(stack, 'from now on');
    const row = visitor.page.locator('li').filter({ hasText: 'Colours until told' });
    await row.getByRole('button', { name: /^Run/ }).click();
    await word(visitor, 'Running');
    await until('the first lines', async () => (await visitor.lines()).length > 3);
    const { sessions } = (await stack.session.get('/api/v1/sessions')).json;
    const others = sessions.filter((s) => !s.current);
    assert.ok(others.length > 0);
    for (const s of others) assert.equal((await stack.session.request('DELETE', `/api/v1/sessions/${s.id}`)).status, 204);
    const dialog = visitor.page.locator('dialog[open]');
    await dialog.getByLabel('Password').fill(stack.dashboard.password);
    await dialog.getByRole('button', { name: 'Sign in' }).click();
    await dialog.waitFor({ state: 'detached' });
    colours(stack, 'now');
    await word(visitor, 'Succeeded');
    const { lines } = await stack.session.finished((await visitor.run(stack.session)).id);
    await until('all lines', async () => (await visitor.lines()).length > lines);
    const shown = (await visitor.lines()).slice(1);
    assert.equal(shown.filter((l) => l !== undefined).length, lines, 'none is missing');
    assert.equal(await visitor.page.evaluate(() => globalThis.sameDocument), true);
    await visitor.leave();
  });

  it('keeps language and theme, and speaks Dutch to who reads Dutch', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard, { locale: 'nl-NL', theme: 'dark' });
    await visitor.goto('/');
    await visitor.page.getByLabel('Gebruiker').fill(stack.dashboard.user);
    await visitor.page.getByLabel('Wachtwoord').fill(stack.dashboard.password);
    await visitor.page.keyboard.press('Enter');
    await visitor.page.getByRole('heading', { level: 1, name: 'Overzicht' }).waitFor();
    const ink = () => visitor.page.evaluate(() => getComputedStyle(document.querySelector('h1')).color);
    const dark = await ink();
    await visitor.goto('/settings');
    await visitor.page.locator('input[name=language][value=en]').check();
    await visitor.page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
    await visitor.page.locator('input[name=theme][value=light]').check();
    await until('another colour of ink', async () => (await ink()) !== dark);
    await visitor.page.reload();
    await visitor.page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
    assert.equal(await visitor.page.evaluate(() => document.documentElement.lang), 'en');
    assert.notEqual(await ink(), dark);
    await visitor.leave();
  });

  it('on a phone is used with a finger: run, read, scroll, search', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard, { viewport: PHONE });
    const { page } = visitor;
    await visitor.arrive('/');
    await page.getByRole('link', { name: 'Commands', exact: true }).tap();
    const run = await stack.session.run('demo.flood', { mib: 4 });
    await stack.session.finished(run.id);
    await page.getByRole('link', { name: 'History', exact: true }).tap();
    await page.locator(`a[href="/runs/${run.number}"]`).first().tap();
    await page.locator('.lr:not(.wait) .lx').first().waitFor();
    const top = () => page.evaluate(() => Number(document.querySelector('.lr .ln').textContent));
    const before = await top();
    const box = await page.locator('.log-scroll').boundingBox();
    // A real finger: the browser scrolls, not the page.
    const finger = await visitor.context.newCDPSession(page);
    const at = (y) => [{ x: box.x + box.width / 2, y }];
    await finger.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: at(box.y + 60) });
    for (let y = 80; y < box.height - 20; y += 20) await finger.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: at(box.y + y) });
    await finger.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    await until('earlier lines', async () => (await top()) < before);
    // A tap while it still rolls only stops it.
    await visitor.rests();
    await page.locator('.find-button').tap();
    await page.locator('.find input').fill('1');
    await until('hits', async () => /\d/.test(await page.locator('.find-count').innerText()));
    await visitor.leave();
  });

  it('needs no mouse: sign in, palette, form, run, log, search, back', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    const { page } = visitor;
    const { keyboard } = page;
    await visitor.goto('/');
    await page.getByLabel('Password').waitFor();
    await until('the password field to have the focus', async () => {
      if ((await page.evaluate(() => document.activeElement.id)) === 'password') return true;
      await keyboard.press('Tab');
      return false;
    });
    await keyboard.type(stack.dashboard.password);
    await keyboard.press('Enter');
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.getByText('Live', { exact: true }).first().waitFor({ state: 'attached' });
    await until('the catalogue', async () => {
      await keyboard.press('Control+k');
      await page.locator('dialog.palette[open]').waitFor();
      await keyboard.type('>flood');
      if (await page.locator('[role=option][aria-selected=true]', { hasText: 'demo.flood' }).count()) return true;
      await keyboard.press('Escape');
      return false;
    });
    await keyboard.press('Enter');
    await page.locator('#input-mib').waitFor();
    await until('the field to have the focus', () => page.evaluate(() => document.activeElement.id === 'input-mib'));
    await keyboard.press('Control+a');
    await keyboard.type('1');
    await keyboard.press('Enter');
    await word(visitor, 'Succeeded');
    await page.locator('.lr:not(.wait) .lx').first().waitFor();
    await keyboard.press('/');
    await until('the search to have the focus', () => page.evaluate(() => document.activeElement.matches('.find input')));
    await keyboard.type('1');
    await keyboard.press('Enter');
    await page.locator('.lr.current').waitFor();
    await keyboard.press('Escape');
    await keyboard.press('g');
    await keyboard.press('h');
    await page.getByRole('heading', { level: 1, name: 'History' }).waitFor();
    await page.locator('.run-row').first().waitFor();
    await keyboard.press('j');
    await keyboard.press('Space');
    await page.locator('.run-preview pre').waitFor();
    assert.ok((await page.locator('.run-preview pre').innerText()).length > 20);
    await visitor.leave();
  });
});
