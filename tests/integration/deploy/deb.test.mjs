// deploy/deb: the package's parts, that two builds of it are one, and what its maintainer scripts do to a host's files, by
// dpkg itself below a folder (--root, scripts told of it by DPKG_ROOT). On a real systemd host: ./dev drill deb.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BUILD_SH = join(ROOT, 'deploy/deb/build.sh');
const TUNNEL_SH = join(ROOT, 'deploy/ops-agent/tunnel/tunnel.sh');
// somebody may commit between two builds
const ENV = { ...process.env, SOURCE_DATE_EPOCH: String(Math.floor(Date.now() / 1000)) };
const skip = process.getuid() !== 0 && 'dpkg installs as root only';

let dir, host, deb;
const at = (file) => join(host, file);
const field = (name) => execFileSync('dpkg-deb', ['-f', deb, name], { encoding: 'utf8' }).trim();
const hash = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

// The libraries are this machine's and not the folder's, hence --force-depends.
function dpkg(...args) {
	const r = spawnSync('dpkg', [`--root=${host}`, '--force-script-chrootless', '--force-depends', '--log=/dev/null', ...args],
		{ encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
	return { ...r, out: r.stdout + r.stderr };
}

function emptyHost(name) {
	host = join(dir, name);
	for (const folder of ['var/lib/dpkg/info', 'var/lib/dpkg/updates', 'etc', 'run']) mkdirSync(at(folder), { recursive: true });
	writeFileSync(at('var/lib/dpkg/status'), '');
	writeFileSync(at('etc/passwd'), 'root:x:0:0::/root:/bin/sh\n');
	writeFileSync(at('etc/group'), 'root:x:0:\n');
}

before(() => {
	dir = mkdtempSync(join(tmpdir(), 'ops-deb-'));
	deb = execFileSync(BUILD_SH, { encoding: 'utf8', env: ENV }).trim();
	emptyHost('host');
});
after(() => rmSync(dir, { recursive: true, force: true }));

test('names_its_version_and_the_libraries_it_is_linked_with', () => {
	const version = readFileSync(join(ROOT, 'meson.build'), 'utf8').match(/version: '([^']+)'/)[1];
	assert.match(field('Version'), new RegExp(`^${version.replaceAll('.', '\\.')}\\+deb`));
	for (const library of ['libc6 (>=', 'libuv1', 'libyaml-0-2', 'libjansson4', 'systemd (>='])
		assert.ok(field('Depends').includes(library), `${library} in ${field('Depends')}`);
	const list = execFileSync('dpkg-deb', ['-c', deb], { encoding: 'utf8' });
	for (const file of ['/usr/bin/ops-agent', '/usr/bin/opsctl', '/usr/libexec/ops/pg-dump', '/usr/lib/systemd/system/ops-agent.service',
		'/usr/lib/systemd/system/ops-agent-probes@.service', '/usr/lib/systemd/system/ops-agent-probes.socket',
		'/usr/share/man/man1/opsctl.1.gz', '/usr/share/bash-completion/completions/opsctl'])
		assert.match(list, new RegExp(`root/root .*\\.${file}$`, 'm'));
	assert.doesNotMatch(list, /\.\/(opt|usr\/local)\/|setup\.sh/);
});

test('two_builds_in_different_folders_give_the_same_bytes', () => {
	const second = execFileSync(BUILD_SH, [join(dir, 'elsewhere')], { encoding: 'utf8', env: ENV }).trim();
	assert.notEqual(second, deb);
	assert.equal(hash(second), hash(deb));
});

test('installs_accounts_a_secret_and_an_enabled_service', { skip }, () => {
	const r = dpkg('-i', deb);
	assert.equal(r.status, 0, r.out);
	assert.match(readFileSync(at('etc/ops-agent/secret'), 'utf8'), /^[0-9a-f]{64}$/);
	const { mode, gid } = statSync(at('etc/ops-agent/secret'));
	assert.equal(mode & 0o777, 0o640);
	const group = readFileSync(at('etc/group'), 'utf8').match(/^ops-agent:[^:]*:(\d+):/m);
	assert.equal(gid, Number(group[1]));
	assert.match(readFileSync(at('etc/passwd'), 'utf8'), /^ops-dashboard:x:10001:/m);
	assert.ok(existsSync(at('var/lib/systemd/deb-systemd-helper-enabled/ops-agent.service.dsh-also')));
	assert.match(readFileSync(at('usr/lib/systemd/system/ops-agent.service'), 'utf8'), /^ExecStart=\/usr\/bin\/ops-agent /m);
	const commands = readFileSync(at('etc/ops-agent/commands.yml'), 'utf8');
	for (const [, program] of commands.matchAll(/exec: \[(\/usr\/libexec\/[^,\]]+)/g)) assert.ok(existsSync(at(program)), program);
	assert.match(commands, /exec: \[\/usr\/libexec\/ops\/pg-dump/);
	assert.doesNotMatch(commands, /\/usr\/local|\/opt\//);
});

test('an_upgrade_changes_nothing_that_is_the_administrators', { skip }, () => {
	const secret = readFileSync(at('etc/ops-agent/secret'), 'utf8');
	appendFileSync(at('etc/ops-agent/commands.yml'), '# mine\n');
	appendFileSync(at('etc/default/ops-agent'), '# mine\n');
	rmSync(at('etc/ops-agent/flows/backup.yml')); // on purpose
	const r = dpkg('-i', deb);
	assert.equal(r.status, 0, r.out);
	assert.equal(readFileSync(at('etc/ops-agent/secret'), 'utf8'), secret);
	for (const file of ['etc/ops-agent/commands.yml', 'etc/default/ops-agent']) assert.match(readFileSync(at(file), 'utf8'), /# mine\n$/, file);
	assert.ok(!existsSync(at('etc/ops-agent/flows/backup.yml')));
});

test('an_upgrade_spares_runs_that_the_previous_agent_forked', { skip }, () => {
	const conf = at('run/systemd/system/ops-agent.service.d/forked-runs.conf');
	const process = (pid, unit, ...argv) => {
		mkdirSync(at(`proc/${pid}`), { recursive: true });
		writeFileSync(at(`proc/${pid}/cgroup`), `0::/system.slice/${unit}\n`);
		writeFileSync(at(`proc/${pid}/cmdline`), argv.join('\0'));
	};
	process(10, 'ops-agent.service', 'ops-agent serve', '');
	process(11, 'ops-agent.service.d.service', 'ops-agent runner /var/lib/ops-agent/runs/x', '');
	process(12, 'other.service', 'ops-agent runner /var/lib/ops-agent/runs/x', '');
	assert.equal(dpkg('-i', deb).status, 0);
	assert.ok(!existsSync(conf), 'none of these is a run in the service');
	process(13, 'ops-agent.service', 'ops-agent runner /var/lib/ops-agent/runs/x', '');
	const r = dpkg('-i', deb);
	assert.equal(r.status, 0, r.out);
	assert.match(r.out, /leaves them alone/);
	assert.equal(readFileSync(conf, 'utf8'), '[Service]\nKillMode=process\n');
	rmSync(at('proc'), { recursive: true });
	assert.equal(dpkg('-i', deb).status, 0);
	assert.ok(!existsSync(conf), 'gone with the upgrade after their end');
	rmSync(at('run/systemd'), { recursive: true });
});

test('removing_keeps_configuration_and_journals_and_purging_does_not', { skip }, () => {
	mkdirSync(at('var/lib/ops-agent/runs'), { recursive: true });
	let r = dpkg('-r', 'ops-agent');
	assert.equal(r.status, 0, r.out);
	assert.ok(!existsSync(at('usr/bin/ops-agent')));
	for (const file of ['etc/ops-agent/secret', 'etc/ops-agent/commands.yml', 'etc/default/ops-agent', 'var/lib/ops-agent/runs'])
		assert.ok(existsSync(at(file)), file);
	const key = join(dir, 'key');
	execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
	const accepted = spawnSync(TUNNEL_SH, ['--prefix', host, 'accept', readFileSync(`${key}.pub`, 'utf8').trim()], { encoding: 'utf8' });
	assert.equal(accepted.status, 0, accepted.stderr);
	assert.ok(existsSync(at('etc/ssh/ops-tunnel.keys')));
	r = dpkg('-P', 'ops-agent');
	assert.equal(r.status, 0, r.out);
	// the accounts stay, of a tunnel too, and dpkg's own; nothing lets anybody in
	const left = execFileSync('find', [host, '-type', 'f', '!', '-path', '*/dpkg/*', '-printf', '%P\n'], { encoding: 'utf8' }).trim().split('\n');
	assert.deepEqual(left.filter((f) => !/^etc\/(passwd|group|shadow|gshadow)-?$|^etc\/\.pwd\.lock$|^etc\/sysusers\.d\/ops-tunnel\.conf$/.test(f)), []);
});

test('refuses_a_host_where_setup_sh_has_been_and_one_whose_uid_10001_is_taken', { skip }, () => {
	emptyHost('by-setup');
	mkdirSync(at('opt/ops-agent/bin'), { recursive: true });
	writeFileSync(at('opt/ops-agent/bin/ops-agent'), '');
	let r = dpkg('-i', deb);
	assert.notEqual(r.status, 0);
	assert.match(r.out, /setup\.sh --uninstall/);
	emptyHost('taken');
	appendFileSync(at('etc/passwd'), 'carol:x:10001:10001::/home/carol:/bin/sh\n');
	r = dpkg('-i', deb);
	assert.notEqual(r.status, 0);
	assert.match(r.out, /uid 10001 is carol's/);
	assert.ok(!existsSync(at('etc/ops-agent/secret')));
});
