// Chromium, the fixture server and the built page, for the page tests.
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Fixture } from './fixture-server.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
export const ui = path.join(here, '../../ui');
const require = createRequire(path.join(ui, 'package.json'));
const { chromium } = require('playwright-core');

export const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const skip = fs.existsSync(executablePath) ? false : `no ${executablePath}`;

export const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** Builds the page into a folder of its own. */
export function buildPage() {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'ops-ui-page-'));
  const built = spawnSync(process.execPath, [path.join(ui, 'build.mjs'), '--out', out], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
  return { dist: path.join(out, 'dist'), remove: () => fs.rmSync(out, { recursive: true, force: true }) };
}

export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** A world for one test file: a browser, a server, pages whose every complaint is collected. */
export class World {
  static async start() {
    const w = new World();
    w.page = buildPage();
    w.browser = await chromium.launch({ executablePath, headless: true, args: ARGS });
    return w;
  }

  async stop() {
    await this.browser.close();
    this.page.remove();
  }

  async server() {
    const fixture = new Fixture(this.page.dist);
    await fixture.listen();
    return fixture;
  }

  /** A page that is signed in unless told otherwise. `complaints` must stay empty. */
  async open(fixture, to = '/', { viewport = DESKTOP, theme = 'light', signedIn = true, language = 'en-GB' } = {}) {
    fixture.session = signedIn;
    const phone = viewport.width < 720;
    const context = await this.browser.newContext({ viewport, colorScheme: theme, locale: language, hasTouch: phone, isMobile: phone, deviceScaleFactor: phone ? 2 : 1 });
    const page = await context.newPage();
    const complaints = [];
    page.on('pageerror', (e) => complaints.push(`error: ${e.message}`));
    page.on('console', (m) => {
      if (m.type() !== 'error' && m.type() !== 'warning') return;
      // Refused requests are told by the browser itself; the tests look at what the page makes of them.
      if (/Failed to load resource|WebSocket connection to/.test(m.text())) return;
      complaints.push(`console: ${m.text()}`);
    });
    await page.addInitScript(() => {
      globalThis.violations = [];
      document.addEventListener('securitypolicyviolation', (e) => globalThis.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
    });
    await page.goto(fixture.origin + to);
    return {
      page,
      complaints,
      async done() {
        const violations = await page.evaluate(() => globalThis.violations);
        await context.close();
        return [...complaints, ...violations.map((v) => `csp: ${v}`)];
      },
    };
  }
}

const axeSource = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** Violations of WCAG 2.2 A and AA and of best practice, in words; or only those of some rules. */
export async function axe(page, rules = null) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axeSource);
  const result = await page.evaluate(
    (only) =>
      globalThis.axe.run(document, {
        resultTypes: ['violations'],
        runOnly: only ? { type: 'rule', values: only } : ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }),
    rules,
  );
  return result.violations.map((v) => `${v.id}: ${v.help} — ${v.nodes.map((n) => `${n.target.join(' ')} ${(n.any[0] ?? n.all[0] ?? n.none[0])?.message ?? ''}`).slice(0, 4).join(' | ')}`);
}
