// From the form to the end of a run: every kind of input, what asks before it runs, what is answered, cancelled, queued, refused.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { processesWith, until } from '../integration/lib/agent.mjs';
import { DESKTOP, launch, PHONE, Visitor } from './browser.mjs';
import { startWorkshop } from './workshop.mjs';

describe('a run, from the form to its end', () => {
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
  const row = ({ page }, id) => page.locator('.entry-row', { hasText: id });
  const press = (visitor, id) => row(visitor, id).getByRole('button', { name: /^Run/ }).click();
  const nothingRuns = () => until('nothing to run', async () => (await stack.session.get('/api/v1/runs?limit=20')).json.runs.every((r) => r.finished_us));

  async function open(path, options) {
    const visitor = await Visitor.open(browser, stack.dashboard, options);
    await visitor.arrive(path);
    return visitor;
  }

  for (const [name, viewport] of [['on a desktop', DESKTOP], ['on a phone', PHONE]]) {
    it(`with every kind of input, ${name}: what the page knows is wrong, what only the agent knows, and then as it was meant`, async () => {
      const visitor = await open('/commands', { viewport });
      const { page } = visitor;
      const dialog = page.locator('dialog[open]');
      const wrong = (id) => dialog.locator(`#input-${id}-error`);
      await press(visitor, 'test.inputs');
      await dialog.getByTestId('start').click();
      assert.match(await wrong('text').innerText(), /required/);
      assert.match(await wrong('key').innerText(), /required/);
      await until('the first that is wrong to have the focus', () => page.evaluate(() => document.activeElement.id === 'input-text'));

      const bad = {
        text: ['thirteen chars', /At most 12/], slug: ['a b', /Letters, digits/], count: ['10', /1 to 9/], file: ['../x', /without/], host: ['a_b', /host name/],
        url: ['http://example.org/', /begin with https/], wait: ['5 m', /duration/], free: ['ABC', /\[a-z\]/],
      };
      for (const [id, [value]] of Object.entries(bad)) await dialog.locator(`#input-${id}`).fill(value);
      await dialog.getByTestId('start').click();
      for (const [id, [, message]] of Object.entries(bad)) assert.match(await wrong(id).innerText(), message);

      const good = { text: "it's — ünï", slug: 'nightly', count: '7', file: 'missing.txt', host: '::1', url: 'https://example.org/a?b=1', wait: '1h30m', key: 'a-long-secret', free: 'go' };
      for (const [id, value] of Object.entries(good)) {
        await dialog.locator(`#input-${id}`).fill(value);
        assert.equal(await wrong(id).count(), 0, 'what is being mended is not complained of');
      }
      await dialog.getByRole('switch', { name: 'Dry run' }).click();
      await dialog.getByRole('radio', { name: 'production' }).check({ force: true });
      await dialog.getByLabel('Region').selectOption('waw');
      await dialog.getByTestId('start').click();
      await wrong('file').waitFor();
      assert.match(await wrong('file').innerText(), /exist|no such|not/i);
      await until('the file to have the focus', () => page.evaluate(() => document.activeElement.id === 'input-file'));
      await dialog.locator('#input-file').fill('there.txt');
      await dialog.getByText('What exactly will run').click();
      await dialog.locator('.argv').waitFor();
      assert.ok(!(await dialog.innerText()).includes('a-long-secret'), 'the secret is not shown');
      await dialog.getByTestId('start').click();
      await word(visitor, 'Succeeded');
      const run = await visitor.run(stack.session);
      await stack.session.finished(run.id);
      await page.getByText('key: 13').first().waitFor();
      const said = (await visitor.lines()).slice(1).filter((line) => line.startsWith('['));
      assert.deepEqual(said, ["[it's — ünï]", '[nightly]', '[7]', '[true]', '[production]', '[waw]', `[${stack.dir}/files/there.txt]`, '[::1]', '[https://example.org/a?b=1]', '[1h30m]', '[go]']);

      // Again: filled in as it was, but for the secret.
      await page.getByRole('button', { name: 'Run again' }).first().click();
      assert.equal(await dialog.locator('#input-text').inputValue(), good.text);
      assert.equal(await dialog.locator('#input-count').inputValue(), '7');
      assert.equal(await dialog.locator('#input-key').inputValue(), '');
      assert.ok(await dialog.getByRole('radio', { name: 'production' }).isChecked());
      assert.equal(await dialog.getByLabel('Region').inputValue(), 'waw');
      assert.ok(await dialog.getByRole('switch', { name: 'Dry run' }).isChecked());
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
      await visitor.leave();
    });
  }

  it('that wants a confirmation has the focus on Cancel, and is sent with it', async () => {
    const visitor = await open('/commands');
    const { page } = visitor;
    await press(visitor, 'backup.prune');
    await page.locator('dialog[open]').getByText('asks for a confirmation').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    await until('the focus to be where it was', () => page.evaluate(() => document.activeElement.closest('.entry-row')?.textContent.includes('backup.prune')));
    await press(visitor, 'backup.prune');
    await page.getByTestId('start').click();
    await page.waitForURL(/\/runs\/\d+/);
    assert.equal((await visitor.run(stack.session)).name, 'backup.prune');
    await nothingRuns();
    await visitor.leave();
  });

  it('that is dangerous asks for the password in the same dialog, says when it is wrong, and runs what was typed', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    const { page } = visitor;
    const now = Math.floor(Date.now() / 1000);
    await visitor.context.addCookies([{ name: 'ops_session', value: stack.dashboard.forgeCookie({ created: now - 1000, seen: now }), url: stack.dashboard.url }]);
    await visitor.goto('/commands');
    // Also from the palette: it never runs at once.
    await row(visitor, 'test.danger').waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('>something dang');
    await page.locator('[role=option][aria-selected=true]', { hasText: 'test.danger' }).waitFor();
    await page.keyboard.press('Enter');
    const dialog = page.locator('dialog[open]', { hasText: 'Something dangerous' });
    await dialog.getByText('This is dangerous').waitFor();
    await dialog.locator('#input-word').fill('sure');
    await dialog.getByTestId('start').click();
    await dialog.locator('#reauth-password').fill('not this one');
    await page.keyboard.press('Enter');
    await dialog.getByText('The password is wrong.').waitFor();
    assert.equal(await dialog.locator('#input-word').inputValue(), 'sure');
    await dialog.locator('#reauth-password').fill(stack.dashboard.password);
    await page.keyboard.press('Enter');
    await word(visitor, 'Succeeded');
    await page.getByText('[sure]').first().waitFor();
    await visitor.leave();
  });

  it('that asks is rejected in place, and what follows does not run', async () => {
    const visitor = await open('/', { viewport: PHONE, theme: 'dark' });
    const { page } = visitor;
    const run = await stack.session.run('test.ask', {}, { kind: 'flow' });
    await visitor.goto(`/runs/${run.number}`);
    await page.getByRole('heading', { name: 'Shall it go on?' }).waitFor();
    assert.match(await page.title(), /^⏸ /);
    await page.getByLabel('Comment (optional)').fill('not today');
    await page.getByTestId('reject').tap();
    await word(visitor, 'Failed');
    const { steps } = await stack.session.finished(run.id);
    assert.equal(steps.find((s) => s.id === 'gate').reason, 'rejected');
    assert.equal(steps.find((s) => s.id === 'after').status, 'skipped');
    assert.match(await page.title(), /^✖ /);
    await visitor.leave();
  });

  it('that was answered elsewhere a moment before says so, and shows what was answered', async () => {
    const visitor = await open('/');
    const { page } = visitor;
    const run = await stack.session.run('test.ask', {}, { kind: 'flow' });
    await visitor.goto(`/runs/${run.number}`);
    await page.getByTestId('approve').waitFor();
    // The other one is faster by the time that this answer is on its way.
    await page.route('**/approve', async (route) => {
      assert.equal((await stack.session.post(`/api/v1/runs/${run.id}/approve`, { step: 'gate', approve: false })).status, 200);
      await route.continue();
    });
    await page.getByTestId('approve').click();
    await page.locator('.toast', { hasText: /already|ended/ }).waitFor();
    await word(visitor, 'Failed');
    assert.equal(await page.getByTestId('approve').count(), 0, 'there is nothing left to answer');
    await visitor.leave();
  });

  it('is cancelled once, however often one presses, also from two windows', async () => {
    const visitor = await open('/');
    const { page } = visitor;
    const run = await stack.session.run('demo.stubborn', {}, { confirm: 'demo.stubborn' });
    await visitor.goto(`/runs/${run.number}`);
    await word(visitor, 'Running');
    await until('the command to run', () => processesWith(`OPS_RUN_ID=${run.id}`).length >= 2);
    await page.keyboard.press('Shift+X');
    await page.getByRole('alertdialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('alertdialog').waitFor({ state: 'detached' });
    await page.keyboard.press('Shift+X');
    await page.getByRole('alertdialog').waitFor();
    await until('the harmless answer to have the focus', () => page.evaluate(() => document.activeElement.textContent === 'Keep running'));
    // The other one is faster by the time that this request is on its way.
    await page.route('**/cancel', async (route) => {
      assert.equal((await stack.session.post(`/api/v1/runs/${run.id}/cancel`, { kill: false })).status, 202);
      await route.continue();
    });
    await page.getByTestId('cancel-confirm').click();
    await word(visitor, 'Cancelled');
    assert.deepEqual(processesWith(`OPS_RUN_ID=${run.id}`), []);
    assert.equal(await page.locator('.toast').count(), 0, 'nothing went wrong');
    await page.locator('.lr', { hasText: 'Cancelled by' }).first().waitFor();
    assert.equal(await page.locator('.lr', { hasText: 'Cancelled by' }).count(), 1, 'asked twice, it is one request');
    await visitor.leave();
  });

  it('that takes its time to end says so to everybody, tidies up when it has, and skips that only for whom asks for it', async () => {
    for (const [atOnce, viewport] of [[false, DESKTOP], [true, PHONE]]) {
      const [visitor, other] = [await open('/', { viewport }), await open('/')];
      const { page } = visitor;
      const run = await stack.session.run('test.tidy', { label: `t${atOnce}` }, { kind: 'flow' });
      await visitor.goto(`/runs/${run.number}`);
      await page.getByText('started', { exact: true }).first().waitFor();
      await page.getByRole('button', { name: 'Cancel run' }).click();
      await page.getByTestId('cancel-confirm').click();
      await page.getByRole('button', { name: /^Cancelling… \d+ s/ }).waitFor();
      // Who comes now sees it as well, and is asked something else.
      await other.goto(`/runs/${run.number}`);
      const cancelling = other.page.getByRole('button', { name: /^Cancelling… \d+ s/ });
      await cancelling.click();
      await other.page.getByRole('alertdialog').getByText('admin has cancelled it.').waitFor();
      if (atOnce) {
        await other.page.getByRole('button', { name: 'End now' }).click();
      } else {
        await other.page.getByRole('button', { name: 'Keep waiting' }).click();
        writeFileSync(`${stack.dir}/files/enough-t${atOnce}`, '');
      }
      await word(visitor, 'Cancelled');
      const tidied = (await stack.session.get(`/api/v1/runs/${run.id}`)).json.run.steps.find((s) => s.phase === 'finally');
      assert.equal(tidied.status, atOnce ? 'skipped' : 'succeeded');
      await other.leave();
      await visitor.leave();
    }
  });

  it('waits in a queue, says so, goes on when it is its turn, and can be taken out of it', async () => {
    const visitor = await open('/commands');
    const { page } = visitor;
    const first = await stack.session.run('test.stay');
    await press(visitor, 'test.stay');
    await word(visitor, 'Queued');
    const second = await visitor.run(stack.session);
    const third = await stack.session.run('test.stay');
    await visitor.goto(`/runs/${third.number}`);
    await word(visitor, 'Queued');
    await page.getByRole('button', { name: 'Cancel run' }).click();
    await page.getByTestId('cancel-confirm').click();
    await word(visitor, 'Cancelled');
    await visitor.goto(`/runs/${second.number}`);
    await word(visitor, 'Queued');
    await stack.session.post(`/api/v1/runs/${first.id}/cancel`, {});
    await word(visitor, 'Running');
    await page.getByText('started').first().waitFor();
    await stack.session.post(`/api/v1/runs/${second.id}/cancel`, {});
    await word(visitor, 'Cancelled');
    await visitor.leave();
  });

  it('does not start in maintenance, which the form says; afterwards the same form starts it', async () => {
    const visitor = await open('/schedule');
    const { page } = visitor;
    await page.getByLabel('Reason').fill('moving house');
    await page.getByRole('button', { name: 'Begin maintenance' }).click();
    await page.locator('.maintenance.on', { hasText: 'moving house' }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('c');
    await press(visitor, 'host.processes');
    const dialog = page.locator('dialog[open]');
    await dialog.locator('#input-count').fill('3');
    await dialog.getByTestId('start').click();
    await dialog.getByRole('alert').waitFor();
    assert.match(await dialog.getByRole('alert').innerText(), /maintenance/i);
    assert.match(await dialog.getByRole('alert').innerText(), /moving house/);
    assert.equal((await stack.session.post('/api/v1/maintenance', { on: false })).status, 200);
    await dialog.getByTestId('start').click();
    await word(visitor, 'Succeeded');
    assert.equal((await visitor.run(stack.session)).inputs.count, '3');
    await visitor.leave();
  });

  it('cannot be started while the agent is away: the open form says why, keeps what was typed, and works when it is back', async () => {
    const visitor = await open('/commands');
    const { page } = visitor;
    await press(visitor, 'host.processes');
    const dialog = page.locator('dialog[open]');
    await dialog.locator('#input-count').fill('4');
    await stack.agent.stop();
    await dialog.locator('.note', { hasText: 'cannot be reached' }).waitFor({ timeout: 60000 });
    assert.ok(await dialog.getByTestId('start').isDisabled());
    assert.match(await dialog.getByTestId('start').getAttribute('title'), /cannot be reached/);
    await page.keyboard.press('Enter'); // a disabled button is no way around
    await stack.agent.restart();
    await dialog.locator('.note', { hasText: 'cannot be reached' }).waitFor({ state: 'detached', timeout: 60000 });
    assert.equal(await dialog.locator('#input-count').inputValue(), '4');
    await dialog.getByTestId('start').click();
    await word(visitor, 'Succeeded');
    assert.equal((await visitor.run(stack.session)).inputs.count, '4');
    await visitor.leave();
  });

  it('needs no mouse: a form with every control, a confirmation, a cancel, the next and the last run', async () => {
    const visitor = await open('/commands');
    const { page } = visitor;
    const { keyboard } = page;
    const has = (what, probe) => until(what, () => page.evaluate(probe));
    const tabTo = (id) => until(`the focus on ${id}`, async () => {
      if ((await page.evaluate(() => `${document.activeElement.id} ${document.activeElement.name}`)).split(' ').includes(id)) return true;
      await keyboard.press('Tab');
      return false;
    });
    await row(visitor, 'test.inputs').waitFor();
    await keyboard.press('Control+k');
    await keyboard.type('>every kind');
    await page.locator('[role=option][aria-selected=true]', { hasText: 'test.inputs' }).waitFor();
    await keyboard.press('Enter');
    await has('the form', () => document.activeElement.id === 'input-text');
    await keyboard.type('keys');
    await tabTo('input-dry');
    await keyboard.press('Space');
    await tabTo('input-where');
    await keyboard.press('ArrowRight');
    await tabTo('input-region');
    await keyboard.type('m');
    await tabTo('input-file');
    await keyboard.type('there.txt');
    await tabTo('input-key');
    await keyboard.type('only keys');
    await keyboard.press('Enter');
    await word(visitor, 'Succeeded');
    const { inputs } = await visitor.run(stack.session);
    assert.deepEqual([inputs.text, inputs.dry, inputs.where, inputs.region], ['keys', 'true', 'production', 'mad']);

    const run = await stack.session.run('test.stay');
    await page.locator('.count', { hasText: '1' }).waitFor();
    await keyboard.press(']');
    await page.waitForURL(new RegExp(`/runs/${run.number}$`));
    await word(visitor, 'Running');
    await keyboard.press('Shift+X');
    await has('the question', () => document.activeElement.textContent === 'Keep running');
    await keyboard.press('Tab');
    await keyboard.press('Enter');
    await word(visitor, 'Cancelled');
    await keyboard.press('[');
    await page.waitForURL(new RegExp(`/runs/${run.number - 1}$`));
    await word(visitor, 'Succeeded');
    await keyboard.press('r');
    await has('the form again', () => document.activeElement.id === 'input-text' && document.activeElement.value === 'keys');
    await keyboard.press('Escape');
    await visitor.leave();
  });
});
