// From the start of the dashboard until it listens, with its schema in the database and an agent there, beside the least that
// libuv needs for that. Rounds of both are interleaved. Most of the processor's part is the loader: what libpq is linked with.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { FakeAgent } from '../integration/lib/fake-agent.mjs';
import { Dashboard, DASHBOARD } from '../integration/lib/dashboard.mjs';
import { Postgres } from '../integration/lib/postgres.mjs';

const run = promisify(execFile);
const STARTS = 10; // of each in a round

export async function startBench({ bin, rounds, median, fixed, keep }) {
  const pg = await Postgres.start();
  const agent = await FakeAgent.start();
  const dashboard = await Dashboard.start({ agent, databaseUrl: pg.url });
  try {
    await dashboard.connected({ database: true });
    await dashboard.stop();
    const meter = async (env, ...command) => JSON.parse((await run(bin('bench-start-meter'), [STARTS, dashboard.port, ...command].map(String), { env })).stdout);
    const ours = [], bare = [];
    for (let i = 0; i < rounds; i++) {
      bare.push(await meter(process.env, bin('bench-bare-listener'), dashboard.port));
      ours.push(await meter(dashboard.env, DASHBOARD, 'serve'));
    }
    const of = (list, key) => median(list.map((r) => r[key]));
    console.log(`start to listening, ${rounds} rounds of ${STARTS}, medians`);
    for (const [name, list] of [['bare libuv', bare], ['ours', ours]])
      console.log(`  ${name.padEnd(10)} p50 ${fixed(of(list, 'p50_ms')).padStart(6)} ms, p90 ${fixed(of(list, 'p90_ms')).padStart(6)} ms, processor ${fixed(of(list, 'cpu_ms')).padStart(6)} ms`);
    const result = (list) => ({ p50_ms: of(list, 'p50_ms'), p90_ms: of(list, 'p90_ms'), cpu_ms: of(list, 'cpu_ms') });
    keep('start', { ours: result(ours), bare: result(bare) });
  } finally {
    await dashboard.destroy();
    await agent.destroy();
    await pg.destroy();
  }
}
