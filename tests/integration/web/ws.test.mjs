// WebSockets of core/web: the handshake, RFC 6455's rules, limits, and the order of frames.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BINARY, CLOSE, PING, PONG, Server, TEXT, WebSocketPeer, frame, handshake, until, within } from './lib/raw.mjs';

let server;
before(async () => {
	server = await Server.start('ws-echo', { ws_close_ms: 300, linger_ms: 300 });
});
after(async () => {
	await server.stop();
});

const open = (path = '/ws', headers = {}) => WebSocketPeer.open(server, path, headers);
const closePayload = (code, reason = '') => Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);

// The server's close code after these frames.
async function codeAfter(path, ...frames) {
	const ws = await open(path, path === '/small' ? { 'Sec-WebSocket-Protocol': 'ops.v1' } : {});
	for (const bytes of frames) ws.peer.send(bytes);
	const code = await ws.closeCode();
	ws.destroy();
	return code;
}

test('the handshake is checked', async () => {
	const ok = await open();
	assert.equal(ok.response.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
	assert.equal(ok.response.headers['sec-websocket-protocol'], undefined);
	ok.destroy();
	const bad = [
		{ Upgrade: null },
		{ Upgrade: 'h2c' },
		{ Connection: null },
		{ Connection: 'keep-alive' },
		{ 'Sec-WebSocket-Version': '8' },
		{ 'Sec-WebSocket-Version': null },
		{ 'Sec-WebSocket-Key': null },
		{ 'Sec-WebSocket-Key': 'short' },
		{ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZR==' },
	];
	for (const headers of bad) {
		const peer = await server.open();
		peer.send(handshake('/ws', headers));
		const response = await peer.response();
		assert.equal(response.status, 426, JSON.stringify(headers));
		assert.equal(response.headers['sec-websocket-version'], '13');
		peer.destroy();
	}
	const old = await server.open();
	old.send(handshake('/ws').replace('HTTP/1.1', 'HTTP/1.0'));
	assert.equal((await old.response()).status, 426);
	old.destroy();
	const head = await server.open();
	head.send(handshake('/ws').replace('GET', 'HEAD'));
	assert.equal((await head.response(true)).status, 426);
	head.destroy();
});

test('the subprotocol must be offered', async () => {
	const good = await open('/small', { 'Sec-WebSocket-Protocol': 'other, ops.v1' });
	assert.equal(good.response.headers['sec-websocket-protocol'], 'ops.v1');
	good.destroy();
	for (const value of [null, 'ops.v2', 'OPS.V1']) {
		const peer = await server.open();
		peer.send(handshake('/small', { 'Sec-WebSocket-Protocol': value }));
		assert.equal((await peer.response()).status, 400);
		peer.destroy();
	}
});

test('frames in the segment of the handshake are not lost', async () => {
	const peer = await server.open();
	peer.send(Buffer.concat([Buffer.from(handshake('/ws')), frame(TEXT, 'early')]));
	const ws = new WebSocketPeer();
	ws.peer = peer;
	assert.equal((await peer.response()).status, 101);
	assert.equal((await ws.next()).text, 'early');
	ws.destroy();
});

test('messages of every length come back', async () => {
	for (const path of ['/ws', '/block']) {
		const ws = await open(path);
		for (const size of [0, 1, 125, 126, 127, 4095, 4096, 4097, 65535, 65536]) {
			const data = Buffer.alloc(size, size & 255);
			ws.send(BINARY, data);
			const got = await ws.next();
			assert.equal(got.opcode, BINARY);
			assert.deepEqual(got.data, data);
		}
		ws.send(TEXT, 'κόσμε');
		assert.equal((await ws.next()).text, 'κόσμε');
		ws.destroy();
	}
	const ws = await open();
	const large = Buffer.alloc(4 << 20, 7);
	ws.send(BINARY, large);
	assert.equal((await ws.next()).data.compare(large), 0);
	ws.destroy();
});

test('sixty-four MiB in one message, and four in 65536 fragments with pings between', async () => {
	const server = await Server.start('ws-echo');
	const ws = await WebSocketPeer.open(server, '/');
	const collect = async (size) => {
		// Peer.data grows by concatenation: too slow for this much.
		const parts = [];
		let have = ws.peer.data.length;
		ws.peer.socket.removeAllListeners('data');
		parts.push(ws.peer.data);
		const done = new Promise((resolve) => ws.peer.socket.on('data', (data) => { parts.push(data); have += data.length; if (have >= size) resolve(); }));
		return { done, bytes: () => Buffer.concat(parts) };
	};
	const payload = Buffer.alloc(64 << 20, 'sixty-four ');
	let got = await collect(payload.length + 10);
	ws.send(BINARY, payload);
	await within(got.done, 'the echo', 60000);
	let bytes = got.bytes();
	assert.equal(bytes.length, payload.length + 10);
	assert.ok(bytes.subarray(10).equals(payload));
	ws.peer.data = Buffer.alloc(0);
	const fragments = [];
	const expected = Buffer.alloc(4 << 20, 'abcd');
	for (let i = 0; i < 65536; i++) {
		fragments.push(frame(i === 0 ? BINARY : 0, expected.subarray(i * 64, i * 64 + 64), { fin: i === 65535 }));
		if (i % 8192 === 1) fragments.push(frame(PING, `p${i}`));
	}
	const pongs = Array.from({ length: 8 }, (_, i) => Buffer.from([0x8a, `p${i * 8192 + 1}`.length, ...Buffer.from(`p${i * 8192 + 1}`)]));
	const answer = Buffer.concat([...pongs, Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0x40, 0, 0]), expected]);
	got = await collect(answer.length);
	ws.peer.send(Buffer.concat(fragments));
	await within(got.done, 'the echo', 60000);
	bytes = got.bytes();
	assert.ok(bytes.equals(answer));
	ws.destroy();
	await server.stop();
});

test('the same bytes, one at a time, give the same frames', async () => {
	const ws = await open();
	const bytes = Buffer.concat([
		frame(TEXT, 'he', { fin: false }),
		frame(PING, 'in between'),
		frame(0, 'll', { fin: false }),
		frame(PONG, ''),
		frame(0, 'o'),
		frame(BINARY, Buffer.alloc(300, 1)),
		frame(TEXT, ''),
	]);
	await ws.peer.sendSlowly(bytes.toString('latin1'));
	assert.deepEqual(await ws.next().then(({ opcode, text }) => [opcode, text]), [PONG, 'in between']);
	assert.deepEqual(await ws.next().then(({ opcode, text }) => [opcode, text]), [TEXT, 'hello']);
	assert.equal((await ws.next()).data.length, 300);
	assert.equal((await ws.next()).data.length, 0);
	ws.destroy();
});

test('a character may be split over fragments, a broken one is 1007', async () => {
	const ws = await open();
	const euro = Buffer.from('€');
	ws.send(TEXT, euro.subarray(0, 1), { fin: false });
	ws.send(0, euro.subarray(1, 2), { fin: false });
	ws.send(0, euro.subarray(2));
	assert.equal((await ws.next()).text, '€');
	ws.destroy();
	for (const bad of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]])
		assert.equal(await codeAfter('/ws', frame(TEXT, Buffer.from(bad))), 1007, String(bad));
	assert.equal(await codeAfter('/ws', frame(TEXT, euro.subarray(0, 2), { fin: false }), frame(0, '')), 1007);
});

test('protocol violations are answered with 1002', async () => {
	const cases = {
		'no mask': [frame(TEXT, 'x', { mask: false })],
		'reserved bit': [frame(TEXT, 'x', { rsv: 4 })],
		'reserved bit in a ping': [frame(PING, 'x', { rsv: 1 })],
		'opcode 3': [frame(3, 'x')],
		'opcode 7': [frame(7, '')],
		'opcode 11': [frame(11, '')],
		'opcode 15': [frame(15, '')],
		'long ping': [frame(PING, Buffer.alloc(126))],
		'fragmented ping': [frame(PING, 'x', { fin: false })],
		'continuation of nothing': [frame(0, 'x')],
		'new message within one': [frame(TEXT, 'x', { fin: false }), frame(TEXT, 'y')],
		'length not minimal, 2 bytes': [frame(TEXT, 'x', { lengthBytes: 2 })],
		'length not minimal, 8 bytes': [frame(TEXT, 'x', { lengthBytes: 8 })],
		'one-byte close': [frame(CLOSE, Buffer.from([3]))],
		'close 999': [frame(CLOSE, closePayload(999))],
		'close 1005': [frame(CLOSE, closePayload(1005))],
		'close 1006': [frame(CLOSE, closePayload(1006))],
		'close 2000': [frame(CLOSE, closePayload(2000))],
		'close 65535': [frame(CLOSE, closePayload(65535))],
	};
	for (const [what, frames] of Object.entries(cases)) assert.equal(await codeAfter('/ws', ...frames), 1002, what);
	assert.equal(await codeAfter('/ws', frame(CLOSE, Buffer.concat([closePayload(1000), Buffer.from([0xff])]))), 1007);
});

test('the reason of a close must be text, in whatever pieces it comes', async () => {
	const closing = (reason) => frame(CLOSE, Buffer.concat([closePayload(1000), Buffer.from(reason)]));
	for (const [reason, code] of [[[0xff], 1007], [[0xc3, 0x28], 1007], [[0x61, 0x62, 0x63, 0xe2, 0x82], 1007], [[0xed, 0xa0, 0x80, 0x65], 1007], ['κόσμε', 1000], ['bye', 1000]]) {
		assert.equal(await codeAfter('/ws', closing(reason)), code, `whole: ${reason}`);
		const ws = await open();
		await ws.peer.sendSlowly(closing(reason).toString('latin1'));
		assert.equal(await ws.closeCode(), code, `byte by byte: ${reason}`);
		ws.destroy();
		// between data and behind half a message, in two pieces, wherever the cut is
		const bytes = Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(PING, 'p'), closing(reason)]);
		for (let cut = 1; cut < bytes.length; cut++) {
			const cutOff = await open();
			cutOff.peer.send(bytes.subarray(0, cut));
			await new Promise(setImmediate);
			cutOff.peer.send(bytes.subarray(cut));
			assert.equal(await cutOff.closeCode(), code, `cut at ${cut}: ${reason}`);
			cutOff.destroy();
		}
	}
});

test('limits: 1009 for large messages, 1008 for many fragments, 1003 for binary where there is none', async () => {
	assert.equal(await codeAfter('/small', frame(TEXT, 'x'.repeat(1025))), 1009);
	assert.equal(await codeAfter('/small', frame(TEXT, 'x'.repeat(1024), { fin: false }), frame(0, 'x')), 1009);
	assert.equal(await codeAfter('/ws', frame(BINARY, 'x', { length: 2 ** 40, lengthBytes: 8 })), 1009);
	assert.equal(await codeAfter('/small', frame(BINARY, 'x')), 1003);
	const tiny = frame(0, '', { fin: false });
	assert.equal(await codeAfter('/ws', frame(TEXT, '', { fin: false }), Buffer.concat(Array(1000).fill(tiny))), 1008);
	const ws = await open();
	ws.send(TEXT, '', { fin: false });
	ws.peer.send(Buffer.concat(Array(998).fill(tiny)));
	ws.send(0, 'end');
	assert.equal((await ws.next()).text, 'end');
	ws.destroy();
	const small = await open('/small', { 'Sec-WebSocket-Protocol': 'ops.v1' });
	for (let i = 0; i < 3; i++) {
		small.send(TEXT, 'x'.repeat(1024));
		assert.equal((await small.next()).data.length, 1024);
	}
	small.destroy();
});

test('either side may close, and on_close is told the first code', async () => {
	await server.get('/closes');
	assert.equal(await codeAfter('/ws', frame(CLOSE, closePayload(1000, 'bye'))), 1000);
	assert.equal(await codeAfter('/ws', frame(CLOSE, closePayload(4999))), 4999);
	assert.equal(await codeAfter('/ws', frame(CLOSE, '')), 0);
	const bye = await open('/bye');
	bye.send(TEXT, 'anything');
	const got = await bye.next();
	assert.equal(got.code, 4401);
	assert.equal(got.data.subarray(2).toString(), 'session ended');
	bye.send(CLOSE, closePayload(4401));
	assert.equal(await bye.next(), null);
	bye.destroy();
	const gone = await open();
	gone.peer.socket.resetAndDestroy();
	let codes = [];
	await until(async () => {
		codes = codes.concat(JSON.parse((await server.get('/closes')).body));
		return codes.length >= 5;
	}, 'the codes are told');
	assert.deepEqual(
		codes.sort((a, b) => a - b),
		[1000, 1005, 1006, 4401, 4999],
	);
});

test('a peer that does not answer the close is cut', async () => {
	const ws = await open('/bye');
	ws.send(TEXT, 'x');
	assert.equal((await ws.next()).code, 4401);
	// messages after it are ignored, pings not answered
	ws.send(TEXT, 'y');
	ws.send(PING, 'z');
	assert.equal(await ws.next(), null);
	ws.destroy();
});

test('pings are answered in order between messages, also while a flood is sent', async () => {
	const ws = await open('/flood?mib=30');
	for (let i = 0; i < 20; i++) ws.send(PING, `p${i}`);
	let bytes = 0;
	let pongs = 0;
	for (;;) {
		const got = await ws.next();
		assert.notEqual(got, null);
		if (got.opcode === CLOSE) {
			assert.equal(got.code, 1000);
			break;
		}
		if (got.opcode === PONG) {
			assert.equal(got.text, `p${pongs++}`);
			continue;
		}
		assert.equal(got.opcode, BINARY);
		assert.ok(got.data.every((byte) => byte === 0x78));
		bytes += got.data.length;
	}
	assert.equal(bytes, 30 << 20);
	assert.equal(pongs, 20);
	ws.send(CLOSE, closePayload(1000));
	await ws.peer.closed();
});

test('a peer that floods and does not read is cut with a bounded queue', async () => {
	const ws = await open();
	ws.peer.socket.pause();
	await server.get('/closes');
	const message = frame(BINARY, Buffer.alloc(1 << 20));
	for (let i = 0; i < 40; i++) ws.peer.send(message);
	await until(async () => JSON.parse((await server.get('/closes')).body).includes(1008), 'it is cut');
	ws.destroy();
	const pings = await open();
	pings.peer.socket.pause();
	const many = Buffer.concat(Array(20000).fill(frame(PING, Buffer.alloc(125))));
	let stop = false;
	const flood = (async () => {
		while (!stop && !pings.peer.socket.destroyed)
			if (!pings.peer.socket.write(many)) await Promise.race([new Promise((resolve) => pings.peer.socket.once('drain', resolve)), new Promise((resolve) => setTimeout(resolve, 200))]);
	})();
	await until(async () => JSON.parse((await server.get('/closes')).body).length > 0, 'the ping flood is cut');
	stop = true;
	pings.destroy();
	await flood;
});

test('where all queues together are too long, a long one goes', async () => {
	const narrow = await Server.start('ws-echo', { max_queued: 1 << 20 });
	const quiet = await WebSocketPeer.open(narrow, '/ws');
	const ws = await WebSocketPeer.open(narrow, '/ws');
	ws.peer.socket.pause();
	// By itself this would be within WS_MAX_QUEUE.
	const message = frame(BINARY, Buffer.alloc(1 << 20));
	for (let i = 0; i < 7; i++) ws.peer.send(message);
	await until(async () => JSON.parse((await narrow.get('/closes')).body).includes(1008), 'it is cut');
	quiet.send(TEXT, 'and others are not');
	assert.equal((await quiet.next()).text, 'and others are not');
	for (const one of [quiet, ws]) one.destroy();
	await narrow.stop();
});

test('silence is pinged, then ended; an answer keeps it open', async () => {
	const quick = await Server.start('ws-echo', { ws_ping_ms: 100, ws_pong_ms: 300 });
	const dead = await WebSocketPeer.open(quick, '/ws');
	const alive = await WebSocketPeer.open(quick, '/ws');
	const answering = (async () => {
		for (let i = 0; i < 8; i++) {
			const got = await alive.next();
			assert.equal(got.opcode, PING);
			alive.send(PONG, got.data);
		}
	})();
	assert.equal((await dead.next()).opcode, PING);
	await dead.peer.closed();
	await answering;
	assert.equal(alive.peer.isClosed, false);
	alive.destroy();
	await quick.stop();
});

test('a peer that was sent much and acknowledges nothing is ended too, not given the time to read it', async () => {
	const quick = await Server.start('ws-echo', { ws_ping_ms: 100, ws_pong_ms: 300, write_ms: 600000 });
	const gone = await quick.open();
	// Its window closes and stays so, as behind a pulled cable nothing is acknowledged.
	gone.send(handshake('/flood?mib=64'));
	await gone.response();
	gone.socket.pause();
	await until(async () => JSON.parse((await quick.get('/closes')).body).includes(1006), 'it is ended');
	gone.destroy();
	await quick.stop();
});

test('a drain closes WebSockets with 1001', async () => {
	const other = await Server.start('ws-echo');
	const ws = await WebSocketPeer.open(other, '/ws');
	other.child.kill('SIGTERM');
	const got = await ws.next();
	assert.equal(got.code, 1001);
	ws.send(CLOSE, got.data);
	await ws.peer.closed();
	assert.equal((await other.ended()).code, 0);
});

test('an idle WebSocket takes less than 8 KB', async () => {
	const { readFileSync } = await import('node:fs');
	const pss = () => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${server.child.pid}/smaps_rollup`, 'utf8'))[1]);
	const warm = [];
	for (let i = 0; i < 50; i++) warm.push(await open());
	const before = pss();
	const many = [];
	for (let i = 0; i < 500; i++) {
		const ws = await open();
		ws.send(TEXT, 'hello');
		await ws.next();
		many.push(ws);
	}
	const each = (pss() - before) / many.length;
	for (const ws of [...warm, ...many]) ws.destroy();
	// A sanitizer's allocator keeps far more.
	const plain = !readFileSync(`/proc/${server.child.pid}/maps`, 'utf8').includes('libasan');
	if (plain) assert.ok(each < 8, `${each} KiB each`);
});

test('ten thousand idle WebSockets: little memory each, and others are served', async (t) => {
	const { readFileSync } = await import('node:fs');
	const [, , hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
	const COUNT = 10000;
	if (hard !== 'unlimited' && Number(hard) < 2 * COUNT) return t.skip(`only ${hard} descriptors`);
	const many = await Server.start('ws-echo', { max_connections: COUNT + 100, idle_ms: 600000, ws_ping_ms: 600000 }, { prlimit: [`--nofile=${COUNT + 200}`] });
	const rss = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${many.child.pid}/status`, 'utf8'))[1]);
	const before = rss();
	const peers = [];
	const bytes = handshake('/ws');
	while (peers.length < COUNT) {
		const batch = await Promise.all(Array.from({ length: 250 }, () => many.open()));
		for (const peer of batch) peer.send(bytes);
		for (const peer of batch) assert.equal((await peer.response()).status, 101);
		peers.push(...batch);
	}
	const counts = JSON.parse((await many.get('/counts')).body);
	assert.equal(counts.websockets, COUNT);
	const each = (rss() - before) / COUNT;
	const last = peers[COUNT - 1];
	last.send(frame(TEXT, 'still here'));
	await last.when(() => last.text().includes('still here'), 'an echo');
	const plain = !readFileSync(`/proc/${many.child.pid}/maps`, 'utf8').includes('libasan');
	if (plain) assert.ok(each < 2, `${each} KiB each`);
	for (const peer of peers) peer.destroy();
	await many.stop();
});
