// Why a run failed, in one line: found once its log is archived, told with its document wherever that comes from, and
// the same whoever looks, whenever.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../lib/agent.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun, uuidV7 } from '../lib/fake-agent.mjs';
import { Postgres } from '../lib/postgres.mjs';

const DPKG = { line: 2, text: 'E: dpkg was interrupted, run it again' };
const interrupted = (run) => run.output('Reading lists\n').output('\x1b[1mE: dpkg was ').output('interrupted\x1b[0m, run it again\n', {}).output('E: failed\n', { kind: 2 });

describe('the first error of a failed run', () => {
	let pg, agent, dashboard, session;

	const column = (run) => pg.psql(`select coalesce(error_line::text, 'null') || ' ' || coalesce(error_text, '') from ops.runs where id = '${run.id}'`).then((t) => t.trim());
	const looked = (run) => until('somebody to have looked at it', async () => !(await column(run)).startsWith('null') && (await column(run)) !== '');
	const inList = async (run, s = session) => (await s.get('/api/v1/runs')).json.runs.find((r) => r.id === run.id);
	const alone = async (run, s = session) => (await s.get(`/api/v1/runs/${run.id}`)).json.run;
	const told = (run, s = session) => until('it to be told', async () => (await inList(run, s))?.first_error);

	before(async () => {
		pg = await Postgres.start();
		agent = await FakeAgent.start();
		dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected({ database: true });
		session = await dashboard.login();
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
		await pg.destroy();
	});

	it('is in the list, in the run, and told to who watches once it is known', async () => {
		const live = await session.live();
		const runs = live.subscribe('runs');
		await runs.event('snapshot');
		const run = agent.add(new FakeRun({}));
		const one = live.subscribe(`run/${run.id}`);
		await one.event('snapshot');
		interrupted(run).finish('failed');
		agent.changed(run);
		for (const sub of [runs, one]) {
			const put = await sub.until('the run with its error', () => sub.messages.find((m) => m.event === 'put' && m.data.id === run.id && m.data.first_error));
			assert.deepEqual(put.data.first_error, DPKG);
			assert.equal(put.data.status, 'failed');
			assert.equal('steps' in put.data, sub === one);
		}
		assert.deepEqual((await inList(run)).first_error, DPKG);
		assert.deepEqual((await alone(run)).first_error, DPKG);
		// What the agent says of it later does not take it away.
		agent.changed(run);
		await runs.until('another put', () => runs.messages.filter((m) => m.event === 'put' && m.data.first_error).length >= 2);
		// As a new page would have it, and as the database alone has it.
		const again = (await session.live()).subscribe(`run/${run.id}`);
		assert.deepEqual((await again.event('snapshot')).data.first_error, DPKG);
		again.live.close();
		agent.runs.delete(run.id);
		assert.deepEqual((await inList(run)).first_error, DPKG);
		assert.deepEqual((await alone(run)).first_error, DPKG);
		assert.deepEqual((await session.get(`/api/v1/runs/${run.number}`)).json.run.first_error, DPKG);
		agent.add(run);
		live.close();
	});

	it('what succeeded or was cancelled has none, whatever it wrote; nor has what does not say why', async () => {
		const [good, cancelled, silent] = ['succeeded', 'cancelled', 'failed'].map((status) => {
			const run = agent.add(new FakeRun({}));
			return (status === 'failed' ? run.output('all is well\n') : interrupted(run)).finish(status);
		});
		for (const run of [good, cancelled, silent]) agent.changed(run);
		await looked(silent);
		assert.equal(await column(silent), '0');
		await until('all to be released', () => [good, cancelled, silent].every((r) => r.released));
		for (const run of [good, cancelled, silent]) {
			assert.equal('first_error' in (await inList(run)), false);
			assert.equal('first_error' in (await alone(run)), false);
		}
		assert.equal(await column(good), 'null');
	});

	it('of a flow it is that of the step that went wrong', async () => {
		const run = agent.add(new FakeRun({ steps: ['look', 'build', 'tidy'] }));
		run.output('error: nothing to worry about\n', { step: 0 }).output('fatal: it broke\n', { step: 2 }).output('make: *** Error 2\n', { step: 1 });
		run.finish('failed', ['succeeded', 'failed', 'failed']);
		agent.changed(run);
		assert.deepEqual(await told(run), { line: 3, text: 'make: *** Error 2' });
	});

	it('is found when the dashboard was killed in the middle of the run', async () => {
		const run = agent.add(new FakeRun({}));
		run.output('x'.repeat(60000) + '\n');
		for (let i = 0; i < 20; i++) run.output('y'.repeat(60000) + '\n');
		run.output('it cann');
		agent.changed(run);
		await until('some of it to be archived', async () => Number(await pg.psql(`select archived_offset from ops.runs where id = '${run.id}'`)) > 1e6);
		await dashboard.kill9();
		run.output('ot be\nfailed\n').finish('timed_out');
		await dashboard.spawn();
		await dashboard.connected({ database: true });
		assert.deepEqual(await told(run), { line: 22, text: 'it cannot be' });
	});

	it('of runs that an older dashboard archived it is found as well', async () => {
		const runs = [...agent.runs.values()].filter((r) => r.status === 'failed' || r.status === 'timed_out');
		const before = await Promise.all(runs.map(column));
		await dashboard.stop();
		await pg.psql('update ops.runs set error_line = null, error_text = null');
		await dashboard.spawn();
		await dashboard.connected({ database: true });
		for (const run of runs) await looked(run);
		assert.deepEqual(await Promise.all(runs.map(column)), before);
		assert.ok(before.includes('2 E: dpkg was interrupted, run it again') && before.includes('0'));
	});

	it('is not there while PostgreSQL is away, and comes with it', async () => {
		await pg.stop();
		const run = interrupted(agent.add(new FakeRun({}))).finish('failed');
		agent.changed(run);
		assert.equal((await alone(run)).status, 'failed');
		assert.equal('first_error' in (await alone(run)), false);
		await pg.startAgain();
		assert.deepEqual(await told(run), DPKG);
		assert.deepEqual((await alone(run)).first_error, DPKG);
	});

	it('what was found before is told while PostgreSQL is away', async () => {
		const run = [...agent.runs.values()].find((r) => r.status === 'timed_out');
		await pg.stop();
		assert.equal((await alone(run)).first_error.text, 'it cannot be');
		await pg.startAgain();
		await dashboard.connected({ database: true });
	});

	it('a log that cannot be read stops nobody', async () => {
		await dashboard.stop();
		const run = interrupted(agent.add(new FakeRun({}))).finish('failed');
		await dashboard.spawn();
		await told(run);
		await dashboard.stop();
		await pg.psql(`update ops.runs set error_line = null, error_text = null; delete from ops.run_log where run_id = '${run.id}'`);
		const next = interrupted(agent.add(new FakeRun({}))).finish('lost');
		await dashboard.spawn();
		await dashboard.connected({ database: true });
		assert.deepEqual(await told(next), DPKG);
		await looked(run);
		assert.equal(await column(run), '0');
	});

	it('older runs that somebody looks at do not push out what is known of newer ones', async () => {
		// as many as have one place in memory
		const runs = ['a', 'b', 'c', 'd'].map((c) => interrupted(agent.add(new FakeRun({ id: `${uuidV7().slice(0, -6)}0${c}beef` }))).finish('failed'));
		for (const run of runs) {
			agent.changed(run);
			await told(run);
		}
		const id = '01700000-0000-7000-8000-00000000beef';
		await pg.psql(`insert into ops.runs (id, number, host, status, complete, digest, document, error_line, error_text)
			values ('${id}', 1, 'fake', 'failed', true, sha256('x'), jsonb_build_object('id', '${id}', 'status', 'failed'), 1, 'old')`);
		assert.equal((await inList({ id })).first_error.text, 'old');
		for (const run of runs) assert.deepEqual((await alone(run)).first_error, DPKG);
		await pg.psql(`delete from ops.runs where id = '${id}'`);
	});

	it('a run of which PostgreSQL refuses something holds up none behind it', async () => {
		const [older, newer] = [0, 1].map(() => interrupted(agent.add(new FakeRun({}))).finish('failed'));
		for (const run of [older, newer]) {
			agent.changed(run);
			await told(run);
		}
		await dashboard.stop();
		await pg.psql(`update ops.runs set error_line = null, error_text = null where id in ('${older.id}', '${newer.id}');
			create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$;
			create trigger refuse before update of error_line on ops.runs for each row when (new.id = '${newer.id}') execute function refuse()`);
		await dashboard.spawn();
		await dashboard.connected({ database: true });
		await looked(older);
		assert.equal(await column(newer), 'null');
		await pg.psql('drop trigger refuse on ops.runs; drop function refuse()');
		// A new run is not waited for until the next try.
		const next = interrupted(agent.add(new FakeRun({}))).finish('failed');
		agent.changed(next);
		await looked(next);
		await looked(newer);
		assert.deepEqual((await alone(newer)).first_error, DPKG);
	});

	it('another dashboard on the same database, of another host, tells it too', async () => {
		const there = await FakeAgent.start();
		there.host = 'there';
		there.agentId = '00000000-0000-7000-8000-000000000001';
		const other = await (await Dashboard.start({ agent: there, databaseUrl: pg.url })).connected({ database: true });
		const theirs = await other.login();
		const live = await theirs.live();
		const runs = live.subscribe('runs');
		await runs.event('snapshot');
		const here = interrupted(agent.add(new FakeRun({}))).finish('failed');
		const away = interrupted(there.add(new FakeRun({ host: 'there' }))).finish('failed');
		agent.changed(here);
		there.changed(away);
		for (const run of [here, away]) {
			await runs.until('it to be told there', () => runs.messages.find((m) => m.event === 'put' && m.data.id === run.id && m.data.first_error));
			for (const s of [session, theirs]) assert.deepEqual(await told(run, s), DPKG);
		}
		live.close();
		await other.destroy();
		await there.destroy();
	});

	it('nobody looks again at what was looked at', async () => {
		const plan = await pg.psql(`explain select id from ops.runs where complete and error_line is null and status in ('failed', 'timed_out', 'lost') order by id desc limit 1`);
		assert.match(plan, /runs_unexplained/);
		assert.equal((await pg.psql(`select count(*) from ops.runs where complete and error_line is null and status in ('failed', 'timed_out', 'lost')`)).trim(), '0');
	});
});
