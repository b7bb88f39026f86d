// The log viewer where there is too much for it: a phone that is six times slower, and rows by the ten thousand. In a browser
// that no test library listens to, which would be what takes the time.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { bigRun, endStream, streamRun, watchFrames } from '../bench/ui-measure.mjs';
import { BareBrowser } from './bare.mjs';
import { chatter, makeRun, begin, startStep } from './fixture/data.mjs';
import { STDOUT } from './fixture/journal.mjs';
import { Fixture } from './fixture-server.mjs';
import { buildPage, PHONE, skip } from './harness.mjs';

/** An answer may take so many frames, however long each is. */
const FRAMES = 30;
/** Rows leave so much behind at most before it is collected; without being told, the collector lets twice as much lie about. */
const LITTER_MB = 20;

let built, browser, fixture;
before(async () => {
  if (skip) return;
  built = buildPage();
  browser = new BareBrowser();
  fixture = new Fixture(built.dist);
  fixture.session = true;
  await fixture.listen();
});
after(async () => {
  await browser?.close();
  await fixture?.close();
  built?.remove();
});

async function open(run) {
  const page = await browser.open(PHONE);
  await browser.send('Emulation.setTouchEmulationEnabled', { enabled: true }, page.session);
  await page.goto(`${fixture.origin}/runs/${run.doc.number}`);
  await page.waitForSelector('.lr:not(.wait) .lx');
  // Frames, and those in which the list was painted.
  await page.evaluate(() => {
    globalThis.seen = { frames: 0, pictures: 0 };
    let painted = false;
    new MutationObserver(() => (painted = true)).observe(document.querySelector('.log-rows'), { childList: true, characterData: true, subtree: true });
    const frame = () => {
      seen.frames++;
      if (painted) seen.pictures++;
      painted = false;
      requestAnimationFrame(frame);
    };
    frame();
  });
  return page;
}

const seen = (page) => page.evaluate(() => ({ ...seen }));
const slow = (page, rate) => browser.send('Emulation.setCPUThrottlingRate', { rate }, page.session);
const key = async (page, name, text) => {
  await browser.send('Input.dispatchKeyEvent', { type: 'keyDown', key: name, ...(text ? { text } : { windowsVirtualKeyCode: 27 }) }, page.session);
  await browser.send('Input.dispatchKeyEvent', { type: 'keyUp', key: name }, page.session);
};
const touch = (page, type, at) => browser.send('Input.dispatchTouchEvent', { type, touchPoints: at ? [at] : [] }, page.session);
const middle = (page, selector) =>
  page.evaluate((s) => {
    const b = document.querySelector(s).getBoundingClientRect();
    return { x: b.left + b.width / 2, y: b.top + b.height / 2 };
  }, selector);

/** Frames from before some input to where its answer is on the screen. */
async function answered(page, input, answer) {
  const watch = () => {
    const from = seen.frames;
    const look = () => (answerIs() ? (seen.answered = seen.frames - from) : requestAnimationFrame(look));
    seen.answered = -1;
    look();
  };
  await page.evaluate(String(watch).replace('answerIs', `(${answer})`));
  await input();
  await page.waitFor(() => seen.answered >= 0);
  return page.evaluate(() => seen.answered);
}

test('while 25 MB/s come to a phone that is six times slower, taps, keys and scrolling are answered', { skip, timeout: 120_000 }, async () => {
  const run = fixture.add(streamRun(25));
  const page = await open(run);
  try {
    await slow(page, 6);
    await watchFrames(page, 1, 0);
    const took = {};
    took.find = await answered(page, () => key(page, '/', '/'), () => document.activeElement?.matches('.find input'));
    took.escape = await answered(page, () => key(page, 'Escape'), () => !document.querySelector('.find input'));
    const log = await middle(page, '.log-scroll');
    took.scroll = await answered(
      page,
      async () => {
        await touch(page, 'touchStart', log);
        for (const by of [20, 60, 120]) await touch(page, 'touchMove', { x: log.x, y: log.y + by });
        await touch(page, 'touchEnd');
      },
      () => document.querySelector('.follow-pill') !== null,
    );
    // A tap into a list that still moves only stops it.
    await page.waitFor(() => {
      const { scrollTop } = document.querySelector('.log-scroll');
      if (scrollTop !== seen.at) Object.assign(seen, { at: scrollTop, since: seen.frames });
      return seen.frames > seen.since + 20;
    });
    const pill = await middle(page, '.follow-pill');
    took.follow = await answered(
      page,
      async () => {
        await touch(page, 'touchStart', pill);
        await touch(page, 'touchEnd');
      },
      () => document.querySelector('.follow-pill') === null,
    );
    for (const [what, frames] of Object.entries(took)) assert.ok(frames <= FRAMES, `${what}: ${frames} frames`);
    // It was a flood all the time, and it is followed to its end.
    assert.ok(run.journal.bytes > 25e6, `${run.journal.bytes} bytes`);
    await slow(page, 1);
    endStream(run);
    await page.waitFor((n) => [...document.querySelectorAll('.lr .ln')].some((e) => e.textContent === String(n)), run.journal.lines);
  } finally {
    if (!run.doc.finished_us) endStream(run);
    fixture.runs.delete(run.doc.id);
    await page.close();
  }
});

test('where frames come late every second has no picture of new lines, or more of them', { skip, timeout: 120_000 }, async () => {
  const run = makeRun({ name: 'steady', title: 'Steady', ageS: 1, steps: [{ id: 'a', title: 'A' }] });
  begin(run, Date.now() * 1000);
  startStep(run, 0, Date.now() * 1000);
  let n = 0;
  // Few lines at a time: nothing rushes by.
  const write = setInterval(() => run.journal.output(0, STDOUT, chatter(n++) + chatter(n++)), 8);
  run.timers.add(write);
  fixture.add(run);
  const page = await open(run);
  try {
    const share = async () => {
      const from = await seen(page);
      await page.waitFor((f) => seen.frames > f + 60, from.frames);
      const to = await seen(page);
      return (to.pictures - from.pictures) / (to.frames - from.frames);
    };
    await slow(page, 20);
    // It takes a few pictures to know it.
    await page.waitFor((f) => seen.pictures > f + 20, (await seen(page)).pictures);
    const late = await share();
    assert.ok(late < 0.4, `${late.toFixed(2)} pictures a frame`);
  } finally {
    clearInterval(write);
    fixture.runs.delete(run.doc.id);
    await page.close();
  }
});

test('what rows leave behind in the browser is collected before it is much', { skip, timeout: 120_000 }, async () => {
  const run = fixture.add(bigRun(60_000));
  const page = await open(run);
  try {
    const used = async () => (await browser.send('Runtime.getHeapUsage', {}, page.session)).embedderHeapUsedSize / 1e6;
    await page.evaluate(() => (document.querySelector('.log-scroll').scrollTop = 1000));
    await browser.send('HeapProfiler.collectGarbage', {}, page.session);
    const least = await used();
    const heap = [];
    for (let i = 0; i < 40; i++) {
      await page.evaluate(async () => {
        const list = document.querySelector('.log-scroll');
        for (let k = 0; k < 20; k++) {
          list.scrollTop += 400;
          await new Promise(requestAnimationFrame);
        }
      });
      heap.push(await used());
    }
    const most = Math.max(...heap) - least;
    assert.ok(most < LITTER_MB, `${most.toFixed(0)} MB: ${heap.map((m) => m.toFixed(0)).join(' ')}`);
  } finally {
    fixture.runs.delete(run.doc.id);
    await page.close();
  }
});
