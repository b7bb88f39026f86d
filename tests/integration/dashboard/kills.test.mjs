// kill -9 of the dashboard while it archives, at random moments: no gap, no double. OPS_KILLS=100: that many, else six.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { sleep, until } from '../lib/agent.mjs';
import { assertArchived, flood } from '../lib/archive.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';
import { Postgres } from '../lib/postgres.mjs';

const KILLS = Number(process.env.OPS_KILLS ?? 6);

let pg, agent, dashboard;

before(async () => {
	pg = await Postgres.start();
	agent = await FakeAgent.start();
	dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected({ database: true });
});

after(async () => {
	await dashboard?.destroy();
	await agent?.destroy();
	await pg?.destroy();
});

it(`${KILLS} times in the middle, and in the end every row is the journal's`, async () => {
	const runs = [];
	const archived = async () => Number(await pg.psql('select coalesce(sum(archived_offset), 0) from ops.runs'));
	let inTheMiddle = 0;
	for (let i = 0; i < KILLS; i++) {
		// Never too little left: several are being written, and there is more.
		while (runs.filter((run) => !run.released).length < 4) {
			runs.push(agent.add(flood(new FakeRun(), 10).finish()));
			agent.changed(runs.at(-1));
		}
		const before = await archived();
		await until('some of it to be archived', async () => (await archived()) > before);
		await sleep(Math.random() * 200);
		await dashboard.kill9();
		const known = await pg.psql("select count(*) from ops.runs where archived_offset > 0 and not complete");
		inTheMiddle += known !== '0';
		await dashboard.spawn();
	}
	await until('all to be released', () => runs.every((run) => run.released));
	for (const run of runs) await assertArchived(pg, run);
	assert.equal(await pg.psql('select count(*) from ops.runs'), String(runs.length));
	assert.ok(inTheMiddle > 0, 'no run was ever half archived');
});
