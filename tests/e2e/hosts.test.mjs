// Two real agents behind one real dashboard, as a person sees them: which machine is which, what runs where, what is whose
// in history, schedule and audit, and one of them away and back.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, until } from '../integration/lib/agent.mjs';
import { commandsYml, makeScripts } from '../integration/lib/commands.mjs';
import { Dashboard } from '../integration/lib/dashboard.mjs';
import { Postgres } from '../integration/lib/postgres.mjs';
import { launch, PHONE, Visitor } from './browser.mjs';

const { schemas } = JSON.parse(readFileSync(new URL('../../core/app/api/openapi.json', import.meta.url), 'utf8')).components;
const bin = makeScripts();

const startAgent = (name) => Agent.start({
  commands: `${commandsYml(bin)}\n  only-${name}:\n    title: Only on ${name}\n    exec: [/bin/echo, "this is ${name}"]\n`,
  flows: { nightly: 'version: 1\nid: nightly\ntitle: Nightly\nschedule: [{ cron: "@yearly", timezone: UTC }]\nsteps: [{ id: one, uses: speak, with: { code: 0 } }]\n' },
  status: 'version: 1\ninterval: 1s\nhost: true\n',
  env: { OPS_AGENT_HOST: name },
});

describe('two machines', { skip: schemas.HostName ? false : 'this dashboard knows one agent' }, () => {
  let pg, web, db, dir, dashboard, session, browser;

  before(async () => {
    pg = await Postgres.start();
    [web, db] = [await startAgent('web1'), await startAgent('db1')];
    dir = mkdtempSync(join(tmpdir(), 'ops-agents-'));
    chmodSync(dir, 0o755);
    const line = (host, agent, title) => {
      writeFileSync(join(dir, host), `${agent.secret}\n`, { mode: 0o600 });
      return `  - { host: ${host}, title: "${title}", socket: ${agent.socket}, secret_file: ${join(dir, host)} }\n`;
    };
    writeFileSync(join(dir, 'agents.yml'), `version: 1\nagents:\n${line('web1', web, 'Web server')}${line('db1', db, 'Database')}`);
    dashboard = await Dashboard.start({ databaseUrl: pg.url, env: { AGENTS_FILE: join(dir, 'agents.yml'), OPS_AGENT_SECRET: '', OPS_AGENT_SOCKET: '' } });
    await dashboard.connected({ database: true });
    session = await dashboard.login();
    await until('both machines', async () => (await session.get('/api/v1/catalog')).json?.hosts?.every((h) => h.digest));
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await dashboard?.destroy();
    await web?.destroy();
    await db?.destroy();
    await pg?.destroy();
    if (dir) rmSync(dir, { recursive: true, force: true });
  });

  const hosts = (page) => page.getByRole('navigation', { name: 'Hosts' });
  const row = (page, group, id) => page.locator('section.entry-group', { hasText: group }).locator('.entry-row', { hasText: id });
  const word = (page, text) => page.locator('h1').getByText(text).waitFor({ timeout: 60000 });

  it('are on one page, and each has one of its own', async () => {
    const visitor = await Visitor.open(browser, dashboard);
    const { page } = visitor;
    await visitor.arrive('/');
    for (const name of ['Web server', 'Database']) await page.locator('.host-card', { hasText: name }).locator('.metric-value', { hasText: '%' }).first().waitFor();
    await hosts(page).getByRole('link', { name: 'Database connected' }).click();
    await page.waitForURL(/\/\?host=db1$/);
    await page.locator('.metric-card').first().click();
    await page.waitForURL(/\/host\?host=db1$/);
    await page.locator('.page-head', { hasText: 'Database' }).waitFor();
    await page.locator('.resource').first().waitFor();
    await visitor.leave();
  });

  it('run what is theirs; a number that both have is asked about', async () => {
    const visitor = await Visitor.open(browser, dashboard);
    const { page } = visitor;
    await visitor.arrive('/commands');
    await row(page, 'Database · only-db1', 'only-db1').getByRole('button').click();
    await page.waitForURL(/\/runs\/1\?host=db1$/);
    await page.getByText('this is db1').waitFor();
    await word(page, 'Succeeded');
    // The same command of both: the form says where, and can be told another.
    await page.goto(`${dashboard.url}/commands`);
    await row(page, 'Database · speak', 'speak').getByRole('button').click();
    await page.getByRole('dialog').getByRole('radio', { name: 'Web server' }).check({ force: true });
    await page.getByRole('button', { name: 'Run Speak on Web server' }).click();
    await page.waitForURL(/\/runs\/1\?host=web1$/);
    await word(page, 'Succeeded');
    assert.deepEqual((await session.get('/api/v1/runs')).json.runs.map((r) => [r.host, r.name]).sort(), [['db1', 'only-db1'], ['web1', 'speak']]);
    await page.goto(`${dashboard.url}/runs/1`);
    await page.locator('.problem').getByRole('link', { name: 'Database' }).click();
    await page.getByText('this is db1').waitFor();
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.waitForURL(/\/runs\/2\?host=db1$/);
    await word(page, 'Succeeded');
    await page.goto(`${dashboard.url}/history?host=db1`);
    await page.waitForFunction(() => document.querySelectorAll('.run-row').length === 2);
    await visitor.leave();
  });

  it('have schedules, maintenance and audits of their own', async () => {
    const visitor = await Visitor.open(browser, dashboard, { viewport: PHONE });
    const { page } = visitor;
    await visitor.arrive('/schedule');
    const flow = page.locator('.schedule-row', { hasText: 'Database' });
    await flow.getByRole('button', { name: /^Pause/ }).click();
    await flow.getByRole('form').getByRole('button', { name: 'Pause' }).click();
    await flow.getByText('Paused').waitFor();
    const flows = async () => Object.fromEntries((await session.get('/api/v1/schedule')).json.flows.map((f) => [f.host, f.paused]));
    assert.deepEqual(await flows(), { web1: false, db1: true });
    await page.getByRole('button', { name: 'Begin maintenance Web server' }).click();
    await page.locator('.maintenance.on', { hasText: 'Web server' }).waitFor();
    await page.getByRole('button', { name: 'End maintenance Web server' }).click();
    await page.getByRole('button', { name: 'Begin maintenance Web server' }).waitFor();
    await hosts(page).getByRole('link', { name: /Database/ }).click();
    await page.waitForURL(/\/schedule\?host=db1$/);
    await page.waitForFunction(() => document.querySelectorAll('.schedule-row').length === 1);
    await page.goto(`${dashboard.url}/audit?host=db1&event=schedule`);
    await page.locator('.audit-row', { hasText: 'nightly' }).first().waitFor();
    assert.ok((await page.locator('.audit-host').allInnerTexts()).every((name) => name === 'Database'));
    await visitor.leave();
  });

  it('do not disturb each other: one away is named, the other runs, and what was away comes back', async () => {
    const visitor = await Visitor.open(browser, dashboard);
    const { page } = visitor;
    await visitor.arrive('/commands');
    await db.stop();
    await page.locator('.banner', { hasText: 'Database cannot be reached' }).waitFor({ timeout: 60000 });
    assert.ok(await row(page, 'Database · only-db1', 'only-db1').getByRole('button').isDisabled());
    await row(page, 'Web server · only-web1', 'only-web1').getByRole('button').click();
    await page.getByText('this is web1').waitFor();
    await word(page, 'Succeeded');
    await page.goto(dashboard.url);
    await page.locator('.host-card', { hasText: 'Database' }).getByText('cannot be reached').waitFor();
    await db.restart();
    await page.locator('.banner').waitFor({ state: 'detached', timeout: 60000 });
    await page.locator('.host-card', { hasText: 'Database' }).locator('.metric-value', { hasText: '%' }).first().waitFor({ timeout: 60000 });
    await visitor.leave();
  });
});
