// deploy/ops-agent/setup.sh --prefix: which files an installation has, and what of it is the
// administrator's. Accounts, units and a real upgrade: ./dev drill.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, utimesSync,
	writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = join(HERE, '../../..');
const BUILD = process.env.OPS_BUILD_DIR ?? join(ROOT, 'build');
const SETUP = join(ROOT, 'deploy/ops-agent/setup.sh');

let dir, tree, host;
const at = (...parts) => join(host, ...parts);
const mode = (file) => statSync(at(file)).mode & 0o777;
const setup = (...args) => {
	const r = spawnSync(SETUP, [...args, '--prefix', host], { encoding: 'utf8' });
	return { ...r, out: r.stdout + r.stderr };
};

before(() => {
	dir = mkdtempSync(join(tmpdir(), 'ops-setup-'));
	host = join(dir, 'host');
	execFileSync('meson', ['install', '-C', BUILD, '--no-rebuild', '--tags', 'agent', '--destdir', join(dir, 'dest')]);
	// the tree below the prefix that the build was configured with
	tree = join(dir, 'dest', execFileSync('meson', ['introspect', '--buildoptions', BUILD], { encoding: 'utf8', maxBuffer: 1 << 26 })
		.match(/"name": "prefix", "value": "([^"]+)"/)[1]);
	const r = setup('--from', tree);
	assert.equal(r.status, 0, r.out);
});
after(() => rmSync(dir, { recursive: true, force: true }));

test('every_file_is_where_the_units_and_the_catalogue_look', () => {
	for (const file of ['/opt/ops-agent/bin/ops-agent', '/opt/ops-agent/bin/opsctl', '/usr/local/libexec/ops/pg-dump'])
		assert.equal(mode(file), 0o755, file);
	for (const file of ['/etc/systemd/system/ops-agent.service', '/etc/systemd/system/ops-runs.slice',
		'/etc/systemd/system/ops-agent-probes@.service', '/etc/systemd/system/ops-agent-probes.socket',
		'/etc/tmpfiles.d/ops-agent.conf', '/etc/sysusers.d/ops-agent.conf', '/etc/ops-agent/commands.yml',
		'/etc/ops-agent/flows/backup.yml', '/etc/default/ops-agent', '/opt/ops-agent/share/ops-agent/setup.sh'])
		assert.ok(existsSync(at(file)), file);
	assert.equal(readlinkSync(at('/usr/local/bin/opsctl')), '/opt/ops-agent/bin/opsctl');
	const unit = readFileSync(at('/etc/systemd/system/ops-agent.service'), 'utf8');
	for (const line of ['Type=notify', 'KillMode=mixed', 'Environment=OPS_LAUNCH=systemd', 'Environment=OPS_AGENT_SECRET_PATH=/etc/ops-agent/secret'])
		assert.ok(unit.split('\n').includes(line), line);
	assert.match(unit, /^WatchdogSec=/m);
	assert.doesNotMatch(unit, /^RuntimeDirectory=/m);
	assert.equal(execFileSync(at('/opt/ops-agent/bin/ops-agent'), ['--version'], { encoding: 'utf8' }).trim(),
		`ops-agent ${readFileSync(join(ROOT, 'meson.build'), 'utf8').match(/version: '([^']+)'/)[1]}`);
});

// What systemd itself makes of the units' sandboxes; of the loaded ones, ./dev drill units.
test('no_unit_is_more_exposed_than_2.0', () => {
	const folder = mkdtempSync(join(dir, 'units-'));
	const units = readdirSync(at('/etc/systemd/system')).filter((name) => name.endsWith('.service')).map((name) => at(`/etc/systemd/system/${name}`));
	assert.equal(units.length, 2);
	for (const file of [...units, join(ROOT, 'deploy/ops-dashboard-updater/ops-dashboard-updater.service')]) {
		const name = basename(file).replace('@.', '@x.');
		// it wants the program to be there
		writeFileSync(join(folder, name), readFileSync(file, 'utf8').replace(/^Exec(Start|Reload)=.*/gm, 'Exec$1=/bin/true'));
		const r = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', '--threshold=20', join(folder, name)], { encoding: 'utf8' });
		assert.equal(r.status, 0, `${file}: ${r.error ?? r.stdout.match(/→.*/)}`);
		assert.match(r.stdout, /Overall exposure level/);
	}
});

test('the_secret_is_new_random_and_not_for_others', () => {
	assert.match(readFileSync(at('/etc/ops-agent/secret'), 'utf8'), /^[0-9a-f]{64}$/);
	assert.equal(mode('/etc/ops-agent/secret'), 0o640);
});

test('a_second_time_changes_nothing_and_configuration_stays_the_administrators', () => {
	const secret = readFileSync(at('/etc/ops-agent/secret'), 'utf8');
	appendFileSync(at('/etc/ops-agent/commands.yml'), '# mine\n');
	writeFileSync(at('/etc/default/ops-agent'), 'OPS_AGENT_PEERS=42\n');
	rmSync(at('/etc/ops-agent/flows/backup.yml')); // on purpose
	utimesSync(at('/opt/ops-agent/bin/ops-agent'), 1, 1);
	const r = setup('--from', tree);
	assert.equal(r.status, 0, r.out);
	assert.equal(r.out.trim(), 'Files:', 'no file is named as changed');
	assert.equal(statSync(at('/opt/ops-agent/bin/ops-agent')).mtimeMs, 1000, 'the same program is not written again');
	assert.equal(readFileSync(at('/etc/ops-agent/secret'), 'utf8'), secret);
	assert.match(readFileSync(at('/etc/ops-agent/commands.yml'), 'utf8'), /# mine\n$/);
	assert.equal(readFileSync(at('/etc/default/ops-agent'), 'utf8'), 'OPS_AGENT_PEERS=42\n');
	assert.ok(!existsSync(at('/etc/ops-agent/flows/backup.yml')));
});

test('a_new_program_replaces_the_file_and_leaves_the_old_one_to_who_runs_it', () => {
	const file = at('/opt/ops-agent/bin/opsctl');
	writeFileSync(file, 'an older one');
	const before = lstatSync(file).ino;
	const r = setup('--from', tree);
	assert.equal(r.status, 0, r.out);
	assert.match(r.out, /\/opt\/ops-agent\/bin\/opsctl/);
	assert.notEqual(lstatSync(file).ino, before);
});

test('takes_a_tarball', () => {
	execFileSync('tar', ['-C', tree, '-czf', join(dir, 'agent.tar.gz'), '.']);
	const r = spawnSync(SETUP, ['--from', join(dir, 'agent.tar.gz'), '--prefix', join(dir, 'other')], { encoding: 'utf8' });
	assert.equal(r.status, 0, r.stdout + r.stderr);
	assert.ok(existsSync(join(dir, 'other/opt/ops-agent/bin/ops-agent')));
});

test('a_dry_run_says_all_and_does_nothing', () => {
	const r = spawnSync(SETUP, ['--dry-run', '--from', tree, '--prefix', join(dir, 'dry')], { encoding: 'utf8' });
	assert.equal(r.status, 0, r.stdout + r.stderr);
	assert.match(r.stdout, /would run: mv -f .*ops-agent\.service/);
	assert.ok(!existsSync(join(dir, 'dry')));
});

test('refuses_what_it_cannot_do', () => {
	for (const [args, code, text] of [[['--purge'], 1, /--purge goes with --uninstall/], [['--nonsense'], 64, /usage/],
		[['--from', '/nowhere'], 1, /there is no \/nowhere/], [['--from', ROOT], 1, /no bin\/ops-agent/],
		[['--build', 'magic'], 1, /docker or host/]]) {
		const r = setup(...args);
		assert.equal(r.status, code, r.out);
		assert.match(r.out, text);
	}
});

test('uninstall_keeps_what_is_the_administrators_and_purge_does_not', () => {
	writeFileSync(at('/usr/local/libexec/ops/of-the-administrator'), '');
	const man = '/usr/local/share/man/man1/opsctl.1', completion = '/usr/local/share/bash-completion/completions/opsctl';
	assert.ok(existsSync(at(man)) && existsSync(at(completion)));
	const way_in = ['/etc/ssh/ops-tunnel.keys', '/etc/ssh/sshd_config.d/ops-tunnel.conf'];
	mkdirSync(at('/etc/ssh/sshd_config.d'), { recursive: true });
	for (const file of way_in) writeFileSync(at(file), '');
	let r = setup('--uninstall');
	assert.equal(r.status, 0, r.out);
	for (const file of ['/opt/ops-agent', '/etc/systemd/system/ops-agent.service', '/etc/systemd/system/ops-agent-probes@.service', '/usr/local/libexec/ops/pg-dump', man, completion])
		assert.ok(!existsSync(at(file)), file);
	for (const file of ['/etc/ops-agent/secret', '/etc/ops-agent/commands.yml', '/etc/default/ops-agent',
		'/usr/local/libexec/ops/of-the-administrator', ...way_in])
		assert.ok(existsSync(at(file)), file);
	assert.throws(() => lstatSync(at('/usr/local/bin/opsctl')), /ENOENT/);
	r = setup('--uninstall', '--purge');
	assert.equal(r.status, 0, r.out);
	for (const file of ['/etc/ops-agent', ...way_in]) assert.ok(!existsSync(at(file)), file);
});
