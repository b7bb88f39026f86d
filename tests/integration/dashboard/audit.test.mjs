// The audit: who did what, chained, through outages; with the agent's ledger in one timeline.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { Agent, until } from '../lib/agent.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { assertIs } from '../../api/document.mjs';

const COMMANDS = `version: 1
commands:
  ok: { title: Fine, exec: [/bin/true] }
`;

let pg, agent, dashboard, session;

before(async () => {
	pg = await Postgres.start();
	agent = await Agent.start({ commands: COMMANDS });
	dashboard = await Dashboard.start({ agent, databaseUrl: pg.url });
	await dashboard.connected({ database: true });
	session = await dashboard.login();
});

after(async () => {
	await dashboard?.destroy();
	await agent?.destroy();
	await pg?.destroy();
});

const page = async (query = '') => {
	const answer = await session.get(`/api/v1/audit${query}`);
	assert.equal(answer.status, 200, answer.text);
	return answer.json;
};

// Waits until an entry of the dashboard's says so.
const entry = (event, test = () => true) => until(`the entry ${event}`, async () =>
	(await page(`?limit=200&event=${encodeURIComponent(event)}`)).entries.find((e) => e.source === 'dashboard' && e.event === event && test(e)));

// The chain, computed here.
async function chain() {
	const rows = (await pg.psql("select encode(entry, 'hex'), encode(previous_hash, 'hex'), encode(hash, 'hex') from ops.audit order by position")).split('\n').filter(Boolean).map((r) => r.split('|'));
	let last = '0'.repeat(64);
	for (const [bytes, previous, hash] of rows) {
		assert.equal(previous, last);
		assert.equal(hash, createHash('sha256').update(Buffer.from(previous, 'hex')).update(Buffer.from(bytes, 'hex')).digest('hex'));
		last = hash;
	}
	return rows.map(([bytes]) => JSON.parse(Buffer.from(bytes, 'hex').toString()));
}

it('names who did what to what, from where, and how it went', async () => {
	const run = await session.run('ok');
	const started = await entry('run.start', (e) => e.run === run.id);
	assert.equal(started.actor, 'user:admin');
	assert.equal(started.address, '127.0.0.1');
	assert.match(started.request_id, /\S/);
	assert.equal(started.data.object, 'ok');
	assert.equal(started.data.status, 201);
	await session.post('/api/v1/runs', { kind: 'command', id: 'none', inputs: {} });
	assert.equal((await entry('run.start', (e) => e.data.object === 'none')).data.status, 404);
	await session.finished(run.id);
	await session.post(`/api/v1/runs/${run.id}/cancel`, {});
	assert.equal((await entry('run.cancel')).data.status, 409);
	await session.post('/api/v1/session/reauth', { password: 'no' });
	assert.equal((await entry('session.reauth')).data.status, 401);
	const { json } = await session.post('/api/v1/tokens', { name: 'ci', scopes: ['run:ok'] });
	assert.equal((await entry('token.create')).data.object, 'ci');
	const caller = dashboard.session();
	await caller.request('POST', '/api/v1/runs', { headers: { authorization: `Bearer ${json.secret}`, origin: null, 'content-type': 'application/json' }, body: JSON.stringify({ kind: 'command', id: 'ok', inputs: {} }) });
	await entry('run.start', (e) => e.actor === 'token:ci');
	await session.request('DELETE', `/api/v1/tokens/${json.token.id}`);
	await entry('token.revoke');
	await dashboard.session().post('/api/v1/login', { user: 'admin', password: 'wrong' });
	assert.equal((await entry('session.login', (e) => e.data.status === 401)).actor, null);
	assert.equal((await entry('session.login', (e) => e.data.status === 200)).actor, 'user:admin');
	// Looking changes nothing, and no secret is written down.
	const entries = await chain();
	assert.ok(!entries.some((e) => e.event.startsWith('get ')));
	assert.ok(!JSON.stringify(entries).includes(json.secret) && !JSON.stringify(entries).includes(dashboard.password));
});

it('stands in one timeline with the agent\'s ledger', async () => {
	const run = await session.run('ok');
	await until('both', async () => {
		const { entries } = await page('?limit=200');
		const of = (source, event) => entries.some((e) => e.source === source && e.event === event && e.run === run.id);
		return of('dashboard', 'run.start') && of('agent', 'run.started') && of('agent', 'run.finished');
	});
	const { entries } = await page('?limit=200');
	for (let i = 1; i < entries.length; i++) assert.ok(entries[i - 1].time_us >= entries[i].time_us);
	assert.ok(entries.some((e) => e.event === 'agent.started'));
	// All of the ledger is there once.
	const ids = entries.filter((e) => e.source === 'agent').map((e) => e.id);
	assert.equal(new Set(ids).size, ids.length);
	assert.equal(await pg.psql("select count(*) from (select document::jsonb->>'prev' from ops.ledger group by 1 having count(*) > 1) s"), '0');
});

it('is read by pages, filtered, and saved whole', async () => {
	const all = (await page('?limit=200')).entries.filter((e) => e.time_us > 0);
	assertIs('AuditList', await page('?limit=200'));
	const seen = [];
	for (let next = ''; next !== null;) {
		const part = await page(`?limit=3&before=${next}`);
		seen.push(...part.entries);
		next = part.next;
	}
	assert.deepEqual(seen.slice(-all.length + 1).map((e) => `${e.source}${e.id}`), all.slice(1).map((e) => `${e.source}${e.id}`).slice(-all.length + 1));
	assert.ok((await page('?actor=token:ci')).entries.every((e) => e.actor === 'token:ci'));
	assert.ok((await page('?event=run.')).entries.every((e) => e.event.startsWith('run.')));
	const middle = all[Math.floor(all.length / 2)].time_us;
	assert.ok((await page(`?from=${middle}&limit=200`)).entries.every((e) => e.time_us >= middle));
	assert.ok((await page(`?to=${middle}&limit=200`)).entries.every((e) => e.time_us <= middle));
	const saved = await session.get('/api/v1/audit?format=ndjson');
	assert.match(saved.headers['content-type'], /^application\/x-ndjson/);
	const lines = saved.text.trim().split('\n').map((line) => JSON.parse(line));
	for (const line of lines) assertIs('AuditEntry', line);
	assert.deepEqual(lines.slice(-all.length + 1).map((e) => e.id), all.slice(1).map((e) => e.id));
	for (const bad of ['before=x', 'before=1.x.2', 'limit=x', 'limit=201', 'format=xml', 'from=-1', `event=${'x'.repeat(200)}`, "before=1.agent.2'--"])
		assert.equal((await session.get(`/api/v1/audit?${bad}`)).status, 400, bad);
});

it('keeps what happens while PostgreSQL is away, also over a crash, and brings it in once', async () => {
	const count = async () => (await chain()).filter((e) => e.event === 'run.start' && e.status === 201).length;
	const earlier = await count();
	await pg.stop();
	const file = join(dashboard.env.STATE_DIR, 'audit');
	try {
		assert.equal((await session.get('/api/v1/audit')).status, 503);
		for (let i = 0; i < 5; i++) await session.run('ok');
		await until('the entries to be on the disk', () => existsSync(file) && readFileSync(file, 'latin1').split('run.start').length > 5);
		await dashboard.kill9();
		await dashboard.spawn();
		await dashboard.connected();
		for (let i = 0; i < 3; i++) await session.run('ok');
	} finally {
		await pg.startAgain();
	}
	await until('all of them', async () => (await count()) === earlier + 8);
	await until('the file to be emptied', () => statSync(file).size < 100);
	await dashboard.kill9();
	await dashboard.spawn();
	await dashboard.connected({ database: true });
	await session.run('ok');
	await until('the next one', async () => (await count()) === earlier + 9);
});

it('loses none of many that PostgreSQL has not taken when the dashboard stops', async () => {
	const count = async () => Number(await pg.psql(`select count(*) from ops.audit where convert_from(entry, 'UTF8') like '%"object":"burst%'`));
	const lock = pg.psql('begin; lock table ops.audit in access exclusive mode; select pg_sleep(600)').catch(() => {});
	const holders = `from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'audit' and l.mode = 'AccessExclusiveLock' and l.granted`;
	try {
		await until('the lock', async () => Number(await pg.psql(`select count(*) ${holders}`)) > 0);
		for (let i = 0; i < 400; i += 20)
			await Promise.all(Array.from({ length: 20 }, (_, n) => session.request('DELETE', `/api/v1/tokens/burst-${i + n}`)));
		await dashboard.stop();
	} finally {
		await pg.psql(`select pg_terminate_backend(l.pid) ${holders}`);
		await lock;
	}
	await dashboard.spawn();
	await until('all of them', async () => (await count()) === 400);
});

it('says when the chain was tampered with', async () => {
	assert.equal((await page()).chain, 'verified');
	const last = await pg.psql('select max(position) - 1 from ops.audit');
	const entryBytes = await pg.psql(`select encode(entry, 'hex') from ops.audit where position = ${last}`);
	await pg.psql(`update ops.audit set entry = convert_to('{"event":"nothing"}', 'UTF8') where position = ${last}`);
	assert.equal((await page()).chain, 'broken');
	await pg.psql(`update ops.audit set entry = decode('${entryBytes}', 'hex') where position = ${last}`);
	assert.equal((await page()).chain, 'verified');
	await pg.psql(`delete from ops.audit where position = ${last}`);
	assert.equal((await page()).chain, 'broken');
});
