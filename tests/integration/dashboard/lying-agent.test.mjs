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

	const isDb1s = async (id) => {
		const { run: json } = (await session.get(`/api/v1/runs/${id}`)).json;
		assert.deepEqual([json.host, json.name], ['db1', 'speak']);
		const live = await session.live();
		const sub = live.subscribe(`run/${id}/log`, { offset: 0 });
		assert.equal((await sub.snapshot()).run.host, 'db1');
		live.destroy();
		const raw = await session.get(`/api/v1/runs/${id}/log?format=raw`);
		assert.doesNotMatch(raw.text, /nothing of the sort/);
		// the liar knows of no cancelling
		assert.equal((await session.post(`/api/v1/runs/${id}/cancel`, {})).status, 409);
	};

	it('nor is it taken for the run\'s host by a dashboard that has just begun, though it speaks first', async () => {
		const connected = async () => {
			await dashboard.restart();
			await dashboard.connected({ database: true });
			await until('both agents', async () => (await session.get('/api/v1/hosts')).json.hosts.every((h) => h.state === 'connected'));
		};
		const lie = liar.add(forged({ id: run.id }));
		await connected();
		const seen = dashboard.log().length;
		liar.changed(lie);
		await until('it to have been heard', () => /archive\.foreign/.test(dashboard.log().slice(seen)));
		await isDb1s(run.id);
		assert.match(dashboard.log().slice(seen), new RegExp(`runs\\.foreign run=${run.id} host=(web1 other=db1|db1 other=web1)`));
		// by a number, and with nothing said before
		liar.runs.set('7777', lie);
		await connected();
		assert.equal((await session.get('/api/v1/runs/7777?host=web1')).status, 404);
		assert.equal((await session.get('/api/v1/runs/7777')).status, 404);
		liar.runs.delete('7777');
		await connected();
		await isDb1s(run.id);
	});

	it('without PostgreSQL a run that two agents say they have is nobody\'s, and one that one has is that one\'s', async () => {
		const mine = await db.connect().then((client) => client.start('speak', {}));
		const lie = liar.add(forged({ id: run.id }));
		const alone = await Dashboard.start({ env: { AGENTS_FILE: join(dir, 'agents.yml'), OPS_AGENT_SECRET: '', OPS_AGENT_SOCKET: '' } });
		try {
			const other = await alone.login();
			await until('both agents', async () => (await other.get('/api/v1/hosts')).json.hosts.every((h) => h.state === 'connected'));
			for (let i = 0; i < 2; i++) {
				const refused = await other.get(`/api/v1/runs/${run.id}`);
				assert.deepEqual([refused.status, refused.json.code], [409, 'contested_run'], refused.text);
				assert.equal((await other.post(`/api/v1/runs/${run.id}/cancel`, {})).json.code, 'contested_run');
				const live = await other.live();
				for (const topic of [`run/${run.id}`, `run/${run.id}/log`]) assert.equal((await live.subscribe(topic).ended()).data.code, 'contested_run');
				live.destroy();
			}
			assert.equal(alone.log().match(/runs\.foreign/g).length, 1);
			for (let i = 0; i < 2; i++) assert.equal((await other.get(`/api/v1/runs/${mine.run.id}`)).json.run.host, 'db1');
			// what one says first is not enough, when the other says it, too
			const late = liar.add(forged({ id: mine.run.id }));
			liar.changed(late);
			await until('it to be contested', async () => (await other.get(`/api/v1/runs/${mine.run.id}`)).json.code === 'contested_run');
			liar.runs.delete(late.id);
		} finally {
			await alone.destroy();
			liar.runs.delete(lie.id);
		}
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
