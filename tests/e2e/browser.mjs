// Headless Chromium on the real page: every console error and every policy violation is a complaint,
// and each test ends with none.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(fileURLToPath(new URL('../../ui/package.json', import.meta.url)));
const { chromium } = require('playwright-core');

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };
// So tall that every row of a log of some hundred lines is there at once.
export const TALL = { width: 1440, height: 6000 };

// more: further arguments of Chromium's
export async function launch(more = []) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: [...ARGS, ...more] });
}

export class Visitor {
  // theme: light, dark. What the browser itself says of refused requests and cut connections is expected.
  static async open(browser, dashboard, { viewport = DESKTOP, theme = 'light', locale = 'en-GB' } = {}) {
    const visitor = new Visitor();
    const phone = viewport.width < 720;
    visitor.dashboard = dashboard;
    visitor.complaints = [];
    visitor.context = await browser.newContext({
      viewport, locale, colorScheme: theme, isMobile: phone, hasTouch: phone, deviceScaleFactor: phone ? 2 : 1,
    });
    const page = await visitor.context.newPage();
    visitor.page = page;
    page.on('pageerror', (error) => visitor.complaints.push(`error: ${error.message}`));
    page.on('console', (message) => {
      if (!['error', 'warning'].includes(message.type())) return;
      if (/Failed to load resource|WebSocket connection to/.test(message.text())) return;
      visitor.complaints.push(`console: ${message.text()}`);
    });
    await page.addInitScript(() => {
      globalThis.violations = [];
      document.addEventListener('securitypolicyviolation', (e) => globalThis.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
    });
    return visitor;
  }

  goto(path) {
    return this.page.goto(this.dashboard.url + path);
  }

  async signIn(path = '/') {
    await this.goto(path);
    await this.page.getByLabel('User').fill(this.dashboard.user);
    await this.page.getByLabel('Password').fill(this.dashboard.password);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await this.page.getByRole('heading', { level: 1 }).waitFor();
    await this.page.getByText('Live', { exact: true }).first().waitFor({ state: 'attached' });
  }

  // As who has signed in before, with a session of its own: where signing in is not what is looked at.
  async arrive(path = '/') {
    const { url, user, password } = this.dashboard;
    const session = this.dashboard.session();
    const answer = await session.post('/api/v1/login', { user, password }, { host: new URL(url).host });
    assert.equal(answer.status, 200, answer.text);
    await this.context.addCookies(Object.entries(session.cookies).map(([name, value]) => ({ name, value, url })));
    await this.goto(path);
    await this.page.getByRole('heading', { level: 1 }).waitFor();
    await this.page.getByText('Live', { exact: true }).first().waitFor({ state: 'attached' });
  }

  // The document of the run that the page is at. A list would lack the newest while its agent is slow to answer.
  async run(session) {
    await this.page.waitForURL(/\/runs\/\d+/);
    const answer = await session.get(`/api/v1${new URL(this.page.url()).pathname}`);
    assert.equal(answer.status, 200, answer.text);
    return answer.json.run;
  }

  // The log rolls no more: for so many pictures it begins with the same line.
  rests() {
    return this.page.evaluate(() => new Promise((resolve) => {
      const first = () => document.querySelector('.lr:not(.pinned) .ln')?.textContent;
      let [was, same] = [first(), 0];
      const look = () => {
        const is = first();
        same = is === was ? same + 1 : 0;
        was = is;
        if (same > 20) resolve();
        else requestAnimationFrame(look);
      };
      look();
    }));
  }

  // The lines that the viewer shows, by their number.
  lines() {
    return this.page.evaluate(() => {
      const lines = [];
      for (const row of document.querySelectorAll('.lr')) {
        const n = Number(row.querySelector('.ln').textContent);
        if (n > 0) lines[n] = row.querySelector('.lx').textContent;
      }
      return lines;
    });
  }

  async leave() {
    const violations = await this.page.evaluate(() => globalThis.violations);
    await this.context.close();
    assert.deepEqual([...this.complaints, ...violations], []);
  }
}
