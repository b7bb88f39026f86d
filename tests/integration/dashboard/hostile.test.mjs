// What a stranger may put into a request of the real daemon, everywhere: it is refused or taken as data, never shown
// back as something else, never kept by anybody, and the log stays one line an event.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { until } from '../lib/agent.mjs';
import { Dashboard } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { freePort } from '../lib/ports.mjs';

let pg, proxy, agent, dashboard, session, run;

before(async () => {
	pg = await Postgres.start();
	agent = await FakeAgent.start();
	run = agent.add(new FakeRun().output('a line\n').finish());
	dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected({ database: true });
	session = await dashboard.login();
});

after(async () => {
	await dashboard?.destroy();
	await proxy?.close();
	await agent?.destroy();
	await pg?.destroy();
});

// Rows of the table as the source has them, with something in the place of each {name}.
function routes(method) {
	const source = readFileSync(new URL('../../../core/app/routes.c', import.meta.url), 'utf8').split('app_routes[] = {')[1].split('};')[0];
	const rows = [...source.matchAll(/\{"([A-Z]+)", (API )?"([^"]+)", ROLE_([A-Z]+), (\w+), (\w+), (\w+),/g)];
	assert.ok(rows.length >= 30, 'the route table was read');
	return rows.filter((row) => row[1] === method).map(([, , api, path, role, flags, , accepts]) => ({
		path: ((api ? '/api/v1' : '') + path).replace('{id}', run.id).replace(/\{\w+\}/g, 'x'), role, flags, accepts,
	}));
}

// Raw bytes on a connection of their own, and all that comes back until the daemon, or a half closed one both, end it.
function raw(bytes, { halfClose = false } = {}) {
	return new Promise((resolve, reject) => {
		const socket = net.connect(dashboard.port, '127.0.0.1', () => (halfClose ? socket.end(bytes) : socket.write(bytes)));
		const parts = [];
		socket.setTimeout(30000, () => reject(new Error('nothing came')));
		socket.on('data', (part) => parts.push(part));
		socket.on('error', reject);
		socket.on('close', () => resolve(Buffer.concat(parts).toString('latin1')));
	});
}

describe('every address', () => {
	it('answers HEAD as it answers GET, without the body', async () => {
		for (const { path, flags } of routes('GET')) {
			const [get, head] = [await session.get(path), await session.request('HEAD', path)];
			assert.equal(head.status, get.status, path);
			assert.equal(head.bytes.length, 0, path);
			const same = ['content-type', 'cache-control', 'content-security-policy', 'vary', 'transfer-encoding'];
			for (const name of same) assert.equal(head.headers[name], get.headers[name], `${path}: ${name}`);
			// An answer may name its request or the time, so a length is there or not, but may differ.
			assert.equal('content-length' in head.headers, 'content-length' in get.headers, path);
			// Raw: a client library would throw a body away unseen.
			if (flags === 'ROUTE_WEBSOCKET') continue;
			const bytes = await raw(`HEAD ${path} HTTP/1.1\r\nHost: 127.0.0.1:${dashboard.port}\r\nCookie: ${session.cookie}\r\nConnection: close\r\n\r\n`);
			assert.ok(bytes.endsWith('\r\n\r\n') && bytes.split('\r\n\r\n').length === 2, `${path}: ${bytes}`);
		}
	});

	it('of the API is kept by nobody, signed in or not, found or not', async () => {
		for (const caller of [session, dashboard.session()]) {
			for (const path of [...routes('GET').map((r) => r.path), '/api/v1/nothing', '/api', '/api/v1/runs/%zz']) {
				// The description of the API is the same for everybody.
				if (path.endsWith('openapi.json')) continue;
				const { status, headers } = await caller.get(path);
				// What never changes may stay with the one who was allowed to see it; an ETag has it asked for again.
				assert.match(headers['cache-control'] ?? '', status === 200 || status === 206 ? /no-store|private|no-cache/ : /no-store/, `${path}: ${status}`);
				assert.doesNotMatch(headers['cache-control'], /public/, path);
			}
		}
	});

	it('has no frame around it and names no server', async () => {
		for (const path of ['/', '/runs/1', '/nothing.txt', '/api/v1/session', '/api/v1/nothing', '/healthz']) {
			const { headers } = await session.get(path);
			assert.match(headers['content-security-policy'], /frame-ancestors 'none'/, path);
			for (const name of ['server', 'x-powered-by', 'via']) assert.equal(headers[name], undefined, path);
		}
	});
});

describe('bodies', () => {
	const deep = (open, close, n) => open.repeat(n) + close.repeat(n);
	const BODIES = {
		'fifteen hundred deep': [deep('[', ']', 1500), 400],
		'objects in objects': [deep('{"a":', '}', 600), 400],
		'a name twice': ['{"user":"admin","user":"admin"}', 400],
		'no number': ['{"a":NaN}', 400],
		'infinite': ['{"a":1e999}', 400],
		'an integer that no machine has': [`{"a":${'9'.repeat(400)}}`, 400],
		'half a surrogate pair': ['{"a":"\\ud800"}', 400],
		'the other half': ['{"a":"\\udc00\\ud800"}', 400],
		'NUL in a string': ['{"a":"b\\u0000c"}', 400],
		'NUL in a name': ['{"a\\u0000":1}', 400],
		'broken UTF-8': [Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]), 400],
		'overlong UTF-8': [Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xc0, 0xaf, 0x22, 0x7d]), 400],
		'a byte order mark': [Buffer.from('\ufeff{}'), 400],
		'two documents': ['{}{}', 400],
		'a comment': ['{/**/}', 400],
		'single quotes': ["{'a':1}", 400],
		'a comma too many': ['{"a":1,}', 400],
		'a newline in a string': ['{"a":"b\nc"}', 400],
		'no object': ['[]', [400, 422]],
		'only a string': ['"x"', [400, 422]],
		'nothing but blanks': ['   ', 400],
		'ten megabytes': ['x'.repeat(10 << 20), 413],
	};

	it('that are no JSON, or more than JSON: refused by every route, before anything else happens', async () => {
		const posts = routes('POST').filter((r) => r.accepts === 'JSON' && !['HOOK'].includes(r.role) && !r.path.endsWith('/logout'));
		assert.ok(posts.length >= 10);
		for (const { path } of posts) {
			for (const [name, [body, wanted]] of Object.entries(BODIES)) {
				// A body that is refused by its length is not read to its end: the connection may go first.
				const answer = await session.request('POST', path, { headers: { 'content-type': 'application/json' }, body }).catch((error) => {
					assert.ok(wanted === 413 && /EPIPE|ECONNRESET/.test(error.code), `${path}, ${name}: ${error}`);
				});
				if (answer) assert.ok([wanted].flat().includes(answer.status), `${path}, ${name}: ${answer.status} ${answer.text}`);
			}
		}
		assert.equal((await session.get('/api/v1/session')).status, 200);
	});

	it('that are packed, or something else than they should be, are not unpacked', async () => {
		const bomb = gzipSync(Buffer.alloc(8 << 20));
		for (const { path } of routes('POST').filter((r) => r.accepts === 'JSON' && r.role !== 'HOOK')) {
			const json = { 'content-type': 'application/json' };
			for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, gzip', 'x-gzip'])
				assert.equal((await session.request('POST', path, { headers: { ...json, 'content-encoding': encoding }, body: bomb.subarray(0, 3000) })).status, 415, `${path} ${encoding}`);
			for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonx', 'text/json'])
				assert.equal((await session.request('POST', path, { headers: { 'content-type': type }, body: '{}' })).status, 415, `${path} ${type}`);
		}
	});

	it('of a WebSocket neither: compression that is offered is not taken', async () => {
		const live = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Protocol: ops.v1',
			'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame', `Origin: ${dashboard.url}`, `Host: 127.0.0.1:${dashboard.port}`, `Cookie: ${session.cookie}`];
		const answer = await raw(`GET /api/v1/live HTTP/1.1\r\n${live.join('\r\n')}\r\n\r\n`, { halfClose: true });
		assert.match(answer, /^HTTP\/1\.1 101 /);
		assert.doesNotMatch(answer, /sec-websocket-extensions/i);
	});
});

describe('names of other hosts and addresses', () => {
	it('in X-Forwarded-Host and its like change nothing, and are not given back', async () => {
		const plain = await session.get('/api/v1/session');
		const names = ['X-Forwarded-Host', 'X-Forwarded-Server', 'X-Host', 'X-HTTP-Host-Override', 'Forwarded', 'X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Prefix', 'X-Forwarded-Proto', 'X-HTTP-Method-Override', 'X-Method-Override', 'True-Client-IP', 'X-Real-IP', 'Referer'];
		for (const name of names) {
			for (const value of ['evil.example', 'host=evil.example', '/api/v1/audit?evil.example', 'DELETE', 'https://evil.example/']) {
				const answer = await session.get('/api/v1/session', { [name]: value });
				assert.equal(answer.status, 200, `${name}: ${value}`);
				assert.equal(answer.json.user, plain.json.user);
				assert.ok(!`${answer.text}${JSON.stringify(answer.headers)}`.includes('evil.example'), name);
			}
		}
		for (const [from, to] of [['/', 'X-Original-URL'], ['/healthz', 'X-Rewrite-URL']])
			assert.equal((await dashboard.session().get('/api/v1/runs', { [to]: from })).status, 401, 'who may what goes by the address itself');
	});

	it('send nobody elsewhere', async () => {
		for (const path of ['//evil.example/', '/\\evil.example', '/?next=https://evil.example', '/api/v1/login?next=//evil.example', '/%2f%2fevil.example', '/.//evil.example', '/https://evil.example']) {
			const answer = await session.get(path, { accept: 'text/html' });
			assert.equal(answer.headers.location, undefined, path);
			assert.ok(answer.status < 300 || answer.status >= 400, `${path}: ${answer.status}`);
		}
	});
});

describe('the log', () => {
	it('stays one line an event, whatever is asked for', async () => {
		const dashboard = await (await Dashboard.start({ agent, env: { LOG_LEVEL: 'debug' } })).connected();
		const session = await dashboard.login();
		const forged = 'event=session.started user=mallory';
		for (const text of [`\n${forged}`, `\r\n${forged}`, `\x1b]0;${forged}\x07`, `\x1b[2J${forged}`, `\u2028${forged}`, `\u0085${forged}`, `"\n${forged}`, '\x7f', '\x9b31m']) {
			const escaped = encodeURIComponent(text);
			for (const path of [`/${escaped}`, `/api/v1/runs/${escaped}`, `/api/v1/runs?actor=${escaped}`]) await session.get(path);
			for (const key of ['User-Agent', 'Referer', 'X-Request-Id', 'X-Forwarded-For']) await session.get('/api/v1/session', { [key]: Buffer.from(text.replace(/[^\x20-\x7e\x80-\xff]/g, ' '), 'latin1').toString('latin1') });
			await session.post('/api/v1/login', { user: text, password: 'a wrong password' });
			await session.post('/api/v1/runs', { kind: 'command', id: text, inputs: { [text]: text } });
		}
		const last = await session.get('/api/v1/the-last-one');
		await until('the last line', () => dashboard.log().includes(last.headers['x-request-id']));
		await dashboard.stop();
		const log = readFileSync(dashboard.logPath);
		const lines = log.toString('utf8').trimEnd().split('\n');
		// Every line begins as the first one does, and nothing in it is a control character of any kind.
		for (const line of lines) {
			assert.doesNotMatch(line, /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]/, line);
			assert.match(line, /^\S+ (debug|info|warn|error) +[a-z_.]+( |$)/, line);
			assert.doesNotMatch(line, /^\S+ \w+ +session\.started .*user=mallory/, line);
		}
		await dashboard.destroy();
	});
});

describe('a database far away', () => {
	it('makes who asks it wait, and nobody else', async () => {
		const near = await Postgres.start({ tcpPort: await freePort() });
		let far;
		try {
			proxy = await Proxy.start(near.tcpPort);
			far = await (await Dashboard.start({ agent, databaseUrl: `postgresql://ops@127.0.0.1:${proxy.port}/ops` })).connected({ database: true });
			proxy.delayMs = 1000;
			const session = await far.login();
			const live = await session.live();
			const growing = agent.add(new FakeRun());
			const sub = live.subscribe(`run/${growing.id}/log`, { offset: 0 });
			await sub.snapshot();
			let answered = false;
			const asked = session.get('/api/v1/audit?limit=1').then((answer) => {
				answered = true;
				return answer;
			});
			// All of this while that one question is on its way to the database and back.
			for (let i = 0; i < 20; i++) assert.equal((await session.get('/api/v1/session')).status, 200);
			agent.changed(growing.output('one line\n').finish());
			await sub.ended();
			assert.equal(sub.bytes, growing.size);
			assert.equal(answered, false, 'the database had answered before');
			assert.equal((await asked).status, 200);
			live.destroy();
		} finally {
			await far?.destroy();
			await near.destroy();
		}
	});
});
