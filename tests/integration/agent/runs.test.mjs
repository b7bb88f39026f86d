// Starting, following, cancelling and listing runs through the agent's socket.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Agent, isAlive, processesWith, until } from '../lib/agent.mjs';
import { AgentError, END, Journal } from '../lib/agent-client.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';

const bin = makeScripts();

const refused = (status) => (error) => {
	assert.ok(error instanceof AgentError, String(error));
	assert.equal(error.status, status);
	return true;
};

describe('runs', { timeout: 600000 }, () => {
	let agent, client;

	before(async () => {
		agent = await Agent.start({
			commands: commandsYml(bin),
			flows: {
				twice: `version: 1
id: twice
title: Twice
steps:
  - { id: first, uses: speak, with: { code: "0" } }
  - { id: second, uses: speak, with: { code: "0" } }
`,
			},
		});
		client = await agent.connect();
	});
	after(() => agent.destroy());

	it('says hello with what the connection may do', async () => {
		const hello = await client.hello();
		assert.equal(hello.version, 1);
		assert.match(hello.agentId, /^[0-9a-f-]{36}$/);
		assert.match(hello.configDigest, /^[0-9a-f]{64}$/);
		assert.equal(hello.initialCredit, 1 << 20);
		assert.equal(hello.maxPayload, 1 << 20);
	});

	it('gives the catalogue', async () => {
		const catalog = await client.catalog();
		assert.deepEqual(catalog.commands.map((c) => c.id), ['speak', 'flood', 'ticks', 'stay']);
		assert.deepEqual(catalog.flows.map((f) => f.id), ['twice']);
		assert.equal(catalog.config_digest, (await client.hello()).configDigest);
	});

	it('runs a command: both streams, exit code, digest', async () => {
		const { created, run } = await client.start('speak', { code: 3 });
		assert.equal(created, true);
		assert.equal(run.kind, 'command');
		assert.equal(run.actor, 'user:test');
		assert.deepEqual(run.inputs, { code: '3' });
		const journal = await client.follow(run.id);
		assert.equal(journal.end.reason, END.FINISHED);
		assert.equal(journal.end.offset, journal.offset);
		assert.equal(journal.text(1), 'out\n');
		assert.equal(journal.text(2), 'err\n');
		assert.equal(journal.events[0].event, 'run.created');
		assert.equal(journal.finished.status, 'failed');
		assert.equal(journal.finished.exit_code, 3);
		const document = await until('the document to be final', async () => {
			const found = await client.get(run.id);
			return found.finished_us && found;
		});
		assert.equal(document.status, 'failed');
		assert.equal(document.reason, 'exit');
		assert.equal(document.exit_code, 3);
		assert.equal(document.size, journal.offset);
		assert.equal(document.bytes, 8);
		assert.equal(document.lines, 2);
		assert.equal(document.steps[0].status, 'failed');
		assert.deepEqual(await client.get(document.number), document);
	});

	it('runs a flow, steps in order', async () => {
		const { run } = await client.start('twice', {}, { kind: 2 });
		assert.deepEqual(run.steps.map((s) => s.id), ['first', 'second']);
		const journal = await client.follow(run.id);
		assert.equal(journal.finished.status, 'succeeded');
		assert.deepEqual(journal.out.filter((r) => r.kind === 1).map((r) => r.step), [0, 1]);
	});

	it('shows in a dry run what would be executed, and runs nothing', async () => {
		const before = (await client.list()).runs.length;
		const { plan } = await client.start('speak', { code: 9 }, { dryRun: true });
		assert.deepEqual(plan[0].argv, [`${bin}/speak`, '9']);
		assert.equal((await client.list()).runs.length, before);
	});

	it('names each bad input', async () => {
		await assert.rejects(client.start('speak', { code: 256, nonsense: 1 }), (error) => {
			refused('invalid_input')(error);
			assert.deepEqual(error.problems.map((p) => p.name).sort(), ['code', 'nonsense']);
			return true;
		});
		await assert.rejects(client.start('flood'), refused('invalid_input'));
	});

	it('knows no other commands, kinds and actors', async () => {
		await assert.rejects(client.start('Speak'), refused('not_found'));
		await assert.rejects(client.start('speak', {}, { kind: 2 }), refused('not_found'));
		await assert.rejects(client.start('speak', {}, { actor: 'root' }), refused('forbidden'));
		await assert.rejects(client.start('speak', {}, { actor: 'opsctl:4242' }), refused('forbidden'));
		await assert.rejects(client.get('0198f2a0-7c3b-7def-8a01-0123456789ab'), refused('not_found'));
		await assert.rejects(client.get('../../etc/passwd'), refused('not_found'));
		await assert.rejects(client.get('999999'), refused('not_found'));
	});

	it('makes one run of an idempotency key, also after a restart', async () => {
		const first = await client.start('speak', { code: 0 }, { key: 'k1' });
		const again = await client.start('speak', { code: 0 }, { key: 'k1' });
		assert.equal(first.created, true);
		assert.equal(again.created, false);
		assert.equal(again.run.id, first.run.id);
		await assert.rejects(client.start('speak', { code: 1 }, { key: 'k1' }), refused('conflict'));
		const other = await client.start('speak', { code: 1 }, { key: 'k1', actor: 'user:other' });
		assert.equal(other.created, true);
		await agent.restart();
		client = await agent.connect();
		const later = await client.start('speak', { code: 0 }, { key: 'k1' });
		assert.equal(later.created, false);
		assert.equal(later.run.id, first.run.id);
	});

	it('goes on from every offset, and from nowhere else', async () => {
		const { run } = await client.start('ticks', { n: 5 });
		const whole = await client.follow(run.id);
		const boundaries = new Set([whole.offset]);
		for (const rec of [...whole.out, ...whole.events]) boundaries.add(rec.offset);
		for (const offset of boundaries) {
			const rest = await client.follow(run.id, offset);
			assert.equal(rest.offset, whole.offset);
			assert.equal(rest.end.reason, END.FINISHED);
		}
		for (const offset of [1, 23, 24, whole.offset - 1]) {
			if (!boundaries.has(offset)) await assert.rejects(client.tail(run.id, offset), refused('bad_offset'));
		}
		const beyond = await client.follow(run.id, whole.offset + 1);
		assert.equal(beyond.end.reason, END.SHORTENED);
	});

	it('shows every client the same bytes, whenever it joins', async () => {
		const { run } = await client.start('ticks', { n: 20 });
		const second = await agent.connect();
		const early = client.follow(run.id);
		await until('some ticks', async () => (await second.get(run.id)).bytes > 0);
		const late = await second.follow(run.id);
		const first = await early;
		assert.equal(late.text(), first.text());
		assert.equal(late.finished.digest, first.finished.digest);
		second.destroy();
	});

	it('sends no more than the credit and one record, and goes on with more', async () => {
		const { run } = await client.start('flood', { lines: 60000 });
		const tail = await client.tail(run.id, 0, { autoCredit: false });
		const journal = new Journal();
		const ask = async (until) => {
			while (journal.offset < until) {
				const { done, value } = await tail.next();
				if (done) return;
				journal.push(value.records);
			}
		};
		await ask(1 << 20);
		assert.ok(journal.offset < (1 << 20) + 65536 + 24, `${journal.offset} bytes for 1 MiB of credit`);
		await client.ping();
		assert.equal(tail.stream.queue.length, 0, 'nothing comes without credit');
		tail.stream.credit(journal.offset - (1 << 20) + 1); // what was overshot, and one byte
		const { value } = await tail.next();
		assert.ok(value.records.length <= 65536 + 24 + 1);
		journal.push(value.records);
		tail.stream.credit(0x7fffffff);
		await ask(Infinity);
		assert.equal(journal.bytes, 6000000);
		assert.equal(tail.end.reason, END.FINISHED);
	});

	it('ends a stream that the client closes, and takes its id again', async () => {
		const { run } = await client.start('stay');
		const tail = await client.tail(run.id);
		await tail.next();
		tail.close();
		for (;;) if ((await tail.next()).done) break;
		assert.equal(tail.end.reason, END.CLOSED);
		client.nextStream = tail.stream.id;
		await client.hello();
		client.nextStream += 100;
		await client.cancel(run.id);
		await client.follow(run.id);
	});

	it('cancels the whole tree, and only what is running', async () => {
		const { run } = await client.start('stay');
		await client.follow(run.id, 0, { until: (journal) => journal.text().includes('started') });
		const mark = `OPS_RUN_ID=${run.id}`;
		assert.ok(processesWith(mark).length >= 2);
		await client.cancel(run.id, { reason: 'enough\nof it' });
		const journal = await client.follow(run.id);
		assert.equal(journal.finished.status, 'cancelled');
		const asked = journal.events.find((e) => e.event === 'run.cancel_requested');
		assert.equal(asked.actor, 'user:test');
		assert.equal(asked.reason, 'enough of it');
		assert.deepEqual(processesWith(mark), []);
		await until('the state to be final', async () => (await client.get(run.id)).finished_us);
		await assert.rejects(client.cancel(run.id), refused('conflict'));
	});

	it('lists newest first, in pages, by filter', async () => {
		const all = await client.list({ limit: 200 });
		const numbers = all.runs.map((r) => r.number);
		assert.deepEqual(numbers, [...numbers].sort((a, b) => b - a));
		assert.equal(all.next, '');
		const pages = [];
		let before = '';
		do {
			const page = await client.list({ limit: 3, before });
			pages.push(...page.runs.map((r) => r.id));
			before = page.next;
		} while (before);
		assert.deepEqual(pages, all.runs.map((r) => r.id));
		const { run } = await client.start('stay');
		assert.deepEqual((await client.list({ filter: 1 })).runs.map((r) => r.id), [run.id]);
		await client.cancel(run.id);
		await client.follow(run.id);
		await until('no run to be active', async () => (await client.list({ filter: 1 })).runs.length === 0);
	});

	it('marks a run as released for the right digest only', async () => {
		const { run } = await client.start('speak');
		const journal = await client.follow(run.id);
		await until('the state to be final', async () => (await client.get(run.id)).finished_us);
		await assert.rejects(client.release(run.id, '0'.repeat(64)), refused('conflict'));
		const unreleased = (await client.list({ filter: 2, limit: 200 })).runs.map((r) => r.id);
		assert.ok(unreleased.includes(run.id));
		await client.release(run.id, journal.finished.digest);
		await client.release(run.id, journal.finished.digest);
		const left = (await client.list({ filter: 2, limit: 200 })).runs.map((r) => r.id);
		assert.ok(!left.includes(run.id));
	});

	it('finds lines, times and places in a log', async () => {
		const { run } = await client.start('flood', { lines: 50000 });
		const journal = await client.follow(run.id);
		const at = (offset) => journal.out.find((r) => r.offset === offset);
		for (const line of [0, 1, 25000, 49999]) {
			const found = await client.locate(run.id, 0, line);
			const rec = at(found.offset);
			assert.ok(rec, `a record at ${found.offset}`);
			assert.equal(found.line, rec.line);
			assert.ok(rec.line <= line && line <= rec.line + rec.payload.toString('latin1').split('\n').length);
		}
		const middle = journal.out[journal.out.length >> 1];
		assert.equal((await client.locate(run.id, 2, middle.offset + 5)).offset, middle.offset);
		assert.ok((await client.locate(run.id, 1, middle.timeUs)).offset <= middle.offset);
		const tail = await client.locate(run.id, 3, 1000);
		assert.ok(tail.offset < journal.offset && tail.offset >= journal.offset - 1000 - 65560);
		await client.follow(run.id, tail.offset);
	});

	it('tells events of the ledger and changes of runs', async () => {
		const events = await client.events();
		const { run } = await client.start('speak');
		const startedEvent = await events.until((e) => e.event === 'run.started' && e.run === run.id);
		assert.ok(startedEvent.position > 0 && startedEvent.time_us > 0);
		// the worker tells what the runner wrote, the monitor that it has ended: either may be first
		let changed, finished;
		await events.until((e) => {
			if (e.event === 'run.changed' && e.run.id === run.id && e.run.finished_us) changed = e;
			if (e.event === 'run.finished' && e.run === run.id) finished = e;
			return changed && finished;
		});
		assert.equal(changed.run.status, 'succeeded');
		assert.equal(finished.status, 'succeeded');
		events.close();
		const again = await client.events(startedEvent.position);
		// runs before it may end and be sealed meanwhile
		const next = await again.until((e) => e.position && e.run === run.id);
		assert.equal(next.event, 'run.finished');
		await assert.rejects(client.events(startedEvent.position - 1), refused('bad_offset'));
	});

	it('answers methods of later versions with unsupported', async () => {
		for (const method of [22, 4711, 65535])
			await assert.rejects(client.call(method, Buffer.alloc(0)), refused('unsupported'));
	});

	it('leaves nothing running', async () => {
		await until('all runners to end', () => processesWith(agent.stateDir + '/runs').length === 0);
		assert.ok(isAlive(agent.monitor.pid));
	});
});
