// What the whole promises: a run outlives whatever watches it. Everything is real: PostgreSQL, both
// daemons, the example catalogue; and everything is killed in the middle.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isAlive, processesWith, sleep, until } from '../lib/agent.mjs';
import { Stack } from '../lib/stack.mjs';

const MIB = 1 << 20;
const FLOOD = 100; // above every limit on its way

// How many bytes of output `demo.flood` writes, and that each of its numbered lines is the next one.
function assertFlood(finished, mib) {
  assert.equal(finished.status, 'succeeded');
  assert.equal(finished.bytes, mib * MIB);
}

// The flood as it is, but it stops half way while hold(stack) holds it: it is still going when what watches it is killed,
// however slow that is.
const holdable = {
  catalogue: (dir, example) => {
    writeFileSync(join(dir, 'libexec/demo-flood'), `#!/bin/sh
set -eu
seq 100000000 999999999 | head -c "$1M" | { head -c ${FLOOD / 2}M; while [ -e "${dir}/hold" ]; do sleep 0.05; done; cat; }
`);
    return example;
  },
};
function hold(stack) {
  writeFileSync(join(stack.dir, 'hold'), '');
  return () => rmSync(join(stack.dir, 'hold'), { force: true });
}

describe('a run outlives the dashboard', () => {
  let stack;
  before(async () => { stack = await Stack.start(holdable); });
  after(() => stack.destroy());

  it('kill -9 of the dashboard in a flood: the client that resumes ends with the digest, and so does PostgreSQL', async () => {
    const letOn = hold(stack);
    const run = await stack.session.run('demo.flood', { mib: FLOOD });
    const watcher = stack.watch(run.id);
    try {
      await watcher.received(8 * MIB);
      await stack.dashboard.kill9();
      assert.ok(stack.agent.runnerPid(run.id), 'the runner died with the dashboard');
    } finally {
      letOn();
    }
    await stack.dashboard.restart();
    assertFlood(await watcher.finished, FLOOD);
    assert.ok(watcher.connections >= 2, 'the watcher was never cut off');
    assert.equal(watcher.journal.offset, statSync(stack.journalPath(run.id)).size);
    assert.equal(await stack.comparedWithJournal(run.id), watcher.journal.offset);
  });

  it('kill -9 of the dashboard again and again: nothing is lost, nothing comes twice', async () => {
    const run = await stack.session.run('demo.flood', { mib: FLOOD });
    const watcher = stack.watch(run.id);
    for (let i = 1; i <= 4; i++) {
      await watcher.received(i * 6 * MIB);
      await stack.dashboard.kill9();
      await stack.dashboard.restart();
    }
    assertFlood(await watcher.finished, FLOOD);
    assert.equal(await stack.comparedWithJournal(run.id), watcher.journal.offset);
  });

  it('two viewers, one of whom comes half way, get the same bytes', async () => {
    const run = await stack.session.run('demo.colours');
    const first = stack.watch(run.id, { keep: true });
    await first.received(3000);
    const second = stack.watch(run.id, { keep: true });
    await Promise.all([first.finished, second.finished]);
    assert.equal(second.journal.text(), first.journal.text());
    assert.equal(second.journal.offset, first.journal.offset);
    assert.equal(second.journal.finished.digest, first.journal.finished.digest);
  });

  it('a viewer who does not read holds nobody up', async () => {
    const run = await stack.session.run('demo.flood', { mib: 64 });
    const idle = await stack.session.live();
    const sub = idle.subscribe(`run/${run.id}/log`, { offset: 0, autoCredit: false });
    await sub.snapshot();
    const reader = stack.watch(run.id);
    assertFlood(await reader.finished, 64);
    assert.ok(sub.bytes <= MIB + 65560, `${sub.bytes} bytes came on a credit of 1 MiB`);
    sub.autoCredit = true;
    sub.credit(sub.bytes);
    await sub.ended();
    assert.equal(sub.journal().finished.digest, reader.journal.finished.digest);
    idle.destroy();
  });
});

describe('a run outlives the agent', () => {
  let stack;
  before(async () => { stack = await Stack.start(holdable); });
  after(() => stack.destroy());

  const survives = async (kill) => {
    const letOn = hold(stack);
    const run = await stack.session.run('demo.flood', { mib: FLOOD });
    const watcher = stack.watch(run.id);
    try {
      await watcher.received(8 * MIB);
      const runner = stack.agent.runnerPid(run.id);
      assert.ok(runner);
      await kill();
      assert.ok(isAlive(runner), 'the runner died with the agent');
    } finally {
      letOn();
    }
    assertFlood(await watcher.finished, FLOOD);
    assert.equal(await stack.comparedWithJournal(run.id), watcher.journal.offset);
    const { json } = await stack.session.get(`/api/v1/runs/${run.id}`);
    assert.equal(json.run.status, 'succeeded');
  };

  it('kill -9 of worker and monitor together', () => survives(async () => {
    await stack.agent.kill9Both();
    await stack.agent.restart();
  }));

  it('kill -9 of the worker alone', () => survives(() => { stack.agent.kill9Worker(); }));

  it('kill -9 of the monitor alone', () => survives(async () => {
    await stack.agent.kill9Monitor();
    await stack.agent.restart();
  }));

  it('kill -9 of the runner: the run is lost, and no child stays alive', async () => {
    const run = await stack.session.run('demo.stubborn', { seconds: 600 }, { confirm: 'demo.stubborn' });
    const watcher = stack.watch(run.id, { keep: true });
    await until('the command to run', () => processesWith(`OPS_RUN_ID=${run.id}`).length >= 2);
    process.kill(stack.agent.runnerPid(run.id), 'SIGKILL');
    const finished = await watcher.finished;
    assert.equal(finished.status, 'lost');
    assert.equal(finished.reason, 'runner_died');
    await until('no child to be alive', () => processesWith(`OPS_RUN_ID=${run.id}`).length === 0);
    assert.equal((await stack.session.finished(run.id)).status, 'lost');
    assert.equal(await stack.comparedWithJournal(run.id), watcher.journal.offset);
  });

  it('a cancelled run leaves nothing alive', async () => {
    const run = await stack.session.run('demo.stubborn', { seconds: 600 }, { confirm: 'demo.stubborn' });
    await until('the command to run', () => processesWith(`OPS_RUN_ID=${run.id}`).length >= 2);
    assert.equal((await stack.session.post(`/api/v1/runs/${run.id}/cancel`, {})).status, 202);
    assert.equal((await stack.session.finished(run.id)).status, 'cancelled');
    assert.deepEqual(processesWith(`OPS_RUN_ID=${run.id}`), []);
    assert.equal((await stack.session.post(`/api/v1/runs/${run.id}/cancel`, {})).status, 409);
  });
});

describe('PostgreSQL may be away', () => {
  let stack;
  before(async () => { stack = await Stack.start({ database: 'stopped' }); });
  after(() => stack.destroy());

  it('started without it: sign-in, catalogue, run, live log and cancel work; then history fills in', async () => {
    assert.notEqual((await stack.session.get('/readyz')).json.database.state, 'ready');
    assert.equal((await stack.session.get('/api/v1/catalog')).status, 200);
    const run = await stack.session.run('demo.flood', { mib: 32 });
    const watcher = stack.watch(run.id);
    assertFlood(await watcher.finished, 32);
    const stubborn = await stack.session.run('demo.stubborn', { seconds: 600 }, { confirm: 'demo.stubborn' });
    await until('the command to run', () => processesWith(`OPS_RUN_ID=${stubborn.id}`).length >= 2);
    assert.equal((await stack.session.post(`/api/v1/runs/${stubborn.id}/cancel`, {})).status, 202);
    assert.equal((await stack.session.finished(stubborn.id)).status, 'cancelled');
    const list = (await stack.session.get('/api/v1/runs')).json;
    assert.deepEqual(list.runs.map((r) => r.id), [stubborn.id, run.id]);

    await stack.pg.startAgain();
    assert.equal(await stack.comparedWithJournal(run.id), watcher.journal.offset);
    await stack.comparedWithJournal(stubborn.id);
  });

  it('lost in the middle of a flood: live goes on, afterwards every byte is there', async () => {
    await stack.dashboard.connected({ database: true });
    const run = await stack.session.run('demo.flood', { mib: FLOOD });
    const watcher = stack.watch(run.id);
    await watcher.received(8 * MIB);
    await stack.pg.kill9();
    assertFlood(await watcher.finished, FLOOD);
    await stack.pg.startAgain();
    assert.equal(await stack.comparedWithJournal(run.id), watcher.journal.offset);
  });

  // OPS_OUTAGE_S=120 OPS_OUTAGE_MIB=100: two minutes, and five runs of 100 MiB each.
  const OUTAGE_S = Number(process.env.OPS_OUTAGE_S ?? 3), OUTAGE_MIB = Number(process.env.OPS_OUTAGE_MIB ?? 12);
  it(`stopped for ${OUTAGE_S} s while five runs write ${OUTAGE_MIB} MiB each: afterwards row by row equal to the journals`, async () => {
    if (!stack.pg.running) await stack.pg.startAgain();
    await stack.dashboard.connected({ database: true });
    const runs = [];
    for (let i = 0; i < 5; i++) runs.push(await stack.session.run('demo.flood', { mib: OUTAGE_MIB }));
    const watchers = runs.map((run) => stack.watch(run.id));
    await Promise.all(watchers.map((w) => w.received(MIB)));
    await stack.pg.stop();
    const back = sleep(OUTAGE_S * 1000);
    await until('the outage to be noticed', async () => (await stack.session.get('/readyz')).json.database.state !== 'ready');
    for (const watcher of watchers) assertFlood(await watcher.finished, OUTAGE_MIB);
    await back;
    await stack.pg.startAgain();
    for (const watcher of watchers) assert.equal(await stack.comparedWithJournal(watcher.runId), watcher.journal.offset);
    assert.equal(await stack.pg.psql('select count(*) from (select run_id, start_offset from ops.run_log group by 1, 2 having count(*) > 1) twice'), '0');
  });
});

describe('the backup flow', () => {
  let stack;
  before(async () => { stack = await Stack.start(); });
  after(() => stack.destroy());

  it('dumps the database, restores it, compares the rows, and cleans up', async () => {
    const service = `[ops]\nhost=${stack.pg.sockets}\nuser=ops\ndbname=ops\n`;
    writeFileSync(`${stack.dir}/pg_service.conf`, service, { mode: 0o644 });
    const run = await stack.session.run('backup', {}, { kind: 'flow' });
    const watcher = stack.watch(run.id, { keep: true });
    const finished = await watcher.finished;
    assert.equal(finished.status, 'succeeded', watcher.journal.text());
    const document = await stack.session.finished(run.id);
    assert.deepEqual(document.steps.map((s) => [s.id, s.status]), [
      ['dump', 'succeeded'], ['verify', 'succeeded'], ['prune', 'succeeded'], ['finally.1', 'succeeded'],
    ]);
    assert.ok(statSync(document.steps[0].outputs.path).size > 0);
    const databases = await stack.pg.psql('select datname from pg_database', 'postgres');
    assert.deepEqual(databases.trim().split('\n').sort(), ['ops', 'postgres', 'template0', 'template1']);
  });
});

describe('malformed bytes cost the connection that sent them', () => {
  let stack;
  before(async () => { stack = await Stack.start({ database: 'none' }); });
  after(() => stack.destroy());

  // Opens a connection, sends, and waits until the other side has closed it.
  function offend(target, bytes) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(target);
      socket.setTimeout(60000, () => reject(new Error('the offender was not closed')));
      socket.on('error', () => {});
      socket.on('data', () => {});
      socket.on('connect', () => socket.write(bytes));
      socket.on('close', resolve);
    });
  }

  function httpOffence(i) {
    const kinds = [
      () => Buffer.concat([Buffer.from([0]), randomBytes(200)]),
      () => 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
      () => 'POST /api/v1/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      () => `GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      () => 'GET / HTTP/1.1\nHost: a\n\n',
      () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ];
    return kinds[i % kinds.length]();
  }

  async function webSocketOffence(i) {
    const live = await stack.session.live();
    const kinds = [
      () => live.socket.write(Buffer.from([0x81, 0x05, 1, 2, 3, 4, 5])), // not masked
      () => live.socket.write(Buffer.from([0xf1, 0x80, 0, 0, 0, 0])), // reserved bits
      () => live.socket.write(Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 65])), // 2^63-1 bytes announced
      () => live.write(1, Buffer.from([0xc3, 0x28])), // no UTF-8
      () => live.write(2, randomBytes(100)), // no binary message is expected
    ];
    kinds[i % kinds.length]();
    await live.waitClosed();
  }

  function agentOffence(i) {
    const frame = (length, version, type) => {
      const head = Buffer.alloc(16);
      head.writeUInt32LE(length, 0);
      head[4] = version;
      head[5] = type;
      return head;
    };
    const kinds = [
      () => Buffer.concat([frame(48, 0, 0), randomBytes(48)]),
      () => frame(0xffffffff, 1, 1),
      () => frame(0, 9, 1),
      () => frame(0, 1, 200),
      () => Buffer.concat([frame(4, 1, 1), randomBytes(4)]), // a REQUEST that is none
    ];
    return kinds[i % kinds.length]();
  }

  it('a torrent of frames, requests and messages while a run streams', async () => {
    const run = await stack.session.run('demo.flood', { mib: FLOOD });
    const watcher = stack.watch(run.id);
    await watcher.received(MIB);
    const pids = [stack.dashboard.pid, stack.agent.monitor.pid, stack.agent.workerPid];
    let rounds = 0;
    for (; rounds < 60 || (!watcher.journal.finished && rounds < 2000); rounds++) {
      await Promise.all([
        offend({ port: stack.dashboard.port, host: '127.0.0.1' }, httpOffence(rounds)),
        offend({ path: stack.agent.socket }, agentOffence(rounds)),
        webSocketOffence(rounds),
      ]);
    }
    assertFlood(await watcher.finished, FLOOD);
    assert.equal(watcher.connections, 1, 'the watcher was cut off as well');
    assert.deepEqual([stack.dashboard.pid, stack.agent.monitor.pid, stack.agent.workerPid], pids);
    assert.ok(stack.dashboard.isAlive);
    assert.equal((await stack.session.get('/api/v1/session')).status, 200);
  });
});
