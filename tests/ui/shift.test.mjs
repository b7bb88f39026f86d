// What is on the screen stays where it is while the rest comes, and at rest only what was measured is drawn again.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { DESKTOP, PHONE, skip, World } from './harness.mjs';

/** As tests/bench has it. */
const MOST = 0.01;

let world;
before(async () => {
  if (!skip) world = await World.start();
});
after(async () => world?.stop());

/** Each comes in a moment of its own. */
const ORDERS = {
  'the machine last': { '/api/v1/session': 60, system: 60, runs: 120, catalog: 240, status: 480, Machine: 120 },
  'the lists last': { '/api/v1/session': 60, system: 300, runs: 420, catalog: 540, status: 60, Machine: 0 },
  'code last': { '/assets/': 180, Machine: 600 },
};
const lateBy = (order) => (what) => Object.entries(order).reduce((ms, [name, late]) => (what.includes(name) ? late : ms), 0);

/** How much moved, and what. */
const shifts = (page) =>
  page.evaluate(async () => {
    const seen = [];
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) {
        if (!e.hadRecentInput) seen.push({ value: e.value, what: e.sources.map((s) => `${s.node?.className || s.node?.nodeName} ${s.previousRect.y} > ${s.currentRect.y}`).join(', ') });
      }
    }).observe({ type: 'layout-shift', buffered: true });
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { sum: seen.reduce((sum, e) => sum + e.value, 0), seen };
  });

const PAGES = {
  '/': ['.metrics', '.run-row', '.quick-row'],
  '/history': ['.run-row'],
  '/commands': ['main .row'],
  run: ['.lr:not(.wait)'],
};

for (const [at, there] of Object.entries(PAGES)) {
  for (const [size, viewport] of Object.entries({ laptop: DESKTOP, phone: PHONE })) {
    for (const [name, order] of Object.entries(ORDERS)) {
      test(`nothing moves: ${at}, ${size}, ${name}`, { skip }, async () => {
        const fixture = await world.server();
        fixture.late = lateBy(order);
        const run = fixture.byName('backup') ?? [...fixture.runs.values()].at(-1);
        const opened = await world.open(fixture, at === 'run' ? `/runs/${run.doc.number}` : at, { viewport });
        try {
          for (const selector of there) await opened.page.waitForSelector(selector);
          const { sum, seen } = await shifts(opened.page);
          assert.ok(sum <= MOST, `${sum}: ${JSON.stringify(seen)}`);
          assert.deepEqual(await opened.done(), []);
        } finally {
          await fixture.close();
        }
      });
    }
  }
}

for (const [size, viewport] of Object.entries({ laptop: DESKTOP, phone: PHONE })) {
  test(`a machine that is slow to say how it is moves nothing, ${size}`, { skip }, async () => {
    const fixture = await world.server();
    fixture.late = lateBy({ status: 3500 });
    const { page, done } = await world.open(fixture, '/', { viewport });
    try {
      await page.waitForSelector('.run-row');
      await page.locator('.all-well', { hasText: 'Still asking' }).waitFor();
      assert.equal(await page.locator('.attention').count(), 0, 'the runs are there before it');
      await page.waitForSelector('.attention-card', { state: 'attached' });
      const { sum, seen } = await shifts(page);
      assert.ok(sum <= MOST, `${sum}: ${JSON.stringify(seen)}`);
      await page.locator('.all-well a', { hasText: 'Needs attention 7' }).click();
      await page.waitForFunction(() => document.querySelector('#attention').getBoundingClientRect().top < innerHeight);
      assert.deepEqual(await done(), []);
    } finally {
      await fixture.close();
    }
  });
}

test('at rest a new measurement changes only the cards that show it', { skip }, async () => {
  const fixture = await world.server();
  const { page, done } = await world.open(fixture);
  try {
    await page.waitForSelector('.run-row');
    await page.waitForFunction(() => (document.querySelector('.spark path')?.getAttribute('d') ?? '').split('L').length > 3);
    const drawn = () => page.locator('.spark path').first().getAttribute('d');
    const measure = async () => {
      const before = await drawn();
      fixture.tellHost();
      await page.waitForFunction((d) => document.querySelector('.spark path').getAttribute('d') !== d, before);
    };
    await measure();
    await page.evaluate(() => {
      globalThis.elsewhere = [];
      globalThis.changes = 0;
      new MutationObserver((list) => {
        for (const { target, type } of list) {
          globalThis.changes++;
          const element = target instanceof Element ? target : target.parentElement;
          // Words of a time change when it is time.
          if (!element.closest('.metrics, time, .took')) globalThis.elsewhere.push(`${type} ${element.className || element.nodeName}`);
        }
      }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    });
    for (let i = 0; i < 5; i++) await measure();
    const { elsewhere, changes } = await page.evaluate(() => ({ elsewhere: globalThis.elsewhere, changes: globalThis.changes }));
    assert.ok(changes >= 5, 'the cards are drawn');
    assert.deepEqual(elsewhere, []);
    assert.deepEqual(await done(), []);
  } finally {
    await fixture.close();
  }
});
