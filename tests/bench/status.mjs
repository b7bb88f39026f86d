// What it costs to know how the machine is: processor time an hour of probes, worker, monitor and dashboard while nobody
// looks and while a page does, beside node_exporter that is asked every 15 s (as Prometheus does by default) and one that
// nobody asks; then what a day of samples does to the dashboard's memory and to the database, with clocks that hurry.
//
// BENCH_STATUS_S: seconds of each measurement (120); BENCH_DAY_RATE: how many times as fast the day passes (60;
// a loaded machine cannot keep up with more, and what it misses are gaps); BENCH_DAY_HOURS: how long the day is (24).
// Processor time is what the kernel counts for each thread (schedstat), so a loaded machine changes little.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';

const SECONDS = Number(process.env.BENCH_STATUS_S ?? 120);
const RATE = Number(process.env.BENCH_DAY_RATE ?? 60);
const HOURS = Number(process.env.BENCH_DAY_HOURS ?? 24);
const EXPORTER = ['/usr/bin/prometheus-node-exporter', '/usr/bin/node_exporter'].find((p) => fs.existsSync(p));
const EXPORTER_PORT = 3191;
const SCRAPE_S = 15;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Nanoseconds on a processor: all threads of a process, and what it waited for (looks that have ended).
function cpuNs(pid) {
  let ns = 0;
  for (const task of fs.readdirSync(`/proc/${pid}/task`)) ns += Number(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return ns + (Number(fields[13]) + Number(fields[14])) * 1e7;
}

const rssKib = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
// What was swapped out counts as well: it was needed once.
const pssKib = (pid) => [...fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').matchAll(/^(?:Swap)?Pss:\s+(\d+)/gm)].reduce((n, [, kib]) => n + Number(kib), 0);

// CPU seconds an hour of each of these processes.
async function perHour(pids, seconds) {
  const before = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuNs(pid)]));
  const start = performance.now();
  await sleep(seconds * 1000);
  const took = (performance.now() - start) / 1000;
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, ((cpuNs(pid) - before[name]) / 1e9) * (3600 / took)]));
}

async function exporterCost(scraped) {
  if (!EXPORTER) return null;
  const child = spawn(EXPORTER, [`--web.listen-address=127.0.0.1:${EXPORTER_PORT}`], { stdio: 'ignore' });
  const scrape = () => fetch(`http://127.0.0.1:${EXPORTER_PORT}/metrics`).then((r) => r.text(), () => '');
  for (let i = 0; i < 200 && (await scrape()) === ''; i++) await sleep(50);
  const timer = scraped ? setInterval(scrape, SCRAPE_S * 1000) : null;
  try {
    const cost = await perHour({ exporter: child.pid }, SECONDS);
    return { cpu: cost.exporter, pss: pssKib(child.pid) };
  } finally {
    clearInterval(timer);
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

async function running(fixed, rows) {
  const { Agent } = await import('../integration/lib/agent.mjs');
  const { Dashboard } = await import('../integration/lib/dashboard.mjs');
  const { Postgres } = await import('../integration/lib/postgres.mjs');
  const pg = await Postgres.start();
  const agent = await Agent.start({ commands: 'version: 1\ncommands:\n  bench.true: { title: "true", exec: [/bin/true] }\n', status: 'version: 1\ninterval: 5s\nhost: true\n' });
  const dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected({ database: true });
  try {
    const session = await dashboard.login();
    await sleep(5000);
    const pids = { monitor: agent.monitor.pid, worker: agent.workerPid, probes: agent.probesPid, dashboard: dashboard.pid };
    rows.idle = await perHour(pids, SECONDS);
    const live = await session.live();
    await live.subscribe('status').snapshot();
    rows.watched = await perHour(pids, SECONDS);
    live.destroy();
    rows.pss = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, pssKib(pid)]));
  } finally {
    await dashboard.destroy();
    await agent.destroy();
    await pg.destroy();
  }
}

// A machine with a hundred values, for a day.
async function aDay(bin) {
  const { FakeAgent } = await import('../integration/lib/fake-agent.mjs');
  const { Dashboard } = await import('../integration/lib/dashboard.mjs');
  const { Postgres } = await import('../integration/lib/postgres.mjs');
  const item = (id, values) => ({ id, title: id, level: 'ok', message: null, since_us: 1, checked_us: Date.now() * 1000, values });
  const document = (n) => ({
    host: 'bench', time_us: Date.now() * 1000, level: 'ok', interval_ms: 5000,
    sections: {
      host: Array.from({ length: 10 }, (_, i) => item(`host${i}`, { used_pct: 50 + 40 * Math.sin(n / 50 + i), used: 1e9 + n * 1000, load1: i })),
      docker: Array.from({ length: 20 }, (_, i) => item(`web-${i}`, { cpu_percent: (n + i) % 100, memory_bytes: 1e8 + i * n, restarts: 0 })),
      units: Array.from({ length: 10 }, (_, i) => item(`unit${i}.service`, { memory_bytes: 1e7 + n, restarts: 0 })),
    },
  });
  const pg = await Postgres.start();
  const agent = await FakeAgent.start();
  let n = 0;
  agent.status = document(n);
  const beat = setInterval(() => agent.tellStatus(document(++n)), Math.max(10, 10000 / RATE));
  const dashboard = await Dashboard.start({ agent, databaseUrl: pg.url, env: { LD_PRELOAD: path.join(path.dirname(bin('x')), '../tools/libshift-clock.so'), SHIFT_CLOCK_RATE: String(RATE) } });
  const count = async (sql) => Number(await pg.psql(sql));
  try {
    await sleep((600 * 1000) / RATE); // ten of its minutes
    const before = rssKib(dashboard.pid);
    await sleep((HOURS * 3600 * 1000) / RATE);
    const after = rssKib(dashboard.pid);
    await pg.psql('vacuum ops.metric_moments');
    return {
      before, after,
      moments: await count('select count(*) from ops.metric_moments where resolution_s = 10'),
      minutes: await count('select count(*) from ops.metric_moments where resolution_s = 60'),
      quarters: await count('select count(*) from ops.metric_moments where resolution_s = 900'),
      series: await count('select count(*) from ops.metric_series'),
      bytes: await count(`select pg_total_relation_size('ops.metric_moments')`),
      dropped: (dashboard.log().match(/samples\.(dropped|refused)/g) ?? []).length,
    };
  } finally {
    clearInterval(beat);
    await dashboard.destroy();
    await agent.destroy();
    await pg.destroy();
  }
}

export function statusBench({ bin, fixed, keep }) {
  return async () => {
    const rows = {};
    await running(fixed, rows);
    const asked = await exporterCost(true);
    const unasked = await exporterCost(false);
    const total = (row) => Object.values(row).reduce((a, b) => a + b, 0);
    const line = (...cells) => console.log(`  ${String(cells[0]).padEnd(28)}${cells.slice(1).map((c) => String(c).padStart(12)).join('')}`);
    console.log(`status, CPU seconds an hour (${SECONDS} s measured), proportional set size`);
    line('', 'nobody looks', 'watched', 'MiB');
    for (const name of ['monitor', 'worker', 'probes', 'dashboard']) line(name, fixed(rows.idle[name]), fixed(rows.watched[name]), fixed(rows.pss[name] / 1024, 1));
    line('together', fixed(total(rows.idle)), fixed(total(rows.watched)), fixed(total(rows.pss) / 1024, 1));
    if (asked) line(`node_exporter, asked each ${SCRAPE_S} s`, fixed(unasked.cpu), fixed(asked.cpu), fixed(asked.pss / 1024, 1));
    else console.log('  node_exporter is not installed (Debian: prometheus-node-exporter)');
    const day = await aDay(bin);
    console.log(`  ${HOURS} hours of samples, ${RATE} times as fast: ${day.series} values, ${day.moments} of ${HOURS * 360 + 60} moments, ${day.minutes} minutes, ${day.quarters} quarters`);
    console.log(`  dashboard RSS ${fixed(day.before / 1024, 1)} -> ${fixed(day.after / 1024, 1)} MiB; ${fixed(day.bytes / 1048576, 1)} MiB in PostgreSQL; ${day.dropped} warnings`);
    keep('status', { seconds: SECONDS, ...rows, node_exporter: asked, node_exporter_idle: unasked, day: { rate: RATE, hours: HOURS, ...day } });
  };
}
