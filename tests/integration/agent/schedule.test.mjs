// Schedules against a wall clock that the test sets: flows start when their time comes, once when it
// was missed, and not while they are paused. Maintenance, and cancelling everything.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { join } from 'node:path';
import { Agent, BUILD_DIR, sleep, until } from '../lib/agent.mjs';
import { METHOD, Writer } from '../lib/agent-client.mjs';

const commands = `version: 1
commands:
  t: { title: t, exec: [/bin/true] }
  s: { title: s, exec: [/bin/sleep, "600"] }
`;
const flow = (id, schedule) => `version: 1
id: ${id}
title: Flow ${id}
schedule: ${schedule}
inputs: { what: { type: slug, default: it } }
steps: [{ id: a, uses: t }]
`;
const flows = {
  minutely: flow('minutely', '[{ cron: "* * * * *", timezone: Europe/Amsterdam, catch_up: 6h }]'),
  strict: flow('strict', '[{ cron: "* * * * *" }]'),
  yearly: flow('yearly', '[{ cron: "@yearly", timezone: UTC }]'),
};
// What makes the agent's clock show this many minutes and seconds after a full minute of today.
const BASE_S = Math.floor(Date.now() / 60000) * 60;
const at = (minutes, seconds) => String(BASE_S + minutes * 60 + seconds - Math.floor(Date.now() / 1000));
const clock = (shift) => ({
  LD_PRELOAD: join(BUILD_DIR, 'tests/tools/libshift-clock.so'),
  SHIFT_CLOCK_S: shift,
  // the sanitizer wants to be first
  ...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS}:verify_asan_link_order=0` } : {}),
});

describe('schedules', { timeout: 600000 }, () => {
  let agent, client;

  before(async () => {
    agent = await Agent.start({ commands, flows, env: clock(at(0, 58)) });
    client = await agent.connect();
  });
  after(async () => {
    client.destroy();
    await agent.destroy();
  });

  const call = (method, fields) => client.call(method, fields);
  const schedule = async () => {
    const r = await call(METHOD.SCHEDULE);
    return JSON.parse(r.str());
  };
  const pause = (id, on, reason = '') =>
    call(METHOD.SCHEDULE_PAUSE, new Writer().str(id).u8(on).str('user:ann').str(reason).done());
  const runsOf = async (id) => (await client.list({ limit: 200 })).runs.filter((r) => r.name === id);
  const restartAt = async (shift) => {
    client.destroy();
    await agent.stop();
    Object.assign(agent.env, clock(shift));
    await agent.restart();
    client = await agent.connect();
  };

  it('a flow starts when its minute comes, on behalf of its schedule', async () => {
    const next = (await schedule()).flows.find((f) => f.flow === 'minutely').next_us;
    const [run] = await until('the run', async () => {
      const runs = await runsOf('minutely');
      return runs.length > 0 && runs;
    });
    assert.equal(run.actor, 'schedule:minutely');
    assert.equal(run.trigger, 'schedule');
    assert.deepEqual(run.inputs, { what: 'it' });
    assert.ok(run.created_us >= next, 'not before its time');
    assert.equal(next % 60000000, 0);
    assert.ok((await schedule()).flows.find((f) => f.flow === 'minutely').next_us >= next + 60000000);
  });

  it('the catalogue and the method `schedule` tell when', async () => {
    const { flows: list, maintenance, maintenance_reason } = await schedule();
    assert.deepEqual(list.map((f) => f.flow), ['minutely', 'strict', 'yearly']);
    assert.equal(maintenance, false);
    assert.equal(maintenance_reason, null);
    const yearly = list[2];
    assert.equal(yearly.title, 'Flow yearly');
    assert.equal(yearly.last_run, null);
    assert.deepEqual(yearly.rules, [
      { cron: '@yearly', timezone: 'UTC', catch_up_us: null, next_us: yearly.next_us, paused: false },
    ]);
    assert.match(new Date(yearly.next_us / 1000).toISOString(), /-01-01T00:00:00/);
    assert.equal(list[0].last_run.name, 'minutely');
    const catalog = await client.catalog();
    assert.deepEqual(catalog.flows.find((f) => f.id === 'yearly').schedule, yearly.rules);
  });

  it('after hours of downtime what was missed runs once with catch_up, and not at all without', async () => {
    await until('both to have run', async () => (await runsOf('strict')).length > 0);
    const before = { minutely: (await runsOf('minutely')).length, strict: (await runsOf('strict')).length };
    await restartAt(at(120, 20)); // two hours later, 20 s after a minute
    await until('the one that was missed', async () => (await runsOf('minutely')).length === before.minutely + 1);
    // the last minute is within what needs no catch_up
    await until('the strict one', async () => (await runsOf('strict')).length === before.strict + 1);
    await restartAt(at(120, 40));
    assert.equal((await runsOf('minutely')).length, before.minutely + 1, 'and one restart more changes nothing');
    assert.equal((await runsOf('strict')).length, before.strict + 1);
  });

  it('a paused schedule does not start, a resumed one does', async () => {
    await pause('minutely', 1, 'disk\nis being replaced');
    await pause('strict', 1);
    const paused = (await schedule()).flows[0];
    assert.deepEqual(
      [paused.paused, paused.paused_by, paused.reason, paused.next_us, paused.rules[0].paused],
      [true, 'user:ann', 'disk is being replaced', null, true]);
    const before = (await runsOf('minutely')).length;
    await restartAt(at(240, 58));
    await until('the minute to pass', () => /schedule\.paused/.test(agent.log()));
    assert.equal((await runsOf('minutely')).length, before);
    assert.equal((await schedule()).flows[0].paused, true, 'it survives a restart');
    await pause('minutely', 0);
    await restartAt(at(360, 58));
    await until('a run again', async () => (await runsOf('minutely')).length > before);
    await assert.rejects(pause('t', 1), /not_found/);
    await pause('minutely', 1);
  });

  it('maintenance refuses every start, and says why', async () => {
    const set = (on, reason) =>
      call(METHOD.MAINTENANCE, new Writer().u8(on).str('user:ann').str(reason).done());
    await set(1, 'kernel update');
    await assert.rejects(client.start('t'), /forbidden: maintenance: kernel update/);
    assert.equal((await schedule()).maintenance_reason, 'kernel update');
    await restartAt(at(363, 10));
    await assert.rejects(client.start('t'), /forbidden: maintenance: kernel update/);
    await set(0, '');
    assert.ok((await client.start('t')).created);
  });

  it('cancel_all cancels every active run', async () => {
    const runs = await Promise.all([client.start('s'), client.start('s'), client.start('s')]);
    await until('nothing else to run', async () => (await client.list({ filter: 1 })).runs.length === 3);
    const r = await call(METHOD.RUN_CANCEL_ALL, new Writer().str('user:ann').str('going down').done());
    assert.equal(r.u32(), 3);
    for (const { run } of runs) assert.equal((await client.follow(run.id)).finished.status, 'cancelled');
  });
});

describe('a reload', { timeout: 600000 }, () => {
  let agent, client;
  const shift = at(0, 57);

  before(async () => {
    agent = await Agent.start({ commands, flows, env: clock(shift) });
    client = await agent.connect();
  });
  after(async () => {
    client.destroy();
    await agent.destroy();
  });

  it('that comes at the very moment takes no start away', async () => {
    const document = JSON.parse((await client.call(METHOD.SCHEDULE)).str());
    const next = document.flows.find((f) => f.flow === 'strict').next_us;
    const worker = agent.workerPid;
    // the word of the new catalogue lies there before the time has come, and is read after it
    process.kill(worker, 'SIGSTOP');
    process.kill(agent.monitor.pid, 'SIGHUP');
    await sleep(Math.max(0, next / 1000 + 200 - (Date.now() + Number(shift) * 1000)));
    process.kill(worker, 'SIGCONT');
    await until('the run', async () =>
      (await client.list({ limit: 200 })).runs.some((run) => run.name === 'strict' && run.created_us < next + 55000000));
  });
});
