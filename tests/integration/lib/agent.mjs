// A real ops-agent for one test: its own folders and socket under the temporary folder.
//
//   const agent = await Agent.start({ commands: 'version: 1\ncommands: …', flows: { backup: '…' } });
//   agent.socket, agent.secret, agent.secretPath, agent.stateDir, agent.configDir, agent.env
//   const client = await agent.connect();
//   await agent.kill9Monitor(); agent.kill9Worker(); await agent.kill9Both();
//   await agent.restart();      // starts it again (stops it first if it still runs)
//   await agent.stop();         // SIGTERM; runs go on
//   await agent.destroy();      // ends everything, runs included, and removes the folders
//
// OPS_BUILD_DIR names the build whose binaries are used (default: build/ of the checkout).
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentClient } from './agent-client.mjs';

export const BUILD_DIR = process.env.OPS_BUILD_DIR ?? fileURLToPath(new URL('../../../build', import.meta.url));
export const AGENT = join(BUILD_DIR, 'agent/ops-agent');
export const OPSCTL = join(BUILD_DIR, 'agent/opsctl');

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until probe() returns something true (or a promise of it); throws after two minutes: on a busy machine, and
// with sanitizers, what takes a second elsewhere may take one of them.
export async function until(what, probe, minutes = 2) {
	const end = Date.now() + minutes * 60000;
	for (;;) {
		const found = await probe();
		if (found) return found;
		if (Date.now() > end) throw new Error(`waited ${minutes} minutes for: ${what}`);
		await sleep(10);
	}
}

function stat(pid) {
	try {
		const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
		const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
		return { pid, state: fields[0], ppid: Number(fields[1]), name: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')) };
	} catch {
		return null;
	}
}

function pids() {
	return readdirSync('/proc').filter((n) => /^\d+$/.test(n)).map(Number);
}

export function isAlive(pid) {
	const found = stat(pid);
	return found !== null && found.state !== 'Z';
}

// Live processes whose environment or arguments hold this text.
export function processesWith(text) {
	return pids().filter((pid) => {
		if (pid === process.pid || !isAlive(pid)) return false;
		try {
			return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(text) ||
				readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
		} catch {
			return false;
		}
	});
}

function kill(pid, signal) {
	try {
		process.kill(pid, signal);
	} catch (error) {
		if (error.code !== 'ESRCH') throw error;
	}
}

// Asks a daemon to end and waits for it. One that does not is killed, and that is an error: else its file would hang.
export async function askToEnd(child, exited, signal = 'SIGTERM') {
	let late = false;
	const timer = setTimeout(() => {
		late = true;
		child.kill('SIGKILL');
	}, 120000);
	kill(child.pid, signal);
	await exited;
	clearTimeout(timer);
	if (late) throw new Error(`${child.spawnargs.join(' ')} did not end within two minutes of ${signal}`);
}

const started = new Set();
process.on('exit', () => { for (const agent of started) agent.destroySync(); });

export class Agent {
	// commands: text of commands.yml; flows: { name: text }; env: added to the agent's environment.
	static async start({ commands, flows = {}, status = null, env = {} } = {}) {
		const agent = new Agent();
		agent.dir = mkdtempSync(join(tmpdir(), 'ops-agent-'));
		chmodSync(agent.dir, 0o755);
		agent.configDir = join(agent.dir, 'etc');
		agent.stateDir = join(agent.dir, 'state');
		agent.socket = join(agent.dir, 'run', 'agent.sock');
		agent.secretPath = join(agent.dir, 'secret');
		agent.secret = 'correct-horse-battery-staple';
		agent.logPath = join(agent.dir, 'agent.log');
		mkdirSync(agent.configDir);
		writeFileSync(agent.secretPath, `${agent.secret}\n`, { mode: 0o600 });
		agent.configure({ commands, flows, status });
		const me = userInfo().username;
		agent.env = {
			PATH: process.env.PATH,
			OPS_AGENT_CONFIG_DIR: agent.configDir,
			OPS_AGENT_STATE_DIR: agent.stateDir,
			OPS_AGENT_SOCKET: agent.socket,
			OPS_AGENT_SECRET_PATH: agent.secretPath,
			OPS_AGENT_USER: me,
			OPS_AGENT_RUN_USER: me,
			OPS_RUNS_DIR: join(agent.dir, 'steps'),
			OPS_LAUNCH: 'fork', // also where root runs the tests on a systemd host
			...Object.fromEntries(Object.entries(process.env).filter(([k]) => /^(A|UB|L)SAN_OPTIONS$/.test(k))),
			...env,
		};
		started.add(agent);
		await agent.spawn();
		return agent;
	}

	// (Re)writes the configuration files; reload is the caller's.
	configure({ commands, flows = {}, status = null }) {
		writeFileSync(join(this.configDir, 'commands.yml'), commands, { mode: 0o644 });
		if (status !== null) writeFileSync(join(this.configDir, 'status.yml'), status, { mode: 0o644 });
		const names = Object.keys(flows);
		if (names.length) mkdirSync(join(this.configDir, 'flows'), { recursive: true });
		for (const name of names) writeFileSync(join(this.configDir, 'flows', `${name}.yml`), flows[name], { mode: 0o644 });
	}

	async spawn() {
		const log = openSync(this.logPath, 'a');
		this.monitor = spawn(AGENT, ['serve'], { env: this.env, stdio: ['ignore', log, log] });
		closeSync(log);
		this.exited = once(this.monitor, 'exit');
		this.monitor.on('exit', (code, signal) => { this.exitCode = code; this.exitSignal = signal; });
		await until('the agent to answer', async () => {
			if (this.monitor.exitCode !== null || this.monitor.signalCode !== null)
				throw new Error(`the agent ended with ${this.monitor.exitCode ?? this.monitor.signalCode}:\n${this.log()}`);
			try {
				const client = await this.connect();
				await client.hello();
				client.destroy();
				return true;
			} catch {
				return false;
			}
		});
	}

	log() { return readFileSync(this.logPath, 'utf8'); }
	connect(secret = this.secret) { return AgentClient.connect(this.socket, secret); }

	// The process that looks at the machine; the looks that run now are its children.
	get probesPid() {
		return pids().map(stat).find((s) => s && s.ppid === this.monitor.pid && s.name === 'ops-probes' && s.state !== 'Z')?.pid;
	}

	// The processes of live tails.
	get tailPids() {
		const probes = this.probesPid;
		return pids().map(stat).filter((s) => s && s.ppid === probes && s.name === 'ops-tail' && s.state !== 'Z').map((s) => s.pid);
	}

	get workerPid() {
		return pids().map(stat).find((s) => s && s.ppid === this.monitor.pid && s.name === 'ops-worker' && s.state !== 'Z')?.pid;
	}

	runnerPid(runId) {
		return pids().find((pid) => {
			try {
				const args = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split(/[\0 ]/);
				return args[1] === 'runner' && args[2] === join(this.stateDir, 'runs', runId) && isAlive(pid);
			} catch {
				return false;
			}
		});
	}

	async kill9Monitor() {
		kill(this.monitor.pid, 'SIGKILL');
		await this.exited;
	}

	kill9Worker() {
		const pid = this.workerPid;
		if (pid) kill(pid, 'SIGKILL'); // none: another one is about to be started
		return pid;
	}

	async kill9Both() {
		const worker = this.workerPid;
		kill(this.monitor.pid, 'SIGKILL');
		if (worker) kill(worker, 'SIGKILL');
		await this.exited;
	}

	async stop() {
		await askToEnd(this.monitor, this.exited);
		return this.monitor.exitCode;
	}

	async restart() {
		if (this.monitor.exitCode === null && this.monitor.signalCode === null) await this.stop();
		await this.spawn();
	}

	// Runs opsctl; returns { code, stdout, stderr }.
	async opsctl(...args) {
		const child = spawn(OPSCTL, args, { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
		const out = [], err = [];
		child.stdout.on('data', (d) => out.push(d));
		child.stderr.on('data', (d) => err.push(d));
		const [code] = await once(child, 'close');
		return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
	}

	async destroy() {
		if (this.monitor.exitCode === null && this.monitor.signalCode === null) await this.stop();
		const log = this.log();
		this.destroySync();
		// a sanitizer's word would be lost with the folder
		if (/Sanitizer|runtime error/.test(log)) throw new Error(`the agent's log:\n${log}`);
	}

	// What still runs of it: the agent, runners, and commands (their environment names the run).
	destroySync() {
		if (!started.delete(this)) return;
		if (this.monitor.exitCode === null && this.monitor.signalCode === null) kill(this.monitor.pid, 'SIGKILL');
		for (const pid of processesWith(join(this.stateDir, 'runs'))) kill(pid, 'SIGKILL');
		let runs = [];
		try { runs = readdirSync(join(this.stateDir, 'runs')); } catch { /* it never started */ }
		for (const id of runs.length < 50 ? runs : [])
			for (const pid of processesWith(`OPS_RUN_ID=${id}`)) kill(pid, 'SIGKILL');
		rmSync(this.dir, { recursive: true, force: true });
	}
}

// The ledger, as `ops-agent verify` judges it.
export function verify(agent) {
	return execFileSync(AGENT, ['verify'], { env: agent.env, encoding: 'utf8' });
}
