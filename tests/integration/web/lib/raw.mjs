// Raw TCP for tests of core/web: a server binary on a free port, sockets that send exactly the bytes
// they are told to, a reader that splits a byte stream into HTTP responses, and a WebSocket client
// that can break every rule.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';

const BUILD = process.env.OPS_BUILD_DIR ?? join(new URL('.', import.meta.url).pathname, '../../../../build');
const DEADLINE_MS = 60000; // on a machine that does much else

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Whatever a failed test left open neither keeps the test process alive nor outlives it.
const children = new Set();
process.on('exit', () => {
	for (const child of children) child.kill('SIGKILL');
});

// A promise that fails by itself: a test never hangs.
export function within(promise, what, ms = DEADLINE_MS) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Asks again until the answer is right.
export async function until(question, what) {
	const end = Date.now() + DEADLINE_MS;
	for (;;) {
		if (await question()) return;
		if (Date.now() > end) throw new Error(`${what}: not true in time`);
		await sleep(10);
	}
}

export class Server {
	// name: http-echo or ws-echo; limits: {header_ms: 200, …}
	static async start(name, limits = {}, { prlimit } = {}) {
		const args = ['0', ...Object.entries(limits).map(([key, value]) => `${key}=${value}`)];
		const program = join(BUILD, 'tests', name);
		const child = prlimit
			? spawn('prlimit', [...prlimit, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
			: spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
		const server = new Server();
		server.child = child;
		children.add(child);
		child.on('exit', () => children.delete(child));
		for (const handle of [child, child.stdout, child.stderr]) handle.unref();
		server.stderr = '';
		child.stderr.on('data', (data) => (server.stderr += data));
		server.exited = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
		server.port = await within(
			new Promise((resolve, reject) => {
				let text = '';
				child.stdout.on('data', (data) => {
					text += data;
					const match = /listening (\d+)\n/.exec(text);
					if (match) resolve(Number(match[1]));
				});
				child.on('error', reject);
				child.on('exit', () => reject(new Error(`${name} ended: ${server.stderr}`)));
			}),
			`start of ${name}`,
		);
		return server;
	}

	ended() {
		return within(this.exited, 'end of the server');
	}

	// Ends it and makes sure that it ended well: no crash, no leak, no handle left open.
	async stop(signal = 'SIGTERM') {
		this.child.kill(signal);
		const end = await this.ended();
		if (end.code !== 0) throw new Error(`the server ended with ${JSON.stringify(end)}: ${this.stderr}`);
	}

	async open() {
		return Peer.open(this.port);
	}

	// Sends bytes, ends the sending side, and gives everything that came back.
	async exchange(bytes) {
		const peer = await this.open();
		peer.send(bytes);
		peer.end();
		await peer.closed();
		return peer.text();
	}

	// One request on a connection of its own.
	async request(head, body = '') {
		const peer = await this.open();
		peer.send(head.replace(/\n/g, '\r\n') + '\r\n' + body);
		const response = await peer.response(head.startsWith('HEAD '));
		peer.destroy();
		return response;
	}

	async get(path, headers = {}) {
		const lines = Object.entries({ Host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\n`);
		return this.request(`GET ${path} HTTP/1.1\n${lines.join('')}`);
	}
}

export class Peer {
	static async open(port) {
		const peer = new Peer();
		peer.data = Buffer.alloc(0);
		peer.isClosed = false;
		peer.waiters = [];
		peer.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
		peer.socket.unref();
		peer.socket.on('data', (data) => {
			peer.data = Buffer.concat([peer.data, data]);
			peer.wake();
		});
		const gone = () => {
			peer.isClosed = true;
			peer.wake();
		};
		peer.socket.on('end', gone);
		peer.socket.on('close', gone);
		peer.socket.on('error', (error) => {
			peer.error = error;
			gone();
		});
		await within(
			new Promise((resolve, reject) => {
				peer.socket.once('connect', resolve);
				peer.socket.once('error', reject);
			}),
			'connect',
		);
		return peer;
	}

	wake() {
		for (const waiter of this.waiters.splice(0)) waiter();
	}

	async when(condition, what) {
		await within(
			(async () => {
				while (!condition()) await new Promise((resolve) => this.waiters.push(resolve));
			})(),
			what,
		);
	}

	send(bytes) {
		this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
	}

	// Each byte in a segment of its own.
	async sendSlowly(bytes, step = 1) {
		const buffer = Buffer.from(bytes, 'latin1');
		for (let i = 0; i < buffer.length; i += step) {
			this.socket.write(buffer.subarray(i, i + step));
			await new Promise((resolve) => setImmediate(resolve));
		}
	}

	end() {
		this.socket.end();
	}

	destroy() {
		this.socket.destroy();
	}

	async closed() {
		await this.when(() => this.isClosed, 'close by the server');
		this.socket.destroy();
	}

	text() {
		return this.data.toString('latin1');
	}

	take(n) {
		const bytes = this.data.subarray(0, n);
		this.data = this.data.subarray(n);
		return bytes;
	}

	// The next response. Its body is complete; interim responses come as their own.
	async response(isHead = false) {
		await this.when(() => this.data.includes('\r\n\r\n') || this.isClosed, 'a response');
		const end = this.data.indexOf('\r\n\r\n');
		if (end < 0) throw new Error(`closed without a response: ${JSON.stringify(this.text())} ${this.error ?? ''}`);
		const lines = this.take(end + 4)
			.toString('latin1')
			.trimEnd()
			.split('\r\n');
		const [, version, status, reason] = /^(HTTP\/1\.1) (\d{3}) (.+)$/.exec(lines[0]) ?? [];
		if (!version) throw new Error(`no status line: ${lines[0]}`);
		const headers = {};
		for (const line of lines.slice(1)) {
			const [, name, value] = /^([!-9;-~]+): (.*)$/.exec(line) ?? [];
			if (!name) throw new Error(`no header field: ${line}`);
			const key = name.toLowerCase();
			if (key in headers) throw new Error(`${name} stands twice`);
			headers[key] = value;
		}
		const response = { status: Number(status), reason, headers, body: '' };
		if (!isHead && response.status >= 200 && response.status !== 204 && response.status !== 304)
			response.body = await this.body(headers);
		return response;
	}

	async body(headers) {
		if (headers['transfer-encoding'] === 'chunked') return this.chunkedBody();
		if (headers['content-length'] === undefined) {
			await this.when(() => this.isClosed, 'the end of the body');
			return this.take(this.data.length).toString('latin1');
		}
		const length = Number(headers['content-length']);
		await this.when(() => this.data.length >= length || this.isClosed, 'the body');
		if (this.data.length < length) throw new Error('the body was cut short');
		return this.take(length).toString('latin1');
	}

	async chunkedBody() {
		const parts = [];
		for (;;) {
			await this.when(() => this.data.includes('\r\n') || this.isClosed, 'a chunk');
			const end = this.data.indexOf('\r\n');
			if (end < 0) throw new Error('the chunked body was cut short');
			const size = parseInt(this.data.subarray(0, end).toString('latin1'), 16);
			await this.when(() => this.data.length >= end + 4 + size || this.isClosed, 'a chunk');
			if (this.data.length < end + 4 + size) throw new Error('the chunked body was cut short');
			this.take(end + 2);
			parts.push(Buffer.from(this.take(size)));
			if (this.take(2).toString('latin1') !== '\r\n') throw new Error('a chunk does not end in CRLF');
			if (size === 0) return Buffer.concat(parts).toString('latin1');
		}
	}
}

// One frame, masked as a client must. Every field can be set wrong.
export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = true, length, lengthBytes } = {}) {
	const data = Buffer.from(payload, typeof payload === 'string' ? 'utf8' : undefined);
	const size = length ?? data.length;
	const header = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
	const bits = mask ? 0x80 : 0;
	const width = lengthBytes ?? (size < 126 ? 0 : size < 65536 ? 2 : 8);
	if (width === 0) header.push(bits | size);
	else if (width === 2) header.push(bits | 126, size >> 8, size & 255);
	else {
		const big = Buffer.alloc(8);
		big.writeBigUInt64BE(BigInt(size));
		header.push(bits | 127, ...big);
	}
	if (!mask) return Buffer.concat([Buffer.from(header), data]);
	const key = randomBytes(4);
	const masked = Buffer.from(data);
	for (let i = 0; i < masked.length; i++) masked[i] ^= key[i & 3];
	return Buffer.concat([Buffer.from(header), key, masked]);
}

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export function handshake(path, headers = {}) {
	const all = {
		Host: 'localhost',
		Upgrade: 'websocket',
		Connection: 'Upgrade',
		'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
		'Sec-WebSocket-Version': '13',
		...headers,
	};
	const lines = Object.entries(all)
		.filter(([, value]) => value !== null)
		.map(([name, value]) => `${name}: ${value}\r\n`);
	return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

export class WebSocketPeer {
	static async open(server, path, headers = {}) {
		const peer = await server.open();
		peer.send(handshake(path, headers));
		const response = await peer.response();
		if (response.status !== 101) throw new Error(`no upgrade: ${response.status} ${response.body}`);
		const ws = new WebSocketPeer();
		ws.peer = peer;
		ws.response = response;
		return ws;
	}

	send(opcode, payload, options) {
		this.peer.send(frame(opcode, payload, options));
	}

	// The next frame of the server: {opcode, data, code}; null when the connection has ended.
	async next() {
		const peer = this.peer;
		await peer.when(() => peer.data.length >= 2 || peer.isClosed, 'a frame');
		if (peer.data.length < 2) return null;
		const [first, second] = peer.data;
		if (first & 0x70) throw new Error('the server set a reserved bit');
		if (second & 0x80) throw new Error('the server masked a frame');
		let size = second;
		let at = 2;
		if (size === 126) {
			await peer.when(() => peer.data.length >= 4 || peer.isClosed, 'a frame header');
			size = peer.data.readUInt16BE(2);
			if (size < 126) throw new Error('a length that is not minimal');
			at = 4;
		} else if (size === 127) {
			await peer.when(() => peer.data.length >= 10 || peer.isClosed, 'a frame header');
			size = Number(peer.data.readBigUInt64BE(2));
			if (size < 65536) throw new Error('a length that is not minimal');
			at = 10;
		}
		await peer.when(() => peer.data.length >= at + size || peer.isClosed, 'a frame payload');
		if (peer.data.length < at + size) return null;
		peer.take(at);
		const data = Buffer.from(peer.take(size));
		const opcode = first & 15;
		if (!(first & 0x80)) throw new Error('the server sent a fragment');
		return { opcode, data, text: data.toString('utf8'), code: opcode === CLOSE && size >= 2 ? data.readUInt16BE(0) : 0 };
	}

	// Reads until the close frame and the end; gives the code, 0 for an empty one, null without one.
	async closeCode() {
		for (;;) {
			const got = await this.next();
			if (got === null) return null;
			if (got.opcode === CLOSE) {
				await this.peer.closed();
				return got.data.length === 0 ? 0 : got.code;
			}
		}
	}

	destroy() {
		this.peer.destroy();
	}
}
