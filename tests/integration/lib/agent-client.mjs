// A client of the agent's socket, written from proto/PROTOCOL.md and not from the C code: frames,
// requests, responses, and records with their checksums.

import net from 'node:net';
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';

export const FRAME = {
	REQUEST: 1, RESPONSE: 2, CHUNK: 3, CREDIT: 4, EVENT: 5, END: 6, CLOSE: 7, PING: 8, PONG: 9, GOAWAY: 10,
};
export const METHOD = {
	HELLO: 1, CATALOG: 2, RUN_START: 3, RUN_GET: 4, RUN_LIST: 5, RUN_TAIL: 6, RUN_CANCEL: 7, RUN_APPROVE: 8,
	RUN_LOCATE: 9, RUN_RELEASE: 10, EVENTS: 11, STATUS: 12, STATUS_WATCH: 13, SCHEDULE: 14, RELOAD: 15,
	TAIL_OPEN: 16, SCHEDULE_PAUSE: 17, MAINTENANCE: 18, RUN_CANCEL_ALL: 19, SECRET_ROTATE: 20, RUN_STOP: 21,
};
export const STATUS = [
	'ok', 'malformed', 'unauthorized', 'forbidden', 'not_found', 'conflict', 'invalid_input', 'limit',
	'unavailable', 'internal', 'bad_offset', 'unsupported',
];
export const END = { FINISHED: 1, CLOSED: 2, PRUNED: 3, SHORTENED: 4, SHUTDOWN: 5 };
export const GOAWAY = {
	SHUTDOWN: 0, MALFORMED: 1, VERSION: 2, TOO_LARGE: 3, TIMEOUT: 4, LIMIT: 5, FORBIDDEN: 6, PROTOCOL: 7,
	UNAUTHORIZED: 8,
};
export const EVERYTHING_NEW = 0xffffffffffffffffn;
const CREDIT_START = 1 << 20;

// ---- fields ----

export class Writer {
	parts = [];
	u8(v) { this.parts.push(Buffer.from([v])); return this; }
	u16(v) { const b = Buffer.alloc(2); b.writeUInt16LE(v); this.parts.push(b); return this; }
	u32(v) { const b = Buffer.alloc(4); b.writeUInt32LE(v); this.parts.push(b); return this; }
	u64(v) { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(v)); this.parts.push(b); return this; }
	str(v) { const b = Buffer.from(v); this.u32(b.length); this.parts.push(b); return this; }
	bytes(v) { this.parts.push(v); return this; }
	done() { return Buffer.concat(this.parts); }
}

export class Reader {
	constructor(buf) { this.buf = buf; this.at = 0; }
	u8() { return this.buf.readUInt8(this.at++); }
	u16() { this.at += 2; return this.buf.readUInt16LE(this.at - 2); }
	u32() { this.at += 4; return this.buf.readUInt32LE(this.at - 4); }
	u64() { this.at += 8; return Number(this.buf.readBigUInt64LE(this.at - 8)); }
	str() {
		const n = this.u32();
		if (this.at + n > this.buf.length) throw new Error('a string runs past the end');
		this.at += n;
		return this.buf.toString('utf8', this.at - n, this.at);
	}
	finish() { if (this.at !== this.buf.length) throw new Error('trailing bytes'); }
}

export function encodeFrame(type, stream, payload = Buffer.alloc(0)) {
	const head = Buffer.alloc(16);
	head.writeUInt32LE(payload.length, 0);
	head[4] = 1;
	head[5] = type;
	head.writeUInt32LE(stream, 8);
	return Buffer.concat([head, payload]);
}

export function encodeRequest(method, secret, fields = Buffer.alloc(0)) {
	return new Writer().u16(method).str(`Bearer ${secret}`).bytes(fields).done();
}

// ---- records ----

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
	let c = n;
	for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
	return c >>> 0;
});

export function crc32c(bytes) {
	let c = 0xffffffff;
	for (let i = 0; i < bytes.length; i++) c = CRC_TABLE[(c ^ bytes[i]) & 0xff] ^ (c >>> 8);
	return (c ^ 0xffffffff) >>> 0;
}

// Takes a journal's bytes piece by piece, wherever they are cut; checks every checksum (unless told
// not to, for large journals), the line numbers, and in the end the digest of run.finished.
export class Journal {
	constructor({ offset = 0, verify = true } = {}) {
		this.verify = verify;
		this.offset = offset; // of the next record
		this.whole = offset === 0;
		this.digest = createHash('sha256');
		this.records = 0;
		this.bytes = 0; // of stdout and stderr
		this.events = [];
		this.out = []; // payloads, when keep is set
		this.keep = verify;
		this.rest = Buffer.alloc(0);
		this.finished = null;
	}

	push(piece) {
		const data = this.rest.length ? Buffer.concat([this.rest, piece]) : piece;
		let at = 0;
		while (data.length - at >= 24) {
			const length = data.readUInt32LE(at);
			if (length > 65536) throw new Error(`a record of ${length} bytes at ${this.offset}`);
			if (data.length - at - 24 < length) break;
			this.#record(data.subarray(at, at + 24), data.subarray(at + 24, at + 24 + length));
			at += 24 + length;
		}
		this.rest = data.subarray(at);
		return this;
	}

	#record(head, payload) {
		if (this.finished) throw new Error('a record after run.finished');
		if (this.verify && crc32c(Buffer.concat([head.subarray(8), payload])) !== head.readUInt32LE(4))
			throw new Error(`a wrong checksum at ${this.offset}`);
		const kind = head[22];
		const rec = {
			offset: this.offset, timeUs: Number(head.readBigUInt64LE(8)), line: head.readUInt32LE(16),
			step: head.readUInt16LE(20), kind, flags: head[23],
		};
		this.offset += 24 + payload.length;
		if (kind === 3) {
			const event = { ...JSON.parse(payload.toString('utf8')), ...rec };
			this.events.push(event);
			if (event.event === 'run.finished' && rec.step === 0xffff) {
				this.finished = event;
				if (this.whole && this.digest.copy().digest('hex') !== event.digest)
					throw new Error('the digest of run.finished is not the journal\'s');
			}
		} else {
			this.bytes += payload.length;
			if (this.keep) this.out.push({ ...rec, payload: Buffer.from(payload) });
		}
		this.digest.update(head);
		this.records++;
	}

	text(kind = null) {
		return Buffer.concat(this.out.filter((r) => kind === null || r.kind === kind).map((r) => r.payload)).toString();
	}
}

// ---- the connection ----

export class AgentError extends Error {
	constructor(status, message, problems = []) {
		super(`${STATUS[status] ?? status}: ${message}`);
		this.status = STATUS[status] ?? String(status);
		this.problems = problems;
	}
}

class Stream extends EventEmitter {
	constructor(client, id) {
		super();
		this.client = client;
		this.id = id;
		this.queue = [];
		this.waiting = null;
	}

	deliver(item) {
		this.queue.push(item);
		this.waiting?.();
	}

	// The next frame on this stream; throws when the connection ends first.
	async next() {
		while (this.queue.length === 0) {
			if (this.client.closed) throw new Error(`connection closed: ${this.client.closed}`);
			await new Promise((resolve) => { this.waiting = resolve; });
			this.waiting = null;
		}
		return this.queue.shift();
	}

	credit(bytes) { this.client.send(FRAME.CREDIT, this.id, new Writer().u32(bytes).done()); }
	close() { this.client.send(FRAME.CLOSE, this.id); }
}

export class AgentClient extends EventEmitter {
	static async connect(socketPath, secret) {
		const client = new AgentClient(secret);
		await client.#open(socketPath);
		return client;
	}

	constructor(secret) {
		super();
		this.secret = secret;
		this.streams = new Map();
		this.nextStream = 1;
		this.closed = null;
		this.goaway = null;
		this.pending = [];
		this.pendingBytes = 0;
	}

	async #open(path) {
		this.socket = net.connect(path);
		await once(this.socket, 'connect');
		this.socket.on('data', (data) => this.#data(data));
		this.socket.on('error', (err) => this.#ended(err.message));
		this.socket.on('close', () => this.#ended('end of file'));
	}

	#ended(reason) {
		if (this.closed) return;
		this.closed = this.goaway ? `goaway ${this.goaway.code}: ${this.goaway.message}` : reason;
		for (const stream of this.streams.values()) stream.waiting?.();
		this.emit('closed', this.closed);
	}

	// Frames may be large: pieces are joined only when a whole one is there.
	#data(data) {
		this.pending.push(data);
		this.pendingBytes += data.length;
		if (this.need && this.pendingBytes < this.need) return;
		let buf = this.pending.length === 1 ? this.pending[0] : Buffer.concat(this.pending);
		this.need = 0;
		while (buf.length >= 16) {
			const length = buf.readUInt32LE(0);
			if (buf.length - 16 < length) { this.need = 16 + length; break; }
			this.#frame(buf[5], buf.readUInt32LE(8), buf.subarray(16, 16 + length));
			buf = buf.subarray(16 + length);
		}
		this.pending = buf.length ? [buf] : [];
		this.pendingBytes = buf.length;
	}

	#frame(type, id, payload) {
		if (type === FRAME.GOAWAY) {
			const r = new Reader(payload);
			this.goaway = { code: r.u16(), message: r.str() };
			return;
		}
		if (type === FRAME.PONG) { this.emit('pong', payload); return; }
		this.streams.get(id)?.deliver({ type, payload });
	}

	send(type, stream, payload) { this.socket.write(encodeFrame(type, stream, payload)); }
	sendRaw(bytes) { this.socket.write(bytes); }
	destroy() { this.socket.destroy(); }

	async whenClosed() {
		if (!this.closed) await once(this, 'closed');
		return this.goaway;
	}

	async ping(payload = Buffer.from('ping')) {
		const pong = once(this, 'pong');
		this.send(FRAME.PING, 0, payload);
		return (await pong)[0];
	}

	// Sends a request and waits for its response. Returns { stream, reader } of an ok one.
	async open(method, fields, { secret = this.secret } = {}) {
		const stream = new Stream(this, this.nextStream++);
		this.streams.set(stream.id, stream);
		this.send(FRAME.REQUEST, stream.id, encodeRequest(method, secret, fields));
		const { type, payload } = await stream.next();
		if (type !== FRAME.RESPONSE) throw new Error(`frame ${type} before the response`);
		const reader = new Reader(payload);
		const status = reader.u16(), message = reader.str();
		if (status === 0) return { stream, reader };
		this.streams.delete(stream.id);
		const problems = [];
		if (STATUS[status] === 'invalid_input')
			for (let n = reader.u16(); n > 0; n--) problems.push({ name: reader.str(), message: reader.str() });
		reader.finish();
		throw new AgentError(status, message, problems);
	}

	async call(method, fields, opts) {
		const { stream, reader } = await this.open(method, fields, opts);
		this.streams.delete(stream.id);
		return reader;
	}

	async hello(opts) {
		const r = await this.call(METHOD.HELLO, new Writer().u16(1).str('test/1').done(), opts);
		const reply = {
			version: r.u16(), agentVersion: r.str(), agentId: r.str(), host: r.str(), configDigest: r.str(),
			startedUs: r.u64(), ledgerPosition: r.u64(), maxPayload: r.u32(), initialCredit: r.u32(), maxStreams: r.u32(),
		};
		r.finish();
		return reply;
	}

	async #document(method, fields) {
		const r = await this.call(method, fields);
		const json = r.str();
		r.finish();
		return JSON.parse(json);
	}

	catalog() { return this.#document(METHOD.CATALOG); }
	status() { return this.#document(METHOD.STATUS); }

	// Status documents as they come: call the result for the next one.
	async watchStatus(intervalMs = 500) {
		const { stream, reader } = await this.open(METHOD.STATUS_WATCH, new Writer().u32(intervalMs).done());
		reader.finish();
		return async () => {
			const { type, payload } = await stream.next();
			if (type !== FRAME.EVENT) throw new Error(`frame ${type} on status.watch`);
			const r = new Reader(payload);
			const json = JSON.parse(r.str());
			r.finish();
			return json;
		};
	}

	get(run) { return this.#document(METHOD.RUN_GET, new Writer().str(String(run)).done()); }

	async start(id, inputs = {}, { kind = 1, actor = 'user:test', key = '', dryRun = false, trigger = 'manual' } = {}) {
		const w = new Writer().u8(kind).u8(dryRun ? 1 : 0).str(id).str(actor).str(trigger).str(key);
		const pairs = Object.entries(inputs);
		w.u16(pairs.length);
		for (const [name, value] of pairs) w.str(name).str(String(value));
		const r = await this.call(METHOD.RUN_START, w.done());
		const created = r.u8() === 1, json = JSON.parse(r.str());
		r.finish();
		return dryRun ? json : { created, run: json };
	}

	async list({ filter = 0, limit = 50, before = '' } = {}) {
		const r = await this.call(METHOD.RUN_LIST, new Writer().u8(filter).u16(limit).str(before).done());
		const json = JSON.parse(r.str()), next = r.str();
		r.finish();
		return { runs: json.runs, next };
	}

	async cancel(run, { actor = 'user:test', reason = '' } = {}) {
		(await this.call(METHOD.RUN_CANCEL, new Writer().str(String(run)).str(actor).str(reason).done())).finish();
	}

	// As whoever presses wants it: in its own time, asked for as often as one likes, or at once.
	async stop(run, { kill = false, actor = 'user:test', reason = '' } = {}) {
		(await this.call(METHOD.RUN_STOP, new Writer().str(String(run)).u8(kill ? 1 : 0).str(actor).str(reason).done())).finish();
	}

	async approve(run, step, yes, { actor = 'user:test', comment = '' } = {}) {
		(await this.call(METHOD.RUN_APPROVE, new Writer().str(String(run)).str(step).u8(yes ? 1 : 0).str(actor).str(comment).done())).finish();
	}

	async release(run, digest) {
		(await this.call(METHOD.RUN_RELEASE, new Writer().str(String(run)).str(digest).done())).finish();
	}

	async reload(actor = 'user:test') {
		const r = await this.call(METHOD.RELOAD, new Writer().str(actor).done());
		return r.str();
	}

	async locate(run, kind, value) {
		const r = await this.call(METHOD.RUN_LOCATE, new Writer().str(String(run)).u8(kind).u64(value).done());
		return { offset: r.u64(), line: r.u64(), timeUs: r.u64() };
	}

	// Opens a tail. Iterate over what it returns for {offset, records}; .end is set afterwards.
	async tail(run, offset = 0, { autoCredit = true } = {}) {
		const { stream, reader } = await this.open(
			METHOD.RUN_TAIL, new Writer().str(String(run)).u64(offset).done());
		const reply = { offset: reader.u64(), size: reader.u64(), run: JSON.parse(reader.str()) };
		return new Tail(this, stream, reply, autoCredit);
	}

	// Follows a run to its end into a Journal, and returns that.
	async follow(run, offset = 0, opts = {}) {
		const journal = opts.journal ?? new Journal({ offset, verify: opts.verify ?? true });
		const tail = await this.tail(run, offset);
		for await (const chunk of tail) {
			if (chunk.offset !== journal.offset + journal.rest.length)
				throw new Error(`a chunk at ${chunk.offset}, expected ${journal.offset}`);
			journal.push(chunk.records);
			if (opts.until?.(journal)) { tail.close(); break; }
		}
		journal.end = tail.end;
		return journal;
	}

	// Opens a live tail of a container (kind 1) or a unit (kind 2); iterated like the one of a run.
	async openTail(kind, name, backlog = 0, { autoCredit = true } = {}) {
		const { stream, reader } = await this.open(
			METHOD.TAIL_OPEN, new Writer().u8(kind).str(name).u32(backlog).done());
		reader.finish();
		return new Tail(this, stream, { offset: 0 }, autoCredit);
	}

	async events(position = EVERYTHING_NEW) {
		const { stream, reader } = await this.open(METHOD.EVENTS, new Writer().u64(position).done());
		return new Events(this, stream, reader.u64());
	}
}

class Tail {
	constructor(client, stream, reply, autoCredit) {
		Object.assign(this, { client, stream, ...reply, autoCredit, end: null });
	}

	async next() {
		const { type, payload } = await this.stream.next();
		const r = new Reader(payload);
		if (type === FRAME.END) {
			this.end = { offset: r.u64(), reason: r.u16() };
			r.finish();
			this.client.streams.delete(this.stream.id);
			return { done: true };
		}
		if (type !== FRAME.CHUNK) throw new Error(`frame ${type} on a tail`);
		const chunk = { offset: r.u64(), records: payload.subarray(8) };
		if (this.autoCredit) this.stream.credit(chunk.records.length);
		return { done: false, value: chunk };
	}

	close() { this.stream.close(); }
	[Symbol.asyncIterator]() { return this; }
}

class Events {
	constructor(client, stream, position) { Object.assign(this, { client, stream, position }); }

	async next() {
		const { type, payload } = await this.stream.next();
		if (type === FRAME.END) return null;
		const r = new Reader(payload);
		const event = JSON.parse(r.str());
		r.finish();
		return event;
	}

	async until(matches) {
		for (;;) {
			const event = await this.next();
			if (event === null) throw new Error('the stream of events ended');
			if (matches(event)) return event;
		}
	}

	close() { this.stream.close(); }
}

export { CREDIT_START };
