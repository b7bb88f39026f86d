// Two servers, the dashboard's and one with nothing but the agent, and runbooks/second-host.md from the first key to
// the end of the tunnel.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { Server } from './engine.mjs';

const TUNNEL = '/opt/ops-agent/share/ops-agent/tunnel/tunnel.sh';

// A wire between two servers, besides the network that each has of its own.
function wire(one, other) {
	const [a, b] = [one, other].map((server) => server.engine.docker(['inspect', '--format', '{{.State.Pid}}', server.name]).trim());
	execFileSync('nsenter', [`--net=/proc/${a}/ns/net`, 'ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', b]);
	for (const [server, address] of [[one, '10.77.0.1'], [other, '10.77.0.2']]) server.run(`ip addr add ${address}/24 dev wire; ip link set wire up`);
	return '10.77.0.2';
}

// The agent as the first server has built it.
function installAgent(server, other) {
	server.run(`c=$(docker create ops-agent:${other.release}); docker cp "$c:/opt" - >/root/agent.tar; docker rm "$c" >/dev/null`);
	other.take(server, '/root/agent.tar');
	other.run(`apt-get update -q; mkdir /root/agent; tar -C /root/agent -xf /root/agent.tar
		/root/agent/opt/ops-agent/share/ops-agent/setup.sh --from /root/agent`);
}

// of: what scenes.mjs has of the page: { api, finished, account }
export async function secondHost(server, { api, finished, account }) {
	const other = new Server(server.engine, 'ops-drill-second');
	try {
		await other.boot([]);
		installAgent(server, other);
		const env = { HOST: other.run('uname -n'), ADDRESS: wire(server, other) };
		server.follow('runbooks/second-host.md', 'Letting the dashboard in', { env, part: 'Be sure' });
		env.KEY = server.run(`${TUNNEL} key`);
		other.follow('runbooks/second-host.md', 'Letting the dashboard in', { env, part: 'Fix' });
		other.follow('runbooks/second-host.md', 'Letting the dashboard in', { env, part: 'Check' });
		env.HOST_KEY = other.run('cut -d" " -f1,2 /etc/ssh/ssh_host_ed25519_key.pub');
		env.SECRET = other.run('cat /etc/ops-agent/secret');
		server.follow('runbooks/second-host.md', 'Adding it to the page', { env });
		const names = () => api(server, 'GET', '/api/v1/hosts').json.hosts.map((h) => h.host);
		assert.deepEqual(names(), [server.run('uname -n'), env.HOST]);

		// a run over there, started from the page, goes on while there is no tunnel
		const r = api(server, 'POST', '/api/v1/runs', { kind: 'command', id: 'demo.work', host: env.HOST, inputs: { label: 'a', seconds: '20' }, confirm: 'demo.work' });
		assert.equal(r.status, 201, r.text);
		const { id } = r.json.run;
		other.run('systemctl stop ssh; pkill -KILL -u ops-tunnel || true');
		await server.until('the tunnel is away', `! OPS_AGENT_SOCKET=/run/ops-tunnel/${env.HOST}/agent.sock OPS_AGENT_SECRET_PATH=/srv/ops/agents/${env.HOST} opsctl status`);
		await other.until('the run has ended', `opsctl show ${id} --json | grep -q '"succeeded"'`, 90);
		other.run('systemctl start ssh');
		server.follow('runbooks/second-host.md', 'The tunnel is away', { env });
		assert.equal((await finished(server, id)).status, 'succeeded');
		const there = other.run(`opsctl logs ${id}`);
		const here = api(server, 'GET', `/api/v1/runs/${id}/log?format=raw`).text.replace(/\n\d+$/, '').trim();
		account.bytes += there.length;
		assert.equal(here, there);
		await server.until('the run is in the database', `cd / && runuser -u postgres -- psql -XAtqd ops -c "SELECT 1 FROM ops.runs r
			WHERE id = '${id}' AND finished_us IS NOT NULL AND EXISTS (SELECT 1 FROM ops.run_log l WHERE l.run_id = r.id)" | grep -qx 1`, 60);

		server.follow('runbooks/second-host.md', 'Taking a host off the page', { env });
		await server.until('it is gone from the page', `! grep -q ${env.HOST} /srv/ops/agents/agents.yml`);
		assert.deepEqual(names(), [server.run('uname -n')]);
		assert.equal(api(server, 'GET', `/api/v1/runs/${id}`).status, 200, 'its history stays');
	} finally {
		other.destroy();
	}
}
