// core/db against a real PostgreSQL: absent, late, restarted, killed, hung, read-only.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';

import { freePort } from './lib/ports.mjs';
import { Postgres } from './lib/postgres.mjs';
import { Tool } from './lib/tool.mjs';

let pg;
const tools = [];

before(async () => {
	pg = await Postgres.start({ tcpPort: await freePort() });
});

after(async () => {
	for (const tool of tools) if (!tool.exit) await tool.kill();
	await pg?.destroy();
});

class Db extends Tool {
	constructor(url = pg.url, connections = 3) {
		super('db/db_tool', [url, String(connections)]);
		this.ids = 0;
		tools.push(this);
	}

	async answer(command, id) {
		const wait = this.next(new RegExp(`^done ${id} (\\S+) (\\S+) (.*)$`));
		this.send(command);
		const [, err, sqlstate, text] = await wait;
		return { err, sqlstate, text };
	}

	query(sql, { flags = '-', deadline = 10000 } = {}) {
		const id = `q${++this.ids}`;
		return this.answer(`query ${id} ${flags} ${deadline} ${sql}`, id);
	}

	batch(sql, deadline = 10000) {
		const id = `b${++this.ids}`;
		return this.answer(`batch ${id} ${deadline} ${sql}`, id);
	}

	echo(hex) {
		const id = `e${++this.ids}`;
		return this.answer(`echo ${id} ${hex}`, id);
	}

	async info() {
		const wait = this.next(/^info (.*)$/);
		this.send('info');
		const [, text] = await wait;
		return Object.fromEntries(text.split(' ').map((part) => part.split('=')));
	}

	// Asks until it succeeds: what a caller does with temporary errors.
	async insist(sql, options) {
		for (;;) {
			const reply = await this.query(sql, options);
			if (reply.err === 'ok') return reply;
			assert.match(reply.text, /^temporary: /, reply.text);
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	}

	async quit() {
		this.send('quit');
		const exit = await this.exited;
		assert.deepEqual(exit, { code: 0, signal: null }, this.errors);
		assert.equal(this.lines.at(-1), 'closed');
	}
}

test('two dashboards started at once migrate an empty database once', async () => {
	const both = [new Db(), new Db()];
	await Promise.all(both.map((db) => db.seen(/^state ready 0 $/)));
	const folder = new URL('../../core/db/migrations/', import.meta.url);
	const expected = readdirSync(folder).sort().map((file, i) =>
		`${i + 1}|${file.replace('.sql', '')}|${createHash('sha256').update(readFileSync(new URL(file, folder))).digest('hex')}`);
	assert.equal(await pg.psql('select number, name, checksum from ops.migrations order by number'), expected.join('\n'));
	await Promise.all(both.map((db) => db.seen(/^partitions ok$/)));
	assert.equal(
		await pg.psql(`select count(*) from pg_inherits where inhparent = 'ops.run_log'::regclass`),
		'5',
	);
	assert.equal(
		await pg.psql(`select distinct attcompression from pg_attribute a join pg_inherits i on i.inhrelid = a.attrelid
			where inhparent = 'ops.run_log'::regclass and attname = 'records'`),
		'l',
	);
	await Promise.all(both.map((db) => db.quit()));
});

test('rows that fell into the default partition move to their month', async () => {
	const partition = await pg.psql(`select max(relname) from pg_class c join pg_inherits i on inhrelid = c.oid
		where inhparent = 'ops.run_log'::regclass and relname <> 'run_log_default'`);
	await pg.psql(`alter table ops.run_log detach partition ops.${partition}; drop table ops.${partition}`);
	await pg.psql(`insert into ops.run_log values
		(ops.uuid_floor((date_trunc('month', now() at time zone 'UTC') + interval '3 months 1 day')::timestamp), 0, 3, 0, 0, 'abc')`);
	assert.equal(await pg.psql('select count(*) from ops.run_log_default'), '1');
	const db = new Db();
	await db.seen(/^partitions ok$/);
	assert.equal(await pg.psql('select count(*) from ops.run_log_default'), '0');
	assert.equal(await pg.psql(`select records from ops.${partition}`), '\\x616263');
	await pg.psql('delete from ops.run_log');
	await db.quit();
});

test('bytes of any size and value come back as they were sent', async () => {
	const db = new Db();
	for (const n of [0, 1, 255, 70000, 1000000]) {
		const hex = randomBytes(n).toString('hex');
		const reply = await db.echo(hex);
		assert.equal(reply.err, 'ok');
		assert.ok(reply.text === hex, `${n} bytes differ`);
	}
	await db.quit();
});

test('a batch is one transaction: a statement that fails undoes those before it', async () => {
	const db = new Db();
	await db.query('create table public.t_batch (i integer primary key)');
	const reply = await db.batch('insert into public.t_batch values (1); insert into public.t_batch values (1); insert into public.t_batch values (2)');
	assert.equal(reply.err, 'EREMOTEIO');
	assert.equal(reply.sqlstate, '23505');
	assert.equal(await pg.psql('select count(*) from t_batch'), '0');
	assert.equal((await db.batch('insert into public.t_batch values (1); insert into public.t_batch values (2)')).err, 'ok');
	assert.equal((await db.query(`select count(*)::text from public.t_batch`)).text, '2');
	await db.quit();
});

test('an error at commit is an error of the batch', async () => {
	const db = new Db();
	await db.query('create table public.t_deferred (i integer, unique (i) deferrable initially deferred)');
	const reply = await db.batch('insert into public.t_deferred values (1); insert into public.t_deferred values (1)');
	assert.equal(reply.sqlstate, '23505');
	assert.equal((await db.query('select count(*)::text from public.t_deferred')).text, '0');
	await db.quit();
});

test('more calls than may wait are refused at once, the others answered in order', async () => {
	const db = new Db(pg.url, 1);
	await db.seen(/^state ready/);
	const first = db.query('select pg_sleep(0.3)::text');
	const replies = await Promise.all(Array.from({ length: 300 }, (_, i) => db.query(`select '${i}'`)));
	assert.equal((await first).err, 'ok');
	const refused = replies.filter((r) => r.err === 'ENOBUFS').length;
	assert.ok(refused >= 43 && refused <= 45, `${refused} refused`);
	const order = db.lines.filter((l) => /^done q\d+ ok - \d+$/.test(l)).map((l) => Number(l.split(' ').at(-1)));
	assert.deepEqual(order, [...order].sort((a, b) => a - b));
	await db.quit();
});

test('bulk work leaves a connection to the pages', async () => {
	const db = new Db();
	const bulk = Array.from({ length: 4 }, () => db.query('select pg_sleep(60)::text', { flags: 'b', deadline: 60000 }));
	assert.equal((await db.query(`select 'page'`)).text, 'page');
	db.send('quit');
	for (const reply of await Promise.all(bulk)) assert.equal(reply.err, 'ECANCELED');
	assert.equal((await db.exited).code, 0, db.errors);
});

test('closing with calls running and waiting answers each once', async () => {
	const db = new Db(pg.url, 2);
	const calls = Array.from({ length: 20 }, () => db.query('select pg_sleep(60)::text'));
	db.query('select 1').catch(() => {}); // the tool ends without having answered it
	db.send(`forget q${db.ids}`);
	db.send('quit');
	for (const reply of await Promise.all(calls)) assert.equal(reply.err, 'ECANCELED');
	await db.exited;
	assert.equal(db.lines.filter((l) => l.startsWith('done')).length, 20);
	assert.equal(db.lines.at(-1), 'closed');
});

test('a server that refuses further connections does no harm to those there are', async () => {
	const db = new Db();
	await db.seen(/^state ready/);
	await pg.psql('alter role ops connection limit 1');
	const replies = await Promise.all(Array.from({ length: 10 }, (_, i) => db.query(`select pg_sleep(0.02)::text || '${i}'`)));
	assert.deepEqual(replies.map((r) => r.err), Array(10).fill('ok'));
	await pg.psql('alter role ops connection limit -1');
	await db.quit();
});

test('a wrong password, database or URL is named, and the password is not', async () => {
	const db = new Db(`${pg.url.replace('/ops?', '/nowhere?')}`);
	const [, reason] = await db.seen(/^state down 0 (.*)$/);
	assert.match(reason, /database "nowhere" does not exist/);
	await db.quit();

	const bad = new Db('postgresql://ops:hunter2@/ops?nonsense=1');
	await bad.exited;
	assert.match(bad.lines[0], /^refused it is not a PostgreSQL connection string/);
	assert.ok(!bad.lines[0].includes('hunter2'));

	await pg.psql(`create role locked login password 'right'`);
	const hba = `${pg.data}/pg_hba.conf`;
	const before = readFileSync(hba, 'utf8');
	const { writeFileSync } = await import('node:fs');
	writeFileSync(hba, `local all locked scram-sha-256\n${before}`);
	await pg.psql('select pg_reload_conf()');
	const wrong = new Db(pg.url.replace('ops@', 'locked:hunter2@'));
	const [, why] = await wrong.seen(/^state down 0 (.*)$/);
	assert.match(why, /password authentication failed for user "locked"/);
	const { where } = await wrong.info();
	assert.ok(!where.includes('hunter2'));
	writeFileSync(hba, before);
	await pg.psql('select pg_reload_conf()');
	await wrong.quit();
});

test('several hosts are tried in turn, names looked up without blocking', async () => {
	const db = new Db(`postgresql://ops@no-such-host.invalid:1,127.0.0.1:1,localhost:${pg.tcpPort}/ops`);
	await db.seen(/^state ready/);
	assert.equal((await db.query(`select inet_server_port()::text`)).text, String(pg.tcpPort));
	await db.quit();
	const none = new Db('postgresql://ops@no-such-host.invalid/ops');
	const [, reason] = await none.seen(/^state down 0 (.*)$/);
	assert.match(reason, /cannot look up the host 'no-such-host.invalid'/);
	await none.quit();
});

test('target_session_attrs finds the server that takes writes', async () => {
	const db = new Db(`host=127.0.0.1,127.0.0.1 port=1,${pg.tcpPort} user=ops dbname=ops target_session_attrs=read-write`);
	await db.seen(/^state ready/);
	await db.quit();
});

test('a port that accepts and says nothing is given up, and the loop goes on meanwhile', async () => {
	const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
	await once(silent, 'listening');
	const { port } = silent.address();
	const db = new Db(`postgresql://ops@127.0.0.1:${port}/ops`);
	const [, reason] = await db.seen(/^state down 0 (.*)$/);
	assert.match(reason, /PostgreSQL did not accept the connection within 5.0 s/);
	assert.ok(Number((await db.info()).ticks) > 50);
	await db.quit();
	const beside = new Db(`postgresql://ops@127.0.0.1:${port},127.0.0.1:${pg.tcpPort}/ops`);
	await beside.seen(/^state ready/);
	await beside.quit();
	silent.close();
});

test('a statement past its deadline ends, and the next one works', async () => {
	const db = new Db(pg.url, 1);
	const reply = await db.query('select pg_sleep(60)::text', { deadline: 200 });
	assert.equal(reply.err, 'ETIMEDOUT');
	assert.equal((await db.insist(`select 'next'`)).text, 'next');
	await db.quit();
});

test('absent at the start, started later: it connects by itself', async () => {
	await pg.stop();
	const db = new Db();
	const [, reason] = await db.seen(/^state down 0 (.*)$/);
	assert.match(reason, /No such file or directory|Connection refused/);
	const refused = await db.query('select 1');
	assert.equal(refused.err, 'ENOTCONN');
	assert.match(refused.text, /^temporary: PostgreSQL cannot be reached: /);
	await pg.startAgain();
	await db.seen(/^state ready/);
	assert.equal((await db.query(`select 'back'`)).text, 'back');
	await db.quit();
});

test('killed in the middle of a transaction: nothing of it stays, and work goes on after the restart', async () => {
	const db = new Db();
	await db.seen(/^state ready/);
	await db.query('create table public.t_killed (i integer)');
	const running = db.batch('insert into public.t_killed values (1); select pg_sleep(60)::text', 60000);
	while ((await pg.psql(`select count(*) from pg_stat_activity where query like '%pg\\_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()`)) === '0');
	await pg.kill9();
	assert.equal((await running).err, 'ECONNRESET');
	await pg.startAgain();
	await db.insist('insert into public.t_killed values (2)');
	assert.equal(await pg.psql('select i from t_killed'), '2');
	await db.quit();
});

test('connections terminated every few milliseconds: reads are repeated, writes happen at most once', async () => {
	const db = new Db();
	await db.seen(/^state ready/);
	await db.query('create table public.t_terminated (i integer)');
	let going = true;
	const killer = (async () => {
		while (going) {
			await pg.psql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ops'`);
		}
	})();
	let acknowledged = 0;
	for (let i = 0; i < 150; i++) {
		await db.insist(`select '${i}'`, { flags: 'i' });
		const reply = await db.query(`insert into public.t_terminated values (${i})`);
		if (reply.err === 'ok') acknowledged++;
		else assert.match(reply.text, /^temporary: /);
	}
	going = false;
	await killer;
	const rows = Number(await pg.psql('select count(*) from t_terminated'));
	assert.equal(await pg.psql('select count(*) - count(distinct i) from t_terminated'), '0');
	assert.ok(rows >= acknowledged, `${rows} rows, ${acknowledged} acknowledged`);
	assert.equal((await db.insist(`select 'after'`)).text, 'after');
	await db.quit();
});

test('a hung server: calls are answered by our own deadlines, the loop turns, then it recovers', async () => {
	const db = new Db();
	await db.seen(/^state ready/);
	await db.query('select 1::text');
	pg.pause();
	try {
		const before = Number((await db.info()).ticks);
		const replies = await Promise.all([db.query('select 1::text', { deadline: 300 }), db.query('select 2::text', { deadline: 300, flags: 'i' })]);
		for (const reply of replies) assert.equal(reply.err, 'ETIMEDOUT');
		assert.ok(Number((await db.info()).ticks) > before + 10);
	} finally {
		pg.resume();
	}
	assert.equal((await db.insist(`select 'recovered'`)).text, 'recovered');
	await db.quit();
});

async function readOnly(value) {
	await pg.psql(`alter system set default_transaction_read_only = ${value}`);
	await pg.psql('select pg_reload_conf()');
	// The server's main process takes it up when it gets to it.
	while ((await pg.psql('show default_transaction_read_only')) !== value);
}

test('read-only: reads work, writes say why, and it is noticed when that ends', async () => {
	const db = new Db();
	await db.seen(/^state ready 0/);
	await readOnly('on');
	await pg.psql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ops'`);
	await db.seen(/^state ready 1/);
	assert.equal((await db.query(`select count(*)::text from ops.runs`)).text, '0');
	const write = await db.query('create table public.t_never (i integer)');
	assert.equal(write.sqlstate, '25006');
	assert.match(write.text, /^temporary: /);
	const writable = db.next(/^state ready 0/);
	await readOnly('off');
	await writable;
	await db.quit();
});

test('a database of a newer program is refused and left alone', async () => {
	await pg.psql(`insert into ops.migrations values (100, '0100_future', 'x', '99.0.0', '99.0.0')`);
	const db = new Db();
	const [, reason] = await db.seen(/^state down 0 (.*)$/);
	assert.match(reason, /database is newer than this program: its migration '0100_future' needs Ops Dashboard 99.0.0 or later/);
	await pg.psql(`update ops.migrations set suits = '0.1.0' where number = 100`);
	await db.seen(/^state ready/);
	await db.quit();
	await pg.psql('delete from ops.migrations where number = 100');
});

test('migrations that are not ours are refused', async () => {
	const sum = await pg.psql('select checksum from ops.migrations where number = 1');
	await pg.psql(`update ops.migrations set checksum = 'other' where number = 1`);
	const db = new Db();
	const [, reason] = await db.seen(/^state down 0 (.*)$/);
	assert.match(reason, /migration 0001 '0001_schema' is not the '0001_schema' of this program/);
	await pg.psql(`update ops.migrations set checksum = '${sum}' where number = 1`);
	await db.seen(/^state ready/);
	await db.quit();
});
