// Several machines behind one dashboard, in a browser: the switch, all of them on one page, what is whose, one away.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { liveBackup } from './fixture/data.mjs';
import { MAIN, severalHosts } from './fixture/hosts.mjs';
import { PHONE, skip, World } from './harness.mjs';

let world;
before(async () => {
  if (!skip) world = await World.start();
});
after(async () => world?.stop());

function journey(name, { at = '/', prepare = severalHosts, ...options }, fn) {
  test(name, { skip }, async () => {
    const fixture = await world.server();
    prepare(fixture);
    const opened = await world.open(fixture, typeof at === 'function' ? at(fixture) : at, options);
    opened.page.setDefaultTimeout(30000);
    try {
      await fn(opened.page, fixture);
      assert.deepEqual(await opened.done(), []);
    } finally {
      await fixture.close();
    }
  });
}

const asked = (fixture, path) => fixture.requests.filter((r) => r.path.startsWith(`/api/v1${path}`));
const hosts = (page) => page.getByRole('navigation', { name: 'Hosts' });

journey('with one machine there is no switch, and no address names it', { prepare: () => undefined }, async (page, fixture) => {
  await page.waitForSelector('.attention-card');
  assert.equal(await page.locator('.hosts').count(), 0);
  assert.equal(await page.locator('a[href*="host="]').count(), 0);
  await page.getByRole('link', { name: /Commands/ }).first().click();
  await page.locator('.entry-row', { hasText: 'host.uptime' }).getByRole('button').click();
  await page.waitForURL(/\/runs\/\d+$/);
  assert.equal('host' in asked(fixture, '/runs').find((r) => r.method === 'POST').body, false);
});

journey('all machines on one page: what is wrong on any of them first; a link leads to the thing on its machine', {}, async (page) => {
  await page.locator('.host-card', { hasText: 'Web server' }).waitFor();
  assert.deepEqual(await page.locator('.host-card b').allInnerTexts(), ['db1', MAIN, 'Web server'], 'what is away first, then the worst');
  await page.locator('.attention-card', { hasText: 'Web server' }).waitFor();
  await page.locator('.run-host', { hasText: 'db1' }).first().waitFor();
  await page.locator('.attention-card', { hasText: 'Web server' }).click();
  await page.waitForURL(/\/host\?host=web1#/);
  await page.locator('.page-head', { hasText: 'Web server' }).waitFor();
  await page.locator('.resource-values', { hasText: '97' }).first().waitFor();
});

journey('a machine that is away says so on its pages, with since when, where there is nothing and where there is something', { at: '/units?host=db1' }, async (page, fixture) => {
  const since = (Date.now() - 3 * 3600e3) * 1000;
  const clock = await page.evaluate((us) => new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(us / 1000), since);
  fixture.setHost('db1', { since_us: since });
  await page.locator('.empty', { hasText: `db1 cannot be reached since ${clock}.` }).waitFor();
  assert.equal(await page.locator('.skeleton').count(), 0);
  await page.goto(`${fixture.origin}/units?host=web1`);
  await page.waitForSelector('.resource:not(.stale)');
  assert.equal(await page.locator('.note').count(), 0);
  fixture.setHost('web1', { state: 'away', reason: 'connection refused', since_us: since });
  await page.locator('.note', { hasText: `Web server cannot be reached since ${clock}.` }).waitFor();
  await page.waitForSelector('.resource.stale');
  fixture.setHost('web1', { state: 'connected', reason: '' });
  await page.waitForSelector('.resource:not(.stale)');
  await page.locator('.note').waitFor({ state: 'detached' });
});

journey('the switch stays on the page it is on, and links keep the machine', { at: '/history?status=failed' }, async (page, fixture) => {
  await page.waitForSelector('.run-row');
  assert.equal(await page.locator('.run-row').count(), 2);
  await hosts(page).getByRole('link', { name: /db1/ }).click();
  await page.waitForURL(`${fixture.origin}/history?status=failed&host=db1`);
  await page.waitForFunction(() => document.querySelectorAll('.run-row').length === 1);
  assert.equal(await page.locator('.page-tools select').first().inputValue(), 'db1');
  assert.ok(asked(fixture, '/runs').some((r) => r.path.includes('host=db1')));
  await page.locator('.run-row').click();
  await page.waitForURL(`${fixture.origin}/runs/1481?host=db1`);
  await page.getByText('this is db1').waitFor();
  await page.locator('.run-facts', { hasText: 'db1' }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await page.waitForURL(`${fixture.origin}/commands?host=db1`);
  await page.waitForFunction(() => document.querySelectorAll('.entry-row').length === 3);
  await hosts(page).getByRole('link', { name: 'All hosts' }).click();
  await page.waitForURL(`${fixture.origin}/commands`);
  await page.locator('h2', { hasText: 'Web server · host' }).waitFor();
});

const alike = (f) => f.byName('demo.flood').doc.number;
const sameNumber = (f) => {
  severalHosts(f);
  [...f.runs.values()].find((r) => r.doc.host === 'web1').doc.number = alike(f);
};
journey('a number that several machines have asks of which', { prepare: sameNumber, at: (f) => `/runs/${alike(f)}` }, async (page, fixture) => {
  await page.locator('.problem', { hasText: 'Several hosts have a run of this number' }).waitFor();
  assert.equal(await page.locator('h1').innerText(), `History #${alike(fixture)}`);
  assert.deepEqual((await page.locator('.problem a').allInnerTexts()).sort(), ['Web server', MAIN]);
  await page.locator('.problem').getByRole('link', { name: 'Web server' }).click();
  await page.waitForURL(`${fixture.origin}/runs/${alike(fixture)}?host=web1`);
  await page.getByText('this is web1').waitFor();
});

journey('what several machines have is run on the one that is chosen', { at: '/commands' }, async (page, fixture) => {
  await page.waitForSelector('.entry-row');
  await page.locator('section', { hasText: `${MAIN} · demo` }).locator('.entry-row', { hasText: 'demo.types' }).getByRole('button').click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Text').fill('hello');
  await form.getByRole('radio', { name: 'Web server' }).check({ force: true });
  await form.getByRole('button', { name: 'Run Every kind of input on Web server' }).waitFor();
  assert.equal(await form.getByLabel('Text').inputValue(), 'hello', 'what was typed stays');
  await form.locator('.preview summary').click();
  await form.locator('.argv').waitFor();
  await form.getByTestId('start').click();
  await page.waitForURL(/\/runs\/\d+\?host=web1$/);
  const posts = asked(fixture, '/runs').filter((r) => r.method === 'POST').map((r) => r.body);
  assert.deepEqual(posts.map((b) => [b.host, b.dry_run ?? false]), [['web1', true], ['web1', false]]);
});

journey('a machine whose newer files were refused says why, and keeps the ones from before', { at: '/commands', prepare: (f) => (severalHosts(f), (f.catalog.hosts[1].error = "commands.yml:3: 'exec' is missing")) }, async (page) => {
  await page.locator('.note', { hasText: "Web server: Newer files were refused; these are still the ones from before. commands.yml:3: 'exec' is missing" }).waitFor();
  await page.locator('h2', { hasText: 'Web server · host' }).waitFor();
});

journey('one machine away is named, and the others work', { at: '/commands' }, async (page, fixture) => {
  await page.locator('.banner', { hasText: 'db1 cannot be reached' }).waitFor();
  const button = (host, id) => page.locator('section', { hasText: host }).locator('.entry-row', { hasText: id }).getByRole('button').first();
  assert.ok(await button('db1 · pg', 'pg.dump').isDisabled());
  assert.ok(await button('Web server · host', 'host.uptime').isEnabled());
  fixture.setHost('db1', { state: 'connected', reason: '' });
  await page.locator('.banner').waitFor({ state: 'detached' });
  await page.waitForFunction(() => [...document.querySelectorAll('.entry-row button')].every((b) => !b.disabled));
  await hosts(page).getByRole('link', { name: 'db1 connected' }).waitFor();
});

const goingOnDb1 = (f) => {
  severalHosts(f);
  f.add(liveBackup());
  running(f).doc.host = 'db1';
};
journey('a run on a machine that is away is not cancelled, and the button says why', { prepare: goingOnDb1, at: (f) => `/runs/${running(f).doc.id}?host=db1` }, async (page, fixture) => {
  const cancel = page.getByRole('button', { name: 'Cancel run' });
  await page.locator('.banner', { hasText: 'db1 cannot be reached' }).waitFor();
  assert.ok(await cancel.isDisabled());
  assert.match(await cancel.getAttribute('title'), /^db1 cannot be reached/);
  fixture.setHost('db1', { state: 'connected', reason: '' });
  await page.locator('.banner').waitFor({ state: 'detached' });
  await page.waitForFunction(() => !document.querySelector('.cancel button').disabled);
});

journey('a machine that comes back is asked how it is', {}, async (page, fixture) => {
  await page.locator('.host-card', { hasText: 'db1' }).getByText('cannot be reached').waitFor();
  fixture.statuses.set('db1', { ...fixture.statuses.get('web1'), host: 'db1' });
  fixture.setHost('db1', { state: 'connected', reason: '' });
  await page.locator('.host-card', { hasText: 'db1' }).getByText('97').waitFor();
});

journey('tails, samples and what would help are of the machine that is looked at', { at: '/units?host=web1#caddy.service', prepare: (f) => (severalHosts(f), f.tails.set('web1 tail/unit/caddy.service', f.tails.get('tail/unit/caddy.service'))) }, async (page, fixture) => {
  const row = page.locator('[id="item-caddy.service"]');
  await row.getByRole('button', { name: 'Live log' }).click();
  await row.locator('.lr:not(.wait)').first().waitFor();
  await row.getByRole('button', { name: 'Over time' }).click();
  await page.waitForSelector('.time-chart canvas');
  assert.ok(asked(fixture, '/status/histories').every((r) => r.path.includes('host=web1')));
  await row.getByRole('button', { name: 'Run Uptime' }).click();
  await page.waitForURL(/\/runs\/\d+\?host=web1$/);
  assert.equal(asked(fixture, '/runs').find((r) => r.method === 'POST').body.host, 'web1');
});

journey('the palette names machines', {}, async (page, fixture) => {
  await page.waitForSelector('.host-card');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('>uptime');
  assert.deepEqual((await page.locator('.palette-detail').allInnerTexts()).sort(), ['Web server · host.uptime', 'db1 · host.uptime', `${MAIN} · host.uptime`]);
  await page.getByRole('combobox').fill('overview web');
  await page.keyboard.press('Enter');
  await page.waitForURL(`${fixture.origin}/?host=web1`);
});

journey('schedule and audit say whose it is, and change one machine', { at: '/schedule' }, async (page, fixture) => {
  const row = page.locator('.schedule-row', { hasText: 'Web server' });
  await row.getByRole('button', { name: /Pause/ }).click();
  await row.getByRole('form').getByRole('button', { name: 'Pause' }).click();
  await row.getByText('Paused').waitFor();
  assert.equal(await page.locator('.schedule-row .tag.warn').count(), 2, 'the other machine goes on');
  assert.ok(await page.getByRole('button', { name: 'Begin maintenance db1' }).isDisabled(), 'it could not be asked');
  assert.match(await page.locator('.maintenance', { hasText: 'connection refused' }).innerText(), /what it has planned is as of 5 min ago/);
  await page.getByRole('button', { name: 'Begin maintenance Web server' }).click();
  await page.locator('.maintenance.on', { hasText: 'Web server' }).waitFor();
  assert.deepEqual(fixture.requests.filter((r) => r.method === 'POST').map((r) => r.body), [{ flow: 'backup', pause: true, host: 'web1' }, { on: true, host: 'web1' }]);
  await page.goto(`${fixture.origin}/audit?host=web1`);
  await page.locator('.audit-host', { hasText: 'Web server' }).first().waitFor();
  assert.ok(asked(fixture, '/audit').every((r) => r.path.includes('host=web1')));
});

journey('on a phone the machines stand above the bar', { viewport: PHONE }, async (page, fixture) => {
  await page.waitForSelector('.host-card');
  await hosts(page).getByRole('link', { name: /Web server/ }).click();
  await page.waitForURL(`${fixture.origin}/?host=web1`);
  await page.locator('.attention-card').waitFor();
  const [bar, last] = await page.evaluate(() => {
    scrollTo(0, document.body.scrollHeight);
    return [document.querySelector('.side').getBoundingClientRect().top, [...document.querySelectorAll('main .row')].pop().getBoundingClientRect().bottom];
  });
  assert.ok(last <= bar, 'the last row is not under the bar');
});

const running = (f) => [...f.runs.values()].find((r) => r.doc.status === 'running');
const longNames = (f) => {
  severalHosts(f);
  f.add(liveBackup());
  running(f).doc.title = 'A process whose name is rather long for a phone';
  f.catalog.commands.find((c) => c.id === 'demo.types').title = 'A command whose name is rather long for a phone';
};
// What sticks to the top of the log is as high as one of its rows.
const SMALL = `[...document.querySelectorAll('.btn, .icon-btn, .nav-item, .card-link, a.entry-last, .find-button, .crumbs a')]
  .map((e) => [e, e.getBoundingClientRect()]).filter(([e, r]) => r.width > 0 && r.height < 43.5 && !e.closest('.sticky-step')).map(([e, r]) => e.className + ' ' + e.innerText + ' ' + r.height)`;
const fits = (page) => page.evaluate('document.documentElement.scrollWidth <= innerWidth');

journey('on a phone long names fit, and what is touched is large enough', { viewport: PHONE, prepare: longNames }, async (page, fixture) => {
  await page.locator('.running-card', { hasText: 'rather long' }).waitFor();
  assert.ok(await fits(page), 'nothing scrolls sideways');
  assert.deepEqual(await page.evaluate(SMALL), []);
  await page.goto(`${fixture.origin}/commands`);
  await page.locator('.entry-row', { hasText: 'demo.types' }).first().getByRole('button').click();
  const [cancel, start] = [page.getByRole('button', { name: 'Cancel' }), page.getByTestId('start')];
  await start.waitFor();
  const [c, r] = [await cancel.boundingBox(), await start.boundingBox()];
  assert.ok(c.x >= 0 && c.x + c.width <= r.x && r.x + r.width <= PHONE.width, 'both buttons are whole');
  assert.deepEqual(await page.evaluate(SMALL), []);
  for (const path of ['/history', '/schedule', '/settings', `/runs/${running(fixture).doc.id}`]) {
    await page.goto(fixture.origin + path);
    await page.locator('main .btn, .find-button').first().waitFor();
    assert.ok(await fits(page), path);
    assert.deepEqual(await page.evaluate(SMALL), [], path);
  }
});

journey('a run that is opened by its id gets the address that names its machine', { at: (f) => `/runs/${[...f.runs.values()].find((r) => r.doc.host === 'web1').doc.id}#L1` }, async (page, fixture) => {
  await page.waitForURL(/\/runs\/\d+\?host=web1#L1$/);
  await hosts(page).locator('[aria-current]', { hasText: 'Web server' }).waitFor();
  await page.goto(`${fixture.origin}/runs/1481`);
  await page.waitForURL(`${fixture.origin}/runs/1481?host=db1`);
});
