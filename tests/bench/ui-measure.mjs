// What ./dev bench ui measures of a page, one thing each. Nothing here knows a budget.
import fs from 'node:fs';
import { begin, chatter, endRun, endStep, makeRun, startStep, sync } from '../ui/fixture/data.mjs';
import { STDOUT } from '../ui/fixture/journal.mjs';
import { family, pss } from './guard.mjs';

const SAMPLE_MS = 250;
/** As the dashboard tells of a run that changes. */
const TELL_MS = 100;
/** A stream ends by itself after so many seconds. */
const STREAM_SECONDS = 60;

export const quantile = (list, q) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Lines of about a hundred bytes with colours, in records of 60 KiB. */
export function bigRun(lines) {
  const run = makeRun({ name: 'bench.big', title: 'A million lines', ageS: 600, steps: [{ id: 'main', title: 'A million lines' }] });
  const us = run.doc.created_us;
  begin(run, us);
  startStep(run, 0, us);
  let block = '';
  for (let i = 1; i <= lines; i++) {
    block += `${chatter(i).slice(0, -1)} ${'·'.repeat(i % 7)}${String(i).padStart(9, '0')}\n`;
    if (block.length > 60_000) {
      run.journal.output(0, STDOUT, block, us + i);
      block = '';
    }
  }
  run.journal.output(0, STDOUT, block, us + lines);
  endStep(run, 0, us + 3e8);
  endRun(run, us + 3e8);
  return run;
}

/** A run that writes so many megabytes a second until it is ended, or for a minute. All records share one payload: what
 * is written takes next to no memory here. */
export function streamRun(megabytes) {
  const run = makeRun({ name: 'bench.stream', title: 'A stream', ageS: 1, steps: [{ id: 'main', title: 'A stream' }] });
  begin(run, Date.now() * 1000);
  startStep(run, 0, Date.now() * 1000);
  let text = '';
  for (let i = 0; text.length < 64_000; i++) text += chatter(i);
  const block = Buffer.from(text);
  const most = megabytes * 1e6 * STREAM_SECONDS;
  let last = performance.now();
  let owed = 0;
  const write = setInterval(() => {
    const now = performance.now();
    // Never more than can be made: a server that only catches up serves nobody.
    owed = Math.min(owed + ((now - last) / 1000) * megabytes * 1e6, 40 * block.length);
    last = now;
    while (owed > block.length) {
      run.journal.output(0, STDOUT, block);
      owed -= block.length;
    }
    if (run.journal.bytes > most) clearInterval(write);
  }, 10);
  run.timers.add(write).add(setInterval(() => sync(run), TELL_MS));
  return run;
}

export function endStream(run) {
  endStep(run, 0, Date.now() * 1000);
  endRun(run, Date.now() * 1000);
}

const kind = (pid) => /--type=([a-z-]+)/.exec(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1] ?? 'browser';

/** Processes of a kind below a browser. */
function processes(browser, wanted) {
  return family(browser.pid).filter((pid) => {
    try {
      return kind(pid) === wanted;
    } catch {
      return false; // it has ended meanwhile
    }
  });
}

/** Memory of the tab: the proportional set size of its renderer, which runs its worker as well; the largest one, since
 * an idle browser keeps a spare. */
export const tabMegabytes = (browser) => Math.max(0, ...processes(browser, 'renderer').map(pss));

/** The most that a tab has while work goes on, and what it has a moment after. */
export async function memoryDuring(browser, work) {
  let most = 0;
  const timer = setInterval(() => (most = Math.max(most, tabMegabytes(browser))), SAMPLE_MS);
  try {
    const result = await work();
    await sleep(2000);
    const after = tabMegabytes(browser);
    return { result, most: Math.max(most, after), after };
  } finally {
    clearInterval(timer);
  }
}

/** Seconds of processor time of renderers and of the process that puts their pictures on the screen. */
function cpuSeconds(browser) {
  let ns = 0;
  for (const pid of [...processes(browser, 'renderer'), ...processes(browser, 'gpu-process')]) {
    for (const task of fs.readdirSync(`/proc/${pid}/task`)) ns += Number(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return ns / 1e9;
}

/** Share of one core that a page at rest takes. */
export async function idleShare(browser, seconds) {
  const before = cpuSeconds(browser);
  const start = performance.now();
  await sleep(seconds * 1000);
  return (cpuSeconds(browser) - before) / ((performance.now() - start) / 1000);
}

/** Frames of the page while something goes on in it: per second, share of late ones, long tasks. */
export function watchFrames(page, seconds, scroll) {
  return page.evaluate(
    async ([s, perFrame]) => {
      let long = 0;
      const observer = new PerformanceObserver((list) => (long += list.getEntries().length));
      observer.observe({ type: 'longtask' });
      const list = document.querySelector('.log-scroll');
      const gaps = [];
      let before = await new Promise(requestAnimationFrame);
      const start = before;
      while (before - start < s * 1000) {
        if (perFrame !== 0) list.scrollTop += perFrame;
        const now = await new Promise(requestAnimationFrame);
        gaps.push(now - before);
        before = now;
      }
      observer.disconnect();
      return { fps: (gaps.length / (before - start)) * 1000, late: gaps.filter((g) => g > 25).length / gaps.length, long };
    },
    [seconds, scroll],
  );
}

/** Milliseconds from setting the address to the line being there with its text, in a painted frame. */
export function jump(page, line) {
  return page.evaluate(async (n) => {
    const start = performance.now();
    location.hash = `#L${n}`;
    for (;;) {
      await new Promise(requestAnimationFrame);
      const row = document.querySelector('.lr.picked:not(.wait)');
      if (row?.querySelector('.ln').textContent === String(n)) return performance.now() - start;
      if (performance.now() - start > 20_000) throw new Error(`line ${n} did not come`);
    }
  }, line);
}

/** From the list of runs to the first line, both within the page. */
export async function firstLine(page, run) {
  await page.evaluate(() => document.querySelector('nav a[href="/history"]').click());
  const link = `a[href="/runs/${run.doc.number}"]`;
  await page.waitForSelector(link);
  return page.evaluate(async (selector) => {
    const start = performance.now();
    document.querySelector(selector).click();
    while (!document.querySelector('.lr:not(.wait) .lx')) await new Promise(requestAnimationFrame);
    return performance.now() - start;
  }, link);
}

/** The palette, from the key to the frame behind the one that shows it. */
export async function paletteOpens(page) {
  const took = await page.evaluate(async () => {
    const start = performance.now();
    dispatchEvent(new KeyboardEvent('keydown', { key: 'k', ctrlKey: true, bubbles: true }));
    while (!document.querySelector('dialog.palette[open], dialog[open] [role=combobox]')) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    const ms = performance.now() - start;
    dispatchEvent(new KeyboardEvent('keydown', { key: 'k', ctrlKey: true, bubbles: true }));
    return ms;
  });
  await page.waitFor(() => document.querySelector('dialog') === null);
  return took;
}

/** The overview opened by a browser that knows nothing of it: when its largest part was painted, and how much moved. */
export async function opensCold(browser, fixture, viewport, network = null) {
  const page = await browser.open(viewport);
  if (network) await page.slow(network);
  await page.goto(fixture.origin);
  await page.waitForSelector('.run-row');
  await sleep(1000);
  const seen = await page.evaluate(async () => {
    let lcp = 0;
    let cls = 0;
    const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
    watch('largest-contentful-paint', (e) => (lcp = e.startTime));
    watch('layout-shift', (e) => !e.hadRecentInput && (cls += e.value));
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { lcp, cls };
  });
  await page.close();
  return seen;
}
