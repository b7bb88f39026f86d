// A private PostgreSQL for one test file: its own data folder and Unix socket under the temporary
// folder, started directly (as user postgres when we are root), never touching another server.
//
//   const pg = await Postgres.start();        // {tcpPort, settings} are optional
//   pg.url                                    // DATABASE_URL of the user "ops", database "ops"
//   await pg.psql('select 1')                 // unaligned text, as the superuser, in the database "ops"
//   await pg.stop(); await pg.startAgain();   // a clean stop; also after kill9()
//   await pg.kill9();  pg.pause();  pg.resume();
//   await pg.destroy();                       // also happens when the test process exits
import { execFile, execFileSync, spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function binaries() {
	const base = '/usr/lib/postgresql';
	const versions = readdirSync(base)
		.filter((v) => /^\d+$/.test(v))
		.sort((a, b) => Number(b) - Number(a));
	if (versions.length === 0) throw new Error(`no PostgreSQL server below ${base}`);
	return join(base, versions[0], 'bin');
}

// Root may not run PostgreSQL: then everything runs as the account that its package made.
function account() {
	if (process.getuid() !== 0) return {};
	const line = readFileSync('/etc/passwd', 'utf8')
		.split('\n')
		.find((l) => l.startsWith('postgres:'));
	if (!line) throw new Error('there is no user postgres to run the server as');
	const [, , uid, gid] = line.split(':');
	return { uid: Number(uid), gid: Number(gid) };
}

function childrenOf(pid) {
	const found = [];
	for (const name of readdirSync('/proc')) {
		if (!/^\d+$/.test(name)) continue;
		try {
			const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
			const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
			if (Number(fields[1]) === pid) found.push(Number(name));
		} catch {
			// it ended while we looked
		}
	}
	return found;
}

function signal(pids, name) {
	for (const pid of pids) {
		try {
			process.kill(pid, name);
		} catch (error) {
			if (error.code !== 'ESRCH') throw error;
		}
	}
}

// A test runner that gives up sends SIGTERM: then the servers are to go as well.
for (const name of ['SIGTERM', 'SIGINT']) process.once(name, () => process.exit(1));

export class Postgres {
	// tcpPort: also listen on 127.0.0.1 there. settings: lines for postgresql.conf, name → value.
	static async start({ tcpPort, settings = {} } = {}) {
		const pg = new Postgres();
		pg.bin = binaries();
		pg.account = account();
		pg.root = mkdtempSync(join(tmpdir(), 'ops-pg-'));
		pg.data = join(pg.root, 'data');
		pg.sockets = join(pg.root, 's');
		pg.log = join(pg.root, 'server.log');
		pg.tcpPort = tcpPort;
		pg.settings = settings;
		mkdirSync(pg.data, { mode: 0o700 });
		mkdirSync(pg.sockets, { mode: 0o755 });
		if (pg.account.uid !== undefined) {
			for (const path of [pg.root, pg.data, pg.sockets]) chownSync(path, pg.account.uid, pg.account.gid);
		}
		pg.url = `postgresql://ops@/ops?host=${encodeURIComponent(pg.sockets)}`;
		pg.superUrl = `postgresql://postgres@/ops?host=${encodeURIComponent(pg.sockets)}`;
		pg.tcpUrl = tcpPort ? `postgresql://ops@127.0.0.1:${tcpPort}/ops` : undefined;
		pg.onExit = () => pg.destroyNow();
		process.on('exit', pg.onExit);
		try {
			await run(
				join(pg.bin, 'initdb'),
				['-D', pg.data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync', '--data-checksums'],
				{ cwd: '/', ...pg.account },
			);
			await pg.startAgain();
			await pg.psql('create role ops login createdb', 'postgres');
			await pg.psql('create database ops owner ops', 'postgres');
		} catch (error) {
			await pg.destroy();
			throw error;
		}
		return pg;
	}

	get running() {
		return this.child !== undefined;
	}

	// Starts the server on the same data; waits until it answers.
	async startAgain() {
		if (this.child) throw new Error('PostgreSQL runs already');
		const deadline = Date.now() + 60000;
		for (;;) {
			const child = this.spawnServer();
			while (this.child === child) {
				try {
					await this.psql('select 1', 'postgres');
					return;
				} catch (error) {
					if (Date.now() > deadline) throw new Error(`PostgreSQL does not answer: ${error.message}\n${this.serverLog()}`);
					await sleep(50);
				}
			}
			// After a kill -9 the old shared memory is in use until the last backend has noticed.
			if (Date.now() > deadline) throw new Error(`PostgreSQL does not start:\n${this.serverLog()}`);
			await sleep(200);
		}
	}

	spawnServer() {
		const set = {
			listen_addresses: this.tcpPort ? '127.0.0.1' : '',
			...(this.tcpPort ? { port: String(this.tcpPort) } : {}),
			unix_socket_directories: this.sockets,
			fsync: 'off',
			...this.settings,
		};
		const args = ['-D', this.data];
		for (const [name, value] of Object.entries(set)) args.push('-c', `${name}=${value}`);
		const log = openSync(this.log, 'a');
		const child = spawn(join(this.bin, 'postgres'), args, { cwd: '/', stdio: ['ignore', log, log], ...this.account });
		closeSync(log);
		this.child = child;
		this.exited = new Promise((resolve) => {
			const done = () => {
				if (this.child === child) this.child = undefined;
				resolve();
			};
			child.once('exit', done);
			child.once('error', done);
		});
		// Its Unix socket carries the port in its name; clients find it through the URL.
		this.port = this.tcpPort ?? 5432;
		if (this.tcpPort) {
			this.url = `postgresql://ops@:${this.port}/ops?host=${encodeURIComponent(this.sockets)}`;
			this.superUrl = this.url.replace('ops@', 'postgres@');
		}
		return child;
	}

	// mode: fast (default), smart or immediate.
	async stop(mode = 'fast') {
		if (!this.child) return;
		this.child.kill({ smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' }[mode]);
		await this.exited;
	}

	// The server and all its processes at once, as a power cut would.
	async kill9() {
		if (!this.child) return;
		const { exited } = this;
		const pids = [this.child.pid, ...childrenOf(this.child.pid)];
		signal(pids, 'SIGKILL');
		await exited;
	}

	// A hung server: every process stopped, sockets open. The one that makes the others first, so that none is missed.
	pause() {
		signal([this.child.pid], 'SIGSTOP');
		const made = childrenOf(this.child.pid);
		signal(made, 'SIGSTOP');
		this.stopped = [this.child.pid, ...made];
	}

	resume() {
		if (!this.stopped) return;
		signal(this.stopped, 'SIGCONT');
		this.stopped = undefined;
	}

	async psql(sql, database = 'ops', user = 'postgres') {
		const { stdout } = await run(
			join(this.bin, 'psql'),
			['-h', this.sockets, '-p', String(this.port ?? 5432), '-U', user, '-d', database, '-XAtqv', 'ON_ERROR_STOP=1', '-c', sql],
			{ maxBuffer: 1 << 30, env: { PATH: process.env.PATH, PGCONNECT_TIMEOUT: '10' } },
		);
		return stdout.replace(/\n$/, '');
	}

	serverLog() {
		try {
			return readFileSync(this.log, 'utf8').slice(-4000);
		} catch {
			return '';
		}
	}

	async destroy() {
		this.resume();
		await this.kill9();
		process.off('exit', this.onExit);
		rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
	}

	// The same without waiting, for the end of the process.
	destroyNow() {
		this.resume();
		if (this.child) signal([...childrenOf(this.child.pid), this.child.pid], 'SIGKILL');
		execFileSync('rm', ['-rf', this.root]);
	}
}
