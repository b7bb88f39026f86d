// Runs over HTTP with a real agent: catalogue, starting, looking, cancelling, logs. Without PostgreSQL:
// everything live works without it (what the database adds is in history.test.mjs).
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Agent, until } from '../lib/agent.mjs';
import { Journal } from '../lib/agent-client.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';
import { Dashboard, PASSWORD, request } from '../lib/dashboard.mjs';

const bin = makeScripts();
const commands = `${commandsYml(bin)}
  asks:
    title: Asks first
    exec: [${bin}/speak, "0"]
    confirm: true
  dangerous:
    title: Dangerous
    exec: [${bin}/speak, "0"]
    danger: high
  typed:
    title: Typed
    exec: [/bin/echo, "\${inputs.n}", "\${inputs.b}", "\${inputs.s}"]
    inputs:
      n: { type: int, min: 1, max: 9, required: true }
      b: { type: bool, default: false }
      s: { type: slug, default: abc }
`;
const flows = {
	two: `version: 1
id: two
title: Two steps
steps:
  - { id: one, uses: speak, with: { code: 0 } }
  - { id: other, uses: speak, with: { code: 3 } }
`,
	gated: `version: 1
id: gated
title: Gated
steps:
  - { id: gate, approve: { prompt: Sure? } }
  - { id: after, uses: dangerous }
`,
};

describe('runs', () => {
	let agent, dashboard, session;

	before(async () => {
		agent = await Agent.start({ commands, flows });
		dashboard = await (await Dashboard.start({ agent })).connected();
		session = await dashboard.login();
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
	});

	it('shows the catalogue', async () => {
		const { status, json } = await until('the catalogue', async () => {
			const answer = await session.get('/api/v1/catalog');
			return answer.status === 200 && answer;
		});
		assert.equal(status, 200);
		assert.deepEqual(json.commands.map((c) => c.id).sort(), ['asks', 'dangerous', 'flood', 'speak', 'stay', 'ticks', 'typed']);
		assert.deepEqual(json.flows.map((f) => f.id), ['gated', 'two']);
	});

	it('starts a command, and shows it finished, by id and by number', async () => {
		const run = await session.run('speak', { code: 3 });
		assert.match(run.id, /^[0-9a-f-]{36}$/);
		assert.equal(run.actor, 'user:admin');
		assert.equal(run.trigger, 'manual');
		const done = await session.finished(run.id);
		assert.equal(done.status, 'failed');
		assert.equal(done.exit_code, 3);
		const byNumber = await session.get(`/api/v1/runs/${run.number}`);
		assert.equal(byNumber.json.run.id, run.id);
	});

	it('starts a flow', async () => {
		const answer = await session.post('/api/v1/runs', { kind: 'flow', id: 'two' });
		assert.equal(answer.status, 201);
		const done = await session.finished(answer.json.run.id);
		assert.deepEqual(done.steps.map((s) => [s.id, s.status]), [['one', 'succeeded'], ['other', 'failed']]);
	});

	it('passes inputs on as what they are, and names each bad one', async () => {
		const run = await session.run('typed', { n: 5, b: true, s: 'x-1' });
		await session.finished(run.id);
		assert.equal((await session.get(`/api/v1/runs/${run.id}/log?format=raw`)).text, '5 true x-1\n');
		const bad = await session.post('/api/v1/runs', { kind: 'command', id: 'typed', inputs: { n: 50, s: 'not a slug', nope: 'x' } });
		assert.equal(bad.status, 422);
		assert.equal(bad.json.code, 'invalid_input');
		assert.deepEqual(bad.json.errors.map((e) => e.name).sort(), ['n', 'nope', 's']);
		for (const inputs of [{ n: 1.5 }, { n: null }, { n: [1] }, { n: { a: 1 } }]) {
			const answer = await session.post('/api/v1/runs', { kind: 'command', id: 'typed', inputs });
			assert.equal(answer.status, 422, JSON.stringify(inputs));
			assert.equal(answer.json.errors[0].name, 'n');
		}
	});

	it('refuses requests that make no sense', async () => {
		for (const [body, status, code] of [
			[{ kind: 'command', id: 'nope' }, 404, 'not_found'],
			[{ kind: 'flow', id: 'speak' }, 404, 'not_found'],
			[{ kind: 'shell', id: 'speak' }, 422, 'invalid_input'],
			[{ id: 'speak' }, 422, 'invalid_input'],
			[{ kind: 'command', id: 'speak', inputs: [] }, 422, 'invalid_input'],
			[{ kind: 'command', id: 'speak', dry_run: 'yes' }, 422, 'invalid_input'],
			[{ kind: 'command', id: 'speak', argv: ['rm'] }, 422, 'unknown_member'],
			['nonsense', 400, 'bad_json'],
		]) {
			const answer = await session.post('/api/v1/runs', body);
			assert.equal(answer.status, status, JSON.stringify(body));
			assert.equal(answer.json.code, code);
		}
		for (const id of ['0193aaaa-bbbb-7ccc-8ddd-eeeeffff0000', '999999', 'x', '..%2f..', 'A193AAAA-BBBB-7CCC-8DDD-EEEEFFFF0000'])
			for (const path of ['', '/log', '/log/locate?line=0']) {
				const { status } = await session.get(`/api/v1/runs/${id}${path}`);
				// with the database down nobody knows about a run that the agent does not have
				assert.ok([400, 404, 503].includes(status), `${id}${path}: ${status}`);
			}
	});

	it('dry-runs', async () => {
		const answer = await session.post('/api/v1/runs', { kind: 'command', id: 'dangerous', dry_run: true });
		assert.equal(answer.status, 200);
		assert.equal(answer.json.plan[0].argv.at(-1), '0');
	});

	it('asks for a confirmation where the catalogue does', async () => {
		const start = (confirm) => session.post('/api/v1/runs', { kind: 'command', id: 'asks', ...(confirm && { confirm }) });
		assert.equal((await start()).json.code, 'confirm_required');
		assert.equal((await start('yes')).json.code, 'confirm_required');
		assert.equal((await start('asks')).status, 201);
	});

	it('asks for the password again before what is dangerous', async () => {
		const now = Math.floor(Date.now() / 1000);
		const earlier = dashboard.session({ ops_session: dashboard.forgeCookie({ created: now - 1000 }) });
		const start = () => earlier.post('/api/v1/runs', { kind: 'command', id: 'dangerous' });
		const refused = await start();
		assert.equal(refused.status, 403);
		assert.equal(refused.json.code, 'reauth_required');
		assert.equal((await earlier.post('/api/v1/session/reauth', { password: PASSWORD })).status, 200);
		assert.equal((await start()).status, 201);
		assert.equal((await session.post('/api/v1/runs', { kind: 'command', id: 'dangerous' })).status, 201, 'a sign-in just now counts');
	});

	it('honours Idempotency-Key', async () => {
		const key = { 'idempotency-key': 'k-1' };
		const body = { kind: 'command', id: 'speak', inputs: { code: 0 } };
		const first = await session.post('/api/v1/runs', body, key);
		const again = await session.post('/api/v1/runs', body, key);
		assert.equal(first.status, 201);
		assert.equal(again.status, 200);
		assert.equal(again.json.run.id, first.json.run.id);
		const other = await session.post('/api/v1/runs', { ...body, inputs: { code: 1 } }, key);
		assert.equal(other.status, 409);
		assert.equal((await session.post('/api/v1/runs', body, { 'idempotency-key': 'a b' })).status, 400);
	});

	it('lists runs, newest first, page by page, filtered', async () => {
		const ids = [];
		for (let i = 0; i < 5; i++) ids.unshift((await session.run('speak', { code: 0 })).id);
		await session.finished(ids[0]);
		const { json } = await session.get('/api/v1/runs?limit=3');
		assert.deepEqual(json.runs.map((r) => r.id), ids.slice(0, 3));
		assert.equal(json.agent, 'connected');
		assert.equal(json.history, 'unavailable');
		assert.equal(json.runs[0].steps, undefined);
		const next = await session.get(`/api/v1/runs?limit=2&before=${json.next}`);
		assert.deepEqual(next.json.runs.map((r) => r.id), ids.slice(3, 5));
		const failed = await session.get('/api/v1/runs?status=failed,lost');
		assert.ok(failed.json.runs.length >= 2);
		assert.ok(failed.json.runs.every((r) => r.status === 'failed'));
		const named = await session.get('/api/v1/runs?name=two');
		assert.deepEqual(new Set(named.json.runs.map((r) => r.name)), new Set(['two']));
		const found = await session.get('/api/v1/runs?q=TWO%20ST');
		assert.ok(found.json.runs.some((r) => r.name === 'two'));
		for (const query of ['limit=x', 'limit=500', 'before=5', 'status=odd', `q=${'x'.repeat(200)}`])
			assert.equal((await session.get(`/api/v1/runs?${query}`)).status, 400, query);
	});

	it('cancels, once', async () => {
		const run = await session.run('stay');
		await until('it to run', async () => (await session.get(`/api/v1/runs/${run.id}`)).json.run.status === 'running');
		assert.equal((await session.post(`/api/v1/runs/${run.id}/cancel`, { reason: 'enough' })).status, 202);
		const done = await session.finished(run.id);
		assert.equal(done.status, 'cancelled');
		const again = await session.post(`/api/v1/runs/${run.id}/cancel`);
		assert.equal(again.status, 409);
		assert.equal(again.json.code, 'finished');
	});

	it('answers an approval, once, and asks for the password again where it is dangerous', async () => {
		const { json } = await session.post('/api/v1/runs', { kind: 'flow', id: 'gated' });
		const url = `/api/v1/runs/${json.run.id}/approve`;
		await until('it to wait', async () => (await session.get(`/api/v1/runs/${json.run.id}`)).json.run.status === 'waiting');
		for (const body of [{}, { step: 'gate' }, { step: 1, approve: true }, { step: 'gate', approve: 'yes' }, { step: 'gate', approve: true, comment: 'x'.repeat(201) }, { step: 'gate', approve: true, more: 1 }])
			assert.equal((await session.post(url, body)).status, 422, JSON.stringify(body));
		const earlier = dashboard.session({ ops_session: dashboard.forgeCookie({ created: Math.floor(Date.now() / 1000) - 1000 }) });
		const refused = await earlier.post(url, { step: 'gate', approve: true });
		assert.deepEqual([refused.status, refused.json.code], [403, 'reauth_required']);
		assert.equal((await session.post(url, { step: 'nogate', approve: true })).status, 404);
		const yes = await session.post(url, { step: 'gate', approve: true, comment: 'fine' });
		assert.equal(yes.status, 200, yes.text);
		assert.equal(yes.json.run.id, json.run.id);
		assert.equal((await session.finished(json.run.id)).status, 'succeeded');
		const again = await session.post(url, { step: 'gate', approve: false });
		assert.equal(again.status, 409);
		assert.match(again.json.detail, /approved already by user:admin: fine/);
	});

	it('reruns with the same inputs, or others', async () => {
		const run = await session.run('speak', { code: 4 });
		await session.finished(run.id);
		const same = await session.post(`/api/v1/runs/${run.id}/rerun`);
		assert.equal(same.status, 201, same.text);
		assert.equal(same.json.run.trigger, `rerun:${run.id}`);
		assert.equal((await session.finished(same.json.run.id)).exit_code, 4);
		const other = await session.post(`/api/v1/runs/${run.id}/rerun`, { inputs: { code: 5 } });
		assert.equal((await session.finished(other.json.run.id)).exit_code, 5);
	});
});

describe('logs over HTTP', () => {
	let agent, dashboard, session, run, records;

	before(async () => {
		agent = await Agent.start({ commands });
		dashboard = await (await Dashboard.start({ agent })).connected();
		session = await dashboard.login();
		run = await session.run('flood', { lines: 50000 });
		await session.finished(run.id);
		records = (await session.get(`/api/v1/runs/${run.id}/log?format=records`)).bytes;
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
	});

	const log = (query, headers) => session.get(`/api/v1/runs/${run.id}/log?${query}`, headers);

	it('serves the journal as it is', async () => {
		const answer = await log('format=records');
		assert.equal(answer.headers['content-type'], 'application/vnd.ops.records');
		assert.equal(Number(answer.headers['content-length']), answer.bytes.length);
		assert.match(answer.headers['cache-control'], /immutable/);
		const journal = new Journal().push(answer.bytes);
		assert.ok(journal.finished, 'it ends with run.finished and its digest is right');
		assert.equal(journal.bytes, 5000000);
	});

	it('serves raw, text and ndjson, and downloads', async () => {
		const raw = await log('format=raw&download=1');
		assert.equal(raw.bytes.length, 5000000);
		assert.equal(raw.headers['content-type'], 'application/octet-stream');
		assert.equal(raw.headers['x-content-type-options'], 'nosniff');
		assert.match(raw.headers['content-security-policy'], /sandbox/);
		assert.match(raw.headers['content-disposition'], /^attachment; filename="run-[0-9a-f-]+\.log"$/);
		const text = await log('format=text');
		assert.ok(text.bytes.equals(raw.bytes));
		assert.match(text.headers['content-type'], /^text\/plain/);
		assert.match((await log('')).headers['content-type'], /^text\/plain/);
		const timed = (await log('format=text&times=1&limit=70000')).text.split('\n')[0];
		assert.match(timed, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z 0{98}7$/);
		const lines = (await log('format=ndjson')).text.trim().split('\n').map((line) => JSON.parse(line));
		assert.equal(lines[0].event.event, 'run.created');
		assert.equal(lines.at(-1).event.event, 'run.finished');
		assert.equal(lines.filter((l) => l.stream === 'stdout').map((l) => l.text).join('').length, 5000000);
	});

	it('pages by offset and limit', async () => {
		const parts = [];
		let offset = 0, pages = 0;
		while (offset < records.length) {
			const answer = await log(`format=records&offset=${offset}&limit=300000`);
			assert.ok(answer.bytes.length <= 300000);
			parts.push(answer.bytes);
			assert.equal(Number(answer.headers['x-next-offset']), offset + answer.bytes.length);
			offset = Number(answer.headers['x-next-offset']);
			pages++;
		}
		assert.ok(pages > 10);
		assert.ok(Buffer.concat(parts).equals(records));
		const one = await log('format=records&limit=1');
		assert.equal(one.bytes.length, one.bytes.readUInt32LE(0) + 24, 'at least one record');
	});

	it('compresses when asked to, in every format', async () => {
		for (const query of ['format=records', 'format=raw', 'format=text', 'format=ndjson', 'format=text&limit=100000']) {
			const plain = await log(query);
			const packed = await log(query, { 'accept-encoding': 'gzip, br' });
			assert.equal(plain.headers['content-encoding'], undefined);
			assert.equal(packed.headers['content-encoding'], 'gzip', query);
			assert.equal(packed.headers.vary, 'Accept-Encoding');
			assert.equal(packed.headers['x-next-offset'], plain.headers['x-next-offset']);
			assert.ok(gunzipSync(packed.bytes).equals(plain.bytes), query);
			assert.ok(packed.bytes.length < plain.bytes.length / 3, query);
		}
		assert.equal((await log('format=records', { 'accept-encoding': 'gzip', range: 'bytes=0-9' })).headers['content-encoding'], undefined);
	});

	it('a finished log has an entity tag: conditional requests and ranges', async () => {
		const { etag } = (await log('format=records')).headers;
		assert.equal(etag, `"${run.id}"`);
		const same = await log('format=records', { 'if-none-match': `"other", ${etag}` });
		assert.equal(same.status, 304);
		assert.equal(same.bytes.length, 0);
		assert.equal(same.headers.etag, etag);
		assert.equal((await log('format=records', { 'if-none-match': '"other"' })).status, 200);
		assert.equal((await log('format=records', { 'if-none-match': etag, 'accept-encoding': 'gzip' })).status, 200, 'another representation');
		const part = await log('format=records', { range: 'bytes=10-19', 'if-range': etag });
		assert.equal(part.status, 206);
		assert.ok(part.bytes.equals(records.subarray(10, 20)));
		assert.equal((await log('format=records', { range: 'bytes=10-19', 'if-range': '"other"' })).status, 200);
		assert.equal((await log('format=text')).headers.etag, undefined);
	});

	it('serves ranges of the records', async () => {
		for (const [range, from, to] of [['bytes=0-99', 0, 100], ['bytes=1000-70000', 1000, 70001], ['bytes=4000000-', 4000000, records.length], [`bytes=${records.length - 5}-999999999`, records.length - 5, records.length]]) {
			const answer = await log('format=records', { range });
			assert.equal(answer.status, 206, range);
			assert.ok(answer.bytes.equals(records.subarray(from, to)), range);
			assert.equal(answer.headers['content-range'], `bytes ${from}-${to - 1}/${records.length}`);
		}
		const beyond = await log('format=records', { range: `bytes=${records.length + 10}-` });
		assert.equal(beyond.status, 416);
		assert.equal(beyond.headers['content-range'], `bytes */${records.length}`);
		assert.equal((await log('format=records', { range: 'lines=1-2' })).status, 200);
	});

	it('refuses what makes no sense', async () => {
		for (const query of ['format=html', 'stream=both', 'offset=x', 'offset=-1', 'step=70000', 'format=records&step=0', 'format=records&stream=stdout', 'offset=5'])
			assert.equal((await log(query)).status, 400, query);
	});

	it('filters by stream', async () => {
		const speak = await session.run('speak', { code: 0 });
		await session.finished(speak.id);
		const of = async (query) => (await session.get(`/api/v1/runs/${speak.id}/log?format=raw&${query}`)).text;
		assert.equal(await of('stream=stdout'), 'out\n');
		assert.equal(await of('stream=stderr'), 'err\n');
		assert.equal(await of('step=0&stream=stderr'), 'err\n');
		assert.equal(await of('step=1'), '');
	});

	it('finds lines and times', async () => {
		const at = await session.get(`/api/v1/runs/${run.id}/log/locate?line=25000`);
		assert.equal(at.status, 200);
		assert.ok(at.json.line <= 25000 && at.json.line > 24000);
		const page = await log(`format=text&offset=${at.json.offset}&limit=100`);
		assert.match(page.text, /7\n/);
		const byTime = await session.get(`/api/v1/runs/${run.id}/log/locate?time=${at.json.time}`);
		assert.equal(byTime.status, 200);
		assert.equal((await session.get(`/api/v1/runs/${run.id}/log/locate`)).status, 400);
		assert.equal((await session.get(`/api/v1/runs/${run.id}/log/locate?line=1&time=2`)).status, 400);
	});

	it('gives what is there of a run that goes on, and ends', async () => {
		const ticks = await session.run('ticks', { n: 100000 });
		const first = await until('some ticks', async () => {
			const answer = await session.get(`/api/v1/runs/${ticks.id}/log?format=raw`);
			return answer.text.includes('tick 3') && answer;
		});
		const next = Number(first.headers['x-next-offset']);
		const more = await until('more ticks', async () => {
			const answer = await session.get(`/api/v1/runs/${ticks.id}/log?format=raw&offset=${next}`);
			return answer.text.includes('tick') && answer;
		});
		assert.ok(!more.text.includes('tick 0\n'), 'it goes on where the first one ended');
		await session.post(`/api/v1/runs/${ticks.id}/cancel`);
		await session.finished(ticks.id);
	});

	it('answers HEAD', async () => {
		const answer = await session.request('HEAD', `/api/v1/runs/${run.id}/log?format=records`);
		assert.equal(answer.status, 200);
		assert.equal(Number(answer.headers['content-length']), records.length);
		assert.equal(answer.bytes.length, 0);
	});

	it('does not hold a log in memory for a client that does not read', async () => {
		const big = await session.run('flood', { lines: 2000000 }); // 200 MB
		await session.finished(big.id);
		const http = await import('node:http');
		const { readFileSync } = await import('node:fs');
		const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${dashboard.pid}/status`, 'utf8'))[1]);
		const before = rss();
		const res = await new Promise((resolve, reject) => {
			http.get({ host: '127.0.0.1', port: dashboard.port, path: `/api/v1/runs/${big.id}/log?format=records`, headers: { cookie: session.cookie }, agent: false }, resolve).on('error', reject);
		});
		res.pause();
		await new Promise((resolve) => setTimeout(resolve, 1000));
		assert.ok(rss() - before < 40000, `grew by ${rss() - before} kB`);
		assert.equal((await request(dashboard, 'GET', '/healthz')).status, 200);
		const journal = new Journal({ verify: false });
		for await (const part of res) journal.push(part);
		assert.ok(journal.finished);
		assert.equal(journal.bytes, 200000000);
	});
});

describe('without an agent', () => {
	it('says so, starts before it, and connects by itself', async () => {
		const agent = await Agent.start({ commands });
		await agent.stop();
		const dashboard = await Dashboard.start({ agent });
		const session = await dashboard.login();
		for (const path of ['/api/v1/catalog', '/api/v1/runs/1', '/api/v1/runs/1/log']) {
			const answer = await session.get(path);
			assert.equal(answer.status, 503, path);
		}
		const start = await session.post('/api/v1/runs', { kind: 'command', id: 'speak' });
		assert.equal(start.status, 503);
		assert.equal(start.json.code, 'agent_unavailable');
		const list = await session.get('/api/v1/runs');
		assert.deepEqual(list.json, { runs: [], next: null, agent: 'away', hosts: [{ host: '', agent: 'away' }], history: 'unavailable' });
		await agent.restart();
		await dashboard.connected();
		await until('the catalogue', async () => (await session.get('/api/v1/catalog')).status === 200);
		await session.finished((await session.run('speak')).id);
		await dashboard.destroy();
		await agent.destroy();
	});

	it('names a wrong secret', async () => {
		const agent = await Agent.start({ commands });
		const dashboard = await Dashboard.start({ agent: { socket: agent.socket, secret: 'this is not its secret' } });
		const session = await dashboard.login();
		const ready = await until('refusal', async () => {
			const { json } = await session.get('/readyz');
			return json.agent.state === 'refused' && json;
		});
		assert.match(ready.agent.reason, /secret/);
		assert.equal((await request(dashboard, 'GET', '/readyz')).json.agent.reason, '', 'not for strangers');
		await dashboard.destroy();
		await agent.destroy();
	});
});
