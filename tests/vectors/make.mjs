// Writes records.json, frames.json and messages.json: what every codec of the protocol must read and
// write, byte for byte; and from them the first inputs of the fuzz targets, tests/fuzz/corpus/. This is an implementation of its own, made from PROTOCOL.md and not from the C
// code, so that the two check each other. Existing vectors are for ever; new ones are appended.
//
//   node tests/vectors/make.mjs           writes the files
//   node tests/vectors/make.mjs --check   exits 1 when they are not what it would write
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { messages, refusedMessages } from './messages.mjs';

const here = new URL('.', import.meta.url);

function crc32c(bytes) {
	let reg = 0xffffffff;
	for (const byte of bytes) {
		reg ^= byte;
		for (let i = 0; i < 8; i++)
			reg = reg & 1 ? (reg >>> 1) ^ 0x82f63b78 : reg >>> 1;
	}
	return ~reg >>> 0;
}

function record({ time_us, line, step, kind, flags = 0, payload, length = payload.length }) {
	const bytes = Buffer.alloc(24 + payload.length);
	bytes.writeUInt32LE(length, 0);
	bytes.writeBigUInt64LE(BigInt(time_us), 8);
	bytes.writeUInt32LE(line, 16);
	bytes.writeUInt16LE(step, 20);
	bytes.writeUInt8(kind, 22);
	bytes.writeUInt8(flags, 23);
	Buffer.from(payload).copy(bytes, 24);
	bytes.writeUInt32LE(crc32c(bytes.subarray(8)), 4);
	return bytes;
}

function frame({ type, stream = 0, payload = Buffer.alloc(0), length = payload.length, version = 1, flags = 0, reserved = 0 }) {
	const bytes = Buffer.alloc(16 + payload.length);
	bytes.writeUInt32LE(length, 0);
	bytes.writeUInt8(version, 4);
	bytes.writeUInt8(type, 5);
	bytes.writeUInt16LE(flags, 6);
	bytes.writeUInt32LE(stream, 8);
	bytes.writeUInt32LE(reserved, 12);
	payload.copy(bytes, 16);
	return bytes;
}

const STDOUT = 1, STDERR = 2, EVENT = 3, RUN = 0xffff;
const START = 1795474800000000n; // 2026-11-23T23:00:00Z
const json = (value) => Buffer.from(JSON.stringify(value));
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

const goodRecords = [
	{ name: 'one line', time_us: START, line: 0, step: 0, kind: STDOUT, payload: Buffer.from('hello\n') },
	{ name: 'no payload', time_us: START + 1n, line: 1, step: 0, kind: STDOUT, payload: Buffer.alloc(0) },
	{ name: 'standard error, no newline', time_us: START + 2n, line: 1, step: 1, kind: STDERR, payload: Buffer.from('warning: ') },
	{ name: 'every byte', time_us: START + 3n, line: 1, step: 65534, kind: STDOUT, payload: everyByte },
	{ name: 'masked', time_us: START + 4n, line: 2, step: 0, kind: STDOUT, flags: 1, payload: Buffer.from('token=***\n') },
	{ name: 'event of the run', time_us: START + 5n, line: 3, step: RUN, kind: EVENT, payload: json({ event: 'run.cancel_requested', actor: 'user:admin', reason: 'wrong database', kill: false }) },
	{ name: 'utf-8', time_us: START + 6n, line: 3, step: 0, kind: STDOUT, payload: Buffer.from('Zürich – 完了 ✓\n') },
	{ name: 'largest numbers', time_us: 18446744073709551615n, line: 4294967295, step: 65535, kind: EVENT, flags: 1, payload: Buffer.from('{}') },
	{ name: 'smallest numbers', time_us: 0n, line: 0, step: 0, kind: STDOUT, payload: Buffer.from([0]) },
	{ name: 'longer than one checksum block', time_us: START + 7n, line: 4, step: 0, kind: STDOUT, payload: Buffer.from(Array.from({ length: 1000 }, (_, i) => (i * 31 + 7) & 255)) },
];

function refusedRecords() {
	const good = () => record(goodRecords[0]);
	const changed = (at, value) => {
		const bytes = good();
		bytes[at] = value;
		return bytes;
	};
	const base = { ...goodRecords[0] };
	return [
		{ name: 'checksum changed', bytes: changed(4, good()[4] ^ 1), why: 'damaged' },
		{ name: 'time changed', bytes: changed(8, good()[8] ^ 1), why: 'damaged' },
		{ name: 'line changed', bytes: changed(16, 1), why: 'damaged' },
		{ name: 'step changed', bytes: changed(20, 1), why: 'damaged' },
		{ name: 'kind changed', bytes: changed(22, STDERR), why: 'damaged' },
		{ name: 'flags changed', bytes: changed(23, 1), why: 'damaged' },
		{ name: 'payload changed', bytes: changed(24, 'j'.charCodeAt(0)), why: 'damaged' },
		{ name: 'kind 0', bytes: record({ ...base, kind: 0 }), why: 'damaged' },
		{ name: 'kind 4', bytes: record({ ...base, kind: 4 }), why: 'damaged' },
		{ name: 'unknown flag', bytes: record({ ...base, flags: 2 }), why: 'damaged' },
		{ name: 'length over the maximum', bytes: record({ ...base, length: 65537 }), why: 'damaged' },
		{ name: 'length of all ones', bytes: record({ ...base, length: 0xffffffff }), why: 'damaged' },
		{ name: 'empty', bytes: Buffer.alloc(0), why: 'incomplete' },
		{ name: 'half a header', bytes: good().subarray(0, 23), why: 'incomplete' },
		{ name: 'one payload byte missing', bytes: good().subarray(0, 29), why: 'incomplete' },
	];
}

// A whole small run: its journal, the positions of its records and its digest.
function journal() {
	const records = [];
	let line = 0, at = START;
	const add = (step, kind, payload) => {
		records.push(record({ time_us: at, line, step, kind, payload }));
		if (kind !== EVENT)
			line += payload.filter((byte) => byte === 10).length;
		at += 1000n;
	};
	add(RUN, EVENT, json({
		event: 'run.created', id: '01a20aa3-3d80-7000-8000-000000000001', number: 1, host: 'box', kind: 'command',
		name: 'host.uptime', title: 'Uptime', inputs: {}, actor: 'user:admin', trigger: 'manual',
		config_digest: createHash('sha256').update('example').digest('hex'), created_us: Number(START), timeout_us: 60000000,
		max_output: 268435456,
		steps: [{ index: 0, id: 'host.uptime', uses: 'host.uptime', title: 'Uptime', phase: 'main', needs: [],
			argv: ['/usr/bin/uptime'], user: 'ops-run', cwd: '/' }],
		abridged: false,
	}));
	add(0, EVENT, json({ event: 'step.started', step_id: 'host.uptime', attempt: 1, argv: ['/usr/bin/uptime'], user: 'ops-run', cwd: '/' }));
	add(0, STDOUT, Buffer.from(' 23:00:00 up 12 days,  3:04,  0 user'));
	add(0, STDERR, Buffer.from('a warning\n'));
	add(0, STDOUT, Buffer.from('s,  load average: 0.08, 0.03, 0.01\n'));
	add(0, EVENT, json({ event: 'step.finished', step_id: 'host.uptime', attempt: 1, status: 'succeeded', reason: 'exit', exit_code: 0,
		signal: null, message: null, outputs: {}, outputs_omitted: false }));
	const headers = Buffer.concat(records.map((bytes) => bytes.subarray(0, 24)));
	const digest = createHash('sha256').update(headers).digest('hex');
	const bytes = 36 + 10 + 35;
	add(RUN, EVENT, json({ event: 'run.finished', status: 'succeeded', reason: 'exit', exit_code: 0, signal: null, bytes, lines: line,
		records: records.length, truncated: false, digest, message: null, cut_bytes: 0 }));
	const offsets = [];
	records.reduce((offset, bytes2) => (offsets.push(offset), offset + bytes2.length), 0);
	return { name: 'a command that succeeds', hex: Buffer.concat(records).toString('hex'), offsets: offsets.map(String), lines: line, digest };
}

const TYPES = ['', 'request', 'response', 'chunk', 'credit', 'event', 'end', 'close', 'ping', 'pong', 'goaway'];

function framesFile() {
	const ping = Buffer.from('0123456789abcdef'.repeat(4));
	const chunk = Buffer.concat([Buffer.alloc(8), record(goodRecords[0])]);
	const end = Buffer.from('e8030000000000000100', 'hex');
	const good = [
		{ name: 'close of a stream', type: 7, stream: 7 },
		{ name: 'ping without payload', type: 8 },
		{ name: 'ping of the largest size', type: 8, payload: ping },
		{ name: 'pong', type: 9, payload: Buffer.from('tick') },
		{ name: 'credit of 65536', type: 4, stream: 3, payload: Buffer.from('00000100', 'hex') },
		{ name: 'end at 1000, finished', type: 6, stream: 3, payload: end },
		{ name: 'chunk with one record at 0', type: 3, stream: 4294967295, payload: chunk },
		{ name: 'goaway', type: 10, payload: Buffer.from('0000' + '00000000', 'hex') },
		{ name: 'event', type: 5, stream: 9, payload: Buffer.from('020000007b7d', 'hex') },
		{ name: 'request hello', type: 1, stream: 1, payload: Buffer.from('01000a000000426561726572207365630100' + '03000000782f31', 'hex') },
		{ name: 'response not_found', type: 2, stream: 1, payload: Buffer.from('04000b0000006e6f20737563682072756e', 'hex') },
	];
	const refused = [
		{ name: 'version 0', bytes: frame({ type: 7, version: 0 }), why: 'version' },
		{ name: 'version 2', bytes: frame({ type: 7, version: 2 }), why: 'version' },
		{ name: 'type 0', bytes: frame({ type: 0 }), why: 'damaged' },
		{ name: 'type 11', bytes: frame({ type: 11 }), why: 'damaged' },
		{ name: 'flags set', bytes: frame({ type: 7, flags: 1 }), why: 'damaged' },
		{ name: 'reserved bytes set', bytes: frame({ type: 7, reserved: 0x01000000 }), why: 'damaged' },
		{ name: 'length over the maximum', bytes: frame({ type: 3, length: 1048577 }), why: 'too_large' },
		{ name: 'length of all ones', bytes: frame({ type: 1, length: 0xffffffff }), why: 'too_large' },
		{ name: 'ping of 65 bytes', bytes: frame({ type: 8, length: 65 }), why: 'too_large' },
		{ name: 'pong of 65 bytes', bytes: frame({ type: 9, length: 65 }), why: 'too_large' },
		{ name: 'empty', bytes: Buffer.alloc(0), why: 'incomplete' },
		{ name: 'half a header', bytes: frame({ type: 7 }).subarray(0, 15), why: 'incomplete' },
	];
	return {
		about: 'hex is the whole frame. why: version, damaged, too_large or incomplete.',
		frames: good.map((f) => {
			const bytes = frame(f);
			return { name: f.name, hex: bytes.toString('hex'), type: f.type, type_name: TYPES[f.type], stream: f.stream ?? 0,
				length: bytes.length - 16, payload_hex: bytes.subarray(16).toString('hex') };
		}),
		refused: refused.map(({ name, bytes, why }) => ({ name, hex: bytes.toString('hex'), why })),
	};
}

const recordsFile = {
	about: 'hex is the whole record; time_us is a decimal string. why: damaged (wrong for ever) or incomplete (more bytes may help).',
	records: goodRecords.map((r) => ({ name: r.name, hex: record(r).toString('hex'), time_us: String(r.time_us), line: r.line, step: r.step,
		kind: r.kind, flags: r.flags ?? 0, length: r.payload.length, payload_hex: r.payload.toString('hex') })),
	refused: refusedRecords().map(({ name, bytes, why }) => ({ name, hex: bytes.toString('hex'), why })),
	journals: [journal()],
};

const messagesFile = {
	about: 'name is the struct msg_<name>; hex is what it is encoded to. u64 are decimal strings, *_hex are bytes. refused: must not decode.',
	messages,
	refused: refusedMessages,
};

// One file a vector. Messages begin with the number of their struct in MSG_EACH_STRUCT.
function corpus() {
	const header = readFileSync(new URL('../../proto/msg.h', here), 'utf8');
	const structs = [...header.slice(header.indexOf('MSG_EACH_STRUCT(X)')).matchAll(/^\tX\((\w+)\)/gm)].map((match) => match[1]);
	const files = new Map();
	const add = (target, name, bytes) => files.set(`${target}/${name.replace(/[^a-z0-9]+/gi, '-').toLowerCase()}`, bytes);
	for (const item of [...recordsFile.records, ...recordsFile.refused, ...recordsFile.journals])
		add('record', item.name, Buffer.from(item.hex, 'hex'));
	const { frames, refused } = framesFile();
	for (const item of [...frames, ...refused])
		add('frame', item.name, Buffer.from(item.hex, 'hex'));
	add('frame', 'all of them', Buffer.from(frames.map((item) => item.hex).join(''), 'hex'));
	for (const item of messages)
		add('msg', `${item.name} ${item.case}`, Buffer.concat([Buffer.from([structs.indexOf(item.name)]), Buffer.from(item.hex, 'hex')]));
	return files;
}

let stale = 0;

function put(path, content) {
	if (!process.argv.includes('--check')) {
		mkdirSync(new URL('.', path), { recursive: true });
		writeFileSync(path, content);
	} else if (!existsSync(path) || !readFileSync(path).equals(Buffer.from(content))) {
		console.error(`${path.pathname} is not what make.mjs writes`);
		stale = 1;
	}
}

for (const [name, content] of [['records', recordsFile], ['frames', framesFile()], ['messages', messagesFile]])
	put(new URL(`${name}.json`, here), JSON.stringify(content, null, '\t') + '\n');
for (const [path, bytes] of corpus())
	put(new URL(`../fuzz/corpus/${path}`, here), bytes);
process.exitCode = stale;
