// A real ops-dashboard for one test: its own state folder and port.
//
//   const dashboard = await Dashboard.start({ agent, databaseUrl: pg.url, env: {} });
//   dashboard.url, dashboard.user, dashboard.password, dashboard.log()
//   const session = await dashboard.login();          // a cookie jar with request helpers
//   await session.get('/api/v1/runs')                  // { status, headers, json, text, bytes }
//   await session.post('/api/v1/runs', { kind, id, inputs })
//   const live = await session.live();                 // a WebSocket: Live below
//   await dashboard.kill9(); await dashboard.restart(); await dashboard.stop(); await dashboard.destroy();
//
// wrap: a program and its arguments that start it, such as `strace -D`, which leaves it its pid.
// agent: an Agent, or { socket, secret } of one that is not there. No databaseUrl: one where nobody listens.
import { execFileSync, spawn } from 'node:child_process';
import { createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askToEnd, BUILD_DIR, sleep, until } from './agent.mjs';
import { FRAME, Journal } from './agent-client.mjs';
import { freePort } from './ports.mjs';

export const DASHBOARD = process.env.OPS_DASHBOARD ?? join(BUILD_DIR, 'core/ops-dashboard');
export const PASSWORD = 'a long enough password';

let hash;
export function passwordHash() {
	hash ??= execFileSync(DASHBOARD, ['passwd'], { input: `${PASSWORD}\n`, encoding: 'utf8' })
		.trim()
		.replace('AUTH_PASSWORD_HASH=', '');
	return hash;
}

const started = new Set();
process.on('exit', () => { for (const dashboard of started) dashboard.destroySync(); });

export class Dashboard {
	static async start({ agent, databaseUrl = 'postgresql://ops@127.0.0.1:1/ops', env = {}, port, wrap = [] } = {}) {
		const dashboard = new Dashboard();
		dashboard.wrap = wrap;
		dashboard.dir = mkdtempSync(join(tmpdir(), 'ops-dashboard-'));
		dashboard.logPath = join(dashboard.dir, 'dashboard.log');
		dashboard.port = port ?? (await freePort());
		dashboard.url = `http://127.0.0.1:${dashboard.port}`;
		dashboard.user = 'admin';
		dashboard.password = PASSWORD;
		dashboard.env = {
			PATH: process.env.PATH,
			DATABASE_URL: databaseUrl,
			AUTH_SECRET: randomBytes(32).toString('hex'),
			AUTH_PASSWORD_HASH: passwordHash(),
			OPS_AGENT_SECRET: agent?.secret ?? 'nobody-knows-this-secret',
			OPS_AGENT_SOCKET: agent?.socket ?? join(dashboard.dir, 'no-agent.sock'),
			LISTEN: `127.0.0.1:${dashboard.port}`,
			STATE_DIR: join(dashboard.dir, 'state'),
			...Object.fromEntries(Object.entries(process.env).filter(([k]) => /^(A|UB|L)SAN_OPTIONS$/.test(k))),
			...env,
		};
		started.add(dashboard);
		await dashboard.spawn();
		return dashboard;
	}

	async spawn() {
		const log = openSync(this.logPath, 'a');
		const [program, ...args] = [...this.wrap, DASHBOARD, 'serve'];
		this.child = spawn(program, args, { env: this.env, stdio: ['ignore', log, log] });
		closeSync(log);
		this.exited = once(this.child, 'exit');
		await until('the dashboard to answer', async () => {
			if (this.child.exitCode !== null || this.child.signalCode !== null)
				throw new Error(`the dashboard ended with ${this.child.exitCode ?? this.child.signalCode}:\n${this.log()}`);
			return request(this, 'GET', '/healthz').then((r) => r.status === 200, () => false);
		});
	}

	get pid() { return this.child.pid; }
	log() { return readFileSync(this.logPath, 'utf8'); }
	get isAlive() { return this.child.exitCode === null && this.child.signalCode === null; }

	// Waits until the agent is connected (and, with database: true, PostgreSQL too).
	async connected({ database = false } = {}) {
		await until('the dashboard to be connected', async () => {
			const { json } = await request(this, 'GET', '/readyz');
			return json.agent.state === 'connected' && (!database || json.database.state === 'ready');
		});
		return this;
	}

	session(cookies = {}) { return new Session(this, cookies); }

	async login(body = { user: this.user, password: this.password }) {
		const session = this.session();
		const answer = await session.post('/api/v1/login', body);
		if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.text}`);
		return session;
	}

	// A session cookie with these times (seconds), signed as the daemon would: to test what time does.
	forgeCookie({ created, seen = created, reauth = created }) {
		const { AUTH_SECRET, AUTH_PASSWORD_HASH, AUTH_TOTP_SECRET = '' } = this.env;
		const key = Buffer.from(hkdfSync('sha256', AUTH_SECRET, AUTH_PASSWORD_HASH + AUTH_TOTP_SECRET, `ops-dashboard session ${this.user}`, 32));
		const body = Buffer.alloc(41);
		body[0] = 1;
		randomBytes(16).copy(body, 1);
		[created, seen, reauth].forEach((t, i) => body.writeBigUInt64LE(BigInt(t), 17 + 8 * i));
		return `${body.toString('hex')}.${createHmac('sha256', key).update(body).digest('hex')}`;
	}

	async kill9() {
		this.child.kill('SIGKILL');
		await this.exited;
	}

	async stop(signal = 'SIGTERM') {
		if (!this.isAlive) return this.child.exitCode;
		await askToEnd(this.child, this.exited, signal);
		return this.child.exitCode;
	}

	async restart() {
		await this.stop();
		await this.spawn();
	}

	async destroy() {
		await this.stop();
		this.destroySync();
	}

	destroySync() {
		if (!started.delete(this)) return;
		if (this.isAlive) this.child.kill('SIGKILL');
		rmSync(this.dir, { recursive: true, force: true });
	}
}

// One request on a connection of its own; the body is collected.
export function request(dashboard, method, path, { headers = {}, body } = {}) {
	return new Promise((resolve, reject) => {
		const req = http.request({ host: '127.0.0.1', port: dashboard.port, method, path, headers, agent: false }, (res) => {
			const parts = [];
			res.on('data', (part) => parts.push(part));
			res.on('error', reject);
			res.on('aborted', () => reject(new Error('the answer was cut off')));
			res.on('end', () => {
				const bytes = Buffer.concat(parts);
				const answer = { status: res.statusCode, headers: res.headers, bytes, text: bytes.toString() };
				if (method !== 'HEAD' && /^application\/(problem\+)?json$/.test((res.headers['content-type'] ?? '').split(';')[0])) answer.json = JSON.parse(answer.text);
				resolve(answer);
			});
		});
		// 101 does not come as an ordinary answer.
		req.on('upgrade', (res, socket) => {
			socket.destroy();
			resolve({ status: res.statusCode, headers: res.headers, bytes: Buffer.alloc(0), text: '' });
		});
		req.on('error', reject);
		req.end(body);
	});
}

export class Session {
	constructor(dashboard, cookies) {
		this.dashboard = dashboard;
		this.cookies = { ...cookies };
	}

	get cookie() { return Object.entries(this.cookies).map(([k, v]) => `${k}=${v}`).join('; '); }

	async request(method, path, { headers = {}, body } = {}) {
		const all = { ...headers };
		if (this.cookie && all.cookie === undefined) all.cookie = this.cookie;
		if (method !== 'GET' && method !== 'HEAD' && all.origin === undefined) all.origin = this.dashboard.url;
		for (const name of Object.keys(all)) if (all[name] === null) delete all[name];
		const answer = await request(this.dashboard, method, path, { headers: all, body });
		for (const line of answer.headers['set-cookie'] ?? []) {
			const [pair] = line.split(';');
			const at = pair.indexOf('=');
			if (/Max-Age=0\b/.test(line)) delete this.cookies[pair.slice(0, at)];
			else this.cookies[pair.slice(0, at)] = pair.slice(at + 1);
		}
		return answer;
	}

	get(path, headers) { return this.request('GET', path, { headers }); }

	post(path, value, headers = {}) {
		return this.request('POST', path, {
			headers: { 'content-type': 'application/json', ...headers },
			body: value === undefined ? undefined : typeof value === 'string' ? value : JSON.stringify(value),
		});
	}

	// What an agent can do is fetched once it is connected; until then a start is answered 503.
	async catalogued() {
		await until('the catalogues of who is connected', async () => {
			const { hosts } = (await this.get('/api/v1/hosts')).json;
			const known = new Set((await this.get('/api/v1/catalog')).json.hosts?.filter((h) => h.digest).map((h) => h.host));
			return hosts.every((h) => h.state !== 'connected' || known.has(h.host));
		});
	}

	// Starts a run and returns its document.
	async run(id, inputs = {}, more = {}) {
		const start = () => this.post('/api/v1/runs', { kind: 'command', id, inputs, ...more });
		let answer = await start();
		if (answer.status === 503) {
			await this.catalogued();
			answer = await start();
		}
		if (answer.status !== 201) throw new Error(`start: ${answer.status} ${answer.text}`);
		return answer.json.run;
	}

	async finished(id) {
		return until(`run ${id} to finish`, async () => {
			const { json } = await this.get(`/api/v1/runs/${id}`);
			return json.run && !['queued', 'running', 'waiting'].includes(json.run.status) && json.run;
		});
	}

	live(options) { return Live.connect(this, options); }
}

export class Refused extends Error {}

// A WebSocket client of /api/v1/live. Subscriptions: live.subscribe(topic, {offset, credit}).
export class Live extends EventEmitter {
	static async connect(session, { headers = {}, port = session.dashboard.port } = {}) {
		const live = new Live();
		live.session = session;
		live.subs = new Map();
		live.nextId = 1;
		const key = randomBytes(16).toString('base64');
		const all = {
			Host: `127.0.0.1:${session.dashboard.port}`,
			Origin: session.dashboard.url,
			Cookie: session.cookie,
			Connection: 'Upgrade',
			Upgrade: 'websocket',
			'Sec-WebSocket-Version': '13',
			'Sec-WebSocket-Key': key,
			'Sec-WebSocket-Protocol': 'ops.v1',
			...headers,
		};
		const lines = Object.entries(all).filter(([, v]) => v !== null && v !== '').map(([k, v]) => `${k}: ${v}\r\n`);
		live.socket = net.connect(port, '127.0.0.1');
		live.socket.setNoDelay(true);
		live.socket.on('error', () => {});
		await once(live.socket, 'connect');
		live.socket.write(`GET /api/v1/live HTTP/1.1\r\n${lines.join('')}\r\n`);
		await live.handshake(key);
		return live;
	}

	async handshake(key) {
		let head = Buffer.alloc(0);
		for (;;) {
			const [part] = await Promise.race([once(this.socket, 'data'), once(this.socket, 'close').then(() => [null])]);
			if (part === null) throw new Refused(`closed before the handshake: ${head}`);
			head = Buffer.concat([head, part]);
			const end = head.indexOf('\r\n\r\n');
			if (end < 0) continue;
			const text = head.subarray(0, end).toString();
			const status = Number(text.split(' ')[1]);
			if (status !== 101) {
				const error = new Refused(`no WebSocket: ${text.split('\r\n')[0]}`);
				error.status = status;
				this.socket.destroy();
				throw error;
			}
			const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
			if (!text.includes(accept)) throw new Error('wrong Sec-WebSocket-Accept');
			this.parts = [];
			this.have = 0;
			this.socket.on('data', (data) => this.onData(data));
			this.socket.on('close', () => this.onClosed());
			if (head.length > end + 4) this.onData(head.subarray(end + 4));
			return;
		}
	}

	onClosed() {
		this.closed = true;
		this.emit('closed', this.closeCode ?? 1006);
		for (const sub of this.subs.values()) sub.wake();
	}

	// Resolves with the close code.
	async waitClosed() {
		if (!this.closed) await once(this, 'closed');
		return this.closeCode ?? 1006;
	}

	onData(data) {
		this.parts.push(data);
		this.have += data.length;
		if (this.have < (this.need ?? 2)) return;
		let buffer = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
		for (;;) {
			const frame = Live.frame(buffer);
			if (typeof frame === 'number') {
				this.need = frame;
				break;
			}
			buffer = buffer.subarray(frame.size);
			this.onFrame(frame);
		}
		this.parts = [buffer];
		this.have = buffer.length;
	}

	// The first frame, or how many bytes are needed for it.
	static frame(b) {
		if (b.length < 2) return 2;
		let length = b[1] & 127, at = 2;
		if (length === 126) {
			if (b.length < 4) return 4;
			length = b.readUInt16BE(2);
			at = 4;
		} else if (length === 127) {
			if (b.length < 10) return 10;
			length = Number(b.readBigUInt64BE(2));
			at = 10;
		}
		if (b.length < at + length) return at + length;
		return { opcode: b[0] & 15, fin: b[0] >> 7, payload: b.subarray(at, at + length), size: at + length };
	}

	onFrame({ opcode, payload }) {
		if (opcode === 8) {
			this.closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
			this.write(8, payload.subarray(0, 2));
			this.socket.end();
		} else if (opcode === 9) {
			this.write(10, payload);
		} else if (opcode === 1) {
			const message = JSON.parse(payload.toString());
			this.emit('message', message);
			this.subs.get(message.id)?.onMessage(message);
		} else if (opcode === 2) {
			this.subs.get(payload.readUInt32LE(8))?.onBinary(payload);
		}
	}

	write(opcode, payload) {
		if (this.closed) return;
		const mask = randomBytes(4);
		const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65536 ? 4 : 10);
		head[0] = 0x80 | opcode;
		if (payload.length < 126) head[1] = 0x80 | payload.length;
		else if (payload.length < 65536) { head[1] = 0x80 | 126; head.writeUInt16BE(payload.length, 2); }
		else { head[1] = 0x80 | 127; head.writeBigUInt64BE(BigInt(payload.length), 2); }
		const body = Buffer.from(payload);
		for (let i = 0; i < body.length; i++) body[i] ^= mask[i & 3];
		this.socket.write(Buffer.concat([head, mask, body]));
	}

	send(message) { this.write(1, Buffer.from(typeof message === 'string' ? message : JSON.stringify(message))); }

	subscribe(topic, { offset, host, id = this.nextId++, autoCredit = true } = {}) {
		const sub = new Subscription(this, id, topic, autoCredit);
		this.subs.set(id, sub);
		this.send({ op: 'subscribe', id, topic, ...(offset === undefined ? {} : { offset }), ...(host === undefined ? {} : { host }) });
		return sub;
	}

	close() { this.write(8, Buffer.from([0x03, 0xe8])); }
	destroy() { this.socket.destroy(); }
}

// What one subscription was told: sub.messages (text), sub.chunks ({offset, records}), sub.end.
export class Subscription {
	constructor(live, id, topic, autoCredit) {
		Object.assign(this, { live, id, topic, autoCredit, messages: [], chunks: [], end: null, bytes: 0, waiters: [] });
	}

	wake() {
		const waiters = this.waiters;
		this.waiters = [];
		for (const waiter of waiters) waiter();
	}

	onMessage(message) {
		this.messages.push(message);
		if (message.event === 'end' || message.event === 'error') this.end = message;
		this.wake();
	}

	onBinary(frame) {
		const type = frame[5];
		if (type === FRAME.CHUNK) {
			const records = frame.subarray(24);
			this.chunks.push({ offset: Number(frame.readBigUInt64LE(16)), records });
			this.bytes += records.length;
			if (this.autoCredit) this.credit(records.length);
		} else if (type === FRAME.END) {
			this.end = { offset: Number(frame.readBigUInt64LE(16)), reason: frame.readUInt16LE(24) };
		} else {
			throw new Error(`a binary frame of type ${type}`);
		}
		this.wake();
	}

	credit(bytes) { this.live.send({ op: 'credit', id: this.id, bytes }); }
	unsubscribe() { this.live.send({ op: 'unsubscribe', id: this.id }); }

	// Waits until probe() says something true.
	async until(what, probe) {
		const deadline = Date.now() + 120000;
		for (;;) {
			const found = probe();
			if (found) return found;
			if (this.live.closed) throw new Error(`closed (${this.live.closeCode}) before: ${what}`);
			if (Date.now() > deadline) throw new Error(`waited two minutes for: ${what}`);
			await Promise.race([new Promise((resolve) => this.waiters.push(resolve)), sleep(1000)]);
		}
	}

	// The n-th message of an event (from 0).
	event(event, n = 0) {
		return this.until(`${event} of ${this.topic}`, () => this.messages.filter((m) => m.event === event)[n]);
	}
	snapshot(n = 0) { return this.event('snapshot', n).then((m) => m.data); }
	put(test) {
		return this.until(`a put of ${this.topic}`, () => this.messages.find((m) => m.event === 'put' && test(m.data))?.data);
	}
	ended() { return this.until(`the end of ${this.topic}`, () => this.end); }

	// The next byte that has not come.
	get offset() {
		const last = this.chunks.at(-1);
		return last ? last.offset + last.records.length : 0;
	}

	// All records that came, checked: no gap, nothing twice, every checksum.
	journal(journal = new Journal()) {
		let at = null;
		for (const { offset, records } of this.chunks) {
			if (at !== null && offset !== at) throw new Error(`records at ${offset}, expected at ${at}`);
			at = offset + records.length;
			journal.push(records);
		}
		return journal;
	}
}
