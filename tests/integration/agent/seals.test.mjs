// Seals: what an ended run wrote cannot be changed unseen, not even together with its checksums, and
// `ops-agent verify` names the first place where something is wrong.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import {
	appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AGENT, Agent, isAlive, until, verify } from '../lib/agent.mjs';
import { crc32c } from '../lib/agent-client.mjs';

const commands = `version: 1
commands:
  say: { title: s, exec: [/usr/bin/printf, "%s", "${'transfer 100 to alice; '.repeat(4)}"] }
  flood: { title: f, exec: [/usr/bin/head, -c, "150000000", /dev/zero] }
  t: { title: t, exec: [/bin/true] }
`;

const dirOf = (agent, run) => join(agent.stateDir, 'runs', run.id);
// Who seals runs while nobody else wants to: beside other tests that takes its time.
const PATIENCE = 8;
const sealed = (agent, run) => until('the seal', () => existsSync(join(dirOf(agent, run), 'sealed')), PATIENCE);

async function finish(agent, id) {
	const client = await agent.connect();
	const { run } = await client.start(id);
	const { finished } = await client.follow(run.id, 0, { verify: false });
	client.destroy();
	await until('it to be settled', () => existsSync(join(dirOf(agent, run), 'settled')));
	return { ...run, digest: finished.digest };
}

// What verify says, whatever it thinks of it.
function judge(agent, ...args) {
	const { status, stdout } = spawnSync(AGENT, ['verify', ...args], { env: agent.env, encoding: 'utf8' });
	return { status, stdout };
}

// Records of a journal or a ledger: { offset, head, payload, kind, end }.
function recordsOf(path) {
	const bytes = readFileSync(path), list = [];
	for (let at = 0; at < bytes.length;) {
		const end = at + 24 + bytes.readUInt32LE(at);
		list.push({ offset: at, head: bytes.subarray(at, at + 24), payload: bytes.subarray(at + 24, end), kind: bytes[at + 22], end });
		at = end;
	}
	return { bytes, list };
}

const eventsOf = (agent) => recordsOf(join(agent.stateDir, 'ledger')).list
	.map((r) => ({ ...JSON.parse(r.payload), offset: r.offset }));

const setCrc = (rec) => rec.head.writeUInt32LE(crc32c(Buffer.concat([rec.head.subarray(8), rec.payload])), 4);

// Changes the last 8 bytes of text that are not looked at, so that the checksum stays what it was:
// a checksum is linear, so which bits must flip is a system of 32 equations.
function keepCrc(rec, wanted) {
	const whole = Buffer.concat([rec.head.subarray(8), rec.payload]);
	const now = crc32c(whole), from = whole.length - 8, rows = [];
	for (let bit = 0; bit < 64; bit++) {
		const flipped = Buffer.from(whole);
		flipped[from + (bit >> 3)] ^= 1 << (bit & 7);
		let delta = (crc32c(flipped) ^ now) >>> 0, bits = 1n << BigInt(bit);
		for (const row of rows) if (((delta ^ row.delta) >>> 0) < delta) { delta = (delta ^ row.delta) >>> 0; bits ^= row.bits; }
		if (delta) { rows.push({ delta, bits }); rows.sort((a, b) => b.delta - a.delta); }
	}
	let left = (now ^ wanted) >>> 0, bits = 0n;
	for (const row of rows) if (((left ^ row.delta) >>> 0) < left) { left = (left ^ row.delta) >>> 0; bits ^= row.bits; }
	assert.equal(left, 0, 'no such change exists');
	for (let bit = 0; bit < 64; bit++)
		if (bits >> BigInt(bit) & 1n) rec.payload[rec.payload.length - 8 + (bit >> 3)] ^= 1 << (bit & 7);
}

describe('a seal', { timeout: 600000 }, () => {
	let agent, run;

	before(async () => {
		agent = await Agent.start({ commands });
		run = await finish(agent, 'say');
		await sealed(agent, run);
	});
	after(() => agent.destroy());

	// Does something to a copy of the state folder, and returns what verify says of it.
	function tampered(change, ...args) {
		const copy = { ...agent, stateDir: join(agent.dir, 'copy') };
		copy.env = { ...agent.env, OPS_AGENT_STATE_DIR: copy.stateDir };
		rmSync(copy.stateDir, { recursive: true, force: true });
		cpSync(agent.stateDir, copy.stateDir, { recursive: true });
		change(copy, join(dirOf(copy, run), 'journal'), join(copy.stateDir, 'ledger'));
		return judge(copy, ...args);
	}

	it('is the SHA-256 of the journal, in the ledger, once', () => {
		const seals = eventsOf(agent).filter((e) => e.event === 'run.sealed' && e.run === run.id);
		const journal = readFileSync(join(dirOf(agent, run), 'journal'));
		assert.equal(seals.length, 1);
		assert.equal(seals[0].sha256, createHash('sha256').update(journal).digest('hex'));
		assert.equal(seals[0].size, journal.length);
		assert.match(verify(agent), /the chain holds\nhead: [0-9a-f]{64}\nruns: 1 good \(1 of them sealed\), 0 not finished, 0 damaged/);
	});

	it('finds a payload that was changed under the same checksum', () => {
		const { status, stdout } = tampered((copy, journal) => {
			const { bytes, list } = recordsOf(journal);
			const said = list.find((r) => r.kind === 1);
			const crc = said.head.readUInt32LE(4);
			said.payload.write('transfer 900 to mallo');
			keepCrc(said, crc);
			writeFileSync(journal, bytes);
		});
		assert.equal(status, 1);
		assert.match(stdout, new RegExp(`runs/${run.id}/journal, byte 0: records and checksums agree, but these are not the bytes ` +
			`that were sealed \\(ledger, byte ${eventsOf(agent).find((e) => e.event === 'run.sealed').offset}\\)`));
	});

	it('a payload changed together with checksums, run.finished and state is not what the ledger has', () => {
		const { status, stdout } = tampered((copy, journal) => {
			const { bytes, list } = recordsOf(journal);
			const said = list.find((r) => r.kind === 1), last = list.at(-1);
			said.payload.write('transfer 900 to mallo');
			setCrc(said);
			const digest = createHash('sha256');
			for (const rec of list.slice(0, -1)) digest.update(rec.head);
			const hex = digest.digest('hex');
			last.payload.write(last.payload.toString('latin1').replace(/"digest":"[0-9a-f]{64}"/, `"digest":"${hex}"`), 'latin1');
			setCrc(last);
			writeFileSync(journal, bytes);
			const state = readFileSync(join(dirOf(copy, run), 'state'));
			const at = state.indexOf(Buffer.from(run.digest, 'hex'));
			assert.ok(at > 0, 'the state holds the digest');
			Buffer.from(hex, 'hex').copy(state, at);
			state.writeUInt32LE(crc32c(state.subarray(8)), 4);
			writeFileSync(join(dirOf(copy, run), 'state'), state);
		});
		assert.equal(status, 1);
		assert.match(stdout, new RegExp(`runs/${run.id}/journal, byte 0: its digest is not the one in the ledger`));
	});

	it('a byte that was flipped is found where its record begins', () => {
		let offset;
		const { status, stdout } = tampered((copy, journal) => {
			const { bytes, list } = recordsOf(journal);
			const said = list.find((r) => r.kind === 1);
			offset = said.offset;
			said.payload[3] ^= 1;
			writeFileSync(journal, bytes);
		});
		assert.equal(status, 1);
		assert.match(stdout, new RegExp(`/journal, byte ${offset}: a damaged record`));
	});

	it('so are a journal that was cut, at a record or within one, and one that grew', () => {
		const { list, bytes } = recordsOf(join(dirOf(agent, run), 'journal'));
		let found = tampered((copy, journal) => truncateSync(journal, list.at(-1).offset));
		assert.match(found.stdout, new RegExp(`/journal, byte ${list.at(-1).offset}: it ends without run.finished`));
		found = tampered((copy, journal) => truncateSync(journal, bytes.length - 3));
		assert.match(found.stdout, new RegExp(`/journal, byte ${list.at(-1).offset}: a damaged record`));
		found = tampered((copy, journal) => appendFileSync(journal, 'more'));
		assert.match(found.stdout, new RegExp(`/journal, byte ${bytes.length}: bytes behind run.finished`));
		found = tampered((copy, journal) => rmSync(journal));
		assert.match(found.stdout, /\/journal, byte 0: No such file or directory/);
		assert.equal(found.status, 1);
	});

	it('a ledger whose end was cut off lacks the seal of a run that has one', () => {
		const { list } = recordsOf(join(agent.stateDir, 'ledger'));
		const at = list.find((r) => r.payload.includes('run.sealed')).offset;
		const { status, stdout } = tampered((copy, journal, ledger) => truncateSync(ledger, at));
		assert.equal(status, 1);
		assert.match(stdout, /the chain holds/, 'of what is left');
		assert.match(stdout, new RegExp(`runs/${run.id}/sealed, byte 0: the run was sealed, but the ledger has no seal`));
	});

	it('a changed event breaks the chain at the one behind it, its checksum set right or not', () => {
		const { list } = recordsOf(join(agent.stateDir, 'ledger'));
		const change = (fix) => (copy, journal, ledger) => {
			const all = recordsOf(ledger);
			const started = all.list.findIndex((r) => r.payload.includes('run.started'));
			const at = all.list[started].payload.indexOf('user:test');
			all.list[started].payload.write('user:evil', at);
			if (fix) setCrc(all.list[started]);
			writeFileSync(ledger, all.bytes);
		};
		const started = list.findIndex((r) => r.payload.includes('run.started'));
		assert.match(tampered(change(false)).stdout, new RegExp(`ledger, byte ${list[started].offset}: a damaged record`));
		const fixed = tampered(change(true));
		assert.match(fixed.stdout, new RegExp(`ledger, byte ${list[started + 1].offset}: the chain is broken`));
		assert.equal(fixed.status, 1);
	});

	it('a head that was noted elsewhere shows that a ledger was cut or rewritten', async () => {
		const head = /head: ([0-9a-f]{64})/.exec(verify(agent))[1];
		await sealed(agent, await finish(agent, 't')); // it grows
		assert.equal(judge(agent, head).status, 0, 'it went through that head');
		const { list } = recordsOf(join(agent.stateDir, 'ledger'));
		const { status, stdout } = tampered((copy, journal, ledger) => truncateSync(ledger, list[0].end), head);
		assert.equal(status, 1);
		assert.match(stdout, new RegExp(`ledger, byte ${list[0].end}: it never had the head that was given`));
		assert.equal(judge(agent, 'abc').status, 64);
	});
});

describe('sealing', { timeout: 600000 }, () => {
	const bigs = [];
	let agent;

	before(async () => { agent = await Agent.start({ commands }); });
	after(() => agent.destroy());

	const pids = () => readdirSync('/proc').filter((n) => /^\d+$/.test(n)).map(Number);
	const sealer = () => pids().find((pid) => {
		try {
			const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
			return stat.includes('(ops-seal)') && Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]) === agent.monitor.pid && isAlive(pid);
		} catch { return false; }
	});

	it('is done by a process that nobody has to wait for, and which ends', async () => {
		const big = await finish(agent, 'flood');
		bigs.push(big);
		const pid = await until('the process', () => sealer());
		let policy;
		await until('its priorities', () => {
			const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
			policy = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38]);
			return policy !== 0;
		});
		assert.equal(policy, 5, 'SCHED_IDLE');
		await until('its class of the disk, which comes after', () => execFileSync('ionice', ['-p', String(pid)], { encoding: 'utf8' }).includes('idle'));
		assert.ok(await finish(agent, 't'), 'a run starts and ends meanwhile');
		await sealed(agent, big);
		await until('it to end', () => !isAlive(pid), PATIENCE);
		assert.match(verify(agent), /0 damaged/);
	});

	it('of what ended just before the agent was killed is done by the next one', async () => {
		let run;
		for (;;) {
			run = await finish(agent, 't');
			await agent.kill9Both();
			if (!existsSync(join(dirOf(agent, run), 'sealed'))) break;
			await agent.spawn(); // too late for this one
		}
		assert.match(verify(agent), /2 of them sealed|\(\d+ of them sealed\)/);
		await agent.spawn();
		await sealed(agent, run);
		assert.match(verify(agent), /0 damaged/);
	});

	it('killed half way, it is done again', async () => {
		const big = await finish(agent, 'flood');
		bigs.push(big);
		const pid = await until('the process', () => sealer());
		await agent.kill9Both();
		await until('it to end with the agent', () => !isAlive(pid));
		await agent.spawn();
		await sealed(agent, big);
		const { status, stdout } = judge(agent);
		assert.equal(status, 0, stdout);
	});

	it('comes before pruning', async () => {
		const run = await finish(agent, 't');
		const client = await agent.connect();
		// and what is sealed once more below is small
		for (const one of [...bigs, run]) await client.release(one.id, one.digest);
		client.destroy();
		agent.env.OPS_AGENT_KEEP_DAYS = '0';
		await agent.kill9Both();
		await agent.spawn();
		await until('them to go', () => ![...bigs, run].some((one) => existsSync(dirOf(agent, one))), PATIENCE);
		const mine = eventsOf(agent).filter((e) => e.run === run.id).map((e) => e.event);
		assert.deepEqual(mine.slice(-2), ['run.sealed', 'run.pruned']);
	});

	it('of a journal that cannot be read is given up, and the ledger says why', async () => {
		const run = await finish(agent, 't');
		await agent.kill9Both();
		const journal = join(dirOf(agent, run), 'journal');
		rmSync(journal);
		mkdirSync(journal);
		await agent.spawn();
		await sealed(agent, run);
		const events = eventsOf(agent).filter((e) => e.run === run.id);
		assert.equal(events.at(-1).event, 'run.not_sealed');
		assert.match(events.at(-1).error, /directory/);
		rmSync(dirOf(agent, run), { recursive: true });
	});

	it('begins anew with a new ledger', async () => {
		const run = await finish(agent, 't');
		await sealed(agent, run);
		await agent.stop();
		renameSync(join(agent.stateDir, 'ledger'), join(agent.dir, 'ledger.old'));
		await agent.spawn();
		await sealed(agent, run);
		const runs = readdirSync(join(agent.stateDir, 'runs')).length;
		await until('all of them', () => eventsOf(agent).filter((e) => e.event === 'run.sealed').length === runs, PATIENCE);
		assert.match(judge(agent).stdout, /runs: (\d+) good \(\1 of them sealed\), 0 not finished, 0 damaged/);
	});
});
