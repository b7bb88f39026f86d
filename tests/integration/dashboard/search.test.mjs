// A log searched: what is found, from agent and database alike, and what a search costs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';
import { until } from '../lib/agent.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';
import { Postgres } from '../lib/postgres.mjs';

describe('search of a log', () => {
	let pg, agent, dashboard, session, small, big;
	const BIG_LINES = 400000;

	const search = async (run, query) => {
		const answer = await session.get(`/api/v1/runs/${run.id}/log/search?${new URLSearchParams(query)}`);
		if (answer.status !== 200) return answer;
		const lines = answer.text.trimEnd().split('\n').map((line) => JSON.parse(line));
		return { ...answer, matches: lines.slice(0, -1), summary: lines.at(-1) };
	};

	before(async () => {
		pg = await Postgres.start();
		agent = await FakeAgent.start();
		small = agent.add(new FakeRun({ steps: [] }));
		small.output('one\ntwo \x1b[1mWarning\x1b[0m: disk\nthree\n');
		small.output('ERROR: no space left\n', { kind: 2 });
		small.output('four\nerror twice error\nfive\n');
		small.finish();
		big = agent.add(new FakeRun({ steps: [] }));
		for (let i = 0, text = ''; i < BIG_LINES; i++) {
			text += `${String(i).padStart(7, '0')} ${'abcdefghij'.repeat(6)}\n`;
			if (text.length > 60000 || i === BIG_LINES - 1) {
				big.output(text);
				text = '';
			}
		}
		big.finish();
		dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected({ database: true });
		session = await dashboard.login();
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
		await pg.destroy();
	});

	it('finds lines with their place, their ranges and what is around them', async () => {
		const { matches, summary, headers } = await search(small, { q: 'error', before: 1, after: 1 });
		assert.equal(headers['content-type'], 'application/x-ndjson');
		assert.deepEqual(matches.map(({ line, step, stream, text, ranges, before, after }) => ({ line, step, stream, text, ranges, before, after })), [
			{ line: 4, step: 0, stream: 'stderr', text: 'ERROR: no space left', ranges: [[0, 5]], before: ['three'], after: ['four'] },
			{ line: 6, step: 0, stream: 'stdout', text: 'error twice error', ranges: [[0, 5], [12, 17]], before: ['four'], after: ['five'] },
		]);
		assert.deepEqual(summary, { total: 2, truncated: false, given_up: 0 });
		for (const { offset, text } of matches) {
			const page = await session.get(`/api/v1/runs/${small.id}/log?format=text&offset=${offset}&limit=1`);
			assert.ok(page.text.includes(text), 'the offset is that of a record');
		}
	});

	it('case, expressions, presets, limits', async () => {
		assert.equal((await search(small, { q: 'ERROR', case: 1 })).summary.total, 1);
		assert.equal((await search(small, { q: 'o.*r', regex: 1 })).matches.length, 4);
		assert.equal((await search(small, { q: 'o.*r' })).summary.total, 0);
		assert.equal((await search(small, { preset: 'errors' })).summary.total, 2);
		assert.equal((await search(small, { q: 'two Warning: disk' })).summary.total, 1);
		assert.deepEqual((await search(small, { q: 'e', limit: 1 })).summary, { total: 5, truncated: true, given_up: 0 });
		assert.equal((await search(small, { q: 'e', stream: 'stderr' })).summary.total, 1);
	});

	it('says what is wrong with a question', async () => {
		for (const [query, code] of [[{}, 'bad_parameter'], [{ q: 'a', preset: 'errors' }, 'bad_parameter'], [{ preset: 'all' }, 'bad_parameter'],
			[{ q: '(', regex: 1 }, 'bad_pattern'], [{ q: '' }, 'bad_pattern'], [{ q: 'x'.repeat(2000) }, 'bad_pattern'], [{ q: 'a', before: 21 }, 'bad_parameter'], [{ q: 'a', stream: 'both' }, 'bad_parameter']]) {
			const answer = await search(small, query);
			assert.equal(answer.status, 400, JSON.stringify(query));
			assert.equal(answer.json.code, code, JSON.stringify(query));
		}
		assert.match((await search(small, { q: '(a', regex: 1 })).json.detail, /parenthesis/);
		assert.equal((await search({ id: '0193aaaa-bbbb-7ccc-8ddd-eeeeffff0000' }, { q: 'a' })).status, 404);
		assert.equal((await session.request('HEAD', `/api/v1/runs/${small.id}/log/search?q=a`)).status, 200);
		const stranger = await dashboard.session().get(`/api/v1/runs/${small.id}/log/search?q=a`);
		assert.equal(stranger.status, 401);
	});

	it('the database gives the same answers', async () => {
		const questions = [[small, { q: 'error' }], [big, { q: '0123456 ', before: 3, after: 3 }], [big, { q: '99999 ', limit: 3 }]];
		const answers = await Promise.all(questions.map(([run, query]) => search(run, query)));
		assert.equal(answers[2].summary.total, BIG_LINES / 100000);
		await until('all of it to be archived', () => agent.releases.length >= 2);
		agent.runs.clear();
		for (const [i, [run, query]] of questions.entries())
			assert.deepEqual((await search(run, query)).text, answers[i].text);
		agent.add(small);
		agent.add(big);
	});

	it('everything matches and nobody reads: memory stays, others are served, leaving frees it', async () => {
		const rss = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${dashboard.pid}/status`, 'utf8'))[1]);
		const before = rss();
		const open = () => new Promise((resolve, reject) => {
			const req = http.get({ port: dashboard.port, host: '127.0.0.1', agent: false, headers: { cookie: session.cookie }, path: `/api/v1/runs/${big.id}/log/search?q=a&limit=100000&before=5&after=5` }, resolve);
			req.on('error', reject);
		});
		const slow = [];
		for (let i = 0; i < 4; i++) {
			const answer = await open();
			answer.on('error', () => {});
			assert.equal(answer.statusCode, 200);
			answer.pause();
			slow.push(answer);
		}
		assert.equal((await search(small, { q: 'error' })).status, 429);
		assert.equal((await session.get('/api/v1/runs')).status, 200);
		const plain = !readFileSync(`/proc/${dashboard.pid}/maps`, 'utf8').includes('libasan');
		if (plain) assert.ok(rss() - before < 40 << 10, `${rss() - before} KiB more`);
		// the one that reads gets all of it
		const reader = slow.pop();
		let text = '';
		for await (const part of reader) text = (text + part).slice(-200);
		assert.deepEqual(JSON.parse(text.trimEnd().split('\n').at(-1)), { total: BIG_LINES, truncated: true, given_up: 0 });
		for (const answer of slow) answer.destroy();
		await until('their places to be free', async () => (await search(small, { q: 'error' })).status === 200);
	});

	it('an expression that runs away is given up, and the loop goes on meanwhile', async () => {
		const evil = agent.add(new FakeRun({ steps: [] }));
		for (let i = 0; i < 200; i++) evil.output(`${'a'.repeat(300)}!\n`);
		evil.finish();
		const asked = search(evil, { q: '^(a+)+$', regex: 1 });
		for (let i = 0; i < 5; i++) assert.equal((await session.get('/healthz')).status, 200);
		assert.deepEqual((await asked).summary, { total: 0, truncated: true, given_up: 200 });
	});
});
