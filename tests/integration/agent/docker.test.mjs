// Containers on the overview and their live logs, through the Docker relay, against an engine that may
// do anything: hang, talk nonsense, send far too much. tests/drills has the same with a real one.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, readFileSync, readdirSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { Agent, isAlive, until } from '../lib/agent.mjs';
import { Journal } from '../lib/agent-client.mjs';
import { CHUNKED, FakeEngine, idOf } from '../lib/fake-engine.mjs';

const DOCKER = 1;
const commands = 'version: 1\ncommands:\n  quick: { title: Quick, exec: [/bin/true] }\n';
let engine, agent, client, next;

const statusFile = () => `version: 1\ninterval: 1s\ndocker: { socket: ${engine.socket} }\n`;
before(async () => {
	engine = await FakeEngine.start();
	engine.add({ name: 'web' });
	agent = await Agent.start({ commands, status: statusFile() });
	client = await agent.connect();
	next = await client.watchStatus();
});
after(async () => {
	await agent?.destroy();
	await engine?.stop();
});
beforeEach(() => {
	engine.misbehave = undefined;
	engine.containers.clear();
	engine.add({ name: 'web' });
});

const item = (document, id) => document.sections.docker?.find((one) => one.id === id);
// The next document in which the container is as wanted; an event hastens the look.
async function when(id, wanted) {
	engine.event();
	for (;;) {
		const document = await next();
		const found = item(document, id);
		if (wanted(found)) return { found, document };
	}
}
const at = (level, message = '') => (one) => one?.level === level && (one.message ?? '').includes(message);

test('a container is there with all its values', async () => {
	engine.add({ name: 'shop', health: 'healthy', policy: 'always', labels: { 'com.docker.compose.project': 'p', 'com.docker.compose.service': 's' },
		ports: [{ IP: '127.0.0.1', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }] });
	const { found } = await when('shop', (one) => one?.values.cpu_percent !== undefined);
	const { cpu_percent, cpu_us, cpu_at_us, ...values } = found.values;
	assert.deepEqual(values, {
		container_id: idOf('shop').slice(0, 12), state: 'running', health: 'healthy', image: 'image:1', digest: `sha256:${idOf('registry')}`,
		project: 'p', service: 's', ports: '127.0.0.1:8080->80/tcp', restarts: 0, since_us: 1795698237376967,
		memory_limit_bytes: 1 << 26, memory_bytes: 2000000,
	});
	assert.ok(cpu_percent > 0 && cpu_us > 0 && cpu_at_us > 0);
	assert.deepEqual([found.title, found.level, found.message], ['shop', 'ok', null]);
});

test('what happens to a container shows by its event', async () => {
	const lists = () => engine.requests.filter((line) => line.includes('/containers/json')).length;
	// nobody watches this agent: it looks once a minute, and yet
	const quiet = await Agent.start({ commands, status: statusFile() });
	try {
		const other = await quiet.connect();
		await until('the first look', async () => item(await other.status(), 'web'));
		await until('its events', () => engine.listeners.size === 2);
		engine.add({ name: 'web', state: 'exited', exitCode: 3, policy: 'always' });
		engine.event();
		await until('the change', async () => item(await other.status(), 'web').level === 'bad');
		assert.ok(lists() > 0);
	} finally {
		await quiet.destroy();
	}
});

test('of many containers each change is sent once the watcher\'s interval is over', async () => {
	for (let i = 0; i < 30; i++) engine.add({ name: `c${i}` });
	const slow = await Agent.start({ commands, status: `version: 1\ninterval: 10m\nhost: false\ndocker: { socket: ${engine.socket} }\n` });
	try {
		const other = await slow.connect();
		const documents = await other.watchStatus();
		await until('the first look', async () => item(await other.status(), 'c29'));
		await until('its events', () => engine.listeners.size === 2);
		// the next look that nothing asks for is ten minutes away
		for (let round = 0; round < 8; round++) {
			const state = round % 2 ? 'running' : 'paused';
			engine.add({ name: 'c29', state });
			engine.event();
			while (item(await documents(), 'c29')?.values.state !== state);
		}
	} finally {
		await slow.destroy();
	}
});

test('a container that is gone is not shown any more', async () => {
	engine.add({ name: 'short' });
	await when('short', at('ok'));
	engine.containers.delete('short');
	await when('short', (one) => one === undefined);
});

test('an older engine is asked in its own version', async () => {
	const old = await FakeEngine.start('1.41');
	old.add({ name: 'old' });
	const asked = await Agent.start({ commands, status: `version: 1\ndocker: { socket: ${old.socket} }\n` });
	try {
		const other = await asked.connect();
		await until('the container', async () => item(await other.status(), 'old')?.level === 'ok');
		await until('its events', () => old.listeners.size === 1);
		assert.ok(old.requests.every((line) => /^GET \/v1\.4[14]\/[!-~]+ HTTP\/1\.1$/.test(line)), old.requests.join('\n'));
	} finally {
		await asked.destroy();
		await old.stop();
	}
});

const end = (text) => (path, socket) => { socket.end(text); return true; };
for (const [what, misbehave, message] of [
	['says nothing', () => true, 'no answer in time'],
	['hangs up at once', (path, socket) => { socket.destroy(); return true; }, 'without an answer'],
	['closes in the middle', end('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{"Id"'), 'ends in the middle'],
	['talks no HTTP', end('SSH-2.0-OpenSSH_9.2\r\n'), 'is no HTTP'],
	['sends garbage', end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[{"Id":]]'), 'is no JSON: line 1'],
	['sends bytes that are no UTF-8', end(Buffer.from('HTTP/1.1 200 OK\r\n\r\n["\xff\xfe"]', 'latin1')), 'is no JSON'],
	['sends a document of another kind', end('HTTP/1.1 200 OK\r\n\r\n{"a":1}'), 'makes no sense'],
	['fails', end('HTTP/1.1 500 Oops\r\nContent-Length: 26\r\n\r\n{"message":"disk is gone"}'), 'answers 500: disk is gone'],
	['sends 100 MB', (path, socket) => {
		const piece = Buffer.alloc(1 << 20, ' ');
		let left = 100;
		const more = () => { while (left-- > 0 && !socket.destroyed) if (!socket.write(piece)) { socket.once('drain', more); return; } };
		socket.write('HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n');
		more();
		return true;
	}, 'longer than 8 MiB'],
]) {
	test(`an engine that ${what}: its containers are unknown, the rest is live`, async () => {
		await when('web', at('ok'));
		engine.misbehave = misbehave;
		const { found, document } = await when('web', at('unknown', message));
		assert.equal(found.values.image, 'image:1', 'what was known is still there');
		assert.ok(document.sections.host.every((one) => one.level !== 'unknown'));
		engine.misbehave = undefined;
		await when('web', at('ok'));
	});
}

test('one container for which the engine hangs is unknown alone', async () => {
	engine.add({ name: 'stuck' });
	engine.misbehave = (path) => path.startsWith(`/containers/${idOf('stuck')}/json`);
	const { document } = await when('stuck', at('unknown', 'no answer in time'));
	assert.equal(item(document, 'web').level, 'ok');
	assert.equal(item(document, 'stuck').values.state, 'running');
});

test('an engine that is away, and comes back', async () => {
	await when('web', at('ok'));
	await engine.away();
	await when('web', at('unknown', `is not reached: ${engine.socket}: No such file`));
	await engine.listen();
	await when('web', at('ok'));
});

test('a machine without Docker is told what to do about it', async () => {
	const bare = await Agent.start({ commands, status: statusFile().replace(engine.socket, '/nonexistent/docker.sock') });
	try {
		const peer = await bare.connect();
		await peer.watchStatus();
		const found = await until('the look', async () => item(await peer.status(), 'docker'));
		assert.equal(found.level, 'unknown');
		const told = /^the Docker engine is not reached: \/nonexistent\/docker\.sock: No such file or directory \(without Docker here, take 'docker' out of status\.yml\)$/;
		assert.match(found.message, told);
		const next = await until('another look', async () => {
			const it = item(await peer.status(), 'docker');
			return it.checked_us > found.checked_us && it;
		});
		assert.match(next.message, told);
	} finally {
		await bare.destroy();
	}
});

test('names with odd bytes arrive as they are', async () => {
	const name = '<img src=x>\u001b[31m\u202e"\\\n';
	engine.add({ name });
	await when(name, at('ok'));
	const long = 'x'.repeat(3000);
	engine.add({ name: long });
	const { found } = await when('x'.repeat(255), at('ok'));
	assert.equal(found.title.length, 255);
});

test('more containers than are shown are told of', async () => {
	for (let i = 0; i < 300; i++) engine.add({ name: `c${i}` });
	const { document } = await when('docker', at('warn', '45 more containers are not shown'));
	assert.equal(document.sections.docker.length, 257);
});

const children = (name) => readdirSync('/proc').filter((pid) => {
	try {
		return new RegExp(`^Name:\t${name}$[^]*^PPid:\t${agent.monitor.pid}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'));
	} catch {
		return false;
	}
}).map(Number);

test('the relay has no rights, and comes back when it is killed', async () => {
	const [pid] = children('ops-docker');
	const status = readFileSync(`/proc/${pid}/status`, 'utf8');
	assert.match(status, /NoNewPrivs:\s+1/);
	if (!process.env.ASAN_OPTIONS) assert.match(status, /^Seccomp:\s+2$/m);
	await when('web', at('ok'));
	process.kill(pid, 'SIGKILL');
	await until('another relay', () => children('ops-docker').some((one) => one !== pid));
	engine.add({ name: 'later' });
	await when('later', at('ok'));
});

test('started by root the relay is another account, in the group docker', { skip: process.getuid() !== 0 }, async () => {
	const other = await Agent.start({ commands, status: statusFile(), env: { OPS_AGENT_DOCKER_USER: 'nobody', OPS_AGENT_PROBE_USER: 'daemon' } });
	try {
		const pid = await until('the relay', () => readdirSync('/proc').find((one) => {
			try { return new RegExp(`^Name:\tops-docker$[^]*^PPid:\t${other.monitor.pid}$`, 'm').test(readFileSync(`/proc/${one}/status`, 'utf8')); } catch { return false; }
		}));
		const nobody = /^nobody:[^:]*:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))[1];
		const group = /^docker:[^:]*:(\d+):/m.exec(readFileSync('/etc/group', 'utf8'))?.[1];
		await until('the account', () => new RegExp(`^Uid:\t${nobody}\t${nobody}\t${nobody}\t`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8')));
		const status = readFileSync(`/proc/${pid}/status`, 'utf8');
		for (const set of ['CapPrm', 'CapEff', 'CapAmb']) assert.match(status, new RegExp(`^${set}:\t0+$`, 'm'));
		if (group) {
			// as Docker has its socket
			chmodSync(engine.dir, 0o755);
			chownSync(engine.socket, 0, Number(group));
			chmodSync(engine.socket, 0o660);
			assert.ok(/^Groups:\t(.*)$/m.exec(status)[1].trim().split(' ').includes(group));
			const since = Date.now() * 1000;
			const asked = await other.connect();
			engine.event();
			await until('a look', async () => {
				const found = item(await asked.status(), 'web');
				return found?.level === 'ok' && found.checked_us > since;
			});
		}
		await other.kill9Monitor();
		await until('the relay to go', () => !isAlive(Number(pid)));
	} finally {
		await other.destroy();
	}
});

test('without docker in status.yml there is no relay', async () => {
	agent.configure({ commands, status: 'version: 1\ninterval: 1s\n' });
	await client.reload();
	await until('it to go', () => children('ops-docker').length === 0);
	agent.configure({ commands, status: statusFile() });
	await client.reload();
	await until('another one', () => children('ops-docker').length === 1);
	const since = Date.now() * 1000; // what was told before is still on its way
	await when('web', (one) => one?.level === 'ok' && one.checked_us > since);
});

// ---- live logs ----

async function read(tail, text) {
	const journal = new Journal();
	while (!journal.text().includes(text)) {
		const { done, value } = await tail.next();
		if (done) break;
		journal.push(value.records);
	}
	return journal;
}

test('a container\'s two streams, live, with the time Docker noted', async () => {
	await when('web', at('ok'));
	const tail = await client.openTail(DOCKER, 'web', 100);
	await until('its reader', () => engine.readers.size === 1);
	assert.ok(engine.requests.at(-1).includes('/logs?follow=1&stdout=1&stderr=1&timestamps=1&tail=100 '));
	engine.write('web', 1, 'out\n');
	engine.write('web', 2, 'err\n');
	const journal = await read(tail, 'err\n');
	assert.deepEqual(journal.out.map((r) => [r.kind, r.payload.toString(), r.timeUs]),
		[[1, 'out\n', 1795698237376967], [2, 'err\n', 1795698237376967]]);
	tail.close();
	await until('the engine to be hung up on', () => engine.readers.size === 0);
});

test('a container with a terminal, by its id', async () => {
	engine.add({ name: 'tty', tty: true });
	const tail = await client.openTail(DOCKER, idOf('tty').slice(0, 12), 1);
	await until('its reader', () => engine.readers.size === 1);
	engine.write('tty', 1, '\x1b[1mraw\r\n');
	const journal = await read(tail, 'raw');
	assert.equal(journal.text(), '\x1b[1mraw\r\n');
	assert.ok(engine.requests.at(-1).endsWith('/logs?follow=1&stdout=1&tail=0 HTTP/1.1'));
	tail.close();
	await until('the engine to be hung up on', () => engine.readers.size === 0);
});

for (const [what, misbehave, message] of [
	['ends', (path, socket) => { socket.end(`${CHUNKED}0\r\n\r\n`); return true; }, 'writes no more'],
	['is no log', (path, socket) => { socket.end('HTTP/1.1 200 OK\r\n\r\nhello world, no frames'); return true; }, 'makes no sense'],
	['is refused', (path, socket) => { socket.end('HTTP/1.1 409 No\r\n\r\n{"message":"configured logging driver does not support reading"}'); return true; },
		'answers 409: configured logging driver does not support reading'],
]) {
	test(`a log that ${what}: says so and ends`, async () => {
		await when('web', at('ok'));
		engine.misbehave = (path, socket) => path.includes('/logs?') && misbehave(path, socket);
		const tail = await client.openTail(DOCKER, 'web', 0);
		const journal = new Journal();
		for (;;) {
			const { done, value } = await tail.next();
			if (done) break;
			journal.push(value.records);
		}
		const event = journal.events.at(-1);
		assert.equal(event.event, 'tail.ended');
		assert.ok(event.message.includes(message), event.message);
	});
}

test('containers that there are not have no log', async () => {
	await assert.rejects(client.openTail(DOCKER, 'nobody', 0), /status\.yml/);
	await assert.rejects(client.openTail(DOCKER, '../web', 0), /status\.yml/);
	const tail = await client.openTail(DOCKER, '0123456789ab', 0);
	const { value } = await tail.next();
	assert.match(value.records.toString('latin1'), /there is no container '0123456789ab'/);
});
