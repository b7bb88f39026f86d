// Who may speak to the agent and how: secrets, uids, malformed bytes, limits, reloads, start-up.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
	chmodSync, chownSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AGENT, Agent, sleep, until } from '../lib/agent.mjs';
import {
	AgentClient, AgentError, FRAME, GOAWAY, METHOD, Writer, encodeFrame, encodeRequest,
} from '../lib/agent-client.mjs';
import { commandsYml, makeScripts } from '../lib/commands.mjs';

const bin = makeScripts();

const refused = (status) => (error) => {
	assert.ok(error instanceof AgentError, String(error));
	assert.equal(error.status, status);
	return true;
};

describe('the agent guards its socket', { timeout: 600000 }, () => {
	let agent, client;

	before(async () => {
		agent = await Agent.start({ commands: commandsYml(bin) });
		client = await agent.connect();
	});
	after(() => agent.destroy());

	const connect = (secret) => AgentClient.connect(agent.socket, secret ?? agent.secret);

	it('keeps its worker in a sandbox', () => {
		const status = readFileSync(`/proc/${agent.workerPid}/status`, 'utf8');
		assert.match(status, /^NoNewPrivs:\t1$/m);
		assert.match(status, /^Seccomp:\t2$/m, 'a filter');
		assert.doesNotMatch(agent.log(), /worker\.no_sandbox/);
	});

	it('is told apart in lists of processes, without empty arguments behind its name', () => {
		const line = (pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').replace(/\0$/, '');
		assert.deepEqual([agent.monitor.pid, agent.workerPid].map(line), ['ops-agent serve', 'ops-agent worker']);
	});

	it('is for owner and group only', () => {
		assert.equal(statSync(agent.socket).mode & 0o777, 0o660);
		assert.equal(statSync(agent.stateDir).mode & 0o777, 0o750);
	});

	it('refuses a wrong secret, slowly, and writes it to the ledger', async () => {
		const events = await client.events();
		const other = await connect('correct-horse-battery-stapl');
		const begun = process.hrtime.bigint();
		await assert.rejects(other.hello(), refused('unauthorized'));
		assert.ok(process.hrtime.bigint() - begun > 900000000n, 'it was answered at once');
		const event = await events.until((e) => e.event === 'secret.wrong');
		assert.equal(event.uid, process.getuid());
		assert.equal(event.pid, process.pid);
		other.secret = agent.secret;
		await other.hello();
		other.destroy();
		events.close();
	});

	it('says goodbye after five wrong secrets', async () => {
		const other = await connect();
		for (let i = 0; i < 5; i++) await assert.rejects(other.hello({ secret: '' }));
		assert.equal((await other.whenClosed()).code, GOAWAY.UNAUTHORIZED);
	});

	it('checks the secret of every request, not of the first only', async () => {
		const other = await connect();
		await other.hello();
		await assert.rejects(other.open(METHOD.RUN_LIST, new Writer().u8(0).u16(1).str('').done(), { secret: 'x' }),
			refused('unauthorized'));
		other.destroy();
	});

	// Each opens a connection, sends something it should not, and is told why it must go.
	const offences = {
		'a frame of another version': [GOAWAY.VERSION, (c) => {
			const frame = encodeFrame(FRAME.PING, 0);
			frame[4] = 2;
			c.sendRaw(frame);
		}],
		'a frame with flags': [GOAWAY.MALFORMED, (c) => {
			const frame = encodeFrame(FRAME.PING, 0);
			frame[6] = 1;
			c.sendRaw(frame);
		}],
		'a frame of 4 GiB': [GOAWAY.TOO_LARGE, (c) => {
			const frame = encodeFrame(FRAME.REQUEST, 1);
			frame.writeUInt32LE(0xffffffff, 0);
			c.sendRaw(frame);
		}],
		'an HTTP request': [undefined, (c) => c.sendRaw(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))],
		'a request that is none': [GOAWAY.MALFORMED, (c) => c.send(FRAME.REQUEST, 1, Buffer.from([1]))],
		'a request on stream 0': [GOAWAY.PROTOCOL, (c) => c.send(FRAME.REQUEST, 0, encodeRequest(1, agent.secret))],
		'a request with trailing bytes': [GOAWAY.MALFORMED, (c) => c.send(FRAME.REQUEST, 1,
			encodeRequest(METHOD.HELLO, agent.secret, new Writer().u16(1).str('x').u8(0).done()))],
		'a request of 1 MiB': [GOAWAY.TOO_LARGE, (c) => c.send(FRAME.REQUEST, 1, Buffer.alloc(1 << 20))],
		'a ping of 65 bytes': [GOAWAY.TOO_LARGE, (c) => c.send(FRAME.PING, 0, Buffer.alloc(65))],
		'a response': [GOAWAY.PROTOCOL, (c) => c.send(FRAME.RESPONSE, 1, Buffer.alloc(8))],
		'a credit that is none': [GOAWAY.MALFORMED, (c) => c.send(FRAME.CREDIT, 1, Buffer.alloc(3))],
		'a frame type that is none': [GOAWAY.MALFORMED, (c) => c.send(99, 1)],
		'a start of an unknown kind of flags': [GOAWAY.MALFORMED, (c) => c.send(FRAME.REQUEST, 1,
			encodeRequest(METHOD.RUN_START, agent.secret,
				new Writer().u8(1).u8(0x80).str('speak').str('user:x').str('').str('').u16(0).done()))],
	};

	for (const [what, [code, offend]] of Object.entries(offences)) {
		it(`ends a connection that sends ${what}, and only that one`, async () => {
			const other = await connect();
			offend(other);
			const goaway = await other.whenClosed();
			if (code !== undefined) assert.equal(goaway?.code, code, JSON.stringify(goaway));
			await client.hello();
		});
	}

	it('does not harm a stream while others send torrents of nonsense', async () => {
		const { run } = await client.start('flood', { lines: 400000 });
		const worker = agent.workerPid;
		let going = true, torn = 0;
		const torrent = async (make) => {
			while (going) {
				await new Promise((resolve) => {
					const socket = net.connect(agent.socket);
					socket.on('error', () => {});
					socket.on('close', resolve);
					socket.on('data', () => {});
					socket.on('connect', () => { socket.write(make()); });
				});
				torn++;
			}
		};
		let seed = 1;
		const random = () => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return seed; };
		const noise = () => Buffer.from(Array.from({ length: 1 + random() % 4096 }, () => random() & 255));
		// nearly right: a good frame with one byte changed
		const nearly = () => {
			const frame = encodeFrame(FRAME.REQUEST, 1 + random() % 3,
				encodeRequest(random() % 24, agent.secret, Buffer.alloc(random() % 64)));
			frame[random() % Math.min(frame.length, 24)] ^= 1 << random() % 8;
			return Buffer.concat([frame, Buffer.alloc(4096, 0xff)]);
		};
		const torrents = [torrent(noise), torrent(nearly), torrent(noise)];
		const journal = await client.follow(run.id);
		await until('enough of them', () => torn > 300);
		going = false;
		await Promise.all(torrents);
		assert.equal(journal.bytes, 40000000);
		assert.equal(journal.finished.status, 'succeeded');
		assert.equal(agent.workerPid, worker, 'the worker is the same');
	});

	it('gives a slow client all it asks for and a fast one no delay', async () => {
		const { run } = await client.start('flood', { lines: 300000 });
		const slow = await connect();
		const tail = await slow.tail(run.id);
		tail.stream.credit(1 << 30);
		slow.socket.pause();
		await client.follow(run.id, 0, { verify: false });
		slow.socket.resume();
		let bytes = 0;
		for await (const chunk of tail) bytes += chunk.records.length;
		const document = await until('the final document', async () => {
			const found = await client.get(run.id);
			return found.finished_us && found;
		});
		assert.equal(bytes, document.size);
		slow.destroy();
	});

	it('takes 32 connections, and tells the next one', async () => {
		const others = [];
		for (let i = 0; i < 31; i++) others.push(await connect());
		await Promise.all(others.map((c) => c.hello()));
		const last = await connect();
		assert.equal((await last.whenClosed()).code, GOAWAY.LIMIT);
		others.forEach((c) => c.destroy());
		await until('room again', async () => {
			const c = await connect();
			try {
				await c.hello();
				return true;
			} catch {
				return false;
			} finally {
				c.destroy();
			}
		});
	});

	it('takes 256 streams on a connection, and not one more', async () => {
		const other = await connect();
		const { run } = await other.start('stay');
		for (let i = 0; i < 256; i++) await other.tail(run.id);
		await assert.rejects(other.hello());
		assert.equal((await other.whenClosed()).code, GOAWAY.LIMIT);
		await client.cancel(run.id);
		await client.follow(run.id);
	});

	it('refuses a uid that is not in OPS_AGENT_PEERS', { skip: process.getuid() !== 0 }, async () => {
		// the file's mode would keep it out already: the check behind it is what is tried
		chmodSync(agent.socket, 0o666);
		chmodSync(join(agent.dir, 'run'), 0o755);
		const script = `const s = require('net').connect(${JSON.stringify(agent.socket)});
			const parts = []; s.on('data', (d) => parts.push(d));
			s.on('close', () => { process.stdout.write(Buffer.concat(parts)); });`;
		const child = spawn(process.execPath, ['-e', script], { uid: 65534, gid: 65534, stdio: ['ignore', 'pipe', 'inherit'] });
		const parts = [];
		child.stdout.on('data', (d) => parts.push(d));
		await once(child, 'close');
		const answer = Buffer.concat(parts);
		assert.equal(answer[5], FRAME.GOAWAY);
		assert.equal(answer.readUInt16LE(16), GOAWAY.FORBIDDEN);
		const events = await client.events(0);
		assert.equal((await events.until((e) => e.event === 'peer.refused')).uid, 65534);
		events.close();
	});

	it('tells the ledger of what the monitor refuses in summaries, not one by one', async () => {
		const maintenance = (on) => client.call(METHOD.MAINTENANCE, new Writer().u8(on).str('user:test').str('a pause').done());
		await maintenance(1);
		const start = (await client.hello()).ledgerPosition;
		for (let i = 0; i < 40; i++) await assert.rejects(client.start('speak'), refused('forbidden'));
		const events = await client.events(start);
		const told = [];
		for (let n = 0; n < 40; n += told.at(-1).count) told.push(await events.until((e) => e.event === 'request.refused'));
		events.close();
		await maintenance(0);
		assert.equal(told.reduce((sum, e) => sum + e.count, 0), 40);
		assert.ok(told.length <= 4, `${told.length} events`);
		assert.equal(told.at(-1).reason, 'maintenance: a pause');
		assert.equal(told.at(-1).uid, process.getuid());
	});

	it('closes a connection that asks nothing for ten seconds', async () => {
		const silent = await connect(), half = await connect(), late = await connect();
		await late.hello();
		half.sendRaw(encodeFrame(FRAME.REQUEST, 1, encodeRequest(1, agent.secret)).subarray(0, 20));
		late.sendRaw(encodeFrame(FRAME.REQUEST, 99, encodeRequest(1, agent.secret)).subarray(0, 20));
		assert.equal((await silent.whenClosed()).code, GOAWAY.TIMEOUT);
		assert.equal((await half.whenClosed()).code, GOAWAY.TIMEOUT);
		assert.equal((await late.whenClosed()).code, GOAWAY.TIMEOUT);
	});
});

describe('configuration', { timeout: 600000 }, () => {
	let agent, client;

	before(async () => {
		agent = await Agent.start({ commands: commandsYml(bin) });
		client = await agent.connect();
	});
	after(() => agent.destroy());

	it('is replaced by a reload, and running runs keep theirs', async () => {
		const old = (await client.hello()).configDigest;
		agent.configure({ commands: `${commandsYml(bin)}  more:\n    title: More\n    exec: [${bin}/speak, "0"]\n` });
		const digest = await client.reload();
		assert.notEqual(digest, old);
		assert.ok((await client.catalog()).commands.some((c) => c.id === 'more'));
		const { run } = await client.start('more');
		assert.equal(run.config_digest, digest);
		assert.equal((await client.follow(run.id)).finished.status, 'succeeded');
	});

	it('stays when the new one is broken, which everybody is told', async () => {
		const good = readFileSync(join(agent.configDir, 'commands.yml'), 'utf8');
		const events = await client.events();
		agent.configure({ commands: `${good}  broken:\n    title: Broken\n    exce: [/bin/true]\n` });
		await assert.rejects(client.reload(), (error) => {
			refused('invalid_input')(error);
			assert.match(error.problems[0].name, /commands\.yml:\d+:\d+$/);
			return true;
		});
		assert.equal((await events.until((e) => e.event === 'config.refused')).actor, 'user:test');
		const catalog = await client.catalog();
		assert.match(catalog.config_error, /commands\.yml:\d+:\d+: /);
		const { run } = await client.start('more');
		assert.equal((await client.follow(run.id)).finished.status, 'succeeded');
		agent.configure({ commands: good });
		await client.reload();
		assert.equal((await client.catalog()).config_error, undefined);
	});

	it('is read again on SIGHUP, old set kept when broken', async () => {
		const events = await client.events();
		const good = readFileSync(join(agent.configDir, 'commands.yml'), 'utf8');
		agent.configure({ commands: 'version: 1\n' });
		process.kill(agent.monitor.pid, 'SIGHUP');
		await events.until((e) => e.event === 'config.refused');
		assert.ok((await client.catalog()).commands.length > 0);
		agent.configure({ commands: good });
		process.kill(agent.monitor.pid, 'SIGHUP');
		await events.until((e) => e.event === 'config.loaded');
		events.close();
	});

	it('includes the secret: a new one counts after a reload', async () => {
		// on SIGHUP just before, the worker may still be about to read the files again
		await client.reload();
		writeFileSync(agent.secretPath, 'another-secret-of-some-length\n');
		await client.reload();
		const old = await agent.connect();
		await assert.rejects(old.hello(), refused('unauthorized'));
		old.destroy();
		client.secret = agent.secret = 'another-secret-of-some-length';
		await client.hello();
	});
});

describe('starting', { timeout: 600000 }, () => {
	const tryStart = (agent, env = {}) => spawnSync(AGENT, ['serve'], {
		env: { ...agent.env, ...env }, encoding: 'utf8', timeout: 30000,
	});

	it('is refused with every error named when something is not in order', async () => {
		const agent = await Agent.start({ commands: commandsYml(bin) });
		const busy = tryStart(agent);
		assert.equal(busy.status, 75);
		assert.match(busy.stderr, /another agent/);
		await agent.stop();
		assert.throws(() => statSync(agent.socket), 'the socket is removed at the end');

		chmodSync(agent.secretPath, 0o644);
		const loose = tryStart(agent);
		assert.equal(loose.status, 78);
		assert.match(loose.stderr, /chmod 0640/);
		chmodSync(agent.secretPath, 0o600);

		agent.configure({ commands: 'version: 1\ncommands:\n  a: { title: A, exce: [/bin/true] }\n  b: { titel: B }\n' });
		const broken = tryStart(agent);
		assert.equal(broken.status, 78);
		assert.match(broken.stderr, /commands\.yml:3:\d+: .*exce/);
		assert.match(broken.stderr, /commands\.yml:4:\d+: .*titel/);
		agent.configure({ commands: commandsYml(bin) });

		assert.match(tryStart(agent, { OPS_AGENT_PEERS: '10001,x' }).stderr, /OPS_AGENT_PEERS/);

		// what is not a stale socket of ours stays
		writeFileSync(agent.socket, 'precious');
		const file = tryStart(agent);
		assert.equal(file.status, 1);
		assert.equal(readFileSync(agent.socket, 'utf8'), 'precious');
		unlinkSync(agent.socket);
		symlinkSync(agent.secretPath, agent.socket);
		assert.equal(tryStart(agent).status, 1);
		unlinkSync(agent.socket);

		// a stale one goes
		const server = net.createServer().listen(agent.socket);
		await once(server, 'listening');
		assert.equal(tryStart(agent).status, 75);
		server.unref();
		const child = spawn(process.execPath, ['-e',
			`require('net').createServer().listen(${JSON.stringify(`${agent.socket}2`)}, () => process.kill(process.pid, 'SIGKILL'))`]);
		await once(child, 'close');
		agent.socket += '2';
		agent.env.OPS_AGENT_SOCKET = agent.socket;
		await agent.spawn();
		server.close();
		await agent.destroy();
	});

	it('gives the worker an account that can read runs and change nothing', { skip: process.getuid() !== 0 }, async () => {
		const agent = await Agent.start({ commands: commandsYml(bin) });
		await agent.stop();
		rmSync(agent.stateDir, { recursive: true });
		rmSync(join(agent.dir, 'run'), { recursive: true });
		chownSync(agent.secretPath, 0, 65534);
		chmodSync(agent.secretPath, 0o640);
		agent.env.OPS_AGENT_USER = 'nobody';
		await agent.spawn();
		const status = readFileSync(`/proc/${agent.workerPid}/status`, 'utf8');
		assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
		assert.match(status, /^Gid:\t65534\t65534\t65534\t65534$/m);
		assert.match(status, /^NoNewPrivs:\t1$/m);
		assert.match(status, /^CapEff:\t0+$/m);
		const client = await agent.connect();
		const { run } = await client.start('ticks', { n: 3 });
		const journal = await client.follow(run.id);
		assert.equal(journal.text(), 'tick 0\ntick 1\ntick 2\n');
		await client.reload();
		assert.equal((await client.catalog()).config_error, undefined);
		const dir = join(agent.stateDir, 'runs', run.id);
		assert.equal(statSync(dir).uid, 0);
		assert.equal(statSync(dir).gid, 65534);
		assert.equal(statSync(dir).mode & 0o777, 0o750);
		for (const name of readdirSync(dir)) assert.equal(statSync(join(dir, name)).uid, 0, name);
		client.destroy();
		await agent.destroy();
	});

	it('cuts a torn ledger and goes on', async () => {
		const agent = await Agent.start({ commands: commandsYml(bin) });
		await agent.stop();
		const ledger = join(agent.stateDir, 'ledger');
		const bytes = readFileSync(ledger);
		writeFileSync(ledger, bytes.subarray(0, bytes.length - 7));
		await agent.restart();
		const client = await agent.connect();
		const events = await client.events(0);
		assert.equal((await events.until((e) => e.event === 'ledger.cut')).reason, 'it ends within a record');
		await sleep(0);
		client.destroy();
		await agent.destroy();
	});

	it('keeps numbers growing when the counter is lost', async () => {
		const agent = await Agent.start({ commands: commandsYml(bin) });
		const client = await agent.connect();
		const first = (await client.start('speak')).run.number;
		await agent.stop();
		unlinkSync(join(agent.stateDir, 'number'));
		await agent.restart();
		const again = await agent.connect();
		assert.equal((await again.start('speak')).run.number, first + 1);
		again.destroy();
		await agent.destroy();
	});
});
