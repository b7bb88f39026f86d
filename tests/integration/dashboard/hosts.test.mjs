// Several agents behind one dashboard: real agents, a real PostgreSQL. What they have is shown together,
// what is done goes to the right one, and one that is away, hung or wrong disturbs no other.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { assertIs } from '../../api/document.mjs';
import { Agent, until } from '../lib/agent.mjs';
import { Journal } from '../lib/agent-client.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';
import { Dashboard, DASHBOARD, request } from '../lib/dashboard.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { HttpReceiver } from '../lib/receivers.mjs';

const bin = makeScripts();
const flow = (id) => `version: 1\nid: ${id}\ntitle: Of ${id}\nschedule: [{ cron: "@yearly", timezone: UTC }]\nsteps: [{ id: one, uses: speak, with: { code: 0 } }]\n`;
// Each host has the same commands, one of its own, and the flow `same`.
const commandsOf = (name) => `${commandsYml(bin)}
  only-${name}:
    title: Only on ${name}
    exec: [/bin/echo, "this is ${name}"]
`;

const startAgent = (name, env = {}) => Agent.start({
	commands: commandsOf(name),
	flows: { same: flow('same'), [`of-${name}`]: flow(`of-${name}`) },
	status: 'version: 1\ninterval: 1s\n',
	env: { OPS_AGENT_HOST: name, ...env },
});

// An AGENTS_FILE in a folder of its own: file.write([{ host, agent, … }]).
class AgentsFile {
	constructor() {
		this.dir = mkdtempSync(join(tmpdir(), 'ops-agents-'));
		chmodSync(this.dir, 0o755);
		this.path = join(this.dir, 'agents.yml');
	}

	write(agents) {
		const lines = agents.map(({ host, agent, title, secret }) => {
			const file = join(this.dir, `secret-${host}`);
			writeFileSync(file, `${secret ?? agent.secret}\n`, { mode: 0o600 });
			return `  - { host: ${host}, ${title ? `title: "${title}", ` : ''}socket: ${agent.socket}, secret_file: ${file} }\n`;
		});
		writeFileSync(this.path, `version: 1\nagents:\n${lines.join('')}`, { mode: 0o644 });
		return this;
	}

	get env() { return { AGENTS_FILE: this.path, OPS_AGENT_SECRET: '', OPS_AGENT_SOCKET: '' }; }
	remove() { rmSync(this.dir, { recursive: true, force: true }); }
}

const hostsOf = async (session) => Object.fromEntries((await session.get('/api/v1/hosts')).json.hosts.map((h) => [h.host, h]));
const allConnected = (session, ...names) => until(`${names} to be connected`, async () => {
	const hosts = await hostsOf(session);
	return names.every((n) => hosts[n]?.state === 'connected');
});
const archived = (pg, id) => until('the run to be archived', async () =>
	(await pg.psql(`select complete from ops.runs where id = '${id}'`)).trim() === 't');
const journalOf = (agent, id) => readFileSync(join(agent.stateDir, 'runs', id, 'journal'));
const records = async (session, id) => {
	const answer = await session.get(`/api/v1/runs/${id}/log?format=records`, { 'accept-encoding': 'identity' });
	assert.equal(answer.status, 200, answer.text);
	return answer.bytes;
};

const command = (name, env) => new Promise((resolve) =>
	execFile(DASHBOARD, [name], { env }, (error, stdout, stderr) => resolve({ code: error ? error.code : 0, stdout, stderr })));

describe('two agents', () => {
	let pg, web, db, file, dashboard, session;

	before(async () => {
		pg = await Postgres.start();
		web = await startAgent('web1');
		db = await startAgent('db1');
		file = new AgentsFile().write([{ host: 'web1', agent: web, title: 'Web server' }, { host: 'db1', agent: db }]);
		dashboard = await Dashboard.start({ databaseUrl: pg.url, env: file.env });
		await dashboard.connected({ database: true });
		session = await dashboard.login();
		await allConnected(session, 'web1', 'db1');
		await session.catalogued();
	});
	after(async () => {
		const code = await dashboard?.stop();
		await dashboard?.destroy();
		await web?.destroy();
		await db?.destroy();
		await pg?.destroy();
		file?.remove();
		assert.equal(code, 0);
	});

	it('/hosts, /readyz and the topic system tell both, the first as the primary one', async () => {
		const { json } = await session.get('/api/v1/hosts');
		assertIs('HostList', json);
		assert.deepEqual(json.hosts.map((h) => [h.host, h.title, h.primary, h.state]), [['web1', 'Web server', true, 'connected'], ['db1', 'db1', false, 'connected']]);
		assert.notEqual(json.hosts[0].agent_id, json.hosts[1].agent_id);
		const ready = await session.get('/readyz');
		assertIs('Readiness', ready.json);
		assert.equal(ready.json.status, 'ready');
		assert.deepEqual(ready.json.agents.map((a) => a.host), ['web1', 'db1']);
		const open = await request(dashboard, 'GET', '/readyz');
		assert.equal(open.json.agents, undefined, 'names are not for strangers');
		const live = await session.live();
		const system = await live.subscribe('system').snapshot();
		assertIs('System', system);
		assert.equal(system.host, 'web1');
		assert.deepEqual(system.agents.map((a) => [a.host, a.state]), [['web1', 'connected'], ['db1', 'connected']]);
		live.destroy();
	});

	it('the catalogue is all of them, each command and flow with its host; ?host= is one', async () => {
		const { json } = await session.get('/api/v1/catalog');
		assertIs('Catalogue', json);
		assert.deepEqual(json.commands.filter((c) => c.id === 'speak').map((c) => c.host), ['web1', 'db1']);
		assert.deepEqual(json.commands.filter((c) => c.id.startsWith('only-')).map((c) => [c.id, c.host]), [['only-web1', 'web1'], ['only-db1', 'db1']]);
		assert.deepEqual(json.flows.map((f) => `${f.host}/${f.id}`).sort(), ['db1/of-db1', 'db1/same', 'web1/of-web1', 'web1/same']);
		assert.deepEqual(json.hosts.map((h) => [h.host, h.title, h.primary]), [['web1', 'Web server', true], ['db1', 'db1', false]]);
		assert.equal(json.config_digest, json.hosts[0].digest);
		const one = (await session.get('/api/v1/catalog?host=db1')).json;
		assertIs('Catalogue', one);
		assert.deepEqual([...new Set([...one.commands, ...one.flows].map((x) => x.host))], ['db1']);
		assert.equal(one.config_digest, json.hosts[1].digest);
		const none = await session.get('/api/v1/catalog?host=elsewhere');
		assert.deepEqual([none.status, none.json.code], [404, 'unknown_host']);
		assert.match(none.json.detail, /web1, db1/);
		const live = await session.live();
		assert.deepEqual(await live.subscribe('catalog').snapshot(), json);
		live.destroy();
	});

	it('a start goes to the only host that has it, to the one named, and to none when it is not clear', async () => {
		for (const name of ['web1', 'db1']) {
			const run = await session.run(`only-${name}`);
			assert.equal(run.host, name);
			await session.finished(run.id);
			assert.match((await session.get(`/api/v1/runs/${run.id}/log?format=raw`)).text, new RegExp(`this is ${name}`));
			assert.equal((await session.run('speak', {}, { host: name })).host, name);
		}
		const unclear = await session.post('/api/v1/runs', { kind: 'command', id: 'speak' });
		assert.equal(unclear.status, 422, unclear.text);
		assert.deepEqual(unclear.json.errors.map((e) => e.name), ['host']);
		assert.deepEqual(unclear.json.choices, ['web1', 'db1']);
		const wrong = await session.post('/api/v1/runs', { kind: 'command', id: 'speak', host: 'elsewhere' });
		assert.equal(wrong.status, 422);
		assert.deepEqual([wrong.json.errors[0].name, wrong.json.choices], ['host', ['web1', 'db1']]);
		const elsewhere = await session.post('/api/v1/runs', { kind: 'command', id: 'only-db1', host: 'web1' });
		assert.equal(elsewhere.status, 404);
		assert.equal((await session.post('/api/v1/runs', { kind: 'command', id: 'speak', host: 7 })).status, 422);
		const planned = await session.post('/api/v1/runs', { kind: 'flow', id: 'same', host: 'db1', dry_run: true });
		assert.equal(planned.status, 200, planned.text);
		const again = await session.run('only-db1');
		await session.finished(again.id);
		const rerun = await session.post(`/api/v1/runs/${again.id}/rerun`, {});
		assert.deepEqual([rerun.status, rerun.json.run?.host], [201, 'db1'], rerun.text);
	});

	it('the log of each, byte for byte, from the agent, live, and from PostgreSQL', async () => {
		for (const [name, agent] of [['web1', web], ['db1', db]]) {
			const run = await session.run('flood', { lines: 20000 }, { host: name });
			const live = await session.live();
			const sub = live.subscribe(`run/${run.id}/log`);
			assert.equal((await sub.snapshot()).run.host, name);
			await sub.ended();
			const journal = journalOf(agent, run.id);
			assert.deepEqual(Buffer.concat(sub.chunks.map((c) => c.records)), journal, `${name}, live`);
			assert.deepEqual(await records(session, run.id), journal, name);
			await archived(pg, run.id);
			assert.equal(
				(await pg.psql(`select r.host, encode(sha256(string_agg(l.records, ''::bytea order by l.start_offset)), 'hex') from ops.runs r join ops.run_log l on l.run_id = r.id where r.id = '${run.id}' group by 1`)).trim(),
				`${name}|${createHash('sha256').update(journal).digest('hex')}`,
			);
			live.destroy();
		}
	});

	it('the list of runs is all of them, newest first, and pages through both; ?host= is one', async () => {
		const started = [];
		for (let i = 0; i < 6; i++) started.push(await session.run(i % 2 ? 'only-db1' : 'only-web1'));
		for (const run of started) await session.finished(run.id);
		const { json } = await session.get('/api/v1/runs?limit=200');
		assertIs('RunList', json);
		const ids = json.runs.map((r) => r.id);
		assert.deepEqual(ids, [...new Set(ids)].sort().reverse(), 'sorted, none twice');
		assert.deepEqual([json.agent, json.hosts], ['connected', [{ host: 'web1', agent: 'connected' }, { host: 'db1', agent: 'connected' }]]);
		assert.ok(started.every((r) => ids.includes(r.id)));
		const paged = [];
		for (let before = ''; before !== null;) {
			const page = (await session.get(`/api/v1/runs?limit=3${before && `&before=${before}`}`)).json;
			assert.ok(page.runs.length <= 3);
			paged.push(...page.runs.map((r) => r.id));
			before = page.next;
		}
		assert.deepEqual(paged, ids);
		for (const name of ['web1', 'db1']) {
			const own = (await session.get(`/api/v1/runs?limit=200&host=${name}`)).json;
			assert.deepEqual(own.runs.map((r) => r.id), json.runs.filter((r) => r.host === name).map((r) => r.id));
			assert.deepEqual(own.hosts.map((h) => h.host), [name]);
		}
	});

	it('a number that several hosts have is ambiguous; host, or the UUID, says which', async () => {
		const { json } = await session.get('/api/v1/runs?limit=200');
		const mine = (host) => json.runs.find((r) => r.number === 1 && r.host === host);
		const answer = await session.get('/api/v1/runs/1');
		assert.deepEqual([answer.status, answer.json.code], [409, 'ambiguous_number']);
		assert.deepEqual(answer.json.choices.sort((a, b) => a.host.localeCompare(b.host)), [{ host: 'db1', id: mine('db1').id }, { host: 'web1', id: mine('web1').id }]);
		for (const route of ['log', 'log/locate?line=0', 'log/search?q=x'])
			assert.equal((await session.get(`/api/v1/runs/1/${route}`)).status, 409, route);
		for (const action of ['cancel', 'rerun'])
			assert.equal((await session.post(`/api/v1/runs/1/${action}`, {})).status, 409, action);
		assert.equal((await session.post('/api/v1/runs/1/approve', { step: 'a', approve: true })).status, 409);
		for (const [name, agent] of [['web1', web], ['db1', db]]) {
			assert.equal((await session.get(`/api/v1/runs/1?host=${name}`)).json.run.id, mine(name).id);
			assert.deepEqual((await session.get(`/api/v1/runs/1/log?format=records&host=${name}`, { 'accept-encoding': 'identity' })).bytes, journalOf(agent, mine(name).id));
			assert.equal((await session.get(`/api/v1/runs/1/log/locate?line=0&host=${name}`)).status, 200);
			assert.equal((await session.get(`/api/v1/runs/1/log/search?q=this&host=${name}`)).status, 200);
			assert.equal((await session.get(`/api/v1/runs/${mine(name).id}`)).json.run.host, name);
		}
		assert.equal((await session.get('/api/v1/runs/999999')).status, 404);
		const live = await session.live();
		assert.equal((await live.subscribe('run/1').ended()).data.code, 'ambiguous_number');
		assert.equal((await live.subscribe('run/1/log').ended()).data.code, 'ambiguous_number');
		assert.equal((await live.subscribe('run/1', { host: 'db1' }).snapshot()).id, mine('db1').id);
		live.destroy();
	});

	it('what changes on either is told to runs and to run/{id}', async () => {
		const live = await session.live();
		const runs = live.subscribe('runs');
		await runs.snapshot();
		for (const name of ['web1', 'db1']) {
			const run = await session.run('speak', {}, { host: name });
			assert.equal((await runs.put((r) => r.id === run.id && r.status === 'succeeded')).host, name);
			assert.equal((await live.subscribe(`run/${run.id}`).snapshot()).host, name);
		}
		live.destroy();
	});

	it('status is one host\'s: the primary one\'s, or that which is named', async () => {
		for (const [query, host] of [['', 'web1'], ['?host=web1', 'web1'], ['?host=db1', 'db1']])
			assert.equal((await session.get(`/api/v1/status${query}`)).json.host, host);
		assert.equal((await session.get('/api/v1/status?host=elsewhere')).status, 404);
		assert.equal((await session.get('/api/v1/status/history?item=host/load&value=load1&host=elsewhere')).status, 404);
		const live = await session.live();
		const [primary, other] = [live.subscribe('status'), live.subscribe('status', { host: 'db1' })];
		assert.equal((await primary.snapshot()).host, 'web1');
		assert.equal((await other.snapshot()).host, 'db1');
		assert.equal((await live.subscribe('status', { host: 'elsewhere' }).ended()).data.code, 'unknown_host');
		assert.ok((await primary.snapshot()).sections.database, 'PostgreSQL is the dashboard\'s, and stands with the primary host');
		assert.equal((await other.snapshot()).sections.database, undefined);
		const refused = live.subscribe('tail/unit/none.service', { host: 'db1' });
		assert.ok(['not_found', 'forbidden', 'unsupported'].includes((await refused.ended()).data.code));
		live.destroy();
	});

	it('schedule, pause, maintenance and the end of all runs are of a host, or of all', async () => {
		const get = async (query = '') => {
			const answer = await session.get(`/api/v1/schedule${query}`);
			assert.equal(answer.status, 200, answer.text);
			assertIs('Schedule', answer.json);
			return answer.json;
		};
		const all = await get();
		assert.deepEqual(all.flows.map((f) => `${f.host}/${f.flow}`).sort(), ['db1/of-db1', 'db1/same', 'web1/of-web1', 'web1/same']);
		assert.deepEqual([...new Set((await get('?host=db1')).flows.map((f) => f.host))], ['db1']);
		const paused = await session.post('/api/v1/schedule/pause', { flow: 'same', pause: true, host: 'db1' });
		assert.equal(paused.status, 200, paused.text);
		assert.deepEqual(paused.json.flows.filter((f) => f.paused).map((f) => `${f.host}/${f.flow}`), ['db1/same']);
		const maintenance = (body) => session.post('/api/v1/maintenance', body);
		const on = async () => Object.fromEntries((await get()).hosts.map((h) => [h.host, h.maintenance]));
		assert.equal((await maintenance({ on: true })).json.maintenance, true);
		assert.deepEqual(await on(), { web1: true, db1: false });
		assert.equal((await maintenance({ on: false })).status, 200);
		assert.equal((await maintenance({ on: true, host: 'db1' })).status, 200);
		assert.deepEqual(await on(), { web1: false, db1: true });
		assert.equal((await maintenance({ on: true, host: '*' })).status, 200);
		assert.deepEqual(await on(), { web1: true, db1: true });
		assert.equal((await maintenance({ on: false, host: '*' })).status, 200);
		assert.deepEqual(await on(), { web1: false, db1: false });
		assert.equal((await maintenance({ on: true, host: 'elsewhere' })).status, 404);
		assert.equal((await session.post('/api/v1/schedule/pause', { flow: 'same', pause: true, host: '*' })).status, 404);
		const stays = [await session.run('stay', {}, { host: 'web1' }), await session.run('stay', {}, { host: 'db1' })];
		const one = await session.post('/api/v1/runs/cancel', { host: 'db1' });
		assert.deepEqual([one.status, one.json], [202, { runs: 1, hosts: [{ host: 'db1', runs: 1, error: null }] }]);
		assertIs('CancelAllAnswer', one.json);
		await session.finished(stays[1].id);
		assert.equal((await session.get(`/api/v1/runs/${stays[0].id}`)).json.run.status, 'running');
		assert.equal((await session.post('/api/v1/runs/cancel', { host: '*' })).json.runs, 1);
		await session.finished(stays[0].id);
	});

	it('the audit says what it went to, the ledgers whose they are; ?host= is one', async () => {
		const run = await session.run('speak', {}, { host: 'db1' });
		await session.finished(run.id);
		const list = async (query) => (await session.get(`/api/v1/audit?limit=200${query}`)).json.entries;
		const of = await until('both to say so', async () => {
			const found = (await list('')).filter((e) => e.run === run.id);
			return found.some((e) => e.source === 'dashboard') && found.some((e) => e.source === 'agent') && found;
		});
		assert.deepEqual([...new Set(of.map((e) => e.host))], ['db1']);
		for (const name of ['web1', 'db1']) {
			const own = await list(`&host=${name}`);
			assert.deepEqual([...new Set(own.map((e) => e.host))], [name]);
			assert.deepEqual([...new Set(own.map((e) => e.source))].sort(), ['agent', 'dashboard']);
		}
		assertIs('AuditList', (await session.get('/api/v1/audit?host=db1')).json);
		assert.equal((await session.post('/api/v1/maintenance', { on: false, host: '*' })).status, 200);
		await until('what went to all', async () => (await list('&event=maintenance')).some((e) => e.source === 'dashboard' && e.host === '*'));
		const paged = [];
		for (let before = ''; before !== null;) {
			const { json } = await session.get(`/api/v1/audit?limit=7&event=run.&host=db1${before && `&before=${before}`}`);
			paged.push(...json.entries.map((e) => `${e.source}/${e.id}`));
			before = json.next;
		}
		assert.equal(new Set(paged).size, paged.length);
	});

	it('/metrics tells each host apart', async () => {
		const { text } = await session.get('/metrics');
		for (const name of ['web1', 'db1']) assert.match(text, new RegExp(`^ops_dashboard_agent_up\\{host="${name}"\\} 1$`, 'm'));
	});

	it('verify mends each run from the agent that has it', async () => {
		const runs = [];
		for (const name of ['web1', 'db1']) {
			const run = await session.run('flood', { lines: 20000 }, { host: name });
			await session.finished(run.id);
			await archived(pg, run.id);
			await pg.psql(`delete from ops.run_log where run_id = '${run.id}' and start_offset = 0`);
			runs.push(run);
		}
		const { code, stdout } = await command('verify', dashboard.env);
		for (const run of runs) assert.match(stdout, new RegExp(`^${run.id}: at offset 0 .*: copied again from the agent$`, 'm'));
		assert.match(stdout, /: 2 copied again, 0 damaged$/m);
		assert.equal(code, 0);
		assert.deepEqual(await records(session, runs[1].id), journalOf(db, runs[1].id));
	});

	it('check reads AGENTS_FILE, says what is wrong with its place, and what is given twice', async () => {
		const good = await command('check', dashboard.env);
		assert.equal(good.code, 0, good.stderr);
		assert.match(good.stdout, /^ok: agent web1 at .* \(primary\)$/m);
		assert.match(good.stdout, /^ok: agent db1 at /m);
		const twice = await command('check', { ...dashboard.env, OPS_AGENT_SECRET: web.secret });
		assert.equal(twice.code, 78);
		assert.match(twice.stderr, /OPS_AGENT_SECRET and AGENTS_FILE are both given: remove OPS_AGENT_SECRET/);
		const bad = join(file.dir, 'bad.yml');
		writeFileSync(bad, 'version: 1\nagents:\n  - { host: web1, socket: /run/a, secret_file: /nowhere/x }\n  - { hots: db1, socket: b }\n');
		const wrong = await command('check', { ...dashboard.env, AGENTS_FILE: bad });
		assert.equal(wrong.code, 78);
		assert.match(wrong.stderr, /AGENTS_FILE: .*bad\.yml:3:48: cannot read \/nowhere\/x/);
		assert.match(wrong.stderr, /bad\.yml:4:7: the key 'hots' is not known here.*host/);
	});

	it('two dashboards over the same agents and database archive every run once, and show the same', async () => {
		const second = await Dashboard.start({ databaseUrl: pg.url, env: file.env });
		try {
			const other = await second.login();
			await allConnected(other, 'web1', 'db1');
			const runs = [];
			for (let i = 0; i < 8; i++) runs.push(await (i % 2 ? session : other).run('flood', { lines: 2000 }, { host: i % 4 < 2 ? 'web1' : 'db1' }));
			for (const run of runs) {
				const agent = (await session.finished(run.id)).host === 'web1' ? web : db;
				await archived(pg, run.id);
				const rows = (await pg.psql(`select start_offset, end_offset from ops.run_log where run_id = '${run.id}' order by 1`)).trim().split('\n').map((l) => l.split('|').map(Number));
				let at = 0;
				for (const [start, end] of rows) {
					assert.equal(start, at, 'no gap and nothing twice');
					at = end;
				}
				assert.equal(at, journalOf(agent, run.id).length);
				assert.deepEqual(await records(other, run.id), journalOf(agent, run.id));
			}
			assert.deepEqual((await other.get('/api/v1/runs?limit=200')).json.runs.map((r) => r.id), (await session.get('/api/v1/runs?limit=200')).json.runs.map((r) => r.id));
		} finally {
			await second.destroy();
		}
	});
});

describe('what is measured', () => {
	it('of each host stands under its name', async () => {
		const pg = await Postgres.start();
		const agents = [await startAgent('web1'), await startAgent('db1')];
		const file = new AgentsFile().write(agents.map((agent) => ({ host: agent.env.OPS_AGENT_HOST, agent })));
		const dashboard = await Dashboard.start({ databaseUrl: pg.url, env: file.env });
		try {
			await dashboard.connected({ database: true });
			const session = await dashboard.login();
			// A slot of ten seconds is waited for; what is held is written at the end.
			await until('a moment of both', async () => {
				const { text } = await session.get('/metrics');
				return ['web1', 'db1'].every((name) => new RegExp(`samples_waiting\\{host="${name}"\\} [1-9]`).test(text));
			});
			assert.equal(await dashboard.stop(), 0);
			assert.equal((await pg.psql('select string_agg(distinct host, $$,$$ order by host) from ops.metric_series')).trim(), 'db1,web1');
		} finally {
			await dashboard.destroy();
			for (const agent of agents) await agent.destroy();
			await pg.destroy();
			file.remove();
		}
	});
});

describe('an agent that is not well', () => {
	let pg, web, db, file, dashboard, session;

	before(async () => {
		pg = await Postgres.start();
		web = await startAgent('web1');
		db = await startAgent('db1');
		file = new AgentsFile().write([{ host: 'web1', agent: web }, { host: 'db1', agent: db }]);
		dashboard = await Dashboard.start({ databaseUrl: pg.url, env: file.env });
		await dashboard.connected({ database: true });
		session = await dashboard.login();
		await allConnected(session, 'web1', 'db1');
		await session.catalogued();
	});
	after(async () => {
		const code = await dashboard?.stop();
		await dashboard?.destroy();
		await web?.destroy();
		await db?.destroy();
		await pg?.destroy();
		file?.remove();
		assert.equal(code, 0);
	});

	// What has to work while the other is not there.
	const isUndisturbed = async (host, agent) => {
		const live = await session.live();
		const run = await session.run('ticks', { n: 20 }, { host });
		const sub = live.subscribe(`run/${run.id}/log`);
		await sub.ended();
		assert.deepEqual(Buffer.concat(sub.chunks.map((c) => c.records)), journalOf(agent, run.id));
		assert.equal((await session.finished(run.id)).status, 'succeeded');
		const { json } = await session.get('/api/v1/runs?limit=5');
		assert.equal(json.runs[0].id, run.id);
		await archived(pg, run.id);
		assert.equal((await session.get(`/api/v1/status?host=${host}`)).json.host, host);
		live.destroy();
	};

	it('killed: its catalogue stays, its starts are refused by name, the other goes on; then it is back', async () => {
		const before = await session.run('only-db1');
		await session.finished(before.id);
		await archived(pg, before.id);
		await db.kill9Both();
		await until('its absence', async () => (await hostsOf(session)).db1.state === 'away');
		assert.ok((await session.get('/api/v1/catalog')).json.commands.some((c) => c.id === 'only-db1'));
		const refused = await session.post('/api/v1/runs', { kind: 'command', id: 'only-db1' });
		assert.deepEqual([refused.status, refused.json.code, refused.json.host], [503, 'agent_unavailable', 'db1'], refused.text);
		assert.match(refused.json.detail, /db1/);
		assert.equal((await session.get('/readyz')).json.status, 'degraded');
		const list = (await session.get('/api/v1/runs?limit=200')).json;
		assert.deepEqual([list.agent, list.hosts], ['away', [{ host: 'web1', agent: 'connected' }, { host: 'db1', agent: 'away' }]]);
		assert.ok(list.runs.some((r) => r.id === before.id), 'what is archived is there');
		assert.equal((await session.get(`/api/v1/runs/${before.id}`)).json.run.host, 'db1');
		const schedule = (await session.get('/api/v1/schedule')).json;
		assert.deepEqual(schedule.hosts.map((h) => [h.host, h.error !== null, h.as_of_us !== null]), [['web1', false, false], ['db1', true, true]]);
		assert.ok(Math.abs(schedule.hosts[1].as_of_us / 1000 - Date.now()) < 600e3);
		assert.deepEqual(schedule.flows.map((f) => `${f.host}/${f.flow}`).sort(), ['db1/of-db1', 'db1/same', 'web1/of-web1', 'web1/same'], 'what it said last');
		const alone = await session.get('/api/v1/schedule?host=db1');
		assert.deepEqual([alone.status, alone.json.flows.length], [200, 2], alone.text);
		assertIs('Schedule', alone.json);
		const cancelled = await session.post('/api/v1/runs/cancel', { host: '*' });
		assert.deepEqual(cancelled.json.hosts.map((h) => [h.host, h.error !== null]), [['web1', false], ['db1', true]]);
		await isUndisturbed('web1', web);
		await db.restart();
		await allConnected(session, 'db1');
		await isUndisturbed('db1', db);
	});

	it('hung (SIGSTOP): the other is not kept waiting for long, and it is found to be away', async () => {
		const worker = db.workerPid;
		process.kill(worker, 'SIGSTOP');
		try {
			assert.equal((await hostsOf(session)).db1.state, 'connected', 'nobody knows yet');
			await isUndisturbed('web1', web);
			assert.deepEqual((await session.get('/api/v1/runs?limit=5')).json.hosts, [{ host: 'web1', agent: 'connected' }, { host: 'db1', agent: 'away' }]);
			await until('it to be found out', async () => (await hostsOf(session)).db1.state === 'away');
			assert.match((await hostsOf(session)).db1.reason, /does not answer|silent|PING/i);
			await isUndisturbed('web1', web);
		} finally {
			process.kill(worker, 'SIGCONT');
		}
		await allConnected(session, 'db1');
		await isUndisturbed('db1', db);
	});

	it('hung while it is the primary one: the other goes on as well', async () => {
		const worker = web.workerPid;
		process.kill(worker, 'SIGSTOP');
		try {
			await isUndisturbed('db1', db);
		} finally {
			process.kill(worker, 'SIGCONT');
		}
		await allConnected(session, 'web1');
	});

	it('with another name, or another secret: refused with both names, or with what is wrong', async () => {
		const third = await startAgent('box3');
		const own = new AgentsFile().write([{ host: 'web1', agent: web }, { host: 'mail1', agent: third }, { host: 'db1', agent: db, secret: 'another-secret-than-the-agents' }]);
		const other = await Dashboard.start({ databaseUrl: pg.url, env: own.env });
		try {
			const mine = await other.login();
			await allConnected(mine, 'web1');
			const hosts = await until('both to be refused', async () => {
				const found = await hostsOf(mine);
				return found.mail1.state === 'refused' && found.db1.state === 'refused' && found;
			});
			assert.match(hosts.mail1.reason, /box3.*mail1/);
			assert.match(hosts.db1.reason, /secret/);
			const run = await mine.run('only-web1');
			assert.equal((await mine.finished(run.id)).status, 'succeeded');
			const refused = await mine.post('/api/v1/runs', { kind: 'command', id: 'speak', host: 'mail1' });
			assert.deepEqual([refused.status, refused.json.host], [503, 'mail1']);
		} finally {
			await other.destroy();
			await third.destroy();
			own.remove();
		}
	});
});

describe('notifications', () => {
	it('say which agent is lost and back, and whose run has failed', async () => {
		const http = await HttpReceiver.start();
		const agents = { web1: await startAgent('web1'), db1: await startAgent('db1') };
		const file = new AgentsFile().write(Object.entries(agents).map(([host, agent]) => ({ host, agent })));
		const rules = join(file.dir, 'notify.yml');
		writeFileSync(join(file.dir, 'key'), '0123456789abcdef0123456789abcdef\n', { mode: 0o600 });
		writeFileSync(rules, `version: 1
agent_grace: 0s
targets:
  chat: { type: webhook, url: "${http.url}/hook", secret_file: ${join(file.dir, 'key')} }
  web: { type: webhook, url: "${http.url}/web", secret_file: ${join(file.dir, 'key')} }
rules:
  - { on: [run.failed], hosts: [db1], targets: [chat], quiet: 0s }
  - { on: [run.failed, agent.lost, agent.back], targets: [chat], quiet: 0s }
  - { on: [run.failed, agent.lost, agent.back], hosts: ["web*"], targets: [web], quiet: 0s }
`, { mode: 0o644 });
		const dashboard = await Dashboard.start({ env: { ...file.env, NOTIFY_FILE: rules } });
		try {
			const session = await dashboard.login();
			await allConnected(session, 'web1', 'db1');
			const told = (event, host, from = 0) => until(`${event} of ${host}`, () => http.taken.slice(from).find((r) => r.path === '/hook' && r.json.event === event && r.json.host === host));
			for (const host of ['web1', 'db1']) {
				const run = await session.run('speak', { code: 3 }, { host });
				assert.equal((await told('run.failed', host)).json.run, run.id);
			}
			await until('the rule of web*', () => http.taken.some((r) => r.path === '/web' && r.json.event === 'run.failed'));
			const n = http.taken.length;
			await agents.db1.stop();
			await told('agent.lost', 'db1', n);
			await agents.db1.restart();
			await told('agent.back', 'db1', n); // a slow start told some before
			assert.deepEqual(http.taken.slice(n).map((r) => [r.json.event, r.json.host]), [['agent.lost', 'db1'], ['agent.back', 'db1']], 'nothing of the other one');
			assert.deepEqual([...new Set(http.taken.filter((r) => r.path === '/web').map((r) => r.json.host))], ['web1']);
			// who is not there is named with its place, and nothing is changed
			writeFileSync(rules, readFileSync(rules, 'utf8').replace('[db1]', '[db2]'));
			dashboard.child.kill('SIGHUP');
			await until('the mistake to be named', () => /notify\.yml:7:\d+: AGENTS_FILE names no host 'db2' \(did you mean db1\?\)/.test(dashboard.log()));
			assert.deepEqual((await session.get('/api/v1/notify')).json.rules[0].hosts, ['db1']);
		} finally {
			await dashboard.destroy();
			for (const agent of Object.values(agents)) await agent.destroy();
			await http.stop();
			file.remove();
		}
	});
});

describe('another AGENTS_FILE on SIGHUP', () => {
	let web, db, third, file, dashboard, session;

	before(async () => {
		[web, db, third] = [await startAgent('web1'), await startAgent('db1'), await startAgent('box3')];
		file = new AgentsFile().write([{ host: 'web1', agent: web }]);
		dashboard = await Dashboard.start({ env: file.env });
		session = await dashboard.login();
		await allConnected(session, 'web1');
	});
	after(async () => {
		const code = await dashboard?.stop();
		const log = dashboard?.log();
		await dashboard?.destroy();
		for (const agent of [web, db, third]) await agent?.destroy();
		file?.remove();
		assert.equal(code, 0, log);
	});

	const reload = async (agents) => {
		const n = dashboard.log().split('config.reload').length;
		file.write(agents);
		dashboard.child.kill('SIGHUP');
		await until('the reload', () => dashboard.log().split('config.reload').length > n);
	};

	it('a new host comes, a gone one leaves, and who stays is not disturbed', async () => {
		const live = await session.live();
		const system = live.subscribe('system'), catalog = live.subscribe('catalog'), status = live.subscribe('status');
		await Promise.all([system.snapshot(), status.snapshot()]);
		const run = await session.run('ticks', { n: 300 }, { host: 'web1' });
		const log = live.subscribe(`run/${run.id}/log`);
		await log.until('some of it', () => log.offset > 0);
		const reconnects = async () => (await session.get('/metrics')).text.match(/agent_reconnects_total\{host="web1"\} (\d+)/)[1];
		const before = await reconnects();

		await reload([{ host: 'web1', agent: web, title: 'The web' }, { host: 'db1', agent: db }, { host: 'box3', agent: third }]);
		await allConnected(session, 'web1', 'db1', 'box3');
		await catalog.put((c) => c.hosts.length === 3 && c.commands.some((x) => x.host === 'box3' && x.id === 'only-box3'));
		await system.put((s) => s.agents.length === 3 && s.agents[0].title === 'The web' && s.agents.every((a) => a.state === 'connected'));
		assert.equal((await session.run('only-db1')).host, 'db1');
		const watched = live.subscribe('status', { host: 'box3' });
		assert.equal((await watched.snapshot()).host, 'box3');

		await reload([{ host: 'web1', agent: web }, { host: 'db1', agent: db }]);
		await catalog.put((c) => c.hosts.length === 2 && !c.commands.some((x) => x.host === 'box3'));
		assert.deepEqual(Object.keys(await hostsOf(session)), ['web1', 'db1']);
		assert.equal((await watched.ended()).data.code, 'unknown_host');
		assert.equal((await session.get('/api/v1/status?host=box3')).status, 404);

		await log.ended();
		assert.equal(log.messages.filter((m) => m.event === 'snapshot').length, 1, 'the log of who stayed went on');
		assert.equal(log.journal(new Journal()).finished?.status ?? (await session.finished(run.id)).status, 'succeeded');
		assert.equal(await reconnects(), before);
		live.destroy();
	});

	it('another one becomes the primary one, and topics that named none follow it', async () => {
		const live = await session.live();
		const status = live.subscribe('status');
		assert.equal((await status.snapshot()).host, 'web1');
		await reload([{ host: 'db1', agent: db }, { host: 'web1', agent: web }]);
		assert.equal((await status.snapshot(1)).host, 'db1');
		assert.deepEqual((await session.get('/api/v1/hosts')).json.hosts.map((h) => [h.host, h.primary]), [['db1', true], ['web1', false]]);
		live.destroy();
	});

	it('another secret and another socket are taken over, for that host alone', async () => {
		const reconnects = async (host) => Number((await session.get('/metrics')).text.match(new RegExp(`agent_reconnects_total\\{host="${host}"\\} (\\d+)`))[1]);
		const live = await session.live();
		const tail = live.subscribe('status', { host: 'db1' });
		await tail.snapshot();
		const before = await reconnects('web1');
		await reload([{ host: 'db1', agent: db, secret: 'another-secret-than-the-agents' }, { host: 'web1', agent: web }]);
		await until('the refusal', async () => (await hostsOf(session)).db1.state === 'refused');
		await reload([{ host: 'db1', agent: db }, { host: 'web1', agent: web }]);
		await allConnected(session, 'db1');
		// The same host behind another path: a link to its socket.
		const moved = join(file.dir, 'moved.sock');
		symlinkSync(db.socket, moved);
		await reload([{ host: 'db1', agent: { socket: moved, secret: db.secret } }, { host: 'web1', agent: web }]);
		await allConnected(session, 'db1');
		await until('a document of the new connection', () => tail.messages.filter((m) => m.event === 'snapshot').length >= 2);
		const run = await session.run('only-db1');
		assert.equal((await session.finished(run.id)).host, 'db1');
		assert.equal(await reconnects('web1'), before, 'the other one was not touched');
		live.destroy();
	});

	it('a host that comes and goes while everything is asked leaves nothing behind', async () => {
		const both = [{ host: 'db1', agent: db }, { host: 'web1', agent: web }];
		const live = await session.live();
		const system = live.subscribe('system');
		await system.snapshot();
		let over = false, answered = 0;
		const asked = ['/runs', '/runs/1', '/runs/01a20aa3-3d80-7000-8000-000000000001', '/schedule', '/status?host=web1', '/catalog', '/hosts', '/runs/1/log?host=web1'];
		const asking = asked.map(async (path) => {
			while (!over) {
				const { status } = await session.get(`/api/v1${path}`);
				assert.ok([200, 404, 409, 503].includes(status), `${path}: ${status}`);
				answered++;
			}
		});
		const starting = (async () => {
			while (!over) {
				const { status } = await session.post('/api/v1/runs', { kind: 'command', id: 'ticks', inputs: { n: 3 }, host: 'web1' });
				assert.ok([201, 422, 429, 503].includes(status), `start: ${status}`);
			}
		})();
		for (let i = 0; i < 12; i++) {
			live.subscribe('status', { host: 'web1' });
			live.subscribe('tail/unit/none.service', { host: 'web1' });
			await reload(i % 2 ? both : both.slice(0, 1));
			if (i % 2) await allConnected(session, 'web1', 'db1');
		}
		over = true;
		await Promise.all([...asking, starting]);
		assert.ok(answered > 0);
		const run = await session.run('only-web1');
		assert.equal((await session.finished(run.id)).host, 'web1');
		live.destroy();
	});

	it('a file that is wrong is said with its place and changes nothing', async () => {
		writeFileSync(file.path, 'version: 1\nagents:\n  - { host: web1, sokcet: /run/x, secret_file: /nowhere }\n');
		dashboard.child.kill('SIGHUP');
		await until('the refusal', () => dashboard.log().includes('config.reload_failed'));
		assert.match(dashboard.log(), /agents\.yml:3:\d+: .*sokcet.*socket/);
		assert.deepEqual(Object.keys(await hostsOf(session)), ['db1', 'web1']);
	});
});
