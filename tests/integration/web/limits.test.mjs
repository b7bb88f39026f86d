// Deadlines, maxima and floods of core/web. Deadlines are options: the servers here have short ones.
// Nothing is asserted about how long anything took, only that it happened.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Peer, Server, sleep, until } from './lib/raw.mjs';

const counts = async (server) => JSON.parse((await server.get('/counts')).body);

test('slow clients are told 408 and closed, at the head and in the body', async () => {
	const server = await Server.start('http-echo', { header_ms: 150, body_ms: 150 });
	const silent = await server.open();
	const slow = await server.open();
	slow.send('GET / HTTP/1.1\r\nHost: a\r\nX-');
	const body = await server.open();
	body.send('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe');
	for (const peer of [slow, body]) {
		const response = await peer.response();
		assert.equal(response.status, 408);
		assert.equal(JSON.parse(response.body).code, 'timeout');
		await peer.closed();
	}
	// Nothing was asked for: this one only waits.
	assert.equal(silent.isClosed, false);
	silent.destroy();
	await server.stop();
});

test('a trickle of header bytes does not move the deadline', async () => {
	const server = await Server.start('http-echo', { header_ms: 200 });
	const peer = await server.open();
	peer.send('GET / HTTP/1.1\r\n');
	while (!peer.isClosed) {
		peer.send('X: y\r\n');
		await sleep(10);
	}
	assert.match(peer.text(), /^HTTP\/1\.1 408/);
	peer.destroy();
	await server.stop();
});

test('idle connections end by themselves', async () => {
	const server = await Server.start('http-echo', { idle_ms: 100 });
	const peer = await server.open();
	peer.send('GET /json HTTP/1.1\r\nHost: a\r\n\r\n');
	assert.equal((await peer.response()).status, 200);
	await peer.closed();
	await server.stop();
});

test('a handler that never answers is answered for, and its late answer is dropped', async () => {
	const server = await Server.start('http-echo', { handle_ms: 100 });
	const peer = await server.open();
	peer.send('GET /never HTTP/1.1\r\nHost: a\r\n\r\n');
	const response = await peer.response();
	assert.equal(response.status, 503);
	assert.equal(JSON.parse(response.body).code, 'timeout');
	await peer.closed();
	assert.equal(peer.text(), '');
	assert.equal(JSON.parse((await server.get('/aborts')).body).aborts, 1);
	await server.stop();
});

test('a streamed answer that stalls is cut, not finished', async () => {
	const server = await Server.start('http-echo', { handle_ms: 100 });
	const peer = await server.open();
	peer.send('GET /stream?blocks=2&size=10&hang=1 HTTP/1.1\r\nHost: a\r\n\r\n');
	await assert.rejects(peer.response(), /cut short/);
	await server.stop();
});

test('a reader that stops is cut; one that is merely slow gets every byte', async () => {
	const server = await Server.start('http-echo', { write_ms: 300, handle_ms: 300 });
	const stopped = await server.open();
	stopped.socket.pause();
	stopped.send('GET /stream?blocks=400&size=100000 HTTP/1.1\r\nHost: a\r\n\r\n');
	await until(async () => JSON.parse((await server.get('/aborts')).body).aborts === 1, 'the stopped reader is cut');
	stopped.destroy();
	await server.stop();
	const patient = await Server.start('http-echo', { write_ms: 3000, handle_ms: 3000 });
	const slow = await patient.open();
	slow.socket.pause();
	slow.send('GET /stream?blocks=120&size=100000&length=1 HTTP/1.1\r\nHost: a\r\n\r\n');
	const pump = setInterval(() => {
		slow.socket.resume();
		setTimeout(() => slow.socket.pause(), 10);
	}, 40);
	const response = await slow.response();
	clearInterval(pump);
	assert.equal(response.body.length, 12000000);
	slow.destroy();
	await patient.stop();
});

test('oversized heads are refused by what is too large', async () => {
	const server = await Server.start('http-echo');
	const cases = [
		['GET /' + 'a'.repeat(9000) + ' HTTP/1.1\r\nHost: a\r\n\r\n', 414],
		['GET /' + 'a'.repeat(70000), 414],
		['GET / HTTP/1.1\r\nHost: a\r\nX: ' + 'a'.repeat(70000), 431],
		['GET / HTTP/1.1\r\nHost: a\r\n' + 'X: y\r\n'.repeat(100) + '\r\n', 431],
		['GET / HTTP/1.1\r\nHost: a\r\n' + 'X: y\r\n'.repeat(5000), 431],
		['GET /json HTTP/1.1\r\nHost: a\r\nX: ' + 'a'.repeat(16000) + '\r\n\r\n', 200],
		['GET /json?' + 'a&'.repeat(33) + ' HTTP/1.1\r\nHost: a\r\n\r\n', 400],
	];
	for (const [bytes, status] of cases) {
		const peer = await server.open();
		peer.send(bytes);
		assert.equal((await peer.response()).status, status, bytes.slice(0, 40));
		peer.destroy();
	}
	await server.stop();
});

test('one-byte chunks are bounded', async () => {
	const server = await Server.start('http-echo');
	const peer = await server.open();
	peer.send('POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' + '1\r\nx\r\n'.repeat(16385));
	assert.equal((await peer.response()).status, 400);
	await peer.closed();
	await server.stop();
});

test('requests sent far ahead wait in the kernel, not in the server', async () => {
	const server = await Server.start('http-echo', { handle_ms: 60000 });
	const peer = await server.open();
	peer.send('GET /never HTTP/1.1\r\nHost: a\r\n\r\n');
	peer.send('GET /json HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(500000));
	// The server still answers others, and the flood has stopped moving.
	await until(async () => {
		const sent = peer.socket.bytesWritten - peer.socket.writableLength;
		await sleep(50);
		return sent === peer.socket.bytesWritten - peer.socket.writableLength;
	}, 'the flood stands still');
	assert.equal((await server.get('/json')).status, 200);
	assert.equal((await counts(server)).requests, 3);
	peer.destroy();
	await server.stop();
});

test('at the maximum idle connections make room, else 503 and accepting goes on', async () => {
	const server = await Server.start('http-echo', { max_connections: 4 });
	const idle = [];
	for (let i = 0; i < 8; i++) idle.push(await server.open());
	await until(async () => idle.filter((peer) => peer.isClosed).length >= 4, 'the oldest made room');
	assert.equal((await server.get('/json')).status, 200);
	for (const peer of idle) peer.destroy();
	await until(async () => (await counts(server)).connections === 1, 'they are gone');

	// Four that are surely not idle: they were asked for their bodies.
	const busy = [];
	await until(async () => {
		const peer = await server.open();
		peer.send('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
		if ((await peer.response()).status === 100) busy.push(peer);
		else peer.destroy();
		return busy.length === 4;
	}, 'four are busy');
	const refused = await server.get('/json');
	assert.equal(refused.status, 503);
	assert.equal(JSON.parse(refused.body).code, 'too_many_connections');
	for (let i = 0; i < 200; i++) (await server.open()).destroy();
	for (const peer of busy) peer.socket.resetAndDestroy();
	await until(async () => {
		try {
			return (await server.get('/json')).status === 200;
		} catch {
			return false;
		}
	}, 'it serves again');
	await server.stop();
});

// A peer that was served once, and of whose next head only some has arrived.
async function withHalfHead(server) {
	const peer = await server.open();
	peer.send('GET /json HTTP/1.1\r\nHost: a\r\n\r\nGET /json HTTP/1.1\r\nX-');
	assert.equal((await peer.response()).status, 200);
	return peer;
}
async function idlePeer(server) {
	const peer = await server.open();
	peer.send('GET /json HTTP/1.1\r\nHost: a\r\n\r\n');
	assert.equal((await peer.response()).status, 200);
	return peer;
}

test('at the maximum half-sent heads keep nobody out: the oldest makes room', async () => {
	const server = await Server.start('http-echo', { max_connections: 4, header_ms: 600000 });
	const peers = [];
	for (let i = 0; i < 4; i++) peers.push(await withHalfHead(server));
	for (let gone = 1; gone <= 4; gone++) {
		// Asked for its body, this one is being served: it makes no room itself.
		const busy = await server.open();
		busy.send('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
		assert.equal((await busy.response()).status, 100);
		await until(() => peers[gone - 1].isClosed, `number ${gone} made room`);
		assert.deepEqual(peers.map((peer) => peer.isClosed), peers.map((_, i) => i < gone));
		peers.push(busy);
	}
	const refused = await server.get('/json');
	assert.equal(refused.status, 503);
	for (const peer of peers) peer.destroy();
	await server.stop();
});

test('a head that takes long goes before an idle connection, one that has just begun after it', async () => {
	for (const [grace, goes] of [[0, 'half'], [600000, 'idle']]) {
		const server = await Server.start('http-echo', { max_connections: 2, header_ms: 600000, head_grace_ms: grace });
		const peers = { idle: await idlePeer(server), half: await withHalfHead(server) };
		assert.equal((await server.get('/json')).status, 200);
		await until(() => peers[goes].isClosed, `${goes} made room`);
		assert.equal(peers[goes === 'idle' ? 'half' : 'idle'].isClosed, false);
		for (const peer of Object.values(peers)) peer.destroy();
		await server.stop();
	}
});

test('without descriptors it refuses, does not spin, and recovers', async () => {
	const server = await Server.start('http-echo', {}, { prlimit: ['--nofile=24'] });
	const peers = [];
	for (let i = 0; i < 60; i++) {
		try {
			peers.push(await server.open());
		} catch {
			// refused by the server, as it should be
		}
	}
	await until(async () => peers.some((peer) => peer.isClosed), 'some were closed');
	const alive = peers.find((peer) => !peer.isClosed);
	alive.send('GET /json HTTP/1.1\r\nHost: a\r\n\r\n');
	assert.equal((await alive.response()).status, 200);
	for (const peer of peers) peer.destroy();
	await until(async () => {
		try {
			return (await server.get('/json')).status === 200;
		} catch {
			return false;
		}
	}, 'it serves again');
	await server.stop();
});

test('a flood of rubbish harms only those who send it', async () => {
	const server = await Server.start('http-echo');
	const good = await server.open();
	const stream = await server.open();
	stream.send('GET /stream?blocks=300&size=65536&length=1 HTTP/1.1\r\nHost: a\r\n\r\n');
	const streamed = stream.response();
	const rubbish = [
		() => randomBytes(200),
		() => Buffer.concat([Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n'), randomBytes(300), Buffer.from('\r\n\r\n')]),
		() => Buffer.from('POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' + 'ffffffff\r\n'),
		() => Buffer.from('GET / HTTP/1.1\r\n'.repeat(50)),
		() => Buffer.from('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n'),
		() => Buffer.from('GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n'),
		() => Buffer.alloc(100000, 'A'),
	];
	for (let round = 0; round < 60; round++) {
		const peers = await Promise.all(rubbish.map(() => server.open()));
		peers.forEach((peer, i) => peer.send(rubbish[i]()));
		good.send('GET /json HTTP/1.1\r\nHost: a\r\n\r\n');
		assert.equal((await good.response()).status, 200);
		for (const peer of peers) peer.socket.resetAndDestroy();
	}
	assert.equal((await streamed).body.length, 300 * 65536);
	good.destroy();
	stream.destroy();
	await until(async () => (await counts(server)).connections === 1, 'they are gone');
	assert.ok((await counts(server)).malformed > 0);
	await server.stop();
});

test('drains: what runs is finished, idle connections end, new ones are refused', async () => {
	const server = await Server.start('http-echo');
	const idle = await server.open();
	idle.send('GET /json HTTP/1.1\r\nHost: a\r\n\r\n');
	await idle.response();
	const stream = await server.open();
	stream.send('GET /stream?blocks=100&size=65536&length=1 HTTP/1.1\r\nHost: a\r\n\r\n');
	await until(() => {
		if (stream.data.length > 0) stream.socket.pause();
		return stream.data.length > 0;
	}, 'the answer begins');
	server.child.kill('SIGTERM');
	await idle.closed();
	await assert.rejects(Peer.open(server.port));
	stream.socket.resume();
	assert.equal((await stream.response()).body.length, 100 * 65536);
	await stream.closed();
	assert.equal((await server.ended()).code, 0);
	assert.match(server.stderr, /drained 0/);
});

test('closes at once with everything in flight, and leaves nothing behind', async () => {
	const server = await Server.start('http-echo');
	const peers = [];
	for (const path of ['/never', '/later', '/stream?blocks=100&size=65536', '/stream?blocks=1&size=1&hang=1']) {
		const peer = await server.open();
		peer.socket.pause();
		peer.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
		peers.push(peer);
	}
	peers.push(await server.open());
	await until(async () => (await counts(server)).requests >= 4, 'they are being handled');
	await server.stop('SIGINT');
	for (const peer of peers) peer.destroy();
});
