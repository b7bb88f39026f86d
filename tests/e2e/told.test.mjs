// What went wrong is told where one looks first: why a run failed, in its row; why an item is not well, in one's language.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Stack } from '../integration/lib/stack.mjs';
import { launch, PHONE, Visitor } from './browser.mjs';

const COMMANDS = `version: 1
commands:
  test.list:
    title: Look into a folder
    exec: [/bin/ls, "\${inputs.what}"]
    inputs:
      what: { type: string, required: true, title: What }
`;

describe('what went wrong', () => {
  let stack, browser;

  before(async () => {
    stack = await Stack.start({
      catalogue: () => ({ commands: COMMANDS }),
      status: (dir) => `version: 1\ninterval: 1s\nbackups:\n  - { name: nightly, glob: "${dir}/none/*.dump", max_age: 1h }\n`,
    });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await stack?.destroy();
  });

  it('a run that fails says why in the list, as one watches, and opens there', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    const { page } = visitor;
    await visitor.arrive('/');
    await stack.session.post('/api/v1/runs', { kind: 'command', id: 'test.list', inputs: { what: '/no/such/folder' } });
    const why = page.locator('.run-row .why bdi');
    await why.waitFor();
    assert.match(await why.innerText(), /: cannot access '\/no\/such\/folder': No such file or directory$/);
    await page.goto(`${stack.dashboard.url}/history`);
    await why.waitFor();
    assert.match(await page.locator('.run-row .why').getAttribute('title'), /No such file or directory$/);
    await page.locator('.run-row').first().click();
    await page.locator('.lr.current', { hasText: 'No such file or directory' }).waitFor();
    await visitor.leave();
  });

  it('on a phone in Dutch an item of the agent\u2019s is told in Dutch, by what the agent sends', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard, { viewport: PHONE });
    await visitor.arrive('/');
    await visitor.page.evaluate(() => localStorage.setItem('ops.lang', 'nl'));
    await visitor.page.reload();
    const card = visitor.page.locator('.attention-card', { hasText: 'nightly' });
    await card.waitFor();
    assert.match(await card.innerText(), /geen bestand past bij het patroon/);
    assert.equal(await card.locator('[lang=en]').count(), 0);
    const { json } = await stack.session.get('/api/v1/status');
    const [item] = json.sections.backups;
    assert.equal(item.message.endsWith('no file matches its pattern'), true);
    assert.match(item.code, /^backup_none/);
    assert.deepEqual(item.params, []);
    await visitor.leave();
  });
});
