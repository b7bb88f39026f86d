// Probes that are a service of their own (ops-agent-probes@.service): started by whoever listens at the path, here
// systemd-socket-activate, with the errand and the life line on their standard input. With a real systemd and
// its sandbox: ./dev drill units.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, closeSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AGENT, Agent, isAlive, until } from '../lib/agent.mjs';

const commands = 'version: 1\ncommands:\n  quick: { title: Quick, exec: [/bin/true] }\n';
const status = 'version: 1\ninterval: 1s\nunits: []\n';
const dir = mkdtempSync(join(tmpdir(), 'ops-probes-service-'));
const path = join(dir, 'probes.sock'), logPath = join(dir, 'log');
let listener, agent, client;

const log = () => readFileSync(logPath, 'utf8');

async function listen(env = {}) {
	const fd = openSync(logPath, 'a');
	// as the test's own account
	const all = { OPS_AGENT_PROBE_USER: userInfo().username, ...env };
	listener = spawn('systemd-socket-activate', ['--accept', '--seqpacket', '--inetd', `--listen=${path}`,
		...Object.keys(all).map((name) => `--setenv=${name}`), AGENT, 'probes'], { env: { ...process.env, ...all }, stdio: ['ignore', fd, fd] });
	closeSync(fd);
	await until('somebody to listen', () => existsSync(path));
}

async function stopListening() {
	if (listener.exitCode === null && listener.signalCode === null) {
		const gone = once(listener, 'exit');
		listener.kill('SIGTERM');
		await gone;
	}
	rmSync(path, { force: true });
}

// Children of the listener.
function probes() {
	return readdirSync('/proc').filter((n) => /^\d+$/.test(n)).map(Number).filter((pid) => {
		try {
			const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
			return text.includes('(ops-probes)') && isAlive(pid) && Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]) === listener.pid;
		} catch {
			return false;
		}
	});
}
const only = (not) => until('probes of the service', () => { const all = probes(); return all.length === 1 && all[0] !== not ? all[0] : null; });
const host = (document) => document.sections.host?.find((item) => item.id === 'memory');

before(async () => {
	await listen();
	agent = await Agent.start({ commands, status, env: { OPS_AGENT_PROBES_SOCKET: path } });
	client = await agent.connect();
	await client.hello();
});
after(async () => {
	await agent?.destroy();
	await stopListening();
	rmSync(dir, { recursive: true, force: true });
});

test('they are the service\'s and tell the worker how the machine is', async () => {
	const pid = await only();
	await until('the host', async () => host(await client.status()));
	assert.equal(agent.probesPid, undefined, 'none is forked');
	const kernel = readFileSync(`/proc/${pid}/status`, 'utf8');
	assert.match(kernel, /NoNewPrivs:\s+1/);
	assert.match(kernel, /Seccomp:\s+2/);
	// standard streams, relay, life line, signals, and what it opens to look
	const files = readdirSync(`/proc/${pid}/fd`).length;
	assert.ok(files <= 8, `${files} open files`);
});

test('a look that is a process of its own works, too', async () => {
	await until('the disks', async () => (await client.status()).sections.host?.some((item) => item.id === 'disk:/'));
});

test('probes that are killed come back, and the log says so', async () => {
	const pid = await only();
	process.kill(pid, 'SIGKILL');
	await only(pid);
	await until('the log', () => /process\.died process=probes/.test(agent.log()));
});

test('a reload replaces them: the old ones end before the new ones begin, which is no death', async () => {
	const pid = await only(), deaths = agent.log().match(/process\.died/g).length;
	agent.configure({ commands, status: status.replace('1s', '2s') });
	await client.reload();
	await only(pid);
	assert.ok(!isAlive(pid));
	await until('the new interval', async () => (await client.status()).interval_ms === 2000);
	assert.equal(agent.log().match(/process\.died/g).length, deaths);
});

test('while nobody listens the agent says so and goes on; afterwards all is as before', async () => {
	const pid = await only();
	await stopListening();
	process.kill(pid, 'SIGKILL');
	await until('the log', () => /process\.spawn_failed process=probes/.test(agent.log()));
	const { run } = await client.start('quick');
	assert.equal((await client.follow(run.id)).finished.status, 'succeeded');
	await listen();
	await only(pid);
});

test('they go with the monitor, killed or stopped', async () => {
	let pid = await only();
	await agent.kill9Monitor();
	await until('the probes to go', () => !isAlive(pid));
	await agent.spawn();
	pid = await only(pid);
	await agent.stop();
	await until('the probes to go', () => !isAlive(pid));
	await agent.spawn();
	client = await agent.connect();
	await client.hello();
	await only(pid);
});

test('probes that do not end when they are asked to are killed', { timeout: 600000 }, async () => {
	const pid = await only();
	process.kill(pid, 'SIGSTOP'); // as deaf as if somebody else had taken it over
	agent.configure({ commands, status: status.replace('1s', '3s') });
	await client.reload();
	await until('it to be killed', () => !isAlive(pid));
	assert.match(agent.log(), /process\.killed process=probes/);
	assert.doesNotMatch(agent.log(), /process\.stuck/);
	await only(pid);
	await until('the new interval', async () => (await client.status()).interval_ms === 3000);
	const last = await only(pid);
	process.kill(last, 'SIGSTOP');
	await agent.stop();
	await until('it to be killed, too', () => !isAlive(last));
	await agent.spawn();
	client = await agent.connect();
	await client.hello();
	await only(last);
});

// What a program does that took the place of the probes: each word as the errand has it (agent/config/errand.h).
const TAKEN_OVER = `
import os, socket, sys, time
line = socket.socket(fileno=0)
line.recvmsg(8, 1024)
line.send(b'H')
print('here', os.getpid(), file=sys.stderr, flush=True)
if sys.argv[1] == 'lets-go':
	os.closerange(0, 2)
else:
	line.recv(1)
	try:
		while line.send(b'H'): time.sleep(0.01)
	except OSError: pass
time.sleep(3600)
`;

for (const [how, end] of [['lets-go', async () => {}], ['talks', (other) => other.stop()]]) {
	test(`who took their place and ${how} at its end is killed`, { timeout: 600000 }, async (t) => {
		const at = join(dir, `${how}.sock`), said = join(dir, `${how}.log`);
		const fd = openSync(said, 'a');
		const listens = spawn('systemd-socket-activate', ['--accept', '--seqpacket', '--inetd', `--listen=${at}`, '/usr/bin/python3', '-c', TAKEN_OVER, how], { stdio: ['ignore', fd, fd] });
		closeSync(fd);
		t.after(() => listens.kill('SIGKILL'));
		await until('somebody to listen', () => existsSync(at));
		const other = await Agent.start({ commands, status, env: { OPS_AGENT_PROBES_SOCKET: at } });
		t.after(() => other.destroy());
		const pid = await until('its word', () => Number(/^here (\d+)$/m.exec(readFileSync(said, 'utf8'))?.[1]));
		t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
		await end(other);
		await until('it to be killed', () => !isAlive(pid));
	});
}

test('an account that is not there is said once, and not tried again and again', { skip: process.getuid() !== 0 }, async () => {
	const pid = await only();
	await stopListening();
	await listen({ OPS_AGENT_PROBE_USER: 'nobody-of-this-name' });
	const deaths = agent.log().match(/process\.died/g).length;
	process.kill(pid, 'SIGKILL');
	await until('what is wrong', () => /probes\.not_started.*nobody-of-this-name/.test(log()));
	const times = log().match(/probes\.not_started/g).length;
	// what the monitor does after that is in its log by the time it has answered again
	await client.reload();
	await until('another try, for the reload', () => log().match(/probes\.not_started/g).length === times + 1);
	assert.equal(agent.log().match(/process\.died/g).length, deaths + 1, 'only the killed ones died');
});
