// Runs plans with tests/tools/plan-run and reads what the runner left in RUN_DIR.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
export const BUILD = process.env.OPS_BUILD_DIR ?? path.resolve(here, '../../../build');
export const planRun = path.join(BUILD, 'tests/tools/plan-run');
export const hostile = path.join(BUILD, 'tests/children/hostile');

// A place for run folders that goes away with the test.
export function scratch(t) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ops-runner-'));
	fs.chmodSync(dir, 0o755);
	t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
	return dir;
}

// {run: {key: value…}, steps: [{id, argv, …}]} in the language of plan-run. Values that hold an = of
// their own (NAME=VALUE) are given as arrays of [key, value] under `raw`.
export function describe(plan) {
	const lines = [];
	const put = (key, value) => lines.push(`${key}=${String(value).replace(/[%\n]/g, (c) => '%' + c.charCodeAt(0).toString(16).padStart(2, '0'))}`);
	for (const [key, value] of Object.entries(plan.run ?? {})) put(key, value);
	for (const { id, argv, raw, ...rest } of plan.steps) {
		put('step', id);
		for (const arg of argv ?? []) put('arg', arg);
		for (const [key, value] of Object.entries(rest)) put(key, value);
		for (const [key, value] of raw ?? []) put(key, value);
	}
	return lines.join('\n') + '\n';
}

export const one = (argv, more = {}, run = {}) => ({ run, steps: [{ id: 'a', argv, ...more }] });
export const bad = (...args) => [hostile, ...args];

// What a runner that was killed could not remove; a living one, or the agent, does.
function dropCgroup(runDir) {
	try {
		const folder = fs.readFileSync(path.join(runDir, 'cgroup'), 'utf8');
		if (!folder.includes('/ops-run-') || folder.endsWith('.service')) return;
		fs.writeFileSync(path.join(folder, 'cgroup.kill'), '1');
		for (const entry of fs.readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) fs.rmdirSync(path.join(folder, entry.name));
		fs.rmdirSync(folder);
	} catch {
		// there is none, or not any more, or its processes take a moment to go
	}
}

export class Run {
	// wrap: a program and its arguments that start plan-run in its place, such as strace.
	constructor(t, plan, { dir, env, wrap = [] } = {}) {
		const base = dir ?? scratch(t);
		this.dir = path.join(base, 'run');
		this.outputs = path.join(base, 'outputs');
		this.stderr = '';
		const argv = [...wrap, planRun, this.dir];
		this.child = spawn(argv[0], argv.slice(1), {
			stdio: ['pipe', 'ignore', 'pipe'],
			env: { PATH: process.env.PATH, ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '',
				UBSAN_OPTIONS: process.env.UBSAN_OPTIONS ?? '', OPS_RUNS_DIR: this.outputs, ...env },
		});
		this.child.stderr.on('data', (d) => (this.stderr += d));
		this.exited = new Promise((resolve) => this.child.on('exit', (code, signal) => resolve({ code, signal })));
		this.child.stdin.end(describe(plan));
		t.after(() => {
			if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
			dropCgroup(this.dir);
		});
	}

	get pid() {
		return this.child.pid;
	}

	control(name, text = 'user:admin\nbecause\n') {
		const file = path.join(this.dir, 'control', name);
		fs.writeFileSync(file + '.tmp', text);
		fs.renameSync(file + '.tmp', file);
	}

	bytes() {
		try {
			return fs.readFileSync(path.join(this.dir, 'journal'));
		} catch (e) {
			if (e.code === 'ENOENT') return Buffer.alloc(0);
			throw e;
		}
	}

	records() {
		return decode(this.bytes());
	}

	events(name) {
		return this.records().filter((r) => r.kind === 3).map((r) => r.event).filter((e) => !name || e.event === name);
	}

	// What the commands wrote to one of the streams, of one step or all.
	output(kind = 1, step) {
		return Buffer.concat(this.records().filter((r) => r.kind === kind && (step === undefined || r.step === step)).map((r) => r.payload));
	}

	state() {
		return decodeState(fs.readFileSync(path.join(this.dir, 'state')));
	}

	runId() {
		return this.events('run.created')[0].id;
	}

	async until(what, condition) {
		const deadline = Date.now() + 60000;
		// Files that are not there yet, or just being rewritten, are not an answer either.
		const ask = () => {
			try {
				return condition();
			} catch {
				return false;
			}
		};
		for (;;) {
			const value = ask();
			if (value) return value;
			if (Date.now() > deadline) throw new Error(`never happened: ${what}; ${this.stderr}`);
			if (this.child.exitCode !== null && !ask()) throw new Error(`the runner ended before: ${what}; ${this.stderr}`);
			await new Promise((r) => setTimeout(r, 10));
		}
	}

	hears(text) {
		return this.until(`output '${text}'`, () => this.output().includes(text));
	}

	// To the end; checks everything that holds of every finished journal. Returns run.finished.
	async finish() {
		const { code, signal } = await this.exited;
		if (code !== 0) throw new Error(`the runner ended with ${code ?? signal}: ${this.stderr}`);
		return check(this.bytes(), this.state());
	}
}

const table = new Uint32Array(256).map((_, i) => {
	let c = i;
	for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
	return c >>> 0;
});

export function crc32c(bytes) {
	let c = 0xffffffff;
	for (let i = 0; i < bytes.length; i++) c = table[(c ^ bytes[i]) & 255] ^ (c >>> 8);
	return (c ^ 0xffffffff) >>> 0;
}

// The whole records of a journal, checksums verified for those that are not too many.
export function decode(bytes) {
	const records = [];
	let at = 0;
	while (bytes.length - at >= 24) {
		const length = bytes.readUInt32LE(at);
		if (bytes.length - at - 24 < length) break;
		const record = {
			offset: at, length, crc: bytes.readUInt32LE(at + 4), time: bytes.readBigUInt64LE(at + 8),
			line: bytes.readUInt32LE(at + 16), step: bytes.readUInt16LE(at + 20), kind: bytes[at + 22],
			flags: bytes[at + 23], payload: bytes.subarray(at + 24, at + 24 + length),
		};
		if (record.kind === 3) record.event = JSON.parse(record.payload.toString('utf8'));
		records.push(record);
		at += 24 + length;
	}
	return records;
}

const equal = (what, a, b) => {
	if (a !== b) throw new Error(`${what}: ${a} is not ${b}`);
};

const lines = (payload) => {
	let n = 0;
	for (const byte of payload) n += byte === 10;
	return n;
};

export function check(bytes, state) {
	const records = decode(bytes);
	const last = records.at(-1);
	const digest = createHash('sha256');
	let size = 0, output = 0, line = 0, time = 0n;
	for (const r of records) {
		equal(`offset of a record`, r.offset, size);
		// 1: masked, which only output is
		equal(`flags at ${r.offset}`, r.flags & ~(r.kind === 3 ? 0 : 1), 0);
		equal(`line at ${r.offset}`, r.line, line);
		equal(`checksum at ${r.offset}`, crc32c(bytes.subarray(r.offset + 8, r.offset + 24 + r.length)), r.crc);
		if (r.time < time) throw new Error(`time goes back at ${r.offset}`);
		time = r.time;
		if (r.kind !== 3) {
			if (r.length === 0) throw new Error('an empty record of output');
			output += r.length;
			line += lines(r.payload);
		}
		size += 24 + r.length;
		if (r !== last) digest.update(bytes.subarray(r.offset, r.offset + 24));
	}
	equal('size of the journal', bytes.length, size);
	equal('first record', records[0].event?.event, 'run.created');
	equal('last record', last.event?.event, 'run.finished');
	const end = last.event;
	equal('records', end.records, records.length - 1);
	equal('bytes', end.bytes, output);
	equal('lines', end.lines, line);
	equal('digest', end.digest, digest.digest('hex'));
	equal('status in state', state.status, end.status);
	equal('reason in state', state.reason, end.reason);
	equal('exit code in state', state.exitCode, end.exit_code);
	equal('signal in state', state.signal, end.signal);
	equal('digest in state', state.digest, end.digest);
	equal('size in state', state.size, bytes.length);
	equal('durable offset', state.durable, bytes.length);
	return end;
}

const runStatus = ['queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'timed_out', 'lost', 'skipped'];
const stepStatus = ['pending', 'running', 'waiting', 'retrying', 'succeeded', 'failed', 'skipped', 'cancelled', 'timed_out', 'lost'];
const reasons = [null, 'exit', 'signal', 'spawn_failed', 'oom', 'rejected', 'timeout', 'cancelled', 'runner_died', 'host_restarted', 'queue_full'];

export function decodeState(block) {
	equal('size of the state block', block.length, 4096);
	equal('checksum of the state block', crc32c(block.subarray(8)), block.readUInt32LE(4));
	let at = 8;
	const u8 = () => block[at++];
	const u16 = () => ((at += 2), block.readUInt16LE(at - 2));
	const i16 = () => ((at += 2), block.readInt16LE(at - 2));
	const i32 = () => ((at += 4), block.readInt32LE(at - 4));
	const u64 = () => ((at += 8), Number(block.readBigUInt64LE(at - 8)));
	const none = (v, empty) => (v === empty ? null : v);
	const state = { seq: u64(), status: runStatus[u8()], reason: reasons[u8()], exitCode: none(i16(), -1), signal: none(u16(), 0) };
	const flags = u8();
	Object.assign(state, { diskFull: !!(flags & 1), truncated: !!(flags & 2), cancelRequested: !!(flags & 4), pid: i32(), ticks: u64() });
	at += 16;
	Object.assign(state, { boot: u64(), started: u64(), finished: u64(), bytes: u64(), lines: u64(), records: u64(), size: u64(), durable: u64() });
	state.digest = block.subarray(at, at + 32).toString('hex');
	at += 32;
	state.steps = Array.from({ length: u16() }, () => ({
		status: stepStatus[u8()], reason: reasons[u8()], attempt: u16(), exitCode: none(i16(), -1), signal: none(u16(), 0),
		started: u64(), finished: u64(), offset: u64(), pid: i32(),
	}));
	return state;
}

// Processes that carry this run's id in their environment, or sit in one of the sessions.
export function alive(runId) {
	const found = [];
	for (const pid of fs.readdirSync('/proc').filter((d) => /^\d+$/.test(d))) {
		try {
			const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
			if (/\) [ZX] /.test(stat)) continue;
			if (fs.readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`OPS_RUN_ID=${runId}`)) found.push(Number(pid));
		} catch {
			// gone, or somebody else's
		}
	}
	return found;
}

// What `hostile flood` writes.
export function flood(total) {
	const bytes = Buffer.alloc(total);
	for (let i = 0; i < total; i++) {
		const line = Math.floor(i / 120), column = i % 120;
		bytes[i] = column === 119 ? 10 : 33 + ((line * 31 + column * 7) % 90);
	}
	return bytes;
}
