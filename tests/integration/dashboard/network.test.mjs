// What the way between browser and dashboard may do, what the clock may do, and what the kernel may answer: a viewer
// still ends with every byte of the log, once.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BUILD_DIR, sleep, until } from '../lib/agent.mjs';
import { Dashboard, Live, Refused, request } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';
import { Proxy } from '../lib/proxy.mjs';

const sha = (bytes) => createHash('sha256').update(bytes).digest('hex');

// A finished run whose records have every size from tiny to full.
function makeRun(agent, blocks = 12) {
	const run = agent.add(new FakeRun());
	for (let i = 0; i < blocks; i++) {
		run.output(`line ${i}\n`);
		run.output(Buffer.alloc(1 + ((i * 7919) % 60000), `${i} of these\n`));
	}
	return run.finish();
}

// Follows a log over whatever connections it takes, going on at its offset after each loss; returns all of it.
async function follow(session, run, port, lost = () => {}) {
	const parts = [];
	let offset = 0, tries = 0;
	for (;;) {
		assert.ok(++tries < 500, 'it gets there');
		let live, sub;
		try {
			live = await Live.connect(session, { port });
			sub = live.subscribe(`run/${run.id}/log`, { offset });
			await sub.until('its end', () => {
				for (const chunk of sub.chunks.splice(0)) {
					assert.equal(chunk.offset, offset, 'records follow each other');
					parts.push(chunk.records);
					offset += chunk.records.length;
				}
				return sub.end;
			});
			assert.deepEqual(sub.end, { offset: run.size, reason: 1 });
			return Buffer.concat(parts);
		} catch (error) {
			if (!(error instanceof Refused) && !/^closed/.test(error.message)) throw error;
			await lost(tries);
		} finally {
			live?.destroy();
		}
	}
}

// A viewer that says nothing is given up after most of a minute: begun before the other tests, looked at after them.
async function pullTheCable() {
	const agent = await FakeAgent.start();
	const dashboard = await (await Dashboard.start({ agent })).connected();
	const session = await dashboard.login();
	const proxy = await Proxy.start(dashboard.port);
	try {
		const run = agent.add(new FakeRun());
		const gone = await Live.connect(session, { port: proxy.port });
		await gone.subscribe(`run/${run.id}/log`, { offset: 0 }).snapshot();
		const sockets = async () => Number(/^ops_dashboard_live_sockets \d+/m.exec((await session.get('/metrics')).text)[0].split(' ')[1]);
		assert.equal(await sockets(), 1);
		proxy.stall();
		const live = await session.live();
		const sub = live.subscribe(`run/${run.id}/log`, { offset: 0 });
		await sub.snapshot();
		await until('the dead one to be gone', async () => (await sockets()) === 1);
		agent.changed(run.output('still here\n').finish());
		assert.deepEqual(await sub.ended(), { offset: run.size, reason: 1 });
		live.destroy();
	} finally {
		await proxy.close();
		await dashboard.destroy();
		await agent.destroy();
	}
}

let pulled;
before(() => {
	pulled = pullTheCable();
	pulled.catch(() => {}); // its test says so
});

describe('the way to the dashboard', () => {
	let agent, dashboard, session, proxy;

	before(async () => {
		agent = await FakeAgent.start();
		dashboard = await (await Dashboard.start({ agent })).connected();
		session = await dashboard.login();
	});
	after(async () => {
		await proxy?.close();
		await dashboard.destroy();
		await agent.destroy();
	});

	it('a connection reset after N bytes, again and again: the log goes on at its offset', async () => {
		const run = makeRun(agent);
		proxy = await Proxy.start(dashboard.port);
		const budgets = [1, 10, 200, 1000, 5000, 65536, 65537, 100000, 150000, 200000];
		proxy.resetDown(budgets.shift());
		const bytes = await follow(session, run, proxy.port, () => proxy.resetDown(budgets.shift() ?? Infinity));
		assert.equal(sha(bytes), sha(run.journal));
		assert.ok(proxy.resets >= 5, `${proxy.resets} resets`);
		await proxy.close();
	});

	it('every byte by itself, both ways', async () => {
		const run = makeRun(agent, 2);
		proxy = await Proxy.start(dashboard.port, { bytewise: true });
		assert.equal(sha(await follow(session, run, proxy.port)), sha(run.journal));
		await proxy.close();
	});
});

describe('the clock', { skip: process.env.ASAN_OPTIONS !== undefined && 'its library does not go with that of the sanitizer' }, () => {
	const YEAR = 365 * 86400;
	const shifted = (seconds) => ({ LD_PRELOAD: join(BUILD_DIR, 'tests/tools/libshift-clock.so'), SHIFT_CLOCK_S: String(seconds) });

	for (const [name, seconds] of [['ten years ahead', 10 * YEAR], ['ten years back', -10 * YEAR]]) {
		it(`${name} after a restart: old sessions are over, a new one works, a log is whole`, async () => {
			const agent = await FakeAgent.start();
			const dashboard = await (await Dashboard.start({ agent })).connected();
			try {
				const old = await dashboard.login();
				assert.equal((await old.get('/api/v1/session')).status, 200);
				await dashboard.stop();
				Object.assign(dashboard.env, shifted(seconds));
				await dashboard.spawn();
				await dashboard.connected();
				assert.equal((await old.get('/api/v1/session')).status, 401, 'neither immortal nor from the future');
				const session = await dashboard.login();
				assert.equal((await session.get('/api/v1/session')).status, 200);
				const run = agent.add(new FakeRun());
				const live = await session.live();
				const sub = live.subscribe(`run/${run.id}/log`, { offset: 0 });
				await sub.snapshot();
				for (let i = 0; i < 3; i++) agent.changed(run.output(`line ${i}\n`));
				agent.changed(run.finish());
				assert.deepEqual(await sub.ended(), { offset: run.size, reason: 1 });
				assert.equal(sha(Buffer.concat(sub.chunks.map((c) => c.records))), sha(run.journal));
				live.destroy();
			} finally {
				await dashboard.destroy();
				await agent.destroy();
			}
		});
	}
});

describe('the clock is set while it runs', { skip: process.env.ASAN_OPTIONS !== undefined && 'its library does not go with that of the sanitizer' }, () => {
	it('ten years ahead and ten years back: logs go on, and sessions are as old as the calendar says', async () => {
		const dir = mkdtempSync(join(tmpdir(), 'ops-clock-'));
		const set = (seconds) => {
			const bytes = Buffer.alloc(8);
			bytes.writeBigInt64LE(BigInt(seconds));
			writeFileSync(join(dir, 'shift'), bytes, { flag: 'r+' });
		};
		writeFileSync(join(dir, 'shift'), Buffer.alloc(8));
		const agent = await FakeAgent.start();
		const dashboard = await (await Dashboard.start({ agent, env: { LD_PRELOAD: join(BUILD_DIR, 'tests/tools/libshift-clock.so'), SHIFT_CLOCK_FILE: join(dir, 'shift') } })).connected();
		try {
			for (const seconds of [10 * 365 * 86400, -10 * 365 * 86400]) {
				set(0);
				const session = await dashboard.login();
				const run = agent.add(new FakeRun());
				const live = await session.live();
				const sub = live.subscribe(`run/${run.id}/log`, { offset: 0 });
				await sub.snapshot();
				agent.changed(run.output('before\n'));
				await sub.until('what came before', () => sub.bytes === run.size);
				set(seconds);
				assert.equal((await session.get('/api/v1/session')).status, 401, 'neither immortal nor from the future');
				const again = await dashboard.login();
				assert.equal((await again.get('/api/v1/session')).status, 200);
				const other = await again.live();
				const whole = other.subscribe(`run/${run.id}/log`, { offset: 0 });
				await whole.snapshot();
				agent.changed(run.output('after\n').finish());
				assert.deepEqual(await whole.ended(), { offset: run.size, reason: 1 });
				assert.equal(sha(Buffer.concat(whole.chunks.map((c) => c.records))), sha(run.journal));
				for (const one of [live, other]) one.destroy();
			}
			set(0);
			assert.equal((await dashboard.login()).dashboard, dashboard);
		} finally {
			await dashboard.destroy();
			await agent.destroy();
			rmSync(dir, { recursive: true, force: true });
		}
	});
});

// strace makes system calls of the dashboard fail. `when` leaves the start alone, where a failure is told by its end.
const FAULTS = {
	'reads interrupted': 'read:error=EINTR:when=75+3',
	'writes interrupted': 'write,writev,sendmsg:error=EINTR:when=20+3',
	'the socket takes nothing now': 'writev,sendmsg:error=EAGAIN:when=10+3',
	'waiting interrupted': 'epoll_wait,epoll_pwait:error=EINTR:when=20+5',
	'no descriptors for a while': 'accept4:error=EMFILE:when=4..8',
	'a connection that is gone before it is accepted': 'accept4:error=ECONNABORTED:when=4+3',
	'closing fails': 'close:error=EIO:when=60+3',
	'no room for the state': 'fdatasync:error=ENOSPC:when=1+1',
	'the peer is gone while it is written to': 'writev,sendmsg:error=EPIPE:when=5+20',
	'writing takes its time': 'writev,sendmsg:delay_exit=20000:when=5+5',
	'the source of chance interrupted': 'getrandom:error=EINTR:when=3+2',
};

describe('what the kernel answers', { skip: process.env.ASAN_OPTIONS !== undefined && 'strace and LeakSanitizer exclude each other' }, () => {
	for (const [name, fault] of Object.entries(FAULTS)) {
		it(`${name}: nothing crashes, nothing is lost`, { timeout: 600000 }, async () => {
			const dir = mkdtempSync(join(tmpdir(), 'ops-strace-'));
			const agent = await FakeAgent.start();
			const calls = fault.split(':')[0];
			let dashboard;
			try {
				dashboard = await Dashboard.start({ agent, wrap: ['strace', '-D', '-f', '-qq', '-o', join(dir, 'calls'), '-e', `trace=${calls}`, '-e', `inject=${fault}`] });
				await dashboard.connected();
				const run = makeRun(agent);
				const session = dashboard.session();
				const login = await until('to be signed in', async () => {
					const answer = await session.post('/api/v1/login', { user: dashboard.user, password: dashboard.password }).catch(() => null);
					return answer?.status === 200 && answer;
				});
				assert.equal(login.status, 200);
				for (let i = 0; i < 3; i++) assert.equal(sha(await follow(session, run, dashboard.port, () => sleep(20))), sha(run.journal));
				await until('it to answer', () => request(dashboard, 'GET', '/healthz').then((r) => r.status === 200, () => false));
				assert.ok(dashboard.isAlive);
				const out = await until('an answer to signing out', () => session.post('/api/v1/logout', {}).catch(() => null));
				if (out.status < 300) assert.equal((await until('an answer', () => session.get('/api/v1/session').catch(() => null))).status, 401);
				assert.equal(await dashboard.stop(), 0, dashboard.log());
				const injected = readFileSync(join(dir, 'calls'), 'latin1').split('\n').filter((line) => /INJECTED|DELAYED/.test(line)).length;
				assert.ok(injected > 0, 'the fault never came');
			} finally {
				await dashboard?.destroy();
				await agent.destroy();
				rmSync(dir, { recursive: true, force: true });
			}
		});
	}

	it('no memory for a password: it is neither right nor wrong, and no try', async () => {
		const agent = await FakeAgent.start();
		const dashboard = await Dashboard.start({ agent });
		let strace;
		try {
			const attempt = async (password) => (await dashboard.session().post('/api/v1/login', { user: dashboard.user, password })).status;
			assert.equal(await attempt(dashboard.password), 200);
			// Each other request for as much is refused from now on.
			strace = spawn('strace', ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=mmap', '-e', 'inject=mmap:error=ENOMEM:when=1+2', '-p', String(dashboard.pid)], { stdio: 'ignore' });
			await until('strace to be there', () => /^TracerPid:\s+[1-9]/m.test(readFileSync(`/proc/${dashboard.pid}/status`, 'utf8')));
			const right = [];
			for (let i = 0; i < 30; i++) right.push(await attempt(dashboard.password));
			assert.deepEqual([...new Set(right)].sort(), [200, 503]);
			assert.ok([401, 503].includes(await attempt('not the password')));
		} finally {
			strace?.kill('SIGTERM');
			await dashboard.destroy();
			await agent.destroy();
		}
	});

	it('its threads are there before it listens; where they cannot be made it says so, and exits 71', async () => {
		const threads = (dashboard) => readdirSync(`/proc/${dashboard.pid}/task`).length;
		const dashboard = await Dashboard.start({});
		try {
			const before = threads(dashboard);
			assert.ok(before > 1, `${before} threads`);
			await dashboard.login();
			assert.equal(threads(dashboard), before);
		} finally {
			await dashboard.destroy();
		}
		for (const when of [1, 3]) {
			const wrap = ['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=clone,clone3', '-e', `inject=clone,clone3:error=EAGAIN:when=${when}+`];
			await assert.rejects(Dashboard.start({ wrap }), /ended with 71:[^]*server\.start_failed reason="4 threads cannot be made .*TasksMax=/);
		}
	});

	it('no chance any more: it ends, and gives no session without', async () => {
		const agent = await FakeAgent.start();
		const dashboard = await Dashboard.start({ agent, wrap: ['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=getrandom', '-e', 'inject=getrandom:error=EIO:when=25+'] });
		try {
			const cookies = new Set();
			let answers = 0;
			for (; answers < 100; answers++) {
				const session = dashboard.session();
				const answer = await session.post('/api/v1/login', { user: dashboard.user, password: dashboard.password }).catch(() => null);
				if (answer === null) break;
				assert.equal(answer.status, 200);
				cookies.add(Object.values(session.cookies).join());
			}
			assert.ok(answers < 100, 'it went on');
			assert.equal(cookies.size, answers, 'a session came twice');
			await until('it to have ended', () => !dashboard.isAlive);
			assert.equal(dashboard.child.signalCode, 'SIGABRT');
		} finally {
			await dashboard.destroy();
			await agent.destroy();
		}
	});
});

it('a viewer whose cable was pulled is given up, others do not notice', () => pulled);
