// Runs that may not go on beside each other: command groups, concurrency of flows, and how often a
// command may be started.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, until, verify } from '../lib/agent.mjs';
import { makeScripts } from '../lib/commands.mjs';

makeScripts();
const FLOW = 2;

// A command that runs until a file appears.
const dir = mkdtempSync(join(tmpdir(), 'ops-gate-'));
const script = join(dir, 'wait');
writeFileSync(script, `#!/bin/sh
echo started
while [ ! -e "${dir}/$1" ]; do sleep 0.02; done
`, { mode: 0o755 });
let gates = 0;
const newGate = () => `g${gates++}`;
const open = (gate) => writeFileSync(join(dir, gate), '');

const waits = (group) => `{ title: w, exec: [${script}, "\${inputs.gate}"], group: ${group}, inputs: { gate: { type: slug, required: true } } }`;
const commands = `version: 1
groups:
  one: { max_concurrent: 1, queue: 1 }
  two: { max_concurrent: 2, queue: 8 }
commands:
  a: ${waits('one')}
  b: ${waits('one')}
  c: ${waits('two')}
  plain: { title: p, exec: [${script}, "\${inputs.gate}"], inputs: { gate: { type: slug, required: true } } }
  rated: { title: r, exec: [/bin/true], max_rate: { limit: 2, per: 1h } }
`;
const flow = (id, conflict) => `version: 1
id: ${id}
title: ${id}
concurrency: { group: ${id}, on_conflict: ${conflict} }
inputs: { gate: { type: slug, required: true } }
steps: [{ id: s, uses: plain, with: { gate: "\${inputs.gate}" } }]
`;

describe('runs that wait for each other', { timeout: 600000 }, () => {
  let agent, client;

  before(async () => {
    agent = await Agent.start({
      commands,
      flows: {
        skips: flow('skips', 'skip'),
        queues: flow('queues', 'queue'),
        nightly: 'version: 1\nid: nightly\ntitle: n\nsteps: [{ id: s, uses: rated }, { id: t, uses: rated }]\n',
        replaces: flow('replaces', 'cancel_running'),
      },
    });
    client = await agent.connect();
  });
  after(async () => {
    client.destroy();
    await agent.destroy();
    rmSync(dir, { recursive: true, force: true });
  });

  const start = async (id, gate, opts) => (await client.start(id, gate ? { gate } : {}, opts)).run;
  const status = async (run) => (await client.get(run.id)).status;
  const is = (run, wanted) => until(`run ${run.number} to be ${wanted}`, async () => (await status(run)) === wanted);
  const finished = async (run) => (await client.follow(run.id)).finished;

  it('a group admits so many, queues so many, and skips the rest as queue_full', async () => {
    const gate = newGate(), second = newGate();
    const first = await start('a', gate), waiting = await start('b', second);
    const refused = await start('a', gate);
    await is(first, 'running');
    await is(waiting, 'queued');
    const end = await finished(refused);
    assert.equal(end.status, 'skipped');
    assert.equal(end.reason, 'queue_full');
    await is(refused, 'skipped');
    assert.equal((await client.get(refused.id)).steps[0].status, 'skipped');
    assert.equal((await client.get(waiting.id)).started_us, null);
    open(gate);
    assert.equal((await finished(first)).status, 'succeeded');
    await is(waiting, 'running');
    open(second);
    assert.equal((await finished(waiting)).status, 'succeeded');
    assert.ok((await client.get(waiting.id)).started_us > (await client.get(first.id)).finished_us);
  });

  it('starts of the very same moment do not slip past each other', async () => {
    const gate = newGate();
    const runs = await Promise.all(Array.from({ length: 6 }, () => start('c', gate)));
    await until('two of six to run', async () => (await Promise.all(runs.map(status))).filter((s) => s === 'running').length === 2);
    assert.equal((await Promise.all(runs.map(status))).filter((s) => s === 'queued').length, 4);
    // first come, first served
    const byNumber = [...runs].sort((x, y) => x.number - y.number);
    assert.equal(await status(byNumber[0]), 'running');
    assert.equal(await status(byNumber[5]), 'queued');
    open(gate);
    for (const run of runs) assert.equal((await finished(run)).status, 'succeeded');
  });

  it('a queue survives a kill of the agent', async () => {
    const gate = newGate(), second = newGate();
    const first = await start('a', gate), waiting = await start('a', second);
    await is(first, 'running');
    await is(waiting, 'queued');
    client.destroy();
    await agent.kill9Both();
    await agent.restart();
    client = await agent.connect();
    assert.equal(await status(waiting), 'queued');
    // the group is still taken, and its queue full
    assert.equal((await finished(await start('b', gate))).reason, 'queue_full');
    open(gate);
    await is(waiting, 'running');
    open(second);
    assert.equal((await finished(waiting)).status, 'succeeded');
  });

  it('a run that waits can be cancelled, and nothing of it runs', async () => {
    const gate = newGate();
    const first = await start('queues', gate, { kind: FLOW });
    const waiting = await start('queues', gate, { kind: FLOW });
    await is(waiting, 'queued');
    await client.cancel(waiting.id);
    const journal = await client.follow(waiting.id);
    assert.equal(journal.finished.status, 'cancelled');
    assert.equal(journal.finished.reason, 'cancelled');
    assert.deepEqual(journal.events.filter((e) => e.event === 'step.started'), []);
    open(gate);
    await finished(first);
  });

  it('skip: the second run says so', async () => {
    const gate = newGate();
    const first = await start('skips', gate, { kind: FLOW });
    const end = await finished(await start('skips', gate, { kind: FLOW }));
    assert.equal(end.status, 'skipped');
    assert.equal(end.reason, null);
    open(gate);
    await is(first, 'succeeded');
    assert.equal((await finished(await start('skips', gate, { kind: FLOW }))).status, 'succeeded');
  });

  it('cancel_running: the newest run replaces those before it, waiting ones too', async () => {
    const never = newGate(), gate = newGate();
    const first = await start('replaces', never, { kind: FLOW });
    await is(first, 'running');
    const second = await start('replaces', never, { kind: FLOW });
    const third = await start('replaces', gate, { kind: FLOW });
    open(gate);
    assert.equal((await finished(first)).status, 'cancelled');
    assert.equal((await finished(second)).status, 'cancelled');
    assert.equal((await finished(third)).status, 'succeeded');
    assert.ok(!existsSync(join(dir, never)));
  });

  it('max_rate: one more is refused, also after a restart of the agent', async () => {
    await start('nightly', null, { kind: FLOW }); // counts once, whatever it repeats
    await start('rated');
    await assert.rejects(start('rated'), /limit: 'rated' may be started 2 times in 3600 s/);
    client.destroy();
    await agent.restart();
    client = await agent.connect();
    await assert.rejects(start('rated'), /limit: 'rated'/);
  });

  it('and the record of it all verifies', () => {
    assert.match(verify(agent), /the chain holds\n.*0 damaged/s);
  });
});
