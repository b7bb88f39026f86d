// An agent for tests of the dashboard's side: it speaks proto/PROTOCOL.md on a Unix socket, has the runs it is
// given (synthetic journals), and does as wrong as it is told. Runs may grow while they are tailed.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { crc32c, encodeFrame, END, FRAME, METHOD, Reader, Writer } from './agent-client.mjs';

const OK = 0;
const NOT_FOUND = 4;
const CONFLICT = 5;
const BAD_OFFSET = 10;
const UNAVAILABLE = 8;
const UNSUPPORTED = 11;
const RUN = 0xffff;

let lastId = Date.now();

export function uuidV7(ms = lastId++) {
	const bytes = randomBytes(16);
	bytes.writeUIntBE(ms, 0, 6);
	bytes[6] = (bytes[6] & 0x0f) | 0x70;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	const hex = bytes.toString('hex');
	return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

// A run and its journal. output() and finish() append records as a runner would.
export class FakeRun {
	static numbers = 0;

	constructor({ name = 'demo.flood', id = uuidV7(), steps = ['main'], host = 'fake' } = {}) {
		this.host = host;
		this.id = id;
		this.number = ++FakeRun.numbers;
		this.name = name;
		this.steps = steps;
		this.parts = [];
		this.size = 0;
		this.lines = 0;
		this.bytes = 0;
		this.records = 0;
		this.timeUs = 1795474800000000;
		this.createdUs = this.timeUs;
		this.digest = createHash('sha256');
		this.status = 'running';
		this.released = false;
		this.tails = new Set();
		this.index = [0]; // record boundaries
		this.event(RUN, { event: 'run.created', id: this.id, name, steps: steps.map((s, i) => ({ index: i, id: s, uses: `uses.${s}`, title: s, phase: 'main' })) });
		steps.forEach((s, i) => this.event(i, { event: 'step.started', step_id: s, attempt: 1 }));
	}

	record(step, kind, payload) {
		const head = Buffer.alloc(24);
		this.timeUs += 1000;
		head.writeUInt32LE(payload.length, 0);
		head.writeBigUInt64LE(BigInt(this.timeUs), 8);
		head.writeUInt32LE(this.lines, 16);
		head.writeUInt16LE(step, 20);
		head[22] = kind;
		head.writeUInt32LE(crc32c(Buffer.concat([head.subarray(8), payload])), 4);
		if (kind !== 3) {
			for (const byte of payload) if (byte === 10) this.lines++;
			this.bytes += payload.length;
		}
		this.finalDigest = this.digest.copy().digest('hex');
		this.digest.update(head);
		this.records++;
		this.parts.push(Buffer.concat([head, payload]));
		this.size += 24 + payload.length;
		this.index.push(this.size);
	}

	event(step, event) {
		this.record(step, 3, Buffer.from(JSON.stringify(event)));
	}

	output(payload, { step = 0, kind = 1 } = {}) {
		this.record(step, kind, Buffer.from(payload));
		return this;
	}

	finish(status = 'succeeded', steps = this.steps.map(() => status)) {
		this.steps.forEach((s, i) => this.event(i, { event: 'step.finished', step_id: s, attempt: 1, status: steps[i], reason: null, exit_code: 0, signal: null }));
		const digest = this.wrongDigest ?? this.digest.copy().digest('hex');
		this.event(RUN, { event: 'run.finished', status, reason: null, exit_code: 0, signal: null, bytes: this.bytes, lines: this.lines, records: this.records, truncated: false, digest });
		this.endDigest = digest;
		this.status = status;
		return this;
	}

	get final() {
		return this.status !== 'running';
	}

	get journal() {
		if (this.parts.length !== 1) this.parts = [Buffer.concat(this.parts)];
		return this.parts[0];
	}

	document() {
		return {
			id: this.id, number: this.number, host: this.host, kind: 'command', name: this.name, title: `Title of ${this.name}`,
			status: this.status, reason: null, exit_code: this.final ? 0 : null, signal: null, inputs: {}, actor: 'user:admin', trigger: 'manual',
			config_digest: 'c0ffee', created_us: this.createdUs, started_us: this.createdUs + 1, finished_us: this.final ? this.timeUs : null,
			bytes: this.bytes, lines: this.lines, size: this.size, durable_offset: this.durable ?? this.size, truncated: false,
			steps: this.steps.map((s, i) => ({ index: i, id: s, uses: `uses.${s}`, outputs: { nul: 'a\u0000b' } })),
		};
	}
}

class Tail {
	constructor(agent, socket, stream, run, offset) {
		Object.assign(this, { agent, socket, stream, run, offset, credit: 1 << 20 });
	}

	// Sends whole records while there is credit; overshoots by less than a record, as agreed.
	pump() {
		const { run } = this;
		const journal = run.journal;
		while (!this.agent.hold && this.credit > 0 && this.offset < run.size) {
			let end = this.offset;
			while (end < run.size && end - this.offset < Math.min(this.credit, 65536)) end += 24 + journal.readUInt32LE(end);
			let bytes = journal.subarray(this.offset, end);
			if (this.agent.corrupt) bytes = this.agent.corrupt(run, this.offset, bytes);
			this.credit -= end - this.offset;
			this.socket.write(encodeFrame(FRAME.CHUNK, this.stream, new Writer().u64(this.offset).bytes(bytes).done()));
			this.offset = end;
			this.agent.sent += bytes.length;
		}
		if (this.offset === run.size && run.final) this.end(END.FINISHED);
	}

	end(reason) {
		this.run.tails.delete(this);
		this.socket.tails.delete(this.stream);
		if (!this.socket.destroyed) this.socket.write(encodeFrame(FRAME.END, this.stream, new Writer().u64(this.offset).u16(reason).done()));
	}
}

export class FakeAgent {
	constructor(secret = 'secret-of-a-fake-agent') {
		this.secret = secret;
		this.host = 'fake';
		this.agentId = '00000000-0000-7000-8000-000000000000';
		this.dir = mkdtempSync(join(tmpdir(), 'ops-fake-'));
		this.socket = join(this.dir, 'agent.sock');
		this.runs = new Map();
		this.sockets = new Set();
		this.sent = 0; // bytes of records
		this.releases = [];
		this.refuseLists = 0; // so many requests for a list of all runs are answered "unavailable"
		this.status = null; // the status document; without one it does not know the methods
		this.sources = new Map(); // what can be tailed: "docker/web" or "unit/caddy.service" -> FakeRun
		this.tailed = []; // what was asked for
	}

	static async start(secret) {
		const agent = new FakeAgent(secret);
		await agent.listen();
		return agent;
	}

	async listen() {
		this.server = net.createServer((socket) => this.accept(socket));
		await new Promise((resolve) => this.server.listen(this.socket, resolve));
	}

	// Goes away; listen() brings it back with its runs.
	async close() {
		for (const socket of this.sockets) socket.destroy();
		await new Promise((resolve) => this.server.close(resolve));
	}

	async destroy() {
		await this.close();
		rmSync(this.dir, { recursive: true, force: true });
	}

	add(run) {
		this.runs.set(run.id, run);
		return run;
	}

	// Tells everybody that the run changed: its document as an event, its new records to its tails.
	changed(run) {
		for (const socket of this.sockets) {
			if (socket.events === undefined) continue;
			socket.write(encodeFrame(FRAME.EVENT, socket.events, new Writer().str(JSON.stringify({ event: 'run.changed', run: run.document() })).done()));
		}
		for (const tail of [...run.tails]) tail.pump();
	}

	// How the machine is from now on; whoever watches is told.
	tellStatus(document) {
		this.status = document;
		for (const socket of this.sockets) {
			for (const stream of socket.watchers.keys()) socket.write(encodeFrame(FRAME.EVENT, stream, new Writer().str(JSON.stringify(document)).done()));
		}
	}

	endWatch(socket, stream) {
		socket.watchers.delete(stream);
		socket.write(encodeFrame(FRAME.END, stream, new Writer().u64(0).u16(END.SHUTDOWN).done()));
	}

	accept(socket) {
		let rest = Buffer.alloc(0);
		this.sockets.add(socket);
		socket.tails = new Map();
		socket.watchers = new Map(); // stream -> interval_ms
		socket.on('error', () => {});
		socket.on('close', () => {
			this.sockets.delete(socket);
			for (const tail of socket.tails.values()) tail.run.tails.delete(tail);
		});
		socket.on('data', (data) => {
			rest = Buffer.concat([rest, data]);
			while (rest.length >= 16 && rest.length >= 16 + rest.readUInt32LE(0)) {
				const length = rest.readUInt32LE(0);
				this.frame(socket, rest[5], rest.readUInt32LE(8), rest.subarray(16, 16 + length));
				rest = rest.subarray(16 + length);
			}
		});
	}

	frame(socket, type, stream, payload) {
		const tail = socket.tails.get(stream);
		if (type === FRAME.PING) socket.write(encodeFrame(FRAME.PONG, stream, payload));
		else if (type === FRAME.REQUEST) this.request(socket, stream, new Reader(payload));
		else if (type === FRAME.CREDIT && tail) {
			tail.credit += payload.readUInt32LE(0);
			tail.pump();
		} else if (type === FRAME.CLOSE && tail) tail.end(END.CLOSED);
		else if (type === FRAME.CLOSE && socket.watchers.delete(stream)) socket.write(encodeFrame(FRAME.END, stream, new Writer().u64(0).u16(END.CLOSED).done()));
	}

	request(socket, stream, fields) {
		const method = fields.u16();
		const respond = (status, reply = Buffer.alloc(0), message = '') => socket.write(encodeFrame(FRAME.RESPONSE, stream, new Writer().u16(status).str(message).bytes(reply).done()));
		if (fields.str() !== `Bearer ${this.secret}`) return respond(2);
		switch (method) {
			case METHOD.HELLO:
				return respond(OK, new Writer().u16(1).str('0.1.0').str(this.agentId).str(this.host).str('c0ffee').u64(1).u64(0).u32(1 << 20).u32(1 << 20).u32(256).done());
			case METHOD.EVENTS:
				// The ledger's stream, from a position on, is another one: it hears of no runs.
				if (fields.u64() > Number.MAX_SAFE_INTEGER) socket.events = stream;
				return respond(OK, new Writer().u64(0).done());
			case METHOD.RUN_LIST:
				return this.list(fields, respond);
			case METHOD.RUN_GET: {
				const run = this.runs.get(fields.str());
				return run ? respond(OK, new Writer().str(JSON.stringify(run.document())).done()) : respond(NOT_FOUND);
			}
			case METHOD.RUN_TAIL: {
				const run = this.runs.get(fields.str());
				const offset = fields.u64();
				if (!run) return respond(NOT_FOUND);
				if (offset > run.size || !run.index.includes(offset)) return respond(BAD_OFFSET);
				respond(OK, new Writer().u64(offset).u64(run.size).str(JSON.stringify(run.document())).done());
				const tail = new Tail(this, socket, stream, run, offset);
				socket.tails.set(stream, tail);
				run.tails.add(tail);
				return tail.pump();
			}
			case METHOD.STATUS:
				return this.status ? respond(OK, new Writer().str(JSON.stringify(this.status)).done()) : respond(UNSUPPORTED);
			case METHOD.STATUS_WATCH: {
				if (!this.status) return respond(UNSUPPORTED);
				respond(OK);
				socket.watchers.set(stream, fields.u32());
				return socket.write(encodeFrame(FRAME.EVENT, stream, new Writer().str(JSON.stringify(this.status)).done()));
			}
			case METHOD.TAIL_OPEN: {
				const name = `${fields.u8() === 1 ? 'docker' : 'unit'}/${fields.str()}`;
				const source = this.sources.get(name);
				this.tailed.push({ name, backlogLines: fields.u32() });
				if (!source) return respond(NOT_FOUND, undefined, 'status.yml does not name it');
				respond(OK);
				const tail = new Tail(this, socket, stream, source, 0);
				socket.tails.set(stream, tail);
				source.tails.add(tail);
				return tail.pump();
			}
			case METHOD.RUN_LOCATE: {
				// only "so many bytes before the end"
				const run = this.runs.get(fields.str());
				if (!run) return respond(NOT_FOUND);
				if (fields.u8() !== 3) return respond(UNSUPPORTED);
				const from = run.size - fields.u64();
				const offset = run.index.filter((at) => at <= Math.max(from, 0)).at(-1);
				return respond(OK, new Writer().u64(offset).u64(0).u64(0).done());
			}
			case METHOD.RUN_CANCEL: {
				if (!this.cancels) return respond(UNSUPPORTED);
				this.cancels.push({ run: fields.str(), actor: fields.str(), reason: fields.str() });
				return respond(OK);
			}
			case METHOD.RUN_RELEASE: {
				const run = this.runs.get(fields.str());
				const digest = fields.str();
				if (!run) return respond(NOT_FOUND);
				if (!run.final || digest !== run.endDigest) return respond(CONFLICT, undefined, 'the digest is not the journal\'s');
				run.released = true;
				this.releases.push(run.id);
				return respond(OK);
			}
			default:
				return respond(UNSUPPORTED);
		}
	}

	list(fields, respond) {
		const filter = fields.u8();
		if (filter !== 2 && this.refuseLists > 0) {
			this.refuseLists--;
			return respond(UNAVAILABLE, undefined, 'not now');
		}
		const limit = fields.u16();
		const before = fields.str();
		const all = [...this.runs.values()].filter((r) => filter !== 2 || !r.released).sort((a, b) => (a.id < b.id ? 1 : -1)).filter((r) => before === '' || r.id < before);
		const page = all.slice(0, limit);
		const next = all.length > limit ? page.at(-1).id : '';
		respond(OK, new Writer().str(JSON.stringify({ runs: page.map((r) => r.document()) })).str(next).done());
	}
}
