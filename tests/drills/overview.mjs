// The overview on a host that a real systemd manages: its units and their journal, as the agent tells them, beside
// what systemctl and journalctl say. (server) is a Server with the agent installed; it is left as it was.
import assert from 'node:assert/strict';
import { AgentClient, Journal } from '../integration/lib/agent-client.mjs';

const UNIT = 2;
const FILES = {
	'drill-web.service': '[Service]\nExecStart=/bin/sh -c "echo hello from the web; exec sleep infinity"\n',
	'drill-once.service': '[Service]\nType=oneshot\nExecStart=/bin/true\n',
	'drill-bad.service': '[Service]\nExecStart=/bin/false\n',
	'drill-often.service': '[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=1h\n',
	'drill.timer': '[Timer]\nOnCalendar=*:0/30\nUnit=drill-once.service\n',
};
const STATUS = `version: 1
interval: 1s
units: [{ unit: drill-web.service, name: The web }, drill-once.service, drill-often.service, drill.timer, drill-none.service]
`;

// The agent's socket, reached through the container's root folder.
async function connect(server) {
	const pid = server.engine.docker(['inspect', '-f', '{{.State.Pid}}', server.name]).trim();
	return AgentClient.connect(`/proc/${pid}/root/run/ops-agent/agent.sock`, server.run('cat /etc/ops-agent/secret').trim());
}

async function units(client, what, accepts) {
	let last;
	for (let i = 0; i < 300; i++) {
		const { sections } = await client.status();
		last = Object.fromEntries((sections.units ?? []).map((item) => [item.id, item]));
		if (accepts(last)) return last;
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
	throw new Error(`not within 30 s: ${what}\n${JSON.stringify(last, null, 1)}`);
}

const show = (server, unit, property) => server.run(`systemctl show -P ${property} ${unit}`).trim();

async function look(server, client) {
	const found = await units(client, 'all units', (f) => f['drill-bad.service'] && f['drill-web.service']?.level === 'ok');
	assert.deepEqual(Object.fromEntries(Object.values(found).filter((i) => i.id.startsWith('drill')).map((i) => [i.id, i.level])), {
		'drill-web.service': 'ok', 'drill-once.service': 'ok', 'drill-often.service': 'warn', 'drill.timer': 'ok', 'drill-none.service': 'bad',
		'drill-bad.service': 'bad',
	});
	const web = found['drill-web.service'];
	assert.equal(web.title, 'The web');
	assert.equal(web.values.pid, Number(show(server, 'drill-web.service', 'MainPID')));
	assert.ok(web.values.memory_bytes > 0 && web.values.since_us > 1.7e15);
	assert.deepEqual([found['drill-bad.service'].message, found['drill-bad.service'].values.listed], ['has failed (exit-code)', false]);
	const timer = found['drill.timer'].values;
	assert.ok(timer.next_us % 1800e6 === 0 && timer.next_us > Date.now() * 1000 && timer.unit === 'drill-once.service', JSON.stringify(timer));
}

async function change(server, client) {
	server.run('systemctl kill --signal=KILL drill-web.service');
	const killed = await units(client, 'the kill', (f) => f['drill-web.service'].level === 'bad');
	assert.equal(killed['drill-web.service'].message, 'has failed (signal)');
	server.run('systemctl start drill-web.service');
	await units(client, 'the start', (f) => f['drill-web.service'].level === 'ok');
	server.run('systemctl stop drill-web.service');
	const stopped = await units(client, 'the stop', (f) => f['drill-web.service'].level === 'bad');
	assert.equal(stopped['drill-web.service'].message, 'is not running');
	server.run('systemctl start drill-web.service');
}

async function tail(server, client) {
	const stream = await client.openTail(UNIT, 'drill-web.service', 1000);
	const journal = new Journal();
	server.run('systemctl restart drill-web.service; journalctl --sync');
	const messages = server.run('journalctl -u drill-web.service -o cat --no-pager').trim().split('\n');
	while (journal.text().split('\n').length <= messages.length) {
		const { done, value } = await stream.next();
		assert.ok(!done, `it ended: ${JSON.stringify(journal.events)}`);
		journal.push(value.records);
	}
	const lines = journal.text().trim().split('\n').map((line) => line.replace(/^\S+\[\d+\]: /, ''));
	assert.deepEqual(lines.slice(0, messages.length), messages);
	assert.match(journal.text(), /^sh\[\d+\]: hello from the web$/m);
	assert.match(journal.text(), /^systemd\[1\]: Started/m);
	stream.close();
}

async function withoutBus(server, client) {
	server.run('systemctl stop dbus.socket dbus.service');
	try {
		const found = await units(client, 'no bus', (f) => f['drill-web.service'].level === 'unknown');
		assert.match(found['drill-web.service'].message, /^there is no system bus/);
	} finally {
		server.run('systemctl start dbus.socket dbus.service');
	}
	await units(client, 'the bus', (f) => f['drill-web.service'].level === 'ok');
}

export async function overview(server) {
	server.run('cp -p /etc/ops-agent/status.yml /root/status.before; cat >/etc/ops-agent/status.yml', { input: STATUS });
	for (const [name, text] of Object.entries(FILES)) server.run(`cat >/etc/systemd/system/${name}`, { input: text });
	try {
		server.run('systemctl daemon-reload; systemctl start drill-web.service drill-once.service drill.timer');
		server.run('systemctl start drill-bad.service drill-often.service; opsctl reload');
		const client = await connect(server);
		await client.watchStatus();
		for (const part of [look, change, tail, withoutBus]) await part(server, client);
		client.destroy();
	} finally {
		const names = Object.keys(FILES);
		server.run(`mv /root/status.before /etc/ops-agent/status.yml; systemctl stop ${names.join(' ')}; systemctl reset-failed 'drill*'
cd /etc/systemd/system && rm -f ${names.join(' ')}; systemctl daemon-reload; opsctl reload`);
	}
}
