// The archiver and the history between a fake agent and a real PostgreSQL: byte for byte, through every loss.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';

import { Archive as ArchiveTool, assertArchived as archived, flood, tools } from './lib/archive.mjs';
import { FakeAgent, FakeRun } from './lib/fake-agent.mjs';
import { Postgres } from './lib/postgres.mjs';

let pg;
let agent;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

before(async () => {
	pg = await Postgres.start();
});

after(async () => {
	for (const tool of tools) await tool.kill();
	await agent?.destroy();
	await pg?.destroy();
});

afterEach(async () => {
	for (const tool of tools) await tool.kill();
	await agent?.destroy();
	agent = undefined;
	await pg.psql('truncate ops.runs, ops.run_log cascade');
});

const assertArchived = (run, options) => archived(pg, run, options);

class Archive extends ArchiveTool {
	constructor() {
		super(agent, pg.url);
	}
}

test('finished runs of any size are archived byte for byte, projected and released', async () => {
	agent = await FakeAgent.start();
	const runs = [
		agent.add(new FakeRun({ name: 'tiny' }).finish()),
		agent.add(new FakeRun({ name: 'empty.lines' }).output('\n\n\n').output('').output('no newline').finish('failed')),
		agent.add(flood(new FakeRun({ name: 'big', steps: ['dump', 'verify'] }), 12).finish()),
		agent.add(new FakeRun({ name: 'widest' }).output(randomBytes(65536)).output(randomBytes(65536)).finish()),
	];
	const small = agent.add(new FakeRun({ name: 'many.records' }));
	for (let i = 0; i < 20000; i++) small.output(`line ${i}\n`);
	runs.push(small.finish());
	const tool = new Archive();
	await tool.released(...runs);
	for (const run of runs) await assertArchived(run);
	assert.equal(
		await pg.psql(`select step, step_id, uses, phase, status, attempt, exit_code, start_offset is not null, finished_us > started_us from ops.run_steps where run_id = '${runs[2].id}' order by step`),
		'0|dump|uses.dump|main|succeeded|1|0|t|t\n1|verify|uses.verify|main|succeeded|1|0|t|t',
	);
	assert.equal(
		await pg.psql(`select name, kind, host, actor, bytes, lines, number, released, document->>'title', finished_us from ops.runs where id = '${small.id}'`),
		`many.records|command|fake|user:admin|${small.bytes}|${small.lines}|${small.number}|t|Title of many.records|${small.timeUs}`,
	);
	assert.equal((await tool.until('idle', (s) => s.state === 'idle')).behind_runs, 0);
	await tool.quit();
});

test('a running run is archived as far as it is durable, and to its end', async () => {
	agent = await FakeAgent.start();
	const run = agent.add(flood(new FakeRun(), 3));
	run.durable = run.index[20];
	const tool = new Archive();
	await tool.until('the durable part', (s) => s.archived === run.durable);
	await assertArchived(run, { complete: false, upTo: run.durable });
	flood(run, 2);
	run.durable = run.index[40];
	agent.changed(run);
	await tool.until('more of it', (s) => s.archived === run.durable);
	await assertArchived(run, { complete: false, upTo: run.durable });
	run.finish();
	run.durable = undefined;
	agent.changed(run);
	await tool.released(run);
	await assertArchived(run);
	await tool.quit();
});

test('killed at random moments it goes on without a gap or a double', async () => {
	agent = await FakeAgent.start();
	const runs = Array.from({ length: 6 }, () => agent.add(flood(new FakeRun(), 10).finish()));
	let kills = 0;
	// OPS_KILLS=100: that many (and as much to archive), else about ten.
	const wanted = Number(process.env.OPS_KILLS ?? 10);
	while (kills < wanted || !runs.every((run) => run.released)) {
		if (runs.every((run) => run.released)) runs.push(agent.add(flood(new FakeRun(), 10).finish()));
		if (kills >= wanted) break;
		const tool = new Archive();
		tool.send('status');
		await tool.seen(/^(change|status) /).catch(() => {});
		await sleep(30 + Math.random() * 150);
		await tool.kill();
		kills++;
	}
	const tool = new Archive();
	await tool.released(...runs);
	for (const run of runs) await assertArchived(run);
	await tool.quit();
	assert.equal(kills, wanted);
});

test('two archivers on one database and agent do each run once', async () => {
	agent = await FakeAgent.start();
	const runs = Array.from({ length: 8 }, () => agent.add(flood(new FakeRun(), 4).finish()));
	const both = [new Archive(), new Archive()];
	await both[0].released(...runs);
	for (const run of runs) await assertArchived(run);
	// By its lease each run was read from the agent once, not by both.
	assert.equal(agent.sent, runs.reduce((sum, run) => sum + run.size, 0));
	await Promise.all(both.map((tool) => tool.until('idle', (s) => s.state === 'idle')));
	for (const run of runs) await assertArchived(run);
	await Promise.all(both.map((tool) => tool.quit()));
});

test('what a dashboard held when it was killed goes to the other one', async () => {
	agent = await FakeAgent.start();
	const run = agent.add(flood(new FakeRun(), 2));
	const first = new Archive();
	await first.until('its part', (s) => s.archived === run.size);
	agent.hold = true; // what follows is announced, but does not come: the first one keeps its lease
	flood(run, 2);
	agent.changed(run);
	const locks = "select count(*) from pg_locks where locktype = 'advisory' and granted";
	for (let i = 0; (await pg.psql(locks)) !== '1'; i++) assert.ok(i < 600 && !(await sleep(50)), 'the lease was never taken');
	const second = new Archive();
	await second.until('it is connected', (s) => s.behind_runs === 1 || s.behind_bytes > 0);
	agent.hold = false;
	await first.kill();
	run.finish();
	agent.changed(run);
	await second.released(run);
	await assertArchived(run);
	await second.quit();
});

test('PostgreSQL killed and restarted in the middle, again and again', async () => {
	agent = await FakeAgent.start();
	const runs = Array.from({ length: 4 }, () => agent.add(flood(new FakeRun(), 16).finish()));
	const tool = new Archive();
	for (let i = 0; i < 4 && !runs.every((run) => run.released); i++) {
		await tool.until('some progress', (s) => s.state === 'working' || runs.every((run) => run.released));
		await sleep(50 + Math.random() * 100);
		await pg.kill9();
		await tool.until('the outage', (s) => s.state === 'waiting_for_database');
		await pg.startAgain();
	}
	await tool.released(...runs);
	for (const run of runs) await assertArchived(run);
	await tool.quit();
});

test('absent at the start: it waits, says so, and fills the history in later', async () => {
	agent = await FakeAgent.start();
	await pg.stop();
	const tool = new Archive();
	const run = agent.add(flood(new FakeRun(), 2).finish());
	const status = await tool.until('the outage', (s) => s.state === 'waiting_for_database' && s.problem !== '');
	assert.match(status.problem, /connection to server on socket/);
	await pg.startAgain();
	await tool.released(run);
	await assertArchived(run);
	await tool.until('idle', (s) => s.state === 'idle' && s.problem === '');
	await tool.quit();
});

test('backends terminated every few milliseconds', async () => {
	agent = await FakeAgent.start();
	const runs = Array.from({ length: 3 }, () => agent.add(flood(new FakeRun(), 8).finish()));
	const tool = new Archive();
	let going = true;
	const killer = (async () => {
		while (going) {
			await pg.psql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ops'`);
			await sleep(60);
		}
	})();
	await sleep(3000);
	going = false;
	await killer;
	await tool.released(...runs);
	for (const run of runs) await assertArchived(run);
	await tool.quit();
});

test('a read-only database is waited for and named', async () => {
	agent = await FakeAgent.start();
	const tool = new Archive();
	await tool.until('idle', (s) => s.state === 'idle');
	const readOnly = async (value) => {
		await pg.psql(`alter system set default_transaction_read_only = ${value}`);
		await pg.psql('select pg_reload_conf()');
		while ((await pg.psql('show default_transaction_read_only')) !== value);
	};
	await readOnly('on');
	const run = agent.add(flood(new FakeRun(), 1).finish());
	agent.changed(run);
	await tool.until('the refusal', (s) => s.state === 'waiting_for_database' && /read-only/.test(s.problem));
	assert.equal(run.released, false);
	await readOnly('off');
	await tool.released(run);
	await assertArchived(run);
	await tool.quit();
});

test('the agent away in the middle: it waits for it and goes on', async () => {
	agent = await FakeAgent.start();
	const runs = Array.from({ length: 3 }, () => agent.add(flood(new FakeRun(), 16).finish()));
	const tool = new Archive();
	for (let i = 0; i < 3 && !runs.every((run) => run.released); i++) {
		await tool.until('some progress', (s) => s.archived > i * 4e6 || runs.every((run) => run.released));
		await agent.close();
		await tool.until('the absence', (s) => s.state === 'waiting_for_agent');
		await agent.listen();
	}
	await tool.released(...runs);
	for (const run of runs) await assertArchived(run);
	await tool.quit();
});

test('rows that are damaged or missing are found when it resumes, and copied again', async () => {
	for (const harm of [
		(id) => `update ops.run_log set records = overlay(records placing '\\x00' from 500) where run_id = '${id}' and start_offset = 0`,
		(id) => `delete from ops.run_log where run_id = '${id}' and start_offset = (select min(start_offset) from ops.run_log where run_id = '${id}' and start_offset > 0)`,
		(id) => `update ops.runs set archived_offset = archived_offset - 1 where id = '${id}'`,
	]) {
		agent ??= await FakeAgent.start();
		const run = agent.add(flood(new FakeRun(), 2));
		let tool = new Archive();
		await tool.until('all so far', (s) => s.archived === run.size);
		await tool.kill();
		await pg.psql(harm(run.id));
		flood(run, 1).finish();
		tool = new Archive();
		await tool.released(run);
		await assertArchived(run);
		assert.equal((await tool.status()).refilled, 1);
		await tool.quit();
	}
});

test('a journal that differs from what was archived replaces it', async () => {
	agent = await FakeAgent.start();
	const run = agent.add(flood(new FakeRun(), 1).finish());
	let tool = new Archive();
	await tool.released(run);
	await tool.quit();
	const other = agent.add(flood(new FakeRun({ id: run.id }), 1, 77).finish());
	tool = new Archive();
	await tool.released(other);
	await assertArchived(other);
	await tool.quit();
});

test('a database restored from an older backup is filled again from what the agent still lists', async () => {
	agent = await FakeAgent.start();
	const runs = Array.from({ length: 60 }, () => agent.add(new FakeRun().output('hello\n').finish()));
	let tool = new Archive();
	await tool.released(...runs);
	await tool.quit();
	await pg.psql(`delete from ops.run_log where run_id in (select id from ops.runs order by id desc limit 20)`);
	await pg.psql(`delete from ops.runs where id in (select id from ops.runs order by id desc limit 20)`);
	agent.releases = [];
	tool = new Archive();
	await tool.until('all of them again', () => new Set(agent.releases).size === 60);
	for (const run of runs.filter((_, i) => i % 5 === 0)) await assertArchived(run);
	assert.equal(await pg.psql('select count(*) from ops.runs where complete and released'), '60');
	await tool.quit();
});

test('a damaged record on the way is asked for again; a digest that never matches is given up and named', async () => {
	agent = await FakeAgent.start();
	const run = agent.add(flood(new FakeRun(), 1).finish());
	let harmed = 0;
	agent.corrupt = (which, offset, bytes) => {
		if (which !== run || offset === 0 || harmed++ > 0) return bytes;
		const copy = Buffer.from(bytes);
		copy[copy.length - 1] ^= 1;
		return copy;
	};
	const wrong = new FakeRun({ name: 'wrong' });
	wrong.wrongDigest = '00'.repeat(32);
	agent.add(flood(wrong, 1).finish());
	const tool = new Archive();
	await tool.released(run);
	await assertArchived(run);
	const status = await tool.until('the damaged one', (s) => s.damaged === 1 && s.state === 'idle');
	assert.equal(status.behind_runs, 1);
	assert.match(status.problem, /digest does not match/);
	while ((await pg.psql(`select problem from ops.runs where id = '${wrong.id}'`)) === '') await sleep(20);
	assert.equal(wrong.released, false);
	await tool.quit();
});

test('more runs than are tracked at once are all archived', async () => {
	agent = await FakeAgent.start();
	const runs = Array.from({ length: 1100 }, () => agent.add(new FakeRun().output('x\n').finish()));
	const tool = new Archive();
	await tool.released(...runs);
	assert.equal(await pg.psql('select count(*) from ops.runs where complete and released'), '1100');
	await tool.quit();
});

test('the history gives the log from any record on, and refuses what is none', async () => {
	agent = await FakeAgent.start();
	const run = agent.add(flood(new FakeRun(), 2).finish());
	const tool = new Archive();
	await tool.released(run);
	for (const i of [0, 1, 2, 7, 20, run.index.length - 2, run.index.length - 1]) {
		const from = tool.lines.length;
		const end = tool.next(/^log_end (\S+) (\d+) (.*)$/);
		tool.send(`log ${run.id} ${run.index[i]}`);
		assert.deepEqual((await end).slice(1), ['ok', String(run.size), '']);
		const pieces = tool.lines.slice(from).filter((l) => l.startsWith('log '));
		let offset = run.index[i];
		for (const piece of pieces) {
			const [, at, hex] = piece.split(' ');
			assert.equal(Number(at), offset);
			const bytes = Buffer.from(hex, 'hex');
			assert.ok(bytes.equals(run.journal.subarray(offset, offset + bytes.length)));
			offset += bytes.length;
		}
		assert.equal(offset, run.size);
	}
	for (const [id, offset, err] of [
		[run.id, run.index[1] + 5, 'EINVAL'],
		[run.id, run.size + 1, 'EINVAL'],
		['01890000-0000-7000-8000-000000000000', 0, 'ENOENT'],
	]) {
		const end = tool.next(/^log_end (\S+) /);
		tool.send(`log ${id} ${offset}`);
		assert.equal((await end)[1], err);
	}
	await pg.psql(`delete from ops.run_log where run_id = '${run.id}' and start_offset > 0 and start_offset < 600000`);
	const hole = tool.next(/^log_end (\S+) (\d+) (.*)$/);
	tool.send(`log ${run.id} 0`);
	assert.deepEqual((await hole).slice(1, 2).concat((await hole)[3]), ['EIO', 'a part of the log is missing in the database']);
	await tool.quit();
});

// The record that holds a line, the obvious way: where the line's first byte is.
function naiveLine(run, line) {
	let at = 0;
	let seen = 0;
	for (let offset = 0; offset < run.size; ) {
		const length = run.journal.readUInt32LE(offset);
		if (run.journal[offset + 22] !== 3) {
			for (let i = 0; i < length; i++) {
				if (seen === line) return offset;
				if (run.journal[offset + 24 + i] === 10) seen++;
			}
		}
		at = offset + 24 + length;
		offset = at;
	}
	return run.size;
}

test('the history finds lines, times and offsets', async () => {
	agent = await FakeAgent.start();
	const run = agent.add(new FakeRun());
	for (let i = 0; i < 3000; i++) run.output(i % 7 === 0 ? 'a part ' : `${'x'.repeat(i % 300)}\n${i % 5 === 0 ? 'y\n' : ''}`);
	run.finish();
	const tool = new Archive();
	await tool.released(run);
	const locate = async (kind, value) => {
		const wait = tool.next(/^locate (\S+) (\d+) (\d+) (\d+)$/);
		tool.send(`locate ${run.id} ${kind} ${value}`);
		const [, err, offset, line, time] = await wait;
		assert.equal(err, 'ok');
		return { offset: Number(offset), line: Number(line), time: Number(time) };
	};
	for (let line = 1; line < run.lines; line += 97) assert.equal((await locate(0, line)).offset, naiveLine(run, line), `line ${line}`);
	assert.equal((await locate(0, run.lines + 5)).offset, run.size);
	for (let i = 0; i < run.index.length - 1; i += 311) {
		const time = Number(run.journal.readBigUInt64LE(run.index[i] + 8));
		assert.equal((await locate(1, time)).offset, run.index[i]);
		assert.equal((await locate(1, time - 1)).offset, run.index[i]);
		assert.equal((await locate(2, run.index[i] + 3)).offset, run.index[i]);
		assert.equal((await locate(3, run.size - run.index[i])).offset, run.index[i]);
	}
	assert.equal((await locate(3, run.size * 2)).offset, 0);
	assert.equal((await locate(2, run.size)).offset, run.size);
	await tool.quit();
});

test('the history lists runs newest first, by cursor and filter', async () => {
	agent = await FakeAgent.start();
	const runs = Array.from({ length: 25 }, (_, i) => agent.add(new FakeRun({ name: i % 2 ? 'odd' : 'even_100%' }).output('x\n').finish(i % 5 ? 'succeeded' : 'failed')));
	const tool = new Archive();
	await tool.released(...runs);
	const list = async (...args) => {
		const wait = tool.next(/^list (\S+) (\d+) (\d)(.*)$/);
		tool.send(`list ${args.join(' ')}`);
		const [, err, , more, ids] = await wait;
		return { err, more: more === '1', ids: ids.trim().split(' ').filter(Boolean) };
	};
	const newest = runs.map((r) => r.id).reverse();
	assert.deepEqual(await list(10, '-', '-', '-', '-'), { err: 'ok', more: true, ids: newest.slice(0, 10) });
	assert.deepEqual(await list(10, newest[9], '-', '-', '-'), { err: 'ok', more: true, ids: newest.slice(10, 20) });
	assert.deepEqual(await list(10, newest[19], '-', '-', '-'), { err: 'ok', more: false, ids: newest.slice(20) });
	const failed = runs.filter((r) => r.status === 'failed').map((r) => r.id).reverse();
	assert.deepEqual((await list(50, '-', 'failed', '-', '-')).ids, failed);
	assert.deepEqual((await list(50, '-', 'failed,succeeded', '-', '-')).ids, newest);
	assert.deepEqual((await list(50, '-', '-', 'odd', '-')).ids, runs.filter((r) => r.name === 'odd').map((r) => r.id).reverse());
	assert.deepEqual((await list(50, '-', '-', '-', '0%')).ids, runs.filter((r) => r.name !== 'odd').map((r) => r.id).reverse());
	assert.deepEqual((await list(50, '-', '-', '-', 'TITLE')).ids.length, 25);
	assert.deepEqual((await list(50, '-', '-', '-', '_odd')).ids, []);
	assert.deepEqual((await list(50, '-', '-', '-', `#${runs[3].number}`)).ids, [runs[3].id]);
	assert.equal((await list(50, 'not-a-uuid', '-', '-', '-')).err, 'EINVAL');
	assert.equal((await list(201, '-', '-', '-', '-')).err, 'EINVAL');
	for (const [ref, id] of [[runs[4].id, runs[4].id], [String(runs[4].number), runs[4].id]]) {
		const wait = tool.next(/^get ok 1 (.*)$/);
		tool.send(`get ${ref}`);
		const document = JSON.parse((await wait)[1]);
		assert.equal(document.id, id);
		assert.equal(document.steps[0].outputs.nul, 'a\ufffdb');
	}
	const none = tool.next(/^get ENOENT/);
	tool.send('get nonsense');
	await none;
	await tool.quit();
});
