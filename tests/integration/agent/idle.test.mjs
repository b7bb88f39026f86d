// An agent that nobody asks for anything sleeps: neither of its processes is woken up at all.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { Agent, sleep, until } from '../lib/agent.mjs';

const commands = `version: 1
commands:
  t: { title: t, exec: [/bin/true] }
`;
const flow = `version: 1
id: yearly
title: y
schedule: [{ cron: "@yearly" }]
steps: [{ id: s, uses: t }]
`;

// Every time a process goes to sleep it was awake.
const sleeps = (pid) => Number(/^voluntary_ctxt_switches:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

it('sleeps when there is nothing to do, a client connected and a schedule waiting', { timeout: 600000 }, async () => {
	const agent = await Agent.start({ commands, flows: { yearly: flow } });
	const client = await agent.connect();
	await client.events();
	const { run } = await client.start('t');
	await client.follow(run.id);
	await until('its seal', () => existsSync(join(agent.stateDir, 'runs', run.id, 'sealed')));
	const now = () => [sleeps(agent.monitor.pid), sleeps(agent.workerPid)];
	// the run is settled, the ledger synced, and what was freed is freed: then two looks are alike
	let before;
	await until('rest', async () => {
		before = now();
		await sleep(1500);
		return String(before) === String(now());
	});
	await sleep(4000);
	assert.deepEqual(now(), before);
	client.destroy();
	await agent.destroy();
});
