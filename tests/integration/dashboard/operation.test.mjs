// What an administrator does to the daemon: its file of settings, SIGHUP, and what it says of itself.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { until } from '../lib/agent.mjs';
import { Dashboard, DASHBOARD, passwordHash, PASSWORD, request } from '../lib/dashboard.mjs';
import { FakeAgent } from '../lib/fake-agent.mjs';

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
		write({ LOG_LEVEL: 'debug', TRUSTED_PROXIES: '127.0.0.1', PUBLIC_ORIGIN: 'https://ops.example.org', STATE_DIR: join(dir, 'elsewhere') });
		await hangup('config.reloaded');
		const ask = (headers) => request(dashboard, 'GET', '/api/v1/openapi.json', { headers });
		assert.equal((await ask({})).status, 421);
		const answer = await ask({ host: 'ops.example.org', 'x-forwarded-for': '192.0.2.1, 192.0.2.77' });
		assert.equal(answer.status, 200);
		assert.match(answer.headers['strict-transport-security'], /max-age/);
		await until('the access log', () => dashboard.log().includes('remote=192.0.2.77'));
		assert.ok(dashboard.log().includes('web.conn.closed'), 'debug lines');
		assert.match(dashboard.log(), /config\.needs_restart name=STATE_DIR/);
	});

	it('the environment wins over the file', async () => {
		write({ LISTEN: '127.0.0.1:1', NO_SUCH_SETTING: '1' });
		await hangup('config.reloaded');
		assert.ok(!dashboard.log().includes('name=LISTEN'), 'that of the environment is unchanged');
		assert.match(dashboard.log(), /NO_SUCH_SETTING is not a setting/);
	});
});
