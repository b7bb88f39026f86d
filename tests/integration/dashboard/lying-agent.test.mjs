// One of two agents lies: it has runs of the ids that the other's have, and runs that it says are the other's.
// What the other did stays as it was, in the database, in lists and for viewers.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, until } from '../lib/agent.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';
import { Postgres } from '../lib/postgres.mjs';

const bin = makeScripts();

describe('an agent that says another\'s runs are its own', () => {
	let pg, liar, old, db, dir, dashboard, session, run, row;

	const rowOf = (id) => pg.psql(`select host, name, number, size, complete, released, encode(digest, 'hex'), problem, document from ops.runs where id = '${id}'`);
	const logOf = (id) => pg.psql(`select start_offset, end_offset, md5(records) from ops.run_log where run_id = '${id}' order by 1`);
	const archived = (id) => until(`${id} to be archived`, async () => (await pg.psql(`select complete from ops.runs where id = '${id}'`)).trim() === 't');
	const foreign = (id) => until(`the archiver to refuse ${id}`, () =>
		dashboard.log().split('\n').some((line) => line.includes('archive.foreign') && line.includes(id)));
	const forged = (over) => new FakeRun({ host: 'web1', name: 'forged', ...over }).output('nothing of the sort\n').finish();
	// An honest run of the liar, which is archived behind what it lied about before.
	const honest = async () => {
		const own = liar.add(new FakeRun({ host: 'web1', name: 'honest' }).output('true\n').finish());
		liar.changed(own);
		await archived(own.id);
		return own;
	};

	const writeAgents = (agents) => {
		const lines = agents.map(([host, agent]) => {
			writeFileSync(join(dir, host), `${agent.secret}\n`, { mode: 0o600 });
			return `  - { host: ${host}, socket: ${agent.socket}, secret_file: ${join(dir, host)} }\n`;
		});
		writeFileSync(join(dir, 'agents.yml'), `version: 1\nagents:\n${lines.join('')}`, { mode: 0o644 });
	};

	before(async () => {
		pg = await Postgres.start();
		liar = new FakeAgent();
		liar.host = 'web1';
		await liar.listen();
		old = new FakeAgent();
		old.host = 'old1';
		await old.listen();
		db = await Agent.start({ commands: commandsYml(bin), status: 'version: 1\ninterval: 1s\n', env: { OPS_AGENT_HOST: 'db1' } });
		dir = mkdtempSync(join(tmpdir(), 'ops-liar-'));
		chmodSync(dir, 0o755);
		writeAgents([['web1', liar], ['db1', db], ['old1', old]]);
		dashboard = await Dashboard.start({ databaseUrl: pg.url, env: { AGENTS_FILE: join(dir, 'agents.yml'), OPS_AGENT_SECRET: '', OPS_AGENT_SOCKET: '' } });
		await dashboard.connected({ database: true });
		session = await dashboard.login();
		await until('both agents', async () => (await session.get('/api/v1/hosts')).json.hosts.every((h) => h.state === 'connected'));
		await until('the catalogue of db1', async () => (await session.get('/api/v1/catalog?host=db1')).json?.commands?.length > 0);
		run = await session.run('speak', {}, { host: 'db1' });
		await archived(run.id);
		await until('db1 to know it', async () => (await pg.psql(`select released from ops.runs where id = '${run.id}'`)).trim() === 't');
		row = [await rowOf(run.id), await logOf(run.id)];
	});
	after(async () => {
		const code = await dashboard?.stop();
		await dashboard?.destroy();
		await liar?.destroy();
		await old?.destroy();
		await db?.destroy();
		await pg?.destroy();
		if (dir) rmSync(dir, { recursive: true, force: true });
		assert.equal(code, 0);
	});

	it('an event about another\'s run changes nothing for viewers and in the archive', async () => {
		const live = await session.live();
		const topic = live.subscribe(`run/${run.id}`);
		assert.equal((await topic.snapshot()).host, 'db1');
		liar.changed(liar.add(forged({ id: run.id })));
		await foreign(run.id);
		await honest();
		assert.deepEqual([await rowOf(run.id), await logOf(run.id)], row);
		assert.equal(topic.messages.filter((e) => JSON.stringify(e).includes('forged')).length, 0);
		const listed = (await session.get('/api/v1/runs?limit=50')).json.runs.filter((r) => r.id === run.id);
		assert.deepEqual(listed.map((r) => [r.host, r.name]), [['db1', 'speak']]);
		const { run: json } = (await session.get(`/api/v1/runs/${run.id}`)).json;
		assert.deepEqual([json.host, json.name], ['db1', 'speak']);
		live.destroy();
	});

	it('a run that is said to be another host\'s is not archived as that host\'s', async () => {
		const lie = liar.add(forged({ host: 'db1' }));
		liar.changed(lie);
		await foreign(lie.id);
		await honest();
		assert.equal(await rowOf(lie.id), '');
	});

	it('nor does what it lists when it comes back change another\'s run', async () => {
		await liar.close();
		await until('it to be away', async () => (await session.get('/api/v1/hosts')).json.hosts[0].state !== 'connected');
		await liar.listen();
		await until('it to be back', async () => (await session.get('/api/v1/hosts')).json.hosts[0].state === 'connected');
		await honest();
		assert.deepEqual([await rowOf(run.id), await logOf(run.id)], row);
		assert.ok(!liar.releases.includes(run.id));
	});

	it('an agent with the id of another host\'s does not add to that one\'s ledger', async () => {
		const { agent_id: id } = (await session.get('/api/v1/hosts')).json.hosts[1];
		const hostOf = async () => (await pg.psql(`select host from ops.agents where agent_id = '${id}'`)).trim();
		await until('the ledger of db1 to be known', async () => await hostOf() === 'db1');
		const { agentId } = liar;
		await liar.close();
		liar.agentId = id;
		await liar.listen();
		await until('the ledger to be refused', () =>
			dashboard.log().split('\n').some((line) => line.includes('ledger.foreign') && line.includes(id)));
		assert.equal(await hostOf(), 'db1');
		await liar.close();
		liar.agentId = agentId;
		await liar.listen();
		await until('it to be back as itself', async () => {
			const [first] = (await session.get('/api/v1/hosts')).json.hosts;
			return first.state === 'connected' && first.agent_id === agentId;
		});
	});

	it('what a host tells that is being taken out is not remembered as its run', async () => {
		const told = [];
		let going = true;
		const telling = (async () => {
			while (going && told.length < 4000) {
				const one = new FakeRun({ host: 'old1' });
				told.push(one.id);
				old.changed(one);
				await new Promise((resolve) => setImmediate(resolve));
			}
		})();
		await until('it to have told some', () => told.length > 20);
		writeAgents([['web1', liar], ['db1', db]]);
		dashboard.child.kill('SIGHUP');
		await until('the host to be gone', async () => (await session.get('/api/v1/hosts')).json.hosts.length === 2);
		await until('its connection to be closed', () => old.sockets.size === 0);
		going = false;
		await telling;
		for (const id of told.slice(0, 1000)) {
			const answer = await session.get(`/api/v1/runs/${id}`);
			assert.equal(answer.status, 404, `${id}: ${answer.text}`);
		}
	});
});
