// A Docker engine that does as it is told: answers for containers, or misbehaves in every way it can.
//
//   const engine = await FakeEngine.start();
//   engine.socket; engine.requests            // every request's first line, as it came
//   engine.add({ name: 'web', state: 'running', … });   engine.event();   engine.write('web', 1, 'text\n');
//   engine.misbehave = (path, socket) => …    // true: it has answered by itself
//   await engine.stop();
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const idOf = (name) => createHash('sha256').update(name).digest('hex');
const json = (value, status = '200 OK') => {
	const body = JSON.stringify(value);
	return `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
};
const chunk = (bytes) => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
export const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

// One frame of a log, as the engine sends it.
export function frame(stream, text) {
	const bytes = Buffer.from(`2026-11-26T13:03:57.376967956Z ${text}`);
	const head = Buffer.alloc(8);
	head[0] = stream;
	head.writeUInt32BE(bytes.length, 4);
	return Buffer.concat([head, bytes]);
}

export class FakeEngine {
	static async start(api = '1.44') {
		const engine = new FakeEngine();
		engine.api = api;
		engine.dir = mkdtempSync(join(tmpdir(), 'ops-engine-'));
		engine.socket = join(engine.dir, 'engine.sock');
		engine.requests = [];
		engine.containers = new Map();
		engine.listeners = new Set(); // of events
		engine.readers = new Map(); // of logs: socket → container's name
		engine.sockets = new Set();
		await engine.listen();
		return engine;
	}

	listen() {
		this.server = createServer((socket) => this.serve(socket));
		return new Promise((resolve) => { this.server.listen(this.socket, resolve); });
	}

	add({ name, state = 'running', health, exitCode = 0, restarts = 0, policy = '', tty = false, labels = {}, ports = [], cpu = 0, more = {} }) {
		this.containers.set(name, { name, id: idOf(name), state, health, exitCode, restarts, policy, tty, labels, ports, cpu, more });
	}

	event() {
		for (const socket of this.listeners) socket.write(chunk(Buffer.from('{"status":"start"}\n')));
	}

	write(name, stream, text) {
		const c = this.containers.get(name);
		for (const [socket, of] of this.readers) {
			if (of === name) socket.write(chunk(c.tty ? Buffer.from(text) : frame(stream, text)));
		}
	}

	serve(socket) {
		let head = '';
		this.sockets.add(socket);
		socket.on('close', () => { for (const set of [this.sockets, this.listeners, this.readers]) set.delete(socket); });
		socket.on('error', () => {});
		socket.on('data', (data) => {
			head += data.toString('latin1');
			if (!head.endsWith('\r\n\r\n')) return;
			const [line] = head.split('\r\n');
			this.requests.push(line);
			const [, version, path] = /^GET \/v([0-9.]+)(\S+) HTTP\/1\.1$/.exec(line) ?? [];
			if (this.misbehave?.(path, socket)) return;
			if (version !== this.api) socket.end(json({ message: `client version ${version} is too new` }, '400 Bad Request'));
			else this.answer(path, socket);
		});
	}

	answer(path, socket) {
		const [, kind, id, what] = /^\/(containers|images)\/([0-9a-f]+)\/(json|stats|logs)/.exec(path) ?? [];
		const c = [...this.containers.values()].find((one) => one.id === id);
		if (path.startsWith('/containers/json?')) {
			socket.end(json([...this.containers.values()].map((one) => ({
				Id: one.id, Names: [`/${one.name}`], Image: 'image:1', ImageID: `sha256:${idOf('image')}`, State: one.state,
				Created: 1795698000, Labels: one.labels, Ports: one.ports,
			}))));
		} else if (path.startsWith('/events?')) {
			socket.write(CHUNKED);
			this.listeners.add(socket);
		} else if (kind === 'images') {
			socket.end(json({ RepoDigests: [`image@sha256:${idOf('registry')}`] }));
		} else if (!c) {
			socket.end(json({ message: `No such container: ${id}` }, '404 Not Found'));
		} else if (what === 'json') {
			socket.end(json({
				RestartCount: c.restarts, HostConfig: { RestartPolicy: { Name: c.policy }, Memory: 1 << 26 }, Config: { Tty: c.tty },
				State: { Status: c.state, ExitCode: c.exitCode, StartedAt: '2026-11-26T13:03:57.376967956Z',
					FinishedAt: '0001-01-01T00:00:00Z', ...(c.health && { Health: { Status: c.health, FailingStreak: 3 } }) },
				...c.more,
			}));
		} else if (what === 'stats') {
			c.cpu += 1e7;
			socket.end(json({ read: new Date().toISOString(), cpu_stats: { cpu_usage: { total_usage: c.cpu } },
				memory_stats: { usage: 3000000, stats: { inactive_file: 1000000 } } }));
		} else {
			socket.write(CHUNKED);
			this.readers.set(socket, c.name);
		}
	}

	// As a service that is stopped: nobody listens, and every connection ends.
	async away() {
		const closed = new Promise((resolve) => { this.server.close(resolve); });
		for (const socket of this.sockets) socket.destroy();
		await closed;
	}

	async stop() {
		if (this.server.listening) await this.away();
		rmSync(this.dir, { recursive: true, force: true });
	}
}
