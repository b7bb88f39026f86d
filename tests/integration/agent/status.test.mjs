// How the machine is, from the agent's own processes: the host's values, who watches, and what the
// death of the probes does to anything else.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Agent, isAlive, until } from '../lib/agent.mjs';

const commands = `
version: 1
commands:
  slow: { title: Slow, exec: [/bin/sleep, "3"] }
`;
let agent, client;

before(async () => {
	agent = await Agent.start({ commands, status: 'version: 1\ninterval: 1s\n' });
	client = await agent.connect();
});
after(async () => { await agent?.destroy(); });

const host = (document, id) => document.sections.host?.find((item) => item.id === id);

test('the host is there with its values', async () => {
	const document = await until('disks', async () => {
		const d = await client.status();
		return host(d, 'disk:/') && host(d, 'cpu') ? d : null;
	});
	assert.equal(document.interval_ms, 1000);
	assert.equal(typeof document.host, 'string');
	const memory = host(document, 'memory').values;
	assert.equal(memory.total, Number(/MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) * 1024);
	assert.ok(memory.used > 0 && memory.used + memory.available === memory.total);
	assert.equal(host(document, 'system').values.kernel, readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim());
	const disk = host(document, 'disk:/').values;
	assert.ok(disk.total > 0 && disk.used_pct >= 0 && disk.used_pct <= 100);
	for (const item of document.sections.host) {
		assert.ok(['ok', 'warn', 'bad'].includes(item.level), item.id);
		assert.ok(item.checked_us > 0 && item.since_us <= item.checked_us, item.id);
	}
});

test('a watcher is sent documents whose values move', async () => {
	const next = await client.watchStatus();
	const first = await next();
	let cpu;
	do cpu = host(await next(), 'cpu'); while (cpu.checked_us === host(first, 'cpu').checked_us || cpu.values.used_pct === undefined);
	assert.equal(cpu.values.cores_pct.length, cpu.values.cores);
	assert.ok(cpu.values.used_pct >= 0 && cpu.values.used_pct <= 100);
});

test('it is looked at as often as somebody wants to know', async () => {
	const other = await Agent.start({ commands, status: 'version: 1\ninterval: 1s\n' });
	try {
		const slow = await (await other.connect()).watchStatus(2500);
		// Between two looks, by the agent's own clock.
		let last = 0;
		const step = async (next) => {
			for (;;) {
				const at = host(await next(), 'cpu')?.checked_us ?? 0, was = last;
				if (at === was) continue;
				last = at;
				if (was) return at - was;
			}
		};
		await step(slow); // the first look was before anybody watched
		for (let i = 0; i < 3; i++) assert.ok((await step(slow)) >= 2400000);
		// somebody watches closely beside it
		const client2 = await other.connect();
		const close = await client2.watchStatus(500);
		last = 0;
		await until('looks that follow closely', async () => (await step(close)) < 2400000);
		// and leaves
		client2.destroy();
		last = 0;
		await until('looks that are far apart', async () => (await step(slow)) >= 2400000);
	} finally {
		await other.destroy();
	}
});

test('intervals that are none end the connection', async () => {
	const other = await agent.connect();
	await assert.rejects(other.watchStatus(1));
	assert.equal((await other.whenClosed()).code, 1);
});

test('the probes have no rights and none of the monitor\'s files', () => {
	const status = readFileSync(`/proc/${agent.probesPid}/status`, 'utf8');
	assert.match(status, /NoNewPrivs:\s+1/);
	const files = readdirSync(`/proc/${agent.probesPid}/fd`).length;
	assert.ok(files <= 5, `${files} open files`);
});

test('started by root they are another account, without capabilities', { skip: process.getuid() !== 0 }, async () => {
	const other = await Agent.start({ commands, status: 'version: 1\n', env: { OPS_AGENT_PROBE_USER: 'nobody' } });
	try {
		const asked = await other.connect();
		await until('the disks', async () => host(await asked.status(), 'disk:/'));
		const status = readFileSync(`/proc/${other.probesPid}/status`, 'utf8');
		const nobody = /^nobody:[^:]*:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))[1];
		assert.deepEqual(/^Uid:\t(.*)$/m.exec(status)[1].split('\t'), [nobody, nobody, nobody, nobody]);
		for (const set of ['CapPrm', 'CapEff', 'CapAmb']) assert.match(status, new RegExp(`^${set}:\t0+$`, 'm'));
		// and goes with the monitor, whatever account it has
		const pid = other.probesPid;
		await other.kill9Monitor();
		await until('the probes to go', () => !isAlive(pid));
	} finally {
		await other.destroy();
	}
});

test('probes that are killed come back, and a run notices nothing', async () => {
	const { run } = await client.start('slow');
	const next = await client.watchStatus();
	await next();
	const pid = agent.probesPid, killedUs = Date.now() * 1000;
	process.kill(pid, 'SIGKILL');
	await until('other probes', () => agent.probesPid && agent.probesPid !== pid);
	let document;
	do document = await next(); while (!host(document, 'cpu') || host(document, 'cpu').since_us < killedUs);
	const journal = await client.follow(run.id);
	assert.equal(journal.finished.status, 'succeeded');
});

test('a worker that is killed learns everything again', async () => {
	agent.kill9Worker();
	const again = await until('the next worker', async () => {
		try { return await agent.connect(); } catch { return null; }
	});
	await until('the disks', async () => host(await again.status(), 'disk:/'));
	again.destroy();
});

test('without status.yml nothing is looked at', async () => {
	const plain = await Agent.start({ commands });
	try {
		const other = await plain.connect();
		const document = await other.status();
		assert.deepEqual([document.level, document.sections], ['unknown', {}]);
		assert.equal(plain.probesPid, undefined);
		// until there is one
		plain.configure({ commands, status: 'version: 1\n' });
		await other.reload();
		await until('the host', async () => host(await other.status(), 'memory'));
		// a reload starts them anew, which is no death
		const before = plain.probesPid;
		await other.reload();
		await until('new probes', () => plain.probesPid && plain.probesPid !== before);
		assert.doesNotMatch(plain.log(), /process\.died/);
	} finally {
		await plain.destroy();
	}
});
