// The same as docker.test.mjs with a real Docker engine: it starts one of its own, all of whose state is in
// a temporary folder, and containers of busybox without a network. Opted into by OPS_REAL_DOCKER=1, as root
// and with docker.io and busybox-static: not every machine that runs tests lets containers start.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Agent, sleep, until } from '../lib/agent.mjs';
import { Journal } from '../lib/agent-client.mjs';

const DOCKER = 1;
const skip = !process.env.OPS_REAL_DOCKER && 'OPS_REAL_DOCKER=1 starts an engine (root, docker.io, busybox-static)';
const commands = 'version: 1\ncommands:\n  quick: { title: Quick, exec: [/bin/true] }\n';
let dir, socket, daemon, agent, client, next;

const docker = (...args) => execFileSync('docker', args, { env: { ...process.env, DOCKER_HOST: `unix://${socket}` }, encoding: 'utf8', maxBuffer: 1 << 24 }).trim();
const run = (name, script, ...options) =>
	docker('run', '-d', '--network', 'none', '--name', name, ...options, 'ops-box:1', '/bin/busybox', 'sh', '-c', script);

async function startEngine() {
	const log = openSync(join(dir, 'log'), 'a');
	daemon = spawn('dockerd', ['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '-H', `unix://${socket}`,
		'--pidfile', join(dir, 'pid'), '--bridge=none', '--iptables=false'], { stdio: ['ignore', log, log] });
	closeSync(log);
	for (;;) {
		if (daemon.exitCode !== null) throw new Error(`dockerd ended:\n${readFileSync(join(dir, 'log'), 'utf8').slice(-2000)}`);
		if (spawnSync('docker', ['-H', `unix://${socket}`, 'info'], { stdio: 'ignore' }).status === 0) return;
		await sleep(200);
	}
}

async function stopEngine() {
	const exited = once(daemon, 'exit');
	daemon.kill('SIGTERM');
	await exited;
}

before(async () => {
	if (skip) return;
	dir = mkdtempSync(join(tmpdir(), 'ops-docker-'));
	socket = join(dir, 'engine.sock');
	await startEngine();
	mkdirSync(join(dir, 'image/bin'), { recursive: true });
	cpSync('/bin/busybox', join(dir, 'image/bin/busybox'));
	symlinkSync('busybox', join(dir, 'image/bin/sh'));
	execFileSync('bash', ['-c', `tar -C ${dir}/image -c . | docker -H unix://${socket} import - ops-box:1`]);
	agent = await Agent.start({ commands, status: `version: 1\ninterval: 1s\nhost: false\ndocker: { socket: ${socket} }\n` });
	client = await agent.connect();
	next = await client.watchStatus();
});
after(async () => {
	await agent?.destroy();
	if (!daemon) return;
	const all = docker('ps', '-aq').split('\n').filter(Boolean);
	if (all.length) docker('rm', '-f', ...all);
	await stopEngine();
	rmSync(dir, { recursive: true, force: true });
});

async function when(id, wanted) {
	for (;;) {
		const found = (await next()).sections.docker?.find((one) => one.id === id);
		if (wanted(found)) return found;
	}
}

test('a container starts, is healthy, gets sick, stops, and is gone', { skip }, async () => {
	const id = run('web', 'while true; do /bin/busybox sleep 1; done', '--restart', 'unless-stopped', '--memory', '64m',
		'--health-cmd', '/bin/busybox test ! -e /sick', '--health-interval', '1s', '--health-retries', '1',
		'--label', 'com.docker.compose.project=shop', '--label', 'com.docker.compose.service=web');
	const found = await when('web', (one) => one?.level === 'ok' && one.values.health === 'healthy');
	const { values } = found;
	assert.deepEqual([values.container_id, values.state, values.image, values.project, values.service, values.restarts, values.memory_limit_bytes],
		[id.slice(0, 12), 'running', 'ops-box:1', 'shop', 'web', 0, 64 << 20]);
	assert.match(values.digest, /^sha256:[0-9a-f]{64}$/);
	assert.ok(Math.abs(values.since_us / 1e6 - Date.now() / 1000) < 600);
	docker('exec', 'web', '/bin/busybox', 'touch', '/sick');
	assert.match((await when('web', (one) => one?.level === 'bad')).message, /health check failed/);
	docker('pause', 'web');
	await when('web', (one) => one?.values.state === 'paused');
	docker('unpause', 'web');
	docker('kill', 'web');
	const ended = await when('web', (one) => one?.values.state === 'exited');
	assert.deepEqual([ended.level, ended.values.exit_code], ['bad', 137]);
	docker('rm', 'web');
	await when('web', (one) => one === undefined);
});

test('a container that ends again and again is bad, one that did its work is not', { skip }, async () => {
	run('crash', 'exit 3', '--restart', 'always');
	run('once', 'true');
	run('failed', 'exit 7');
	const crash = await when('crash', (one) => one?.values.state === 'restarting' && one.values.restarts > 0);
	assert.deepEqual([crash.level, crash.values.exit_code], ['bad', 3]);
	assert.equal((await when('once', (one) => one?.values.state === 'exited')).level, 'ok');
	assert.equal((await when('failed', (one) => one?.values.state === 'exited')).level, 'warn');
	docker('rm', '-f', 'crash');
	await when('crash', (one) => one === undefined);
});

async function read(tail, journal, text) {
	while (!journal.text().includes(text)) {
		const { done, value } = await tail.next();
		if (done) break;
		journal.push(value.records);
	}
	return journal;
}

test('its log, live: both streams, from before and from now on, and its end', { skip }, async () => {
	run('talks', 'echo one; echo two >&2; while [ ! -e /more ]; do /bin/busybox sleep 0.1; done; echo three; exit 0');
	await when('talks', (one) => one?.values.state === 'running');
	const tail = await client.openTail(DOCKER, 'talks', 100);
	const journal = await read(tail, new Journal(), 'two');
	docker('exec', 'talks', '/bin/busybox', 'touch', '/more');
	await read(tail, journal, 'three');
	assert.equal(journal.text(1), 'one\nthree\n');
	assert.equal(journal.text(2), 'two\n');
	assert.ok(journal.out.every((r) => Math.abs(r.timeUs / 1e6 - Date.now() / 1000) < 600));
	while (journal.events.length === 0) journal.push((await tail.next()).value.records);
	assert.equal(journal.events[0].message, 'the container writes no more');
});

test('a log of millions of bytes comes as fast as it is read, and all of it', { skip }, async () => {
	run('flood', '/bin/busybox yes 0123456789012345678901234567890123456789 | /bin/busybox head -n 100000; /bin/busybox sleep 600');
	await when('flood', (one) => one?.values.state === 'running');
	await until('it to have written all', () => docker('logs', 'flood').length >= 4.1e6 - 1);
	const tail = await client.openTail(DOCKER, 'flood', 1000);
	const journal = new Journal();
	while (journal.bytes < 41000) journal.push((await tail.next()).value.records);
	assert.equal(journal.text().split('\n').length - 1, 1000);
	tail.close();
});

test('an engine that is restarted: unknown, then well again', { skip }, async () => {
	run('stays', '/bin/busybox sleep 600');
	await when('stays', (one) => one?.level === 'ok');
	await stopEngine();
	assert.match((await when('stays', (one) => one?.level === 'unknown')).message, /is not reached/);
	await startEngine();
	await when('stays', (one) => one !== undefined && one.level !== 'unknown');
});
