// What runs when, from the dashboard: the schedule, pausing it, maintenance, and ending everything.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertIs } from '../../api/document.mjs';
import { Agent, until } from '../lib/agent.mjs';
import { Dashboard, request } from '../lib/dashboard.mjs';

const commands = `version: 1
commands:
  t: { title: t, exec: [/bin/true] }
  s: { title: s, exec: [/bin/sleep, "600"] }
`;
const flows = {
	yearly: 'version: 1\nid: yearly\ntitle: Once a year\nschedule: [{ cron: "@yearly", timezone: UTC }]\nsteps: [{ id: a, uses: t }]\n',
	never: 'version: 1\nid: never\ntitle: By hand\nsteps: [{ id: a, uses: t }]\n',
};
let agent, dashboard, session;

before(async () => {
	agent = await Agent.start({ commands, flows });
	dashboard = await (await Dashboard.start({ agent })).connected();
	session = await dashboard.login();
});
after(async () => {
	await dashboard?.destroy();
	await agent?.destroy();
});

const get = async () => {
	const answer = await session.request('GET', '/api/v1/schedule');
	assert.equal(answer.status, 200, answer.text);
	assertIs('Schedule', answer.json);
	return answer.json;
};

test('GET /schedule tells flows that have one, and when they run next', async () => {
	const { flows: list, maintenance } = await get();
	assert.deepEqual(list.map((f) => f.flow), ['yearly']);
	assert.equal(maintenance, false);
	assert.equal(new Date(list[0].next_us / 1000).getUTCMonth(), 0);
	assert.equal((await request(dashboard, 'GET', '/api/v1/schedule')).status, 401);
});

test('a paused schedule says who paused it and why; resumed, it runs again', async () => {
	const paused = await session.post('/api/v1/schedule/pause', { flow: 'yearly', pause: true, reason: 'on holiday' });
	assert.equal(paused.status, 200, paused.text);
	assertIs('Schedule', paused.json);
	assert.deepEqual([paused.json.flows[0].paused, paused.json.flows[0].paused_by, paused.json.flows[0].reason], [true, 'user:admin', 'on holiday']);
	assert.equal((await get()).flows[0].paused, true);
	const resumed = await session.post('/api/v1/schedule/pause', { flow: 'yearly', pause: false });
	assert.equal(resumed.json.flows[0].paused, false);
});

test('in maintenance nothing starts, and the answer says why', async () => {
	const on = await session.post('/api/v1/maintenance', { on: true, reason: 'moving house' });
	assert.equal(on.status, 200, on.text);
	assert.deepEqual([on.json.maintenance, on.json.maintenance_reason], [true, 'moving house']);
	const refused = await session.post('/api/v1/runs', { kind: 'command', id: 't', inputs: {} });
	assert.equal(refused.status, 403, refused.text);
	assert.match(refused.json.detail, /moving house/);
	const off = await session.post('/api/v1/maintenance', { on: false });
	assert.equal(off.json.maintenance, false);
	assert.equal((await session.post('/api/v1/runs', { kind: 'command', id: 't', inputs: {} })).status, 201);
});

test('every active run is ended at once, and counted', async () => {
	const runs = [];
	for (let i = 0; i < 3; i++) runs.push((await session.post('/api/v1/runs', { kind: 'command', id: 's', inputs: {} })).json.run);
	const answer = await session.post('/api/v1/runs/cancel', { reason: 'enough' });
	assert.equal(answer.status, 202, answer.text);
	assertIs('CancelAllAnswer', answer.json);
	assert.ok(answer.json.runs >= 3);
	for (const run of runs)
		await until('its end', async () => (await session.request('GET', `/api/v1/runs/${run.id}`)).json.run.status === 'cancelled');
	// What an earlier test has started may still be ending.
	await until('nothing to be left', async () => (await session.post('/api/v1/runs/cancel', {})).json.runs === 0);
});

test('what the bodies may not hold is named', async () => {
	const bad = [
		['/api/v1/schedule/pause', { flow: 'yearly' }, 422],
		['/api/v1/schedule/pause', { flow: 7, pause: true }, 422],
		['/api/v1/schedule/pause', { flow: 'nothing', pause: true }, 404],
		['/api/v1/schedule/pause', { flow: 'yearly', pause: true, reason: 'x'.repeat(201) }, 422],
		['/api/v1/maintenance', { on: 'yes' }, 422],
		['/api/v1/maintenance', { on: true, more: 1 }, 422],
		['/api/v1/runs/cancel', { reason: 5 }, 422],
	];
	for (const [path, body, status] of bad) {
		const answer = await session.post(path, body);
		assert.equal(answer.status, status, `${path} ${JSON.stringify(body)}: ${answer.text}`);
	}
	const { flows: list, maintenance } = await get();
	assert.deepEqual([list[0].paused, maintenance], [false, false]);
});
