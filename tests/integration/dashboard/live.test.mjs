// The live WebSocket with a real agent: topics, credit, resuming, misbehaviour, and what survives a kill.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Agent, sleep, until } from '../lib/agent.mjs';
import { Journal } from '../lib/agent-client.mjs';
import { commandsYml, hold, makeScripts } from '../lib/commands.mjs';
import { Dashboard, request } from '../lib/dashboard.mjs';

const bin = makeScripts();
const commands = commandsYml(bin);

describe('live topics', () => {
	let agent, dashboard, session, live;

	before(async () => {
		agent = await Agent.start({ commands });
		dashboard = await (await Dashboard.start({ agent })).connected();
		session = await dashboard.login();
		live = await session.live();
	});
	after(async () => {
		live.destroy();
		await dashboard.destroy();
		await agent.destroy();
	});

	it('runs: a snapshot, then each change', async () => {
		const runs = live.subscribe('runs');
		const snapshot = await runs.snapshot();
		assert.ok(Array.isArray(snapshot.runs));
		const run = await session.run('speak', { code: 2 });
		const done = await runs.put((r) => r.id === run.id && r.status === 'failed');
		assert.equal(done.exit_code, 2);
		assert.equal(done.steps, undefined);
		runs.unsubscribe();
		assert.equal((await runs.ended()).event, 'end');
	});

	it('run/{id}: the run with its steps, by id or number', async () => {
		const run = await session.run('ticks', { n: 20 });
		const byId = live.subscribe(`run/${run.id}`), byNumber = live.subscribe(`run/${run.number}`);
		for (const sub of [byId, byNumber]) {
			assert.equal((await sub.snapshot()).id, run.id);
			const last = await sub.until('its end', () => sub.messages.map((m) => m.data).find((r) => r.status === 'succeeded'));
			assert.equal(last.steps[0].status, 'succeeded');
		}
	});

	it('runs that are told to hush: only what changes a status, and all again after another subscribe', async () => {
		const live = await session.live();
		const [loud, hushed] = [live.subscribe('runs'), live.subscribe('runs')];
		await Promise.all([loud.snapshot(), hushed.snapshot()]);
		live.send({ op: 'hush', id: hushed.id });
		const run = await session.run('ticks', { n: 60 });
		await session.finished(run.id);
		const of = (sub) => sub.messages.filter((m) => m.event === 'put' && m.data.id === run.id).map((m) => m.data.status);
		for (const sub of [loud, hushed]) await sub.put((data) => data.id === run.id && data.status === 'succeeded');
		assert.equal(new Set(of(hushed)).size, of(hushed).length, `none twice: ${of(hushed)}`);
		assert.ok(of(loud).length > of(hushed).length + 3, `${of(loud).length} and ${of(hushed).length}`);
		live.destroy();
	});

	it('catalog and system', async () => {
		const catalog = await live.subscribe('catalog').snapshot();
		assert.ok(catalog.commands.some((c) => c.id === 'speak'));
		const system = await live.subscribe('system').snapshot();
		assert.equal(system.agent.state, 'connected');
		assert.equal(system.database.state, 'down');
		assert.match(system.boot_id, /^[0-9a-f-]{36}$/);
		assert.ok(system.host.length > 0);
	});

	it('tells errors by subscription', async () => {
		const unknown = await live.subscribe('weather').event('error');
		assert.equal(unknown.data.code, 'unsupported');
		const many = [];
		for (let i = 0; i < 80; i++) many.push(live.subscribe('system'));
		await until('a refusal', () => many.some((s) => s.end?.data?.code === 'too_many'));
		for (const sub of many) sub.unsubscribe();
		await until('ends', () => many.every((s) => s.end));
	});

	it('a log: snapshot, every record, the end', async () => {
		const run = await session.run('flood', { lines: 100000 });
		const log = live.subscribe(`run/${run.id}/log`, { offset: 0 });
		const snapshot = await log.snapshot();
		assert.equal(snapshot.offset, 0);
		assert.equal(snapshot.run.id, run.id);
		const end = await log.ended();
		assert.equal(end.reason, 1);
		const journal = log.journal();
		assert.ok(journal.finished);
		assert.equal(journal.bytes, 10000000);
		assert.equal(end.offset, journal.offset);
	});

	it('a log from any record, and from near its end', async () => {
		const run = await session.run('flood', { lines: 20000 });
		await session.finished(run.id);
		const whole = live.subscribe(`run/${run.id}/log`, { offset: 0 });
		await whole.ended();
		const all = Buffer.concat(whole.chunks.map((c) => c.records));
		const boundary = all.readUInt32LE(0) + 24;
		const rest = live.subscribe(`run/${run.id}/log`, { offset: boundary });
		await rest.ended();
		assert.ok(Buffer.concat(rest.chunks.map((c) => c.records)).equals(all.subarray(boundary)));
		const tail = live.subscribe(`run/${run.id}/log`, { offset: -200000 });
		const { offset } = await tail.snapshot();
		await tail.ended();
		assert.ok(all.length - offset >= 100000 && all.length - offset <= 400000, `${all.length - offset} bytes`);
		assert.ok(Buffer.concat(tail.chunks.map((c) => c.records)).equals(all.subarray(offset)));
		const atEnd = live.subscribe(`run/${run.id}/log`, { offset: all.length });
		assert.equal((await atEnd.ended()).reason, 1);
		const beyond = live.subscribe(`run/${run.id}/log`, { offset: all.length + 1000 });
		assert.equal((await beyond.ended()).reason, 4);
		const within = live.subscribe(`run/${run.id}/log`, { offset: 5 });
		assert.equal((await within.ended()).reason, 4);
	});

	it('sends no more than it has credit for', async () => {
		const run = await session.run('flood', { lines: 100000 });
		await session.finished(run.id);
		const log = live.subscribe(`run/${run.id}/log`, { offset: 0, autoCredit: false });
		await log.until('the first MiB', () => log.bytes >= 1 << 20);
		await sleep(300);
		assert.ok(log.bytes < (1 << 20) + 70000, `${log.bytes} bytes`);
		assert.equal(log.end, null);
		log.credit(100000);
		await log.until('some more', () => log.bytes >= (1 << 20) + 100000);
		await sleep(200);
		assert.ok(log.bytes < (1 << 20) + 240000, `${log.bytes} bytes`);
		log.credit(1 << 30);
		await log.ended();
		assert.ok(log.journal().finished);
	});

	it('ends a log that is unsubscribed, after which its id is free', async () => {
		const run = await session.run('ticks', { n: 100000 });
		const log = live.subscribe(`run/${run.id}/log`, { offset: 0 });
		await log.until('a tick', () => log.bytes > 0);
		log.unsubscribe();
		const end = await log.ended();
		assert.equal(end.reason, 2);
		assert.equal(end.offset, log.offset);
		const again = live.subscribe(`run/${run.id}/log`, { offset: end.offset, id: log.id });
		await again.until('more ticks', () => again.bytes > 0);
		again.unsubscribe();
		await again.ended();
		await session.post(`/api/v1/runs/${run.id}/cancel`);
		await session.finished(run.id);
	});

	it('two viewers see the same, one of them from the middle on', async () => {
		const run = await session.run('ticks', { n: 60 });
		const first = live.subscribe(`run/${run.id}/log`, { offset: 0 });
		await first.until('half of it', () => first.journal().text().includes('tick 30'));
		const other = await session.live();
		const second = other.subscribe(`run/${run.id}/log`, { offset: 0 });
		await Promise.all([first.ended(), second.ended()]);
		const a = first.journal(), b = second.journal();
		assert.ok(a.finished && b.finished);
		assert.equal(a.text(), b.text());
		other.destroy();
	});

	it('is told of a new catalogue', async () => {
		const catalog = live.subscribe('catalog');
		await catalog.snapshot();
		agent.configure({ commands: `${commands}  extra:\n    title: Extra\n    exec: [/bin/true]\n` });
		const { code, stderr } = await agent.opsctl('reload');
		assert.equal(code, 0, stderr);
		await catalog.put((c) => c.commands.some((command) => command.id === 'extra'));
	});
});

describe('what survives', () => {
	let agent, dashboard, session;

	before(async () => {
		agent = await Agent.start({ commands });
		dashboard = await (await Dashboard.start({ agent })).connected();
		session = await dashboard.login();
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
	});

	it('kill -9 of the dashboard: the run goes on, and resuming by offset ends with the right digest', async () => {
		const run = await session.run('flood', { lines: 2000000 });
		const live = await session.live();
		const log = live.subscribe(`run/${run.id}/log`, { offset: 0 });
		await log.until('some of it', () => log.bytes > 3 << 20);
		await dashboard.kill9();
		await live.waitClosed();
		await dashboard.spawn();
		const journal = new Journal();
		log.journal(journal);
		const again = await session.live();
		const rest = again.subscribe(`run/${run.id}/log`, { offset: log.offset });
		await rest.ended();
		rest.journal(journal);
		assert.ok(journal.finished, 'the digest of run.finished is that of all records');
		assert.equal(journal.bytes, 200000000);
		again.destroy();
	});

	it('kill -9 of the agent: the socket stays, topics and logs go on by themselves', async () => {
		const letOn = hold(bin);
		const run = await session.run('ticks', { n: 100 });
		const live = await session.live();
		const log = live.subscribe(`run/${run.id}/log`, { offset: 0 });
		const runs = live.subscribe('runs'), system = live.subscribe('system');
		await log.until('some ticks', () => log.bytes > 2000);
		await agent.kill9Both();
		await system.until('the agent to be away', () => system.messages.find((m) => m.data?.agent?.state === 'away'));
		await agent.spawn();
		letOn();
		await log.ended();
		assert.equal(log.end.reason, 1);
		const journal = log.journal();
		assert.ok(journal.finished, 'nothing lost, nothing twice');
		assert.ok(log.messages.filter((m) => m.event === 'snapshot').length >= 2, 'a new snapshot after the loss');
		await runs.event('snapshot', 1);
		live.destroy();
	});

	it('a slow viewer: bounded memory, the run at full speed, every byte', async () => {
		const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${dashboard.pid}/status`, 'utf8'))[1]);
		const live = await session.live();
		const run = await session.run('flood', { lines: 1000000 });
		const before = rss();
		const log = live.subscribe(`run/${run.id}/log`, { offset: 0, autoCredit: false });
		log.credit(1 << 30);
		live.socket.pause();
		await session.finished(run.id);
		await sleep(500);
		assert.ok(rss() - before < 20000, `grew by ${rss() - before} kB`);
		live.socket.resume();
		log.autoCredit = true;
		await log.ended();
		const journal = log.journal(new Journal({ verify: false }));
		assert.ok(journal.finished);
		assert.equal(journal.bytes, 100000000);
		live.destroy();
	});
});

describe('misbehaviour on the socket', () => {
	let agent, dashboard, session;

	before(async () => {
		agent = await Agent.start({ commands });
		dashboard = await (await Dashboard.start({ agent })).connected();
		session = await dashboard.login();
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
	});

	it('costs the offender only', async () => {
		const good = await session.live();
		const run = await session.run('ticks', { n: 100 });
		const log = good.subscribe(`run/${run.id}/log`, { offset: 0 });
		await log.snapshot();

		const noisy = await session.live();
		const errors = [];
		noisy.on('message', (m) => errors.push(m));
		for (let i = 0; i < 40; i++) noisy.send('not json');
		assert.equal(await noisy.waitClosed(), 1008);
		assert.ok(errors.length >= 10 && errors.every((m) => m.event === 'error' && m.id === null));

		const big = await session.live();
		big.send('x'.repeat(5000));
		assert.equal(await big.waitClosed(), 1009);

		const binary = await session.live();
		binary.write(2, Buffer.alloc(10));
		assert.equal(await binary.waitClosed(), 1003);

		const text = await session.live();
		text.write(1, Buffer.from([0xff, 0xfe]));
		assert.equal(await text.waitClosed(), 1007);

		const duplicate = await session.live();
		const sub = duplicate.subscribe('system', { id: 5 });
		await sub.snapshot();
		const refused = new Promise((resolve) => duplicate.on('message', (m) => m.event === 'error' && resolve(m)));
		duplicate.send({ op: 'subscribe', topic: 'runs', id: 5 });
		assert.equal((await refused).id, null, 'the subscription that has this id is not touched');
		duplicate.send({ op: 'unsubscribe', id: 77 });
		duplicate.send({ op: 'credit', id: 77, bytes: 1 });
		sub.unsubscribe();
		await sub.ended();
		duplicate.destroy();

		for (let i = 0; i < 30; i++) {
			const gone = await session.live();
			gone.subscribe(`run/${run.id}/log`, { offset: 0 });
			gone.subscribe('runs');
			gone.destroy();
		}
		await log.ended();
		assert.ok(log.journal().finished);
		assert.ok(!good.closed);
		good.destroy();
		assert.equal((await request(dashboard, 'GET', '/healthz')).status, 200);
	});

	it('limits the sockets of a session', async () => {
		const sockets = [];
		let refused = null;
		for (let i = 0; i < 1100 && !refused; i++) {
			try {
				sockets.push(await session.live());
			} catch (error) {
				refused = error;
			}
		}
		assert.equal(refused?.status, 503);
		assert.equal(sockets.length, 1024);
		for (const socket of sockets) socket.destroy();
		await until('room again', async () => {
			try {
				(await session.live()).destroy();
				return true;
			} catch {
				return false;
			}
		});
	});
});
