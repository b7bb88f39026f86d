// The section `database` of the status document: a real PostgreSQL, one that is crowded, and one that is away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { join } from 'node:path';
import { assertIs } from '../../api/document.mjs';
import { BUILD_DIR, until } from '../lib/agent.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent } from '../lib/fake-agent.mjs';
import { Postgres } from '../lib/postgres.mjs';

const HURRY = {
	LD_PRELOAD: join(BUILD_DIR, 'tests/tools/libshift-clock.so'),
	SHIFT_CLOCK_RATE: '5',
	// the sanitizer wants to be first
	...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS}:verify_asan_link_order=0` } : {}),
};
let pg, agent, dashboard, session, live, sub;

before(async () => {
	pg = await Postgres.start({ settings: { max_connections: 30 } });
	agent = await FakeAgent.start();
	agent.status = { host: 'fake', time_us: 1, level: 'ok', interval_ms: 5000, sections: { host: [{ id: 'cpu', title: 'cpu', level: 'ok', message: null, since_us: 1, checked_us: 1, values: { used_pct: 1 } }] } };
	dashboard = await Dashboard.start({ agent, databaseUrl: pg.url, env: HURRY });
	await dashboard.connected({ database: true });
	session = await dashboard.login();
	live = await session.live();
	sub = live.subscribe('status');
	await sub.snapshot();
});
after(async () => {
	live?.destroy();
	await dashboard?.destroy();
	await agent?.destroy();
	await pg?.destroy();
});

// With clocks that hurry the agent may have been given up for a moment: then there is no document.
const read = () => until('the document', async () => {
	const { status, json } = await session.get('/api/v1/status');
	if (status !== 200 || json.sections.database === undefined) return null;
	assertIs('Status', json);
	return json;
});
const item = async (id) => (await read()).sections.database.find((i) => i.id === id);
const wait = (what, check) => until(what, async () => (await check()) || null);

test('the section stands beside the agent\'s', async () => {
	const server = await wait('the database', async () => item('server').then((i) => (i?.level === 'ok' ? i : null)));
	assert.equal(server.values.connections_max, 30);
	assert.ok(server.values.size_bytes > 1_000_000);
	assert.match(server.values.version, /^\d+/);
	const document = await read();
	assert.deepEqual(Object.keys(document.sections), ['host', 'database']);
	assert.equal(document.level, 'ok');
	assert.equal(document.sections.database.find((i) => i.id === 'replication'), undefined);
	// what the page has is told when it is another one
	assertIs('LiveStatusPut', await sub.put((data) => data.sections.database !== undefined));
});

test('connections that run out and a statement that runs are seen, and it is over when they are gone', async () => {
	const sleepers = Array.from({ length: 23 }, () => pg.psql('select pg_sleep(600)').catch(() => {}));
	await wait('a level', async () => ['warn', 'bad'].includes((await item('server')).level));
	const { message, level } = await item('server');
	assert.match(message, /^2\d of 30 connections are in use$/);
	assert.equal((await read()).level, level);
	// what others run is told to members of pg_monitor
	await pg.psql('grant pg_monitor to ops');
	await wait('the statement', async () => (await item('statements')).values.slowest_ms > 0);
	await pg.psql(`select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()`);
	await Promise.all(sleepers);
	await wait('the end', async () => (await item('server')).level === 'ok');
	assert.match(dashboard.log(), /status\.level section=database item=server before=ok level=(warn|bad)/);
});

test('away it is unknown and says why, and comes back', async () => {
	await pg.stop();
	await wait('unknown', async () => (await read()).sections.database.every((i) => i.level === 'unknown'));
	const server = await item('server');
	assert.notEqual(server.message ?? '', '');
	assert.deepEqual(server.values, {});
	await pg.startAgain();
	await wait('known again', async () => (await read()).sections.database.every((i) => i.level === 'ok'));
});
