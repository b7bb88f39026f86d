// xterm.js on the same log and the same streams, as somebody would use it for a log: everything is written into a
// terminal that keeps as many lines as there are. It gets its bytes plainly, by fetch and with backpressure, and no
// policy that its inline styles would offend.
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const PAGE = '<!doctype html><meta charset=utf-8><link rel=stylesheet href=/xterm.css><body style="margin:0"><div id=t style="height:100vh"></div><script src=/xterm.js></script>';

/** Serves the page, `text` as /text, and /stream?rate=N: that many megabytes of it a second until it is left. */
function serve(text) {
  const files = { '/xterm.js': ['text/javascript', 'lib/xterm.js'], '/xterm.css': ['text/css', 'css/xterm.css'] };
  const server = http.createServer((req, res) => {
    const url = new URL(req.url, 'http://x');
    const file = files[url.pathname];
    if (file) return res.writeHead(200, { 'Content-Type': file[0] }).end(fs.readFileSync(require.resolve(`@xterm/xterm/${file[1]}`)));
    if (url.pathname === '/text') return res.end(text);
    if (url.pathname !== '/stream') return res.writeHead(200, { 'Content-Type': 'text/html' }).end(PAGE);
    const perTick = (Number(url.searchParams.get('rate')) * 1e6) / 100;
    let at = 0;
    const timer = setInterval(() => {
      if (res.writableNeedDrain) return;
      if (at + perTick > text.length) at = 0;
      res.write(text.subarray(at, (at += perTick)));
    }, 10);
    res.on('close', () => clearInterval(timer));
    return undefined;
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve({ origin: `http://127.0.0.1:${server.address().port}`, close: () => (server.closeAllConnections(), server.close()) })));
}

/** Opens a terminal in the page that holds so many lines. */
const open = (lines) => {
  const term = new globalThis.Terminal({ scrollback: lines, convertEol: true, cols: 160, rows: 45 });
  term.open(document.getElementById('t'));
  globalThis.term = term;
};

const writeAll = async (from) => {
  const start = performance.now();
  const reader = (await fetch(from)).body.getReader();
  let first = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    await new Promise((resolve) => globalThis.term.write(value, resolve));
    if (first === 0) {
      await new Promise(requestAnimationFrame);
      first = performance.now() - start;
    }
  }
  return { first, all: performance.now() - start };
};

const jump = async (line) => {
  const start = performance.now();
  const shown = new Promise((resolve) => {
    const listener = globalThis.term.onRender(() => (listener.dispose(), resolve()));
  });
  globalThis.term.scrollToLine(line);
  await shown;
  await new Promise(requestAnimationFrame);
  return performance.now() - start;
};

/** Frames while 20 lines go by in each, or while a stream is written. */
const frames = async ([seconds, stream]) => {
  let long = 0;
  let written = 0;
  const observer = new PerformanceObserver((list) => (long += list.getEntries().length));
  observer.observe({ type: 'longtask' });
  const abort = new AbortController();
  const writing = stream
    ? (async () => {
        const reader = (await fetch(stream, { signal: abort.signal })).body.getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return;
          written += value.length;
          await new Promise((resolve) => globalThis.term.write(value, resolve));
        }
      })().catch(() => undefined)
    : null;
  const gaps = [];
  let before = await new Promise(requestAnimationFrame);
  const start = before;
  while (before - start < seconds * 1000) {
    if (!stream) globalThis.term.scrollLines(20);
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - before);
    before = now;
  }
  abort.abort();
  await writing;
  observer.disconnect();
  const took = before - start;
  return { fps: (gaps.length / took) * 1000, late: gaps.filter((g) => g > 25).length / gaps.length, long, rate: written / took / 1000 };
};

/** Measures it; the members are named as the rows of the page's own table. */
export async function xtermPeer(browser, viewport, { text, lines, jumps, seconds, megabytes }) {
  const server = await serve(text);
  try {
    const out = {};
    let page = await browser.open(viewport);
    await page.goto(server.origin);
    await page.evaluate(open, lines);
    const wrote = await page.evaluate(writeAll, '/text');
    out.first = wrote.first;
    out.all = wrote.all;
    out.jumps = [];
    for (let i = 0; i < jumps; i++) out.jumps.push(await page.evaluate(jump, 1 + ((i * 7_919_003) % lines)));
    await page.evaluate(jump, 1);
    out.scroll = await page.evaluate(frames, [seconds, '']);
    out.memory = megabytes();
    await page.close();
    for (const rate of [25, 50]) {
      page = await browser.open(viewport);
      await page.goto(server.origin);
      await page.evaluate(open, lines);
      out[`stream${rate}`] = { ...(await page.evaluate(frames, [seconds, `/stream?rate=${rate}`])), memory: megabytes() };
      await page.close();
    }
    return out;
  } finally {
    server.close();
  }
}
