// Live tails of containers and units: relayed records, credit, refusals, and the agent going away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../lib/agent.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';

let agent, dashboard, session, live, web;

// What a tail sends: output of step 0 only, offsets from 0.
class FakeSource extends FakeRun {
	constructor() {
		super();
		this.parts = [];
		this.size = 0;
		this.lines = 0;
		this.index = [0];
	}
}

before(async () => {
	agent = await FakeAgent.start();
	web = new FakeSource();
	agent.sources.set('docker/web-1', web);
	agent.sources.set('unit/getty@tty1.service', new FakeSource().output('one\n'));
	dashboard = await (await Dashboard.start({ agent })).connected();
	session = await dashboard.login();
	live = await session.live();
});
after(async () => {
	live?.destroy();
	await dashboard?.destroy();
	await agent?.destroy();
});

const tell = (source) => { for (const tail of [...source.tails]) tail.pump(); };

test('what a container writes comes as records, byte for byte', async () => {
	web.output('before\n');
	const sub = live.subscribe('tail/docker/web-1');
	assert.deepEqual(await sub.snapshot(), { offset: 0 });
	assert.deepEqual(agent.tailed.at(-1), { name: 'docker/web-1', backlogLines: 1000 });
	await sub.until('the backlog', () => sub.offset === web.size);
	web.output('more \x1b[31mred\x1b[0m\n').output('err\n', { kind: 2 });
	tell(web);
	await sub.until('the rest', () => sub.offset === web.size);
	const records = Buffer.concat(sub.chunks.map((c) => c.records));
	assert.deepEqual(records, web.journal);
	assert.ok(sub.journal());
	sub.unsubscribe();
	assert.equal((await sub.ended()).reason, 2);
	await until('the agent to be told', () => web.tails.size === 0);
});

test('a unit\'s journal, and its end', async () => {
	const unit = agent.sources.get('unit/getty@tty1.service');
	const sub = live.subscribe('tail/unit/getty@tty1.service');
	await sub.snapshot();
	await sub.until('its line', () => sub.offset === unit.size);
	for (const tail of [...unit.tails]) tail.end(1);
	assert.equal((await sub.ended()).reason, 1);
	unit.tails.clear();
});

test('a viewer that gives no credit makes the agent wait', async () => {
	const flood = new FakeSource();
	for (let i = 0; i < 64; i++) flood.output(Buffer.alloc(65536, 'x'));
	agent.sources.set('docker/flood', flood);
	const sub = live.subscribe('tail/docker/flood', { autoCredit: false });
	await sub.snapshot();
	await sub.until('a window', () => sub.offset >= 1 << 20);
	const sent = agent.sent;
	// neither the dashboard nor the agent goes on without it
	await session.get('/api/v1/session');
	assert.ok(sub.offset < (1 << 20) + 70000, `${sub.offset}`);
	assert.equal(agent.sent, sent);
	for (let i = 0; i < 4; i++) sub.credit(1 << 20);
	await sub.until('all of it', () => sub.offset === flood.size);
	assert.deepEqual(Buffer.concat(sub.chunks.map((c) => c.records)), flood.journal);
	sub.unsubscribe();
	await sub.ended();
});

test('what the agent refuses is told with its words, and the id is free again', async () => {
	for (let i = 0; i < 2; i++) {
		const sub = live.subscribe('tail/docker/unknown');
		const error = (await sub.event('error')).data;
		assert.deepEqual(error, { code: 'not_found', message: 'status.yml does not name it' });
	}
});

test('names are bounded and plain', async () => {
	for (const topic of ['tail/docker/', 'tail/unit/a/b', 'tail/docker/a b', `tail/unit/${'x'.repeat(128)}`, 'tail/docker/\u00e9']) {
		const sub = live.subscribe(topic);
		assert.equal((await sub.event('error')).data.code, 'bad_message', topic);
	}
	const other = live.subscribe('tail/else/x');
	assert.equal((await other.event('error')).data.code, 'unsupported');
});

test('the agent goes away and comes back: a new snapshot, from the beginning', async () => {
	const sub = live.subscribe('tail/docker/web-1');
	await sub.snapshot();
	await sub.until('the backlog', () => sub.offset === web.size);
	await agent.close();
	await agent.listen();
	assert.deepEqual(await sub.snapshot(1), { offset: 0 });
	await until('its tail', () => web.tails.size === 1);
	sub.unsubscribe();
	await sub.ended();
	await until('no tail', () => web.tails.size === 0);
});

test('a socket that closes ends its tails', async () => {
	const other = await session.live();
	const sub = other.subscribe('tail/docker/web-1');
	await sub.snapshot();
	await until('its tail', () => web.tails.size === 1);
	other.destroy();
	await until('no tail', () => web.tails.size === 0);
});
