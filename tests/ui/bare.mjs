// Chromium without a test library's instruments: DevTools protocol over a pipe, and only what is asked for. A library
// that listens to the network has the browser keep every response and tell of every WebSocket frame: that costs more
// than what is measured here.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { ARGS, executablePath } from './harness.mjs';

const WAIT_MS = 60_000;
const POLL_MS = 20;
const CLOSE_MS = 5000;

class Page {
  constructor(browser, context, target, session) {
    Object.assign(this, { browser, context, target, session });
  }

  #send(method, params = {}) {
    return this.browser.send(method, params, this.session);
  }

  /** What fn(arg) says in the page. */
  async evaluate(fn, arg) {
    const expression = `(${fn})(${arg === undefined ? '' : JSON.stringify(arg)})`;
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  async waitFor(fn, arg) {
    for (const start = Date.now(); !(await this.evaluate(fn, arg)); ) {
      if (Date.now() - start > WAIT_MS) throw new Error(`waited in vain for ${fn}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  waitForSelector(selector) {
    return this.waitFor((s) => document.querySelector(s) !== null, selector);
  }

  async goto(url) {
    const { errorText } = await this.#send('Page.navigate', { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await this.waitFor((u) => location.href.startsWith(u) && document.readyState === 'complete', new URL(url).origin);
  }

  /** A network of so many bits a second and milliseconds there and back, and a processor so many times slower. */
  async slow({ bits, latency, cpu }) {
    await this.#send('Network.enable');
    await this.#send('Network.emulateNetworkConditions', { offline: false, latency, downloadThroughput: bits / 8, uploadThroughput: bits / 8 });
    await this.#send('Emulation.setCPUThrottlingRate', { rate: cpu });
  }

  async close() {
    await this.browser.send('Target.disposeBrowserContext', { browserContextId: this.context });
  }
}

export class BareBrowser {
  #next = 1;
  #waiting = new Map();
  #rest = '';

  constructor() {
    this.profile = fs.mkdtempSync(path.join(os.tmpdir(), 'ops-bare-'));
    this.process = spawn(executablePath, ['--headless=new', '--remote-debugging-pipe', `--user-data-dir=${this.profile}`, ...ARGS, 'about:blank'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    this.process.stdio[4].on('data', (d) => this.#data(d.toString()));
    this.exit = new Promise((resolve) => this.process.once('exit', resolve));
    void this.exit.then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser is gone'));
    });
  }

  get pid() {
    return this.process.pid;
  }

  #data(text) {
    const parts = (this.#rest + text).split('\0');
    this.#rest = parts.pop();
    for (const m of parts.map((p) => JSON.parse(p))) {
      const waiting = this.#waiting.get(m.id);
      this.#waiting.delete(m.id);
      if (m.error) waiting?.reject(new Error(m.error.message));
      else waiting?.resolve(m.result);
    }
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** A page in a profile of its own; a narrow one is a phone's, with two dots a pixel. */
  async open({ width, height }) {
    const { browserContextId } = await this.send('Target.createBrowserContext');
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: width < 720 ? 2 : 1, mobile: width < 720 }, sessionId);
    return new Page(this, browserContextId, targetId, sessionId);
  }

  async close() {
    const late = setTimeout(() => this.process.kill('SIGKILL'), CLOSE_MS);
    await this.send('Browser.close').catch(() => undefined);
    await this.exit;
    clearTimeout(late);
    fs.rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
