// A Docker engine, and in it a server: a Debian container with a real systemd and a Docker engine of its
// own, into which the drills install from the repository alone. See README.md for what it needs.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { groups, left, mounts, removeGroups } from './leftovers.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const DIR = process.env.OPS_DRILL_DIR ?? '/var/tmp/ops-drill';
const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
const PIDFILE = join(DIR, 'dockerd.pid');
const GROUPS = join(DIR, 'groups-before');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const say = (...text) => console.log(...text);

function isA(program, pid) {
	const comm = `/proc/${pid}/comm`;
	return existsSync(comm) && readFileSync(comm, 'utf8').trim() === program;
}

export class Engine {
	constructor() {
		mkdirSync(join(DIR, 'log'), { recursive: true });
		this.host = process.env.DOCKER_HOST ?? `unix://${DIR}/docker.sock`;
	}

	docker(args, options = {}) {
		return execFileSync('docker', args, { env: { ...process.env, DOCKER_HOST: this.host }, encoding: 'utf8',
			stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 1 << 28, ...options });
	}

	answers() {
		return spawnSync('docker', ['info'], { env: { ...process.env, DOCKER_HOST: this.host } }).status === 0;
	}

	// Uses the engine of DOCKER_HOST, or one of its own with all state in DIR.
	async start() {
		if (this.answers()) return;
		if (process.env.DOCKER_HOST) throw new Error(`no Docker engine answers at ${this.host}`);
		const log = openSync(join(DIR, 'log/dockerd'), 'a');
		writeFileSync(GROUPS, groups().join('\n'));
		// of a process group of its own: it ends with close()
		const dockerd = spawn('dockerd', ['--data-root', join(DIR, 'docker'), '--exec-root', join(DIR, 'exec'), '-H', this.host,
			'--pidfile', PIDFILE, '--bridge=none', '--iptables=false'], { stdio: ['ignore', log, log], detached: true });
		dockerd.unref();
		for (let i = 0; i < 300 && !this.answers(); i++) {
			if (dockerd.exitCode !== null) throw new Error(`dockerd ended; see ${DIR}/log/dockerd`);
			await sleep(100);
		}
	}

	// The engine in DIR, also one that an earlier call left there.
	async stop() {
		if (process.env.DOCKER_HOST || !existsSync(PIDFILE)) return;
		const pid = Number(readFileSync(PIDFILE, 'utf8'));
		if (!isA('dockerd', pid)) return;
		process.kill(pid, 'SIGTERM');
		for (let i = 0; i < 600 && isA('dockerd', pid); i++) await sleep(100);
	}

	// Removes the servers in it and ends it. keep: the name of a server that stays, and the engine with it. What is
	// left on this machine all the same, a line each.
	async close(keep) {
		const names = this.answers() ? this.docker(['ps', '-a', '--filter', 'label=ops-drill', '--format', '{{.Names}}']).split('\n') : [];
		const servers = new Set([...names, ...readdirSync(DIR).filter((file) => file.endsWith('.slirp')).map((file) => file.slice(0, -6))]);
		for (const name of servers) if (name !== '' && name !== keep) new Server(this, name).destroy();
		if (keep || process.env.DOCKER_HOST) return [];
		await this.stop();
		if (existsSync(GROUPS)) removeGroups(readFileSync(GROUPS, 'utf8').split('\n'));
		for (const path of mounts(DIR)) if (/\.part\/|\/exec\/netns\//.test(path)) spawnSync('umount', [path]); // of a debootstrap that was cut short, and dockerd's own
		return left(DIR);
	}

	has(image) {
		return spawnSync('docker', ['image', 'inspect', image], { env: { ...process.env, DOCKER_HOST: this.host } }).status === 0;
	}

	// debian:RELEASE-slim by debootstrap: nothing is pulled. What this machine trusts, the image trusts.
	base(release) {
		const tag = `debian:${release}-slim`;
		if (this.has(tag)) return tag;
		const tree = join(DIR, release);
		say(`Making ${tag} with debootstrap`);
		if (!existsSync(tree)) {
			rmSync(`${tree}.part`, { recursive: true, force: true });
			execFileSync('debootstrap', ['--variant=minbase', '--include=ca-certificates', release, `${tree}.part`], { stdio: 'ignore' });
			renameSync(`${tree}.part`, tree);
		}
		execFileSync('bash', ['-c', `cp ${BUNDLE} ${tree}/etc/ssl/host-bundle.crt && tar -C ${tree} -c . |
			docker import --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/host-bundle.crt' - ${tag}`],
			{ env: { ...process.env, DOCKER_HOST: this.host }, stdio: 'ignore' });
		return tag;
	}

	// The machine as it comes from a hoster: an installed Debian with systemd, and nothing of ours. The packages
	// of the README's first step are in the image already, so that its apt-get is quick.
	serverImage(release) {
		const tag = `ops-drill-${release}`;
		this.base(release);
		say(`Building the server's image (${release})`);
		this.docker(['build', '-q', '--network', 'host', '-t', tag, '--build-arg', `DEBIAN=${release}`,
			'--build-arg', `DOCKER=${release === 'bookworm' ? 'docker.io docker-compose' : 'docker.io docker-cli docker-buildx docker-compose'}`,
			'-f', join(ROOT, 'tests/drills/server.Dockerfile'), join(ROOT, 'tests/drills')]);
		return tag;
	}
}

export class Server {
	constructor(engine, name = 'ops-drill-server', release = 'trixie') {
		this.engine = engine;
		this.name = name;
		this.release = release;
	}

	// bases: the releases whose base images its Docker engine gets; none: its engine is not waited for.
	async boot(bases = ['trixie']) {
		const { engine, name } = this;
		const image = engine.serverImage(this.release);
		this.disconnect();
		spawnSync('docker', ['rm', '-f', name], { env: { ...process.env, DOCKER_HOST: engine.host } });
		const storage = join(DIR, name === 'ops-drill-server' ? 'inner' : `inner-${name}`);
		mkdirSync(storage, { recursive: true });
		// images are used again; the containers of an earlier drill would start with this engine
		rmSync(join(storage, 'containers'), { recursive: true, force: true });
		engine.docker(['run', '-d', '--name', name, '--label', 'ops-drill', '--network', 'none', '--cap-add', 'SYS_ADMIN', '--cap-add', 'NET_ADMIN',
			'--cap-add', 'SYS_PTRACE', '--security-opt', 'seccomp=unconfined', '--security-opt', 'apparmor=unconfined', '--cgroupns=host',
			'--tmpfs', '/run', '--tmpfs', '/tmp', '-v', '/sys/fs/cgroup:/sys/fs/cgroup:rw', '-v', `${storage}:/var/lib/docker`,
			image, '/sbin/init']);
		this.connect();
		// containers inside get addresses of their own
		await this.until('systemd runs', 'mount -o remount,rw /proc/sys; systemctl is-system-running | grep -E "running|degraded"', 60);
		if (bases.length === 0) return;
		await this.until('docker runs', 'docker info', 120);
		this.run('docker ps -aq | xargs -r docker rm -f; docker volume ls -q | xargs -r docker volume rm');
		for (const release of bases) this.load(release);
	}

	// The base image of a release, into this server's engine.
	load(release) {
		const { engine, name } = this;
		const tag = engine.base(release);
		if (this.try(`docker image inspect ${tag}`).status === 0) return;
		execFileSync('bash', ['-c', `docker save ${tag} | docker exec -i ${name} docker load`],
			{ env: { ...process.env, DOCKER_HOST: engine.host }, stdio: 'ignore' });
	}

	// A file of another server's, to the same place here.
	take(from, file) {
		execFileSync('bash', ['-c', `docker exec ${from.name} cat ${file} | docker exec -i ${this.name} sh -c 'cat >${file}'`],
			{ env: { ...process.env, DOCKER_HOST: this.engine.host } });
	}

	// A network of its own, so that its bridges, packet filter and ports are not this machine's; what it asks of the
	// world goes through slirp4netns, which only passes on what a process of this machine may do anyway.
	connect() {
		const { engine, name } = this;
		this.pid = engine.docker(['inspect', '--format', '{{.State.Pid}}', name]).trim();
		const log = openSync(join(DIR, 'log/slirp4netns'), 'a');
		// detached, so that a kept server keeps its network; it does not end with the server: disconnect()
		const slirp = spawn('slirp4netns', ['--configure', '--mtu=65520', '--disable-host-loopback', this.pid, 'tap0'],
			{ stdio: ['ignore', log, log], detached: true });
		slirp.unref();
		writeFileSync(join(DIR, `${name}.slirp`), String(slirp.pid));
		// 10.0.2.3 passes questions on to whom this machine asks
		this.run('for i in {1..100}; do ip route | grep -q ^default && break; sleep 0.1; done; ip route | grep ^default; echo nameserver 10.0.2.3 >/etc/resolv.conf');
	}

	// What a person would type into a root shell there. { status, out }
	try(script, { input = '', env = {} } = {}) {
		const args = ['exec', '-i'];
		for (const [k, v] of Object.entries(env)) args.push('-e', `${k}=${v}`);
		const r = spawnSync('docker', [...args, this.name, 'bash', '-c', `exec 2>&1; set -euo pipefail\n${script}`],
			{ env: { ...process.env, DOCKER_HOST: this.engine.host }, input, encoding: 'utf8', maxBuffer: 1 << 28 });
		return { status: r.status, out: r.stdout + r.stderr };
	}

	run(script, options) {
		const r = this.try(script, options);
		if (r.status !== 0) throw new Error(`exit ${r.status} of:\n${script}\n${r.out.split('\n').slice(-40).join('\n')}`);
		return r.out.trim();
	}

	async until(what, script, seconds = 30) {
		let last;
		for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(500)) {
			last = this.try(script);
			if (last.status === 0) return last.out.trim();
		}
		throw new Error(`not within ${seconds} s: ${what}\n${last.out}`);
	}

	// The tree that git has, uncommitted changes included, as the origin of the server's checkout.
	origin() {
		const archive = execFileSync('git', ['-C', ROOT, 'ls-files', '-co', '--exclude-standard', '-z']);
		const tar = execFileSync('tar', ['-C', ROOT, '--null', '-T', '-', '-c'], { input: archive, maxBuffer: 1 << 28 });
		this.run(`rm -rf /srv/author /srv/origin.git; mkdir -p /srv/author; git config --global user.email drill@example.org
			git config --global user.name drill; git init -q --bare -b main /srv/origin.git; git init -q -b main /srv/author`);
		execFileSync('docker', ['exec', '-i', this.name, 'tar', '-C', '/srv/author', '-x', '--no-same-owner'],
			{ env: { ...process.env, DOCKER_HOST: this.engine.host }, input: tar });
		return this.commit('the repository as it is', '');
	}

	// One more commit at the origin, after script has changed the author's tree.
	commit(subject, script) {
		return this.run(`cd /srv/author; ${script}
			git add -A; git commit -q --allow-empty -m ${JSON.stringify(subject)}; git push -q /srv/origin.git HEAD:main; git rev-parse HEAD`);
	}

	// A program of this machine in the server's network; its standard streams are pipes.
	spawn(command, args) {
		const pid = this.engine.docker(['inspect', '--format', '{{.State.Pid}}', this.name]).trim();
		return spawn('nsenter', [`--net=/proc/${pid}/ns/net`, '--', command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
	}

	disconnect() {
		const file = join(DIR, `${this.name}.slirp`);
		if (!existsSync(file)) return;
		const pid = Number(readFileSync(file, 'utf8'));
		rmSync(file);
		if (isA('slirp4netns', pid)) process.kill(pid);
	}

	destroy() {
		this.disconnect();
		spawnSync('docker', ['rm', '-f', this.name], { env: { ...process.env, DOCKER_HOST: this.engine.host } });
	}
}

// Returns in the process that is to do the drills, which is of a group of its own; the one that was started waits for its
// end, whatever it is, and then removes what it has started. keep: see Engine.close.
export async function supervised(keep) {
	if (process.env.OPS_DRILL_SUPERVISED) return;
	const child = spawn(process.execPath, process.argv.slice(1), { stdio: 'inherit', detached: true, env: { ...process.env, OPS_DRILL_SUPERVISED: '1' } });
	let interrupted;
	for (const [signal, number] of [['SIGHUP', 1], ['SIGINT', 2], ['SIGTERM', 15]])
		process.on(signal, () => {
			if (interrupted === undefined) process.kill(-child.pid, 'SIGKILL');
			interrupted ??= 128 + number;
		});
	const status = await new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
	if (interrupted) say('Interrupted: removing what was started');
	const lines = await new Engine().close(keep);
	for (const line of lines) say(`not ok - left on this machine: ${line}`);
	process.exit(interrupted ?? (status || (lines.length > 0 ? 1 : 0)));
}

export const version = () => readFileSync(join(ROOT, 'meson.build'), 'utf8').match(/version: '([^']+)'/)[1];
