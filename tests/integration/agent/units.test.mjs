// systemd's units over a bus of their own, whose systemd answers as tests/tools/fake-systemd.c is told: well, not at
// all, or with nonsense. The real one is in `./dev drill overview`.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assertIs } from '../../api/document.mjs';
import { Agent, BUILD_DIR, until } from '../lib/agent.mjs';

const dir = mkdtempSync(join(tmpdir(), 'ops-units-'));
const bus = join(dir, 'bus'), modeFile = join(dir, 'mode'), address = `unix:path=${bus}`;
const commands = 'version: 1\ncommands:\n  web.restart: { title: Restart, exec: [/bin/true] }\n';
const LISTED = ['web.service', 'nightly.timer', 'nightly.service', 'setup.service', 'down.service', 'loop.service', 'broken.service', 'missing.service'];
const status = `version: 1
interval: 1s
host: false
units:
  - { unit: web.service, name: The web, action: web.restart }
${LISTED.slice(1).map((name) => `  - ${name}`).join('\n')}
`;
const skip = spawnSync('dbus-daemon', ['--version']).status === 0 ? false : 'dbus-daemon is not installed';
const children = [];
let agent, client;

function mode(word) {
	writeFileSync(`${modeFile}.new`, word);
	renameSync(`${modeFile}.new`, modeFile);
}

async function start(program, args, ready) {
	const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
	children.push(child);
	let said = '';
	for await (const data of child.stdout) {
		said += data;
		if (ready.test(said)) break;
	}
	assert.match(said, ready);
}

before(async () => {
	if (skip) return;
	mode('good');
	writeFileSync(join(dir, 'bus.conf'), `<busconfig><type>session</type><listen>${address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
${['max_incoming_bytes', 'max_outgoing_bytes', 'max_message_size'].map((name) => `<limit name="${name}">1000000000</limit>`).join('')}</busconfig>`);
	await start('dbus-daemon', ['--nofork', '--nosyslog', '--print-address', `--config-file=${join(dir, 'bus.conf')}`], /unix:/);
	await start(join(BUILD_DIR, 'tests/tools/fake-systemd'), [address, modeFile], /ready/);
	agent = await Agent.start({ commands, status, env: { DBUS_SYSTEM_BUS_ADDRESS: address } });
	client = await agent.connect();
	await client.watchStatus();
});
after(async () => {
	try {
		await agent?.destroy();
	} finally {
		for (const child of children) {
			child.kill();
			if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
		}
		rmSync(dir, { recursive: true, force: true });
	}
});

async function units(accepts, peer = client) {
	return until('the units', async () => {
		const document = await peer.status();
		assertIs('Status', document);
		const found = Object.fromEntries((document.sections.units ?? []).map((i) => [i.id, i]));
		return Object.keys(found).length !== 0 && accepts(found) ? found : null;
	});
}
const levels = (found) => Object.fromEntries(Object.values(found).map((i) => [i.id, i.level]));

test('units that are named, and one that is not but failed', { skip }, async () => {
	const found = await units((f) => f['stray.service'] && Object.keys(f).length === LISTED.length + 1);
	assert.deepEqual(levels(found), {
		'web.service': 'ok', 'nightly.timer': 'ok', 'nightly.service': 'ok', 'setup.service': 'ok', 'down.service': 'bad',
		'loop.service': 'warn', 'broken.service': 'bad', 'missing.service': 'bad', 'stray.service': 'bad',
	});
	const web = found['web.service'];
	assert.deepEqual([web.title, web.action, web.message], ['The web', 'web.restart', null]);
	assert.deepEqual(web.values, {
		description: 'A unit', load: 'loaded', active: 'active', sub: 'running', enabled: 'enabled', result: 'success',
		since_us: 1795474800000000, pid: 4711, restarts: 3, memory_bytes: 12345678, listed: true,
	});
	const timer = found['nightly.timer'].values;
	assert.deepEqual([timer.next_us, timer.last_us, timer.unit], [1795478400000000, 1795474800000000, 'nightly.service']);
	assert.equal(found['stray.service'].values.listed, false);
	assert.equal(found['stray.service'].message, 'has failed (signal)');
	assert.equal(found['missing.service'].message, 'there is no such unit');
	assert.equal(found['down.service'].message, 'is not running');
});

test('a change shows, and goes again', { skip }, async () => {
	mode('changed');
	const found = await units((f) => f['web.service'].level === 'bad');
	assert.equal(found['web.service'].message, 'has failed (oom-kill)');
	mode('good');
	await units((f) => f['web.service'].level === 'ok');
});

for (const [word, why] of [
	['hang', /^(systemd does not answer|no answer within 10 s)$/],
	['garbage', /^systemd's answer makes no sense$/],
	['lies', /^systemd's answer makes no sense$/],
	['flood', /^systemd's answer makes no sense$|^systemd cannot be asked|^systemd does not answer$|^no answer within 10 s$/],
	['refuse', /^systemd cannot be asked: not for you$/],
]) {
	test(`a systemd that answers with ${word}: its units are unknown, and say why`, { skip }, async () => {
		mode(word);
		const found = await units((f) => LISTED.every((id) => f[id].level === 'unknown'));
		for (const id of LISTED) assert.match(found[id].message, why);
		mode('good');
		await units((f) => f['web.service'].level === 'ok' && f['stray.service']);
	});
}

test('without a bus the named units are unknown, and nothing is said where none is named', { skip }, async () => {
	const env = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${join(dir, 'nothing')}` };
	const named = await Agent.start({ commands, status: 'version: 1\nhost: false\nunits: [a.service]\n', env });
	const none = await Agent.start({ commands, status: 'version: 1\nunits: []\n', env });
	try {
		const found = await units(() => true, await named.connect());
		assert.deepEqual([found['a.service'].level, found['a.service'].message], ['unknown', 'there is no system bus: No such file or directory']);
		const peer = await none.connect();
		const document = await until('a document', async () => { const d = await peer.status(); return d.sections.host?.some((i) => i.id.startsWith('disk:')) && d; });
		assert.equal(document.sections.units, undefined);
	} finally {
		await named.destroy();
		await none.destroy();
	}
});

test('a bus that accepts and says nothing costs its own section only', { skip }, async () => {
	const net = await import('node:net');
	const silent = net.createServer((socket) => { socket.on('error', () => {}); }).listen(join(dir, 'silent'));
	const other = await Agent.start({
		commands, status: 'version: 1\nunits: [a.service]\n', env: { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${join(dir, 'silent')}` },
	});
	try {
		const peer = await other.connect();
		await peer.watchStatus();
		const found = await units((f) => f['a.service'] || f.units, peer);
		const item = found['a.service'] ?? found.units;
		assert.equal(item.level, 'unknown');
		assert.match(item.message, /^(systemd (does not answer|cannot be asked)|no answer within)/);
		const document = await peer.status();
		assert.ok(document.sections.host.find((i) => i.id === 'memory').checked_us > document.time_us - 10e6);
	} finally {
		silent.close();
		await other.destroy();
	}
});
