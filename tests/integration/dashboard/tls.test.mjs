// TLS of the daemon itself: the page and WebSockets over it, a new certificate on SIGHUP, and peers that break it.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { until } from '../lib/agent.mjs';
import { DASHBOARD, Dashboard, PASSWORD } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';

describe('TLS', () => {
	let dir, agent, dashboard, run, cookie;
	const path = (name) => join(dir, name);

	const certificate = (name, kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']) =>
		execFileSync('openssl', ['req', '-x509', ...kind, '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-keyout', path(`${name}.key`), '-out', path(`${name}.crt`)], { stdio: 'pipe' });
	const use = (name) => {
		copyFileSync(path(`${name}.crt`), path('live.crt'));
		copyFileSync(path(`${name}.key`), path('live.key'));
	};
	const options = (more = {}) => ({ host: '127.0.0.1', port: dashboard.port, rejectUnauthorized: false, ...more });
	const ask = (method, target, { headers = {}, body, agent: keep = false } = {}) => new Promise((resolve, reject) => {
		const req = https.request(options({ method, path: target, headers: { origin: `https://127.0.0.1:${dashboard.port}`, ...(cookie ? { cookie } : {}), ...headers }, agent: keep }), (res) => {
			const parts = [];
			const subject = res.socket.getPeerCertificate().subject?.CN;
			res.on('data', (part) => parts.push(part));
			res.on('error', reject);
			res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, bytes: Buffer.concat(parts), subject }));
		});
		req.on('error', reject);
		req.end(body);
	});
	const hangup = async (event) => {
		const before = dashboard.log().split(event).length;
		dashboard.child.kill('SIGHUP');
		await until(event, () => dashboard.log().split(event).length > before);
	};
	// The harness asks /healthz over plain HTTP.
	const start = async () => {
		const plain = await Dashboard.start({ agent, env: {} });
		await plain.stop();
		Object.assign(plain.env, { TLS_CERT: path('live.crt'), TLS_KEY: path('live.key') });
		dashboard = plain;
		Dashboard.prototype.spawn.call(dashboard).catch(() => {});
		await until('TLS to be answered', () => dashboard.log().split('server.ready').length > 2);
	};

	before(async () => {
		dir = mkdtempSync(join(tmpdir(), 'ops-tls-'));
		agent = await FakeAgent.start();
		run = agent.add(new FakeRun({ steps: [] }));
		for (let i = 0; i < 100; i++) run.output(Buffer.alloc(60000, `${i} `));
		run.finish();
		certificate('first');
		certificate('second', ['-newkey', 'rsa:2048']);
		use('first');
		await start();
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
		rmSync(dir, { recursive: true, force: true });
	});

	it('serves the API with a Secure cookie and HSTS', async () => {
		const answer = await ask('POST', '/api/v1/login', { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ user: 'admin', password: PASSWORD }) });
		assert.equal(answer.status, 200);
		assert.equal(answer.subject, 'first');
		assert.match(answer.headers['strict-transport-security'], /max-age/);
		const [line] = answer.headers['set-cookie'];
		assert.match(line, /; Secure/);
		cookie = line.split(';')[0];
		assert.equal((await ask('GET', '/api/v1/session')).status, 200);
	});

	it('keeps connections, pipelines and streams', async () => {
		const keep = new https.Agent({ keepAlive: true, maxSockets: 1 });
		for (let i = 0; i < 5; i++) assert.equal((await ask('GET', '/healthz', { agent: keep })).status, 200);
		const log = await ask('GET', `/api/v1/runs/${run.id}/log?format=records`, { agent: keep });
		assert.ok(log.bytes.equals(run.journal));
		keep.destroy();
		const socket = tls.connect(options());
		await once(socket, 'secureConnect');
		assert.equal(socket.alpnProtocol, false);
		socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20) + 'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
		let text = '';
		for await (const part of socket) text += part;
		assert.equal(text.split('HTTP/1.1 200 OK').length - 1, 21);
	});

	it('a slow reader gets every byte', async () => {
		const socket = tls.connect(options());
		await once(socket, 'secureConnect');
		socket.write(`GET /api/v1/runs/${run.id}/log?format=raw HTTP/1.0\r\nHost: 127.0.0.1:${dashboard.port}\r\nCookie: ${cookie}\r\n\r\n`);
		let bytes = 0;
		for await (const part of socket) {
			bytes += part.length;
			if (bytes < 500000) await new Promise((resolve) => setTimeout(resolve, 5));
		}
		assert.ok(bytes > 100 * 60000, `${bytes}`);
	});

	it('WebSockets, byte for byte', async () => {
		const socket = tls.connect(options());
		await once(socket, 'secureConnect');
		socket.write(`GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:${dashboard.port}\r\nOrigin: https://127.0.0.1:${dashboard.port}\r\nCookie: ${cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ops.v1\r\n\r\n`);
		const text = Buffer.from('{"op":"subscribe","id":7,"topic":"system"}');
		socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
		let got = '';
		socket.on('data', (part) => { got += part.toString('latin1'); });
		await until('the snapshot', () => got.includes('"event":"snapshot"'));
		assert.match(got, /^HTTP\/1\.1 101/);
		socket.destroy();
	});

	it('a new certificate on SIGHUP; open connections stay; a broken one changes nothing', async () => {
		const keep = new https.Agent({ keepAlive: true, maxSockets: 1 });
		await ask('GET', '/healthz', { agent: keep });
		use('second');
		await hangup('config.reloaded');
		assert.equal((await ask('GET', '/healthz')).subject, 'second');
		assert.equal((await ask('GET', '/healthz', { agent: keep })).subject, 'first');
		keep.destroy();
		copyFileSync(path('first.key'), path('live.key'));
		await hangup('config.reload_failed');
		assert.match(dashboard.log(), /is not the key of the certificate/);
		assert.equal((await ask('GET', '/healthz')).subject, 'second');
		use('first');
		await hangup('config.reloaded');
		assert.equal((await ask('GET', '/healthz')).subject, 'first');
	});

	it('who does not speak TLS, stops in the middle or sends rubbish is let go; others are served', async () => {
		const answers = [];
		for (const bytes of ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', Buffer.alloc(70000, 0x17)]) {
			const socket = net.connect(dashboard.port, '127.0.0.1');
			let got = '';
			socket.on('data', (part) => { got += part.toString('latin1'); });
			socket.on('error', () => {});
			socket.write(bytes);
			socket.end();
			await new Promise((resolve) => socket.on('close', resolve));
			answers.push(got);
		}
		for (const got of answers) assert.ok(!got.includes('HTTP/1.1'), 'nothing is told in plain text');
		await assert.rejects(new Promise((resolve, reject) => tls.connect(options({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }), resolve).on('error', reject)));
		assert.equal((await ask('GET', '/healthz')).status, 200);
	});

	it('healthcheck and check know of it', async () => {
		const command = (name, env = {}) => spawnSync(DASHBOARD, [name], { env: { ...dashboard.env, ...env }, encoding: 'utf8' });
		assert.equal(command('healthcheck').status, 0);
		assert.equal(command('check').status, 0);
		writeFileSync(path('empty.crt'), '');
		const bad = command('check', { TLS_CERT: path('empty.crt') });
		assert.equal(bad.status, 78);
		assert.match(bad.stderr, /empty\.crt/);
		assert.match(command('check', { PUBLIC_ORIGIN: 'http://127.0.0.1:1' }).stderr, /begins with http:\/\/ while TLS_CERT/);
	});

	it('ends well', async () => {
		assert.equal(await dashboard.stop(), 0);
	});
});

describe('healthcheck over TLS', () => {
	it('a server that says nothing after the handshake is not healthy, and not waited for', async () => {
		const dir = mkdtempSync(join(tmpdir(), 'ops-tls-'));
		execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=mute', '-keyout', join(dir, 'key'), '-out', join(dir, 'crt')], { stdio: 'pipe' });
		const server = tls.createServer({ key: readFileSync(join(dir, 'key')), cert: readFileSync(join(dir, 'crt')) }, (socket) => socket.end()).listen(0, '127.0.0.1');
		await once(server, 'listening');
		const child = spawn(DASHBOARD, ['healthcheck'], { env: { ...process.env, LISTEN: `127.0.0.1:${server.address().port}`, TLS_CERT: join(dir, 'crt'), TLS_KEY: join(dir, 'key') }, stdio: 'ignore' });
		const [code] = await once(child, 'exit');
		assert.equal(code, 69);
		server.close();
		rmSync(dir, { recursive: true, force: true });
	});
});
