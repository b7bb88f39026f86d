// Many viewers of one log share what is fetched of it; each goes at its own pace and gets every byte once.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { until } from '../lib/agent.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';

const BLOCK = Buffer.alloc(60000, 'every viewer gets this line once\n');

// A viewer of `run` on a socket of its own, which keeps no more than a digest of what it got.
async function watch(session, run, { offset = 0, autoCredit = true } = {}) {
	const live = await session.live();
	const sub = live.subscribe(`run/${run.id}/log`, { offset, autoCredit });
	const digest = createHash('sha256');
	const keep = sub.onBinary.bind(sub);
	sub.onBinary = (frame) => {
		keep(frame);
		for (const chunk of sub.chunks) {
			assert.equal(chunk.offset, sub.seen ?? offset, 'records follow each other');
			digest.update(chunk.records);
			sub.seen = chunk.offset + chunk.records.length;
		}
		sub.chunks = [];
	};
	await sub.snapshot();
	return { live, sub, has: (size) => sub.until(`${size} bytes`, () => sub.seen === size), digest: () => digest.copy().digest('hex') };
}

const digestOf = (run) => createHash('sha256').update(run.journal).digest('hex');

describe('viewers of one log', () => {
	let agent, dashboard, session;
	const open = [];
	const viewer = async (...args) => {
		const v = await watch(session, ...args);
		open.push(v);
		return v;
	};

	before(async () => {
		agent = await FakeAgent.start();
		dashboard = await (await Dashboard.start({ agent })).connected();
		session = await dashboard.login();
	});
	after(async () => {
		for (const { live } of open) live.destroy();
		await dashboard.destroy();
		await agent.destroy();
	});

	const grow = (run, blocks) => {
		for (let i = 0; i < blocks; i++) run.output(BLOCK);
		agent.changed(run);
	};

	it('a thousand of them are one stream at the agent, and each has it all', async () => {
		const run = agent.add(new FakeRun());
		for (let i = 0; i < 3; i++) run.output(BLOCK);
		const viewers = [];
		for (let i = 0; i < 1000; i += 50) viewers.push(...(await Promise.all(Array.from({ length: 50 }, () => viewer(run)))));
		await Promise.all(viewers.map((v) => v.has(run.size)));
		await until('one stream', () => run.tails.size === 1);
		const sent = agent.sent;
		const before = run.size;
		grow(run, 4);
		await Promise.all(viewers.map((v) => v.has(run.size)));
		assert.equal(agent.sent - sent, run.size - before, 'the agent sends it once');
		agent.changed(run.finish());
		for (const v of viewers) assert.deepEqual(await v.sub.ended(), { offset: run.size, reason: 1 });
		for (const v of viewers) assert.equal(v.digest(), digestOf(run));
		assert.equal(run.tails.size, 0);
		const peak = Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${dashboard.child.pid}/status`, 'utf8'))[1]);
		assert.ok(peak < 128 * 1024 || process.env.ASAN_OPTIONS, `${peak} KiB at the most`);
		for (const v of viewers) v.live.destroy();
	});

	it('one that does not take it falls behind alone, and comes back', async () => {
		const run = agent.add(new FakeRun());
		const quick = [await viewer(run), await viewer(run)];
		const slow = await viewer(run, { autoCredit: false });
		await until('one stream', () => run.tails.size === 1);
		for (let i = 0; i < 10; i++) {
			grow(run, 10);
			await Promise.all(quick.map((v) => v.has(run.size)));
		}
		assert.ok(slow.sub.seen >= 1 << 20 && slow.sub.seen < (1 << 20) + 65560, `${slow.sub.seen} bytes: its credit`);
		assert.equal(run.tails.size, 2, 'the slow one has a stream of its own');
		while (slow.sub.seen < run.size) {
			const seen = slow.sub.seen;
			slow.sub.credit(100000);
			await slow.sub.until('some more', () => slow.sub.seen > seen);
			assert.ok(slow.sub.seen - seen < 100000 + 65560, 'no more than it asked for');
		}
		slow.sub.credit(16 << 20);
		await until('one stream again', () => run.tails.size === 1);
		grow(run, 3);
		agent.changed(run.finish());
		for (const v of [...quick, slow]) {
			assert.deepEqual(await v.sub.ended(), { offset: run.size, reason: 1 });
			assert.equal(v.digest(), digestOf(run));
		}
	});

	it('who begins elsewhere joins where it meets the others', async () => {
		const run = agent.add(new FakeRun());
		for (let i = 0; i < 40; i++) run.output(BLOCK);
		const late = run.index[30];
		const first = await viewer(run), second = await viewer(run, { offset: late });
		await Promise.all([first, second].map((v) => v.has(run.size)));
		await until('one stream', () => run.tails.size === 1);
		first.live.destroy();
		grow(run, 2);
		await second.has(run.size);
		assert.equal(second.digest(), createHash('sha256').update(run.journal.subarray(late)).digest('hex'));
		assert.equal(run.tails.size, 1, 'the stream outlives who opened it');
		second.live.destroy();
		await until('nobody is left', () => run.tails.size === 0);
	});

	it('the agent goes away: each goes on at its own place', async () => {
		const run = agent.add(new FakeRun());
		const quick = await viewer(run), slow = await viewer(run, { autoCredit: false });
		grow(run, 25);
		await quick.has(run.size);
		await agent.close();
		await agent.listen();
		await dashboard.connected();
		slow.sub.credit(16 << 20);
		grow(run, 5);
		agent.changed(run.finish());
		for (const v of [quick, slow]) {
			assert.deepEqual(await v.sub.ended(), { offset: run.size, reason: 1 });
			assert.equal(v.digest(), digestOf(run));
		}
	});

	it('more logs than there are sources at a time: the others wait, none is lost', async () => {
		const runs = Array.from({ length: 220 }, () => agent.add(new FakeRun().output('hello\n')));
		const lives = await Promise.all(Array.from({ length: 44 }, () => session.live()));
		const subs = runs.map((run, i) => lives[i % 44].subscribe(`run/${run.id}/log`, { offset: 0 }));
		await until('as many as there may be', () => subs.filter((s) => s.messages.length > 0).length === 192);
		for (const run of runs) agent.changed(run.finish());
		for (const [i, sub] of subs.entries()) assert.deepEqual(await sub.ended(), { offset: runs[i].size, reason: 1 });
		for (const live of lives) live.destroy();
	});
});
