// The archiver on its own, between a fake agent and a real PostgreSQL, and what its work is measured by.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';

import { Tool } from './tool.mjs';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// All that were started and have not ended; for afterEach().
export const tools = new Set();

export class Archive extends Tool {
	constructor(agent, url) {
		super('db/archive_tool', [url, agent.socket, agent.secret]);
		tools.add(this);
		this.exited.then(() => tools.delete(this));
	}

	async status() {
		const wait = this.next(/^status (\S+) (.*) problem=(.*)$/);
		this.send('status');
		const [, state, numbers, problem] = await wait;
		return { state, problem, ...Object.fromEntries(numbers.split(' ').map((p) => [p.split('=')[0], Number(p.split('=')[1])])) };
	}

	// Until the archiver says so (a condition on its status).
	async until(what, condition) {
		const end = Date.now() + 120000;
		for (;;) {
			const status = await this.status();
			if (condition(status)) return status;
			if (Date.now() > end) throw new Error(`waited two minutes for: ${what}\n${JSON.stringify(status)}\n${this.errors}`);
			await sleep(20);
		}
	}

	released(...runs) {
		return this.until(`${runs.length} runs released`, () => runs.every((run) => run.released));
	}

	async quit() {
		this.send('quit');
		assert.deepEqual(await this.exited, { code: 0, signal: null }, this.errors);
	}
}

export function flood(run, mib, line = 119) {
	const text = randomBytes(line).toString('base64').slice(0, line) + '\n';
	const chunk = Buffer.from(text.repeat(Math.floor(65536 / text.length)));
	for (let left = mib * 1048576; left > 0; left -= chunk.length) run.output(chunk, { kind: left % 3 ? 1 : 2 });
	return run;
}

// The rows of a run are its journal: contiguous, of whole records, with the right place in lines and time.
export async function assertArchived(pg, run, { complete = true, upTo = run.size } = {}) {
	const journal = run.journal.subarray(0, upTo);
	assert.equal(
		await pg.psql(`select coalesce(encode(sha256(string_agg(records, ''::bytea order by start_offset)), 'hex'), 'none') from ops.run_log where run_id = '${run.id}'`),
		upTo > 0 ? createHash('sha256').update(journal).digest('hex') : 'none',
		'the rows are not the journal',
	);
	const rows = (await pg.psql(`select start_offset, end_offset, first_line, time_us from ops.run_log where run_id = '${run.id}' order by start_offset`)).split('\n').filter(Boolean).map((r) => r.split('|').map(Number));
	let offset = 0;
	for (const [start, end, line, time] of rows) {
		assert.equal(start, offset);
		assert.ok(run.index.includes(start) && run.index.includes(end), 'a row ends inside a record');
		assert.ok(end - start <= 262144, `a row of ${end - start} bytes`);
		assert.equal(line, journal.readUInt32LE(start + 16));
		assert.equal(time, Number(journal.readBigUInt64LE(start + 8)));
		offset = end;
	}
	assert.equal(offset, upTo);
	const [row] = (await pg.psql(`select archived_offset, complete, encode(digest, 'hex'), status, size from ops.runs where id = '${run.id}'`)).split('\n');
	if (complete) assert.equal(row, `${run.size}|t|${run.endDigest}|${run.status}|${run.size}`);
	else assert.ok(row.startsWith(`${upTo}|f|`), row);
}
