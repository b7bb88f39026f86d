// The first thing anybody does: sign in, press Backup, watch; and what we are known for: the dashboard
// killed in the middle, and the page that rejoins by itself.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { processesWith, until } from '../integration/lib/agent.mjs';
import { DESKTOP, launch, PHONE, TALL, Visitor } from './browser.mjs';
import { colours, startWorkshop } from './workshop.mjs';

describe('the page', () => {
  let stack, browser;

  before(async () => {
    stack = await startWorkshop();
    writeFileSync(`${stack.dir}/pg_service.conf`, `[ops]\nhost=${stack.pg.sockets}\nuser=ops\ndbname=ops\n`, { mode: 0o644 });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await stack?.destroy();
  });

  const finished = (visitor, word = 'Succeeded') =>
    visitor.page.locator('h1').getByText(word).waitFor({ timeout: 60000 });

  // What a run's viewer is to show, from the agent's own journal: each stream has its own pen, and line
  // n is what the n-th newline ends. Of a line that was rewritten only what follows the last carriage
  // return is seen.
  async function written(run) {
    const watcher = stack.watch(run, { keep: true });
    await watcher.finished;
    const pens = new Map();
    const lines = [];
    for (const { step, kind, payload } of watcher.journal.out) {
      const parts = Buffer.concat([pens.get(`${step} ${kind}`) ?? Buffer.alloc(0), payload]).toString('latin1').split('\n');
      pens.set(`${step} ${kind}`, Buffer.from(parts.pop(), 'latin1'));
      lines.push(...parts.map((part) => Buffer.from(part, 'latin1').toString()));
    }
    return lines.map((line) => line.replace(/\x1b\[[0-9;]*m/g, '').split('\r').at(-1).trimEnd());
  }

  const shown = async (visitor) => (await visitor.lines()).slice(1).map((line) => line.trimEnd());

  const runId = async (visitor) => (await visitor.run(stack.session)).id;

  // All of them, and nothing else.
  async function shows(visitor, expected) {
    const there = until('all lines to be shown', async () => {
      const lines = await shown(visitor);
      return lines.length >= expected.length && lines.filter(Boolean).length >= expected.filter(Boolean).length;
    });
    await there.catch(async (e) => assert.deepEqual(await shown(visitor), expected, e.message));
    assert.deepEqual(await shown(visitor), expected);
  }

  it('refuses a wrong password, and says so', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    await visitor.goto('/');
    await visitor.page.getByLabel('Password').fill('not it');
    await visitor.page.getByRole('button', { name: 'Sign in' }).click();
    await visitor.page.getByRole('alert').waitFor();
    await visitor.leave();
  });

  it('follows a run on when the window grows, as it does when a notice above the log goes away', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard, { viewport: { ...DESKTOP, height: 480 } });
    const run = await stack.session.run('test.ticks', { n: 100000, gap: '0.05' });
    await visitor.arrive(`/runs/${run.number}`);
    const last = async () => (await visitor.lines()).length - 1;
    await until('more than the window shows', async () => (await last()) > 24 && (await visitor.lines())[1] === undefined);
    await visitor.page.setViewportSize({ ...DESKTOP, height: 540 });
    const then = await last();
    await until('it to go on', async () => (await last()) > then + 40);
    await stack.session.post(`/api/v1/runs/${run.id}/cancel`, {});
    await finished(visitor, 'Cancelled');
    await visitor.leave();
  });

  it('runs Backup, and shows every line of it', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard, { viewport: TALL });
    await visitor.signIn('/commands');
    const row = visitor.page.locator('li').filter({ hasText: 'Dumps the database' });
    await row.getByRole('button', { name: /^Run/ }).click();
    await visitor.page.getByRole('button', { name: 'Run Backup' }).click();
    await finished(visitor);
    const expected = await written(await runId(visitor));
    assert.ok(expected.length > 20, `only ${expected.length} lines`);
    await shows(visitor, expected);
    const steps = visitor.page.getByRole('navigation', { name: 'Steps' });
    assert.equal(await steps.getByRole('listitem').count(), 4);
    await visitor.leave();
  });

  it('rejoins by itself when the dashboard is killed in the middle of a run', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard, { viewport: TALL });
    await visitor.arrive('/commands');
    await visitor.page.evaluate(() => { globalThis.sameDocument = true; });
    colours(stack, 'from now on');
    const row = visitor.page.locator('li').filter({ hasText: 'Colours until told' });
    await row.getByRole('button', { name: /^Run/ }).click();
    await visitor.page.locator('h1').getByText('Running').waitFor();
    await until('the first lines', async () => (await visitor.lines()).length > 3);
    await stack.dashboard.kill9();
    await visitor.page.locator('.conn, .sidebar, body').getByText(/Connection lost|Reconnecting/i).first().waitFor();
    await stack.dashboard.restart();
    colours(stack, 'now');
    await finished(visitor);
    const expected = await written(await runId(visitor));
    await shows(visitor, expected);
    assert.equal(await visitor.page.evaluate(() => globalThis.sameDocument), true, 'the page was loaded again');
    await visitor.leave();
  });

  it('asks before a run that wants it, and cancels the whole tree', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard, { viewport: PHONE, theme: 'dark' });
    await visitor.signIn('/commands');
    const row = visitor.page.locator('li').filter({ hasText: 'Ignores SIGTERM' });
    await row.getByRole('button', { name: /^Run/ }).click();
    await visitor.page.getByTestId('start').click();
    await visitor.page.locator('h1').getByText('Running').waitFor();
    const id = await runId(visitor);
    await until('the command to run', () => processesWith(`OPS_RUN_ID=${id}`).length >= 2);
    await visitor.page.getByRole('button', { name: /^Cancel/ }).first().click();
    await visitor.page.getByRole('alertdialog').getByRole('button', { name: /Cancel run|Cancel Process/i }).click();
    await finished(visitor, 'Cancelled');
    assert.deepEqual(processesWith(`OPS_RUN_ID=${id}`), []);
    await visitor.leave();
  });

  it('shows a bad input at its field', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    await visitor.arrive('/commands');
    const row = visitor.page.locator('li').filter({ hasText: 'Custom-format dump' });
    await row.getByRole('button', { name: /^Run/ }).click();
    await visitor.page.getByLabel('Label').fill('-x');
    await visitor.page.getByTestId('start').click();
    await visitor.page.locator('input[aria-invalid=true]').waitFor();
    assert.match(await visitor.page.locator('dialog').innerText(), /dash|'-'|begin/);
    await visitor.leave();
  });

  it('runs steps side by side, tries one again, and is approved where it is watched', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    const run = await stack.session.run('demo.parallel', { seconds: 1 }, { kind: 'flow' });
    await visitor.arrive(`/runs/${run.number}`);
    await visitor.page.getByRole('heading', { name: 'Both sides are through. Go on?' }).waitFor({ timeout: 60000 });
    assert.equal(await visitor.page.locator('nav .step.beside').count(), 2);
    await visitor.page.locator('nav .step', { hasText: 'left' }).getByText('attempt 2').waitFor();
    await visitor.page.getByLabel('Comment (optional)').fill('looks good');
    await visitor.page.getByTestId('approve').click();
    await finished(visitor);
    const { steps } = await stack.session.finished(run.id);
    assert.equal(steps.find((s) => s.id === 'release').status, 'succeeded');
    await visitor.leave();
  });

  it('searches a log that is not in the page, and reaches what it finds', async () => {
    const run = await stack.session.run('demo.flood', { mib: 8 });
    await stack.session.finished(run.id);
    const visitor = await Visitor.open(browser, stack.dashboard);
    await visitor.arrive(`/runs/${run.number}`);
    const first = (await written(run.id))[4999];
    await visitor.page.locator('.lr:not(.wait)').first().waitFor();
    await visitor.page.keyboard.press('/');
    await visitor.page.keyboard.type(first);
    await visitor.page.locator('.find-count', { hasText: /^1 line$/ }).waitFor();
    await visitor.page.keyboard.press('Enter');
    await visitor.page.locator('.lr.current .mark').waitFor();
    assert.equal(await visitor.page.locator('.lr.current .ln').textContent(), '5000');
    await visitor.leave();
  });

  it('shows the audit, and makes and revokes a token', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    await visitor.arrive('/audit');
    await visitor.page.locator('.audit-row').first().waitFor({ timeout: 30000 });
    await visitor.goto('/settings');
    await visitor.page.getByText('This browser').waitFor();
    await visitor.page.getByRole('button', { name: 'New token' }).click();
    await visitor.page.getByLabel('Name').fill('from-the-page');
    await visitor.page.getByRole('button', { name: 'Make token' }).click();
    const made = visitor.page.getByText(/^opsd_/);
    const asked = visitor.page.locator('#reauth-password');
    await made.or(asked).waitFor();
    if (await asked.isVisible()) {
      await asked.fill(stack.dashboard.password);
      await visitor.page.locator('.reauth').getByRole('button', { name: 'Make token' }).click();
    }
    await made.waitFor();
    await visitor.page.locator('.dialog-foot').getByRole('button', { name: 'Close' }).click();
    await visitor.page.getByRole('button', { name: 'Revoke from-the-page' }).click();
    await visitor.page.getByRole('button', { name: 'Revoke for good' }).click();
    await visitor.page.locator('li', { hasText: 'from-the-page' }).first().waitFor({ state: 'detached' });
    await visitor.leave();
  });

  it('signs out, and the session is no good any more', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    await visitor.signIn('/settings');
    const cookies = await visitor.context.cookies();
    await visitor.page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await visitor.page.getByRole('button', { name: 'Sign in' }).waitFor();
    const session = stack.dashboard.session(Object.fromEntries(cookies.map((c) => [c.name, c.value])));
    assert.equal((await session.get('/api/v1/session')).status, 401);
    await visitor.leave();
  });

  it('a second browser that opens a run half way sees the same', async () => {
    const first = await Visitor.open(browser, stack.dashboard, { viewport: TALL });
    await first.arrive('/commands');
    colours(stack, 'from now on');
    const row = first.page.locator('li').filter({ hasText: 'Colours until told' });
    await row.getByRole('button', { name: /^Run/ }).click();
    await until('half of it', async () => (await first.lines()).length > 12);
    const second = await Visitor.open(browser, stack.dashboard, { viewport: TALL, theme: 'dark' });
    await second.arrive(new URL(first.page.url()).pathname);
    await until('half of it here too', async () => (await second.lines()).length > 12);
    colours(stack, 'now');
    await finished(first);
    await finished(second);
    const expected = await written(await runId(first));
    await shows(first, expected);
    await shows(second, expected);
    await first.leave();
    await second.leave();
  });

  it('has no page that is wider than a phone', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard, { viewport: PHONE });
    await visitor.arrive('/');
    const run = await stack.session.run('demo.colours');
    for (const path of ['/', '/commands', '/history', '/schedule', '/audit', '/more', '/settings', `/runs/${run.number}`]) {
      await visitor.goto(path);
      await visitor.page.getByRole('heading', { level: 1 }).waitFor();
      const width = await visitor.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= PHONE.width, `${path} is ${width} pixels wide`);
    }
    await visitor.page.setViewportSize(DESKTOP);
    await visitor.leave();
  });
});
