// What a person does on the page, in Chromium, against the fixture server. No console error and no
// violation of the content security policy is allowed in any of it.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { liveBackup, makeRun, waitingDeploy } from './fixture/data.mjs';
import { PHONE, skip, World } from './harness.mjs';

let world;
before(async () => {
  if (!skip) world = await World.start();
});
after(async () => world?.stop());

/** A test with a server and a page of its own. */
function journey(name, options, fn) {
  test(name, { skip }, async () => {
    const fixture = await world.server();
    options.prepare?.(fixture);
    const opened = await world.open(fixture, typeof options.at === 'function' ? options.at(fixture) : (options.at ?? '/'), options);
    opened.page.setDefaultTimeout(30000);
    try {
      await fn(opened.page, fixture);
      assert.deepEqual(await opened.done(), []);
    } finally {
      await fixture.close();
    }
  });
}

const text = (page, selector) => page.locator(selector).first().innerText();
const sees = (page, selector, words) => page.locator(selector, { hasText: words }).first().waitFor();

journey('signing in leads to where one was going', { signedIn: false, at: '/history?status=failed' }, async (page) => {
  await page.waitForURL(/\/login\?next=/);
  await page.fill('#password', 'wrong');
  await page.keyboard.press('Enter');
  await sees(page, '.field-error', 'User or password is wrong');
  await page.fill('#password', 'secret');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/history\?status=failed$/);
  await sees(page, '.run-row', 'Backup');
});

journey('a foreign address to go to after signing in is ignored', { signedIn: false, at: '/login?next=//evil.example/' }, async (page, fixture) => {
  await page.fill('#password', 'secret');
  await page.keyboard.press('Enter');
  await page.waitForURL(`${fixture.origin}/`);
  await sees(page, 'h1', 'Overview');
});

journey('where a code is set up it is asked for', { signedIn: false, prepare: (f) => (f.totp = true) }, async (page) => {
  await page.fill('#password', 'secret');
  await page.fill('#code', '123 456');
  await page.keyboard.press('Enter');
  await sees(page, 'h1', 'Overview');
});

journey('the overview shows what runs now with its steps', { prepare: (f) => f.add(liveBackup(0)) }, async (page) => {
  await sees(page, '.running-card', 'Step 3 of 5 · Compare row counts');
  assert.equal(await page.locator('.running-card .step-bar span').count(), 5);
  assert.equal(await page.getAttribute('link[rel=icon]', 'href').then((h) => h.includes('running')), true);
});

journey('the overview shows problems first, the fullest disk, and where to read on', {}, async (page) => {
  await sees(page, '.attention-card', 'expires in 6 days');
  const worst = ['web-app-1', 'mail.example.org', 'logrotate.service', '/srv', 'Statements', '/srv/web'];
  assert.deepEqual(await page.locator('.attention-head b').allTextContents(), worst);
  await sees(page, '.metric-card', '92');
  await page.locator('.tile', { hasText: 'Certificates' }).click();
  await page.waitForURL(/\/certs$/);
  await sees(page, '.resource', 'example.org');
  assert.deepEqual(await page.locator('.resource summary b').allTextContents(), ['mail.example.org', 'example.org']);
  await page.goBack();
  await page.getByRole('button', { name: 'Show all 7' }).click();
  assert.deepEqual(await page.locator('.attention-head b').allTextContents(), [...worst, 'database']);
  await page.locator('.attention-card', { hasText: 'the folder cannot be read' }).click();
  await page.waitForURL(/\/backups#database$/);
  await sees(page, '.resource details[open]', 'the folder cannot be read');
});

journey('a command without inputs starts at once and its end is seen', {}, async (page, fixture) => {
  await page.locator('.quick-row', { hasText: 'Uptime' }).getByRole('button').click();
  await page.waitForURL(/\/runs\/\d+$/);
  await sees(page, 'h1 .status', 'Running');
  await sees(page, 'h1 .status', 'Succeeded');
  await sees(page, '.lr.run-end', 'Run succeeded');
  assert.match(await page.title(), /^✓ Uptime #\d+ · Ops$/);
  const post = fixture.requests.find((r) => r.method === 'POST' && r.path === '/api/v1/runs');
  assert.deepEqual(post.body, { kind: 'command', id: 'host.uptime', inputs: {} });
});

journey('a form checks its fields, shows the server’s refusals at them, confirms and remembers', { at: '/commands?run=demo.types' }, async (page, fixture) => {
  await page.fill('#input-replicas', '99');
  await page.getByTestId('start').click();
  await sees(page, '#input-replicas-error', 'Must be 1 to 10');
  await sees(page, '#input-text-error', 'required');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'input-text');
  await page.fill('#input-text', 'hello world');
  await page.fill('#input-replicas', '4');
  await page.fill('#input-label', 'taken');
  await page.fill('#input-token', 's3cret');
  await page.locator('[name=input-env][value=production]').check({ force: true });
  await page.locator('#input-dry').check();
  await page.getByTestId('start').click();
  await sees(page, '#input-label-error', 'taken already');
  await page.fill('#input-label', 'free');
  await page.getByTestId('start').click();
  await page.waitForURL(/\/runs\/\d+$/);
  const { body } = fixture.requests.filter((r) => r.method === 'POST' && r.path === '/api/v1/runs').pop();
  assert.equal(body.confirm, 'demo.types');
  assert.deepEqual(body.inputs, {
    text: 'hello world', label: 'free', replicas: 4, dry: true, env: 'production', region: 'ams', file: '/srv/backups/latest.dump', wait: '30s', hook: 'https://example.org/hook', token: 's3cret',
  });
  await page.goto(`${fixture.origin}/commands?run=demo.types`);
  await page.waitForSelector('#input-text');
  assert.equal(await page.inputValue('#input-text'), 'hello world');
  assert.equal(await page.inputValue('#input-token'), '', 'a secret is never filled in');
  assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('s3cret')), false);
});

journey('the exact argv is shown before anything runs', { at: '/commands?flow=backup' }, async (page, fixture) => {
  await page.locator('.preview summary').click();
  await sees(page, '.argv', '/usr/local/libexec/ops/pg.dump --db=app');
  assert.equal(await page.locator('.argv').count(), 5);
  assert.equal(fixture.requests.filter((r) => r.path === '/api/v1/runs' && r.method === 'POST').every((r) => r.body.dry_run === true), true);
});

journey('what is dangerous asks for the password, in place', { at: '/commands?run=apt.upgrade' }, async (page, fixture) => {
  await page.waitForSelector('dialog');
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), 'Cancel');
  await page.getByTestId('start').click();
  await page.fill('#reauth-password', 'wrong');
  await page.keyboard.press('Enter');
  await sees(page, '.field-error', 'The password is wrong');
  await page.fill('#reauth-password', 'secret');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/runs\/\d+$/);
  assert.equal(fixture.byName('apt.upgrade').doc.status !== undefined, true);
});

journey('an address with a command never starts it', { at: '/commands?run=host.uptime' }, async (page, fixture) => {
  await page.getByTestId('start').waitFor();
  await page.waitForTimeout(200);
  assert.equal(fixture.requests.some((r) => r.method === 'POST'), false);
});

journey('a lost answer is tried again with the same key, so that nothing runs twice', { at: '/commands?run=demo.flood' }, async (page, fixture) => {
  const keys = [];
  let lose = true;
  await page.route('**/api/v1/runs', async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    keys.push(route.request().headers()['idempotency-key']);
    if (!lose) return route.continue();
    lose = false;
    await route.fetch();
    return route.abort();
  });
  await page.fill('#input-mib', '2');
  await page.getByTestId('start').click();
  await sees(page, '.problem', 'cannot be reached');
  await page.getByTestId('start').click();
  await page.waitForURL(/\/runs\/\d+$/);
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  assert.equal([...fixture.runs.values()].filter((r) => r.doc.name === 'demo.flood' && r.doc.inputs.mib === '2').length, 1);
});

journey('cancel asks in place and then says so until the end, also of an older agent', { prepare: (f) => { f.add(liveBackup()); f.stubborn = f.silent = true; }, at: (f) => `/runs/${f.byName('backup').doc.number}` }, async (page, fixture) => {
  await page.waitForSelector('.lr');
  await page.keyboard.press('Shift+X');
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), 'Keep running');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.popover').count(), 0);
  await page.getByRole('button', { name: 'Cancel run' }).click();
  await sees(page, '#cancel-how', 'Steps marked “finally” still run.');
  await page.getByTestId('cancel-confirm').click();
  await sees(page, '.btn', /^Cancelling…/);
  assert.ok(await page.getByRole('button', { name: /^Cancelling/ }).isDisabled());
  fixture.endCancelled(fixture.byName('backup'));
  await sees(page, 'h1 .status', 'Cancelled');
  await sees(page, '.lr.event', 'Cancelled by admin');
  await page.getByRole('button', { name: 'Run again' }).waitFor();
});

journey('a run that is being cancelled says so to everybody; to end it at once is asked for separately', { prepare: (f) => { f.add(liveBackup()); f.stubborn = true; }, at: (f) => `/runs/${f.byName('backup').doc.number}` }, async (page, fixture) => {
  await page.waitForSelector('.lr');
  await page.keyboard.press('Shift+X');
  await page.getByTestId('cancel-confirm').click();
  await sees(page, '.btn', /^Cancelling…/);
  // Whoever comes now, and who comes back.
  await page.reload();
  await page.waitForSelector('.lr');
  await sees(page, '.btn', /^Cancelling…/);
  await page.keyboard.press('Shift+X');
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), 'Keep waiting');
  await sees(page, '.popover', 'at once?');
  await sees(page, '#cancel-how', 'admin has cancelled it.');
  await sees(page, '#cancel-how', 'Steps marked “finally” do not run.');
  await page.keyboard.press('Enter');
  await page.locator('.popover').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: /^Cancelling/ }).click();
  await page.getByRole('button', { name: 'End now' }).click();
  await sees(page, '.btn', 'Ending…');
  assert.equal(fixture.byName('backup').doc.cancel.kill, true);
  fixture.endCancelled(fixture.byName('backup'));
  await sees(page, 'h1 .status', 'Cancelled');
});

journey('what is asked stays what it was when somebody else cancels meanwhile', { prepare: (f) => { f.add(liveBackup()); f.stubborn = true; }, at: (f) => `/runs/${f.byName('backup').doc.number}` }, async (page, fixture) => {
  await page.waitForSelector('.lr');
  await page.getByRole('button', { name: 'Cancel run' }).click();
  const run = fixture.byName('backup');
  run.doc.cancel = { actor: 'opsctl:0', time_us: Date.now() * 1000, kill: false };
  fixture.tell(run);
  await page.getByRole('button', { name: /^Cancelling/ }).waitFor();
  assert.match(await page.locator('#cancel-question').innerText(), /^Cancel /);
  await page.getByTestId('cancel-confirm').click();
  await page.locator('.popover').waitFor({ state: 'detached' });
  assert.equal(run.doc.cancel.kill, false);
  fixture.endCancelled(run);
  await sees(page, 'h1 .status', 'Cancelled');
});

journey('run again opens the form with the values of then', { at: (f) => `/runs/${f.byName('demo.flood').doc.number}` }, async (page) => {
  await page.getByRole('button', { name: 'Run again' }).click();
  await page.waitForSelector('#input-mib');
  assert.equal(await page.inputValue('#input-mib'), '12');
});

journey('the palette runs, opens and goes by keyboard alone', {}, async (page, fixture) => {
  await page.waitForSelector('.run-row');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('colo');
  await sees(page, '[role=option][aria-selected=true]', 'Colours and progress');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/runs\/\d+$/);
  await page.keyboard.press('Control+k');
  await page.keyboard.type(`#${fixture.byName('host.uptime').doc.number}`);
  await page.keyboard.press('Enter');
  await sees(page, 'h1', 'Uptime');
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await sees(page, 'h1', 'Commands & flows');
  await page.keyboard.press('/');
  await page.keyboard.type('gc');
  assert.equal(await page.inputValue('.filter input'), 'gc', 'no shortcut fires while typing');
});

journey('all rows are there again on the way back, also more than are given at once', {
  at: '/history',
  prepare: (f) => {
    for (let i = 0; i < 260; i++) f.add({ ...f.byName('host.uptime'), doc: { ...f.byName('host.uptime').doc, id: `019ab4c5-0000-7000-8000-100000000${String(i).padStart(3, '0')}`, number: 100 + i, created_us: 1.7e15 + i } });
  },
}, async (page, fixture) => {
  const older = page.getByRole('button', { name: 'Load older runs' });
  const rows = page.locator('.run-row');
  await older.waitFor();
  while (await older.count()) {
    const n = await rows.count();
    await older.click();
    await page.waitForFunction((before) => document.querySelectorAll('.run-row').length > before, n);
  }
  const all = await rows.count();
  assert.ok(all > 250);
  await rows.last().click();
  await page.waitForURL(/\/runs\//);
  await page.goBack();
  await page.waitForFunction((n) => document.querySelectorAll('.run-row').length === n, all);
  const limits = fixture.requests.filter((r) => r.path.startsWith('/api/v1/runs?')).map((r) => Number(new URLSearchParams(r.path.split('?')[1]).get('limit')));
  assert.deepEqual(limits.slice(-2), [200, all - 200], 'as many at once as the dashboard gives');
});

journey('history filters in its address and loads older runs', {
  at: '/history',
  prepare: (f) => {
    for (let i = 0; i < 70; i++) f.add({ ...f.byName('host.uptime'), doc: { ...f.byName('host.uptime').doc, id: `019ab4c5-0000-7000-8000-1000000000${String(i).padStart(2, '0')}`, number: 100 + i, created_us: 1.7e15 + i } });
  },
}, async (page) => {
  await page.waitForSelector('.run-row');
  const first = await page.locator('.run-row').count();
  await page.getByRole('button', { name: 'Load older runs' }).click();
  await page.waitForFunction((n) => document.querySelectorAll('.run-row').length > n, first);
  const all = await page.locator('.run-row').count();
  const last = page.locator('.run-row').last();
  await last.scrollIntoViewIfNeeded();
  const y = await page.evaluate(() => scrollY);
  await last.click();
  await page.waitForURL(/\/runs\//);
  await page.goBack();
  await page.waitForFunction((n) => document.querySelectorAll('.run-row').length === n, all);
  await page.waitForFunction((before) => Math.abs(scrollY - before) < 2, y);
  await page.locator('[name=status][value=failed]').check({ force: true });
  await page.waitForURL(/status=failed/);
  await page.waitForFunction(() => document.querySelectorAll('.run-row').length === 1);
  await page.reload();
  await sees(page, '.run-outcome', 'exit 1');
});

journey('a failed run says why in its row, in full when pointed at, on a phone on a line of its own', { at: '/history', prepare: (f) => (f.byName('demo.flood').doc.status = 'failed') }, async (page, fixture) => {
  const why = page.locator('.run-row', { hasText: 'Backup' }).locator('.why');
  await why.waitFor();
  assert.match(await why.innerText(), /^db=ops pg_restore: error: could not execute query/);
  assert.equal(await why.getAttribute('title'), fixture.byName('backup').doc.first_error.text);
  // It is found when the log is archived, a moment after the end, and told.
  const flood = page.locator('.run-row', { hasText: 'Flood' });
  await flood.waitFor();
  assert.equal(await flood.locator('.why').count(), 0);
  const run = fixture.byName('demo.flood');
  run.doc.first_error = { line: 3, text: `no space left on ${'device '.repeat(20)}` };
  fixture.tell(run);
  await sees(page, '.run-row .why', 'no space left on device');
  for (const at of ['/history', '/']) {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(new URL(at, page.url()).href);
    await flood.locator('.why bdi').waitFor();
    const [line, took, row] = await Promise.all(['.why bdi', '.took', '.run-what'].map((c) => flood.locator(c).first().boundingBox()));
    assert.ok(line.y >= took.y + took.height - 4 && took.y >= row.y + row.height - 4, 'three lines');
    assert.ok(line.x + line.width <= 390 && line.width > 250 && line.height < 24, 'the last is one line, cut at the edge');
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await sees(page, '.list-card .why', 'no space left on device');
  assert.ok(!(await flood.innerText()).includes('mib=12'), 'a narrow column has no room for both');
});

journey('the session ends while watching: sign in over the page, which goes on', { prepare: (f) => f.add(liveBackup(50)), at: (f) => `/runs/${f.byName('backup').doc.number}` }, async (page, fixture) => {
  await page.waitForSelector('.lr');
  fixture.expire();
  await sees(page, 'dialog', 'Your session has ended');
  assert.ok((await page.locator('.lr').count()) > 10, 'the log is still there');
  await page.fill('dialog #password', 'secret');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog', { state: 'detached' });
  const lines = () => page.evaluate(() => Math.max(...[...document.querySelectorAll('.lr .ln')].map((e) => Number(e.textContent) || 0)));
  const then = await lines();
  await page.waitForFunction((n) => Math.max(...[...document.querySelectorAll('.lr .ln')].map((e) => Number(e.textContent) || 0)) > n + 3, then);
});

journey('a lost connection stays told until it is back', { prepare: (f) => f.add(liveBackup()) }, async (page, fixture) => {
  await page.waitForSelector('.run-row');
  await page.waitForSelector('.nav-item .count');
  const port = fixture.server.address().port;
  await new Promise((resolve) => {
    fixture.server.close(resolve);
    fixture.cut();
    fixture.server.closeAllConnections();
  });
  await sees(page, '.banner', 'Connection lost at');
  await sees(page, '.connection', 'Reconnecting');
  assert.ok((await page.locator('.run-row').count()) > 3, 'what was there stays');
  assert.equal(await page.locator('.quick-row button').first().isDisabled(), true);
  const filters = () => page.evaluate(() => [...document.querySelectorAll('.card, .count')].map((e) => getComputedStyle(e).filter));
  assert.deepEqual([...new Set(await filters())], ['grayscale(1)'], 'what is old is grey');
  await sees(page, '.banner', 'as of then');
  await fixture.listen(port);
  await page.getByRole('button', { name: 'Retry now' }).click();
  await sees(page, '.connection', 'Live');
  await page.waitForSelector('.banner', { state: 'detached' });
  assert.equal(await page.locator('.quick-row button').first().isEnabled(), true);
  assert.deepEqual([...new Set(await filters())], ['none']);
});

journey('agent away, history behind and a new page are told', {}, async (page, fixture) => {
  await page.waitForSelector('.run-row');
  fixture.agent = { ...fixture.agent, state: 'away', reason: 'connection refused' };
  fixture.archiver = { ...fixture.archiver, catching_up: true };
  fixture.tellSystem();
  await sees(page, '.banner', 'The agent cannot be reached');
  await sees(page, '.banner', 'History is catching up');
  assert.equal(await page.locator('.quick-row button').first().isDisabled(), true);
  fixture.agent = { ...fixture.agent, state: 'connected', reason: '' };
  fixture.archiver = { ...fixture.archiver, catching_up: false };
  fixture.assets = 'another';
  fixture.tellSystem();
  await sees(page, '.banner', 'new version');
  assert.equal(await page.locator('.banner').count(), 1);
});

journey('language and theme change at once and are remembered', { at: '/settings' }, async (page) => {
  await page.locator('[name=theme][value=dark]').check({ force: true });
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
  await page.locator('[name=language][value=nl]').check({ force: true });
  await sees(page, 'h1', 'Instellingen');
  assert.equal(await page.getAttribute('html', 'lang'), 'nl');
  await page.reload();
  await sees(page, 'h1', 'Instellingen');
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
});

journey('single keys can be switched off', { at: '/settings' }, async (page) => {
  await page.locator('#single-keys').uncheck();
  await page.locator('h1').click();
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await page.keyboard.press('?');
  assert.equal(await text(page, 'h1'), 'Settings');
  assert.equal(await page.locator('dialog').count(), 0);
});

journey('signing out ends it', { at: '/settings' }, async (page) => {
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.waitForURL(/\/login/);
  await sees(page, 'h1', 'Sign in to 127.0.0.1');
});

journey('pages and runs that are not there', { at: '/nope' }, async (page, fixture) => {
  await sees(page, 'p', 'There is no such page');
  await page.goto(`${fixture.origin}/runs/99999`);
  await sees(page, 'p', 'There is no run #99999');
});

journey('licences are there', { at: '/settings' }, async (page, fixture) => {
  const answer = await page.request.get(`${fixture.origin}/licences.txt`);
  assert.match(await answer.text(), /preact 11[\s\S]*lucide[\s\S]*Geist/i);
  const manifest = await (await page.request.get(`${fixture.origin}/manifest.webmanifest`)).json();
  for (const i of manifest.icons) assert.equal((await page.request.get(fixture.origin + i.src)).status(), 200);
});

journey('on a phone the run page and the form fit', { viewport: PHONE, prepare: (f) => f.add(liveBackup()), at: (f) => `/runs/${f.byName('backup').doc.number}` }, async (page, fixture) => {
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  await page.waitForSelector('.lr');
  assert.ok(await fits());
  assert.ok(await page.locator('.side nav').isVisible());
  await page.goto(`${fixture.origin}/commands?run=demo.types`);
  await page.waitForSelector('dialog');
  assert.ok(await fits());
  const box = await page.locator('dialog').boundingBox();
  assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, PHONE.width, PHONE.height]);
  for (const b of await page.locator('dialog :is(button, .input):visible').all()) {
    const { height } = await b.boundingBox();
    assert.ok(height >= 24, `${await b.innerText()} is ${height} px high`);
  }
});

// ---- history, schedule, audit, settings

journey('history is filtered by status, command and text, all in the address', { at: '/history' }, async (page, fixture) => {
  const names = () => page.locator('.run-row b').allInnerTexts();
  await page.getByLabel('Command').selectOption({ label: 'Backup' });
  await page.waitForURL(`${fixture.origin}/history?name=backup`);
  await page.waitForFunction(() => document.querySelectorAll('.run-row').length === 1);
  await page.getByRole('radio', { name: 'Succeeded' }).check({ force: true });
  await sees(page, '.empty', 'Nothing matches.');
  await page.goto(`${fixture.origin}/history?q=dis`);
  await page.waitForFunction(() => document.querySelectorAll('.run-row').length === 1);
  assert.deepEqual(await names(), ['Disk usage']);
  assert.equal(await page.getByRole('searchbox').inputValue(), 'dis');
  await page.getByRole('searchbox').fill('flo');
  await page.waitForURL(`${fixture.origin}/history?q=flo`);
  await page.waitForFunction(() => document.querySelector('.run-row b')?.textContent === 'Flood');
  // What starts now is shown only if it fits.
  const shown = await page.locator('.run-row').count();
  fixture.add(makeRun({ name: 'host.uptime', title: 'Uptime', steps: [{ id: 'main', title: 'Uptime' }] }));
  fixture.add(makeRun({ name: 'demo.flood', title: 'Flood', steps: [{ id: 'main', title: 'Flood' }] }));
  await page.waitForFunction((n) => document.querySelectorAll('.run-row').length === n + 1, shown);
});

journey('the schedule says what runs next, and is paused and resumed', { at: '/schedule' }, async (page, fixture) => {
  const row = page.locator('.schedule-row', { hasText: 'Backup' });
  assert.match(await row.locator('.schedule-next').innerText(), /\bin \d+[^]*:30:00/);
  assert.match(await row.innerText(), /Daily at 02:30[^]*30 2 \* \* \*/);
  const pause = row.getByRole('button', { name: 'Pause Backup' });
  await pause.click();
  await page.keyboard.press('Escape');
  await row.getByRole('form').waitFor({ state: 'detached' });
  assert.ok(await pause.evaluate((b) => b === document.activeElement), 'the focus is where it was');
  await page.keyboard.press('Enter');
  await row.getByRole('textbox', { name: 'Reason' }).waitFor();
  await page.keyboard.type('moving the disk');
  await page.keyboard.press('Enter');
  await row.getByText('by admin: moving the disk').waitFor();
  await row.getByRole('button', { name: /Resume/ }).click();
  await pause.click();
  await row.getByRole('form').getByRole('button', { name: 'Pause' }).click();
  await row.getByText('Paused').waitFor();
  assert.deepEqual(fixture.requests.filter((r) => r.method === 'POST' && r.path.includes('pause')).map((r) => r.body), [
    { flow: 'backup', pause: true, reason: 'moving the disk' },
    { flow: 'backup', pause: false },
    { flow: 'backup', pause: true },
  ]);
  await page.locator('#maintenance-reason').fill('new disk');
  await page.getByRole('button', { name: 'Begin maintenance' }).click();
  await sees(page, '.maintenance', 'new disk');
  assert.deepEqual(fixture.requests.filter((r) => r.method === 'POST' && r.path.includes('maintenance')).map((r) => r.body), [{ on: true, reason: 'new disk' }]);
});

for (const [size, viewport] of Object.entries({ laptop: { width: 1440, height: 900 }, phone: PHONE, low: { width: 1024, height: 420 } })) {
  journey(`what opens over the page is on the screen whole, ${size}`, { viewport }, async (page, fixture) => {
    await page.waitForSelector('.run-row');
    const open = {
      '/?': () => page.keyboard.press('?'),
      '/commands?run=demo.types': () => undefined,
      '/commands?run=apt.upgrade': () => page.getByTestId('start').click(),
      '/audit': () => page.locator('.audit-row').first().click(),
    };
    for (const [at, act] of Object.entries(open)) {
      await page.goto(fixture.origin + at);
      await page.waitForSelector('main h1');
      await act();
      await page.waitForSelector('dialog[open]');
      const { x, y, width, height } = await page.locator('dialog[open]').boundingBox();
      assert.ok(x >= 0 && y >= 0 && x + width <= viewport.width && y + height <= viewport.height, `${at}: ${x} ${y} ${width} ${height}`);
      // What is below the edge can be scrolled to, and what acts stays.
      const foot = page.locator('dialog[open] .dialog-foot');
      if (await foot.count()) assert.ok((await foot.boundingBox()).y < viewport.height - 40, at);
    }
  });
}

journey('runs are picked with x and cancelled together, after a question', { at: '/history', prepare: (f) => (f.add(liveBackup(0)), f.add(liveBackup(0))) }, async (page, fixture) => {
  await page.waitForSelector('.run-row');
  for (const key of ['j', 'x', 'j', 'x', 'j', 'x']) await page.keyboard.press(key);
  await sees(page, '.pick-bar', '3 runs picked');
  assert.equal(await page.locator('.pick input:checked').count(), 3);
  await page.keyboard.press('x');
  await sees(page, '.pick-bar', '2 runs picked');
  await page.keyboard.press('x');
  await page.keyboard.press('Shift+X');
  await sees(page, '[role=alertdialog]', 'Cancel 2 runs?');
  await page.keyboard.press('Enter'); // the harmless answer has the focus
  await page.locator('[role=alertdialog]').waitFor({ state: 'detached' });
  assert.equal(fixture.requests.some((r) => r.path.endsWith('/cancel')), false);
  await page.getByRole('button', { name: 'Cancel 2 runs' }).click();
  await page.getByTestId('cancel-confirm').click();
  await page.waitForFunction(() => document.querySelectorAll('.run-row .status.quiet').length >= 3);
  assert.equal(fixture.requests.filter((r) => r.path.endsWith('/cancel')).length, 2, 'what has ended is not cancelled');
  await page.getByRole('button', { name: 'Cancel 0 runs' }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.pick-bar').waitFor({ state: 'detached' });
});

journey('on a phone rows are picked when that is wanted', { at: '/history', viewport: PHONE, prepare: (f) => f.add(liveBackup()) }, async (page) => {
  await page.waitForSelector('.run-row');
  assert.equal(await page.locator('.pick').first().isVisible(), false);
  await page.getByRole('button', { name: 'Pick', exact: true }).click();
  await page.locator('.pick').first().click();
  await sees(page, '.pick-bar', '1 run picked');
  await page.keyboard.press('Shift+X');
  const question = await page.locator('.popover').boundingBox();
  assert.ok(question.x >= 0 && question.x + question.width <= PHONE.width, `the question is on the screen: ${JSON.stringify(question)}`);
  await page.getByRole('button', { name: 'Keep running' }).click();
  await page.getByRole('button', { name: 'Pick none' }).click();
  await page.locator('.pick').first().waitFor({ state: 'hidden' });
});

journey('in Dutch a refusal is told in Dutch', { at: '/commands?run=demo.types', language: 'nl-NL' }, async (page) => {
  await page.getByLabel('Text').fill('x');
  await page.getByLabel('Label').fill('taken');
  await page.getByTestId('start').click();
  await page.locator('.field-error').first().waitFor();
  await page.locator('.preview summary').click();
  await sees(page, '.problem', 'Er klopt iets niet aan wat is ingevuld.');
  assert.equal(await page.locator('.problem [lang=en]').count(), 0);
});

journey('the audit names runs by what they are called; one that is gone by its id', { at: '/audit' }, async (page, fixture) => {
  await sees(page, '.audit-row', 'Backup #');
  const failed = [...fixture.runs.values()].find((r) => r.doc.status === 'failed').doc;
  await sees(page, '.audit-row', `Backup #${failed.number}`);
  assert.match(await page.locator('.audit-row', { hasText: `Backup #${failed.number}` }).first().innerText(), /run\.released/);
  await page.locator('.audit-row', { hasText: 'run.released' }).filter({ hasText: '019ab4c5' }).waitFor();
});

journey('the audit tells who did what, and all of one entry', { at: '/audit' }, async (page, fixture) => {
  await sees(page, '.audit-row', 'run.started');
  await sees(page, '.status.pill', 'Chain verified');
  await page.getByRole('button', { name: 'Load older entries' }).click();
  await page.getByText('secret.wrong').waitFor();
  await page.locator('.audit-row', { hasText: 'login.failed' }).click();
  await sees(page, 'dialog', '203.0.113.9');
  await sees(page, 'dialog pre', '"user": "root"');
  await page.keyboard.press('k');
  await page.locator('dialog h2', { hasText: 'login.succeeded' }).waitFor();
  await page.getByRole('button', { name: 'Older entry' }).click();
  await page.locator('dialog h2', { hasText: 'login.failed' }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('j');
  await page.waitForFunction(() => document.activeElement.matches('.audit-row'));
  await page.getByLabel('Event begins with').fill('login');
  await page.waitForURL(`${fixture.origin}/audit?event=login`);
  await page.waitForFunction(() => document.querySelectorAll('.audit-row').length === 2);
});

journey('sessions are ended, tokens made and revoked, a second factor is proved', { at: '/settings' }, async (page, fixture) => {
  await sees(page, '.settings-list', 'Safari · iPhone');
  await page.getByRole('button', { name: 'Sign out Safari · iPhone' }).click();
  await page.waitForFunction(() => !document.body.innerText.includes('iPhone'));
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByLabel('Name').fill('cron');
  await page.getByLabel('It may').selectOption('run:backup');
  await page.getByRole('button', { name: 'Make token' }).click();
  await page.fill('#reauth-password', 'secret');
  await page.locator('.reauth').getByRole('button', { name: 'Make token' }).click();
  await sees(page, 'dialog code', 'opsd_0123456789abcdef');
  await page.locator('.dialog-foot').getByRole('button', { name: 'Close' }).click();
  await page.getByText('run:backup').waitFor();
  assert.deepEqual(fixture.tokenList.at(-1).scopes, ['run:backup']);
  await page.getByRole('button', { name: 'Revoke cron' }).click();
  await page.getByRole('button', { name: 'Revoke for good' }).click();
  await page.getByText('run:backup').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Set up' }).click();
  await page.fill('#totp-code', '000000');
  await page.keyboard.press('Enter');
  await page.getByText('The code is wrong.').waitFor();
  await page.fill('#totp-code', '123 456');
  await page.keyboard.press('Enter');
  await page.getByText(/^AUTH_TOTP_SECRET=[A-Z2-7]{32}$/).waitFor();
  await page.getByRole('radio', { name: 'Compact' }).check({ force: true });
  assert.equal(await page.evaluate(() => document.documentElement.dataset.density), 'compact');
});

journey('times by UTC and nothing that moves, when that is wanted, also the next time', { at: '/settings' }, async (page) => {
  await page.getByRole('radio', { name: 'UTC' }).check({ force: true });
  await page.getByRole('switch', { name: 'Less motion' }).click();
  assert.equal(await page.locator('.btn').first().evaluate((e) => getComputedStyle(e).transitionProperty), 'none');
  await page.goto(new URL('/history', page.url()).href);
  const time = page.locator('.run-when time').first();
  await time.waitFor();
  const utc = new Date(await time.getAttribute('datetime')).toISOString();
  const title = await time.getAttribute('title');
  assert.ok(title.endsWith(`${utc.slice(11, 19)} UTC`), `${title}, ${utc}`);
  assert.equal(await page.evaluate(() => document.documentElement.hasAttribute('data-still')), true);
});

journey('targets of notifications: what they are, how it went, a test of each', { at: '/settings' }, async (page, fixture) => {
  const card = page.locator('section[aria-labelledby=notifications]');
  await card.getByText('3 events wait').waitFor();
  await card.getByText('Nothing sent since the start').waitFor();
  await card.getByText('a run failed, it works again').waitFor();
  await card.getByText('starts deploy').waitFor();
  await card.getByRole('button', { name: 'Send a test phone' }).click();
  await card.getByText('answered 200').waitFor();
  await card.getByRole('button', { name: 'Send a test chat' }).click();
  await card.getByText('Failed to connect to chat.example.org').waitFor();
  assert.deepEqual(fixture.notify.targets.map((one) => one.last?.test ?? null), [true, true, null]);
  fixture.notify = { configured: false, targets: [], rules: [], hooks: [] };
  await page.reload();
  await card.getByText('Nobody is told anything yet.').waitFor();
});

journey('what a dashboard does not offer is said plainly', { at: '/schedule', prepare: (f) => (f.without = new Set(['schedule', 'audit', 'sessions', 'tokens'])) }, async (page, fixture) => {
  await sees(page, '.empty', 'This dashboard does not offer this.');
  for (const at of ['/audit', '/settings']) {
    await page.goto(fixture.origin + at);
    await sees(page, '.empty', 'This dashboard does not offer this.');
  }
});

for (const yes of [true, false]) {
  journey(`a waiting step is ${yes ? 'approved' : 'rejected'} in place`, { at: '/', prepare: (f) => f.add(waitingDeploy()) }, async (page, fixture) => {
    const run = fixture.byName('deploy');
    await page.goto(`${fixture.origin}/runs/${run.doc.number}`);
    await sees(page, '.approval h2', 'Roll web out to production?');
    await sees(page, '.approval', 'Without an answer it is rejected in');
    assert.equal(await page.locator('.step.beside').count(), 2, 'two builds at the same time');
    await sees(page, '.step', 'attempt 2');
    await page.getByLabel('Comment (optional)').fill('looks good');
    await page.getByTestId(yes ? 'approve' : 'reject').click();
    await page.locator('.approval').waitFor({ state: 'detached' });
    assert.deepEqual(fixture.requests.filter((r) => r.path.endsWith('/approve')).map((r) => r.body), [{ step: 'ask', approve: yes, comment: 'looks good' }]);
  });
}

// ---- lists, calendar, palette by keyboard; two tabs

const focused = (page) => page.evaluate(() => document.activeElement.closest('.row, [data-item]')?.textContent ?? '');

journey('j and k go through a list, Space shows a run\u2019s last lines, Enter opens it', { at: '/history' }, async (page) => {
  await page.waitForSelector('.run-row');
  const numbers = await page.locator('.run-row .run-number').allInnerTexts();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  assert.ok((await focused(page)).includes(numbers[1]));
  await page.keyboard.press('k');
  assert.ok((await focused(page)).includes(numbers[0]));
  const flood = page.locator('.run-row', { hasText: 'Flood' });
  await flood.focus();
  await page.keyboard.press('Space');
  await page.waitForFunction(() => /INFO|TRACE|WARN/.test(document.querySelector('.run-preview')?.textContent ?? ''));
  const shown = (await page.locator('.run-preview').innerText()).split('\n');
  assert.equal(shown.length, 12);
  assert.ok(!shown.join('').includes('\x1b'), 'without escapes');
  await page.keyboard.press('Space');
  assert.equal(await page.locator('.run-preview').count(), 0);
  const failed = page.locator('.run-row', { hasText: 'Backup' });
  await failed.focus();
  await page.keyboard.press('Space');
  await sees(page, '.first-error', 'relation "public.orders" already exists');
  assert.match(await page.locator('.first-error').getAttribute('href'), /^\/runs\/\d+#L71$/);
  await page.keyboard.press('Space');
  // Elsewhere Space is the browser's own.
  await page.locator('.segmented input').first().focus();
  await page.keyboard.press('ArrowRight');
  await page.waitForURL(/status=active/);
  await page.keyboard.press('ArrowLeft');
  await page.waitForURL(/history$/);
  await page.evaluate(() => {
    document.activeElement.blur();
    document.documentElement.style.minHeight = '5000px';
  });
  await page.keyboard.press('Space');
  await page.waitForFunction(() => scrollY > 0);
  await flood.focus();
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/runs\/\d+$/);
  await page.goto(new URL('/commands', page.url()).href);
  await page.waitForSelector('.entry-row');
  await page.keyboard.press('j');
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'BUTTON', 'of a command: the button that runs it');
});

for (const viewport of [undefined, PHONE]) {
  journey(`the calendar shows a week of what was and what comes${viewport ? ', on a phone' : ''}`, { at: '/schedule', ...(viewport ? { viewport } : {}) }, async (page) => {
    const week = page.locator('.calendar');
    await week.waitFor();
    assert.equal(await page.locator('.cal-day').count(), 7);
    assert.equal(await page.locator('.cal-day.today').count(), 1);
    const title = await page.locator('#calendar').innerText();
    await page.keyboard.press(']');
    await page.waitForFunction((t) => document.querySelector('#calendar').textContent !== t, title);
    assert.equal(await page.locator('.cal-item.coming', { hasText: 'Backup' }).count(), 7, 'each night of a week to come');
    assert.equal(await page.locator('.cal-item', { hasText: 'Renew certificates' }).count(), 0, 'paused: it does not come');
    await page.getByRole('button', { name: 'This week' }).click();
    await page.waitForFunction((t) => document.querySelector('#calendar').textContent === t, title);
    // The backup an hour ago is in this week, or, on a Monday just after midnight, in the one before.
    if ((await page.locator('a.cal-item').count()) === 0) await page.keyboard.press('[');
    await page.locator('a.cal-item', { hasText: 'Backup' }).first().waitFor();
    await page.locator('a.cal-item', { hasText: 'Backup' }).first().click();
    await page.waitForURL(/\/runs\/\d+$/);
  });
}

journey('the palette finds what is watched', { at: '/history' }, async (page) => {
  await page.waitForSelector('.run-row');
  await page.keyboard.press('Control+k');
  await page.waitForSelector('dialog.palette[open]');
  await page.keyboard.type('mail.exa');
  await sees(page, '[role=option][aria-selected=true]', 'mail.example.org');
  await sees(page, '[role=option][aria-selected=true]', 'expires in 6 days');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/certs#mail\.example\.org/);
});

test('two tabs: what is done in one is seen in the other', { skip }, async () => {
  const fixture = await world.server();
  try {
    const first = await world.open(fixture, '/');
    const second = await world.open(fixture, '/history');
    await first.page.waitForSelector('.run-row');
    await second.page.waitForSelector('.run-row');
    const known = await second.page.locator('.run-row').count();
    await first.page.goto(`${fixture.origin}/commands`);
    await first.page.locator('li', { hasText: 'How long the machine' }).getByRole('button', { name: /^Run/ }).click();
    await first.page.waitForURL(/\/runs\/\d+$/);
    await second.page.waitForFunction((n) => document.querySelectorAll('.run-row').length === n + 1, known);
    fixture.expire();
    for (const { page } of [first, second]) await page.waitForSelector('dialog[open] #password');
    await first.page.fill('dialog #password', 'secret');
    await first.page.keyboard.press('Enter');
    await first.page.waitForSelector('dialog', { state: 'detached' });
    for (const tab of [first, second]) assert.deepEqual(await tab.done(), []);
  } finally {
    await fixture.close();
  }
});

journey('without a mouse: sign in, find a command, fill in, run, read, search, leave', { signedIn: false }, async (page) => {
  await page.waitForFunction(() => document.activeElement.id === 'password', undefined, { timeout: 10_000 });
  await page.keyboard.type('secret');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.run-row');
  await page.keyboard.press('Control+k');
  await page.waitForSelector('dialog.palette[open]');
  await page.keyboard.type('>flood');
  await sees(page, '[role=option][aria-selected=true]', 'Flood');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#input-mib');
  await page.waitForFunction(() => document.activeElement.id === 'input-mib');
  await page.keyboard.type('1');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/runs\/\d+$/);
  await sees(page, 'h1 .status', 'Succeeded');
  await page.waitForSelector('.lr:not(.wait) .lx');
  await page.keyboard.press('/');
  await page.waitForFunction(() => document.activeElement.matches('.find input'));
  await page.keyboard.type('info');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.lr.current');
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await sees(page, 'dialog h3', 'In lists');
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('h');
  await page.waitForURL(/\/history$/);
});
