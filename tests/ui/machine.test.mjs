// What is watched, in a browser: cards, charts, actions, live tails.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { skip, World } from './harness.mjs';

let world;
before(async () => {
  if (!skip) world = await World.start();
});
after(async () => world?.stop());

function journey(name, { at = '/', ...options }, fn) {
  test(name, { skip }, async () => {
    const fixture = await world.server();
    options.prepare?.(fixture);
    const opened = await world.open(fixture, at, options);
    try {
      await fn(opened.page, fixture);
      assert.deepEqual(await opened.done(), []);
    } finally {
      await fixture.close();
    }
  });
}

const texts = (page, selector) => page.locator(selector).allInnerTexts();
const asked = (fixture) => fixture.requests.filter((r) => r.path.startsWith('/api/v1/status/histories')).map((r) => new URLSearchParams(r.path.split('?')[1]));

journey('the overview shows projects, failed units first, and the database; a line leads to the thing itself', {}, async (page) => {
  await page.waitForSelector('.watched-row');
  const card = (name) => page.locator('.watched section', { has: page.getByRole('heading', { name, exact: true }) });
  assert.deepEqual(await card('Containers').locator('b').allInnerTexts(), ['web', 'ops', 'Without a project']);
  assert.deepEqual((await card('Units').locator('b').allInnerTexts()).slice(0, 2), ['logrotate.service', 'apt-daily.timer']);
  assert.match(await card('Database').innerText(), /84\u00a0MB · 7 of 100 connections/);
  await card('Containers').getByRole('link', { name: /^Bad web/ }).click();
  await page.waitForURL(/\/containers#web-app-1$/);
  await page.waitForSelector('.resource details[open]');
});

journey('lines on the overview begin with what was measured before', {}, async (page, fixture) => {
  await page.waitForFunction(() => (document.querySelector('.metric-card .spark path')?.getAttribute('d') ?? '').split('L').length > 3);
  const [query] = asked(fixture);
  assert.ok(query.getAll('item').includes('host/cpu'));
  assert.ok(Number(query.get('to')) - Number(query.get('from')) <= 200e6);
});

journey('the host is drawn over an hour, a day, a month, a year; dragging zooms in', { at: '/host' }, async (page, fixture) => {
  await page.waitForSelector('.time-chart canvas');
  assert.deepEqual(await texts(page, '.panel figcaption b'), ['CPU', 'Memory', 'Disk space', 'Network', 'Load']);
  const spans = { day: 86400e6, month: 30 * 86400e6, year: 365 * 86400e6, hour: 3600e6 };
  const spanOf = (url) => {
    const query = new URL(url).searchParams;
    return Number(query.get('to')) - Number(query.get('from'));
  };
  const drawn = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  for (const [name, span] of Object.entries(spans)) {
    const answered = page.waitForResponse((r) => r.url().includes('/histories') && Math.abs(spanOf(r.url()) - span) < 1e6);
    await page.locator(`.over-time [value=${name}]`).check({ force: true });
    await answered;
    await drawn();
    await page.waitForFunction(() => document.querySelectorAll('.time-chart canvas').length === 5);
  }
  const before = asked(fixture).length;
  const plot = await page.locator('.time-chart .u-over').first().boundingBox();
  await page.mouse.move(plot.x + plot.width * 0.2, plot.y + 40);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width * 0.6, plot.y + 40, { steps: 5 });
  assert.match(await page.locator('.chart-readout').first().textContent(), /\d+:\d\d · /);
  await page.mouse.up();
  for (let i = 0; asked(fixture).length === before && i < 100; i++) await page.waitForTimeout(20);
  const zoomed = asked(fixture).at(-1);
  const seconds = (Number(zoomed.get('to')) - Number(zoomed.get('from'))) / 1e6;
  assert.ok(seconds > 1300 && seconds < 1600, `${seconds}`);
  await page.getByRole('button', { name: 'As a table' }).click();
  await page.waitForSelector('.panel-table td');
  assert.match((await texts(page, '.panel-table tbody tr td:nth-child(2)'))[0], /%$/);
});

journey('what was never measured says so', { at: '/units#postgresql.service' }, async (page) => {
  await page.locator('[id="item-postgresql.service"]').getByRole('button', { name: 'Over time' }).click();
  await page.waitForSelector('.panel-nothing');
});

journey('without a database the page says why there are no charts, and tries again', { at: '/host', prepare: (f) => (f.histories = false) }, async (page, fixture) => {
  await page.getByText('The database cannot be asked just now.').waitFor();
  await page.waitForSelector('.resource');
  fixture.histories = true;
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.waitForSelector('.time-chart canvas');
});

journey('many things are filtered and sorted by hand, few are seen at a look', {
  at: '/units',
  prepare: (f) => {
    const [some] = f.status.sections.units;
    for (let i = 1; i <= 12; i++) f.status.sections.units.push({ ...some, id: `job-${i}.service`, title: `job-${i}.service`, level: 'ok', message: '' });
  },
}, async (page) => {
  const names = () => texts(page, '.resource summary b');
  await page.waitForSelector('.resource');
  const all = await names();
  assert.equal(all[0], 'logrotate.service', 'what is wrong comes first');
  await page.getByRole('radio', { name: 'By name' }).check({ force: true });
  await page.waitForFunction(() => document.querySelector('.resource summary b').textContent === 'apt-daily.timer');
  const jobs = (await names()).filter((n) => n.startsWith('job-'));
  assert.deepEqual([jobs[1], jobs[11]], ['job-2.service', 'job-12.service'], 'numbers by their size');
  await page.keyboard.press('/');
  await page.keyboard.type('JOB-1');
  await page.waitForFunction(() => document.querySelectorAll('.resource').length === 4);
  await page.getByRole('searchbox').fill('exit-code');
  await page.waitForFunction(() => document.querySelector('.resource summary b').textContent === 'logrotate.service');
  await page.getByRole('searchbox').fill('nothing of that');
  await page.getByText('Nothing matches.').waitFor();
  await page.getByRole('searchbox').fill('');
  await page.waitForFunction((n) => document.querySelectorAll('.resource').length === n, all.length);
  await page.goto(new URL('/certs', page.url()).href);
  await page.waitForSelector('.resource');
  assert.equal(await page.getByRole('searchbox').count(), 0);
});

journey('the action of a thing opens its form, or starts it', { at: '/containers#web-app-1' }, async (page, fixture) => {
  await page.locator('[id="item-web-app-1"]').getByRole('button', { name: 'Run… Deploy web' }).click();
  await page.locator('dialog').getByText('Deploy web').first().waitFor();
  await page.keyboard.press('Escape');
  await page.goto(`${fixture.origin}/units#caddy.service`);
  await page.locator('[id="item-caddy.service"]').getByRole('button', { name: 'Run Uptime' }).click();
  await page.waitForURL(/\/runs\/\d+$/);
});

journey('a container\'s log is live, and says when it ends', { at: '/containers#web-app-1' }, async (page, fixture) => {
  const row = page.locator('[id="item-web-app-1"]');
  await row.getByRole('button', { name: 'Live log' }).click();
  await row.locator('.lr:not(.wait)').first().waitFor();
  const journal = fixture.tails.get('tail/docker/web-app-1');
  journal.output(0, 1, 'a new line of the container\n');
  for (const pump of [...journal.watchers]) pump();
  await row.getByText('a new line of the container').waitFor();
  journal.finished = true;
  for (const pump of [...journal.watchers]) pump();
  await row.getByText('The log has ended.').waitFor();
  await row.getByRole('button', { name: 'Close log' }).click();
  await row.locator('.tail').waitFor({ state: 'detached' });
});

const ERRORS = (f) => {
  const journal = f.tails.get('tail/docker/web-app-1');
  journal.output(0, 2, '\x1b[31mERROR\x1b[0m cannot reach the database\n');
};
journey('a live log is searched, filtered and gone through like a run\'s', { at: '/containers#web-app-1', prepare: ERRORS }, async (page) => {
  const row = page.locator('[id="item-web-app-1"]');
  await row.getByRole('button', { name: 'Live log' }).click();
  await row.locator('.lr:not(.wait)').first().waitFor();
  await row.locator('.errors-count', { hasText: '1' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('reach');
  await row.locator('.find-count', { hasText: '1 line' }).waitFor();
  await page.keyboard.press('Enter');
  await row.locator('.find-count', { hasText: '1 of 1' }).waitFor();
  await row.locator('.mark', { hasText: 'reach' }).first().waitFor();
  await row.locator('.only-hits').click();
  await page.waitForFunction(() => document.querySelectorAll('.lr').length === 3); // with two before it
  await row.locator('.find input').press('Escape');
  await row.locator('.find-button').waitFor();
  await page.keyboard.press('z');
  await page.waitForFunction(() => document.querySelector('.log.tail').getBoundingClientRect().height === innerHeight);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.querySelector('.log.tail').getBoundingClientRect().height < innerHeight);
  await row.locator('.menu-box > button').click();
  assert.equal(await row.locator('.menu a').count(), 0, 'nothing of it is kept: there is nothing to download');
});

journey('keys act on the live log that has the focus', { at: '/units#caddy.service', prepare: (f) => f.tails.set('tail/unit/logrotate.service', f.tails.get('tail/docker/web-app-1')) }, async (page) => {
  const first = page.locator('[id="item-caddy.service"]');
  const second = page.locator('[id="item-logrotate.service"]');
  await first.getByRole('button', { name: 'Live log' }).click();
  await first.locator('.lr:not(.wait)').first().waitFor();
  await second.locator('summary').click();
  await second.getByRole('button', { name: 'Live log' }).click();
  await second.locator('.lr:not(.wait)').first().waitFor();
  await first.locator('.log-scroll').focus();
  await page.keyboard.press('/');
  await first.locator('.find input').waitFor();
  assert.equal(await second.locator('.find input').count(), 0);
  await second.locator('.log-scroll').focus();
  await page.keyboard.press('/');
  await second.locator('.find input').waitFor();
});

journey('what the agent will not show is told in Dutch by its code, with its own words beside', { at: '/units#postgresql.service', language: 'nl-NL' }, async (page) => {
  await page.locator('[id="item-postgresql.service"]').getByRole('button', { name: 'Live-log' }).click();
  await page.locator('.log-nothing', { hasText: 'Dat is er niet.' }).waitFor();
  assert.equal(await page.locator('.log-nothing [lang=en]').innerText(), 'status.yml does not name it.');
});

journey('after a cut the live log begins anew, without doubles', { at: '/units#caddy.service' }, async (page, fixture) => {
  const row = page.locator('[id="item-caddy.service"]');
  await row.getByRole('button', { name: 'Live log' }).click();
  await row.locator('.log-size', { hasText: '40 lines' }).waitFor();
  fixture.cut();
  await page.waitForTimeout(100);
  fixture.tails.get('tail/unit/caddy.service').output(0, 1, 'after the cut\n');
  await row.getByText('after the cut').waitFor();
  await row.locator('.log-size', { hasText: '41 lines' }).waitFor();
});

journey('what the agent will not show is told in its words', { at: '/units#postgresql.service' }, async (page) => {
  await page.locator('[id="item-postgresql.service"]').getByRole('button', { name: 'Live log' }).click();
  await page.getByText('status.yml does not name it.').waitFor();
});

const engineOnly = (f) => {
  f.status.sections.docker = [{ id: 'docker', title: 'Docker', level: 'unknown', message: 'the engine is not reached', since_us: 1, checked_us: 1, action: null, values: {} }];
};
journey('what is no container has no log to open', { at: '/containers#docker', prepare: engineOnly }, async (page) => {
  await page.locator('.resource details[open]', { hasText: 'the engine is not reached' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Live log' }).count(), 0);
});

journey('in Dutch what is wrong is told in Dutch; what is not known stays English, and says so', { language: 'nl-NL' }, async (page) => {
  await page.locator('.attention-card', { hasText: '92 % vol' }).waitFor();
  await page.getByRole('button', { name: /^Alle / }).click();
  const unknown = page.locator('.attention-card', { hasText: 'unhealthy for 4 minutes' }).locator('[lang=en]');
  assert.equal(await unknown.innerText(), 'unhealthy for 4 minutes');
  assert.equal(await page.locator('.attention-card', { hasText: 'de map is voor de agent niet te lezen' }).locator('[lang=en]').count(), 0);
});

journey('in Dutch the values have Dutch names', { at: '/host', language: 'nl-NL' }, async (page) => {
  await page.waitForSelector('.resource dt');
  const names = await texts(page, '.resource dt');
  assert.ok(names.includes('In gebruik') && names.includes('Belasting, 1 min'), names.join());
});

journey('j and k go through what is watched, Enter opens it', { at: '/units' }, async (page) => {
  await page.waitForSelector('.resource');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.waitForFunction(() => document.activeElement.matches('#item-' + CSS.escape('caddy.service') + ' summary'));
  await page.keyboard.press('Enter');
  await page.waitForSelector('[id="item-caddy.service"] details[open]');
  await page.keyboard.press('k');
  await page.waitForFunction(() => document.activeElement.matches('#item-' + CSS.escape('logrotate.service') + ' summary'));
});
