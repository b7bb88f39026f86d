// kill -9 of the agent, in part or as a whole, at random moments of a graph flow with a retry, branches
// and a finally: every run ends as it should, each step ran as often as it should, the ledger verifies.
// OPS_KILL9_ROUNDS: how many moments (15; the drill is 200). OPS_KILL9_SEED repeats one.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Agent, sleep, until, verify } from '../lib/agent.mjs';

const ROUNDS = Number(process.env.OPS_KILL9_ROUNDS ?? 15);
const SEED = Number(process.env.OPS_KILL9_SEED ?? Date.now() % 1e9);

// mulberry32
let state = SEED;
const random = () => {
	state = (state + 0x6d2b79f5) | 0;
	let z = Math.imul(state ^ (state >>> 15), 1 | state);
	z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
	return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
};

// What the step's file is to hold in the end: a line an attempt.
const wanted = { one: 1, flaky: 3, left: 1, right: 1, join: 1, 'finally.1': 1 };

describe('kill -9 at random moments', { timeout: 900000 }, () => {
	let dir, agent;

	before(async () => {
		dir = mkdtempSync(join(tmpdir(), 'ops-kill9-'));
		const work = join(dir, 'work');
		writeFileSync(work, '#!/bin/sh\necho "$OPS_ATTEMPT" >> "$1/$OPS_STEP"\nsleep "$3"\n[ "$OPS_ATTEMPT" -gt "$2" ]\n', { mode: 0o755 });
		agent = await Agent.start({
			commands: `version: 1
commands:
  work:
    title: Work
    exec: [${work}, "\${inputs.dir}", "\${inputs.failures}", "\${inputs.seconds}"]
    inputs:
      dir: { type: path, under: ${dir}, required: true }
      failures: { type: int, min: 0, max: 9, default: 0 }
      seconds: { type: string, pattern: "0[.][0-9]+", default: "0.05" }
`,
			flows: {
				graph: `version: 1
id: graph
title: Graph
timeout: 10m
inputs: { dir: { type: path, under: ${dir}, required: true } }
steps:
  - { id: one, uses: work, with: { dir: "\${inputs.dir}" } }
  - { id: flaky, uses: work, needs: [one], with: { dir: "\${inputs.dir}", failures: "2" }, retry: { limit: 4, delay: 50ms, backoff: 2 } }
  - { id: left, uses: work, needs: [one], with: { dir: "\${inputs.dir}", seconds: "0.2" } }
  - { id: right, uses: work, needs: [one], with: { dir: "\${inputs.dir}", seconds: "0.1" } }
  - { id: join, uses: work, needs: [flaky, left, right], with: { dir: "\${inputs.dir}" } }
finally: [{ uses: work, with: { dir: "\${inputs.dir}" } }]
`,
			},
		});
	});
	after(async () => {
		await agent.destroy();
		rmSync(dir, { recursive: true, force: true });
	});

	// The answer may be lost with the agent: the same key asks again, and gets the same run. atOnce: it
	// was not lost.
	async function start(i) {
		for (let tries = 1; ; tries++) {
			let client;
			try {
				client = await agent.connect();
				const { run } = await client.start('graph', { dir: join(dir, `run.${i}`) }, { kind: 2, key: `round-${i}` });
				return { id: run.id, atOnce: tries === 1 };
			} catch (error) {
				if (error.status && error.status !== 'unavailable') throw error;
				await sleep(20);
			} finally {
				client?.destroy();
			}
		}
	}

	it(`of ${ROUNDS} runs none is lost, none runs twice`, async (t) => {
		t.diagnostic(`OPS_KILL9_SEED=${SEED}`);
		const starting = [];
		for (let i = 0; i < ROUNDS; i++) {
			mkdirSync(join(dir, `run.${i}`));
			starting.push(start(i));
			await sleep(random() * 700);
			const victim = random();
			if (victim < 0.25 && agent.workerPid) {
				agent.kill9Worker();
				continue;
			}
			await (victim < 0.5 || !agent.workerPid ? agent.kill9Monitor() : agent.kill9Both());
			await agent.restart();
		}
		const runs = await Promise.all(starting);
		assert.equal(new Set(runs.map((r) => r.id)).size, ROUNDS);
		const client = await agent.connect();
		let never = 0;
		for (const [i, { id, atOnce }] of runs.entries()) {
			const document = await until(`run ${i} to end`, async () => {
				const found = await client.get(id);
				return found.finished_us && found;
			});
			// Killed between making the run and starting its runner, before it could answer: nothing of it
			// has run, and nothing will, since a plan is never on disk.
			if (document.status === 'lost' && !atOnce) {
				never++;
				assert.deepEqual(document.steps.map((s) => [s.status, s.attempt]), Object.keys(wanted).map(() => ['skipped', 0]));
				assert.deepEqual(readdirSync(join(dir, `run.${i}`)), []);
				continue;
			}
			assert.equal(document.status, 'succeeded', `run ${i}`);
			assert.deepEqual(document.steps.map((s) => [s.id, s.status, s.attempt]), Object.entries(wanted).map(([step, n]) => [step, 'succeeded', n]));
			for (const [step, n] of Object.entries(wanted)) {
				const lines = readFileSync(join(dir, `run.${i}`, step), 'utf8');
				assert.equal(lines, Array.from({ length: n }, (_, k) => `${k + 1}\n`).join(''), `run ${i}, step ${step}`);
			}
			const journal = await client.follow(id);
			assert.equal(journal.finished.status, 'succeeded');
		}
		assert.equal(readdirSync(join(agent.stateDir, 'runs')).filter((n) => /^[0-9a-f-]{36}$/.test(n)).length, ROUNDS);
		client.destroy();
		t.diagnostic(`${never} never started`);
		assert.ok(never <= 1 + ROUNDS / 10);
		await until('every end in the ledger', () => (readFileSync(join(agent.stateDir, 'ledger'), 'latin1').match(/"event":"run.finished"/g) ?? []).length >= ROUNDS);
		await agent.stop();
		verify(agent);
	});
});
