// The drills. Each breaks one thing for real, follows the document that speaks of it, and looks whether
// what was promised holds. They share one server, so each leaves it well.
import assert from 'node:assert/strict';
import { overview } from './overview.mjs';

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
		if (run?.finished_us) return run;
		assert.ok(Date.now() < end, `the run is still going: ${r.text}`);
		await new Promise((resolve) => setTimeout(resolve, 500));
	}
}

// A run that prints a numbered line a second, so that one that is lost would be missed.
const counting = (server, lines = 60) => start(server, 'command', 'drill.count', { lines });

// Every line once, in order; how many.
function assertCounted(server, id, count) {
	const lines = server.run(`${CURL} '${PAGE}/api/v1/runs/${id}/log?format=raw'`).split('\n');
	assert.deepEqual(lines, Array.from({ length: count ?? lines.length }, (_, i) => `line ${i + 1}`), 'every line once, in order');
	return lines.length;
}

// The dashboard has all of the run in PostgreSQL.
const archived = (server, id) => server.until(`run ${id} is in the database`,
	`cd / && runuser -u postgres -- psql -XAtqd ops -c "SELECT 1 FROM ops.runs r WHERE id = '${id}' AND finished_us IS NOT NULL
	AND EXISTS (SELECT 1 FROM ops.run_log l WHERE l.run_id = r.id)" | grep -qx 1`, 60);

const container = (server) => server.run(`docker inspect --format '{{.Id}} {{index .Config.Labels "org.opencontainers.image.revision"}}' ops-dashboard`)
	.split(' ');
const lastUpdate = (server) => JSON.parse(server.run('tail -n 1 /var/lib/ops-dashboard-updater/history.jsonl'));

export const drills = {
	async install(server) {
		// runs and backups on one small disk, which can be filled
		server.run(`mkdir -p /mnt/small; mount -t tmpfs -o size=160m,mode=755 small /mnt/small
			for name in ops-agent ops-backups; do mkdir -p /mnt/small/$name /var/lib/$name; mount --bind /mnt/small/$name /var/lib/$name; done`);
		server.run(`echo '127.0.0.1 ops.example.org' >>/etc/hosts
			printf 'OPS_BUILD_NETWORK=host\\n' >/etc/default/ops-dashboard-updater`);
		server.origin();
		server.follow('README.md', 'Install it', { env: { REPOSITORY: '/srv/origin.git' }, input: `${PASSWORD}\n` });
		// no authority of the world certifies a drill
		server.run(`sed -i '1i { \\n local_certs \\n skip_install_trust \\n }' /etc/caddy/Caddyfile; systemctl reload-or-restart caddy`);
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
    timeout: 5m
YML
printf '#!/bin/bash\\nfor i in {1..200}; do seq $((i * 5000)) $((i * 5000 + 4999)); sleep 0.05; done\\n' >/usr/local/libexec/ops/drill-pour
printf '#!/bin/bash\\nfor ((i = 1; i <= $1; i++)); do echo "line $i"; sleep 1; done\\n' >/usr/local/libexec/ops/drill-count
chmod 0755 /usr/local/libexec/ops/drill-*; ops-agent check >/dev/null && opsctl reload`);
		await server.until('the page through Caddy', `${CURL} --fail ${PAGE}/healthz`, 30);
		const r = login(server);
		assert.equal(r.status, 200, r.text);
		const run = await finished(server, start(server, 'flow', 'backup'), 120);
		assert.equal(run.status, 'succeeded', JSON.stringify(run));
		server.run('ls /var/lib/ops-backups/*.dump');
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

	async 'agent-crash'(server) {
		const id = counting(server);
		await server.until('the run has begun', `opsctl logs ${id} | grep -q 'line 3'`);
		// killed, and then not started again: what systemd does when that happens too often
		server.run('systemctl kill -s KILL --kill-who=main ops-agent; systemctl stop ops-agent');
		server.follow('runbooks/recovery.md', 'Agent crash');
		const run = await finished(server, id, 120);
		assert.equal(run.status, 'succeeded', JSON.stringify(run));
		assertCounted(server, id, 60);
	},

	async documents(server) {
		server.follow('runbooks/setup.md', 'Be sure');
		server.follow('runbooks/setup.md', 'Check');
		server.follow('runbooks/deployment.md');
		server.follow('runbooks/agent-away.md', 'Check');
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
		// a page of the table of runs is overwritten on the disk
		server.run(`cd /; file=$(runuser -u postgres -- psql -XAtqd ops -c "CHECKPOINT" -c "SELECT current_setting('data_directory') || '/' || pg_relation_filepath('ops.runs')")
			systemctl stop postgresql; dd if=/dev/urandom of="$file" bs=8192 count=1 conv=notrunc status=none; systemctl start postgresql`);
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
	},

	async update(server) {
		const [before, old] = container(server);
		const agent = server.run('systemctl show -p MainPID --value ops-agent');
		const id = counting(server, 7200);
		const now = server.commit('agent: a comment', `echo '/* drill */' >>agent/main.c`);
		server.run('systemctl start ops-dashboard-updater.service');
		const [after, commit] = container(server);
		assert.notEqual(after, before);
		assert.equal(commit, now);
		const last = lastUpdate(server);
		assert.deepEqual([last.result, last.from, last.to, last.changes], ['updated', old, now, ['agent: a comment']]);
		assert.notEqual(server.run('systemctl show -p MainPID --value ops-agent'), agent, 'the agent is a new one too');
		assert.equal(server.run('cat /opt/ops-agent/share/ops-agent/commit'), now);
		// both daemons were replaced, and the run goes on
		const lines = assertCounted(server, id);
		await server.until('further lines', `opsctl logs ${id} | grep -qx 'line ${lines + 5}'`);
		server.run(`opsctl cancel ${id}`);
		assert.equal((await finished(server, id)).status, 'cancelled');
		assert.ok(assertCounted(server, id) >= lines + 5);
		// by hand over SSH as well, twice at once, and nothing new
		server.run('/opt/ops-dashboard-updater/update.sh & /opt/ops-dashboard-updater/update.sh; wait $!');
		assert.equal(container(server)[0], after);
	},

	async rollback(server) {
		const [, old] = container(server);
		const now = server.commit('core: a daemon that ends at once', `sed -i 's/return serve();/return getpid() == 1 ? 1 : serve();/' core/main.c`);
		const r = server.try('systemctl start ops-dashboard-updater.service');
		assert.notEqual(r.status, 0, 'the unit has failed');
		const last = lastUpdate(server);
		assert.deepEqual([last.result, last.from, last.to], ['rolled_back', old, now], JSON.stringify(last));
		assert.equal(container(server)[1], old);
		assert.equal(api(server, 'GET', '/healthz').status, 200);
		server.follow('runbooks/update-and-rollback.md', 'An update was rolled back');
		// what the author does next
		const mended = server.commit('core: mended', 'git revert --no-edit HEAD >/dev/null');
		server.run('systemctl start ops-dashboard-updater.service');
		assert.equal(container(server)[1], mended);
		server.follow('runbooks/update-and-rollback.md', 'Back to an older version by hand');
		assert.equal(container(server)[1], old, 'not the one that failed');
		server.follow('runbooks/update-and-rollback.md', 'Update now');
		assert.equal(container(server)[1], mended);
		server.run('systemctl start ops-dashboard-updater.timer');
	},

	// kill -9 of the updater and everything it started, in the middle of its build.
	async 'power-lost-in-an-update'(server) {
		const [before, old] = container(server);
		const now = server.commit('docs: one more', 'echo >>CONTRIBUTING.md');
		server.run('systemctl start --no-block ops-dashboard-updater.service');
		await server.until('the build', 'test -s /var/lib/ops-dashboard-updater/in-progress && pgrep -f "[b]uild.sh dashboard"', 120);
		server.run('systemctl kill -s KILL ops-dashboard-updater.service; systemctl restart docker');
		await server.until('the page', 'curl -fsS http://127.0.0.1:3001/healthz', 60);
		assert.equal(container(server)[1], old);
		assert.equal(container(server)[0], before, 'the very same container');
		server.run('systemctl reset-failed ops-dashboard-updater; systemctl start ops-dashboard-updater.service');
		assert.equal(container(server)[1], now);
	},

	overview,
};

export const ORDER = Object.keys(drills);
