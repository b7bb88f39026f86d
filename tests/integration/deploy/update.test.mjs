// deploy/ops-dashboard-updater/update.sh: what it decides, against real git, a stand-in for docker and a
// page that is well or not. With the real engine: ./dev drill.
import assert from 'node:assert/strict';
import { spawn, execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync,
	writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, beforeEach, test } from 'node:test';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = join(HERE, '../../..');
const UPDATE = join(ROOT, 'deploy/ops-dashboard-updater/update.sh');

let dir, page, port;
const bad = new Set();

const path = (...parts) => join(dir, ...parts);
const git = (where, ...args) =>
	execFileSync('git', ['-C', where, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], { encoding: 'utf8' }).trim();

// One more commit at the origin; returns its id.
function commit(subject, files = {}) {
	for (const [name, text] of Object.entries(files)) {
		mkdirSync(join(path('work'), name, '..'), { recursive: true });
		writeFileSync(path('work', name), text);
	}
	git(path('work'), 'add', '-A');
	git(path('work'), 'commit', '-q', '--allow-empty', '-m', subject);
	git(path('work'), 'push', '-q', 'origin', 'HEAD:main');
	return git(path('work'), 'rev-parse', 'HEAD');
}

// The commit whose image the container runs.
function runningCommit() {
	const id = readFileSync(path('docker/container'), 'utf8');
	return readFileSync(path('docker/images', id), 'utf8');
}

function update(args = [], env = {}) {
	return new Promise((resolve) => {
		const child = spawn('bash', ['-c', 'echo $$ >"$FAKE_DOCKER/updater.pid"; exec "$0" "$@"', UPDATE, ...args], {
			env: { ...process.env, PATH: `${path('bin')}:${process.env.PATH}`, FAKE_DOCKER: path('docker'),
				UPDATER_DEFAULTS: path('default'), ...env } });
		let out = '';
		child.stdout.on('data', (d) => (out += d));
		child.stderr.on('data', (d) => (out += d));
		child.on('close', (code, signal) => resolve({ code, signal, out }));
	});
}

const history = () => readFileSync(path('state/history.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const calls = () => readFileSync(path('docker/calls'), 'utf8').trim().split('\n');

before(async () => {
	page = createServer((req, res) => {
		const commit = existsSync(path('docker/container')) ? runningCommit() : '';
		if (bad.has(commit)) return res.writeHead(500).end('broken');
		if (req.url === '/readyz') return res.end('{"status":"ready","version":"0.1.0"}');
		if (req.url === '/healthz') return res.end('{"status":"ok"}');
		return res.end('<!doctype html><script src="/a.js"></script>');
	});
	page.on('upgrade', (req, socket) => {
		const good = req.headers.origin === 'https://ops.example.org' && req.headers.host === 'ops.example.org';
		socket.end(`HTTP/1.1 ${good ? '401 Unauthorized' : '403 Forbidden'}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
	});
	await new Promise((resolve) => page.listen(0, '127.0.0.1', resolve));
	port = page.address().port;
});
after(() => page.close());

beforeEach(async (t) => {
	dir = mkdtempSync(join(tmpdir(), 'ops-update-'));
	t.after?.(() => rmSync(dir, { recursive: true, force: true }));
	for (const name of ['bin', 'docker/tags', 'docker/images', 'state', 'backups']) mkdirSync(path(name), { recursive: true });
	symlinkSync(join(HERE, 'fake-docker'), path('bin/docker'));
	// the script wants root for Docker and for other people's checkouts; here it needs neither
	writeFileSync(path('bin/id'), '#!/bin/sh\n[ "$1" = -u ] && echo 0 && exit\nexec /usr/bin/id "$@"\n');
	chmodSync(path('bin/id'), 0o755);
	writeFileSync(path('compose.yml'), 'services: {}\n');
	writeFileSync(path('env'), 'DATABASE_URL=postgresql://ops:x@postgres/ops\nPUBLIC_ORIGIN="https://ops.example.org"\n');
	writeFileSync(path('default'), [`REPOSITORY=${path('checkout')}`, `COMPOSE_FILE=${path('compose.yml')}`,
		`STATE=${path('state')}`, `BACKUP_DIR=${path('backups')}`, `ENV_FILE=${path('env')}`,
		`URL=http://127.0.0.1:${port}`, 'MIN_FREE_MIB=1', 'SMOKE_SECONDS=1', 'LOCK_SECONDS=20', 'UPDATE_AGENT=no',
		`AGENT_DIR=${path('agent')}`].join('\n'));
	git(dir, 'init', '-q', '--bare', '-b', 'main', 'origin.git');
	git(dir, 'clone', '-q', path('origin.git'), 'work');
	commit('first', { 'meson.build': "project('x', 'c',\n  version: '0.1.0',\n)\n" });
	git(dir, 'clone', '-q', path('origin.git'), 'checkout');
	bad.clear();
	assert.equal((await update()).code, 0, 'the first image');
	rmSync(path('docker/calls'));
});

test('nothing_new_is_quick_and_touches_nothing', async () => {
	const { code, out } = await update();
	assert.equal(code, 0, out);
	assert.match(out, /Nothing to do/);
	assert.ok(!calls().some((c) => /build|up -d/.test(c)), calls().join('\n'));
	assert.equal(history().length, 1);
});

test('a_new_commit_is_built_started_and_recorded_with_what_is_new', async () => {
	const old = runningCommit();
	const now = commit('ui: a "quoted" thing\n\nwith a body', { 'core/x.c': '1' });
	const { code, out } = await update();
	assert.equal(code, 0, out);
	assert.equal(runningCommit(), now);
	const last = history().at(-1);
	assert.deepEqual([last.result, last.from, last.to, last.version], ['updated', old, now, '0.1.0']);
	assert.deepEqual(last.changes, ['ui: a "quoted" thing']);
	const up = calls().filter((c) => c.includes(' up '));
	assert.equal(up.length, 1);
	assert.match(up[0], /up -d --no-deps --no-build --force-recreate ops-dashboard$/, 'this service only');
	assert.ok(!existsSync(path('state/in-progress')));
	assert.deepEqual(readdirSync(path('backups')), [], 'no migrations, no backup');
});

test('a_failed_smoke_test_goes_back_to_the_image_of_before', async () => {
	const old = runningCommit();
	const now = commit('broken');
	bad.add(now);
	writeFileSync(path('bin/told'), `#!/bin/sh\necho "$1: $2" >>${path('told')}\n`);
	chmodSync(path('bin/told'), 0o755);
	const first = await update([], { NOTIFY_COMMAND: path('bin/told') });
	assert.equal(first.code, 1, first.out);
	assert.equal(runningCommit(), old);
	assert.equal(history().at(-1).result, 'rolled_back');
	assert.match(history().at(-1).reason, /smoke test: .*500/);
	assert.ok(!existsSync(path('docker/tags', `ops-dashboard:${now.slice(0, 12)}`)), 'the image that failed is not kept');
	assert.ok(existsSync(path('docker/tags', `ops-dashboard:${old.slice(0, 12)}`)));
	assert.match(readFileSync(path('told'), 'utf8'), /^rolled_back: .*smoke test/);
	// not every night again, but when somebody says so
	const second = await update();
	assert.equal(second.code, 0, second.out);
	assert.match(second.out, /failed before/);
	bad.delete(now);
	assert.equal((await update(['--force'])).code, 0);
	assert.equal(runningCommit(), now);
});

test('a_failed_build_leaves_what_runs', async () => {
	const old = runningCommit();
	commit('does not compile');
	writeFileSync(path('docker/build-fails'), '');
	const { code, out } = await update();
	assert.equal(code, 1);
	assert.match(out, /it does not compile/);
	assert.equal(runningCommit(), old);
	assert.ok(!calls().some((c) => c.includes(' up ')));
	assert.equal(history().at(-1).result, 'failed');
	// the next commit is tried as ever
	rmSync(path('docker/build-fails'));
	const next = commit('compiles');
	assert.equal((await update()).code, 0);
	assert.equal(runningCommit(), next);
});

test('new_migrations_are_preceded_by_a_backup_and_no_backup_means_no_update', async () => {
	const old = runningCommit();
	const now = commit('db: more', { 'core/db/migrations/0002_more.sql': 'select 1;' });
	writeFileSync(path('bin/no-backup'), '#!/bin/sh\nexit 1\n');
	chmodSync(path('bin/no-backup'), 0o755);
	const refused = await update([], { BACKUP_COMMAND: path('bin/no-backup') });
	assert.equal(refused.code, 1);
	assert.equal(runningCommit(), old);
	const { code, out } = await update();
	assert.equal(code, 0, out);
	assert.equal(runningCommit(), now);
	const [file] = readdirSync(path('backups'));
	assert.match(file, new RegExp(`^before-${now.slice(0, 12)}-.*\\.dump$`));
	assert.match(readFileSync(path('backups', file), 'utf8'), /PGDMP/);
	assert.ok(calls().some((c) => c.endsWith('exec -T postgres pg_dump -Fc -U ops -d ops')));
});

test('killed_after_the_start_the_next_update_judges_what_runs', async () => {
	const old = runningCommit();
	const now = commit('good');
	writeFileSync(path('docker/kill-after-up'), '');
	assert.equal((await update()).signal, 'SIGKILL');
	assert.equal(runningCommit(), now);
	assert.ok(existsSync(path('state/in-progress')));
	let { code, out } = await update();
	assert.equal(code, 0, out);
	assert.match(out, /interrupted/);
	assert.equal(runningCommit(), now);
	assert.ok(!existsSync(path('state/in-progress')));

	const broken = commit('broken');
	bad.add(broken);
	writeFileSync(path('docker/kill-after-up'), '');
	assert.equal((await update()).signal, 'SIGKILL');
	({ code, out } = await update());
	assert.equal(code, 0, out);
	assert.equal(runningCommit(), now, out);
	assert.notEqual(now, old);
	assert.equal(history().at(-1).result, 'rolled_back');
});

test('only_fast_forwards_of_a_clean_checkout', async () => {
	const old = runningCommit();
	commit('new');
	writeFileSync(path('checkout/meson.build'), 'changed by hand\n');
	let { code, out } = await update();
	assert.equal(code, 1);
	assert.match(out, /local changes/);
	git(path('checkout'), 'checkout', '-q', '.');
	git(path('checkout'), 'commit', '-q', '--allow-empty', '-m', 'local');
	({ code, out } = await update());
	assert.equal(code, 1);
	assert.match(out, /have parted/);
	assert.equal(runningCommit(), old);
	assert.match(history().at(-1).reason, /have parted/);
});

test('two_at_once_do_one_update', async () => {
	const now = commit('new');
	const both = await Promise.all([update(), update()]);
	assert.deepEqual(both.map((r) => r.code), [0, 0], both.map((r) => r.out).join('---\n'));
	assert.equal(runningCommit(), now);
	assert.equal(calls().filter((c) => c.includes(' build ')).length, 1);
});

test('the_images_of_the_last_three_commits_that_ran_are_kept_and_which_was_before', async () => {
	const good = [];
	for (const n of [1, 2, 3, 4]) {
		good.push(commit(`n${n}`));
		assert.equal((await update()).code, 0);
	}
	const broken = commit('broken');
	bad.add(broken);
	assert.equal((await update()).code, 1);
	const tags = () => readdirSync(path('docker/tags')).map((t) => t.split(':')[1]).sort();
	const image = (tag) => readFileSync(path('docker/images', readFileSync(path('docker/tags', `ops-dashboard:${tag}`), 'utf8')), 'utf8');
	assert.deepEqual(tags(), ['current', 'previous', ...good.slice(1).map((c) => c.slice(0, 12))].sort());
	assert.deepEqual([image('current'), image('previous')], [good[3], good[2]]);
	assert.equal(runningCommit(), good[3]);
	good.push(commit('mended'));
	assert.equal((await update()).code, 0);
	assert.deepEqual(tags(), ['current', 'previous', ...good.slice(2).map((c) => c.slice(0, 12))].sort());
	assert.equal(image('previous'), good[3]);
});

test('an_agent_that_changed_is_updated_too_out_of_the_services_sandbox', async () => {
	const setup = `#!/bin/sh\necho "$OPS_AGENT_COMMIT $*" >>${path('setup')}\nmkdir -p ${path('agent/share/ops-agent')}\n` +
		`printf %s "$OPS_AGENT_COMMIT" >${path('agent/share/ops-agent/commit')}\n`;
	mkdirSync(path('agent/bin'), { recursive: true });
	writeFileSync(path('agent/bin/ops-agent'), '#!/bin/sh\n');
	chmodSync(path('agent/bin/ops-agent'), 0o755);
	// systemd-run hands the variables named on over, and nothing else
	writeFileSync(path('bin/systemd-run'), `#!/bin/bash
printf '%s\\n' "$*" >>${path('units')}
set=()
while [ "$1" != -- ]; do [[ $1 != --setenv=* ]] || set+=("\${1#--setenv=}"); shift; done
shift
exec env -i "\${set[@]}" "$@"
`);
	chmodSync(path('bin/systemd-run'), 0o755);
	writeFileSync(path('default'), readFileSync(path('default'), 'utf8').replace('UPDATE_AGENT=no', 'UPDATE_AGENT=yes'));
	mkdirSync(path('work/deploy/ops-agent'), { recursive: true });
	writeFileSync(path('work/deploy/ops-agent/setup.sh'), setup);
	chmodSync(path('work/deploy/ops-agent/setup.sh'), 0o755);
	const first = commit('agent: new', { 'agent/main.c': '1' });
	const { code, out } = await update([], { OPS_UPDATER_SANDBOX: '1' });
	assert.equal(code, 0, out);
	assert.equal(readFileSync(path('setup'), 'utf8'), `${first} --build docker\n`);
	assert.match(readFileSync(path('units'), 'utf8'), new RegExp(`--wait .*--setenv=OPS_AGENT_COMMIT=${first} .*-- .*setup\\.sh --build docker$`, 'm'));
	// not for a commit that does not touch it
	commit('ui: new', { 'ui/x.ts': '1' });
	assert.equal((await update([], { OPS_UPDATER_SANDBOX: '1' })).code, 0);
	assert.equal(readFileSync(path('setup'), 'utf8').split('\n').length, 2);
});

test('with_VERIFY_SIGNATURES_only_a_tag_signed_by_a_known_key_is_taken', async () => {
	for (const name of ['known', 'stranger']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path(name)]);
	writeFileSync(path('allowed'), `t@example.org ${readFileSync(path('known.pub'), 'utf8')}`);
	git(path('checkout'), 'config', 'gpg.format', 'ssh');
	git(path('checkout'), 'config', 'gpg.ssh.allowedSignersFile', path('allowed'));
	writeFileSync(path('default'), readFileSync(path('default'), 'utf8') + '\nVERIFY_SIGNATURES=yes\n');
	const tag = (name, key) => {
		git(path('work'), '-c', 'gpg.format=ssh', '-c', `user.signingkey=${path(key)}`, 'tag', '-s', '-m', name, name);
		git(path('work'), 'push', '-q', 'origin', name);
	};
	const old = runningCommit();
	commit('unsigned');
	let { code, out } = await update();
	assert.equal(code, 1);
	assert.match(out, /has no tag/);
	const signed = commit('signed');
	tag('v1', 'known');
	commit('after the tag');
	({ code, out } = await update());
	assert.equal(code, 0, out);
	assert.equal(runningCommit(), signed, 'the tag, not what came after it');
	commit('of a stranger');
	tag('v2', 'stranger');
	({ code, out } = await update());
	assert.equal(code, 1);
	assert.match(out, /signature of tag v2 is not good; nothing was changed/);
	assert.equal(runningCommit(), signed);
	assert.notEqual(signed, old);
});

test('who_waits_too_long_for_another_update_is_told_and_does_nothing', async () => {
	commit('new');
	writeFileSync(path('default'), readFileSync(path('default'), 'utf8').replace('LOCK_SECONDS=20', 'LOCK_SECONDS=1'));
	const holder = spawn('flock', [path('state/lock'), 'sh', '-c', 'echo held; read x'], { stdio: ['pipe', 'pipe', 'ignore'] });
	await new Promise((resolve) => holder.stdout.once('data', resolve));
	const { code, out } = await update();
	holder.stdin.end('\n');
	assert.equal(code, 75, out);
	assert.match(out, /Another update is running/);
	assert.equal(history().length, 1, 'no line of history');
});

test('NOTIFY_URL_gets_every_result_and_its_absence_harms_nothing', async () => {
	const got = [];
	const service = createServer((req, res) => {
		let body = '';
		req.on('data', (d) => (body += d));
		req.on('end', () => {
			got.push(JSON.parse(body));
			res.end();
		});
	});
	await new Promise((resolve) => service.listen(0, '127.0.0.1', resolve));
	const url = `http://127.0.0.1:${service.address().port}/hook`;
	const old = runningCommit();
	const now = commit('new');
	assert.equal((await update([], { NOTIFY_URL: url })).code, 0);
	const broken = commit('broken');
	bad.add(broken);
	assert.equal((await update([], { NOTIFY_URL: url })).code, 1);
	service.close();
	assert.deepEqual(got.map((g) => [g.result, g.from, g.to]), [['updated', old, now], ['rolled_back', now, broken]]);
	assert.match(got[1].text, /rolled_back .*smoke test/);
	commit('better');
	const { code, out } = await update([], { NOTIFY_URL: 'http://127.0.0.1:1/' });
	assert.equal(code, 0, out);
	assert.match(out, /NOTIFY_URL did not take the message/);
});

test('says_what_the_host_lacks', async () => {
	const full = await update([], { MIN_FREE_MIB: '' });
	assert.equal(full.code, 0, 'an empty value is the default of the file');
	const settings = readFileSync(path('default'), 'utf8');
	writeFileSync(path('default'), settings.replace(path('env'), path('docker')));
	const folder = await update();
	assert.equal(folder.code, 69, folder.out);
	assert.match(folder.out, /is a folder and not the settings/);
	writeFileSync(path('default'), settings + '\nMIN_FREE_MIB=999999999\n');
	const low = await update();
	assert.equal(low.code, 69);
	assert.match(low.out, /MiB free/);
	rmSync(path('bin/docker'));
	writeFileSync(path('bin/docker'), '#!/bin/sh\nexit 1\n');
	chmodSync(path('bin/docker'), 0o755);
	const none = await update();
	assert.equal(none.code, 69);
	assert.match(none.out, /Docker engine does not answer/);
});

test('installs_its_files_below_a_prefix', () => {
	const install = join(ROOT, 'deploy/ops-dashboard-updater/install.sh');
	execFileSync(install, ['--prefix', path('host')]);
	const timer = readFileSync(path('host/etc/systemd/system/ops-dashboard-updater.timer'), 'utf8');
	assert.match(timer, /OnCalendar=\*-\*-\* 03:00:00\nPersistent=true/);
	writeFileSync(path('host/etc/default/ops-dashboard-updater'), 'BRANCH=mine\n');
	execFileSync(install, ['--prefix', path('host')]);
	assert.equal(readFileSync(path('host/etc/default/ops-dashboard-updater'), 'utf8'), 'BRANCH=mine\n');
	execFileSync(install, ['--uninstall', '--prefix', path('host')]);
	assert.ok(!existsSync(path('host/opt/ops-dashboard-updater')));
	assert.ok(existsSync(path('host/etc/default/ops-dashboard-updater')));
});
