// axe on every page and state, light and dark, desktop and phone: no violation is allowed.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { liveBackup } from './fixture/data.mjs';
import { axe, DESKTOP, PHONE, skip, World } from './harness.mjs';

let world;
let fixture;
before(async () => {
  if (skip) return;
  world = await World.start();
  fixture = await world.server();
  fixture.add(liveBackup(500));
});
after(async () => {
  await fixture?.close();
  await world?.stop();
});

const number = (name) => fixture.byName(name).doc.number;
const failed = () => [...fixture.runs.values()].find((r) => r.doc.status === 'failed').doc.number;
const log = (p) => p.waitForSelector('.lr:not(.wait)');

const STATES = [
  ['sign-in', () => '/', async (p) => p.waitForSelector('#password'), { signedIn: false }],
  ['sign-in refused', () => '/', async (p) => (await p.fill('#password', 'x'), await p.keyboard.press('Enter'), await p.waitForSelector('.field-error')), { signedIn: false }],
  ['overview', () => '/', async (p) => p.waitForSelector('.run-row')],
  ['commands', () => '/commands', async (p) => p.waitForSelector('.entry-row')],
  ['form with errors', () => '/commands?run=demo.types', async (p) => (await p.getByTestId('start').click(), await p.waitForSelector('.field-error'))],
  ['preview', () => '/commands?flow=backup', async (p) => (await p.locator('.preview summary').click(), await p.waitForSelector('.argv'))],
  ['danger', () => '/commands?run=apt.upgrade', async (p) => (await p.getByTestId('start').click(), await p.waitForSelector('#reauth-password'))],
  ['history', () => '/history', async (p) => p.waitForSelector('.run-row')],
  ['nothing matches', () => '/history?status=active', async (p) => p.waitForSelector('.run-row')],
  ['settings', () => '/settings', async (p) => p.waitForSelector('.settings-card')],
  ['not found', () => '/nope', async (p) => p.waitForSelector('.empty')],
  ['run', () => `/runs/${number('backup')}`, log],
  ['run, free', () => `/runs/${number('backup')}`, async (p) => (await log(p), await p.keyboard.press('Home'), await p.waitForSelector('.follow-pill'))],
  ['run, cancel asked', () => `/runs/${number('backup')}`, async (p) => (await log(p), await p.keyboard.press('Shift+X'), await p.waitForSelector('.popover'))],
  ['run, searching', () => `/runs/${number('demo.flood')}`, async (p) => (await log(p), await p.keyboard.press('/'), await p.keyboard.type('slow'), await p.waitForSelector('.mark'))],
  ['run, colours', () => `/runs/${number('demo.colours')}`, log],
  ['run, wrapped with times', () => `/runs/${number('demo.colours')}`, async (p) => (await log(p), await p.keyboard.press('w'), await p.keyboard.press('t'), await p.waitForSelector('.lt'))],
  ['run, failed', () => `/runs/${failed()}`, log],
  ['run, lines picked', () => `/runs/${number('demo.flood')}#L60000-L60004`, async (p) => p.waitForSelector('.lr.picked')],
  ['run, menu', () => `/runs/${number('demo.colours')}`, async (p) => (await log(p), await p.locator('.menu-box > button').click())],
  ['palette', () => '/', async (p) => (await p.waitForSelector('.run-row'), await p.keyboard.press('Control+k'), await p.keyboard.type('ba'))],
  ['palette, nothing found', () => '/', async (p) => (await p.waitForSelector('.run-row'), await p.keyboard.press('Control+k'), await p.keyboard.type('zzzz'), await p.waitForSelector('.palette-none'))],
  ['shortcuts', () => '/', async (p) => (await p.waitForSelector('.run-row'), await p.keyboard.press('?'), await p.waitForSelector('dialog'))],
  ['agent away', () => '/commands', async (p) => {
    await p.waitForSelector('.entry-row');
    const before = fixture.agent;
    fixture.agent = { ...before, state: 'away', reason: 'connection refused' };
    fixture.tellSystem();
    await p.waitForSelector('.banner');
    fixture.agent = before;
  }],
];

for (const [size, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
  for (const theme of ['light', 'dark']) {
    for (const [name, at, act, options] of STATES) {
      test(`${name}: ${size}, ${theme}`, { skip }, async () => {
        fixture.reauthed = false;
        const { page, done } = await world.open(fixture, at(), { viewport, theme, ...options });
        page.setDefaultTimeout(8000);
        await act(page);
        assert.deepEqual(await axe(page), []);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out sideways');
        assert.deepEqual(await done(), []);
      });
    }
  }
}
