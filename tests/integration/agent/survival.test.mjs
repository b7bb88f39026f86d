// What a run survives: worker, monitor and both killed; and what happens when its runner is.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Agent, isAlive, processesWith, until, verify } from '../lib/agent.mjs';
import { END, GOAWAY, Journal } from '../lib/agent-client.mjs';
import { commandsYml, hold, makeScripts } from '../lib/commands.mjs';

const bin = makeScripts();

// Follows a run from an offset on, reconnecting for as long as it takes; the journal checks that no
// byte is missing or comes twice.
async function followThrough(agent, runId, journal) {
	while (!journal.finished) {
		let client;
		try {
			client = await agent.connect();
			// what was half received is asked for again
			journal.rest = Buffer.alloc(0);
			await client.follow(runId, journal.offset, { journal });
		} catch {
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
		client?.destroy();
	}
	return journal;
}

describe('a run survives', { timeout: 600000 }, () => {
	let agent;

	before(async () => { agent = await Agent.start({ commands: commandsYml(bin) }); });
	afterEach(() => hold(bin)()); // also of a test that failed
	after(() => agent.destroy());

	// It does not end before letOn().
	async function startedTicks(n) {
		const letOn = hold(bin);
		const client = await agent.connect();
		const { run } = await client.start('ticks', { n });
		const journal = new Journal();
		const done = followThrough(agent, run.id, journal);
		await until('some output', () => journal.bytes > 50);
		client.destroy();
		return { run, journal, done, letOn };
	}

	function isWhole(journal, n) {
		assert.equal(journal.finished.status, 'succeeded');
		assert.equal(journal.text(), Array.from({ length: n }, (_, i) => `tick ${i}\n`).join(''));
	}

	it('kill -9 of the worker: another one takes over, the socket stays', async () => {
		const { journal, done, letOn } = await startedTicks(100);
		const old = agent.kill9Worker();
		await until('another worker', () => agent.workerPid && agent.workerPid !== old);
		assert.ok(!journal.finished, 'it was killed while the run was going on');
		letOn();
		isWhole(await done, 100);
	});

	it('kill -9 of the monitor: the worker goes, a new agent adopts the run', async () => {
		const { run, journal, done, letOn } = await startedTicks(150);
		const worker = agent.workerPid, runner = agent.runnerPid(run.id);
		await agent.kill9Monitor();
		await until('the worker to notice', () => !isAlive(worker));
		assert.ok(isAlive(runner));
		await agent.restart();
		assert.match(agent.log(), /run\.adopted/);
		assert.ok(!journal.finished, 'it was killed while the run was going on');
		letOn();
		isWhole(await done, 150);
	});

	it('kill -9 of both', async () => {
		const { journal, done, letOn } = await startedTicks(150);
		await agent.kill9Both();
		await agent.restart();
		assert.ok(!journal.finished, 'they were killed while the run was going on');
		letOn();
		isWhole(await done, 150);
	});

	it('a stop and a start of the agent', async () => {
		const { run, journal, done, letOn } = await startedTicks(150);
		const client = await agent.connect();
		const goaway = client.whenClosed();
		const tail = await client.tail(run.id);
		assert.equal(await agent.stop(), 0);
		assert.equal((await goaway).code, GOAWAY.SHUTDOWN);
		assert.equal(tail.end, null);
		await agent.restart();
		letOn();
		isWhole(await done, 150);
		assert.ok(journal.finished);
	});

	it('kill -9 of both in the very moment in which a start is answered, again and again', async () => {
		for (let i = 0; i < 15; i++) {
			const client = await agent.connect();
			const { run } = await client.start('ticks', { n: 3 });
			await agent.kill9Both();
			client.destroy();
			await agent.restart();
			const journal = await followThrough(agent, run.id, new Journal());
			isWhole(journal, 3);
		}
	});

	it('200 MiB of output through a kill of both, byte for byte', async () => {
		const client = await agent.connect();
		const lines = 2 << 20;
		const { run } = await client.start('flood', { lines });
		const journal = new Journal({ verify: false });
		const done = followThrough(agent, run.id, journal);
		await until('8 MiB', () => journal.bytes > 8 << 20);
		await agent.kill9Both();
		assert.ok(!journal.finished, 'they were killed while the run was going on');
		await agent.restart();
		await done;
		assert.equal(journal.finished.status, 'succeeded');
		assert.equal(journal.bytes, lines * 100);
		client.destroy();
	});

	it('not kill -9 of its runner: it ends as lost, and its children with it', async () => {
		const client = await agent.connect();
		const { run } = await client.start('stay');
		await client.follow(run.id, 0, { until: (journal) => journal.text().includes('started') });
		const mark = `OPS_RUN_ID=${run.id}`;
		assert.ok(processesWith(mark).length >= 2);
		process.kill(agent.runnerPid(run.id), 'SIGKILL');
		const journal = await client.follow(run.id);
		assert.equal(journal.end.reason, END.FINISHED);
		assert.equal(journal.finished.status, 'lost');
		assert.equal(journal.finished.reason, 'runner_died');
		assert.deepEqual(processesWith(mark), []);
		const document = await until('the final document', async () => {
			const found = await client.get(run.id);
			return found.status === 'lost' && found;
		});
		assert.equal(document.steps[0].status, 'lost');
		client.destroy();
	});

	it('not kill -9 of runner, worker and monitor: the next agent settles it', async () => {
		const client = await agent.connect();
		const { run } = await client.start('stay');
		await client.follow(run.id, 0, { until: (journal) => journal.text().includes('started') });
		const runner = agent.runnerPid(run.id);
		await agent.kill9Both();
		process.kill(runner, 'SIGKILL');
		await until('the runner to go', () => !isAlive(runner));
		await agent.restart();
		const again = await agent.connect();
		const journal = await again.follow(run.id);
		assert.equal(journal.finished.status, 'lost');
		assert.deepEqual(processesWith(`OPS_RUN_ID=${run.id}`), []);
		again.destroy();
	});

	it('and the ledger holds each end once', async () => {
		const client = await agent.connect();
		await until('all runs to be settled', async () => (await client.list({ filter: 1 })).runs.length === 0);
		const { runs } = await client.list({ limit: 200 });
		const finished = new Map();
		const events = await client.events(0);
		await until('all ends', async () => {
			const event = await events.next();
			if (event.event === 'run.finished') finished.set(event.run, (finished.get(event.run) ?? 0) + 1);
			return finished.size === runs.length;
		});
		assert.deepEqual([...new Set(finished.values())], [1]);
		client.destroy();
		assert.match(verify(agent), /the chain holds\n.*0 damaged/s);
	});
});
