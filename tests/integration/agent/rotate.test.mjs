// A new secret while everything runs: nobody who has the old one or the new one is refused before the
// old one's time is over, and afterwards everybody is who only has the old one.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
	chmodSync, chownSync, existsSync, readFileSync, renameSync, statSync, symlinkSync, unlinkSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Agent, OPSCTL, until } from '../lib/agent.mjs';
import { GOAWAY, METHOD, Writer } from '../lib/agent-client.mjs';

const commands = `version: 1
commands:
  t: { title: t, exec: [/bin/true] }
`;
const isRoot = userInfo().uid === 0;

describe('a new secret', { timeout: 600000 }, () => {
	let agent;

	beforeEach(async () => { agent = await Agent.start({ commands }); });
	afterEach(() => agent.destroy());

	const inFile = () => readFileSync(agent.secretPath, 'utf8').trim();
	const oldFile = () => join(agent.stateDir, 'secret.old');
	async function ask(secret) {
		const client = await agent.connect(secret);
		try {
			await client.hello();
		} finally {
			client.destroy();
		}
	}
	const isRefused = (secret) => ask(secret).then(() => false, (error) => {
		if (error.status !== 'unauthorized') throw error;
		return true;
	});
	async function rotate(...options) {
		const { code, stdout, stderr } = await agent.opsctl('rotate-secret', ...options);
		assert.equal(code, 0, stderr);
		return stdout;
	}
	// Goes on asking until it is told to stop; rejects with the first refusal.
	function loop(secretNow) {
		let on = true, n = 0;
		const done = (async () => {
			while (on) { await ask(secretNow()); n++; }
			return n;
		})();
		done.catch(() => {});
		return async () => { on = false; return done; };
	}

	it('refuses nobody who has the old or the new one meanwhile', async () => {
		for (let round = 0; round < 3; round++) {
			const old = inFile();
			const holder = await agent.connect(old);
			await holder.hello();
			const stops = [loop(() => old), loop(inFile), loop(inFile)];
			await rotate('--grace', '1h');
			assert.notEqual(inFile(), old);
			assert.match(inFile(), /^[0-9a-f]{64}$/);
			const seen = [];
			for (let i = 0; i < 8; i++) { await holder.hello(); seen.push(ask(old), ask(inFile())); }
			await Promise.all(seen);
			for (const stop of stops) assert.ok(await stop() > 0, 'it asked all the while');
			await rotate('--now');
			assert.equal((await holder.whenClosed()).code, GOAWAY.UNAUTHORIZED, 'who never came with the new one is sent away');
			assert.ok(await isRefused(old));
			await ask(inFile());
			await until('the old one to be gone', () => !existsSync(oldFile()));
		}
	});

	it('ends the old one in time', async () => {
		const holder = await agent.connect();
		await holder.hello();
		await rotate('--grace', '1s');
		assert.equal((await holder.whenClosed()).code, GOAWAY.UNAUTHORIZED, 'who never came with the new one is sent away');
		assert.ok(await isRefused(agent.secret));
		await ask(inFile());
		await until('the old one to be gone', () => !existsSync(oldFile()));
	});

	it('keeps those connected who came with the new one meanwhile', async () => {
		const client = await agent.connect();
		await client.hello();
		await rotate('--grace', '1s');
		await client.hello({ secret: inFile() });
		await until('the old one to be refused', () => isRefused(agent.secret));
		await client.hello({ secret: inFile() });
		assert.equal(client.closed, null);
		client.destroy();
	});

	it('--now ends the old one, and every connection that came with it, at once', async () => {
		const listener = await agent.connect();
		await listener.events();
		assert.match(await rotate('--now'), /the old one is refused from now on/);
		assert.equal((await listener.whenClosed()).code, GOAWAY.UNAUTHORIZED);
		assert.ok(await isRefused(agent.secret));
		await ask(inFile());
		assert.ok(!(existsSync(oldFile()) && readFileSync(oldFile(), 'utf8').includes(agent.secret)), 'it is kept nowhere');
	});

	it('ends the old one also when who asked for it has gone before the answer', async () => {
		const client = await agent.connect();
		const closed = () => agent.log().split('client.closed').length;
		const before = closed();
		agent.monitor.kill('SIGSTOP');
		try {
			client.open(METHOD.SECRET_ROTATE, new Writer().str(`opsctl:${userInfo().uid}`).u32(0).done()).catch(() => {});
			await client.ping();
			client.destroy();
			await until('the worker to see it go', () => closed() > before);
			assert.equal(inFile(), agent.secret);
		} finally {
			agent.monitor.kill('SIGCONT');
		}
		await until('the new one', () => inFile() !== agent.secret);
		// without it nothing in the files tells the worker any more
		await until('the end of the word to the worker', () => !existsSync(oldFile()));
		assert.ok(await isRefused(agent.secret));
		await ask(inFile());
	});

	it('an agent that is restarted, or killed, still knows the old one, and when it ends', async () => {
		await rotate('--grace', '1h');
		const fresh = inFile(), old = agent.secret;
		const kept = readFileSync(oldFile(), 'utf8');
		agent.secret = fresh;
		await agent.restart();
		await ask(old);
		await agent.kill9Both();
		await agent.spawn();
		await ask(old);
		await ask(fresh);
		// the hour goes on; here its end is brought near
		assert.equal(readFileSync(oldFile(), 'utf8'), kept);
		const [from, end] = kept.split('\n').map(Number);
		assert.equal(end - from, 3600e6);
		await agent.kill9Both();
		writeFileSync(oldFile(), kept.replace(`\n${end}\n`, `\n${Date.now() * 1000 + 1e6}\n`));
		await agent.spawn();
		await until('the end of the old one', () => isRefused(old));
		await ask(fresh);
		await agent.stop();
		await agent.spawn();
		assert.ok(await isRefused(old), 'and it does not come back');
		assert.ok(!existsSync(oldFile()));
	});

	it('an old one whose time ended while no agent ran is not good any more', async () => {
		await rotate('--grace', '1s');
		const old = agent.secret, fresh = inFile();
		await agent.stop();
		const { mtimeMs } = statSync(oldFile());
		await until('its end', () => Date.now() > mtimeMs + 1100);
		agent.secret = fresh;
		await agent.spawn();
		assert.ok(await isRefused(old));
	});

	it('keeps mode, owner and group of the file', { skip: !isRoot && 'needs root' }, async () => {
		chmodSync(agent.secretPath, 0o640);
		chownSync(agent.secretPath, 0, 65534);
		await rotate('--now');
		const { uid, gid, mode } = statSync(agent.secretPath);
		assert.deepEqual([uid, gid, mode & 0o7777], [0, 65534, 0o640]);
		assert.ok(!existsSync(`${agent.secretPath}.new`));
	});

	it('is in the ledger, without any secret; nor is one in the log', async () => {
		await rotate('--grace', '5m');
		const client = await agent.connect(inFile());
		const events = await client.events(0);
		const event = await events.until((e) => e.event === 'secret.rotated');
		assert.equal(event.actor, `opsctl:${userInfo().uid}`);
		assert.ok(event.old_valid_until_us > Date.now() * 1000);
		client.destroy();
		for (const text of [readFileSync(join(agent.stateDir, 'ledger'), 'latin1'), agent.log()])
			for (const secret of [agent.secret, inFile()]) assert.ok(!text.includes(secret));
	});

	it('a second one has to wait for the first, or take both away', async () => {
		await rotate('--grace', '5m');
		const { code, stderr } = await agent.opsctl('rotate-secret');
		assert.notEqual(code, 0);
		assert.match(stderr, /still good: wait until it is not, or take both away at once with --now/);
		await ask(agent.secret);
		const second = inFile();
		await rotate('--now');
		assert.ok(await isRefused(agent.secret));
		assert.ok(await isRefused(second));
		await ask(inFile());
	});

	it('is for root and the agent\'s own user through opsctl: no other actor, and no other uid', async () => {
		const before = inFile();
		const client = await agent.connect();
		for (const actor of ['user:admin', 'token:ci', 'hook:x', 'opsctl:12345', ''])
			await assert.rejects(client.call(METHOD.SECRET_ROTATE, new Writer().str(actor).u32(0).done()), { status: 'forbidden' }, actor);
		await assert.rejects(client.call(METHOD.SECRET_ROTATE, new Writer().str(`opsctl:${userInfo().uid}`).u32(0xffffffff).done()), { status: 'limit' });
		client.destroy();
		assert.equal(inFile(), before);
	});

	it('nor for a peer that may connect and has the secret', { skip: !isRoot && 'needs root' }, async () => {
		agent.env.OPS_AGENT_PEERS = '65534';
		await agent.restart();
		chmodSync(agent.socket, 0o666);
		chmodSync(join(agent.dir, 'run'), 0o755);
		chownSync(agent.secretPath, 0, 65534);
		chmodSync(agent.secretPath, 0o640);
		const before = inFile();
		const asNobody = (...args) => spawnSync(OPSCTL, args, { env: agent.env, uid: 65534, gid: 65534, encoding: 'utf8' });
		assert.equal(asNobody('status').status, 0, 'it may ask');
		const { status, stderr } = asNobody('rotate-secret', '--now');
		assert.equal(status, 77);
		assert.match(stderr, /only root, or the user the agent runs as, may change the secret/);
		assert.equal(inFile(), before);
	});

	it('says why it cannot, and then nothing has changed', async () => {
		renameSync(agent.secretPath, `${agent.secretPath}.real`);
		symlinkSync(`${agent.secretPath}.real`, agent.secretPath);
		const { code, stdout } = await agent.opsctl('rotate-secret', '--json');
		assert.notEqual(code, 0);
		assert.match(JSON.parse(stdout).error.message, /is not a regular file, so it cannot be replaced/);
		assert.ok(!existsSync(oldFile()));
		unlinkSync(agent.secretPath);
		renameSync(`${agent.secretPath}.real`, agent.secretPath);
		await ask(agent.secret);
	});

	it('opsctl tells what it does not understand, and speaks JSON', async () => {
		for (const grace of ['0s', '8d', 'soon', '1500ms', '']) {
			const { code, stderr } = await agent.opsctl('rotate-secret', '--grace', grace);
			assert.equal(code, 64, grace);
			assert.match(stderr, /--grace takes a duration from 1s to 7d/);
		}
		assert.equal((await agent.opsctl('rotate-secret', '--now', '--grace', '1m')).code, 64);
		const said = JSON.parse(await rotate('--grace', '7d', '--json'));
		assert.equal(said.secret_path, agent.secretPath);
		assert.ok(Math.abs(said.old_valid_until_us / 1e6 - Date.now() / 1000 - 7 * 86400) < 600);
	});
});
