// What waits for agent or database goes on when they come back, in whatever order they do.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../lib/agent.mjs';
import { Dashboard, request } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';
import { Postgres } from '../lib/postgres.mjs';

// The database hangs while the agent comes back: what was asked of the one is asked of the other then.
describe('the agent comes back while the database is being asked', () => {
	let pg, agent, dashboard, live, running, archived;

	before(async () => {
		pg = await Postgres.start();
		agent = await FakeAgent.start();
		archived = agent.add(new FakeRun());
		for (let i = 0; i < 60; i++) archived.output(Buffer.alloc(60000, 'a line\n'));
		dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected({ database: true });
		live = await (await dashboard.login()).live();
		await until('the archive to hold some of it', async () => Number(await pg.psql(`select coalesce(max(archived_offset), 0) from ops.runs where id = '${archived.id}'`)) > 1 << 20);
	});
	after(async () => {
		pg.resume();
		await dashboard.destroy();
		await agent.destroy();
		await pg.destroy();
	});

	const away = () => dashboardState('away');
	const dashboardState = (state) => until(`the agent to be ${state}`, async () => (await request(dashboard, 'GET', '/readyz')).json.agent.state === state);

	it('a run that only the agent knows gets its snapshot', async () => {
		await agent.close();
		await away();
		running = agent.add(new FakeRun({ steps: [] }));
		pg.pause();
		const sub = live.subscribe(`run/${running.id}`);
		await agent.listen();
		await dashboardState('connected');
		pg.resume();
		assert.equal((await sub.snapshot()).id, running.id);
	});

	it('a log that the database has half of goes on', async () => {
		await agent.close();
		await away();
		const sub = live.subscribe(`run/${archived.id}/log`, { offset: 0, autoCredit: false });
		await sub.until('the first records', () => sub.bytes > 0);
		await agent.listen();
		await dashboardState('connected');
		sub.credit(16 << 20);
		await sub.until('all of it', () => sub.offset === archived.size);
		agent.changed(archived.output('and more\n'));
		await sub.until('what came later', () => sub.offset === archived.size);
	});
});
