// The drills. Each breaks one thing for real, follows the document that speaks of it, and looks whether
// what was promised holds. They share one server, so each leaves it well.
import assert from 'node:assert/strict';
import { overview } from './overview.mjs';
import { Server } from './engine.mjs';
import { secondHost } from './second-host.mjs';

// What the drill that goes on has compared, for the table at the end.
export const account = { recovery: 0, runs: 0, lostRuns: 0, bytes: 0, lostBytes: 0 };

const PASSWORD = 'the password of the drill';
const PAGE = 'https://ops.example.org';
const CURL = `curl --silent --show-error --cacert /var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt \
--resolve ops.example.org:443:127.0.0.1 --cookie-jar /tmp/jar --cookie /tmp/jar --header 'Origin: ${PAGE}' \
--header 'Content-Type: application/json'`;

// As the browser does it: through Caddy, with TLS, with the cookie.
function api(server, method, path, body) {
	const data = body === undefined ? '' : `--data-binary @-`;
	const out = server.run(`${CURL} --request ${method} ${data} --write-out '\\n%{http_code}' ${PAGE}${path}`,
		{ input: body === undefined ? '' : JSON.stringify(body) });
	const at = out.lastIndexOf('\n');
	const status = Number(out.slice(at + 1));
	let json;
	try {
		json = JSON.parse(out.slice(0, Math.max(at, 0)));
	} catch {
		json = undefined;
	}
	return { status, json, text: out };
}

export function login(server, password = PASSWORD) {
	return api(server, 'POST', '/api/v1/login', { user: 'admin', password });
}

function start(server, kind, id, inputs = {}) {
	const r = api(server, 'POST', '/api/v1/runs', { kind, id, inputs, confirm: id });
	assert.equal(r.status, 201, r.text);
	return r.json.run.id;
}

async function finished(server, id, seconds = 60) {
	const end = Date.now() + seconds * 1000;
	for (;;) {
		const r = api(server, 'GET', `/api/v1/runs/${id}`);
		const run = r.json?.run ?? r.json;
		if (run?.finished_us) {
			account.runs++;
			if (run.status === 'lost') account.lostRuns++;
			return run;
		}
		assert.ok(Date.now() < end, `the run is still going: ${r.text}`);
		await new Promise((resolve) => setTimeout(resolve, 500));
	}
}

// A run that prints a numbered line a second, so that one that is lost would be missed.
const counting = (server, lines = 60) => start(server, 'command', 'drill.count', { lines });

// Every line once, in order; how many.
function assertCounted(server, id, count) {
	const lines = server.run(`${CURL} '${PAGE}/api/v1/runs/${id}/log?format=raw'`).split('\n');
	const wanted = Array.from({ length: count ?? lines.length }, (_, i) => `line ${i + 1}\n`);
	account.bytes += wanted.join('').length;
	account.lostBytes += wanted.filter((line) => !lines.includes(line.trimEnd())).join('').length;
	assert.deepEqual(lines, Array.from({ length: count ?? lines.length }, (_, i) => `line ${i + 1}`), 'every line once, in order');
	return lines.length;
}

// Steps 1 to 4 of the README, then Caddy with an authority of its own, and the commands of the drills.
// edit: what the README says to change on this release.
async function install(server, edit) {
	server.run(`echo '127.0.0.1 ops.example.org' >>/etc/hosts
		printf 'OPS_BUILD_NETWORK=host\\n' >/etc/default/ops-dashboard-updater`);
	server.origin();
	server.follow('README.md', 'Install it', { env: { REPOSITORY: '/srv/origin.git' }, input: `${PASSWORD}\n`, edit });
	await certificates(server);
	server.run(`cat >>/etc/ops-agent/commands.yml <<'YML'

  drill.count:
    title: Count
    exec: [/usr/local/libexec/ops/drill-count, "\${inputs.lines}"]
    inputs:
      lines: { type: int, min: 1, max: 100000, default: 60 }
    timeout: 2h
  drill.pour:
    title: Pour
    exec: [/usr/local/libexec/ops/drill-pour]
    timeout: 30m
YML
printf '#!/bin/bash\\nfor i in {1..200}; do seq $((i * 5000)) $((i * 5000 + 4999)); sleep 0.05; done\\n' >/usr/local/libexec/ops/drill-pour
printf '#!/bin/bash\\nfor ((i = 1; i <= $1; i++)); do echo "line $i"; sleep 1; done\\n' >/usr/local/libexec/ops/drill-count
chmod 0755 /usr/local/libexec/ops/drill-*; ops-agent check >/dev/null && opsctl reload`);
}

// No authority of the world certifies a drill.
async function certificates(server) {
	server.run(`sed -i '1i { \\n local_certs \\n skip_install_trust \\n }' /etc/caddy/Caddyfile; systemctl reload-or-restart caddy`);
	await server.until('the page through Caddy', `${CURL} --fail ${PAGE}/healthz`, 60);
	const r = login(server);
	assert.equal(r.status, 200, r.text);
}

// A person who watches a run in Chromium, through Caddy. look(text) waits until the page shows a line with that
// text; leave() is what was seen in all: { lines, same: the page was never loaded anew, complaints }. end() in any case.
export function watcher(server, number) {
	const child = server.spawn(process.execPath, [new URL('watch.mjs', import.meta.url).pathname, PAGE, String(number), PASSWORD]);
	let text = '';
	const waiting = [];
	child.stdout.on('data', (d) => {
		text += d;
		for (let end; waiting.length > 0 && (end = text.indexOf('\n')) >= 0; text = text.slice(end + 1)) waiting.shift().resolve(JSON.parse(text.slice(0, end)));
	});
	child.on('close', (code) => waiting.splice(0).forEach((w) => w.reject(new Error(`the browser ended with ${code}`))));
	const ask = (line) => new Promise((resolve, reject) => {
		waiting.push({ resolve, reject });
		child.stdin.write(`${line}\n`);
	});
	return { look: (line) => ask(`look ${line}`), leave: () => ask('leave'), end: () => child.kill() };
}

// The overview says that item is well.
async function inOverview(server, section, item) {
	let found;
	for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 500))) {
		found = api(server, 'GET', '/api/v1/status').json?.sections?.[section]?.find((i) => i.id === item);
		if (found?.level === 'ok') return;
	}
	assert.fail(`${section}, ${item}: ${JSON.stringify(found)}`);
}

// The dashboard has all of the run in PostgreSQL.
const archived = (server, id) => server.until(`run ${id} is in the database`,
	`cd / && runuser -u postgres -- psql -XAtqd ops -c "SELECT 1 FROM ops.runs r WHERE id = '${id}' AND finished_us IS NOT NULL
	AND EXISTS (SELECT 1 FROM ops.run_log l WHERE l.run_id = r.id)" | grep -qx 1`, 60);

const container = (server) => server.run(`docker inspect --format '{{.Id}} {{index .Config.Labels "org.opencontainers.image.revision"}}' ops-dashboard`)
	.split(' ');
const lastUpdate = (server) => JSON.parse(server.run('tail -n 1 /var/lib/ops-dashboard-updater/history.jsonl'));

// What dpkg and apt do with the package in file on a server of its release.
export async function packageOn(other, file) {
	const files = "find / -xdev -type f -not -path '/var/*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/run/*' -not -path '/tmp/*' | sort";
	const before = other.run(files);
	other.run(`DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ${file}`);
	await other.until('the agent', 'opsctl status');
	other.run('systemctl is-enabled ops-agent');
	const id = other.run('opsctl run demo.work label=a seconds=40').match(/\d+/)[0];
	const secret = other.run('cat /etc/ops-agent/secret');
	const pid = other.run('systemctl show -p MainPID --value ops-agent');
	other.run(`DEBIAN_FRONTEND=noninteractive apt-get install -qy --reinstall ${file}`);
	await other.until('the agent', 'opsctl status');
	assert.notEqual(other.run('systemctl show -p MainPID --value ops-agent'), pid, 'a new agent');
	assert.equal(other.run('cat /etc/ops-agent/secret'), secret);
	await other.until('the run has ended', `opsctl show ${id} | grep -q succeeded`, 90);
	account.runs++;
	// a configuration that is broken stops an upgrade before the agent is stopped
	other.run('cp /etc/ops-agent/commands.yml /tmp/; echo nonsense: 1 >>/etc/ops-agent/commands.yml');
	const refused = other.try(`dpkg -i ${file}`);
	assert.notEqual(refused.status, 0);
	assert.match(refused.out, /commands\.yml:\d+:\d+: .*nonsense/);
	other.run('opsctl status; cp /tmp/commands.yml /etc/ops-agent/; dpkg --configure ops-agent; opsctl status');
	other.run('apt-get remove -qy ops-agent; test -s /etc/ops-agent/secret; test ! -e /usr/bin/opsctl; ! systemctl is-active ops-agent');
	other.run(`apt-get install -qy --no-install-recommends ${file}; opsctl runs | grep -q .`);
	other.run('DEBIAN_FRONTEND=noninteractive apt-get purge -qy ops-agent; apt-get autoremove -qy; test ! -e /etc/ops-agent; test ! -e /var/lib/ops-agent');
	const after = other.run(files);
	const left = after.split('\n').filter((f) => !before.split('\n').includes(f) && !/^\/etc\/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^\/etc\/\.pwd\.lock$/.test(f));
	assert.deepEqual(left, [], `left on ${other.release}`);
}

// What systemd thinks of each of our units, on a server that runs them.
async function exposure(server) {
	const units = server.run("cd /etc/systemd/system && ls | grep -E '^ops-.*[.]service$'").split('\n').map((unit) => unit.replace('@.', '@drill.'));
	assert.ok(units.includes('ops-agent.service') && units.includes('ops-dashboard-updater.service'), units.join(' '));
	const found = units.map((unit) => [unit, Number(server.run(`systemd-analyze security --no-pager ${unit} | tail -n 1`).match(/: ([\d.]+) /)[1])]);
	for (const [unit, of] of found) console.log(`  ${unit}: ${of}`);
	assert.deepEqual(found.filter(([unit, of]) => !(of <= 2)), [], 'more than it should');
}

export const drills = {
	async install(server) {
		// runs and backups on one small disk, which can be filled
		server.run(`mkdir -p /mnt/small; mount -t tmpfs -o size=160m,mode=755 small /mnt/small
			for name in ops-agent ops-backups; do mkdir -p /mnt/small/$name /var/lib/$name; mount --bind /mnt/small/$name /var/lib/$name; done`);
		await install(server);
		const run = await finished(server, start(server, 'flow', 'backup'), 120);
		assert.equal(run.status, 'succeeded', JSON.stringify(run));
		server.run('ls /var/lib/ops-backups/*.dump');
		// the probes look anew after a reload: every container and the dump are to be seen
		server.run('opsctl reload');
		await inOverview(server, 'docker', 'ops-dashboard');
		await inOverview(server, 'backups', 'database');
	},

	async 'install-again'(server) {
		const before = server.run('cat /etc/ops-agent/secret /srv/ops/ops-dashboard.env; systemctl show -p MainPID ops-agent');
		server.run('/srv/ops/repos/ops-dashboard/deploy/ops-agent/setup.sh && /srv/ops/repos/ops-dashboard/deploy/configure.sh https://ops.example.org',
			{ env: { OPS_BUILD_NETWORK: 'host' } });
		assert.equal(server.run('cat /etc/ops-agent/secret /srv/ops/ops-dashboard.env; systemctl show -p MainPID ops-agent'), before);
	},

	async timer(server) {
		const next = server.run('systemctl list-timers --all --no-pager ops-dashboard-updater.timer; systemctl cat ops-dashboard-updater.timer');
		assert.match(next, / 03:00:00 .*ops-dashboard-updater\.timer/);
		assert.match(next, /Persistent=true/);
	},

	exposure,

	async 'agent-crash'(server) {
		const id = counting(server);
		await server.until('the run has begun', `opsctl logs ${id} | grep -q 'line 3'`);
		// killed, and then not started again: what systemd does when that happens too often
		server.run('systemctl kill -s KILL --kill-who=main ops-agent; systemctl stop ops-agent');
		server.follow('runbooks/agent-away.md', 'Be sure');
		server.follow('runbooks/recovery.md', 'Agent crash');
		const run = await finished(server, id, 120);
		assert.equal(run.status, 'succeeded', JSON.stringify(run));
		assertCounted(server, id, 60);
	},

	// The other two rows of the runbook's table: a configuration that is refused, and another secret in the page.
	async 'agent-away'(server) {
		server.run('cp -p /etc/ops-agent/commands.yml /root/; echo "nonsense: 1" >>/etc/ops-agent/commands.yml');
		assert.notEqual(server.try('systemctl restart ops-agent').status, 0);
		assert.equal(server.run('systemctl show -P ExecMainStatus ops-agent'), '78');
		server.follow('runbooks/agent-away.md', 'Be sure');
		assert.match(server.try('ops-agent check').out, /commands\.yml:\d+:\d+: .*nonsense/);
		server.run('mv /root/commands.yml /etc/ops-agent/');
		server.follow('runbooks/recovery.md', 'Agent crash', { part: 'Fix' });
		server.follow('runbooks/agent-away.md', 'Check');
		server.run(`sed -i 's/^OPS_AGENT_SECRET=.*/OPS_AGENT_SECRET='$(openssl rand -hex 32)/ /srv/ops/ops-dashboard.env; docker restart ops-dashboard`);
		await server.until('the page', 'curl -fsS http://127.0.0.1:3001/healthz', 60);
		assert.notEqual(server.try('curl -fsS http://127.0.0.1:3001/readyz | grep \'"status":"ready"\'').status, 0, 'the agent is away');
		server.follow('runbooks/agent-away.md', 'Be sure');
		server.follow('runbooks/secret-rotation.md', 'The agent\'s secret', { part: 'Fix' });
		server.follow('runbooks/secret-rotation.md', 'The agent\'s secret', { part: 'Check' });
		server.follow('runbooks/agent-away.md', 'Check');
	},

	async documents(server) {
		server.follow('runbooks/setup.md', 'Be sure');
		server.follow('runbooks/setup.md', 'Check');
		server.follow('runbooks/deployment.md');
	},

	async 'database-away'(server) {
		server.run('systemctl stop postgresql');
		const id = start(server, 'command', 'host.uptime');
		assert.equal((await finished(server, id)).status, 'succeeded', 'without a database');
		assert.equal(login(server).status, 200);
		server.follow('runbooks/database-away.md');
		await archived(server, id);
	},

	async 'database-restore'(server) {
		const before = await finished(server, start(server, 'command', 'host.uptime'));
		await archived(server, before.id);
		assert.equal((await finished(server, start(server, 'flow', 'backup'), 120)).status, 'succeeded');
		const after = start(server, 'command', 'host.uptime');
		await finished(server, after);
		await archived(server, after);
		server.run('cd / && runuser -u postgres -- psql -XAtqc "DROP DATABASE ops WITH (FORCE)"');
		server.follow('runbooks/recovery.md', 'Database restore');
		await archived(server, before.id);
		await archived(server, after);
	},

	async 'database-corruption'(server) {
		const id = start(server, 'command', 'host.uptime');
		await finished(server, id);
		await archived(server, id);
		assert.equal((await finished(server, start(server, 'flow', 'backup'), 120)).status, 'succeeded');
		const sure = 'cd / && runuser -u postgres -- pg_dump -Fc -d ops >/dev/null || echo damaged';
		assert.equal(server.run(sure), '', 'what makes sure does not cry wolf');
		// half a page of the table of runs is zeroed on the disk: only its checksum tells
		server.run(`cd /; file=$(runuser -u postgres -- psql -XAtqd ops -c "CHECKPOINT" -c "SELECT current_setting('data_directory') || '/' || pg_relation_filepath('ops.runs')")
			data=$(runuser -u postgres -- psql -XAtqc 'SHOW data_directory'); bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
			systemctl stop postgresql 'postgresql@*'
			"$bin/pg_controldata" "$data" | grep -q 'checksum version: *[1-9]' || runuser -u postgres -- "$bin/pg_checksums" --enable -D "$data"
			dd if=/dev/zero of="$file" bs=4096 seek=1 count=1 conv=notrunc status=none; systemctl start postgresql`);
		server.follow('runbooks/recovery.md', 'Database corruption');
		await archived(server, id);
		server.run('cd / && runuser -u postgres -- dropdb ops_damaged');
	},

	async 'container-failure'(server) {
		const id = counting(server);
		server.run('docker rm -f ops-dashboard');
		server.follow('runbooks/recovery.md', 'Container failure');
		assert.equal((await finished(server, id, 120)).status, 'succeeded');
		assertCounted(server, id, 60);
	},

	async 'certificate-expiry'(server) {
		server.run(`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /etc/caddy/old.key -out /etc/caddy/old.crt \
				-subj /CN=ops.example.org -addext subjectAltName=DNS:ops.example.org -not_before 20200101000000Z -not_after 20200201000000Z
			chown caddy /etc/caddy/old.key; sed -i '/^ops.example.org {/a tls /etc/caddy/old.crt /etc/caddy/old.key' /etc/caddy/Caddyfile; systemctl restart caddy`);
		server.follow('runbooks/recovery.md', 'Certificate expiry');
		assert.equal(api(server, 'GET', '/healthz').status, 200);
	},

	async 'locked-out'(server) {
		// both are lost: the password, and the device with the second factor
		server.run(`printf 'AUTH_TOTP_SECRET=%s\\n' JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP >>/srv/ops/ops-dashboard.env; docker restart ops-dashboard`);
		await server.until('the page', 'curl -fsS http://127.0.0.1:3001/healthz', 60);
		assert.equal(login(server).status, 401, 'the password alone');
		assert.equal(login(server, 'not the password').status, 401);
		server.follow('runbooks/recovery.md', 'Locked out', { input: 'another password\n' });
		assert.equal(login(server).status, 401);
		assert.equal(login(server, 'another password').status, 200);
		server.follow('runbooks/secret-rotation.md', 'The password', { input: `${PASSWORD}\n` });
		assert.equal(login(server).status, 200);
	},

	async 'secret-rotation'(server) {
		const old = server.run('cat /etc/ops-agent/secret');
		const id = counting(server);
		server.follow('README.md', 'A new agent secret');
		await server.until('readiness', `curl -fsS http://127.0.0.1:3001/readyz | grep '"status":"ready"'`);
		server.follow('runbooks/secret-rotation.md', 'The agent\'s secret');
		assert.notEqual(server.run('cat /etc/ops-agent/secret'), old);
		const away = server.try('printf %s "$OLD" >/tmp/old; chmod 600 /tmp/old; OPS_AGENT_SECRET_PATH=/tmp/old opsctl status', { env: { OLD: old } });
		assert.notEqual(away.status, 0, 'the old secret opens nothing');
		assert.equal((await finished(server, id, 120)).status, 'succeeded');
		assertCounted(server, id, 60);
	},

	async 'compromised-secret'(server) {
		server.follow('runbooks/recovery.md', 'Compromised secret', { input: `${PASSWORD}\n` });
		assert.equal(api(server, 'GET', '/api/v1/runs').status, 401, 'the session of before has ended');
		assert.equal(login(server).status, 200);
	},

	async update(server) {
		const [before, old] = container(server);
		const agent = server.run('systemctl show -p MainPID --value ops-agent');
		const id = counting(server, 7200);
		const watch = watcher(server, api(server, 'GET', `/api/v1/runs/${id}`).json.run.number);
		let lines, after;
		try {
			await watch.look('line 3');
			const now = server.commit('agent: a comment', `echo '/* drill */' >>agent/main.c`);
			server.run('systemctl start ops-dashboard-updater.service');
			const [made, commit] = container(server);
			after = made;
			assert.notEqual(after, before);
			assert.equal(commit, now);
			const last = lastUpdate(server);
			assert.deepEqual([last.result, last.from, last.to, last.changes], ['updated', old, now, ['agent: a comment']]);
			assert.notEqual(server.run('systemctl show -p MainPID --value ops-agent'), agent, 'the agent is a new one too');
			assert.equal(server.run('cat /opt/ops-agent/share/ops-agent/commit'), now);
			// both daemons were replaced, and the run goes on
			lines = assertCounted(server, id);
			await server.until('further lines', `opsctl logs ${id} | grep -qx 'line ${lines + 5}'`);
			// and so it does in the page that was open all the while
			await watch.look(`line ${lines + 5}`);
			const seen = await watch.leave();
			assert.deepEqual(seen.lines.slice(0, lines + 5), Array.from({ length: lines + 5 }, (_, i) => `line ${i + 1}`), 'every line once, in order');
			assert.ok(seen.same, 'the page was not loaded anew');
			assert.deepEqual(seen.complaints, []);
		} finally {
			watch.end();
		}
		server.run(`opsctl cancel ${id}`);
		assert.equal((await finished(server, id)).status, 'cancelled');
		assert.ok(assertCounted(server, id) >= lines + 5);
		// by hand over SSH as well, twice at once, and nothing new
		server.run('/opt/ops-dashboard-updater/update.sh & /opt/ops-dashboard-updater/update.sh; wait $!');
		assert.equal(container(server)[0], after);
	},

	async rollback(server) {
		const [, old] = container(server);
		// nothing is compiled for it: the image that runs, with a daemon that ends at once
		const now = server.commit('deploy: a daemon that ends at once', `sed -i -e 's/^FROM scratch AS dashboard/FROM ops-dashboard:current AS dashboard/' \\
			-e '/^COPY --from=build /d' -e 's/^CMD \\["serve"\\]/CMD ["nonsense"]/' deploy/Dockerfile; grep -q nonsense deploy/Dockerfile`);
		const r = server.try('systemctl start ops-dashboard-updater.service');
		assert.notEqual(r.status, 0, 'the unit has failed');
		const last = lastUpdate(server);
		assert.deepEqual([last.result, last.from, last.to], ['rolled_back', old, now], JSON.stringify(last));
		assert.equal(container(server)[1], old);
		assert.equal(api(server, 'GET', '/healthz').status, 200);
		server.follow('runbooks/update-and-rollback.md', 'An update was rolled back');
		// what the author does next
		const mended = server.commit('deploy: mended', `sed -i 's/nonsense/serve/' deploy/Dockerfile`);
		server.run('systemctl start ops-dashboard-updater.service');
		assert.equal(container(server)[1], mended);
		server.follow('runbooks/update-and-rollback.md', 'Back to an older version by hand');
		assert.equal(container(server)[1], old, 'not the one that failed');
		server.follow('runbooks/update-and-rollback.md', 'Update now');
		assert.equal(container(server)[1], mended);
		server.run('systemctl start ops-dashboard-updater.timer');
		server.commit('deploy: an image that is compiled', `git checkout -q ${old} -- deploy/Dockerfile`);
	},

	// kill -9 of every process but the first, in the middle of an update's build.
	async 'power-lost-in-an-update'(server) {
		const [before, old] = container(server);
		const done = await finished(server, start(server, 'command', 'host.uptime'));
		const now = server.commit('docs: one more', 'echo >>CONTRIBUTING.md');
		server.run('systemctl start --no-block ops-dashboard-updater.service');
		await server.until('the build', 'test -s /var/lib/ops-dashboard-updater/in-progress && pgrep -f "[b]uild.sh dashboard"', 600);
		server.try('kill -9 -1');
		// a start would start all of these; to the one process that is left its targets are reached already
		await server.until('the next start', `systemctl reset-failed; systemctl start docker caddy ops-agent postgresql@$(pg_lsclusters -h | awk '{ print $1 "-" $2 }')
			systemctl is-active docker ops-agent caddy; pg_lsclusters -h | grep -w online`, 120);
		await server.until('the page', 'curl -fsS http://127.0.0.1:3001/readyz | grep \'"status":"ready"\'', 60);
		assert.equal(container(server)[1], old);
		assert.equal(container(server)[0], before, 'the very same container');
		assert.equal(login(server).status, 200);
		assert.equal((await finished(server, done.id)).status, 'succeeded');
		server.run('ops-agent verify; systemctl start ops-dashboard-updater.service');
		assert.equal(container(server)[1], now);
		assert.equal(lastUpdate(server).result, 'updated');
	},

	overview,
	// Two builds of one commit, from two checkouts, the second without anything of the first.
	async reproducible(server) {
		const commit = server.run('git -C /srv/author rev-parse HEAD');
		const layers = [];
		for (const n of [1, 2]) {
			server.run(`rm -rf /srv/again; git clone -q /srv/origin.git /srv/again; cd /srv/again
				docker build -q --network host ${n === 2 ? '--no-cache' : ''} -f deploy/Dockerfile --target dashboard --build-arg COMMIT=${commit} \
					--build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) -t ops-again:${n} .`);
			layers.push(server.run(`docker image inspect --format '{{json .RootFS.Layers}}' ops-again:${n}`));
		}
		console.log(`  ${(Number(server.run(`docker image inspect --format '{{.Size}}' ops-again:2`)) / 1e6).toFixed(1)} MB in ${JSON.parse(layers[1]).length} layer(s)`);
		const differing = server.try(`for n in 1 2; do mkdir -p /tmp/again/$n; c=$(docker create ops-again:$n); docker export $c | tar -C /tmp/again/$n -x; docker rm $c >/dev/null; done
			diff -rq --no-dereference /tmp/again/1 /tmp/again/2; rm -rf /tmp/again`).out;
		assert.equal(layers[0], layers[1], differing || 'only times, owners or modes differ');
		server.run('docker image rm ops-again:1 ops-again:2');
	},

	// The agent as a package, for both releases: built as deploy/Dockerfile says, installed on a server of that release,
	// upgraded while a run goes, removed and purged.
	async package(server) {
		for (const release of ['bookworm', 'trixie']) {
			server.load(release);
			const file = server.run(`cd /srv/author; rm -rf /tmp/deb; docker build -q --network host -f deploy/Dockerfile --target deb --build-arg DEBIAN=${release} \
				--build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) --output /tmp/deb . >/dev/null; ls /tmp/deb/*.deb`);
			const other = new Server(server.engine, 'ops-drill-package', release);
			try {
				await other.boot([]);
				other.run('mkdir -p /tmp/deb; apt-get update -q');
				other.take(server, file);
				await packageOn(other, file);
			} finally {
				other.destroy();
			}
		}
	},

	// Behind what is built: following the runbook, the cache of builds goes too.
	async 'disk-full'(server) {
		// old dumps have eaten the disk that runs are on, while one is writing
		const id = start(server, 'command', 'drill.pour');
		server.run(`cd /var/lib/ops-backups
			for n in {10..99}; do dd if=/dev/zero of=ops-old-20200101T0000"$n"Z.dump bs=1M count=4 status=none 2>/dev/null || break; done
			chown postgres:postgres ops-old-*; df --output=pcent /var/lib/ops-agent | grep 100%`);
		await server.until('the run stands still', `opsctl show ${id} --json | grep -q '"disk_full":true' || test "$(df --output=avail /var/lib/ops-agent | tail -1)" -lt 64`, 30);
		server.follow('runbooks/recovery.md', 'Disk full');
		const run = await finished(server, id, 120);
		assert.equal(run.status, 'succeeded', JSON.stringify(run));
		server.run(`${CURL} -o /tmp/poured '${PAGE}/api/v1/runs/${id}/log?format=raw'; seq 5000 1004999 | cmp - /tmp/poured`);
		account.bytes += Number(server.run('stat -c %s /tmp/poured'));
	},

	// A second server, to which everything goes.
	async 'moving-to-another-host'(server) {
		const ids = [start(server, 'command', 'host.uptime'), start(server, 'command', 'drill.pour')];
		for (const id of ids) {
			assert.equal((await finished(server, id, 120)).status, 'succeeded');
			await archived(server, id);
		}
		// one that the old database never sees: it comes from the agent's journal
		server.run('docker stop ops-dashboard; opsctl run -f host.uptime');
		ids.push(JSON.parse(server.run('opsctl runs --json')).runs[0].id);
		const other = new Server(server.engine, 'ops-drill-new');
		try {
			await other.boot();
			other.run(`echo '127.0.0.1 ops.example.org' >>/etc/hosts; printf 'OPS_BUILD_NETWORK=host\\n' >/etc/default/ops-dashboard-updater`);
			other.origin();
			const readme = { env: { REPOSITORY: '/srv/origin.git' }, input: `${PASSWORD}\n` };
			other.follow('README.md', 'Install it', { ...readme, steps: [0, 2] });
			server.follow('runbooks/recovery.md', 'Moving to another host', { part: 'Be sure' });
			other.take(server, '/root/ops-move.tar.gz');
			other.follow('runbooks/recovery.md', 'Moving to another host', { part: 'Fix' });
			other.follow('README.md', 'Install it', { ...readme, steps: [2, 4] });
			await certificates(other);
			other.follow('runbooks/recovery.md', 'Moving to another host', { part: 'Check' });
			for (const id of ids) {
				assert.equal((await finished(other, id)).status, 'succeeded');
				await archived(other, id);
			}
			other.run(`${CURL} -o /tmp/poured '${PAGE}/api/v1/runs/${ids[1]}/log?format=raw'; seq 5000 1004999 | cmp - /tmp/poured`);
			account.bytes += Number(other.run('stat -c %s /tmp/poured'));
			assert.equal((await finished(other, start(other, 'flow', 'backup'), 120)).status, 'succeeded');
		} finally {
			other.destroy();
			server.run('docker start ops-dashboard; systemctl start ops-agent');
			await server.until('the page', 'curl -fsS http://127.0.0.1:3001/healthz', 60);
		}
	},

	'second-host': (server) => secondHost(server, { api, start, finished, account }),

	// Debian 12, whose compose is 1.29 and whose engine is 20.10: installed as the README says, and updated.
	async 'debian-12'(server) {
		const other = new Server(server.engine, 'ops-drill-bookworm', 'bookworm');
		try {
			await other.boot(['trixie', 'bookworm']);
			await install(other, (sh) => sh.replace(' docker-cli docker-buildx', ''));
			assert.equal((await finished(other, start(other, 'flow', 'backup'), 120)).status, 'succeeded');
			const id = counting(other, 7200);
			const now = other.commit('core: a comment', `echo '/* drill */' >>core/main.c; echo '/* drill */' >>agent/main.c`);
			other.run('systemctl start ops-dashboard-updater.service');
			assert.equal(container(other)[1], now);
			assert.equal(other.run('cat /opt/ops-agent/share/ops-agent/commit'), now);
			const lines = assertCounted(other, id);
			await other.until('further lines', `opsctl logs ${id} | grep -qx 'line ${lines + 5}'`);
			other.run(`opsctl cancel ${id}`);
			await finished(other, id);
			assert.ok(assertCounted(other, id) >= lines + 5);
		} finally {
			other.destroy();
		}
	},
};

export const ORDER = Object.keys(drills);
