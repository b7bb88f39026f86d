// The example flow demo.parallel, as ./dev run starts with it: a diamond with a retry, an approval, a
// finally.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Agent, until } from '../lib/agent.mjs';
import { exampleCatalogue } from '../lib/stack.mjs';

describe('the examples', { timeout: 600000 }, () => {
	it('run steps in parallel, try again, wait for a person, clean up', async (t) => {
		const dir = mkdtempSync(join(tmpdir(), 'ops-examples-'));
		chmodSync(dir, 0o755);
		t.after(() => rmSync(dir, { recursive: true, force: true }));
		const agent = await Agent.start(exampleCatalogue(dir));
		t.after(() => agent.destroy());
		const client = await agent.connect();
		const { run } = await client.start('demo.parallel', { seconds: 0 }, { kind: 2 });
		await until('the gate', async () => (await client.get(run.id)).status === 'waiting');
		await client.approve(run.id, 'gate', true);
		const journal = await client.follow(run.id);
		client.destroy();
		assert.equal(journal.finished.status, 'succeeded');
		const ends = journal.events.filter((e) => e.event === 'step.finished').map((e) => `${e.step_id} ${e.attempt} ${e.status}`);
		assert.deepEqual(ends.sort(), ['apology 0 skipped', 'finally.1 1 succeeded', 'gate 1 succeeded', 'join 1 succeeded', 'left 1 failed',
			'left 2 succeeded', 'prepare 1 succeeded', 'release 1 succeeded', 'right 1 succeeded'].sort());
	});
});
