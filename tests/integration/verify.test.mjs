// `ops-dashboard verify` and `rebuild`: what is damaged is found, named, and mended while the agent can; the
// tables of runs and steps are made again out of the logs; what is too old is dropped by the month.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';

import { Archive, assertArchived, flood, tools } from './lib/archive.mjs';
import { DASHBOARD, Dashboard, passwordHash } from './lib/dashboard.mjs';
import { FakeAgent, FakeRun } from './lib/fake-agent.mjs';
import { Postgres } from './lib/postgres.mjs';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let pg, agent;

before(async () => { pg = await Postgres.start(); });
after(async () => { await pg?.destroy(); });
afterEach(async () => {
	for (const tool of tools) await tool.kill();
	await agent?.destroy();
	agent = undefined;
	await pg.psql('truncate ops.runs, ops.run_log cascade');
});

function command(name, more = {}) {
	const env = {
		PATH: process.env.PATH, DATABASE_URL: pg.url, AUTH_SECRET: randomBytes(32).toString('hex'), AUTH_PASSWORD_HASH: passwordHash(),
		OPS_AGENT_SECRET: agent.secret, OPS_AGENT_SOCKET: agent.socket, STATE_DIR: '/nowhere', ...more,
		...Object.fromEntries(Object.entries(process.env).filter(([k]) => /^(A|UB|L)SAN_OPTIONS$/.test(k))),
	};
	return new Promise((resolve) => execFile(DASHBOARD, [name], { env }, (error, stdout, stderr) => resolve({ code: error ? error.code : 0, stdout, stderr })));
}

// Three runs, archived.
async function archived({ random = false } = {}) {
	const fill = (run) => {
		if (!random) return flood(run, 2);
		for (let i = 0; i < 32; i++) run.output(randomBytes(65536));
		return run;
	};
	agent = await FakeAgent.start();
	const runs = [agent.add(fill(new FakeRun({ name: 'first' })).finish()), agent.add(fill(new FakeRun({ name: 'second', steps: ['dump', 'check'] })).finish('failed')), agent.add(new FakeRun({ name: 'third' }).output('x\n').finish())];
	const tool = new Archive(agent, pg.url);
	await tool.released(...runs);
	await tool.until('idle', (s) => s.state === 'idle');
	await tool.quit();
	return runs;
}

test('a whole archive is said to be whole', async () => {
	const runs = await archived();
	const { code, stdout } = await command('verify');
	assert.equal(stdout, `3 runs, ${runs.reduce((sum, run) => sum + run.size, 0)} bytes: 0 copied again, 0 damaged\naudit: 0 entries, the chain is whole; no head of it is noted in STATE_DIR to compare with\n`);
	assert.equal(code, 0);
});

const row = (run, n) => `run_id = '${run.id}' and start_offset = (select start_offset from ops.run_log where run_id = '${run.id}' order by 1 offset ${n} limit 1)`;
const DAMAGES = {
	'a hole': [(run) => `delete from ops.run_log where ${row(run, 3)}`, /a row is missing/],
	'a flipped bit': [(run) => `update ops.run_log set records = set_byte(records, 70000, get_byte(records, 70000) # 1) where ${row(run, 2)}`, /a record is damaged/],
	'a cut end': [(run) => `delete from ops.run_log where run_id = '${run.id}' and start_offset = (select max(start_offset) from ops.run_log where run_id = '${run.id}')`, /a row is missing/],
	'another digest': [(run) => `update ops.runs set digest = sha256('x') where id = '${run.id}'`, /the digest is another one/],
	'an archive that says less than there is': [(run) => `delete from ops.run_log where ${row(run, 0)}`, /at offset 0 a row is missing/],
};
for (const [name, [damage, said]] of Object.entries(DAMAGES)) {
	test(`${name} is found and mended from the agent`, async () => {
		const [first, second, third] = await archived();
		await pg.psql(damage(second));
		const { code, stdout } = await command('verify');
		assert.match(stdout, new RegExp(`^${second.id}: at offset \\d+ .*: copied again from the agent$`, 'm'));
		assert.match(stdout, said);
		assert.match(stdout, /^3 runs, \d+ bytes: 1 copied again, 0 damaged$/m);
		assert.equal(code, 0);
		for (const run of [first, second, third]) await assertArchived(pg, run);
	});
}

test('what the agent does not have any more is named and left as it is', async () => {
	const [first, second] = await archived();
	await pg.psql(damage(second));
	function damage(run) { return DAMAGES['a hole'][0](run); }
	const rows = `select count(*) from ops.run_log where run_id = '${second.id}'`;
	const left = await pg.psql(rows);
	agent.runs.delete(second.id);
	const gone = await command('verify');
	assert.equal(gone.code, 1);
	assert.match(gone.stdout, /a row is missing: the agent does not have it any more/);
	assert.match(gone.stdout, /^2 runs, \d+ bytes: 0 copied again, 1 damaged$/m);
	await agent.close();
	const away = await command('verify');
	assert.equal(away.code, 1);
	assert.match(away.stdout, /a row is missing: the agent cannot be asked/);
	await agent.listen();
	assert.equal(await pg.psql(rows), left);
	await assertArchived(pg, first);
});

test('pages that became zeros, which PostgreSQL does not see, are found and mended', async () => {
	const runs = await archived();
	const file = await pg.psql(`select pg_relation_filepath(tableoid) from ops.run_log where run_id = '${runs[1].id}' limit 1`);
	await pg.psql('checkpoint');
	await pg.stop();
	const fd = openSync(join(pg.data, file), 'r+');
	writeSync(fd, Buffer.alloc(8192), 0, 8192, 0);
	closeSync(fd);
	await pg.startAgain();
	const { code, stdout } = await command('verify');
	assert.match(stdout, /a row is missing: copied again from the agent/);
	assert.match(stdout, /REINDEX TABLE ops.run_log/);
	assert.equal(code, 0, stdout);
	await pg.psql('reindex table ops.run_log');
	for (const run of runs) await assertArchived(pg, run);
});

test('a damaged page, which PostgreSQL refuses to read, costs the run whose page it is; the others are read', async () => {
	const runs = await archived({ random: true });
	const toast = await pg.psql(`select c.reltoastrelid::regclass from ops.run_log l join pg_class c on c.oid = l.tableoid where run_id = '${runs[1].id}' limit 1`);
	const file = await pg.psql(`select pg_relation_filepath('${toast}')`);
	// A page by what is in it: bytes of the second run.
	const middle = runs[1].journal.length >> 1;
	const bytes = Array.from({ length: 8 }, (_, i) => `position('\\x${runs[1].journal.subarray(middle + i * 500, middle + i * 500 + 32).toString('hex')}'::bytea in chunk_data) > 0`);
	const page = Number(await pg.psql(`select (ctid::text::point)[0]::int from ${toast} where ${bytes.join(' or ')} limit 1`));
	await pg.psql('checkpoint');
	await pg.stop();
	const fd = openSync(join(pg.data, file), 'r+');
	writeSync(fd, Buffer.from('this is no page'), 0, 15, page * 8192 + 4000);
	closeSync(fd);
	await pg.startAgain();
	await assert.rejects(assertArchived(pg, runs[1]), /invalid page in block/);
	for (const run of [runs[0], runs[2]]) await assertArchived(pg, run);
	const { code, stdout } = await command('verify');
	assert.match(stdout, new RegExp(`^${runs[1].id}: at offset \\d+ PostgreSQL says: invalid page in block ${page} of relation `, 'm'));
	assert.match(stdout, /: 0 copied again, 1 damaged$/m);
	assert.equal(stdout.split('\n').filter((line) => / at offset /.test(line)).length, 1, stdout);
	assert.equal(code, 1);
});

test('without a database it says so', async () => {
	await archived();
	await pg.stop();
	const { code, stderr } = await command('verify');
	assert.equal(code, 69);
	assert.match(stderr, /ops at .*: .*connection/);
	await pg.startAgain();
});

test('runs and steps are made again out of the logs', async () => {
	const [first, second, third] = await archived();
	const tables = async () => [
		await pg.psql('select id, name, status, exit_code, bytes, lines, size, complete, digest, archived_offset, finished_us, started_us from ops.runs order by id'),
		await pg.psql('select run_id, step, step_id, uses, phase, status, attempt, exit_code, started_us, finished_us, start_offset from ops.run_steps order by 1, 2'),
	];
	// What the journal itself says of the start is what a rebuilt row has.
	await pg.psql('update ops.runs r set started_us = (select min(started_us) from ops.run_steps s where s.run_id = r.id)');
	const before = await tables();
	await pg.psql(`delete from ops.runs where id = '${second.id}'; delete from ops.run_steps where run_id = '${first.id}'; update ops.runs set status = 'lost', exit_code = 7, complete = false, digest = null where id = '${third.id}'`);
	assert.match((await command('verify')).stdout, new RegExp(`^${second.id}: .*the run's own row is missing`, 'm'));
	const { code, stdout } = await command('rebuild');
	assert.match(stdout, /^3 runs, \d+ bytes: 3 written anew, 0 damaged$/m);
	assert.equal(code, 0);
	assert.deepEqual(await tables(), before);
	assert.equal(await pg.psql(`select document->>'name', document->>'status', document->>'id' from ops.runs where id = '${second.id}'`), `second|failed|${second.id}`);
	assert.equal((await command('verify')).code, 0);
});

test('why a run failed is found again by a rebuild, and looked for anew in what was copied again', async () => {
	agent = await FakeAgent.start();
	const failed = agent.add(flood(new FakeRun({ steps: ['one', 'two'] }).output('error: of another step\n', { step: 1 }), 2)
		.output('E: dpkg was interr').output('upted\nfatal\n').finish('failed', ['failed', 'succeeded']));
	const stderr = agent.add(new FakeRun({}).output('the disk is full\n', { kind: 2 }).output('bye\n').finish('failed'));
	// Of a step nothing is before its beginning, where the dashboard begins to look.
	const late = new FakeRun({ steps: [] }).output('error: too early\n');
	late.steps = ['late'];
	late.event(0, { event: 'step.started', step_id: 'late', attempt: 1 });
	agent.add(late.output('it cannot be\n').finish('failed'));
	const good = agent.add(new FakeRun({}).output('no such file\n').finish());
	const tool = new Archive(agent, pg.url);
	await tool.released(failed, stderr, late, good);
	await tool.quit();
	const lines = () => pg.psql('select error_line, error_text from ops.runs order by id');
	assert.equal(await lines(), '|\n|\n|\n|');
	assert.equal((await command('rebuild')).code, 0);
	assert.equal(await lines(), `${failed.lines - 1}|E: dpkg was interrupted\n1|the disk is full\n2|it cannot be\n|`);
	await pg.psql(`delete from ops.runs where id = '${failed.id}'; update ops.runs set error_line = 7, error_text = 'x'`);
	assert.equal((await command('rebuild')).code, 0);
	assert.equal(await lines(), `${failed.lines - 1}|E: dpkg was interrupted\n1|the disk is full\n2|it cannot be\n|`);
	// What it was found in may not have been the log.
	await pg.psql(DAMAGES['another digest'][0](failed));
	assert.equal((await command('verify')).code, 0);
	assert.equal(await lines(), '|\n1|the disk is full\n2|it cannot be\n|');
});

test('an archiver that meets rows of a run that has none itself starts it over', async () => {
	const [, second] = await archived();
	await pg.psql(`delete from ops.runs where id = '${second.id}'`);
	second.released = false;
	const tool = new Archive(agent, pg.url);
	await tool.released(second);
	await assertArchived(pg, second);
	await tool.quit();
});

test('months that are too old are dropped with their runs, others are kept', async () => {
	agent = await FakeAgent.start();
	const at = (days) => Date.now() - days * 86400e3;
	const id = (ms) => {
		const hex = Math.floor(ms).toString(16).padStart(12, '0') + '7' + randomBytes(9).toString('hex').slice(0, 3) + '8' + randomBytes(8).toString('hex').slice(0, 15);
		return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
	};
	const runs = [400, 100, 2].map((days) => agent.add(flood(new FakeRun({ id: id(at(days)) }), 1).finish()));
	const tool = new Archive(agent, pg.url);
	await tool.released(...runs);
	await tool.quit();
	const month = new Date(at(400)).toISOString().slice(0, 7).replace('-', '_');
	// Its month had a partition while it was made; the run of 100 days ago went to the DEFAULT one.
	await pg.psql(`create table ops.run_log_${month} (like ops.run_log including all);
		with moved as (delete from ops.run_log_default where run_id = '${runs[0].id}' returning *) insert into ops.run_log_${month} select * from moved;
		do $$ declare first timestamp := to_date('${month}', 'YYYY_MM'); begin
			execute format('alter table ops.run_log attach partition ops.run_log_${month} for values from (%L) to (%L)', ops.uuid_floor(first), ops.uuid_floor(first + interval '1 month'));
		end $$; alter table ops.run_log_${month} owner to ops`);
	assert.equal(await pg.psql(`select count(*) > 0 from ops.run_log_${month}`), 't');
	const dashboard = await Dashboard.start({ databaseUrl: pg.url, env: { RETENTION_DAYS: '365' } });
	try {
		for (let i = 0; (await pg.psql(`select count(*) from ops.runs where id = '${runs[0].id}'`)) !== '0'; i++) assert.ok(i < 600 && !(await sleep(50)));
		assert.equal(await pg.psql(`select count(*) from ops.run_log where run_id = '${runs[0].id}'`), '0');
		assert.equal(await pg.psql(`select to_regclass('ops.run_log_${month}') is null`), 't');
		for (const run of runs.slice(1)) await assertArchived(pg, run);
	} finally {
		await dashboard.destroy();
	}
});

// Five entries of the audit by a real dashboard, which then stops. `damage` is done to the table by somebody who
// may write to it; the chain's hashes are made to fit where `chain` says so.
const rehash = `do $$ declare r record; last bytea := decode(repeat('00', 32), 'hex'); begin
	for r in select position, entry from ops.audit order by position loop
		update ops.audit set previous_hash = last, hash = sha256(last || r.entry) where position = r.position;
		last := sha256(last || r.entry);
	end loop; end $$`;
const FORGERIES = {
	'nothing': ['select 1', /^audit: 5 entries, the chain is whole$/m, 0],
	'an entry that was changed': [`update ops.audit set entry = convert_to('{}', 'UTF8') where position = (select position from ops.audit order by 1 offset 2 limit 1)`, /^audit: entry at position \d+: it is not what was written then$/m, 1],
	'an entry that was removed': ['delete from ops.audit where position = (select position from ops.audit order by 1 offset 2 limit 1)', /^audit: entry at position \d+: it does not follow the one before it/m, 1],
	'the first entry removed': ['delete from ops.audit where position = (select min(position) from ops.audit)', /^audit: entry at position \d+: it does not follow/m, 1],
	'the newest entries removed': ['delete from ops.audit where position >= (select max(position) - 1 from ops.audit)', /^audit: entry at position \d+: this dashboard has noted it, and it is not there any more$/m, 1],
	'everything removed': ['delete from ops.audit', /not there any more$/m, 1],
	'a chain that was written anew': [`update ops.audit set entry = convert_to('{}', 'UTF8') where position = (select min(position) from ops.audit); ${rehash}`, /^audit: entry at position \d+: this dashboard noted another one here/m, 1],
};
for (const [name, [damage, said, status]] of Object.entries(FORGERIES)) {
	test(`the audit's chain: ${name}`, async () => {
		agent = await FakeAgent.start();
		const dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected({ database: true });
		try {
			const session = await dashboard.login();
			for (let i = 0; i < 4; i++) await session.post('/api/v1/session/reauth', { password: dashboard.password });
			for (let i = 0; (await pg.psql('select count(*) from ops.audit')) !== '5'; i++) assert.ok(i < 600 && !(await sleep(50)));
			assert.equal(await dashboard.stop(), 0);
			await pg.psql(damage);
			const { code, stdout, stderr } = await command('verify', { STATE_DIR: dashboard.env.STATE_DIR });
			assert.match(stdout, said, stderr);
			assert.equal(code, status);
		} finally {
			await dashboard.destroy();
			await pg.psql('truncate ops.audit');
		}
	});
}
