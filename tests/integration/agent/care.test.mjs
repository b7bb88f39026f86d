// Care for the disk: what was released goes when it is old or the room is needed, what was not
// released stays whatever it costs, and then new runs are refused.
import assert from 'node:assert/strict';
import { existsSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, until, verify } from '../lib/agent.mjs';

const commands = `version: 1
commands:
  t: { title: t, exec: [/bin/true] }
  zeros: { title: z, exec: [/usr/bin/head, -c, "100000", /dev/zero] }
`;

describe('care for the disk', { timeout: 600000 }, () => {
  let agent, client;

  before(async () => {
    agent = await Agent.start({ commands });
    client = await agent.connect();
  });
  after(async () => {
    client.destroy();
    await agent.destroy();
  });

  const dirOf = (run) => join(agent.stateDir, 'runs', run.id);
  const restart = async (env = {}) => {
    client.destroy();
    Object.assign(agent.env, env);
    await agent.restart();
    client = await agent.connect();
  };
  async function finish(id) {
    const { run } = await client.start(id);
    const { finished } = await client.follow(run.id);
    await until('it to be settled', () => existsSync(join(dirOf(run), 'settled')));
    return { ...run, digest: finished.digest };
  }
  async function release(run, daysAgo = 0) {
    await client.release(run.id, run.digest);
    const then = Date.now() / 1000 - daysAgo * 86400;
    utimesSync(join(dirOf(run), 'released'), then, then);
  }

  it('released journals go after 14 days, and the ledger says so', async () => {
    const [old, young, kept] = [await finish('t'), await finish('t'), await finish('t')];
    await release(old, 15);
    await release(young, 13);
    await restart();
    await until('the old one to go', () => !existsSync(dirOf(old)));
    assert.ok(existsSync(dirOf(young)));
    assert.ok(existsSync(dirOf(kept)), 'nobody has released it');
    const events = await client.events(0);
    const event = await events.until((e) => e.event === 'run.pruned');
    assert.equal(event.run, old.id);
    assert.ok(event.bytes > 0);
    await assert.rejects(client.get(old.id), /not_found/);
    assert.equal((await client.get(young.id)).status, 'succeeded');
  });

  it('earlier when all of them together are over the budget, the oldest first', async () => {
    const [first, second] = [await finish('zeros'), await finish('zeros')];
    await release(first, 2);
    await release(second, 1);
    await restart({ OPS_AGENT_MAX_BYTES: '150000' });
    await until('the first one to go', () => !existsSync(dirOf(first)));
    assert.ok(existsSync(dirOf(second)));
  });

  it('what was not released stays, and new runs are refused until it is', async () => {
    const [a, b] = [await finish('zeros'), await finish('zeros')];
    await assert.rejects(client.start('t'), /limit: journals that the dashboard has not archived/);
    await restart();
    assert.ok(existsSync(dirOf(a)) && existsSync(dirOf(b)));
    await assert.rejects(client.start('t'), /limit/);
    await release(a);
    assert.ok((await client.start('t')).created);
  });

  it('a budget that is no number keeps the agent from starting', async () => {
    client.destroy();
    await agent.stop();
    agent.env.OPS_AGENT_MAX_BYTES = '10GiB';
    await assert.rejects(agent.spawn(), /78[^]*OPS_AGENT_MAX_BYTES must be a whole number/);
    delete agent.env.OPS_AGENT_MAX_BYTES;
    await agent.spawn();
    client = await agent.connect();
    assert.match(verify(agent), /the chain holds\n.*0 damaged/s);
  });
});
