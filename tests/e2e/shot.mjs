// ./dev shot [FOLDER]: every page as a picture, light and dark, laptop and phone, from real daemons with
// real runs; pages of two machines behind one dashboard as hosts-*. Default folder: build/shots.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, until } from '../integration/lib/agent.mjs';
import { Dashboard } from '../integration/lib/dashboard.mjs';
import { Postgres } from '../integration/lib/postgres.mjs';
import { exampleCatalogue, Stack } from '../integration/lib/stack.mjs';
import { DESKTOP, launch, PHONE, Visitor } from './browser.mjs';

const folder = resolve(process.argv[2] ?? fileURLToPath(new URL('../../build/shots', import.meta.url)));
mkdirSync(folder, { recursive: true });

const stack = await Stack.start({
  status: (dir) => `version: 1\ninterval: 1s\nhost: true\nbackups:\n  - { name: database, glob: ${dir}/backups/ops-*.dump, max_age: 26h, min_size: 1KiB, verified_by: backup }\n`,
});
const browser = await launch();

// A picture of each page in both themes and sizes. pages: [name, path, what to do before]
async function take(dashboard, pages, { login = false } = {}) {
  for (const theme of ['light', 'dark']) {
    for (const [size, viewport] of [['laptop', DESKTOP], ['phone', PHONE]]) {
      const visitor = await Visitor.open(browser, dashboard, { viewport, theme });
      await visitor.goto('/login');
      await visitor.page.getByLabel('Password').waitFor();
      if (login) await visitor.page.screenshot({ path: join(folder, `login-${size}-${theme}.png`) });
      await visitor.signIn('/');
      for (const [name, path, prepare] of pages) {
        await visitor.goto(path);
        await visitor.page.getByRole('heading', { level: 1 }).waitFor();
        await visitor.page.waitForLoadState('networkidle');
        if (prepare) await prepare(visitor.page);
        await visitor.page.waitForTimeout(400);
        await visitor.page.screenshot({ path: join(folder, `${name}-${size}-${theme}.png`) });
      }
      await visitor.leave();
    }
  }
}

// Two agents behind a dashboard of their own, as AGENTS_FILE has it.
async function severalHosts() {
  const [dir, agents] = [join(stack.dir, 'hosts'), []];
  let pg, dashboard;
  try {
    pg = await Postgres.start();
    let text = 'version: 1\nagents:\n';
    for (const [host, title] of [['web1', 'Web server'], ['db1', 'Database']]) {
      mkdirSync(join(dir, host), { recursive: true });
      const agent = await Agent.start({ ...exampleCatalogue(join(dir, host)), status: 'version: 1\ninterval: 1s\nhost: true\n', env: { OPS_AGENT_HOST: host } });
      agents.push(agent);
      const secret = join(dir, `${host}.secret`);
      writeFileSync(secret, `${agent.secret}\n`, { mode: 0o600 });
      text += `  - { host: ${host}, title: "${title}", socket: ${agent.socket}, secret_file: ${secret} }\n`;
    }
    writeFileSync(join(dir, 'agents.yml'), text);
    dashboard = await Dashboard.start({ databaseUrl: pg.url, env: { AGENTS_FILE: join(dir, 'agents.yml'), OPS_AGENT_SECRET: '', OPS_AGENT_SOCKET: '' } });
    await dashboard.connected({ database: true });
    const session = await dashboard.login();
    await until('both machines', async () => (await session.get('/api/v1/catalog')).json?.hosts?.every((h) => h.digest));
    const one = await session.run('host.uptime', {}, { host: 'web1' });
    const other = await session.run('demo.colours', {}, { host: 'db1' });
    for (const run of [one, other]) await session.finished(run.id);
    await take(dashboard, [
      ['hosts-overview', '/', (page) => page.locator('.host-card .metric-value', { hasText: '%' }).first().waitFor()],
      ['hosts-commands', '/commands'],
      ['hosts-history', '/history'],
      ['hosts-run', `/runs/${other.number}?host=db1`],
    ]);
  } finally {
    await dashboard?.destroy();
    for (const agent of agents) await agent.destroy();
    await pg?.destroy();
  }
}

try {
  writeFileSync(`${stack.dir}/pg_service.conf`, `[ops]\nhost=${stack.pg.sockets}\nuser=ops\ndbname=ops\n`, { mode: 0o644 });
  writeFileSync(`${stack.dir}/backups/broken.dump`, 'no dump at all\n', { mode: 0o644 });
  const { session } = stack;
  const ended = [];
  for (const [id, inputs, more] of [
    ['host.uptime', {}], ['demo.colours', {}], ['backup', {}, { kind: 'flow' }], ['demo.flood', { mib: 8 }],
    ['pg.restore_test', { file: 'broken.dump' }],
  ]) {
    const run = await session.run(id, inputs, more);
    ended.push(await session.finished(run.id));
  }
  const of = (name) => ended.find((run) => run.name === name);
  const going = await session.run('demo.stubborn', { seconds: 600 }, { confirm: 'demo.stubborn' });
  const asking = await session.run('demo.parallel', { seconds: 2 }, { kind: 'flow' });
  while ((await session.get(`/api/v1/runs/${asking.id}`)).json.run.status !== 'waiting') await new Promise((resolve) => setTimeout(resolve, 200));

  const pages = [
    ['overview', '/'],
    ['host', '/host', (page) => page.locator('.time-chart canvas').first().waitFor({ timeout: 90000 })],
    ['backups', '/backups#database', (page) => page.locator('.resource details[open]').waitFor()],
    ['database', '/database'],
    ['commands', '/commands'],
    ['form', '/commands', async (page) => {
      await page.locator('li').filter({ hasText: 'Dumps the database' }).getByRole('button', { name: /^Run/ }).click();
      await page.getByTestId('start').waitFor();
    }],
    ['run-colours', `/runs/${of('demo.colours').number}`],
    ['run-backup', `/runs/${of('backup').number}`],
    ['run-flood', `/runs/${of('demo.flood').number}`],
    ['run-failed', `/runs/${of('pg.restore_test').number}`],
    ['run-going', `/runs/${going.number}`],
    ['run-asking', `/runs/${asking.number}`],
    ['history', '/history'],
    ['schedule', '/schedule'],
    ['audit', '/audit'],
    ['more', '/more'],
    ['settings', '/settings'],
    ['not-found', '/nothing-here'],
    ['palette', '/', async (page) => {
      await page.keyboard.press('Control+k');
      await page.getByRole('combobox').waitFor();
    }],
  ];
  await take(stack.dashboard, pages, { login: true });
  for (const run of [going, asking]) await session.post(`/api/v1/runs/${run.id}/cancel`, {});
  await session.finished(asking.id);
  await session.finished(going.id);
  await severalHosts();
} finally {
  await browser.close();
  await stack.destroy();
}
console.log(folder);
