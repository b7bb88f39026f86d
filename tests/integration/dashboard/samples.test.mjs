// Samples of the machine: what is written, how the database rolls it up (against an obvious computation), several
// dashboards on one database, a database that is away, and what GET /status/history makes of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { join } from 'node:path';
import { assertIs } from '../../api/document.mjs';
import { BUILD_DIR, until } from '../lib/agent.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent } from '../lib/fake-agent.mjs';
import { Postgres } from '../lib/postgres.mjs';

const S = 1_000_000;
const DAY = 86_400 * S;
const HURRY = {
	LD_PRELOAD: join(BUILD_DIR, 'tests/tools/libshift-clock.so'),
	SHIFT_CLOCK_RATE: '10',
	// the sanitizer wants to be first
	...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS}:verify_asan_link_order=0` } : {}),
};
let pg, agent, dashboard, session, beat;
let cpu = 25;

const item = (id, values, more = {}) => ({ id, title: id, level: 'ok', message: null, since_us: 1, checked_us: Date.now() * 1000, values, ...more });
// Each document is of a time of its own, as the agent's are: what is of the same time is the same document.
let told = 0;
const moment = () => (told = Math.max(Date.now() * 1000, told + 1));
const machine = (more = {}) => ({
	host: 'fake', time_us: moment(), level: 'ok', interval_ms: 5000,
	sections: {
		host: [item('cpu', { used_pct: cpu, cores: 4, hot: true, name: 'x' }), item('system', { booted_us: 5 })],
		units: [item('dead.service', { memory_bytes: 7 }, { level: 'unknown' })],
		...more,
	},
});

before(async () => {
	pg = await Postgres.start();
	agent = await FakeAgent.start();
	agent.status = machine();
	// an agent tells again and again; what is not heard any more is not sampled
	beat = setInterval(() => agent.tellStatus(machine()), 100);
	dashboard = await Dashboard.start({ agent, databaseUrl: pg.url });
	await dashboard.connected({ database: true });
	session = await dashboard.login();
});
after(async () => {
	clearInterval(beat);
	// it stops as it should: nothing was leaked, nothing went wrong before
	if (dashboard) assert.equal(await dashboard.stop(), 0, dashboard.log().slice(-3000));
	await dashboard?.destroy();
	await agent?.destroy();
	await pg?.destroy();
});

const put = (host, us, doc) => `select ops.metric_put('${host}', ${us}, '${JSON.stringify(doc)}');`;
const rows = async (sql) => (await pg.psql(sql)).split('\n').filter((l) => l !== '').map((l) => l.split('|'));
const view = async (host, resolution) => new Map((await rows(`select metric, time_us, samples, average, minimum, maximum from ops.metric_samples
	where host = '${host}' and resolution_s = ${resolution}`)).map(([metric, us, ...rest]) => [`${metric} ${us}`, rest.map(Number)]));

// What the samples of each slot come to, computed the obvious way.
function expected(samples, seconds, before) {
	const slots = new Map();
	for (const { us, metric, value } of samples) {
		const slot = us - (us % (seconds * S));
		if (slot + seconds * S > before) continue; // not complete
		const key = `${metric} ${slot}`;
		slots.set(key, [...(slots.get(key) ?? []), value]);
	}
	return new Map([...slots].map(([key, v]) => [key, [v.length, v.reduce((a, b) => a + b, 0) / v.length, Math.min(...v), Math.max(...v)]]));
}

function assertAlike(actual, wanted, what) {
	assert.deepEqual([...actual.keys()].sort(), [...wanted.keys()].sort(), what);
	for (const [key, values] of wanted) {
		for (const [i, value] of values.entries()) {
			const got = actual.get(key)[i];
			assert.ok(Math.abs(got - value) <= Math.abs(value) * 1e-5 + 1e-5, `${what} ${key}: ${actual.get(key)} instead of ${values}`);
		}
	}
}

test('the database rolls up what an obvious computation comes to, gaps, late moments and all', async () => {
	let seed = 7;
	const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
	const start = 1_800_000_000 * S; // a multiple of a quarter of an hour
	const samples = [];
	const late = [];
	let sql = '';
	for (let n = 0; n < 2 * 360 + 40; n++) {
		const us = start + n * 10 * S;
		const inGap = n > 200 && n < 260;
		if (inGap) continue;
		const doc = { 'host/cpu': { used_pct: Math.fround(random() * 100) }, 'host/memory': { used: Math.fround(random() * 1e10) } };
		if (n % 3 === 0) doc['docker/web'] = { cpu_percent: Math.fround(random() * 10) };
		for (const [of, values] of Object.entries(doc)) for (const [name, value] of Object.entries(values)) samples.push({ us, metric: `${of} ${name}`, value });
		// a few come after their minute was made, as from a dashboard that could not write for a while
		if (n % 50 === 49) late.push([n, put('roll', us, doc)]);
		else sql += put('roll', us, doc);
		while (late.length > 0 && late[0][0] + 30 < n) sql += late.shift()[1];
		if (n % 6 === 5) sql += `select ops.metric_roll_up(${us + 10 * S});`;
	}
	const end = start + (2 * 360 + 40) * 10 * S;
	await pg.psql(`${sql}${late.map(([, text]) => text).join('')}select ops.metric_roll_up(${end});`);
	assertAlike(await view('roll', 60), expected(samples, 60, end), 'minutes');
	assertAlike(await view('roll', 900), expected(samples, 900, end), 'quarters');
	// once more changes nothing, and is not written
	assert.equal(await pg.psql(`select ops.metric_roll_up(${end})`), '0');
	// a moment that is there stays as it is
	await pg.psql(put('roll', start, { 'host/cpu': { used_pct: 1e6 } }));
	assert.equal((await view('roll', 10)).get(`host/cpu used_pct ${start}`)[1] < 101, true);
});

test('one session rolls up at a time', async () => {
	// the lock is held by this transaction, the other session is told so
	const other = await pg.psql(`create extension if not exists dblink; begin; select pg_advisory_xact_lock(x'6f70736d65747273'::bigint);
		select * from dblink('host=' || split_part(current_setting('unix_socket_directories'), ',', 1) || ' port=' || current_setting('port') || ' dbname=ops user=' || current_user, 'select ops.metric_roll_up(1)') as t(n bigint); commit`);
	assert.ok(other.split('\n').includes('-1'), other);
});

test('each resolution is kept as long as it should be', async () => {
	const now = 1_900_000_000 * S - ((1_900_000_000 * S) % (900 * S));
	const ages = [1, 2, 29, 31, 700, 740];
	let sql = '';
	for (const days of ages) {
		for (const s of [10, 60, 900]) sql += `insert into ops.metric_moments (host, resolution_s, time_us, series, average) select 'old', ${s}, ${now - days * DAY}, array[id], array[1] from ops.metric_series where host = 'old' limit 1;`;
	}
	await pg.psql(`${put('old', now, { 'host/cpu': { used_pct: 1 } })}${sql}select ops.metric_roll_up(${now});`);
	const left = async (s) => (await rows(`select (${now} - time_us) / ${DAY} from ops.metric_moments where host = 'old' and resolution_s = ${s} and time_us < ${now} order by 1`)).map(([d]) => Number(d));
	assert.deepEqual(await left(10), [1]);
	assert.deepEqual(await left(60), [1, 2, 29]);
	assert.deepEqual(await left(900), [1, 2, 29, 31, 700]);
});

test('dropping makes nothing again of what is left', async () => {
	// a host that has gone: its last moments are as old as what is dropped, whenever that is
	const end = 1_900_000_000 * S - ((1_900_000_000 * S) % (900 * S));
	let sql = '';
	for (let n = 90; n > 0; n--) sql += put('gone', end - n * 10 * S, { 'host/cpu': { used_pct: n } });
	await pg.psql(`${sql}select ops.metric_roll_up(${end});`);
	const before = [await view('gone', 60), await view('gone', 900)];
	assert.equal(before[0].size, 15);
	const later = (us) => `select ops.metric_roll_up(${us}); select ops.metric_roll_up(${us});`;
	await pg.psql(later(end + DAY + 1800 * S - 435 * S) + later(end + DAY + 1800 * S));
	assert.deepEqual([await view('gone', 60), await view('gone', 900)], before);
	await pg.psql(later(end + 30 * DAY + 1800 * S - 435 * S));
	assert.deepEqual(await view('gone', 900), before[1]);
});

test('the numbers of series of one host are bounded', async () => {
	await pg.psql(`select ops.metric_put('many', g * 10000000, json_build_object('host/' || g, (select json_object_agg('v' || v, 1) from generate_series(1, 500) v))::text) from generate_series(1, 20) g`);
	const count = Number(await pg.psql(`select count(*) from ops.metric_series where host = 'many'`));
	assert.ok(count >= 4096 && count < 4096 + 500, `${count}`);
	await pg.psql(`delete from ops.metric_moments where host = 'many'; delete from ops.metric_series where host = 'many'`);
});

const history = async (query) => session.get(`/api/v1/status/history?${new URLSearchParams(query)}`);

test('GET /status/history picks the resolution and has nulls for gaps', async () => {
	const now = Math.floor(Date.now() / 900_000) * 900 * S; // a moment that is not in the future
	let sql = '';
	for (let n = 0; n < 6 * 60; n++) {
		if (n >= 120 && n < 150) continue;
		sql += put('fake', now - 3600 * S + n * 10 * S, { 'host/cpu': { used_pct: n } });
	}
	await pg.psql(`${sql}select ops.metric_roll_up(${now})`);
	const fine = (await history({ item: 'host/cpu', value: 'used_pct', from: now - 3600 * S, to: now - 1 })).json;
	assertIs('StatusHistory', fine);
	assert.equal(fine.step_us, 10 * S);
	assert.deepEqual(fine.samples.map(([us]) => us), Array.from({ length: 360 }, (_, n) => now - 3600 * S + n * 10 * S));
	assert.deepEqual(fine.samples.map(([, v]) => v), Array.from({ length: 360 }, (_, n) => (n >= 120 && n < 150 ? null : n)));
	assert.equal(fine.lowest, undefined);

	const day = (await history({ item: 'host/cpu', value: 'used_pct', from: now - DAY, to: now - 1 })).json;
	assertIs('StatusHistory', day);
	assert.equal(day.step_us, 60 * S);
	assert.equal(day.samples.length, 1440);
	const last = day.samples.slice(-60);
	assert.deepEqual(last.map(([, v]) => v), Array.from({ length: 60 }, (_, n) => (n >= 20 && n < 25 ? null : n * 6 + 2.5)));
	assert.deepEqual(day.lowest.slice(-60), Array.from({ length: 60 }, (_, n) => (n >= 20 && n < 25 ? null : n * 6)));
	assert.deepEqual(day.highest.slice(-60), Array.from({ length: 60 }, (_, n) => (n >= 20 && n < 25 ? null : n * 6 + 5)));
	assert.ok(day.samples.slice(0, 1000).every(([, v]) => v === null));

	for (const [days, step] of [[30, 3600], [365, 21600], [730, 86400]]) {
		const long = (await history({ item: 'host/cpu', value: 'used_pct', from: now - days * DAY, to: now - 1 })).json;
		assertIs('StatusHistory', long);
		assert.equal(long.step_us, step * S, `${days} days`);
		assert.ok(long.samples.length <= 1501);
		assert.ok(long.samples.some(([, v]) => v !== null), `${days} days`);
	}
});

test('what is newer than the coarse moments is shown all the same', async () => {
	const now = Math.floor(Date.now() / 10_000) * 10 * S;
	await pg.psql(put('fake', now - 20 * S, { 'host/fresh': { v: 42 } }));
	const { json } = await history({ item: 'host/fresh', value: 'v', from: now - 300 * DAY, to: now });
	assert.deepEqual(json.samples.filter(([, v]) => v !== null).map(([, v]) => v), [42]);
});

test('several values at once', async () => {
	const now = Math.floor(Date.now() / 900_000) * 900 * S;
	const answer = await session.get(`/api/v1/status/histories?item=host/cpu&value=used_pct&item=host/no&value=thing&from=${now - 3600 * S}&to=${now - 1}`);
	assert.equal(answer.status, 200, answer.text);
	assertIs('StatusHistories', answer.json);
	assert.deepEqual(answer.json.series.map((s) => `${s.item} ${s.value}`), ['host/cpu used_pct', 'host/no thing']);
	assert.equal(answer.json.series[0].samples[7][1], 7);
	assert.ok(answer.json.series[1].samples.every(([, v]) => v === null));
});

test('bad questions are told what is wrong', async () => {
	for (const [query, status] of [
		['item=host/cpu', 400], ['value=used_pct', 400], ['', 400], ['item=cpu&value=used_pct', 400],
		['item=host/cpu&value=used_pct&item=host/cpu&value=load1', 400],
		['item=host/cpu&value=used_pct&from=5&to=5', 400], ['item=host/cpu&value=used_pct&from=1&to=99999999999999999', 400],
		['item=host/cpu&value=used_pct&from=x', 400], [`item=host/${'x'.repeat(300)}&value=v`, 400],
		['item=host/nobody&value=used_pct', 404],
	]) {
		const answer = await session.get(`/api/v1/status/history?${query}`);
		assert.equal(answer.status, status, `${query}: ${answer.text}`);
		assertIs('Problem', answer.json);
	}
	const many = Array.from({ length: 33 }, (_, i) => `item=host/cpu&value=v${i}`).join('&');
	assert.equal((await session.get(`/api/v1/status/histories?${many}`)).status, 400);
	assert.equal((await session.get('/api/v1/status/histories')).status, 400);
});

test('moments are written by the minute and when the daemon stops; unknown items, constants and times are not', async () => {
	cpu = 33;
	const hurried = await Dashboard.start({ agent, databaseUrl: pg.url, env: HURRY });
	await hurried.connected({ database: true });
	const count = async () => Number(await pg.psql(`select count(*) from ops.metric_samples where host = 'fake' and metric = 'host/cpu used_pct' and resolution_s = 10 and average = 33`));
	await until('a batch', async () => (await count()) >= 6);
	await until('minutes', async () => (await pg.psql(`select count(*) from ops.metric_samples where resolution_s = 60 and average = 33`)) !== '0');
	cpu = 44;
	const log = () => hurried.log();
	await until('another moment', async () => {
		await hurried.stop();
		const got = await pg.psql(`select count(*) from ops.metric_samples where average = 44 and resolution_s = 10`);
		if (got !== '0') return true;
		await hurried.restart();
		return null;
	});
	assert.doesNotMatch(log(), /samples\.(refused|dropped)/);
	await hurried.destroy();
	// PostgreSQL's own numbers may happen to be these as well.
	const names = (await rows(`select distinct metric from ops.metric_samples where host = 'fake' and average in (33, 44) and metric not like 'database/%'`)).map(([m]) => m);
	assert.deepEqual(names, ['host/cpu used_pct']);
	assert.equal(await pg.psql(`select count(*) from ops.metric_series where item in ('host/system', 'units/dead.service') or value in ('cores', 'hot', 'name')`), '0');
});

test('two dashboards write each moment once', async () => {
	cpu = 55;
	const two = [];
	for (let i = 0; i < 2; i++) two.push(await (await Dashboard.start({ agent, databaseUrl: pg.url, env: HURRY })).connected({ database: true }));
	await until('moments of both', async () => Number(await pg.psql(`select count(*) from ops.metric_samples where average = 55 and resolution_s = 10`)) >= 12);
	for (const d of two) {
		await d.stop();
		assert.doesNotMatch(d.log(), /samples\.|sanitizer/i);
		await d.destroy();
	}
	assert.equal(await pg.psql(`select count(*) from (select 1 from ops.metric_samples where average = 55 group by metric, resolution_s, time_us having count(*) > 1) x`), '0');
});

test('PostgreSQL away: moments wait, are written when it is back, and the oldest go when it stays away', async () => {
	cpu = 66;
	const hurried = await (await Dashboard.start({ agent, databaseUrl: pg.url, env: { ...HURRY, SHIFT_CLOCK_RATE: '60' } })).connected({ database: true });
	await pg.stop();
	await until('moments to be dropped', () => /samples\.dropped/.test(hurried.log()));
	cpu = 77;
	await pg.startAgain();
	const of = async (value) => Number(await pg.psql(`select count(*) from ops.metric_samples where average = ${value} and resolution_s = 10`));
	await until('what was held', async () => (await of(66)) >= 60);
	await until('what came then', async () => (await of(77)) > 0);
	assert.ok((await of(66)) <= 96, `${await of(66)}`);
	const metrics = await (await hurried.login()).get('/metrics');
	assert.match(metrics.text, /samples_dropped_total\{host="[^"]*"\} [1-9]/);
	await hurried.destroy();
	// the dashboard that does not hurry answers again as well
	await until('history', async () => (await history({ item: 'host/cpu', value: 'used_pct' })).status === 200);
});

test('without PostgreSQL history is 503', async () => {
	const alone = await (await Dashboard.start({ agent })).connected();
	const answer = await (await alone.login()).get('/api/v1/status/history?item=host/cpu&value=used_pct');
	assert.equal(answer.status, 503);
	assertIs('Problem', answer.json);
	await alone.destroy();
});

test('the agent is watched slowly while nobody looks, closely while somebody does', async () => {
	const intervals = () => [...agent.sockets].flatMap((s) => [...s.watchers.values()]);
	await until('slowly', () => intervals().length > 0 && intervals().every((ms) => ms === 10000));
	const live = await session.live();
	const sub = live.subscribe('status');
	await sub.snapshot();
	await until('closely', () => intervals().includes(1000));
	sub.unsubscribe();
	await sub.ended();
	await until('slowly again', () => intervals().length > 0 && intervals().every((ms) => ms === 10000));
	live.destroy();
});

test('a watch that the agent ends while it stays is opened again', async () => {
	const watchers = () => [...agent.sockets].flatMap((s) => [...s.watchers.keys()].map((stream) => [s, stream]));
	await until('a watch', () => watchers().length > 0);
	const all = watchers();
	for (const [socket, stream] of all) agent.endWatch(socket, stream);
	await until('another one', () => watchers().some(([socket, stream]) => !all.some(([s, n]) => s === socket && n === stream)));
});

test('a level that changes is told while nobody looks', async () => {
	clearInterval(beat);
	agent.tellStatus(machine({ urls: [item('https://x/', {}, { level: 'bad', message: 'no answer' })] }));
	await until('the change', () => /status\.level section=urls item=https:\/\/x\/ before=- level=bad message="no answer"/.test(dashboard.log()));
	agent.tellStatus(machine({ urls: [item('https://x/', {})] }));
	await until('the change back', () => /item=https:\/\/x\/ before=bad level=ok/.test(dashboard.log()));
});
