// The wall clock is set, forward and back, while the agent runs: schedules do not storm, and no run ends
// because of it.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, BUILD_DIR, sleep, until, verify } from '../lib/agent.mjs';
import { METHOD } from '../lib/agent-client.mjs';

const commands = `version: 1
commands:
  t: { title: t, exec: [/bin/true] }
  tick: { title: k, exec: TICK, timeout: 5m }
`;
const flow = (id, schedule) => `version: 1
id: ${id}
title: Flow ${id}
schedule: ${schedule}
steps: [{ id: a, uses: t }]
`;
const BASE_S = Math.floor(Date.now() / 60000) * 60; // the full minute that the test begins in
const HOUR = 3600, DAY = 24 * HOUR;

describe('the clock is set', { timeout: 600000 }, () => {
	let agent, client, dir, shift = 0n;

	const set = (seconds) => {
		shift = BigInt(seconds);
		const bytes = Buffer.alloc(8);
		bytes.writeBigInt64LE(shift);
		writeFileSync(join(dir, 'shift'), bytes, { flag: 'r+' });
	};
	// Seconds that make the agent's clock show so many seconds after that minute, hours away.
	const at = (hours, seconds) => BASE_S + hours * HOUR + seconds - Math.floor(Date.now() / 1000);
	const nowUs = () => (Date.now() + Number(shift) * 1000) * 1000;
	const runsOf = async (name) => (await client.list({ limit: 200 })).runs.filter((r) => r.name === name);
	const counts = async () => ({ minutely: (await runsOf('minutely')).length, strict: (await runsOf('strict')).length });
	const nextOf = async (id) => {
		const r = await client.call(METHOD.SCHEDULE);
		return JSON.parse(r.str()).flows.find((f) => f.flow === id).next_us;
	};
	// Until the schedule has noticed: what comes next is within a minute of the clock as it is now.
	const noticed = () => until('the schedule to see the clock', async () => Math.abs(await nextOf('strict') - nowUs()) <= 61e6);

	before(async () => {
		dir = mkdtempSync(join(tmpdir(), 'ops-clock-'));
		writeFileSync(join(dir, 'shift'), Buffer.alloc(8));
		writeFileSync(join(dir, 'tick'), '#!/bin/sh\nwhile :; do echo tick; sleep 0.05; done\n', { mode: 0o755 });
		set(at(0, 5));
		agent = await Agent.start({
			commands: commands.replace('TICK', `[${join(dir, 'tick')}]`),
			flows: {
				minutely: flow('minutely', '[{ cron: "* * * * *", timezone: Europe/Amsterdam, catch_up: 6h }]'),
				strict: flow('strict', '[{ cron: "* * * * *" }]'),
			},
			env: {
				LD_PRELOAD: join(BUILD_DIR, 'tests/tools/libshift-clock.so'),
				SHIFT_CLOCK_FILE: join(dir, 'shift'),
				...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS}:verify_asan_link_order=0` } : {}),
			},
		});
		client = await agent.connect();
	});
	after(async () => {
		client.destroy();
		await agent.destroy();
		rmSync(dir, { recursive: true });
	});

	it('three hours ahead: what was due in between starts once with catch_up, and not at all without', async () => {
		const before = await counts();
		set(at(3, 5));
		await until('the one that was missed', async () => (await counts()).minutely === before.minutely + 1);
		await noticed();
		await sleep(500); // a storm would be there by now
		assert.deepEqual(await counts(), { minutely: before.minutely + 1, strict: before.strict });
	});

	it('and back: nothing starts that was started already', async () => {
		const before = await counts();
		set(at(0, 5));
		await noticed();
		await sleep(500);
		assert.deepEqual(await counts(), before);
		set(at(0, 59)); // of the one flow the next minute was caught up with already, of the other it was not
		await until('the next minute', async () => (await counts()).strict === before.strict + 1);
		assert.deepEqual(await counts(), { minutely: before.minutely, strict: before.strict + 1 });
		set(at(0, 119)); // and the one after it comes as ever, once
		await until('both', async () => { const n = await counts(); return n.minutely > before.minutely && n.strict > before.strict + 1; });
		assert.deepEqual(await counts(), { minutely: before.minutely + 1, strict: before.strict + 2 });
	});

	it('a run neither times out nor ends, its times do not go back, and its journal verifies', async () => {
		const { run } = await client.start('tick');
		const grown = async (what) => {
			const { bytes } = await client.get(run.id);
			await until(what, async () => (await client.get(run.id)).bytes > bytes);
		};
		await grown('the run to write');
		for (const [seconds, what] of [[at(0, 5) + 400 * DAY, 'a year ahead'], [at(0, 5) - 400 * DAY, 'a year behind'], [at(0, 5), 'right again']]) {
			set(seconds);
			await noticed();
			await grown(`it to go on, ${what}`);
			assert.equal((await client.get(run.id)).status, 'running', what);
		}
		await client.cancel(run.id);
		const journal = await client.follow(run.id);
		assert.deepEqual([journal.finished.status, journal.finished.reason], ['cancelled', 'cancelled']);
		const records = [...journal.out, ...journal.events].sort((a, b) => a.offset - b.offset);
		for (let i = 1; i < records.length; i++) assert.ok(records[i].timeUs >= records[i - 1].timeUs, `record ${i}`);
		await client.start('t').then(async ({ run: next }) => assert.equal((await client.follow(next.id)).finished.status, 'succeeded'));
		assert.match(verify(agent), /0 damaged/);
	});

	it('a rotated secret ends in its time, wherever the clock is', async () => {
		assert.equal((await agent.opsctl('rotate-secret', '--grace', '10s')).code, 0);
		set(at(0, 5) + 400 * DAY);
		const old = await agent.connect();
		await old.hello();
		set(at(0, 5) - 400 * DAY);
		await old.hello();
		await old.whenClosed();
		const late = await agent.connect();
		await assert.rejects(late.hello(), { status: 'unauthorized' });
		late.destroy();
		await until('no old secret on disk', () => !existsSync(join(agent.stateDir, 'secret.old')));
	});
});
