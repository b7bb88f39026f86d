// Signing in, sessions, origins and hosts; the configuration it refuses; commands of the program.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sleep, until } from '../lib/agent.mjs';
import { DASHBOARD, Dashboard, PASSWORD, Refused, request } from '../lib/dashboard.mjs';
import { totp } from '../lib/totp.mjs';

// Every route of the table, as the source lists them.
function routes() {
	const source = readFileSync(new URL('../../../core/app/routes.c', import.meta.url), 'utf8');
	const rows = [...source.matchAll(/\{"([A-Z]+)", (API )?"([^"]+)", ROLE_([A-Z]+),/g)];
	assert.ok(rows.length >= 15, 'the route table was read');
	return rows.map(([, method, api, path, role]) => ({ method, path: (api ? '/api/v1' : '') + path, role }));
}

describe('signing in', () => {
	let dashboard;

	before(async () => { dashboard = await Dashboard.start(); });
	after(() => dashboard.destroy());

	it('lets the right password in, with PostgreSQL and the agent away', async () => {
		const session = await dashboard.login();
		const { status, json } = await session.get('/api/v1/session');
		assert.equal(status, 200);
		assert.equal(json.user, 'admin');
		assert.equal(json.totp, false);
		assert.ok(json.expires_us > Date.now() * 1000);
	});

	it('sets cookies that scripts and other sites cannot use', async () => {
		const { headers } = await dashboard.session().post('/api/v1/login', { user: 'admin', password: PASSWORD });
		const cookies = headers['set-cookie'];
		assert.equal(cookies.length, 2);
		for (const cookie of cookies) assert.match(cookie, /^ops_(session|device)=[0-9a-f.]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
	});

	it('tells a wrong user and a wrong password alike', async () => {
		const wrong = await dashboard.session().post('/api/v1/login', { user: 'admin', password: 'no' });
		const other = await dashboard.session().post('/api/v1/login', { user: 'root', password: PASSWORD });
		for (const answer of [wrong, other]) {
			assert.equal(answer.status, 401);
			assert.equal(answer.json.code, 'login_failed');
			assert.equal(answer.json.detail, wrong.json.detail);
		}
		await dashboard.login();
	});

	it('refuses bodies that are no sign-in', async () => {
		const session = dashboard.session();
		for (const [body, status] of [
			['', 422], ['{', 400], ['[]', 400], ['{"user":"admin"}', 422], ['{"user":1,"password":"x"}', 422],
			['{"user":"admin","password":"x","extra":1}', 422], [JSON.stringify({ user: 'admin', password: 'x'.repeat(600) }), 422],
			[`${'['.repeat(50)}`, 400], ['{"user":"admin","user":"b","password":"x"}', 400], ['x'.repeat(5000), 413],
			['{"user":"admin","password":"a\\u0000b"}', 400],
		]) {
			const answer = await session.post('/api/v1/login', body);
			assert.ok(answer.status === status || (body === '' && answer.status === 400), `${body.slice(0, 40)}: ${answer.status}`);
		}
		const plain = await session.request('POST', '/api/v1/login', { headers: { 'content-type': 'text/plain' }, body: '{}' });
		assert.equal(plain.status, 415);
	});

	it('answers 401 on every route that needs a session, without one and with a forged one', async () => {
		let guarded = 0;
		for (const { method, path, role } of routes()) {
			if (role === 'PUBLIC' || role === 'HOOK') continue;
			guarded++;
			for (const cookies of [{}, { ops_session: 'x' }, { ops_session: `${'0'.repeat(82)}.${'0'.repeat(64)}` }]) {
				const session = dashboard.session(cookies);
				if (path.endsWith('/live')) {
					await assert.rejects(session.live(), (error) => error instanceof Refused && error.status === 401);
					continue;
				}
				const real = path.replace(/\{\w+\}/g, '1');
				const body = ['GET', 'DELETE'].includes(method) ? undefined : '{}';
				const answer = await session.request(method, real, { headers: body && { 'content-type': 'application/json' }, body });
				assert.equal(answer.status, 401, `${method} ${path}`);
				assert.equal(answer.json.code, 'unauthenticated');
			}
		}
		assert.ok(guarded >= 10);
		const publicOnes = routes().filter((r) => r.role === 'PUBLIC').map((r) => r.path);
		assert.deepEqual(publicOnes, ['/healthz', '/readyz', '/api/v1/openapi.json', '/api/v1/login', '/api/v1/session']);
		assert.deepEqual(routes().filter((r) => r.role === 'HOOK').map((r) => r.path), ['/api/v1/hooks/{name}']);
	});

	it('refuses unsafe requests and WebSockets of another origin, or of none', async () => {
		const session = await dashboard.login();
		for (const origin of [null, 'null', 'http://evil.example', dashboard.url.replace('127.0.0.1', 'localhost'), `${dashboard.url}/`]) {
			for (const path of ['/api/v1/login', '/api/v1/logout', '/api/v1/runs']) {
				const answer = await session.post(path, {}, { origin });
				assert.equal(answer.status, 403, `${origin} ${path}`);
				assert.equal(answer.json.code, 'origin_refused');
			}
			await assert.rejects(session.live({ headers: { Origin: origin } }), (error) => error instanceof Refused && error.status === 403);
		}
		assert.equal((await session.get('/api/v1/session')).status, 200);
	});

	it('answers to its own host only', async () => {
		const headers = { host: 'evil.example', accept: 'text/html' };
		const page = await request(dashboard, 'GET', '/runs?x=1', { headers });
		assert.equal(page.status, 308);
		assert.equal(page.headers.location, `${dashboard.url}/runs?x=1`);
		assert.equal((await request(dashboard, 'GET', '/api/v1/session', { headers })).status, 421);
		assert.equal((await request(dashboard, 'POST', '/api/v1/login', { headers })).status, 421);
		assert.equal((await request(dashboard, 'GET', '/assets/x.js', { headers: { host: 'evil.example' } })).status, 421);
		for (const path of ['/healthz', '/readyz']) assert.equal((await request(dashboard, 'GET', path, { headers })).status, 200);
	});

	it('refuses a request that carries two session cookies', async () => {
		const session = await dashboard.login();
		const answer = await session.get('/api/v1/runs', { cookie: `${session.cookie}; ops_session=other` });
		assert.equal(answer.status, 401);
	});

	it('ends a session at sign-out, at once, for ever, and closes its sockets with 4401', async () => {
		const session = await dashboard.login();
		const other = await dashboard.login();
		const stolen = dashboard.session(session.cookies);
		const live = await session.live(), otherLive = await other.live();
		const answer = await session.post('/api/v1/logout', {});
		assert.equal(answer.status, 204);
		assert.equal(await live.waitClosed(), 4401);
		assert.equal((await stolen.get('/api/v1/session')).status, 401);
		assert.equal((await other.get('/api/v1/session')).status, 200);
		assert.ok(!otherLive.closed);
		await dashboard.kill9();
		await dashboard.spawn();
		assert.equal((await stolen.get('/api/v1/session')).status, 401, 'also after a crash');
		assert.equal((await other.get('/api/v1/session')).status, 200, 'others are not signed out by a restart');
	});

	it('ends a session that was idle for too long, or is too old, and renews the cookie of others', async () => {
		const now = Math.floor(Date.now() / 1000), hour = 3600, day = 24 * hour;
		const status = async (times) => (await dashboard.session({ ops_session: dashboard.forgeCookie(times) }).get('/api/v1/session')).status;
		assert.equal(await status({ created: now - 11 * hour }), 200);
		assert.equal(await status({ created: now - 13 * hour }), 401);
		assert.equal(await status({ created: now - 6 * day, seen: now - hour }), 200);
		assert.equal(await status({ created: now - 8 * day, seen: now - hour }), 401);
		const session = dashboard.session({ ops_session: dashboard.forgeCookie({ created: now - hour }) });
		const before = session.cookies.ops_session;
		await session.get('/api/v1/session');
		assert.notEqual(session.cookies.ops_session, before);
		const renewed = session.cookies.ops_session;
		await session.get('/api/v1/session');
		assert.equal(session.cookies.ops_session, renewed, 'not with every answer');
	});

	it('asks for the password again', async () => {
		const session = await dashboard.login();
		const before = (await session.get('/api/v1/session')).json.reauth_until_us;
		await sleep(1100);
		assert.equal((await session.post('/api/v1/session/reauth', { password: 'wrong' })).status, 401);
		const answer = await session.post('/api/v1/session/reauth', { password: PASSWORD });
		assert.equal(answer.status, 200);
		assert.ok(answer.json.reauth_until_us > before);
		assert.equal((await session.get('/api/v1/session')).json.reauth_until_us, answer.json.reauth_until_us);
	});
});

describe('guessing passwords', () => {
	let dashboard;

	before(async () => { dashboard = await Dashboard.start(); });
	after(() => dashboard.destroy());

	it('is slowed down, but not for a browser that signed in before', async () => {
		const known = await dashboard.login();
		const stranger = dashboard.session();
		let slowed;
		for (let i = 0; i < 10 && !slowed; i++) {
			const answer = await stranger.post('/api/v1/login', { user: 'admin', password: `guess ${i}` });
			assert.ok([401, 429].includes(answer.status));
			if (answer.status === 429) slowed = answer;
		}
		assert.ok(slowed, 'somebody who fails is made to wait');
		assert.ok(Number(slowed.headers['retry-after']) >= 1);
		assert.equal(slowed.json.code, 'too_many_attempts');
		// the same address waits, whoever it is: a known device skips the account's delay only
		assert.equal((await known.get('/api/v1/session')).status, 200);
	});

	it('in a crowd: only a few hashes at a time, the rest is told to come back, and pages go on', async () => {
		const crowd = await Dashboard.start();
		const answers = Array.from({ length: 40 }, () => crowd.session().post('/api/v1/login', { user: 'admin', password: 'x' }));
		const healthy = await request(crowd, 'GET', '/healthz');
		assert.equal(healthy.status, 200);
		const statuses = (await Promise.all(answers)).map((a) => a.status);
		assert.ok(statuses.includes(429));
		assert.ok(statuses.every((s) => s === 401 || s === 429), String(statuses));
		await crowd.destroy();
	});
});

describe('one-time codes', () => {
	it('are asked for, and good once', async () => {
		const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
		const dashboard = await Dashboard.start({ env: { AUTH_TOTP_SECRET: secret } });
		const code = () => totp(secret);
		const session = dashboard.session();
		assert.equal((await session.get('/api/v1/session')).json.totp, true);
		const without = await session.post('/api/v1/login', { user: 'admin', password: PASSWORD });
		assert.equal(without.status, 401);
		assert.equal(without.json.code, 'login_failed');
		const body = { user: 'admin', password: PASSWORD, code: code() };
		assert.equal((await session.post('/api/v1/login', body)).status, 200);
		assert.equal((await dashboard.session().post('/api/v1/login', body)).status, 401, 'a code is good once');
		await until('it to be on the disk', () => readFileSync(join(dashboard.env.STATE_DIR, 'state'), 'latin1').includes('totp.used'));
		await dashboard.kill9();
		await dashboard.spawn();
		assert.equal((await dashboard.session().post('/api/v1/login', body)).status, 401, 'also after a crash');
		await dashboard.destroy();
	});
});

describe('the program', () => {
	const run = (args, env, input = '') => spawnSync(DASHBOARD, args, { env: { PATH: process.env.PATH, ...env }, input, encoding: 'utf8' });

	it('does not start without its secrets, and names what is missing', () => {
		const { status, stderr } = run(['serve'], {});
		assert.equal(status, 78);
		for (const name of ['DATABASE_URL', 'AUTH_SECRET', 'AUTH_PASSWORD_HASH', 'OPS_AGENT_SECRET'])
			assert.match(stderr, new RegExp(`${name} is missing`));
	});

	it('makes the line of a password, and refuses a short one', () => {
		const { status, stdout } = run(['passwd'], {}, 'correct horse\n');
		assert.equal(status, 0);
		assert.match(stdout, /^AUTH_PASSWORD_HASH=\$y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{43}\n$/);
		assert.equal(run(['passwd'], {}, 'short\n').status, 65);
		assert.equal(run(['passwd'], {}, '').status, 65);
	});

	it('says its version, its usage, and refuses what it does not know', () => {
		assert.match(run(['--version'], {}).stdout, /^ops-dashboard \d/);
		assert.match(run(['--help'], {}).stdout, /usage/);
		assert.equal(run(['dance'], {}).status, 64);
		assert.equal(run(['serve', 'now'], {}).status, 64);
	});

	it('checks its health from outside', async () => {
		const dashboard = await Dashboard.start();
		const env = { LISTEN: `127.0.0.1:${dashboard.port}` };
		assert.equal(run(['healthcheck'], env).status, 0);
		await dashboard.destroy();
		assert.equal(run(['healthcheck'], env).status, 69);
	});

	it('refuses a second dashboard on one state folder, and a port that is taken', async () => {
		const dashboard = await Dashboard.start();
		const second = run(['serve'], { ...dashboard.env, LISTEN: '127.0.0.1:1' });
		assert.equal(second.status, 78);
		assert.match(second.stderr, /another ops-dashboard/);
		const port = run(['serve'], { ...dashboard.env, STATE_DIR: `${dashboard.dir}/other` });
		assert.equal(port.status, 69);
		assert.match(port.stderr, /LISTEN/);
		await dashboard.destroy();
	});

	it('stops at SIGTERM: sockets are told, the exit code is 0', async () => {
		const dashboard = await Dashboard.start();
		const session = await dashboard.login();
		const live = await session.live();
		const stopped = dashboard.stop();
		assert.equal(await live.waitClosed(), 1001);
		assert.equal(await stopped, 0);
		assert.match(dashboard.log(), /server\.ready url=/);
		assert.match(dashboard.log(), /server\.stopped/);
		await dashboard.destroy();
	});

	it('writes no secret to its log', async () => {
		const dashboard = await Dashboard.start({ env: { LOG_LEVEL: 'debug' } });
		const session = await dashboard.login();
		await session.get('/api/v1/runs');
		await dashboard.stop();
		const log = dashboard.log();
		for (const secret of [PASSWORD, dashboard.env.AUTH_SECRET, dashboard.env.OPS_AGENT_SECRET, dashboard.env.AUTH_PASSWORD_HASH, session.cookies.ops_session])
			assert.ok(!log.includes(secret));
		await dashboard.destroy();
	});

	it('reads an environment file as it is written', () => {
		const env = { ENV_FILE: '/nonexistent/file' };
		const { status, stderr } = run(['check'], env);
		assert.equal(status, 78);
		assert.match(stderr, /ENV_FILE/);
		execFileSync(DASHBOARD, ['--version']);
	});
});
