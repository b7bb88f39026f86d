// ./dev bench archive: how fast a finished run's journal comes from the agent into PostgreSQL, beside
// what one connection can do with the same bytes: pipelined inserts of 64 KiB (lz4), and psql's COPY.
// The archiver also checks every record, computes the digest and keeps offsets; the others do not.
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function journals(agent, client, n, mib) {
  const ids = [];
  for (let i = 0; i < n; i++) ids.push((await client.start('bench.write', { mib, block: 65536 })).run.id);
  for (const id of ids) {
    for (;;) {
      const doc = await client.get(id);
      if (doc.status === 'succeeded') break;
      if (!['queued', 'running'].includes(doc.status)) throw new Error(`the run ended as ${doc.status}`);
      await sleep(50);
    }
  }
  return ids.map((id) => path.join(agent.stateDir, 'runs', id, 'journal'));
}

// Until the database holds all runs wholly; seconds from the first look.
async function oneOfOurs({ pg, agent, Tool, ids }) {
  await pg.psql(`do $$ begin if to_regclass('ops.runs') is not null then truncate ops.runs, ops.run_log cascade; end if; end $$`);
  await pg.psql('checkpoint');
  const tool = new Tool('db/archive_tool', [pg.url, agent.socket, agent.secret]);
  const start = performance.now();
  try {
    for (;;) {
      const wait = tool.next(/^status (\S+) .*released=(\d+)/);
      tool.send('status');
      if (Number((await wait)[2]) >= ids.length) break;
      await sleep(2);
    }
  } finally {
    tool.send('quit');
  }
  const seconds = (performance.now() - start) / 1000;
  await tool.exited;
  const [complete] = (await pg.psql('select count(*) from ops.runs where complete')).split('\n');
  if (Number(complete) !== ids.length) throw new Error(`${complete} of ${ids.length} runs are complete`);
  return seconds;
}

export async function archive({ bin, rounds, mib, median, fixed, commands }) {
  const { Agent } = await import('../integration/lib/agent.mjs');
  const { Postgres } = await import('../integration/lib/postgres.mjs');
  const { Tool } = await import('../integration/lib/tool.mjs');
  const pg = await Postgres.start({ settings: { fsync: 'on', max_wal_size: '4GB', shared_buffers: '128MB' } });
  let agent;
  try {
    for (const [runs, each] of [[1, mib], [4, Math.max(1, mib / 4)]]) {
      agent = await Agent.start({ commands });
      const client = await agent.connect();
      const paths = await journals(agent, client, runs, each);
      const ids = paths.map((p) => path.basename(path.dirname(p)));
      const bytes = paths.reduce((sum, p) => sum + statSync(p).size, 0);
      // The schema is made before anything is measured.
      await oneOfOurs({ pg, agent, Tool, ids });
      const results = { ours: [], inserts: [], copy: [] };
      const load = async () => {
        await pg.psql(`drop schema if exists bench cascade; create schema bench; grant all on schema bench to ops;
          create table bench.load (at bigint primary key, records bytea compression lz4); grant all on bench.load to ops; checkpoint`);
      };
      for (let i = 0; i < rounds; i++) {
        results.ours.push(await oneOfOurs({ pg, agent, Tool, ids }));
        let inserts = 0, copy = 0;
        for (const journal of paths) {
          const copyFile = path.join(agent.dir, 'copy');
          await load();
          inserts += JSON.parse((await run(bin('bench-pg-insert'), [pg.url, journal, copyFile])).stdout).seconds;
          await load();
          const start = performance.now();
          await run(path.join(pg.bin, 'psql'), [pg.url, '-Xqc', `\\copy bench.load from '${copyFile}' with (format binary)`]);
          copy += (performance.now() - start) / 1000;
        }
        results.inserts.push(inserts);
        results.copy.push(copy);
      }
      const rate = (list) => bytes / 1e6 / median(list);
      const [ours, inserts, copy] = [rate(results.ours), rate(results.inserts), rate(results.copy)];
      console.log(`archive ${runs} run${runs > 1 ? 's at once' : ''}, ${fixed(bytes / 1e6, 0)} MB of journal, ${rounds} rounds, medians`);
      console.log(`  pipelined inserts ${fixed(inserts, 0).padStart(6)} MB/s   64 KiB rows, lz4, 16 a transaction`);
      console.log(`  psql COPY         ${fixed(copy, 0).padStart(6)} MB/s   the same rows, binary`);
      console.log(`  ours              ${fixed(ours, 0).padStart(6)} MB/s   connecting, checksums, digest and release included`);
      console.log(`  ratio             ${fixed(ours / inserts)} of the inserts, ${fixed(ours / copy)} of COPY`);
      client.destroy();
      await agent.destroy();
      agent = undefined;
    }
  } finally {
    await agent?.destroy();
    await pg.destroy();
  }
}
