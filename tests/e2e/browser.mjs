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
