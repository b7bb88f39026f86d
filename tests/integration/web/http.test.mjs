// HTTP/1.1 of core/web as its peers see it: requests, answers, order, framing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, until } from './lib/raw.mjs';

let server;
before(async () => {
	server = await Server.start('http-echo');
});
after(async () => {
	await server.stop();
});

const post = (path, body, headers = '') =>
	`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`;

test('answers carry the security headers, a date and a request id', async () => {
	for (const path of ['/json', '/nothing.txt', '/', '/denied']) {
		const { headers } = await server.get(path);
		assert.equal(headers['x-content-type-options'], 'nosniff');
		assert.equal(headers['referrer-policy'], 'no-referrer');
		assert.equal(headers['x-frame-options'], 'DENY');
		assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
		assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
		assert.match(headers['strict-transport-security'], /max-age=\d+/);
		assert.match(headers['content-security-policy'], /default-src 'none'/);
		assert.match(headers['content-security-policy'], /frame-ancestors 'none'/);
		assert.match(headers.date, /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/);
		assert.match(headers['x-request-id'], /^[0-9a-f]{16}-[0-9a-f]+$/);
		assert.equal(headers.server, undefined);
	}
});

test('a refused head carries them too', async () => {
	const response = await server.request('GET / HTTP/1.1\nX : y\n');
	assert.equal(response.status, 400);
	assert.equal(response.headers['x-frame-options'], 'DENY');
	assert.equal(response.headers['cache-control'], 'no-store');
	assert.equal(response.headers.connection, 'close');
	const problem = JSON.parse(response.body);
	assert.equal(problem.status, 400);
	assert.equal(problem.title, 'Bad Request');
	assert.equal(problem.request_id, response.headers['x-request-id']);
});

test('errors are problem documents', async () => {
	const cases = [
		['GET /nothing.txt HTTP/1.1\nHost: a\n', 404, 'not_found'],
		['DELETE /json HTTP/1.1\nHost: a\n', 405, 'method_not_allowed'],
		['GET /denied HTTP/1.1\nHost: a\n', 403, 'denied'],
		['GET /json HTTP/1.1\nHost: evil.example\n', 421, 'misdirected'],
		['TRACE /json HTTP/1.1\nHost: a\n', 501, 'unknown_method'],
		['GET /json HTTP/2.0\nHost: a\n', 505, 'unsupported_version'],
		['GET /a%2fb HTTP/1.1\nHost: a\n', 400, 'malformed_target'],
		['GET /../json HTTP/1.1\nHost: a\n', 400, 'malformed_target'],
		['GET /json?x=%ff HTTP/1.1\nHost: a\n', 400, 'malformed_target'],
		['PUT /small HTTP/1.1\nHost: a\nContent-Length: 17\n', 413, 'body_too_large'],
		['POST /echo HTTP/1.1\nHost: a\nContent-Length: 10737418240\n', 413, 'body_too_large'],
		['POST /echo HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Encoding: gzip\n', 415, 'unsupported_encoding'],
		['POST /typed HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Type: text/plain\n', 415, 'unsupported_media_type'],
		['POST /typed HTTP/1.1\nHost: a\nContent-Length: 1\n', 415, 'unsupported_media_type'],
		['POST /echo HTTP/1.1\nHost: a\nExpect: magic\n', 417, 'unknown_expectation'],
	];
	for (const [head, status, code] of cases) {
		const response = await server.request(head);
		assert.equal(response.status, status, head);
		assert.equal(response.headers['content-type'], 'application/problem+json');
		assert.equal(JSON.parse(response.body).code, code, head);
	}
});

test('405 names the methods, and OPTIONS * too', async () => {
	const wrong = await server.request('POST /json HTTP/1.1\nHost: a\nContent-Length: 0\n');
	assert.equal(wrong.status, 405);
	assert.equal(wrong.headers.allow, 'GET, HEAD');
	const star = await server.request('OPTIONS * HTTP/1.1\nHost: a\n');
	assert.equal(star.status, 204);
	assert.match(star.headers.allow, /GET/);
});

test('HEAD is answered as GET without its body', async () => {
	const peer = await server.open();
	for (const path of ['/json', '/static', '/', '/show/a/b', '/stream?blocks=3&size=10', '/nothing.txt']) {
		peer.send(`HEAD ${path} HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n`);
		const head = await peer.response(true);
		peer.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
		const get = await peer.response();
		assert.equal(head.status, get.status, path);
		assert.equal(head.headers['content-type'], get.headers['content-type']);
		// the documents name the request, so their lengths may differ by a digit
		assert.equal('content-length' in head.headers, 'content-length' in get.headers);
		assert.equal(head.headers['transfer-encoding'], get.headers['transfer-encoding']);
	}
	peer.destroy();
});

test('handlers see the request decoded', async () => {
	const response = await server.request(
		'GET http://ops.example:80/show/a%20b/%C3%A9?q=1+2&q=%26&x HTTP/1.1\n' +
			'Host: ops.example:80\nX-Test: \t v w \nCookie: a=b; session="s1"\nCookie: c=d\n',
	);
	const seen = JSON.parse(Buffer.from(response.body, 'latin1').toString('utf8'));
	assert.deepEqual(seen, {
		method: 'GET',
		head: false,
		path: '/show/a b/é',
		a: 'a b',
		b: 'é',
		q: '1 2',
		q2: '&',
		host: 'ops.example:80',
		x: 'v w',
		remote: '127.0.0.1',
		cookie: 's1',
	});
	const doubled = await server.get('/show/a/b', { Cookie: 'session=1; session=2' });
	assert.equal(JSON.parse(doubled.body).cookie, 'DOUBLED');
});

test('bodies arrive whole, by length and in chunks', async () => {
	const peer = await server.open();
	peer.send(post('/echo', 'hello'));
	assert.equal((await peer.response()).body, 'hello');
	peer.send('POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n');
	assert.equal((await peer.response()).body, 'hello world');
	const large = 'x'.repeat(65536);
	peer.send(post('/echo', large));
	assert.equal((await peer.response()).body, large);
	peer.send(post('/later', 'after the hook'));
	assert.equal((await peer.response()).body, 'after the hook');
	peer.send('POST /echo HTTP/1.1\r\nHost: a\r\n\r\n');
	assert.equal((await peer.response()).body, '');
	peer.destroy();
});

test('a chunked body over the maximum is refused while it arrives', async () => {
	const peer = await server.open();
	peer.send('PUT /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n' + 'x'.repeat(17) + '\r\n');
	const response = await peer.response();
	assert.equal(response.status, 413);
	await peer.closed();
});

test('malformed chunks end the connection', async () => {
	for (const body of ['z\r\n', '5\nhello', '5\r\nhelloX\r\n', '0\r\nTrailer: x\r\n\r\n', '-1\r\n', '1'.repeat(9)]) {
		const peer = await server.open();
		peer.send('POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' + body);
		const response = await peer.response();
		assert.equal(response.status, 400, body);
		assert.equal(response.headers.connection, 'close');
		await peer.closed();
	}
});

test('Expect: 100-continue is answered once the body is welcome', async () => {
	const peer = await server.open();
	peer.send('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
	assert.equal((await peer.response()).status, 100);
	peer.send('abc');
	assert.equal((await peer.response()).body, 'abc');
	peer.send('POST /denied HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
	assert.equal((await peer.response()).status, 403);
	await peer.closed();
});

test('pipelined requests are answered in order, slow ones too', async () => {
	const peer = await server.open();
	let bytes = '';
	for (let i = 0; i < 50; i++) {
		bytes += `GET /show/${i}/x HTTP/1.1\r\nHost: a\r\n\r\n`;
		bytes += post('/later', `later ${i}`);
		bytes += post('/echo', `echo ${i}`);
	}
	peer.send(bytes);
	for (let i = 0; i < 50; i++) {
		assert.equal(JSON.parse((await peer.response()).body).a, String(i));
		assert.equal((await peer.response()).body, `later ${i}`);
		assert.equal((await peer.response()).body, `echo ${i}`);
	}
	peer.destroy();
});

test('the same bytes, one at a time, give the same answers', async () => {
	const peer = await server.open();
	await peer.sendSlowly(
		'GET /show/1/2 HTTP/1.1\r\nHost: a\r\n\r\n' +
			post('/echo', 'slow') +
			'POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n0\r\n\r\n' +
			'\r\nGET /json HTTP/1.1\r\nHost: a\r\n\r\n',
	);
	assert.equal(JSON.parse((await peer.response()).body).b, '2');
	assert.equal((await peer.response()).body, 'slow');
	assert.equal((await peer.response()).body, 'slow');
	assert.equal((await peer.response()).status, 200);
	peer.destroy();
});

test('an answer without its request body skips the body, or closes where it is large', async () => {
	const peer = await server.open();
	peer.send(post('/denied', 'x'.repeat(1000)) + 'GET /json HTTP/1.1\r\nHost: a\r\n\r\n');
	assert.equal((await peer.response()).status, 403);
	assert.equal((await peer.response()).status, 200);
	peer.send('POST /denied HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n' + 'x'.repeat(100000));
	const response = await peer.response();
	assert.equal(response.status, 403);
	assert.equal(response.headers.connection, 'close');
	await peer.closed();
});

test('keep-alive follows version and Connection', async () => {
	const old = await server.exchange('GET /json HTTP/1.0\r\n\r\n');
	assert.match(old, /^HTTP\/1\.1 200 OK\r\n/);
	assert.match(old, /\r\nConnection: close\r\n/);
	const closing = await server.exchange('GET /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /json HTTP/1.1\r\nHost: a\r\n\r\n');
	assert.equal(closing.match(/HTTP\/1\.1 200/g).length, 1);
	const peer = await server.open();
	peer.send('GET /json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
	assert.equal((await peer.response()).headers.connection, 'keep-alive');
	peer.send('GET /json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
	assert.equal((await peer.response()).status, 200);
	peer.destroy();
});

test('a peer that closes its sending side still gets every answer', async () => {
	const text = await server.exchange(post('/later', 'one') + post('/later', 'two') + 'GET /json HTTP/1.1\r\nHost: a\r\n\r\n');
	assert.equal(text.match(/HTTP\/1\.1 200/g).length, 3);
	assert.match(text, /one[\s\S]*two/);
});

test('streams are framed by chunks, by length, or by the end of an old connection', async () => {
	const peer = await server.open();
	peer.send('GET /stream?blocks=20&size=100000 HTTP/1.1\r\nHost: a\r\n\r\n');
	const chunked = await peer.response();
	assert.equal(chunked.headers['transfer-encoding'], 'chunked');
	assert.equal(chunked.body.length, 2000000);
	peer.send('GET /stream?blocks=20&size=100000&length=1 HTTP/1.1\r\nHost: a\r\n\r\n');
	const sized = await peer.response();
	assert.equal(sized.headers['content-length'], '2000000');
	assert.equal(sized.body, chunked.body);
	peer.send('GET /stream?blocks=20&size=100000 HTTP/1.0\r\n\r\n');
	const old = await peer.response();
	assert.equal(old.headers['transfer-encoding'], undefined);
	assert.equal(old.body, chunked.body);
});

test('a stream whose reader leaves is aborted, once', async () => {
	const before = JSON.parse((await server.get('/aborts')).body).aborts;
	const peer = await server.open();
	peer.send('GET /stream?blocks=1&size=10&hang=1 HTTP/1.1\r\nHost: a\r\n\r\n');
	await peer.when(() => peer.text().includes('\r\n\r\n'), 'the head');
	peer.destroy();
	const never = await server.open();
	// The answer to the first shows that the second one is being handled.
	never.send('GET /json HTTP/1.1\r\nHost: a\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n');
	await never.response();
	never.socket.resetAndDestroy();
	await until(async () => JSON.parse((await server.get('/aborts')).body).aborts === before + 2, 'aborts are told');
});

test('assets: encodings, entity tags, caching', async () => {
	const page = await server.get('/', { 'Accept-Encoding': 'gzip, br' });
	assert.equal(page.headers['content-encoding'], 'gzip');
	assert.equal(page.headers.etag, '"aa11-gz"');
	assert.equal(page.headers['cache-control'], 'no-cache');
	assert.equal(page.headers.vary, 'Accept-Encoding');
	assert.match(page.headers['content-security-policy'], /connect-src 'self' wss:\/\/ops\.example\.org;/);
	assert.match(page.headers['content-security-policy'], /require-trusted-types-for 'script'/);
	const script = await server.get('/assets/app-1a2b.js', { 'Accept-Encoding': 'gzip, br' });
	assert.equal(script.headers['content-encoding'], 'br');
	assert.match(script.headers['content-security-policy'], /connect-src 'self';/); // a worker's own policy
	assert.equal(script.headers['cache-control'], 'public, max-age=31536000, immutable');
	assert.equal(script.headers['content-type'], 'text/javascript; charset=utf-8');
	assert.equal(script.body, 'br');
	const plain = await server.get('/assets/app-1a2b.js', { 'Accept-Encoding': 'br;q=0' });
	assert.equal(plain.body, 'console.log(1);');
	assert.equal(plain.headers['content-encoding'], undefined);
	const same = await server.get('/assets/app-1a2b.js', { 'If-None-Match': '"bb22"' });
	assert.equal(same.status, 304);
	assert.equal(same.headers.etag, '"bb22"');
	assert.equal(same.headers['content-length'], undefined);
	const other = await server.get('/assets/app-1a2b.js', { 'If-None-Match': '"bb22"', 'Accept-Encoding': 'br' });
	assert.equal(other.status, 200);
});

test('assets: what is kept compressed only goes to who takes it, others are told', async () => {
	const get = (accept) => server.get('/assets/packed-3c4d.js', accept === undefined ? {} : { 'Accept-Encoding': accept });
	for (const [accept, encoding, body] of [['gzip, br', 'br', 'packed br'], ['gzip', 'gzip', 'packed gz'], ['*', 'br', 'packed br'], [undefined, 'gzip', 'packed gz']]) {
		const answer = await get(accept);
		assert.deepEqual([answer.status, answer.headers['content-encoding'], answer.body], [200, encoding, body], accept);
	}
	for (const accept of ['identity', 'br;q=0', '*;q=0']) {
		const refused = await get(accept);
		assert.equal(refused.status, 406, accept);
		assert.equal(JSON.parse(refused.body).code, 'compressed_only');
	}
});

test('every page address gives the page, everything else 404', async () => {
	const html = { Accept: 'text/html,*/*;q=0.8' };
	for (const path of ['/', '/runs/12', '/commands', '/commands/pg-dump', '/apix'])
		assert.equal((await server.get(path, html)).status, 200, path);
	for (const path of ['/api', '/api/', '/api/v1/nothing', '/assets/', '/assets/no.js', '/assets/app', '/favicon.ico', '/a/b.js'])
		assert.equal((await server.get(path, html)).status, 404, path);
	assert.equal((await server.get('/runs/12', { Accept: '*/*' })).status, 404);
	assert.equal((await server.request('POST /runs/12 HTTP/1.1\nHost: a\nAccept: text/html\nContent-Length: 0\n')).status, 404);
});

test('a malformed request never reaches what is pipelined behind it', async () => {
	const attacks = [
		'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
		'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
		'POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n',
		'POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n',
		'GET /json HTTP/1.1\r\nHost: a\r\n Content-Length: 5\r\n\r\n',
		'GET /json HTTP/1.1\r\nHost: a\nX: y\r\n\r\n',
		'GET /json HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n',
		'GET /json HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
		'GET /json\r\n\r\n',
		'\x00\x01\x02\x03\r\n\r\n',
		'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
		'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
	];
	for (const attack of attacks) {
		const text = await server.exchange(attack + 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n');
		const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => Number(match[1]));
		assert.equal(statuses.length, 1, JSON.stringify(attack) + ' → ' + statuses);
		assert.ok([400, 501, 505].includes(statuses[0]), JSON.stringify(attack) + ' → ' + statuses);
	}
});
