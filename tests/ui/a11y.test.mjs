// axe on every page and state, light and dark, desktop and phone: no violation is allowed.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { liveBackup, waitingDeploy } from './fixture/data.mjs';
import { MAIN, severalHosts } from './fixture/hosts.mjs';
import { axe, DESKTOP, PHONE, skip, World } from './harness.mjs';

let world;
before(async () => {
  if (!skip) world = await World.start();
});
after(async () => world?.stop());

/** Part of the names of those that are looked at; empty for all. */
const ONLY = process.env.OPS_UI_STATE ?? '';

const number = (fixture, name) => fixture.byName(name).doc.number;
const failed = (fixture) => [...fixture.runs.values()].find((r) => r.doc.status === 'failed').doc.number;
const log = (p) => p.waitForSelector('.lr:not(.wait)');

const newToken = async (p) => {
  await p.getByRole('button', { name: 'New token' }).click();
  await p.fill('#token-name', 'ci');
  await p.locator('dialog .primary').click();
};

const STATES = [
  ['sign-in', () => '/', async (p) => p.waitForSelector('#password'), { signedIn: false }],
  ['sign-in refused', () => '/', async (p) => (await p.fill('#password', 'x'), await p.keyboard.press('Enter'), await p.waitForSelector('.field-error')), { signedIn: false }],
  ['overview', () => '/', async (p) => p.waitForSelector('.run-row')],
  ['overview, the machine', () => '/', async (p) => (await p.waitForSelector('.metric-card'), await p.waitForSelector('.attention-card'))],
  ['overview, all problems', () => '/', async (p) => (await p.waitForSelector('.watched-row'), await p.getByRole('button', { name: /^Show all/ }).click())],
  ['host', () => '/host', async (p) => (await p.waitForSelector('.resource'), await p.waitForSelector('.time-chart canvas'))],
  ['host, as a table', () => '/host', async (p) => (await p.waitForSelector('.time-chart canvas'), await p.getByRole('button', { name: 'As a table' }).click(), await p.waitForSelector('.panel-table'))],
  ['containers, log and history', () => '/containers#web-app-1', async (p) => (await p.getByRole('button', { name: 'Live log' }).click(), await log(p), await p.getByRole('button', { name: 'Over time' }).click(), await p.waitForSelector('.time-chart canvas'))],
  ['containers, log searched', () => '/containers?search#web-app-1', async (p) => {
    await p.getByRole('button', { name: 'Live log' }).click();
    await log(p);
    await p.keyboard.press('/');
    await p.waitForSelector('.find input');
    await p.keyboard.type('slow');
    await p.waitForSelector('.mark');
  }],
  ['containers, log in focus mode', () => '/containers?focus#web-app-1', async (p) => {
    await p.getByRole('button', { name: 'Live log' }).click();
    await log(p);
    await p.keyboard.press('z');
    await p.waitForSelector('.log.focus');
  }],
  ['units', () => '/units#apt-daily.timer', async (p) => p.waitForSelector('.resource details[open]')],
  ['database', () => '/database#server', async (p) => p.waitForSelector('.resource details[open]')],
  ['certificates', () => '/certs#mail.example.org%3A443', async (p) => p.waitForSelector('.resource details[open]')],
  ['commands', () => '/commands', async (p) => p.waitForSelector('.entry-row')],
  ['form with errors', () => '/commands?run=demo.types', async (p) => (await p.getByTestId('start').click(), await p.waitForSelector('.field-error'))],
  ['preview', () => '/commands?flow=backup', async (p) => (await p.locator('.preview summary').click(), await p.waitForSelector('.argv'))],
  ['danger', () => '/commands?run=apt.upgrade', async (p) => (await p.getByTestId('start').click(), await p.waitForSelector('#reauth-password'))],
  ['history', () => '/history', async (p) => p.waitForSelector('.run-row')],
  ['nothing matches', () => '/history?status=active', async (p) => p.waitForSelector('.run-row')],
  ['history, filtered', () => '/history?status=failed&q=back&name=backup', async (p) => p.waitForSelector('.run-row')],
  ['history, last lines of a failed run', () => '/history?status=failed', async (p) => (await p.waitForSelector('.run-row'), await p.keyboard.press('j'), await p.keyboard.press('Space'), await p.waitForSelector('.first-error'))],
  ['history, runs picked', () => '/history', async (p) => {
    await p.waitForSelector('.run-row');
    for (const key of ['j', 'x', 'j', 'x']) await p.keyboard.press(key);
    await pickBar(p);
  }],
  ['history, cancel asked of picked runs', () => '/history', async (p) => {
    await p.waitForSelector('.run-row');
    for (const key of ['j', 'x']) await p.keyboard.press(key);
    await pickBar(p);
    await p.keyboard.press('Shift+X');
    await p.waitForSelector('.popover');
  }],
  ['schedule', () => '/schedule', async (p) => (await p.waitForSelector('.schedule-row'), await p.waitForSelector('.cal-item'))],
  ['schedule, not offered', () => '/schedule', async (p) => p.waitForSelector('.empty'), { without: ['schedule'] }],
  ['audit', () => '/audit', async (p) => p.waitForSelector('.audit-row')],
  ['audit, one entry', () => '/audit', async (p) => (await p.locator('.audit-row').first().click(), await p.waitForSelector('dialog'))],
  ['more', () => '/more', async (p) => p.waitForSelector('.more-row')],
  ['settings', () => '/settings', async (p) => p.waitForSelector('.settings-list > li')],
  ['settings, a test that did not arrive', () => '/settings', async (p) => (await p.getByRole('button', { name: 'Send a test chat' }).click(), await p.getByText('Failed to connect to chat.example.org').waitFor())],
  ['settings, TOTP and a new token', () => '/settings', async (p) => (await p.getByRole('button', { name: 'Set up' }).click(), await p.waitForSelector('.qr'), await p.getByRole('button', { name: 'New token' }).click(), await p.waitForSelector('dialog'))],
  ['settings, a new token asks for the password', () => '/settings', async (p) => (await newToken(p), await p.waitForSelector('#reauth-password'))],
  ['settings, the secret of a token', () => '/settings', async (p) => (await newToken(p), await p.waitForSelector('dialog .token-secret')), { reauthed: true }],
  ['settings, revoking asked', () => '/settings', async (p) => (await p.getByRole('button', { name: /^Revoke/ }).first().click(), await p.getByRole('button', { name: 'Revoke for good' }).first().waitFor())],
  ['settings, TOTP proved', () => '/settings', async (p) => (await p.getByRole('button', { name: 'Set up' }).click(), await p.fill('#totp-code', '123456'), await p.keyboard.press('Enter'), await p.getByText('AUTH_TOTP_SECRET').waitFor())],
  ['schedule, paused', () => '/schedule', async (p) => (await p.waitForSelector('.schedule-row .tag'), await p.waitForSelector('.cal-item'))],
  ['schedule, asking why', () => '/schedule', async (p) => (await p.getByRole('button', { name: 'Pause Backup' }).click(), await p.waitForSelector('.pause-form'))],
  ['a machine that is slow', () => '/', async (p) => (await p.waitForSelector('.all-well'), await p.waitForSelector('.run-row')), { late: { status: 9e5 } }],
  ['loading, overview', () => '/', async (p) => p.waitForSelector('.skeleton'), { late: { status: 9e5 } }],
  ['loading, history', () => '/history', async (p) => p.waitForSelector('.skeleton'), { late: { '/api/v1/runs': 9e5 } }],
  ['loading, schedule', () => '/schedule', async (p) => p.waitForSelector('.skeleton'), { late: { '/api/v1/schedule': 9e5 } }],
  ['loading, audit', () => '/audit', async (p) => p.waitForSelector('.skeleton'), { late: { '/api/v1/audit': 9e5 } }],
  ['loading, settings', () => '/settings', async (p) => p.waitForSelector('.skeleton'), { late: { '/api/v1/tokens': 9e5, '/api/v1/sessions': 9e5, '/api/v1/notify': 9e5 } }],
  ['loading, units', () => '/units', async (p) => p.waitForSelector('.skeleton'), { late: { status: 9e5 } }],
  ['loading, commands', () => '/commands', async (p) => p.waitForSelector('.skeleton'), { late: { catalog: 9e5 } }],
  ['error, history', () => '/history', async (p) => p.waitForSelector('.problem'), { failing: ['runs'] }],
  ['error, schedule', () => '/schedule', async (p) => p.waitForSelector('.problem'), { failing: ['schedule'] }],
  ['error, audit', () => '/audit', async (p) => p.waitForSelector('.problem'), { failing: ['audit'] }],
  ['error, settings', () => '/settings', async (p) => p.waitForFunction(() => document.querySelectorAll('.problem').length === 3), { failing: ['sessions', 'tokens', 'notify'] }],
  ['error, preview', () => '/commands?flow=backup', async (p) => (await p.locator('.preview summary').click(), await p.waitForSelector('.preview .problem')), { failing: ['runs'] }],
  ['error, host over time', () => '/host', async (p) => p.waitForSelector('.resource'), { failing: ['status'] }],
  ['run, waits for an answer', (f) => `/runs/${number(f, 'deploy')}`, async (p) => (await log(p), await p.waitForSelector('.approval'))],
  ['not found', () => '/nope', async (p) => p.waitForSelector('.empty')],
  ['run', (f) => `/runs/${number(f, 'backup')}`, log],
  ['run, free', (f) => `/runs/${number(f, 'backup')}`, async (p) => (await log(p), await p.keyboard.press('Home'), await p.waitForSelector('.follow-pill'))],
  ['run, cancel asked', (f) => `/runs/${number(f, 'backup')}`, async (p) => (await log(p), await p.keyboard.press('Shift+X'), await p.waitForSelector('.popover'))],
  ['run, being cancelled, its end at once asked', (f) => ((f.byName('backup').doc.cancel = { actor: 'user:admin', time_us: Date.now() * 1000, kill: false }), `/runs/${number(f, 'backup')}`), async (p) => (await log(p), await p.keyboard.press('Shift+X'), await p.waitForSelector('.popover'))],
  ['run, searching', (f) => `/runs/${number(f, 'demo.flood')}`, async (p) => (await log(p), await p.keyboard.press('/'), await p.waitForSelector('.find input'), await p.keyboard.type('slow'), await p.waitForSelector('.mark'))],
  ['run, only what matches', (f) => `/runs/${number(f, 'demo.flood')}`, async (p) => (await log(p), await p.keyboard.press('/'), await p.waitForSelector('.find input'), await p.keyboard.type('slow'), await p.waitForSelector('.mark'), await p.locator('.only-hits').click(), await p.waitForSelector('.lr.apart'))],
  ['run, colours', (f) => `/runs/${number(f, 'demo.colours')}`, log],
  ['run, wrapped with times', (f) => `/runs/${number(f, 'demo.colours')}`, async (p) => (await log(p), await p.keyboard.press('w'), await p.keyboard.press('t'), await p.waitForSelector('.lt'))],
  ['run, failed', (f) => `/runs/${failed(f)}`, log],
  ['run, lines picked', (f) => `/runs/${number(f, 'demo.flood')}#L60000-L60004`, async (p) => p.waitForSelector('.lr.picked')],
  ['run, menu', (f) => `/runs/${number(f, 'demo.colours')}`, async (p) => (await log(p), await p.locator('.menu-box > button').click())],
  ['palette', () => '/', async (p) => (await p.waitForSelector('.run-row'), await p.keyboard.press('Control+k'), await p.waitForSelector('dialog.palette[open]'), await p.keyboard.type('ba'))],
  ['palette, nothing found', () => '/', async (p) => (await p.waitForSelector('.run-row'), await p.keyboard.press('Control+k'), await p.waitForSelector('dialog.palette[open]'), await p.keyboard.type('zzzz'), await p.waitForSelector('.palette-none'))],
  ['shortcuts', () => '/', async (p) => (await p.waitForSelector('.run-row'), await p.keyboard.press('?'), await p.waitForSelector('dialog'))],
  ['agent away', () => '/commands', async (p, fixture) => {
    await p.waitForSelector('.entry-row');
    const before = fixture.agent;
    fixture.agent = { ...before, state: 'away', reason: 'connection refused' };
    fixture.tellSystem();
    await p.waitForSelector('.banner');
    fixture.agent = before;
  }],
];

const picked = async (p) => {
  await p.waitForSelector('.run-row');
  for (const key of ['j', 'x', 'j', 'x']) await p.keyboard.press(key);
  await pickBar(p);
};

/** At the end of the list, where the bar covers no row: which one it covers elsewhere is a matter of the day. */
async function pickBar(p) {
  await p.waitForSelector('.pick-bar');
  await p.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
}

/** Of a dashboard of three machines, of which one is away. */
const SEVERAL = [
  ['all machines', () => '/', async (p) => (await p.waitForSelector('.host-card'), await p.waitForSelector('.attention-card'), await p.waitForSelector('.banner'))],
  ['one machine', () => '/?host=web1', async (p) => p.waitForSelector('.metric-card')],
  ['one that is away', () => '/?host=db1', async (p) => p.waitForSelector('.banner')],
  ['containers of one', () => `/containers?host=${MAIN}`, async (p) => p.waitForSelector('.resource')],
  ['commands by machine', () => '/commands', async (p) => p.waitForSelector('.entry-row')],
  ['form with a choice of machines', () => '/commands?flow=backup&host=db1', async (p) => p.waitForSelector('dialog .segmented')],
  ['form of one machine', () => '/commands?run=demo.flood', async (p) => p.waitForSelector('dialog .note')],
  ['history by machine', () => '/history?host=db1', async (p) => p.waitForSelector('.run-host')],
  ['history of all, runs picked', () => '/history', picked],
  ['schedule of all', () => '/schedule', async (p) => (await p.waitForSelector('.schedule-row'), await p.waitForSelector('.maintenance'))],
  ['audit of all', () => '/audit', async (p) => p.waitForSelector('.audit-host')],
  ['a number of several runs', () => '/runs/1480', async (p) => p.waitForSelector('.problem a, .run-facts')],
  ['run on a machine', (f) => `/runs/${number(f, 'pg.dump')}?host=db1`, log],
  ['palette with machines', () => '/', async (p) => (await p.waitForSelector('.run-row'), await p.keyboard.press('Control+k'), await p.waitForSelector('dialog.palette[open]'), await p.keyboard.type('up'))],
  ['units of one that is away', () => '/units?host=db1', async (p) => p.waitForSelector('.empty')],
  ['units of one that went away', () => '/units?host=web1', async (p, fixture) => {
    await p.waitForSelector('.resource');
    fixture.setHost('web1', { state: 'away', reason: 'connection refused', since_us: 1 });
    await p.waitForSelector('.resource.stale');
    await p.waitForSelector('.note');
    fixture.hosts = fixture.hosts.map((h) => (h.host === 'web1' ? { ...h, state: 'connected', reason: '' } : h));
  }],
];

/** Of a dashboard that has nothing to show yet. */
const EMPTY = [
  ['overview', () => '/', async (p) => p.waitForFunction(() => document.querySelectorAll('.empty').length === 2)],
  ['commands', () => '/commands', async (p) => p.waitForSelector('.empty')],
  ['history', () => '/history', async (p) => p.waitForSelector('.empty .btn')],
  ['schedule', () => '/schedule', async (p) => p.waitForSelector('.empty')],
  ['units', () => '/units', async (p) => p.waitForSelector('.empty')],
  ['settings', () => '/settings', async (p) => (await p.waitForSelector('.settings-list > li'), await p.waitForSelector('.empty'))],
];

function nothingYet(fixture) {
  for (const run of fixture.runs.values()) for (const timer of run.timers) clearInterval(timer);
  fixture.runs.clear();
  fixture.catalog = { ...fixture.catalog, commands: [], flows: [] };
  fixture.status = { ...fixture.status, level: 'ok', sections: {} };
  fixture.schedule = { flows: [], maintenance: false, maintenance_reason: null };
  fixture.tokenList = [];
  fixture.notify = { configured: false, targets: [], rules: [], hooks: [] };
}

/** What is new enough to be looked at in Dutch as well: words are longer there, and some are English. */
const DUTCH = [
  ['overview', () => '/', async (p) => (await p.waitForSelector('.watched-row'), await p.waitForSelector('.attention-card'))],
  ['containers, log searched', () => '/containers#web-app-1', async (p) => (await p.getByRole('button', { name: 'Live-log' }).click(), await log(p), await p.keyboard.press('/'), await p.waitForSelector('.find input'))],
  ['history, runs picked', () => '/history', picked],
  ['audit', () => '/audit', async (p) => p.waitForSelector('.audit-row')],
];

// One browser page for each size, which goes from state to state; both at the same time. What is not a
// matter of colours is looked at once, colours in both themes.
async function states(t, viewport, list, { prepare = () => undefined, language = 'en-GB' } = {}) {
  const fixture = await world.server();
  fixture.add(liveBackup(500));
  fixture.add(waitingDeploy());
  prepare(fixture);
  const { page, complaints, done } = await world.open(fixture, '/licences.txt', { viewport, language });
  page.setDefaultTimeout(8000);
  try {
    for (const [name, at, act, { signedIn = true, reauthed = false, without = [], failing = [], late = {} } = {}] of list.filter(([what]) => what.includes(ONLY))) {
      await t.test(name, async () => {
        fixture.session = signedIn;
        fixture.reauthed = reauthed;
        fixture.without = new Set(without);
        fixture.failing = new Set(failing);
        fixture.late = (what) => late[what] ?? 0;
        complaints.length = 0;
        await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
        await page.evaluate(() => localStorage.clear());
        await page.goto(fixture.origin + at(fixture));
        await page.mouse.move(viewport.width / 2, viewport.height * 0.7); // something is under the pointer
        await act(page, fixture);
        assert.deepEqual(await axe(page), []);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out sideways');
        await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
        // The log draws its rows anew in a frame of its own.
        await page.evaluate(async () => {
          for (let i = 0; i < 6; i++) await new Promise(requestAnimationFrame);
        });
        assert.deepEqual(await axe(page, ['color-contrast', 'link-in-text-block']), []);
        assert.deepEqual([...complaints, ...(await page.evaluate(() => globalThis.violations))], []);
      });
    }
    assert.deepEqual(await done(), []);
  } finally {
    await fixture.close();
  }
}

test('no violation in any state', { skip, concurrency: 2 }, async (t) => {
  await Promise.all([t.test('desktop', (u) => states(u, DESKTOP, STATES)), t.test('phone', (u) => states(u, PHONE, STATES))]);
});

test('no violation with several machines', { skip, concurrency: 2 }, async (t) => {
  await Promise.all([t.test('desktop', (u) => states(u, DESKTOP, SEVERAL, { prepare: severalHosts })), t.test('phone', (u) => states(u, PHONE, SEVERAL, { prepare: severalHosts }))]);
});

test('no violation where there is nothing yet', { skip, concurrency: 2 }, async (t) => {
  await Promise.all([t.test('desktop', (u) => states(u, DESKTOP, EMPTY, { prepare: nothingYet })), t.test('phone', (u) => states(u, PHONE, EMPTY, { prepare: nothingYet }))]);
});

test('no violation in Dutch', { skip, concurrency: 2 }, async (t) => {
  for (const [name, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
    await t.test(name, (u) => states(u, viewport, DUTCH, { language: 'nl-NL' }));
    await t.test(`${name}, several machines`, (u) => states(u, viewport, SEVERAL.filter(([what]) => !what.startsWith('containers')), { prepare: severalHosts, language: 'nl-NL' }));
  }
});

const LOW = { width: 320, height: 640 };

// WCAG 1.4.10: what is 1280 wide is so at 400 %.
test('at 320 pixels nothing sticks out sideways, in Dutch', { skip }, async (t) => {
  const fixture = await world.server();
  fixture.add(liveBackup(500));
  const { page, done } = await world.open(fixture, '/licences.txt', { viewport: LOW, language: 'nl-NL' });
  const open = {
    '/': '.attention-card', '/commands': '.entry-row', '/commands?run=demo.types': 'dialog', '/commands?run=apt.upgrade': 'dialog', '/history': '.run-row', '/schedule': '.cal-item',
    '/audit': '.audit-row', '/settings': '.settings-list > li', '/host': '.time-chart canvas', '/containers#web-app-1': '.resource details[open]', '/certs#mail.example.org%3A443': '.resource', '/more': '.more-row', '/nope': '.empty',
  };
  try {
    for (const [at, there] of Object.entries(open)) {
      await t.test(at, async () => {
        await page.goto(fixture.origin + at);
        await page.waitForSelector(there);
        const wide = await page.evaluate(() => {
          const inside = (e) => e.closest('.tiles, .segmented, .panel-table, .hosts, .log, [aria-hidden], .visually-hidden') !== null;
          return [...document.querySelectorAll('main *, dialog *')].filter((e) => e.checkVisibility({ opacityProperty: true }) && e.getBoundingClientRect().right > innerWidth + 1 && !inside(e)).map((e) => e.className || e.nodeName);
        });
        assert.deepEqual(wide, []);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
      });
    }
    assert.deepEqual(await done(), []);
  } finally {
    await fixture.close();
  }
});

test('where colours are forced, what is chosen and what floats can be told', { skip }, async () => {
  const fixture = await world.server();
  const { page, done } = await world.open(fixture, '/history');
  try {
    await page.emulateMedia({ forcedColors: 'active' });
    await page.waitForSelector('.run-row');
    const outlined = (selector) => page.locator(selector).first().evaluate((e) => getComputedStyle(e).outlineStyle);
    assert.equal(await outlined('.segmented :checked + span'), 'solid');
    assert.equal(await outlined('.segmented input:not(:checked) + span'), 'none');
    assert.equal(await outlined('.nav-item[aria-current]'), 'solid');
    await page.keyboard.press('?');
    assert.equal(await page.locator('dialog').evaluate((e) => getComputedStyle(e).borderTopWidth), '1px');
    assert.deepEqual(await done(), []);
  } finally {
    await fixture.close();
  }
});

test('nothing moves without end, and nothing at all where less motion is wanted', { skip }, async () => {
  const fixture = await world.server();
  fixture.add(liveBackup(500));
  const { page, done } = await world.open(fixture, '/');
  try {
    await page.waitForSelector('.running-card');
    assert.deepEqual(await page.evaluate(() => document.getAnimations().filter((a) => a.effect.getComputedTiming().iterations === Infinity).length), 0);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.getByRole('link', { name: 'Commands' }).first().hover();
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    assert.equal(await page.evaluate(() => [...document.querySelectorAll('*')].filter((e) => !/^0s?$/.test(getComputedStyle(e).transitionDuration) && getComputedStyle(e).transitionProperty !== 'none').length), 0);
    assert.deepEqual(await done(), []);
  } finally {
    await fixture.close();
  }
});
