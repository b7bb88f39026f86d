// Who is signed in: wrong passwords, a second factor from its enrolment on, sessions that end under a form, tokens; and the
// database away under it all.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { until } from '../integration/lib/agent.mjs';
import { Dashboard, passwordHash, request } from '../integration/lib/dashboard.mjs';
import { totp, TOTP_STEP_MS } from '../integration/lib/totp.mjs';
import { launch, PHONE, Visitor } from './browser.mjs';
import { startWorkshop } from './workshop.mjs';

describe('who is signed in', () => {
  let stack, browser;

  before(async () => {
    stack = await startWorkshop();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await stack?.destroy();
  });

  const word = ({ page }, text) => page.locator('h1').getByText(text).waitFor({ timeout: 60000 });

  it('a second factor is set up on the page; then signing in asks for it, over the page, on the next visit and after a sign-out', async () => {
    const env = join(stack.dir, 'second.env');
    const lines = [`AUTH_PASSWORD_HASH='${passwordHash()}'`];
    writeFileSync(env, `${lines.join('\n')}\n`, { mode: 0o600 });
    const dashboard = await Dashboard.start({ agent: stack.agent, env: { ENV_FILE: env, AUTH_PASSWORD_HASH: undefined } });
    try {
      await dashboard.connected();
      const visitor = await Visitor.open(browser, dashboard, { viewport: PHONE });
      const { page } = visitor;
      await visitor.signIn('/settings');
      await page.getByRole('button', { name: 'Set up' }).tap();
      const secret = (await page.locator('.totp code').innerText()).replace(/\s/g, '');
      assert.ok(await page.locator('.totp svg[role=img], .totp svg[aria-label], .totp [role=img]').count(), 'it can be scanned');
      await page.locator('#totp-code').fill('000000');
      await page.getByRole('button', { name: 'Check the code', exact: true }).tap();
      await page.locator('#totp-code-error').waitFor();
      // An authenticator shows it in two groups.
      await page.locator('#totp-code').fill(totp(secret).replace(/(...)/, '$1 '));
      await page.getByRole('button', { name: 'Check the code', exact: true }).tap();
      const line = await page.locator('.token-secret code', { hasText: 'AUTH_TOTP_SECRET=' }).innerText();
      assert.equal(line.trim(), `AUTH_TOTP_SECRET=${secret}`);

      // The line goes into the file that an administrator keeps; a reload makes it count, and ends the sessions.
      writeFileSync(env, `${[...lines, line].join('\n')}\n`);
      dashboard.child.kill('SIGHUP');
      const dialog = page.locator('dialog[open]');
      const enter = async (where, code) => {
        await where.getByLabel('Password').fill(dashboard.password);
        await where.getByLabel('Code').fill(code);
        await where.getByRole('button', { name: 'Sign in' }).tap();
      };
      await dialog.getByLabel('Code').waitFor();
      await enter(dialog, '123456');
      await dialog.getByText('User, password or code is wrong.').waitFor();
      // A code is good once: signing in three times takes one of the window before, this one and the one behind it.
      const code = (windows) => totp(secret, Date.now() + windows * TOTP_STEP_MS);
      await until('no new window to begin under our hands', () => Date.now() % TOTP_STEP_MS < TOTP_STEP_MS / 2);
      await enter(dialog, code(-1));
      await dialog.waitFor({ state: 'detached' });
      await page.getByText('On', { exact: true }).first().waitFor();
      await page.getByRole('button', { name: 'Sign out', exact: true }).tap();
      await page.getByRole('heading', { name: /^Sign in to/ }).waitFor();
      await page.getByLabel('Code').waitFor();
      await enter(page, code(0));
      await page.getByRole('heading', { level: 1, name: /^(Overview|Settings)$/ }).waitFor();
      await visitor.context.clearCookies();
      await visitor.goto('/history');
      await page.getByLabel('Code').waitFor();
      await enter(page, code(1));
      await page.getByRole('heading', { level: 1, name: 'History' }).waitFor();
      await visitor.leave();
    } finally {
      await dashboard.destroy();
    }
  });

  it('wrong passwords are told, then made to wait for so long, and then the right one is good', async () => {
    const dashboard = await Dashboard.start({ agent: stack.agent });
    try {
      const visitor = await Visitor.open(browser, dashboard);
      const { page } = visitor;
      await visitor.goto('/commands');
      const alert = page.getByRole('alert');
      const enter = async (password) => {
        await page.getByLabel('Password').fill(password);
        const [answer] = await Promise.all([page.waitForResponse('**/api/v1/login'), page.keyboard.press('Enter')]);
        return answer.ok();
      };
      await enter('wrong');
      await alert.getByText('User or password is wrong.').waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.id), 'password', 'and can be typed again at once');
      await until('to be told to wait', async () => {
        await enter('wrong again');
        await page.locator('.btn[aria-busy=true]').waitFor({ state: 'detached' });
        await alert.waitFor();
        return /Too many attempts\. Try again in \d+ s\./.test(await alert.innerText());
      });
      await until('the wait to be over', async () => {
        if (await enter(dashboard.password)) return true;
        await page.locator('.btn[aria-busy=true]').waitFor({ state: 'detached' });
        return false;
      });
      await page.getByRole('heading', { level: 1, name: 'Commands' }).waitFor();
      assert.equal(new URL(page.url()).pathname, '/commands', 'where one wanted to go');
      await visitor.leave();
    } finally {
      await dashboard.destroy();
    }
  });

  it('a session that ends under an open form is signed in to over it, and what was typed is still there', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    const { page } = visitor;
    await visitor.signIn('/commands');
    await page.locator('.entry-row', { hasText: 'host.processes' }).getByRole('button', { name: /^Run/ }).click();
    await page.locator('#input-count').fill('11');
    await stack.session.request('POST', '/api/v1/logout', {});
    stack.session = await stack.dashboard.login();
    const { sessions } = (await stack.session.get('/api/v1/sessions')).json;
    for (const s of sessions.filter((x) => !x.current)) await stack.session.request('DELETE', `/api/v1/sessions/${s.id}`);
    const dialog = page.locator('dialog[open]', { hasText: 'Sign in again' });
    await dialog.waitFor();
    // A browser takes the second Escape without asking the page.
    for (let i = 0; i < 3; i++) await page.keyboard.press('Escape');
    await until('it to be there', () => dialog.isVisible());
    assert.equal(await page.evaluate(() => document.activeElement.closest('dialog')?.querySelector('h2')?.textContent), 'Sign in again', 'it cannot be waved away');
    await dialog.getByLabel('Password').fill(stack.dashboard.password);
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    assert.equal(await page.locator('#input-count').inputValue(), '11');
    await page.getByTestId('start').click();
    await word(visitor, 'Succeeded');
    assert.equal((await visitor.run(stack.session)).inputs.count, '11');
    await visitor.leave();
  });

  it('a session that ends in two tabs is begun again in both by signing in in one', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    await visitor.signIn('/history');
    const other = await visitor.context.newPage();
    await other.goto(`${stack.dashboard.url}/commands`);
    await other.locator('.entry-row').first().waitFor();
    const { sessions } = (await stack.session.get('/api/v1/sessions')).json;
    for (const s of sessions.filter((x) => !x.current)) await stack.session.request('DELETE', `/api/v1/sessions/${s.id}`);
    for (const tab of [visitor.page, other]) await tab.locator('dialog[open]', { hasText: 'Sign in again' }).waitFor();
    await visitor.page.getByLabel('Password').fill(stack.dashboard.password);
    await visitor.page.keyboard.press('Enter');
    await visitor.page.locator('dialog[open]').waitFor({ state: 'detached' });
    // Headless tabs are all seen: this one is told that it is, as one that is gone back to.
    await other.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await other.locator('dialog[open]').waitFor({ state: 'detached' });
    await other.getByText('Live', { exact: true }).first().waitFor({ state: 'attached' });
    await visitor.leave();
  });

  it('a token is made, works, says when it was used, and is good for nothing once revoked', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    const { page } = visitor;
    await visitor.signIn('/settings');
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByLabel('Name').fill('only-reads');
    await page.getByRole('button', { name: 'Make token' }).click();
    const secret = await page.getByText(/^opsd_/).innerText();
    await page.locator('.dialog-foot').getByRole('button', { name: 'Close' }).click();
    const row = page.locator('li, tr, .settings-row').filter({ hasText: 'only-reads' }).first();
    await row.waitFor();
    assert.ok(!(await page.locator('body').innerText()).includes(secret), 'it is shown once');
    const bearer = (method, path, body) => request(stack.dashboard, method, path, { headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }, body });
    assert.equal((await bearer('GET', '/api/v1/runs')).status, 200);
    assert.equal((await bearer('POST', '/api/v1/runs', JSON.stringify({ kind: 'command', id: 'host.uptime', inputs: {} }))).status, 403);
    await until('its use to be shown', async () => {
      await page.reload();
      await row.waitFor();
      return /used/i.test(await row.innerText()) && !/never used/i.test(await row.innerText());
    });
    await page.getByRole('button', { name: 'Revoke only-reads' }).click();
    await page.getByRole('button', { name: 'Revoke for good' }).click();
    await row.waitFor({ state: 'detached' }); // its button was gone with the question
    assert.equal((await bearer('GET', '/api/v1/runs')).status, 401);
    await visitor.leave();
  });

  it('the database away: the page says so, runs go on and are watched, and history comes back by itself', async () => {
    const run = await stack.session.run('host.uptime');
    await stack.session.finished(run.id);
    const visitor = await Visitor.open(browser, stack.dashboard);
    const { page } = visitor;
    await visitor.signIn('/history');
    await page.locator(`a[href="/runs/${run.number}"]`).first().waitFor();
    await stack.pg.stop();
    try {
      await page.locator('.banner', { hasText: 'database cannot be reached' }).waitFor({ timeout: 60000 });
      await page.locator(`a[href="/runs/${run.number}"]`).first().waitFor();
      await page.keyboard.press('g');
      await page.keyboard.press('c');
      await page.locator('.entry-row', { hasText: 'host.uptime' }).getByRole('button', { name: /^Run/ }).click();
      await word(visitor, 'Succeeded');
      await page.locator('.lr:not(.wait) .lx').first().waitFor();
      await visitor.goto('/audit');
      await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
      await page.getByRole('alert').first().waitFor();
    } finally {
      await stack.pg.startAgain();
    }
    await page.locator('.banner').waitFor({ state: 'detached', timeout: 60000 });
    await until('the audit', async () => {
      const again = page.getByRole('button', { name: 'Try again' }).first();
      if (await again.isVisible()) await again.click();
      return page.locator('.audit-row').first().isVisible();
    });
    await visitor.leave();
  });
});
