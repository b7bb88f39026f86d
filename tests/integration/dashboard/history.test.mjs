// Runs and logs from PostgreSQL: the caller cannot tell whether the agent or the database answers.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Agent, until } from '../lib/agent.mjs';
import { Journal } from '../lib/agent-client.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { Postgres } from '../lib/postgres.mjs';

const bin = makeScripts();
const commands = commandsYml(bin);

describe('with a database', () => {
	let pg, agent, dashboard, session;
	const runs = [];
	const fromAgent = {};

	const archived = () => until('everything to be archived', async () => {
		const { json } = await session.get('/readyz');
		return json.archiver.state === 'idle' && json.archiver.behind_runs === 0 && Number(await pg.psql(
			`select count(*) from ops.runs where archived_offset = size and status <> 'running'`)) >= runs.length;
	});

	before(async () => {
		pg = await Postgres.start();
		agent = await Agent.start({ commands });
		dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected({ database: true });
		session = await dashboard.login();
		runs.push(await session.run('flood', { lines: 30000 }), await session.run('speak', { code: 3 }), await session.run('speak', { code: 0 }));
		for (const run of runs) await session.finished(run.id);
		await archived();
		for (const run of runs) fromAgent[run.id] = (await session.get(`/api/v1/runs/${run.id}/log?format=records`)).bytes;
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
		await pg.destroy();
	});

	it('lists each run once while both have them', async () => {
		const { json } = await session.get('/api/v1/runs');
		assert.equal(json.history, 'ok');
		assert.deepEqual(json.runs.map((r) => r.id), runs.map((r) => r.id).reverse());
	});

	it('serves runs and logs with the agent gone', async () => {
		const before = (await session.get('/api/v1/runs')).json.runs;
		const details = (await session.get(`/api/v1/runs/${runs[1].id}`)).json.run;
		const text = (await session.get(`/api/v1/runs/${runs[0].id}/log?format=text&offset=0&limit=100000`)).text;
		await agent.stop();
		const { json } = await until('the agent to be away', async () => {
			const answer = await session.get('/api/v1/runs');
			return answer.json.agent === 'away' && answer;
		});
		assert.deepEqual(json.runs.map(({ id, status, exit_code }) => [id, status, exit_code]), before.map(({ id, status, exit_code }) => [id, status, exit_code]));
		const again = (await session.get(`/api/v1/runs/${runs[1].number}`)).json.run;
		assert.deepEqual(again, details);
		for (const run of runs) {
			const answer = await session.get(`/api/v1/runs/${run.id}/log?format=records`);
			assert.ok(answer.bytes.equals(fromAgent[run.id]));
			assert.ok(new Journal().push(answer.bytes).finished);
		}
		assert.equal((await session.get(`/api/v1/runs/${runs[0].id}/log?format=text&offset=0&limit=100000`)).text, text);
		const range = await session.get(`/api/v1/runs/${runs[0].id}/log?format=records`, { range: 'bytes=500000-700000' });
		assert.equal(range.status, 206);
		assert.ok(range.bytes.equals(fromAgent[runs[0].id].subarray(500000, 700001)));
		const at = await session.get(`/api/v1/runs/${runs[0].id}/log/locate?line=20000`);
		assert.equal(at.status, 200);
		assert.ok(at.json.line <= 20000);
		assert.equal((await session.get('/api/v1/runs?status=failed')).json.runs.length, 1);
		assert.equal((await session.get('/api/v1/runs/0193aaaa-bbbb-7ccc-8ddd-eeeeffff0000')).status, 503, 'the agent might know it');
	});

	it('serves the live topics from it, too', async () => {
		const live = await session.live();
		const list = await live.subscribe('runs').snapshot();
		assert.equal(list.runs.length, runs.length);
		assert.equal((await live.subscribe(`run/${runs[2].id}`).snapshot()).status, 'succeeded');
		const log = live.subscribe(`run/${runs[0].id}/log`, { offset: 0 });
		assert.equal((await log.snapshot()).size, fromAgent[runs[0].id].length);
		assert.equal((await log.ended()).reason, 1);
		assert.ok(Buffer.concat(log.chunks.map((c) => c.records)).equals(fromAgent[runs[0].id]));
		const tail = live.subscribe(`run/${runs[0].id}/log`, { offset: -300000 });
		const { offset } = await tail.snapshot();
		await tail.ended();
		assert.ok(offset > 0);
		assert.ok(Buffer.concat(tail.chunks.map((c) => c.records)).equals(fromAgent[runs[0].id].subarray(offset)));
		const slow = live.subscribe(`run/${runs[0].id}/log`, { offset: 0, autoCredit: false });
		await slow.until('the first MiB', () => slow.bytes >= 1 << 20);
		assert.ok(slow.bytes < (1 << 20) + 300000);
		slow.unsubscribe();
		assert.equal((await slow.ended()).reason, 2);
		live.destroy();
	});

	it('does not call a log whole of which the agent has the rest', async () => {
		const { id } = runs[0], whole = fromAgent[id];
		const part = Number(await pg.psql(`select min(end_offset) from ops.run_log where run_id = '${id}'`));
		assert.ok(part < whole.length);
		const known = await pg.psql(`select archived_offset from ops.runs where id = '${id}'`);
		const path = `/api/v1/runs/${id}/log?format=records`;
		assert.match((await session.get(path)).headers['cache-control'], /immutable/);
		await pg.psql(`update ops.runs set complete = false, archived_offset = ${part} where id = '${id}';
			create table keep as select * from ops.run_log where run_id = '${id}' and start_offset >= ${part};
			delete from ops.run_log where run_id = '${id}' and start_offset >= ${part}`);
		try {
			const answer = await session.get(path);
			assert.equal(answer.status, 200);
			assert.ok(answer.bytes.equals(whole.subarray(0, part)));
			assert.equal(answer.headers.etag, undefined);
			assert.doesNotMatch(answer.headers['cache-control'], /immutable/);
			assert.equal((await session.get(`${path}&offset=${whole.length}`)).status, 503, 'the agent has it');
		} finally {
			await pg.psql(`insert into ops.run_log select * from keep; drop table keep;
				update ops.runs set complete = true, archived_offset = ${known} where id = '${id}'`);
		}
		assert.equal((await session.get(`${path}&offset=${whole.length + 1}`)).status, 400);
		assert.equal((await session.get(`${path}&offset=5`)).status, 400, 'no record begins there');
		const second = 24 + whole.readUInt32LE(0);
		assert.ok((await session.get(`${path}&offset=${second}`)).bytes.equals(whole.subarray(second)));
		assert.ok((await session.get(path)).bytes.equals(whole));
	});

	it('does not let anybody keep the answer that a log is damaged', async () => {
		const { id } = runs[1], first = `where run_id = '${id}' and start_offset = 0`;
		await pg.psql(`create table keep as select * from ops.run_log ${first};
			update ops.run_log set records = set_byte(records, 30, 255 - get_byte(records, 30)) ${first}`);
		const answer = await session.get(`/api/v1/runs/${id}/log?format=records&limit=100000`, { 'accept-encoding': 'gzip' });
		await pg.psql(`update ops.run_log set records = keep.records from keep where run_log.run_id = keep.run_id and run_log.start_offset = 0; drop table keep`);
		assert.equal(answer.status, 500);
		assert.equal(answer.headers['cache-control'], 'no-store');
		for (const name of ['etag', 'content-encoding', 'x-log-size']) assert.equal(answer.headers[name], undefined, name);
		assert.equal(answer.json.code, 'internal');
	});

	it('goes on with the agent when it is back, and without the database', async () => {
		await agent.spawn();
		await dashboard.connected();
		await pg.stop();
		await until('the database to be down', async () => (await session.get('/readyz')).json.database.state !== 'ready');
		const run = await session.run('speak', { code: 0 });
		runs.push(run);
		await session.finished(run.id);
		const list = (await session.get('/api/v1/runs')).json;
		assert.equal(list.history, 'unavailable');
		assert.equal(list.runs[0].id, run.id);
		assert.match((await session.get(`/api/v1/runs/${run.id}/log`)).text, /out\n/);
		const live = await session.live();
		const topic = live.subscribe('runs');
		assert.equal((await topic.snapshot()).history, 'unavailable');
		await pg.startAgain();
		assert.equal((await topic.event('snapshot', 1)).data.history, 'ok');
		await archived();
		live.destroy();
	});
});

describe('a database that comes late', () => {
	it('fills in what was run without it', async () => {
		const pg = await Postgres.start();
		await pg.stop();
		const agent = await Agent.start({ commands });
		const dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected();
		const session = await dashboard.login();
		const run = await session.run('speak', { code: 0 });
		await session.finished(run.id);
		await pg.startAgain();
		await until('history', async () => {
			try {
				return (await pg.psql(`select status from ops.runs where id = '${run.id}' and archived_offset = size`)).trim() === 'succeeded';
			} catch {
				return false;
			}
		});
		await dashboard.destroy();
		await agent.destroy();
		await pg.destroy();
	});
});
