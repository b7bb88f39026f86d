// Messages that two servers might understand in two ways. None may be: either it is refused, once, and nothing behind
// it is looked at, or there is only one way to read it and it is read so, however the bytes are cut.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from './lib/raw.mjs';

let server;
before(async () => {
	server = await Server.start('http-echo');
});
after(async () => {
	await server.stop();
});

const NEXT = 'GET /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const statuses = (text) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
const show = (bytes) => JSON.stringify(bytes.length > 200 ? `${bytes.slice(0, 200)}…` : bytes);

// Each is sent with another request behind it; whole, in two halves with a pause between, and by single bytes.
async function refused(bytes, allowed = [400]) {
	for (const how of ['whole', 'halves', ...(bytes.length < 500 ? ['bytes'] : [])]) {
		const peer = await server.open();
		const all = bytes + NEXT;
		if (how === 'bytes') {
			await peer.sendSlowly(all);
		} else if (how === 'halves') {
			peer.send(all.slice(0, bytes.length / 2));
			await new Promise((resolve) => setTimeout(resolve, 2));
			peer.send(all.slice(bytes.length / 2));
		} else {
			peer.send(all);
		}
		peer.end();
		await peer.closed();
		const got = statuses(peer.text());
		assert.equal(got.length, 1, `${show(bytes)} was answered with ${got}`);
		assert.ok(allowed.includes(got[0]), `${show(bytes)} was answered with ${got}`);
		assert.match(peer.text(), /Connection: close/);
	}
}

async function understood(bytes, expected) {
	const text = await server.exchange(bytes + NEXT);
	assert.deepEqual(statuses(text), [...expected, 200], show(bytes));
}

const post = (fields, body, version = '1.1') => `POST /echo HTTP/${version}\r\nHost: a\r\n${fields.map((f) => `${f}\r\n`).join('')}\r\n${body}`;
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nX: ';

test('two lengths in one message, in every order', async () => {
	const te = 'Transfer-Encoding: chunked';
	for (const fields of [['Content-Length: 6', te], [te, 'Content-Length: 6'], ['Content-Length: 0', te], ['Content-Length: 6', te, 'Content-Length: 6'], [te, te, 'Content-Length: 6']])
		for (const body of ['0\r\n\r\nG', '0\r\n\r\n', `1\r\nZ\r\nQ\r\n\r\n`]) await refused(post(fields, body));
	for (const fields of [['Content-Length: 5', 'Content-Length: 5'], ['Content-Length: 5', 'Content-Length: 6'], ['Content-Length: 5, 5'], ['content-length: 5', 'CONTENT-LENGTH: 5'], ['Content-Length: 5,6']])
		await refused(post(fields, 'hello'));
});

test('every Transfer-Encoding that is not the one word', async () => {
	const values = ['xchunked', 'chunkedx', 'chunked, identity', 'identity, chunked', 'identity', 'gzip, chunked', 'chunked, chunked', ',chunked', 'chunked,', ', chunked', '"chunked"', 'chunked;q=1', 'chunked; a=b', 'x', '', 'chunk', 'cow',
		'\x0bchunked', 'chunked\x0b', '\x0cchunked', 'chunked\x00', '\x00chunked', '\xa0chunked', 'chun\xffked', 'chunked\x7f', "'chunked'", 'chunked:', ' ,chunked', 'chunked\x1f', '\xef\xbb\xbfchunked', 'chunKed\xe2\x84\xaa', 'deflate', 'compress,chunked', 'trailers', 'chunked trailers'];
	for (const value of values) await refused(post([`Transfer-Encoding: ${value}`], `0\r\n\r\n${SMUGGLED}`));
	for (const line of ['Transfer-Encoding : chunked', 'Transfer-Encoding\t: chunked', ' Transfer-Encoding: chunked', 'Transfer-Encoding\x00: chunked', 'Transfer-\r\nEncoding: chunked', 'Transfer-Encoding:\r\n chunked', 'Transfer-Encoding: \r\n\tchunked',
		'X: y\nTransfer-Encoding: chunked', 'X: y\rTransfer-Encoding: chunked', 'Transfer-Encoding\x0b: chunked', '\x01Transfer-Encoding: chunked', 'Transfer-Encoding chunked', 'Foo: bar\r\n\rTransfer-Encoding: chunked', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x', 'Transfer-Encoding: x\r\nTransfer-Encoding: chunked', '"Transfer-Encoding": chunked'])
		await refused(post(['Content-Length: 5', line], `0\r\n\r\n${SMUGGLED}`));
	// Other names are other fields: what counts is the length.
	for (const line of ['Transfer_Encoding: chunked', 'Transfer-Encodin: chunked', 'X-Transfer-Encoding: chunked', 'TransferEncoding: chunked']) await understood(post(['Content-Length: 5', line], 'hello'), [200]);
	for (const line of ['Transfer-Encoding: chunked', 'transfer-encoding:chunked', 'TRANSFER-ENCODING: \t CHUNKED']) await understood(post([line], '5\r\nhello\r\n0\r\n\r\n'), [200]);
	await refused(post(['Transfer-Encoding: chunked'], '0\r\n\r\n', '1.0'));
});

test('lengths that are no plain number', async () => {
	for (const value of ['+5', '-5', '5 ', ' 5 5', '0x5', '5.0', '5e0', '', '٥', '5\x00', '\x0b5', '5;', '5,', '18446744073709551621', '9223372036854775808', '99999999999999999999999', '1e3', "'5'", '5\xa0', '_5', '5_0', '0b101'].filter((v) => v !== '5 '))
		await refused(post([`Content-Length: ${value}`], 'hello'));
	await understood(post(['Content-Length:  5 '], 'hello'), [200]);
	await understood(post(['Content-Length: 005'], 'hello'), [200]);
	await refused(post(['Content-Length: 999999999999'], ''), [413]);
});

test('chunks that are not chunks', async () => {
	const te = ['Transfer-Encoding: chunked'];
	for (const body of ['5\nhello\r\n0\r\n\r\n', '5\r\nhello\n0\r\n\r\n', '5\r\nhello\r\n0\n\n', '5\r\nhello\r\n0\r\n\n', '5\rhello\r\n0\r\n\r\n', '05 \r\nhello\r\n0\r\n\r\n', ' 5\r\nhello\r\n0\r\n\r\n', '0x5\r\nhello\r\n0\r\n\r\n', '+5\r\nhello\r\n0\r\n\r\n', '-5\r\nhello\r\n0\r\n\r\n', '\r\nhello\r\n0\r\n\r\n',
		'5\r\nhelloX\r\n0\r\n\r\n', '5\r\nhello0\r\n\r\n', '5\r\nhell\r\n0\r\n\r\n', '100000005\r\nhello\r\n0\r\n\r\n', 'fffffffffffffff5\r\nhello\r\n0\r\n\r\n', '5g\r\nhello\r\n0\r\n\r\n', '5;\x00\r\nhello\r\n0\r\n\r\n', '5;a\nb\r\nhello\r\n0\r\n\r\n', '5;a\rb\r\nhello\r\n0\r\n\r\n',
		`5;${'a'.repeat(300)}\r\nhello\r\n0\r\n\r\n`, '5 ;a=b\r\nhello\r\n0\r\n\r\n', '0\r\nX: y\r\n\r\n', '0\r\nContent-Length: 5\r\n\r\n', '0\r\nTransfer-Encoding: chunked\r\n\r\n', '0;\r\nX\r\n\r\n', '0;\r\n\r\n', '5;\r\nhello\r\n0\r\n\r\n', '5;;a\r\nhello\r\n0\r\n\r\n', '5;a;\r\nhello\r\n0\r\n\r\n', '5;=b\r\nhello\r\n0\r\n\r\n', '5;a=\r\nhello\r\n0\r\n\r\n', '5;a=b=c\r\nhello\r\n0\r\n\r\n', '5;a=b;c\r\nhello\r\n0\r\n\r\n', '5;a="b"\r\nhello\r\n0\r\n\r\n', '5\r\nhello\r\n00000000000\r\n\r\n', '5\u00a0\r\nhello\r\n0\r\n\r\n'])
		await refused(post(te, body));
	for (const body of ['5\r\nhello\r\n0\r\n\r\n', '5;a=b\r\nhello\r\n0;x\r\n\r\n', '5;a;b;c=d\r\nhello\r\n0;x;y\r\n\r\n', '00000005\r\nhello\r\n000\r\n\r\n', '1\r\nh\r\n4\r\nello\r\n0\r\n\r\n', 'A\r\n0123456789\r\n0\r\n\r\n', 'a\r\n0123456789\r\n0\r\n\r\n'])
		await understood(post(te, body), [200]);
	const text = await server.exchange(post(te, '3\r\nabc\r\n3\r\n0\r\n\r\n0\r\n\r\n'.replace('3\r\n0\r\n\r\n', '3\r\n0\r\n\r\n')) + NEXT);
	assert.ok(text.includes('abc0\r\n') || statuses(text).length === 1, 'a chunk of "0\\r\\n" is data');
});

test('request lines that are no request line', async () => {
	const host = '\r\nHost: a\r\n\r\n';
	for (const line of ['GET  /json HTTP/1.1', 'GET /json  HTTP/1.1', 'GET\t/json\tHTTP/1.1', ' GET /json HTTP/1.1', 'GET /json HTTP/1.1 ', 'GET /json', 'GET /js on HTTP/1.1', 'GET /json http/1.1', 'GET /json HTTP/1.1x', 'GET /json HTTP/01.1', 'GET /json HTTP/1.', 'GET /json HTTP/.1', 'GET /json HTTP/11', 'GET /json HTTP /1.1', 'GET /json#x HTTP/1.1', 'GET /js\x00on HTTP/1.1',
		'GET /js\x7fon HTTP/1.1', 'GET /\xe9 HTTP/1.1', 'GET json HTTP/1.1', 'GET * HTTP/1.1', 'GET ftp://a/json HTTP/1.1', 'GET http:///json HTTP/1.1', 'GET http://b/json HTTP/1.1', 'GET http://a:80/json HTTP/1.1', 'GET http://u@a/json HTTP/1.1', 'GET http://a?x HTTP/1.1', 'GET /../json HTTP/1.1', 'GET /%2e%2e/json HTTP/1.1', 'GET /a%2fb HTTP/1.1', 'GET /%00 HTTP/1.1', 'GET /%zz HTTP/1.1', 'GET /json?%ff HTTP/1.1', 'GET /%0d%0aX HTTP/1.1', 'get /json HTTP/1.1', 'G@T /json HTTP/1.1'])
		await refused(line + host, [400, 501]);
	for (const line of ['GET /json HTTP/2.0', 'GET /json HTTP/1.2', 'GET /json HTTP/0.9', 'GET /json HTTP/9.9', 'PRI * HTTP/2.0']) await refused(line + host, [505, 501]);
	for (const method of ['TRACE', 'CONNECT', 'PROPFIND', 'FOO', 'GETX', 'G']) await refused(`${method} /json HTTP/1.1${host}`, [501, 400]);
	for (const line of ['GET http://a/json HTTP/1.1', 'GET HTTP://A/json HTTP/1.1', 'GET https://a/json HTTP/1.1', 'GET /json?x=http://b/ HTTP/1.1']) await understood(line + host, [200]);
	await understood(`\r\nGET /json HTTP/1.1${host}`, [200]);
	await refused(`\r\n\r\nGET /json HTTP/1.1${host}`);
	await refused(`\nGET /json HTTP/1.1${host}`);
});

test('hosts', async () => {
	for (const fields of [[], ['Host: a', 'Host: a'], ['Host: a', 'Host: b'], ['Host:'], ['Host: '], ['Host: a b'], ['Host: a,b'], ['Host: a/b'], ['Host: a@b'], ['Host: a:b'], ['Host: a:'.concat('123456')], ['Host: [::1'], ['Host: ::1'], ['Host: a\x00'], ['Host: a?'], ['Host: a#'], ['Host: a\\b'], ['Host: ' + 'a'.repeat(300)], ['host: a', 'HOST: a'], ['Host : a'], [' Host: a']])
		await refused(`GET /json HTTP/1.1\r\n${fields.map((f) => `${f}\r\n`).join('')}\r\n`);
	for (const field of ['Host: a', 'host:a', 'Host: a:80', 'Host: [::1]:80', 'Host: 127.0.0.1', 'Host: a_b.example']) await understood(`GET /json HTTP/1.1\r\n${field}\r\n\r\n`, [200]);
	await refused('GET /json HTTP/1.1\r\nHost: evil.example\r\nX: y\rz\r\n\r\n');
	const old = await server.exchange('GET /json HTTP/1.0\r\n\r\n');
	assert.deepEqual(statuses(old), [200]);
});

test('header fields that are none', async () => {
	for (const line of ['X', 'X y', ': y', 'X : y', 'X\t: y', 'X: y\x00', 'X: \x08', 'X\x00Y: z', '(X): y', 'X@: y', '\x80: y', 'X: y\r', 'X: y\rZ: w', 'X: y\n Z: w', ' X: y', '\tX: y', 'X: a\r\n b', 'X: a\r\n\tb', 'X[]: y', 'X: \x7f', 'X: \x1b[0m', 'X=y'])
		await refused(`GET /json HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`);
	await refused(`GET /json HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(200)}\r\n`, [431]);
	await refused(`GET /json HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(20000)}\r\n\r\n`, [431]);
	for (const field of ['Connection: close, ,', 'Connection: "x"', 'Expect: 200-ok']) await understood(`GET /json HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n`, [200]).then(() => refused(`GET /json HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`, [200, 400, 417]));
	await understood('GET /json HTTP/1.1\r\nHost: a\r\nX:\r\nY: \xe9\t z\r\nZ;\r\n\r\n'.replace('Z;\r\n', ''), [200]);
});

test('requests in a row: each is answered in its order, up to the first that is wrong', async () => {
	const get = 'GET /json HTTP/1.1\r\nHost: a\r\n\r\n';
	const hello = post(['Content-Length: 5'], 'hello');
	const chunks = post(['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n');
	assert.deepEqual(statuses(await server.exchange(get + hello + chunks + get + 'GET /nothing.txt HTTP/1.1\r\nHost: a\r\n\r\n' + hello)), [200, 200, 200, 200, 404, 200]);
	assert.deepEqual(statuses(await server.exchange(get + hello + 'GET /json HTTP/1.1\r\n\r\n' + get)), [200, 200, 400]);
	assert.deepEqual(statuses(await server.exchange(get + 'GET /json HTTP/1.0\r\nHost: a\r\n\r\n' + get)), [200, 200]);
	assert.deepEqual(statuses(await server.exchange(get + 'GET /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' + get)), [200, 200]);
	// A body that nobody asked for is skipped, never taken for a request.
	const body = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
	assert.deepEqual(statuses(await server.exchange(`GET /json HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}${get}`)), [200, 200]);
	assert.deepEqual(statuses(await server.exchange(`POST /denied HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}${get}`)), [403, 200]);
	// A refused expectation: the peer may or may not send the body, so nothing behind is looked at.
	assert.deepEqual(statuses(await server.exchange(`POST /denied HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n${body}${get}`)), [403]);
	// No upgrade happens where there is nothing to upgrade to.
	assert.deepEqual(statuses(await server.exchange('GET /json HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n' + get)), [200, 200]);
});
