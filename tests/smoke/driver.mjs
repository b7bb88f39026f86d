// WebDriver (W3C) to browsers as Debian has them: WebKitGTK by its own driver over HTTP, Firefox by Marionette, which
// is built in and takes the same commands as JSON over TCP.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const START_MS = 60_000;
const WAIT_MS = 60_000;
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function retried(what, fn) {
  for (const start = Date.now(); ; await pause(100)) {
    try {
      return await fn();
    } catch (e) {
      if (Date.now() - start > START_MS) throw new Error(`${what}: ${e.message}`);
    }
  }
}

/** What a person does, on top of `command(name, parameters)`. */
class Driver {
  constructor(process_, profile) {
    this.process = process_;
    this.profile = profile;
    this.exit = new Promise((resolve) => process_.once('exit', resolve));
  }

  run(fn, ...args) {
    return this.command('execute', { script: `return (${fn}).apply(null, arguments)`, args });
  }

  async waitFor(fn, ...args) {
    for (const start = Date.now(); !(await this.run(fn, ...args)); await pause(100)) {
      if (Date.now() - start > WAIT_MS) throw new Error(`waited in vain for ${fn} ${JSON.stringify(args)}\n${await this.run(() => document.body.innerText.slice(0, 600))}`);
    }
  }

  async #find(selector) {
    await this.waitFor((s) => document.querySelector(s) !== null, selector);
    return (await this.command('find', { using: 'css selector', value: selector }))[ELEMENT];
  }

  async type(selector, text) {
    await this.command('keys', { id: await this.#find(selector), text });
  }

  async click(selector) {
    await this.command('click', { id: await this.#find(selector) });
  }

  async quit() {
    await this.command('quit').catch(() => undefined); // it may be gone before it can say so
    if (this.process.exitCode === null) this.process.kill();
    await this.exit;
    fs.rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

const MARIONETTE = { open: 'WebDriver:Navigate', execute: 'WebDriver:ExecuteScript', find: 'WebDriver:FindElement', click: 'WebDriver:ElementClick', keys: 'WebDriver:ElementSendKeys', quit: 'Marionette:Quit', shot: 'WebDriver:TakeScreenshot', size: 'WebDriver:SetWindowRect' };

class Firefox extends Driver {
  #waiting = new Map();
  #next = 1;
  #rest = Buffer.alloc(0);

  /** "LENGTH:[0, id, name, parameters]", answered by "LENGTH:[1, id, error, result]". */
  connect(port) {
    return new Promise((resolve, reject) => {
      this.socket = net.connect(port, '127.0.0.1', () => resolve());
      this.socket.on('error', reject);
      this.socket.on('data', (d) => this.#data(d));
    });
  }

  #data(d) {
    this.#rest = Buffer.concat([this.#rest, d]);
    for (;;) {
      const colon = this.#rest.indexOf(58);
      if (colon < 0) return;
      const end = colon + 1 + Number(this.#rest.subarray(0, colon).toString());
      if (this.#rest.length < end) return;
      const message = JSON.parse(this.#rest.subarray(colon + 1, end).toString());
      this.#rest = this.#rest.subarray(end);
      if (!Array.isArray(message)) continue; // its greeting
      const [, id, error, result] = message;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(`${error.error}: ${error.message}`));
      else waiting?.resolve(result);
    }
  }

  send(name, parameters = {}) {
    const id = this.#next++;
    const text = JSON.stringify([0, id, name, parameters]);
    this.socket.write(`${Buffer.byteLength(text)}:${text}`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  async command(name, parameters) {
    const result = await this.send(MARIONETTE[name], parameters);
    return result?.value ?? result;
  }
}

export async function firefox() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'ops-firefox-'));
  const port = await freePort();
  fs.writeFileSync(path.join(profile, 'user.js'), `user_pref("marionette.port", ${port});\nuser_pref("app.update.enabled", false);\nuser_pref("datareporting.policy.dataSubmissionEnabled", false);\n`);
  const child = spawn('firefox-esr', ['--headless', '--marionette', '--no-remote', '--profile', profile], { stdio: 'ignore', env: { ...process.env, HOME: profile } });
  const driver = new Firefox(child, profile);
  await retried('firefox-esr', () => driver.connect(port));
  await driver.send('WebDriver:NewSession', { capabilities: {} });
  return driver;
}

class WebKit extends Driver {
  async command(name, parameters = {}) {
    const { id, ...body } = parameters;
    const element = id ? `/element/${id}` : '';
    const paths = { open: ['POST', '/url'], execute: ['POST', '/execute/sync'], find: ['POST', '/element'], click: ['POST', `${element}/click`], keys: ['POST', `${element}/value`], quit: ['DELETE', ''], shot: ['GET', '/screenshot'], size: ['POST', '/window/rect'] };
    const [method, at] = paths[name];
    return this.send(method, `/session/${this.session}${at}`, body);
  }

  async send(method, at, body) {
    const response = await fetch(this.base + at, { method, headers: { 'Content-Type': 'application/json' }, ...(method === 'POST' ? { body: JSON.stringify(body) } : {}) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
    return value;
  }
}

/** On a display of its own. */
export async function webkit() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'ops-webkit-'));
  const port = await freePort();
  const child = spawn('xvfb-run', ['--auto-servernum', '--server-args=-screen 0 1440x900x24', 'WebKitWebDriver', `--port=${port}`], {
    stdio: 'ignore',
    // The sandbox wants user namespaces, which a container may not have; software drawing needs no device.
    env: { ...process.env, HOME: profile, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', WEBKIT_DISABLE_COMPOSITING_MODE: '1', LIBGL_ALWAYS_SOFTWARE: '1' },
    detached: true,
  });
  child.kill = () => process.kill(-child.pid, 'SIGTERM'); // with the display
  const driver = new WebKit(child, profile);
  driver.base = `http://127.0.0.1:${port}`;
  await retried('WebKitWebDriver', () => driver.send('GET', '/status'));
  const { sessionId } = await driver.send('POST', '/session', { capabilities: { alwaysMatch: {} } });
  driver.session = sessionId;
  return driver;
}
