// What PostgreSQL can do to the archiver (rows C of the fault matrix), each injected for real: afterwards the
// history is complete, no row twice, and the trouble had a name meanwhile.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { promisify } from 'node:util';

import { until } from './lib/agent.mjs';
import { Archive, assertArchived, flood, tools } from './lib/archive.mjs';
import { FakeAgent, FakeRun } from './lib/fake-agent.mjs';
import { Postgres } from './lib/postgres.mjs';
import { Proxy } from './lib/proxy.mjs';
import { freePort } from './lib/ports.mjs';

const run = promisify(execFile);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let pg;
let agent;
let proxy;

before(async () => {
	pg = await Postgres.start({ tcpPort: await freePort(), settings: { max_connections: '12', superuser_reserved_connections: '3' } });
	// The schema is there before anything is injected.
	agent = await FakeAgent.start();
	const tool = new Archive(agent, pg.url);
	await tool.until('idle', (s) => s.state === 'idle');
	await tool.quit();
	await agent.destroy();
});

after(async () => {
	await pg?.destroy();
});

afterEach(async () => {
	for (const tool of tools) await tool.kill();
	await proxy?.close();
	await agent?.destroy();
	proxy = agent = undefined;
	await pg.psql('truncate ops.runs, ops.run_log cascade');
});

async function start(...runs) {
	agent = await FakeAgent.start();
	for (const one of runs) agent.add(one);
	return runs;
}

const finished = (mib) => flood(new FakeRun(), mib).finish();
// Text that lz4 cannot shorten.
function noise(mib) {
	const one = new FakeRun();
	for (let i = 0; i < mib * 16; i++) one.output(randomBytes(65536));
	return one.finish();
}

async function ends(tool, runs) {
	await tool.released(...runs);
	for (const one of runs) await assertArchived(pg, one);
	await tool.until('idle, without a problem', (s) => s.state === 'idle' && s.problem === '');
	await tool.quit();
}

for (const [code, name] of [['40P01', 'deadlocks'], ['53200', 'no memory'], ['57014', 'cancelled statements']]) {
	test(`some rows meet ${name} (${code}): repeated, and nothing twice`, async () => {
		// A sequence is not rolled back, so the repetition gets further.
		await pg.psql(`create sequence ops.faults; grant all on ops.faults to ops;
			create function ops.fault() returns trigger language plpgsql as $$ begin
				if nextval('ops.faults') in (2, 5, 9) then raise exception 'injected' using errcode = '${code}'; end if;
				return new; end $$;
			create trigger fault before insert on ops.run_log for each row execute function ops.fault()`);
		try {
			const runs = await start(finished(1), finished(1));
			const tool = new Archive(agent, pg.url);
			await tool.seen(/^change .* problem=injected/);
			await ends(tool, runs);
			assert.ok(Number(await pg.psql('select last_value from ops.faults')) > 10);
		} finally {
			await pg.psql('drop trigger fault on ops.run_log; drop function ops.fault; drop sequence ops.faults');
		}
	});
}

test('an error that no repetition mends is named, and others are archived all the same', async () => {
	const [bad, good] = await start(finished(1), finished(1));
	await pg.psql(`create function ops.fault() returns trigger language plpgsql as $$ begin
			if new.run_id = '${bad.id}' then raise exception 'this run is not liked' using errcode = '23514'; end if;
			return new; end $$;
		create trigger fault before insert on ops.run_log for each row execute function ops.fault()`);
	try {
		const tool = new Archive(agent, pg.url);
		await tool.released(good);
		const status = await tool.until('the refusal', (s) => s.damaged === 1);
		assert.match(status.problem, new RegExp(`run ${bad.id}: this run is not liked`));
		assert.equal(await pg.psql(`select problem from ops.runs where id = '${bad.id}'`), 'this run is not liked');
		assert.equal(bad.released, false);
		await assertArchived(pg, good);
		await tool.quit();
	} finally {
		await pg.psql('drop trigger fault on ops.run_log; drop function ops.fault');
	}
});

// Takes n connections, for good. Who counts takes one of them too while it does, and may be why one of
// the others is refused, as may be what the test before left: all try again then.
async function hold(n) {
	const connections = async () => Number(await pg.psql("select count(*) from pg_stat_activity where usename = 'ops'"));
	let holders = [];
	await until('the connections to be taken', async () => {
		for (const holder of holders) holder.kill('SIGKILL');
		await pg.psql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ops'");
		await until('all connections to be free', async () => (await connections()) === 0);
		holders = Array.from({ length: n }, () =>
			spawn(join(pg.bin, 'psql'), [pg.url, '-Xqc', 'select pg_sleep(600)'], { stdio: 'ignore' }));
		await sleep(500);
		return (await connections()) === n;
	});
	return holders;
}

test('no connection is free: it says so, and goes on when one is', async () => {
	const runs = await start(finished(2));
	const holders = await hold(9);
	try {
		const tool = new Archive(agent, pg.url);
		const status = await tool.until('the refusal', (s) => s.state === 'waiting_for_database' && s.problem !== '');
		assert.match(status.problem, /remaining connection slots|too many (clients|connections)/);
		for (const holder of holders) holder.kill();
		await pg.psql("select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%' and usename = 'ops'");
		await ends(tool, runs);
	} finally {
		for (const holder of holders) holder.kill('SIGKILL');
	}
});

test('one connection is free: that is enough', async () => {
	const runs = await start(finished(2), finished(2));
	const holders = await hold(8);
	try {
		const tool = new Archive(agent, pg.url);
		await ends(tool, runs);
	} finally {
		for (const holder of holders) holder.kill('SIGKILL');
		await pg.psql("select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'");
	}
});

test('a disk that is full: named, nothing lost, and it goes on when there is room', { skip: process.getuid() !== 0 && 'mounting a small file system needs root' }, async () => {
	const place = join(pg.root, 'small');
	mkdirSync(place);
	execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', place]);
	try {
		chownSync(place, pg.account.uid, pg.account.gid);
		await pg.psql(`create tablespace small location '${place}'`);
		const partitions = (await pg.psql("select inhrelid::regclass from pg_inherits where inhparent = 'ops.run_log'::regclass")).split('\n');
		const toast = async (table) => pg.psql(`alter table ${table} set tablespace small`);
		for (const table of partitions) await toast(table);
		writeFileSync(join(place, 'filler'), Buffer.alloc(statfsSync(place).bavail * 4096 - (4 << 20)));
		const runs = await start(noise(3), noise(3), noise(3));
		const tool = new Archive(agent, pg.url);
		const status = await tool.until('the refusal', (s) => s.state === 'waiting_for_database' && s.problem !== '');
		assert.match(status.problem, /could not extend file|No space left/);
		assert.ok(!runs.every((one) => one.released));
		rmSync(join(place, 'filler'));
		await ends(tool, runs);
		for (const table of partitions) await pg.psql(`alter table ${table} set tablespace pg_default`);
		await pg.psql('drop tablespace small');
	} finally {
		execFileSync('umount', ['-l', place]);
	}
});

test('a server that hangs for a while in the middle: it waits and goes on', async () => {
	const runs = await start(finished(24), finished(24));
	const tool = new Archive(agent, pg.url);
	await tool.until('some progress', (s) => s.archived > 0);
	pg.pause();
	await sleep(1500);
	const before = await tool.status();
	await sleep(500);
	assert.equal((await tool.status()).archived, before.archived); // and it answers us meanwhile
	pg.resume();
	await ends(tool, runs);
});

test('a table locked by somebody for seconds', async () => {
	const runs = await start(finished(4));
	const locked = pg.psql('begin; lock table ops.runs in access exclusive mode; select pg_sleep(2); commit');
	await sleep(300);
	const tool = new Archive(agent, pg.url);
	await ends(tool, runs);
	await locked;
});

test('a server far away: transactions grow, so that it is still done soon', async () => {
	proxy = await Proxy.start(pg.tcpPort, { delayMs: 60 });
	const runs = await start(finished(12));
	const tool = new Archive(agent, `postgresql://ops@127.0.0.1:${proxy.port}/ops`);
	await ends(tool, runs);
	const [rows, bytes] = (await pg.psql(`select count(*), sum(octet_length(records)) from ops.run_log where run_id = '${runs[0].id}'`)).split('|').map(Number);
	assert.ok(bytes / rows > 180000, `rows of ${bytes / rows} bytes`);
});

test('connections reset in the middle of inserts, again and again', async () => {
	proxy = await Proxy.start(pg.tcpPort);
	proxy.reset(3 << 20);
	const runs = await start(finished(20));
	const tool = new Archive(agent, `postgresql://ops@127.0.0.1:${proxy.port}/ops`);
	for (let i = 0; proxy.resets < 4 && !runs[0].released; i++) await sleep(20);
	proxy.reset(Infinity);
	await ends(tool, runs);
	assert.ok(proxy.resets >= 2, `${proxy.resets} resets`);
});

test('hostile bytes in every place are data', async () => {
	const bombs = ["'; drop table ops.runs; --", '$1', '\\x00', '"', '\u0000', '\ud83d\ude00', '%s%n', '{}'.repeat(2000)];
	const one = new FakeRun({ name: "x'); drop schema ops cascade; --", steps: bombs.slice(0, 4) });
	for (const bomb of bombs) one.output(bomb).event(0, { event: 'step.note', text: bomb });
	one.record(0, 3, Buffer.from('this is no JSON'));
	one.record(0, 3, Buffer.from([0xff, 0xfe, 0x00]));
	one.output(Buffer.alloc(65536)).output(randomBytes(65536));
	const runs = await start(one.finish());
	const tool = new Archive(agent, pg.url);
	await ends(tool, runs);
	assert.equal(await pg.psql(`select name from ops.runs where id = '${one.id}'`), one.name);
	assert.equal(await pg.psql(`select count(*) from ops.run_steps where run_id = '${one.id}'`), '4');
});

test('a dump restored elsewhere holds the same bytes', async () => {
	const runs = await start(finished(3), noise(1));
	const tool = new Archive(agent, pg.url);
	await ends(tool, runs);
	const dump = join(pg.root, 'dump');
	await run(join(pg.bin, 'pg_dump'), ['-Fc', '-f', dump, pg.superUrl]);
	await pg.psql('create database restored owner ops', 'postgres');
	await run(join(pg.bin, 'pg_restore'), ['-d', pg.superUrl.replace('/ops?', '/restored?'), dump]);
	const hash = "select count(*), encode(sha256(string_agg(records, ''::bytea order by run_id, start_offset)), 'hex') from ops.run_log";
	assert.equal(await pg.psql(hash, 'restored'), await pg.psql(hash));
	// And the program is content with what was restored: nothing is left to do.
	const second = new Archive(agent, pg.url.replace('/ops?', '/restored?'));
	await second.until('idle', (s) => s.state === 'idle' && s.behind_runs === 0 && s.problem === '');
	await second.quit();
	await pg.psql('drop database restored', 'postgres');
});
