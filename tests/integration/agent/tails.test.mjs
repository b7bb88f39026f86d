// Live tails (tail.open): a unit's journal as records, only as fast as the client reads it, and nothing left behind
// when either side goes away.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Agent, sleep, until } from '../lib/agent.mjs';
import { CREDIT_START, END, GOAWAY, Journal, METHOD, Writer } from '../lib/agent-client.mjs';
import { canWriteJournals, writeJournal } from '../lib/journal.mjs';

const UNIT = 2, DOCKER = 1, MOST = 16;
const FLOOD = 30000, PADDING = 'x'.repeat(300);
const dir = mkdtempSync(join(tmpdir(), 'ops-tails-'));
const skip = canWriteJournals ? false : 'systemd-journal-remote is not installed';
const commands = 'version: 1\ncommands:\n  quick: { title: Quick, exec: [/bin/true] }\n';
const status = 'version: 1\nhost: false\nunits: [web.service, flood.service, quiet.service]\n';
let agent, client, at = Date.now() * 1000 - 3600e6;

// Each call makes another file of the journal, as rotation does.
let files = 0;
const write = (entries) => writeJournal(join(dir, `part-${files++}.journal`), entries, at += 1e6);
const web = (MESSAGE, more = {}) => ({ MESSAGE, _SYSTEMD_UNIT: 'web.service', SYSLOG_IDENTIFIER: 'web', _PID: '77', PRIORITY: '6', ...more });

before(async () => {
	if (skip) return;
	write([
		web('first'), web('second'), web('it broke', { PRIORITY: '3' }), web('two\nlines'),
		{ MESSAGE: 'of another unit', _SYSTEMD_UNIT: 'other.service' },
		{ MESSAGE: 'Started Web.', UNIT: 'web.service', _PID: '1', _COMM: 'systemd', SYSLOG_IDENTIFIER: 'systemd' },
		{ MESSAGE: 'no right to say so', UNIT: 'web.service', _PID: '4711', _UID: '1000', SYSLOG_IDENTIFIER: 'liar' },
	]);
	write(Array.from({ length: FLOOD }, (_, i) => ({ MESSAGE: `${i} ${PADDING}`, _SYSTEMD_UNIT: 'flood.service', _COMM: 'flood' })));
	agent = await Agent.start({ commands, status, env: { OPS_AGENT_JOURNAL_DIR: dir } });
	client = await agent.connect();
});
after(async () => {
	await agent?.destroy();
	rmSync(dir, { recursive: true, force: true });
});

// Reads until the text is as wanted; returns the journal so far.
async function read(tail, enough, journal = new Journal()) {
	while (!enough(journal)) {
		const { done, value } = await tail.next();
		if (done) break;
		assert.equal(value.offset, journal.offset + journal.rest.length);
		journal.push(value.records);
	}
	return journal;
}
const has = (text) => (journal) => journal.text().includes(text);
async function drain(tail) {
	while (!(await tail.next()).done);
	return tail.end;
}

test('a unit\'s journal: what it said, what the manager says of it, and nothing else', { skip }, async () => {
	const tail = await client.openTail(UNIT, 'web.service', 100);
	const journal = await read(tail, has('Started Web.'));
	assert.equal(journal.text(), 'web[77]: first\nweb[77]: second\nweb[77]: it broke\nweb[77]: two\nlines\nsystemd[1]: Started Web.\n');
	assert.equal(journal.text(2), 'web[77]: it broke\n', 'errors are standard error');
	assert.deepEqual(journal.out.map((r) => [r.line, r.step]), [[0, 0], [1, 0], [2, 0], [3, 0], [5, 0]]);
	assert.ok(journal.out[0].timeUs < Date.now() * 1000 - 1800e6, 'the time is the entry\'s');
	write([web('said later')]);
	await read(tail, has('said later'), journal);
	tail.close();
	assert.deepEqual(await drain(tail), { offset: journal.offset, reason: END.CLOSED });
	await until('its process to be gone', () => agent.tailPids.length === 0);
});

test('as many lines as were asked for, and only new ones when none were', { skip }, async () => {
	const two = await client.openTail(UNIT, 'web.service', 2);
	const none = await client.openTail(UNIT, 'web.service', 0);
	const journal = await read(two, has('said later'));
	assert.equal(journal.text(), 'systemd[1]: Started Web.\nweb[77]: said later\n');
	// it is at the end at some time after it was opened: what is written from then on it tells
	let told = null;
	none.next().then(({ value }) => { told = value; });
	for (let n = 0; told === null; n++) {
		write([web(`probe ${n}`)]);
		await sleep(20);
	}
	assert.match(new Journal().push(told.records).text(), /^web\[77\]: probe/);
	for (const tail of [two, none]) {
		tail.close();
		await drain(tail);
	}
});

test('a client without credit holds the source back, and then gets all of it', { skip }, async () => {
	const tail = await client.openTail(UNIT, 'flood.service', FLOOD, { autoCredit: false });
	const journal = new Journal();
	await read(tail, (j) => j.offset >= CREDIT_START, journal);
	assert.ok(journal.offset < CREDIT_START + 65536 + 24, `${journal.offset} bytes for ${CREDIT_START} of credit`);
	await until('the processes of other tests to be gone', () => agent.tailPids.length === 1);
	const [pid] = agent.tailPids;
	// write(2) to its standard input, which is the socket
	await until('the source to wait in write(2)', () => /^1 0x0 /.test(readFileSync(`/proc/${pid}/syscall`, 'utf8')));
	assert.equal(tail.stream.queue.length, 0, 'nothing was sent beyond the credit');
	tail.stream.credit(0x7fffffff);
	await read(tail, (j) => j.out.length === FLOOD, journal);
	const lines = journal.text().split('\n');
	assert.equal(lines.length, FLOOD + 1);
	lines.slice(0, FLOOD).forEach((line, i) => assert.equal(line, `flood: ${i} ${PADDING}`));
	tail.close();
	await drain(tail);
});

test('what the overview does not show has no tail', { skip }, async () => {
	for (const [kind, name] of [[UNIT, 'other.service'], [UNIT, ''], [UNIT, 'web.service\0x'], [UNIT, 'x'.repeat(300)], [DOCKER, 'web']]) {
		await assert.rejects(client.openTail(kind, name), { status: 'not_found' });
	}
	await until('no process', () => agent.tailPids.length === 0);
	const rude = await agent.connect();
	await assert.rejects(rude.open(METHOD.TAIL_OPEN, new Writer().u8(3).str('web.service').u32(0).done()));
	assert.equal((await rude.whenClosed()).code, GOAWAY.MALFORMED);
});

test('the seventeenth is refused, until one of the others is closed', { skip }, async () => {
	const tails = [];
	for (let i = 0; i < MOST; i++) tails.push(await client.openTail(UNIT, 'quiet.service'));
	await assert.rejects(client.openTail(UNIT, 'quiet.service'), { status: 'limit' });
	await until('its processes, and no other', () => agent.tailPids.length === MOST);
	tails[3].close();
	assert.equal((await drain(tails[3])).reason, END.CLOSED);
	tails[3] = await client.openTail(UNIT, 'quiet.service');
	for (const tail of tails) tail.close();
	for (const tail of tails) await drain(tail);
	await until('all processes to be gone', () => agent.tailPids.length === 0);
});

test('a connection that ends takes its tails along', { skip }, async () => {
	const other = await agent.connect();
	await other.openTail(UNIT, 'quiet.service');
	await other.openTail(UNIT, 'flood.service', FLOOD, { autoCredit: false });
	await until('two processes', () => agent.tailPids.length === 2);
	other.destroy();
	await until('the processes to be gone', () => agent.tailPids.length === 0);
});

test('a source or probes that are killed end the tail, which may be opened again', { skip }, async () => {
	const quiet = await client.openTail(UNIT, 'quiet.service');
	await until('one process', () => agent.tailPids.length === 1);
	process.kill(agent.tailPids[0], 'SIGKILL');
	assert.equal((await drain(quiet)).reason, END.SHUTDOWN);
	const tail = await client.openTail(UNIT, 'web.service', 1);
	await read(tail, (j) => j.text() !== '');
	process.kill(agent.probesPid, 'SIGKILL');
	assert.equal((await drain(tail)).reason, END.SHUTDOWN);
	await until('new probes', () => agent.probesPid);
	const again = await client.openTail(UNIT, 'web.service', 1);
	await read(again, (j) => j.text() !== '');
	again.close();
	await drain(again);
});

test('a configuration that no longer names the unit ends its tail', { skip }, async () => {
	const tail = await client.openTail(UNIT, 'quiet.service');
	agent.configure({ commands, status: status.replace(', quiet.service', '') });
	await client.reload();
	assert.equal((await drain(tail)).reason, END.SHUTDOWN);
	await until('the new probes to refuse', () => client.openTail(UNIT, 'quiet.service').then((t) => { t.close(); return false; },
		(error) => error.status === 'not_found'));
	agent.configure({ commands, status });
	await client.reload();
});

test('a worker that dies leaves no tail behind', { skip }, async () => {
	await until('a tail', () => client.openTail(UNIT, 'quiet.service').catch(() => null));
	await until('its process', () => agent.tailPids.length === 1);
	agent.kill9Worker();
	await until('the process to be gone', () => agent.tailPids.length === 0);
	await until('another worker', async () => { client = await agent.connect().catch(() => null); return client?.hello().catch(() => null); });
});

test('without a journal that can be read the tail says so and ends', { skip }, async () => {
	const empty = join(dir, 'empty');
	mkdirSync(empty);
	const other = await Agent.start({ commands, status, env: { OPS_AGENT_JOURNAL_DIR: empty } });
	try {
		const peer = await other.connect();
		const tail = await peer.openTail(UNIT, 'web.service', 10);
		const journal = await read(tail, () => false);
		assert.equal(tail.end.reason, END.FINISHED);
		assert.equal(journal.events[0].event, 'tail.ended');
		assert.match(journal.events[0].message, /no journal.*systemd-journal/);
	} finally {
		await other.destroy();
	}
});

test('sign-ins that sshd refused within a day are counted', { skip }, async () => {
	const where = join(dir, 'logins');
	mkdirSync(where);
	const sshd = (MESSAGE, more = {}) => ({ MESSAGE, SYSLOG_IDENTIFIER: 'sshd', _PID: '9', ...more });
	const failed = 'Failed password for root from 192.0.2.1 port 4711 ssh2';
	writeJournal(join(where, 'old.journal'), [sshd(failed)], Date.now() * 1000 - 30 * 3600e6);
	writeJournal(join(where, 'new.journal'), [
		sshd(failed), sshd('Invalid user admin from 192.0.2.1 port 4712'), sshd(failed, { SYSLOG_IDENTIFIER: 'sshd-session' }),
		sshd('Accepted publickey for me'), sshd(failed, { SYSLOG_IDENTIFIER: 'something' }),
	], Date.now() * 1000 - 3600e6);
	const other = await Agent.start({ commands, status: 'version: 1\n', env: { OPS_AGENT_JOURNAL_DIR: where } });
	try {
		const peer = await other.connect();
		const item = await until('the item', async () => (await peer.status()).sections.host?.find((i) => i.id === 'logins'));
		assert.equal(item.level, 'ok');
		assert.deepEqual([item.values.failed_24h, item.values.invalid_users_24h], [2, 1]);
	} finally {
		await other.destroy();
	}
});
