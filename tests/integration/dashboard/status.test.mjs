// How the machine is, from the dashboard: GET /status, the topic `status`, and the agent going away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertIs } from '../../api/document.mjs';
import { Agent, until } from '../lib/agent.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';
import { Dashboard } from '../lib/dashboard.mjs';

const commands = commandsYml(makeScripts());
const status = 'version: 1\ninterval: 1s\n';
let agent, dashboard, session, live;

before(async () => {
	agent = await Agent.start({ commands, status });
	dashboard = await (await Dashboard.start({ agent })).connected();
	session = await dashboard.login();
	live = await session.live();
});
after(async () => {
	live?.destroy();
	await dashboard?.destroy();
	await agent?.destroy();
});

const get = async () => {
	const answer = await session.request('GET', '/api/v1/status');
	assert.equal(answer.status, 200, JSON.stringify(answer.json));
	assertIs('Status', answer.json);
	return answer.json;
};

test('GET /status answers with the document', async () => {
	const document = await until('the disks', async () => {
		const d = await get();
		return d.sections.host?.some((item) => item.id === 'disk:/') ? d : null;
	});
	assert.ok(document.sections.host.some((item) => item.id === 'memory' && item.values.total > 0));
});

test('the topic: a snapshot, then what differs', async () => {
	const sub = live.subscribe('status');
	const snapshot = await sub.snapshot();
	assertIs('Status', snapshot);
	const put = (await sub.event('put')).data;
	assertIs('LiveStatusPut', put);
	assert.ok(put.time_us > snapshot.time_us);
	// an item is told when it is another one: those of the host move, the disks are looked at seldom
	const before = new Map(snapshot.sections.host.map((item) => [item.id, item]));
	for (const item of put.sections.host) assert.notDeepEqual(item, before.get(item.id));
	// while it is watched the document of GET is the newest that was told
	assert.ok((await get()).time_us >= put.time_us);
	// a second page begins with the newest as well
	const other = live.subscribe('status');
	assert.ok((await other.snapshot()).time_us >= put.time_us);
	other.unsubscribe();
	await other.ended();
	sub.unsubscribe();
	assert.equal((await sub.ended()).event, 'end');
});

test('items that are gone are told as such', async () => {
	const sub = live.subscribe('status');
	await sub.snapshot();
	agent.configure({ commands, status: 'version: 1\ninterval: 1s\nhost: false\n' });
	const client = await agent.connect();
	await client.reload();
	const del = (await sub.event('del')).data;
	assert.match(del.id, /^host\//);
	agent.configure({ commands, status });
	await client.reload();
	client.destroy();
	sub.unsubscribe();
});

test('without the agent GET is 503, and with it again there is a new snapshot', async () => {
	const sub = live.subscribe('status');
	const first = await sub.snapshot();
	await agent.stop();
	await until('503', async () => (await session.request('GET', '/api/v1/status')).status === 503);
	await agent.restart();
	// There may be one more of the old document, when the agent is asked to look more often.
	// The new one may be of before the new agent's first look: then what it sees follows.
	await until('a new snapshot', () => {
		const at = sub.messages.findIndex((m) => m.event === 'snapshot' && m.data.time_us !== first.time_us);
		return at > 0 && sub.messages.slice(at).some((m) => m.data.time_us > first.time_us);
	});
});
