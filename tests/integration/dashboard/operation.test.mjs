// What an administrator does to the daemon: its file of settings, SIGHUP, and what it says of itself.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { assertIs } from '../../api/document.mjs';
import { until } from '../lib/agent.mjs';
import { Dashboard, DASHBOARD, passwordHash, PASSWORD, request } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';

const OTHER = 'quite another password';
const hashOf = (password) =>
	execFileSync(DASHBOARD, ['passwd'], { input: `${password}\n`, encoding: 'utf8' }).trim().replace('AUTH_PASSWORD_HASH=', '');

describe('ENV_FILE and SIGHUP', () => {
	let dir, path, agent, dashboard, lines;

	const write = (changes = {}) => {
		Object.assign(lines, changes);
		writeFileSync(path, `# settings\n\n${Object.entries(lines).map(([k, v]) => `${k}=${v}\n`).join('')}`);
	};
	// Sends SIGHUP and waits for one more line of that event.
	const hangup = async (event) => {
		const before = dashboard.log().split(event).length;
		dashboard.child.kill('SIGHUP');
		await until(event, () => dashboard.log().split(event).length > before);
	};
	const signIn = (password) => dashboard.session().post('/api/v1/login', { user: 'admin', password }).then((r) => r.status);

	before(async () => {
		dir = mkdtempSync(join(tmpdir(), 'ops-env-'));
		path = join(dir, 'ops-dashboard.env');
		agent = await FakeAgent.start();
		// A hash is full of dollars: nothing is expanded, one pair of quotes is taken off.
		lines = { AUTH_PASSWORD_HASH: `'${passwordHash()}'`, OPS_AGENT_SECRET: `"${agent.secret}"`, LOG_LEVEL: 'info', STATE_DIR: join(dir, 'state') };
		write();
		dashboard = await Dashboard.start({ agent, env: { ENV_FILE: path, AUTH_PASSWORD_HASH: undefined, OPS_AGENT_SECRET: undefined, STATE_DIR: undefined } });
		await dashboard.connected();
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
		rmSync(dir, { recursive: true, force: true });
	});

	it('is read at start', async () => {
		assert.equal(await signIn(PASSWORD), 200);
		assert.equal(await signIn(OTHER), 401);
	});

	it('a new password ends every session and closes its sockets', async () => {
		const session = await dashboard.login();
		const live = await session.live();
		write({ AUTH_PASSWORD_HASH: hashOf(OTHER) });
		await hangup('config.reloaded');
		assert.equal(await live.waitClosed(), 4401);
		assert.equal((await session.get('/api/v1/runs')).status, 401);
		assert.equal(await signIn(OTHER), 200);
		assert.equal(await signIn(PASSWORD), 401);
	});

	it('anything wrong in it changes nothing, and is named', async () => {
		const session = await dashboard.login({ user: 'admin', password: OTHER });
		const good = { ...lines };
		for (const [bad, said] of [
			[{ AUTH_PASSWORD_HASH: passwordHash(), LOG_LEVEL: 'loud' }, "LOG_LEVEL 'loud' is not debug"],
			[{ AUTH_PASSWORD_HASH: '"unclosed' }, 'the quote is not closed'],
			[{ OPS_AGENT_SECRET: 'short' }, 'OPS_AGENT_SECRET is weak'],
		]) {
			write(bad);
			await hangup('config.reload_failed');
			assert.ok(dashboard.log().includes(said), said);
			write(good);
		}
		rmSync(path);
		await hangup('config.reload_failed');
		write();
		assert.equal((await session.get('/api/v1/session')).status, 200);
		assert.equal(await signIn(OTHER), 200);
	});

	it('the agent is asked with the new secret', async () => {
		agent.secret = 'a-new-secret-of-a-fake-agent';
		write({ OPS_AGENT_SECRET: agent.secret });
		const connections = () => dashboard.log().split('agent.connected').length;
		const before = connections();
		await hangup('config.reloaded');
		await until('the agent to be connected again', () => connections() > before);
		await dashboard.connected();
	});

	it('log level, proxies and origin follow; what cannot says so', async () => {
		write({ LOG_LEVEL: 'debug', TRUSTED_PROXIES: '127.0.0.1', PUBLIC_ORIGIN: 'https://ops.example.org', STATE_DIR: join(dir, 'elsewhere'), RETENTION_DAYS: '90' });
		await hangup('config.reloaded');
		const ask = (headers) => request(dashboard, 'GET', '/api/v1/openapi.json', { headers });
		assert.equal((await ask({})).status, 421);
		const answer = await ask({ host: 'ops.example.org', 'x-forwarded-for': '192.0.2.1, 192.0.2.77' });
		assert.equal(answer.status, 200);
		assert.match(answer.headers['strict-transport-security'], /max-age/);
		await until('the access log', () => dashboard.log().includes('remote=192.0.2.77'));
		assert.ok(dashboard.log().includes('web.conn.closed'), 'debug lines');
		assert.match(dashboard.log(), /config\.needs_restart name=STATE_DIR/);
		assert.match(dashboard.log(), /config\.needs_restart name=RETENTION_DAYS/);
	});

	it('the environment wins over the file', async () => {
		write({ LISTEN: '127.0.0.1:1', NO_SUCH_SETTING: '1' });
		await hangup('config.reloaded');
		assert.ok(!dashboard.log().includes('name=LISTEN'), 'that of the environment is unchanged');
		assert.match(dashboard.log(), /NO_SUCH_SETTING is not a setting/);
	});
});

describe('what it says of itself', () => {
	let agent, dashboard, session;

	before(async () => {
		agent = await FakeAgent.start();
		dashboard = await (await Dashboard.start({ agent, env: { LOG_FORMAT: 'json' } })).connected();
		session = await dashboard.login();
	});
	after(async () => {
		await dashboard.destroy();
		await agent.destroy();
	});

	// {name: {type, samples: {labels: value}}}; throws where the format is broken.
	const parse = (text) => {
		const families = {};
		assert.ok(text.endsWith('\n'));
		for (const line of text.trimEnd().split('\n')) {
			const meta = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
			if (meta) {
				families[meta[2]] ??= { samples: {} };
				assert.equal(families[meta[2]][meta[1]], undefined, `${meta[1]} twice: ${line}`);
				families[meta[2]][meta[1]] = meta[3];
				continue;
			}
			const sample = /^([a-z_]+)(?:\{((?:[a-z]+="[^"\\]*",?)+)\})? (\d+(?:\.\d+)?)$/.exec(line);
			assert.ok(sample, `no sample: ${line}`);
			const family = families[sample[1]] ?? families[sample[1].replace(/_(bucket|sum|count)$/, '')];
			assert.ok(family?.TYPE && family.HELP, `no HELP and TYPE before: ${line}`);
			assert.equal(family.TYPE === 'counter', sample[1].endsWith('_total'), line);
			family.samples[`${sample[1]} ${sample[2] ?? ''}`] = Number(sample[3]);
		}
		return families;
	};

	it('/metrics is for whoever may read, and in Prometheus\' format', async () => {
		assert.equal((await request(dashboard, 'GET', '/metrics')).status, 401);
		assert.equal((await request(dashboard, 'GET', '/metrics', { headers: { host: 'elsewhere', cookie: session.cookie } })).status, 200, 'exempt from the Host rule');
		const live = await session.live();
		await session.get('/nothing/here');
		const answer = await session.get('/metrics');
		assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
		const families = parse(answer.text);
		const value = (name, labels = '') => families[name].samples[`${name} ${labels}`];
		assert.equal(value('ops_dashboard_agent_up', 'host="fake"'), 1);
		assert.equal(value('ops_dashboard_database_up'), 0);
		assert.equal(value('ops_dashboard_http_websockets'), 1);
		assert.equal(value('ops_dashboard_live_sockets'), 1);
		assert.equal(value('ops_dashboard_logins_total'), 1);
		assert.equal(value('ops_dashboard_http_requests_total', 'code="401"'), 1);
		assert.equal(value('ops_dashboard_http_requests_total', 'code="404"'), 1);
		assert.ok(value('process_resident_memory_bytes') > 1 << 20);
		assert.ok(value('process_open_fds') > 5 && value('process_open_fds') < value('process_max_fds'));
		const { samples } = families.ops_dashboard_http_request_duration_seconds;
		const buckets = Object.entries(samples).filter(([k]) => k.includes('_bucket')).map(([, v]) => v);
		assert.deepEqual(buckets, [...buckets].sort((a, b) => a - b), 'buckets are cumulative');
		assert.equal(buckets.at(-1), samples['ops_dashboard_http_request_duration_seconds_count ']);
		live.destroy();
	});

	it('/readyz names each part; reasons only to who is signed in', async () => {
		const open = await request(dashboard, 'GET', '/readyz');
		assert.equal(open.status, 200);
		assert.equal(open.json.status, 'degraded');
		assert.deepEqual([open.json.agent.state, open.json.database.reason], ['connected', '']);
		assert.notEqual((await session.get('/readyz')).json.database.reason, '');
	});

	it('/hosts tells the agent, by the name of its host', async () => {
		assert.equal((await request(dashboard, 'GET', '/api/v1/hosts')).status, 401);
		const { json } = await session.get('/api/v1/hosts');
		assertIs('HostList', json);
		assert.equal(json.hosts.length, 1);
		assert.equal(json.hosts[0].name, json.hosts[0].agent.host);
		assert.notEqual(json.hosts[0].name, '');
		assert.equal(json.hosts[0].agent.state, 'connected');
	});

	it('JSON lines with the request ids that were answered', async () => {
		const answer = await session.get('/api/v1/nothing?secret=1');
		const id = answer.headers['x-request-id'];
		assert.equal(answer.json.request_id, id);
		await until('the line', () => dashboard.log().includes(id));
		const lines = dashboard.log().trimEnd().split('\n').map((line) => JSON.parse(line));
		const line = lines.find((l) => l.request_id === id);
		assert.equal(line.event, 'http.request');
		assert.deepEqual([line.path, line.status, line.method], ['/api/v1/nothing', 404, 'GET']);
	});
});

describe('under systemd', () => {
	let dir;
	before(() => { dir = mkdtempSync(join(tmpdir(), 'ops-systemd-')); });
	after(() => rmSync(dir, { recursive: true, force: true }));

	// What systemd does: a datagram socket that hears sd_notify().
	const notifySocket = async () => {
		const path = join(dir, 'notify.sock');
		const program = 'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\nprint("bound",flush=True)\nwhile True: print(s.recv(4096).decode().replace("\\n"," "),flush=True)';
		const child = spawn('python3', ['-c', program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
		const heard = { text: '', path, child };
		child.stdout.on('data', (data) => { heard.text += data; });
		await until('the socket', () => heard.text.includes('bound'));
		return heard;
	};

	it('takes its socket, tells that it is ready, alive, reloading and stopping', async () => {
		const heard = await notifySocket();
		const listener = net.createServer().listen(0, '127.0.0.1');
		await once(listener, 'listening');
		const { port } = listener.address();
		// A port nobody may take shows that LISTEN is not listened on.
		const env = {
			PATH: process.env.PATH, DATABASE_URL: 'postgresql://ops@127.0.0.1:1/ops', AUTH_SECRET: '0123456789abcdefghijklmnopqrstuvwxyz', AUTH_PASSWORD_HASH: passwordHash(),
			OPS_AGENT_SECRET: 'nobody-knows-this-secret', OPS_AGENT_SOCKET: join(dir, 'no.sock'), STATE_DIR: join(dir, 'state'), LISTEN: '127.0.0.1:1', PUBLIC_ORIGIN: `http://127.0.0.1:${port}`,
			NOTIFY_SOCKET: heard.path, LISTEN_FDS: '1', WATCHDOG_USEC: '100000', ...Object.fromEntries(Object.entries(process.env).filter(([k]) => /^(A|UB|L)SAN_OPTIONS$/.test(k))),
		};
		const child = spawn('/bin/sh', ['-c', `LISTEN_PID=$$ WATCHDOG_PID=$$ exec ${DASHBOARD} serve`], { env, stdio: ['ignore', 'ignore', 'inherit', listener._handle] });
		const exited = once(child, 'exit');
		listener.close();
		await until('READY', () => heard.text.includes('READY=1'));
		assert.equal((await request({ port }, 'GET', '/healthz')).status, 200);
		await until('several WATCHDOG', () => heard.text.split('WATCHDOG=1').length > 4);
		child.kill('SIGHUP');
		await until('ready again', () => /RELOADING=1 MONOTONIC_USEC=\d+[^]*READY=1/.test(heard.text));
		child.kill('SIGTERM');
		assert.deepEqual(await exited, [0, null]);
		await until('STOPPING', () => heard.text.includes('STOPPING=1'));
		heard.child.kill();
	});

	it('refuses a descriptor that is no listening socket', async () => {
		const dashboard = await Dashboard.start({});
		const child = spawn('/bin/sh', ['-c', `LISTEN_PID=$$ exec ${DASHBOARD} serve 3</dev/null`], { env: { ...dashboard.env, LISTEN_FDS: '1', STATE_DIR: join(dir, 'other') }, stdio: ['ignore', 'ignore', 'pipe'] });
		let said = '';
		child.stderr.on('data', (data) => { said += data; });
		const [code] = await once(child, 'exit');
		assert.equal(code, 78);
		assert.match(said, /descriptor 3 is no listening TCP socket/);
		await dashboard.destroy();
	});
});

describe('SIGTERM', () => {
	it('ends it with sockets, downloads and idle connections open; WebSockets hear 1001', async () => {
		const agent = await FakeAgent.start();
		const run = agent.add(new FakeRun({ steps: [] }));
		for (let i = 0; i < 600; i++) run.output(Buffer.alloc(60000, 'x'));
		const dashboard = await (await Dashboard.start({ agent })).connected();
		const session = await dashboard.login();
		const live = [await session.live(), await session.live()];
		const idle = net.connect(dashboard.port, '127.0.0.1');
		const half = net.connect(dashboard.port, '127.0.0.1');
		half.write('GET / HTTP/1.1\r\nHost');
		for (const socket of [idle, half]) socket.on('error', () => {});
		// A download whose reader has stopped: it cannot be finished in time.
		const stuck = await new Promise((resolve, reject) => {
			http.get({ port: dashboard.port, host: '127.0.0.1', agent: false, headers: { cookie: session.cookie }, path: `/api/v1/runs/${run.id}/log?format=raw` }, resolve).on('error', reject);
		});
		stuck.on('error', () => {});
		stuck.pause();
		const codes = Promise.all(live.map((one) => one.waitClosed()));
		dashboard.child.kill('SIGTERM');
		assert.deepEqual(await codes, [1001, 1001]);
		await dashboard.exited;
		assert.equal(dashboard.child.exitCode, 0);
		assert.match(readFileSync(dashboard.logPath, 'utf8'), /server\.cut_off after_ms=4000[^]*server\.stopped/);
		await dashboard.destroy();
		await agent.destroy();
	});
});
