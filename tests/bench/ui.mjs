// The page against its budgets: sizes of what is loaded, and the log viewer on a log of a million lines and on
// streams of 25 and 50 MB/s, in headless Chromium on this machine, served by the tests' fixture server in the
// same process. What a busy machine measures is an upper bound; sizes are exact, and only they fail the run.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { begin, chatter, endRun, endStep, makeRun, startStep, sync } from '../ui/fixture/data.mjs';
import { STDOUT } from '../ui/fixture/journal.mjs';
import { BareBrowser } from '../ui/bare.mjs';
import { buildPage, DESKTOP, PHONE } from '../ui/harness.mjs';
import { Fixture } from '../ui/fixture-server.mjs';
import { xtermPeer } from './xterm.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const LINES = Number(process.env.BENCH_LINES ?? 1_000_000);
const JUMPS = Number(process.env.BENCH_JUMPS ?? 40);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 6);

const quantile = (list, q) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))];

/** Lines of about a hundred bytes with colours, in records of 60 KiB. */
function bigRun() {
  const run = makeRun({ name: 'bench.big', title: 'A million lines', ageS: 600, steps: [{ id: 'main', title: 'A million lines' }] });
  const us = run.doc.created_us;
  begin(run, us);
  startStep(run, 0, us);
  let block = '';
  for (let i = 1; i <= LINES; i++) {
    block += `${chatter(i).slice(0, -1)} ${'·'.repeat(i % 7)}${String(i).padStart(9, '0')}\n`;
    if (block.length > 60_000) {
      run.journal.output(0, STDOUT, block, us + i);
      block = '';
    }
  }
  run.journal.output(0, STDOUT, block, us + LINES);
  endStep(run, 0, us + 3e8);
  endRun(run, us + 3e8);
  return run;
}

/** A run that writes so many megabytes a second until it is stopped. */
function streamRun(megabytes) {
  const run = makeRun({ name: 'bench.stream', title: 'A stream', ageS: 1, steps: [{ id: 'main', title: 'A stream' }] });
  begin(run, Date.now() * 1000);
  startStep(run, 0, Date.now() * 1000);
  let text = '';
  for (let i = 0; text.length < 64_000; i++) text += chatter(i);
  const block = Buffer.from(text);
  let last = performance.now();
  let owed = 0;
  run.timers.add(
    setInterval(() => {
      const now = performance.now();
      // Never more than can be made: a server that only catches up serves nobody.
      owed = Math.min(owed + ((now - last) / 1000) * megabytes * 1e6, 40 * block.length);
      last = now;
      while (owed > block.length) {
        run.journal.output(0, STDOUT, block);
        owed -= block.length;
      }
      sync(run);
    }, 10),
  );
  return run;
}

/** Proportional set size of the largest renderer below a browser, in MB. */
function rendererMegabytes(browserPid) {
  const children = (pid) => fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean);
  const all = (pid) => [pid, ...children(pid).flatMap(all)];
  let most = 0;
  for (const pid of all(browserPid)) {
    try {
      if (!fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer')) continue;
      most = Math.max(most, (Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024) / 1e6);
    } catch {
      // it has ended meanwhile
    }
  }
  return most;
}

/** Frames of the page while something goes on in it: per second, share of late ones, long tasks. */
function watchFrames(page, seconds, scroll) {
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
function jump(page, line) {
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

const rows = [];
/** What the page measures, what it may, and what xterm.js does, when that was measured. */
const put = (what, measured, budget, fine) => {
  rows.push([what, measured, budget, fine === undefined ? '' : fine ? 'ok' : 'OVER', '']);
  console.log(`  ${what}: ${measured}`); // as it comes; the table is at the end
};
const ms = (n) => `${n.toFixed(0)} ms`;

/** From the list of runs to the first line, both within the page. */
async function firstLine(page, run) {
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

async function big(browser, fixture) {
  const run = fixture.add(bigRun());
  const megabytes = run.journal.bytes / 1e6;
  console.log(`log: ${LINES.toLocaleString('en')} lines, ${megabytes.toFixed(0)} MB`);
  for (const [name, viewport, limit] of [['desktop', DESKTOP, 250], ['phone', PHONE, 150]]) {
    const page = await browser.open(viewport);
    await page.goto(`${fixture.origin}/history`);
    const opened = [];
    await page.waitForSelector('nav');
    for (let i = 0; i < 5; i++) opened.push(await firstLine(page, run));
    put(`${name}: route change to first line`, ms(quantile(opened, 0.5)), '300 ms', quantile(opened, 0.5) <= 300);
    const cold = [];
    const targets = Array.from({ length: JUMPS }, (_, i) => 1 + ((i * 7_919_003) % LINES));
    for (const n of targets) cold.push(await jump(page, n));
    put(`${name}: jump to a line that is not here, p95`, ms(quantile(cold, 0.95)), '-');
    const warm = [];
    for (const n of targets.slice(-20).flatMap((x) => [x, x + 40])) warm.push(await jump(page, Math.min(LINES, n)));
    put(`${name}: jump to a line that is cached, p95`, ms(quantile(warm, 0.95)), '50 ms', quantile(warm, 0.95) <= 50);
    const frames = await watchFrames(page, SECONDS, 400);
    put(`${name}: scrolling, frames a second`, frames.fps.toFixed(1), '58', frames.fps >= 58);
    put(`${name}: scrolling, late frames`, `${(frames.late * 100).toFixed(1)} %`, '2 %', frames.late <= 0.02);
    put(`${name}: memory of the tab after all that`, `${rendererMegabytes(browser.pid).toFixed(0)} MB`, `${limit} MB`, rendererMegabytes(browser.pid) <= limit);
    await page.close();
  }
  fixture.runs.delete(run.doc.id);
}

async function live(browser, fixture, rate, leastFps) {
  const page = await browser.open(DESKTOP);
  const run = fixture.add(streamRun(rate));
  await page.goto(`${fixture.origin}/runs/${run.doc.number}`);
  await page.waitForSelector('.lr:not(.wait)');
  const before = run.journal.bytes;
  const start = performance.now();
  const frames = await watchFrames(page, SECONDS, 0);
  const written = (run.journal.bytes - before) / 1e6 / ((performance.now() - start) / 1000);
  const memory = rendererMegabytes(browser.pid);
  endStep(run, 0, Date.now() * 1000);
  endRun(run, Date.now() * 1000);
  const { lines } = run.journal;
  await page.waitFor((n) => [...document.querySelectorAll('.lr .ln')].some((e) => e.textContent === String(n)), lines);
  put(`stream of ${rate} MB/s (${written.toFixed(0)} written), frames a second`, frames.fps.toFixed(1), String(leastFps), frames.fps >= leastFps);
  put(`stream of ${rate} MB/s, late frames`, `${(frames.late * 100).toFixed(1)} %`, '3 %', frames.late <= 0.03);
  put(`stream of ${rate} MB/s, long tasks`, String(frames.long), '0', frames.long === 0);
  put(`stream of ${rate} MB/s, memory of the tab`, `${memory.toFixed(0)} MB`, '250 MB', memory <= 250);
  fixture.runs.delete(run.doc.id);
  await page.close();
}

async function palette(browser, fixture) {
  const page = await browser.open(DESKTOP);
  await page.goto(fixture.origin);
  await page.waitForSelector('.run-row');
  const took = [];
  for (let i = 0; i < 10; i++) {
    took.push(
      await page.evaluate(async () => {
        const start = performance.now();
        dispatchEvent(new KeyboardEvent('keydown', { key: 'k', ctrlKey: true, bubbles: true }));
        while (!document.querySelector('dialog.palette[open], dialog[open] [role=combobox]')) await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        const took = performance.now() - start;
        dispatchEvent(new KeyboardEvent('keydown', { key: 'k', ctrlKey: true, bubbles: true }));
        return took;
      }),
    );
    await page.waitFor(() => document.querySelector('dialog') === null);
  }
  put('palette, key to painted, p50', ms(quantile(took, 0.5)), '50 ms', quantile(took, 0.5) <= 50);
  await page.close();
}

/** xterm.js, in the same browser and the same run, into the column beside ours. */
async function peer(browser) {
  const run = bigRun();
  const x = await xtermPeer(browser, DESKTOP, { text: run.journal.raw(), lines: LINES, jumps: JUMPS, seconds: SECONDS, megabytes: () => rendererMegabytes(browser.pid) });
  const beside = (what, measured) => {
    const row = rows.find((r) => r[0].startsWith(what));
    row[4] = measured;
    console.log(`  xterm.js, ${what}: ${measured}`);
  };
  beside('desktop: route change to first line', `${ms(x.first)} (all ${(x.all / 1000).toFixed(1)} s)`);
  beside('desktop: jump to a line that is cached', ms(quantile(x.jumps, 0.95)));
  beside('desktop: scrolling, frames', x.scroll.fps.toFixed(1));
  beside('desktop: scrolling, late', `${(x.scroll.late * 100).toFixed(1)} %`);
  beside('desktop: memory', `${x.memory.toFixed(0)} MB`);
  for (const rate of [25, 50]) {
    const s = x[`stream${rate}`];
    beside(`stream of ${rate} MB/s (`, `${s.fps.toFixed(1)} (${s.rate.toFixed(0)} MB/s taken)`);
    beside(`stream of ${rate} MB/s, late`, `${(s.late * 100).toFixed(1)} %`);
    beside(`stream of ${rate} MB/s, long`, String(s.long));
    beside(`stream of ${rate} MB/s, memory`, `${s.memory.toFixed(0)} MB`);
  }
}

export async function uiBench() {
  const sizes = spawnSync(process.execPath, [path.join(root, 'ui/build.mjs'), '--out', fs.mkdtempSync('/tmp/ops-bench-ui-'), '--report'], { encoding: 'utf8' });
  console.log(sizes.stdout.slice(sizes.stdout.indexOf('\n\n') + 2));
  const built = buildPage();
  const browser = new BareBrowser();
  const fixture = new Fixture(built.dist);
  fixture.session = true;
  await fixture.listen();
  try {
    await palette(browser, fixture);
    await big(browser, fixture);
    await live(browser, fixture, 25, 58);
    await live(browser, fixture, 50, 55);
    await peer(browser);
  } finally {
    await browser.close();
    await fixture.close();
    built.remove();
  }
  const table = [['', 'the page', 'budget', '', 'xterm.js'], ...rows];
  const widths = table[0].map((_, c) => Math.max(...table.map((r) => r[c].length)));
  for (const [what, measured, budget, verdict, other] of table) console.log(`${what.padEnd(widths[0])}  ${measured.padStart(widths[1])}  ${budget.padStart(widths[2])}  ${verdict.padEnd(widths[3])}  ${other}`);
  if (sizes.status !== 0) throw new Error('a size is over its budget');
}
