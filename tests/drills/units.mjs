// ./dev drill units: the agent on a host that systemd manages, for what no other test can show: each run is a
// unit of its own, outside the agent's sandbox. A container with the Debian release of this machine and a real
// systemd; build/ is installed in it by deploy/ops-agent/setup.sh.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DIR, Engine, ROOT, Server, say, supervised } from './engine.mjs';
import { check, scenes } from './units-scenes.mjs';

const BUILD = process.env.OPS_BUILD_DIR ?? join(ROOT, 'build');
// What the container has as /sys/fs/cgroup. On a host with v1, /sys/fs/cgroup/unified makes it one of v2 alone.
const CGROUP = process.env.OPS_DRILL_CGROUP ?? '/sys/fs/cgroup';
const release = readFileSync('/etc/os-release', 'utf8').match(/VERSION_CODENAME=(\S+)/)[1];

// The packages of the libraries that the programs are linked with.
function packages() {
	const list = ['ops-agent', 'opsctl'].map((name) => execFileSync('ldd', [join(BUILD, 'agent', name)], { encoding: 'utf8' })).join('');
	const paths = [...new Set([...list.matchAll(/=> (\/\S+)/g)].map((m) => execFileSync('realpath', [m[1]], { encoding: 'utf8' }).trim()))];
	const owners = paths.map((path) => {
		for (const p of [path, path.replace(/^\/usr/, '')]) {
			const r = spawnSync('dpkg-query', ['-S', p], { encoding: 'utf8' });
			if (r.status === 0) return r.stdout.split(':')[0];
		}
		throw new Error(`no package has ${path}`);
	});
	return [...new Set(owners)].sort().join(' ');
}

class Host extends Server {
	async boot() {
		const { engine, name } = this;
		this.destroy();
		say(`Building ${name} (${release})`);
		engine.docker(['build', '-q', '--network', 'host', '--build-arg', `BASE=${engine.base(release)}`, '--build-arg', `PACKAGES=${packages()}`,
			'-t', name, '-f', join(ROOT, 'tests/drills/units.Dockerfile'), join(ROOT, 'tests/drills')]);
		engine.docker(['run', '-d', '--name', name, '--label', 'ops-drill', '--network', 'none', '--cap-add', 'SYS_ADMIN', '--cap-add', 'SYS_PTRACE',
			'--security-opt', 'seccomp=unconfined', '--security-opt', 'apparmor=unconfined', '--cgroupns=host', '--tmpfs', '/run', '--tmpfs', '/tmp',
			'-v', `${CGROUP}:/sys/fs/cgroup:rw`, name, '/sbin/init']);
		await this.until('systemd runs', 'systemctl is-system-running | grep -E "running|degraded"', 60);
	}

	// What build/ has, put where setup.sh takes it from.
	deliver() {
		const tree = mkdtempSync(join(DIR, 'tree-'));
		execFileSync('meson', ['install', '-C', BUILD, '--no-rebuild', '--tags', 'agent'], { env: { ...process.env, DESTDIR: tree }, stdio: 'ignore' });
		this.run('rm -rf /root/agent; mkdir /root/agent');
		const tar = execFileSync('tar', ['-C', tree, '--owner=0', '--group=0', '-c', '.'], { maxBuffer: 1 << 28 });
		execFileSync('docker', ['exec', '-i', this.name, 'tar', '-C', '/root/agent', '-x'],
			{ env: { ...process.env, DOCKER_HOST: this.engine.host }, input: tar, maxBuffer: 1 << 28 });
		rmSync(tree, { recursive: true });
	}

	write(path, text, mode = '0644') {
		this.run(`mkdir -p ${path.replace(/\/[^/]*$/, '')}; cat >${path}; chmod ${mode} ${path}`, { input: text });
	}

	setup() {
		return this.run('/root/agent/usr/local/share/ops-agent/setup.sh --from /root/agent/usr/local');
	}
}

export async function main(wanted) {
	await supervised(process.env.OPS_DRILL_KEEP && 'ops-drill-units');
	const engine = new Engine();
	const host = new Host(engine, 'ops-drill-units');
	let failed = 0, passed = 0;
	await engine.start();
	if (!process.env.OPS_DRILL_REUSE) await host.boot();
	host.deliver();
	for (const [name, scene] of Object.entries(scenes)) {
		if (wanted.length && name !== 'install' && !wanted.includes(name)) continue;
		try {
			const note = await scene(host, check);
			say(`ok - ${name}${note ? ` (${note})` : ''}`);
			passed++;
		} catch (error) {
			say(`not ok - ${name}\n${String(error.stack ?? error).replace(/^/gm, '  ')}`);
			failed++;
			if (name === 'install') break;
		}
	}
	say(`${passed} passed, ${failed} failed`);
	return failed ? 1 : 0;
}
