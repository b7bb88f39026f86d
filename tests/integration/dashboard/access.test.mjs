// Who may do what: every route against every kind of caller, API tokens, the list of sessions, and several
// dashboards on one database.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Agent, until } from '../lib/agent.mjs';
import { Dashboard, Refused } from '../lib/dashboard.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { totp } from '../lib/totp.mjs';
import { assertIs } from '../../api/document.mjs';

const COMMANDS = `version: 1
commands:
  ok: { title: Fine, exec: [/bin/true] }
  other: { title: Fine too, exec: [/bin/true] }
  drop: { title: Drop it, exec: [/bin/true], danger: high }
`;

// Rows of the table as the source has them.
function routes() {
	const source = readFileSync(new URL('../../../core/app/routes.c', import.meta.url), 'utf8').split('app_routes[] = {')[1].split('};')[0];
	const rows = [...source.matchAll(/\{"([A-Z]+)", (API )?"([^"]+)", ROLE_([A-Z]+),/g)];
	assert.ok(rows.length >= 20, 'the route table was read');
	return rows.map(([, method, api, path, role]) => ({ method, path: (api ? '/api/v1' : '') + path, role }));
}

let pg, agent, dashboard, session;

before(async () => {
	pg = await Postgres.start();
	agent = await Agent.start({ commands: COMMANDS });
	dashboard = await Dashboard.start({ agent, databaseUrl: pg.url });
	await dashboard.connected({ database: true });
	session = await dashboard.login();
});

after(async () => {
	await dashboard?.destroy();
	await agent?.destroy();
	await pg?.destroy();
});

async function makeToken(name, scopes, more = {}) {
	const answer = await session.post('/api/v1/tokens', { name, scopes, ...more });
	assert.equal(answer.status, 201, answer.text);
	return answer.json;
}

// A caller who has only this token.
function bearer(secret, at = dashboard) {
	const caller = at.session();
	const ask = caller.request.bind(caller);
	caller.request = (method, path, { headers = {}, body } = {}) => ask(method, path, { headers: { origin: null, authorization: `Bearer ${secret}`, ...headers }, body });
	return caller;
}

describe('the matrix of routes and callers', () => {
	const MAY = {
		PUBLIC: ['nobody', 'session', 'read', 'run', 'run:ok', 'admin', 'expired', 'revoked'],
		SESSION: ['session'],
		READ: ['session', 'read', 'run', 'admin'],
		START: ['session', 'run', 'run:ok', 'admin'],
		RUN: ['session', 'run', 'admin'],
		ADMIN: ['session', 'admin'],
		HOOK: [],
	};
	const callers = {};

	before(async () => {
		for (const scope of ['read', 'run', 'run:ok', 'admin', 'expired', 'revoked'])
			callers[scope] = await makeToken(`matrix-${scope.replace(':', '-')}`, [['expired', 'revoked'].includes(scope) ? 'admin' : scope]);
		await pg.psql(`update ops.api_tokens set expires_us = 1000 where id = '${callers.expired.token.id}'; select pg_notify('ops', 'tokens')`);
		assert.equal((await session.request('DELETE', `/api/v1/tokens/${callers.revoked.token.id}`)).status, 204);
		await until('the change to be heard of', async () => (await bearer(callers.expired.secret).get('/api/v1/catalog')).status === 401);
	});

	const send = async (caller, { method, path }, headers = {}) => {
		const real = path.replace(/\{\w+\}/g, '1');
		if (path.endsWith('/live')) {
			const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==', 'sec-websocket-protocol': 'ops.v1' };
			return caller.request('GET', real, { headers: { ...upgrade, ...headers } });
		}
		return method === 'GET' ? caller.request('GET', real, { headers }) :
			caller.request(method, real, { headers: { 'content-type': 'application/json', ...headers }, body: method === 'DELETE' ? undefined : '{}' });
	};

	it('POST /api/v1/hooks/{name} (HOOK): nobody is let in by anything but the signature', async () => {
		const hook = routes().filter((r) => r.role === 'HOOK');
		assert.deepEqual(hook.map((r) => r.path), ['/api/v1/hooks/{name}']);
		for (const who of ['nobody', 'session', 'read', 'run', 'run:ok', 'admin', 'expired', 'revoked']) {
			const caller = who === 'nobody' ? dashboard.session() : who === 'session' ? session : bearer(callers[who].secret);
			for (const origin of [dashboard.url, null, 'https://evil.example']) {
				const answer = await send(caller, hook[0], { origin });
				assert.equal(answer.status, 404, `${who}, origin ${origin}: ${answer.text}`);
			}
		}
	});

	for (const route of routes().filter((r) => r.role !== 'HOOK')) {
		it(`${route.method} ${route.path} (${route.role})`, async () => {
			for (const who of ['nobody', 'session', 'read', 'run', 'run:ok', 'admin', 'expired', 'revoked']) {
				let caller = who === 'nobody' ? dashboard.session() : who === 'session' ? session : bearer(callers[who].secret);
				if (who === 'nobody' && route.path.endsWith('/live')) caller.request = ((ask) => (m, p, o) => ask(m, p, { ...o, headers: { origin: dashboard.url, ...o.headers } }))(caller.request.bind(caller));
				if (who === 'session' && route.path.endsWith('/logout')) caller = await dashboard.login();
				if (who === 'session' && route.path.endsWith('/live')) {
					(await session.live()).destroy();
					continue;
				}
				// Without a session nobody signs in or out by this; public routes are not told apart by tokens.
				if (route.role === 'PUBLIC' && route.method !== 'GET' && !['nobody', 'session'].includes(who)) continue;
				const answer = await send(caller, route);
				if (!MAY[route.role].includes(who)) {
					const named = await send(caller, { ...route, path: `${route.path}?host=elsewhere` });
					assert.deepEqual([named.status, named.json.code, named.json.detail], [answer.status, answer.json.code, answer.json.detail], `${who}: host tells nothing`);
				}
				const said = `${who}: ${answer.status} ${answer.json?.code ?? ''}`;
				if (MAY[route.role].includes(who)) {
					assert.ok(!['origin_refused', 'scope_missing'].includes(answer.json?.code), said);
					// GET /session is the one public route that says 401 itself.
					if (!route.path.endsWith('/session')) assert.notEqual(answer.status, 401, said);
				} else if (['nobody', 'expired', 'revoked'].includes(who)) {
					assert.equal(answer.status, 401, said);
					assert.equal(answer.json.code, 'unauthenticated');
				} else {
					assert.equal(answer.status, 403, said);
					assert.equal(answer.json.code, 'scope_missing');
				}
			}
			if (route.method === 'GET' && !route.path.endsWith('/live')) return;
			for (const origin of [null, 'null', 'https://evil.example', `${dashboard.url}.evil.example`, `${dashboard.url}0`]) {
				if (route.path.endsWith('/live')) {
					await assert.rejects(session.live({ headers: { Origin: origin } }), (error) => error instanceof Refused && error.status === 403);
					continue;
				}
				const answer = await send(session, route, { origin });
				assert.equal(answer.status, 403, `origin ${origin}: ${answer.status}`);
				assert.equal(answer.json.code, 'origin_refused');
			}
		});
	}
});

describe('API tokens', () => {
	it('are shown once, kept as a hash, listed without their secret', async () => {
		const made = await makeToken('deploy', ['read', 'run:ok'], { expires_us: (Date.now() + 3600e3) * 1000 });
		assertIs('NewToken', made);
		assert.match(made.secret, /^opsd_[0-9a-f]{64}$/);
		const { json } = await session.get('/api/v1/tokens');
		assertIs('TokenList', json);
		assert.deepEqual(json.tokens.find((t) => t.name === 'deploy').scopes, ['read', 'run:ok']);
		assert.ok(!JSON.stringify(json).includes(made.secret));
		assert.equal(await pg.psql(`select encode(hash, 'hex') from ops.api_tokens where name = 'deploy'`), createHash('sha256').update(made.secret).digest('hex'));
		const all = await pg.psql('select * from ops.api_tokens');
		assert.ok(!all.includes(made.secret) && !dashboard.log().includes(made.secret));
	});

	it('start what their scope names, and nothing else', async () => {
		const caller = bearer((await makeToken('only-ok', ['run:ok', 'read'])).secret);
		const run = await caller.run('ok');
		assert.equal(run.actor, 'token:only-ok');
		assert.equal((await caller.get(`/api/v1/runs/${run.id}`)).status, 200);
		const refused = await caller.post('/api/v1/runs', { kind: 'command', id: 'other', inputs: {} });
		assert.deepEqual([refused.status, refused.json.code], [403, 'scope_missing']);
		assert.equal((await caller.post(`/api/v1/runs/${run.id}/rerun`, {})).status, 201);
		const other = await session.run('other');
		assert.equal((await caller.post(`/api/v1/runs/${other.id}/rerun`, {})).status, 403);
		// Not even as a plan.
		assert.equal((await caller.post('/api/v1/runs', { kind: 'command', id: 'other', inputs: {}, dry_run: true })).status, 403);
	});

	it('run what is dangerous only with a scope of its own', async () => {
		for (const scopes of [['run'], ['admin'], ['run:ok', 'run', 'admin']]) {
			const caller = bearer((await makeToken(`dangerous-${scopes.length}-${scopes[0].replace(':', '')}`, scopes)).secret);
			const answer = await caller.post('/api/v1/runs', { kind: 'command', id: 'drop', inputs: {} });
			assert.deepEqual([answer.status, answer.json.code], [403, 'scope_missing'], scopes.join());
		}
		await bearer((await makeToken('dropper', ['run:drop'])).secret).run('drop');
	});

	it('are good at once, also while the table is read again for others', async () => {
		for (let i = 0; i < 12; i++) {
			await Promise.all([0, 1, 2].map(async (k) => {
				const made = await makeToken(`quick-${i}-${k}`, ['read']);
				for (let n = 0; n < 5; n++) assert.equal((await bearer(made.secret).get('/api/v1/catalog')).status, 200, made.name);
				assert.equal((await session.request('DELETE', `/api/v1/tokens/${made.token.id}`)).status, 204);
			}));
		}
	});

	it('are refused when they make no sense', async () => {
		for (const body of [
			{ name: '', scopes: ['read'] }, { name: 'x'.repeat(65), scopes: ['read'] }, { name: 'a b', scopes: ['read'] }, { name: 'x', scopes: [] },
			{ name: 'x', scopes: ['write'] }, { name: 'x', scopes: ['run:'] }, { name: 'x', scopes: ['run:a b'] }, { name: 'x', scopes: 'read' }, { name: 'x', scopes: [1] },
			{ name: 'x', scopes: ['read'], expires_us: 1 }, { name: 'x', scopes: ['read'], expires_us: 'soon' }, { name: 'x', scopes: ['read'], more: 1 },
			{ name: 'x', scopes: Array.from({ length: 60 }, (_, i) => `run:command${i}`) }, { scopes: ['read'] },
		]) {
			const answer = await session.post('/api/v1/tokens', body);
			assert.equal(answer.status, 422, JSON.stringify(body));
		}
		assert.equal((await session.post('/api/v1/tokens', { name: 'deploy', scopes: ['read'] })).json.code, 'name_in_use');
	});

	it('hand on no more than they have', async () => {
		const admin = bearer((await makeToken('admin', ['admin'])).secret);
		assert.equal((await admin.post('/api/v1/tokens', { name: 'child', scopes: ['read', 'run'] })).status, 201);
		assert.deepEqual((await admin.post('/api/v1/tokens', { name: 'worse', scopes: ['read', 'run:drop'] })).json.code, 'scope_missing');
	});

	it('are made by a person only who gave the password lately', async () => {
		const now = Math.floor(Date.now() / 1000);
		const stale = dashboard.session({ ops_session: dashboard.forgeCookie({ created: now - 1000, seen: now }) });
		assert.equal((await stale.post('/api/v1/tokens', { name: 'stolen', scopes: ['read'] })).json.code, 'reauth_required');
	});

	it('judge a request alone: a cookie beside a bad token does not help', async () => {
		for (const authorization of ['Bearer nonsense', 'Bearer ', 'Basic YWRtaW46eA==', `Bearer opsd_${'0'.repeat(64)}`, ''])
			assert.equal((await session.get('/api/v1/catalog', { authorization })).status, 401, authorization);
	});

	it('say when they were last used', async () => {
		const made = await makeToken('used', ['read']);
		assert.equal(made.token.last_used_us, null);
		const earlier = Date.now() * 1000;
		await bearer(made.secret).get('/api/v1/catalog');
		const { json } = await session.get('/api/v1/tokens');
		assert.ok(json.tokens.find((t) => t.name === 'used').last_used_us >= earlier);
		await until('the database to know', async () => (await pg.psql(`select last_used_us is not null and last_used_address <> '' from ops.api_tokens where name = 'used'`)) === 't');
	});

	it('end their sockets when they are revoked or over', async () => {
		for (const how of ['revoked', 'over']) {
			const made = await makeToken(`live-${how}`, ['read']);
			const live = await bearer(made.secret).live({ headers: { Cookie: '', Origin: '', Authorization: `Bearer ${made.secret}` } });
			assert.ok(await live.subscribe('system').snapshot());
			if (how === 'revoked') await session.request('DELETE', `/api/v1/tokens/${made.token.id}`);
			else await pg.psql(`update ops.api_tokens set expires_us = 1000 where id = '${made.token.id}'; select pg_notify('ops', 'tokens')`);
			assert.equal(await live.waitClosed(), 4401);
		}
		assert.equal((await session.request('DELETE', `/api/v1/tokens/${'0'.repeat(8)}-0000-7000-8000-000000000000`)).status, 404);
	});

	it('work on while PostgreSQL is away, and say so when they cannot be checked', async () => {
		const made = await makeToken('lasting', ['read']);
		await pg.stop();
		try {
			assert.equal((await bearer(made.secret).get('/api/v1/catalog')).status, 200);
			assert.equal((await session.post('/api/v1/tokens', { name: 'later', scopes: ['read'] })).status, 503);
			assert.equal((await session.request('DELETE', `/api/v1/tokens/${made.token.id}`)).status, 503);
			await dashboard.restart();
			await dashboard.connected();
			const answer = await bearer(made.secret).get('/api/v1/catalog');
			assert.deepEqual([answer.status, answer.json.code], [503, 'tokens_unavailable']);
			assert.equal((await bearer('nonsense').get('/api/v1/catalog')).status, 401);
		} finally {
			await pg.startAgain();
		}
		await until('the token to be known again', async () => (await bearer(made.secret).get('/api/v1/catalog')).status === 200);
		session = await dashboard.login();
	});
});

describe('sessions', () => {
	it('are listed with where they are from, and ended one by one', async () => {
		const other = dashboard.session();
		await other.post('/api/v1/login', { user: dashboard.user, password: dashboard.password }, { 'user-agent': 'Mozilla/5.0 (a phone)\u00e9' });
		const live = await other.live();
		const { json } = await session.get('/api/v1/sessions');
		assertIs('SessionList', json);
		assert.equal(json.sessions.filter((s) => s.current).length, 1);
		const phone = json.sessions.find((s) => s.user_agent.startsWith('Mozilla/5.0 (a phone)'));
		assert.equal(phone.address, '127.0.0.1');
		assert.ok(!Object.values(other.cookies).some((cookie) => cookie.includes(phone.id)), 'the id gives nobody the cookie');
		assert.equal((await session.request('DELETE', `/api/v1/sessions/${phone.id}`)).status, 204);
		assert.equal(await live.waitClosed(), 4401);
		assert.equal((await other.get('/api/v1/catalog')).status, 401);
		assert.ok(!(await session.get('/api/v1/sessions')).json.sessions.some((s) => s.id === phone.id));
		await dashboard.restart();
		assert.equal((await other.get('/api/v1/catalog')).status, 401);
	});

	it('from before a restart are listed, and ended without having been seen again', async () => {
		const other = await dashboard.login();
		await until('it to be kept', async () => (await pg.psql('select count(*) from ops.sessions where revoked_us is null')) >= 2);
		await dashboard.restart();
		await dashboard.connected({ database: true });
		const { json } = await session.get('/api/v1/sessions');
		const found = json.sessions.filter((s) => !s.current);
		assert.ok(found.length >= 1);
		for (const one of found) assert.equal((await session.request('DELETE', `/api/v1/sessions/${one.id}`)).status, 204);
		assert.equal((await other.get('/api/v1/catalog')).status, 401);
		assert.equal((await session.get('/api/v1/catalog')).status, 200);
		for (const none of ['0'.repeat(64), 'x', '1']) assert.equal((await session.request('DELETE', `/api/v1/sessions/${none}`)).status, 404);
	});

	it('being asked for by somebody who left, while the database hangs, do not disturb the end', async () => {
		const lock = pg.psql('begin; lock table ops.sessions in access exclusive mode; select pg_sleep(600)').catch(() => {});
		const on = `from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'sessions'`;
		const socket = net.connect(dashboard.port, '127.0.0.1').on('error', () => {});
		try {
			await until('the lock', async () => Number(await pg.psql(`select count(*) ${on} and l.granted and l.mode = 'AccessExclusiveLock'`)) > 0);
			socket.write(`GET /api/v1/sessions HTTP/1.1\r\nHost: 127.0.0.1:${dashboard.port}\r\nCookie: ${session.cookie}\r\n\r\n`);
			await until('the question', async () => Number(await pg.psql(`select count(*) ${on} and not l.granted`)) > 0);
			socket.resetAndDestroy();
			assert.equal(await dashboard.stop(), 0, dashboard.log().slice(-3000));
		} finally {
			socket.destroy();
			await pg.psql(`select pg_terminate_backend(l.pid) ${on} and l.granted and l.mode = 'AccessExclusiveLock'`);
			await lock;
		}
		await dashboard.spawn();
		await dashboard.connected({ database: true });
	});

	it('ended at one dashboard are ended at the other one, which shares secret and database', async () => {
		const second = await Dashboard.start({ agent, databaseUrl: pg.url, env: { AUTH_SECRET: dashboard.env.AUTH_SECRET } });
		try {
			await second.connected({ database: true });
			const other = await dashboard.login();
			const there = second.session(other.cookies);
			assert.equal((await there.get('/api/v1/catalog')).status, 200);
			const live = await there.live();
			await other.post('/api/v1/logout', {});
			assert.equal(await live.waitClosed(), 4401);
			assert.equal((await there.get('/api/v1/catalog')).status, 401);
			// A token too.
			await session.post('/api/v1/session/reauth', { password: dashboard.password });
			const made = await makeToken('both', ['read']);
			await until('the other one to know it', async () => (await bearer(made.secret, second).get('/api/v1/catalog')).status === 200);
			await session.request('DELETE', `/api/v1/tokens/${made.token.id}`);
			await until('the other one to refuse it', async () => (await bearer(made.secret, second).get('/api/v1/catalog')).status === 401);
		} finally {
			await second.destroy();
		}
	});
});

describe('trying a TOTP secret', () => {
	it('says whether the code is right, and what to write down', async () => {
		const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
		const wrong = await session.post('/api/v1/totp/verify', { secret, code: 'abcdef' });
		assertIs('TotpVerifyAnswer', wrong.json);
		assert.deepEqual(wrong.json, { ok: false, line: `AUTH_TOTP_SECRET=${secret}` });
		for (const body of [{ secret: '1', code: '123456' }, { secret, code: 1 }, { secret }, { code: '1' }, { secret: 'A'.repeat(500), code: '123456' }])
			assert.equal((await session.post('/api/v1/totp/verify', body)).status, 422, JSON.stringify(body));
		assert.equal((await session.post('/api/v1/totp/verify', { secret, code: totp(secret) })).json.ok, true);
	});
});
