// What ./dev drill units shows, each in one scene: (host, check) => a note that is printed, or nothing.
import assert from 'node:assert/strict';

export const check = assert;
const LIBEXEC = '/usr/local/libexec/units';

const programs = {
	// a line every 20 ms, numbered: what is missing or comes twice is seen
	ticks: `#!/bin/sh
i=0
while [ $i -lt "$1" ]; do echo "tick $i"; i=$((i + 1)); sleep 0.02; done
`,
	// each child ignores SIGTERM, leaves the session and forks again
	bomb: `#!/usr/bin/python3
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('lit', flush=True)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        time.sleep(0.001)
`,
	where: `#!/bin/sh
cat /proc/self/cgroup
grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status
touch /var/tmp/units-was-here && echo "writes where it may"
[ "$(ls /proc | grep -c '^[0-9]')" -gt 5 ] && ls -d /proc/1 && echo "sees the host's processes"
`,
	hog: `#!/usr/bin/python3
import sys
kept = []
for i in range(64):
    kept.append(bytearray(b'x' * (8 << 20)))
    print(f'{(i + 1) * 8} MiB', flush=True)
`,
	burn: `#!/usr/bin/python3
import time
print('burning', flush=True)
end = time.monotonic() + 3
while time.monotonic() < end:
    pass
print(f'cpu {time.process_time():.2f}', flush=True)
`,
	many: `#!/usr/bin/python3
import os, time
n = 0
try:
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        n += 1
except OSError as error:
    print(f'{n} children, then {error.strerror}', flush=True)
`,
};

const commands = `version: 1
defaults: { timeout: 5m, kill_after: 2s, user: nobody }
commands:
  ticks: { title: Ticks, exec: [${LIBEXEC}/ticks, "\${inputs.n}"], inputs: { n: { type: int, min: 1, max: 100000, required: true } } }
  bomb: { title: Fork bomb, exec: [${LIBEXEC}/bomb], limits: { pids: 300 } }
  where: { title: Where am I, exec: [${LIBEXEC}/where] }
  hog: { title: Memory, exec: [${LIBEXEC}/hog], limits: { memory: 128MiB } }
  burn: { title: Processor, exec: [${LIBEXEC}/burn], limits: { cpu: 20% } }
  many: { title: Processes, exec: [${LIBEXEC}/many], limits: { pids: 20 } }
`;

const status = `version: 1
host: true
units: [dbus.service]
`;

// The status document, asked for as proto/PROTOCOL.md says.
const askStatus = `import socket, struct
secret = open('/etc/ops-agent/secret').read().strip().encode()
s = socket.socket(socket.AF_UNIX)
s.connect('/run/ops-agent/agent.sock')
word = b'Bearer ' + secret
payload = struct.pack('<HI', 12, len(word)) + word
s.sendall(struct.pack('<IBBHII', len(payload), 1, 1, 0, 1, 0) + payload)
f = s.makefile('rb')
n = struct.unpack('<IBBHII', f.read(16))[0]
body = f.read(n)
status, length = struct.unpack_from('<HI', body)
print(body[6 + length + 4:].decode())
`;

const uuid = (host, args) => JSON.parse(host.run(`opsctl run ${args} --json`)).id;
const show = (host, id) => JSON.parse(host.run(`opsctl show ${id} --json`));
const ended = (host, id, seconds = 60) =>
	host.until(`run ${id} ends`, `opsctl show ${id} --json | grep -Eq '"finished_us": ?[1-9]'`, seconds).then(() => show(host, id));
const unitOf = (id) => `ops-run-${id}.service`;
const answers = (host) => host.until('the agent answers', 'opsctl status', 30);

const probesUnit = (host) => host.run("systemctl list-units --plain --no-legend 'ops-agent-probes@*.service' | cut -d' ' -f1");
const property = (host, unit, name) => host.run(`systemctl show -P ${name} ${unit}`);
const text = (host, id) => host.run(`opsctl logs ${id}`);
const processes = (host, pattern) => Number(host.run(`pgrep -fc '${pattern}' || true`));

// Every line of the ticks, once, and a journal whose digest holds.
function isWhole(host, id, n) {
	check.equal(text(host, id), Array.from({ length: n }, (_, i) => `tick ${i}`).join('\n'));
	check.match(host.run('ops-agent verify'), /chain holds[^]* 0 damaged/);
}

async function going(host, args, seen) {
	const id = uuid(host, args);
	await host.until(`output of ${args}`, `opsctl logs ${id} | grep -q ${seen}`);
	return id;
}

export const scenes = {
	async install(host) {
		for (const [name, body] of Object.entries(programs)) host.write(`${LIBEXEC}/${name}`, body, '0755');
		host.write('/etc/ops-agent/commands.yml', commands);
		host.write('/etc/ops-agent/status.yml', status);
		host.setup();
		check.match(host.run('journalctl -u ops-agent -o cat'), /launch\.units/);
	},

	async 'own-unit'(host) {
		const id = uuid(host, 'where');
		const run = await ended(host, id);
		const said = text(host, id);
		check.equal(run.status, 'succeeded');
		check.ok(said.includes(`/ops.slice/ops-runs.slice/${unitOf(id)}/step-0.1`), said);
		check.match(said, /Seccomp:\s+0/);
		check.match(said, /writes where it may[^]*sees the host's processes/);
		await host.until('the unit is unloaded', `! systemctl list-units --all --plain | grep -q ${unitOf(id)}`);
	},

	async 'agent-restarted'(host) {
		const id = await going(host, 'ticks n=400', '"tick 5$"');
		check.equal(property(host, unitOf(id), 'ActiveState'), 'active');
		host.run('systemctl restart ops-agent');
		await answers(host);
		check.equal(show(host, id).status, 'running');
		check.equal((await ended(host, id)).status, 'succeeded');
		isWhole(host, id, 400);
	},

	async 'agent-killed'(host) {
		const id = await going(host, 'ticks n=600', '"tick 5$"');
		for (let i = 0; i < 3; i++) {
			host.run('systemctl kill -s KILL ops-agent');
			await answers(host);
			check.equal(show(host, id).status, 'running');
		}
		check.match(host.run('journalctl -u ops-agent -o cat'), /run\.adopted/);
		check.equal((await ended(host, id)).status, 'succeeded');
		isWhole(host, id, 600);
	},

	async 'agent-stopped'(host) {
		const id = await going(host, 'ticks n=300', '"tick 5$"');
		host.run('systemctl stop ops-agent');
		check.equal(property(host, unitOf(id), 'ActiveState'), 'active');
		check.equal(processes(host, `^ops-agent runner .*${id}`), 1);
		await host.until('the run ends without an agent', `[ "$(systemctl show -P ActiveState ${unitOf(id)})" = inactive ]`);
		host.run('systemctl start ops-agent');
		await answers(host);
		check.equal(show(host, id).status, 'succeeded');
		isWhole(host, id, 300);
	},

	async 'fork-bomb-cancelled'(host) {
		const id = await going(host, 'bomb', 'lit');
		await host.until('it has grown', `[ "$(systemctl show -P TasksCurrent ${unitOf(id)})" -gt 280 ]`);
		const many = property(host, unitOf(id), 'TasksCurrent');
		host.run(`opsctl cancel ${id}`);
		const run = await ended(host, id);
		check.equal(run.status, 'cancelled');
		check.equal(processes(host, '^/usr/bin/python3 .*bomb'), 0);
		return `${many} processes`;
	},

	async 'runner-killed'(host) {
		const id = await going(host, 'bomb', 'lit');
		host.run(`kill -9 $(systemctl show -P MainPID ${unitOf(id)})`);
		const run = await ended(host, id);
		check.equal(run.status, 'lost');
		check.equal(run.reason, 'runner_died');
		check.notEqual(property(host, unitOf(id), 'ActiveState'), 'active');
		check.equal(processes(host, '^/usr/bin/python3 .*bomb'), 0);
		await host.until('the unit is unloaded', `! systemctl list-units --all --plain | grep -q ${unitOf(id)}`);
	},

	// SIGTERM to the unit is what a shutdown does.
	async 'host-shut-down'(host) {
		const id = await going(host, 'ticks n=10000', '"tick 5$"');
		host.run(`systemctl stop ${unitOf(id)}`);
		const run = await ended(host, id);
		check.equal(run.status, 'cancelled');
		check.equal(run.reason, 'host_restarted');
	},

	async limits(host) {
		const v2 = host.try('grep -qw memory /sys/fs/cgroup/cgroup.controllers && grep -qw cpu /sys/fs/cgroup/cgroup.controllers').status === 0;
		const hog = uuid(host, 'hog');
		const memory = await ended(host, hog);
		check.equal(memory.status, 'failed');
		check.ok(!text(host, hog).includes('136 MiB'), text(host, hog));
		if (v2) check.equal(memory.reason, 'oom');
		const burn = await going(host, 'burn', 'burning');
		const v1 = host.run('stat -f -c %T /sys/fs/cgroup') !== 'cgroup2fs';
		if (v1) check.equal(property(host, unitOf(burn), 'CPUQuotaPerSecUSec'), '200ms');
		check.equal((await ended(host, burn)).status, 'succeeded');
		const used = Number(text(host, burn).match(/cpu ([\d.]+)/)[1]);
		if (v1 || v2) check.ok(used < 1.5, `of 3 seconds it had the processor for ${used}`);
		const many = uuid(host, 'many');
		await ended(host, many);
		check.ok(Number(text(host, many).match(/(\d+) children, then/)[1]) <= 24, text(host, many));
		if (v2) return 'cgroup v2: memory (oom), cpu, pids';
		return v1 ? 'cgroup v1: cpu and pids are the unit\'s, memory each process\'s; reason oom was not seen'
			: 'cgroup v2 has no controllers here: pids and memory are each process\'s; cpu and reason oom were not seen';
	},

	// Nothing is started while systemd cannot be asked, and what is going goes on; afterwards all is as before.
	async 'bus-away'(host) {
		const id = await going(host, 'ticks n=300', '"tick 5$"');
		host.run('systemctl stop dbus.socket dbus.service');
		const refused = host.try('opsctl run where');
		check.notEqual(refused.status, 0);
		check.match(refused.out, /systemd cannot be asked/);
		check.equal(show(host, id).status, 'running');
		host.run('systemctl start dbus.socket dbus.service');
		check.equal((await ended(host, uuid(host, 'where'))).status, 'succeeded');
		check.equal((await ended(host, id)).status, 'succeeded');
		isWhole(host, id, 300);
	},

	async 'systemd-reexecuted'(host) {
		const id = await going(host, 'ticks n=300', '"tick 5$"');
		host.run('systemctl daemon-reload; systemctl daemon-reexec');
		check.equal((await ended(host, id)).status, 'succeeded');
		isWhole(host, id, 300);
		check.equal((await ended(host, uuid(host, 'where'))).status, 'succeeded');
	},

	// What monitor and worker have given up, as the kernel sees it; what that means, test_confine and test_sandbox show.
	async confined(host) {
		check.doesNotMatch(host.run('journalctl -u ops-agent -o cat'), /no_landlock|no_seccomp|no_sandbox/);
		const status = (pid) => Object.fromEntries(host.run(`cat /proc/${pid}/status`).split('\n').map((line) => line.split(/:\s+/)));
		const monitor = property(host, 'ops-agent', 'MainPID');
		const five = (1 << 0 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8).toString(16).padStart(16, '0'); // CHOWN KILL SETGID SETUID SETPCAP
		for (const [name, pid, caps] of [['monitor', monitor, five], ['worker', host.run(`pgrep -P ${monitor} ops-worker`), '0'.repeat(16)],
			['probes', property(host, probesUnit(host), 'MainPID'), '0'.repeat(16)]]) {
			const s = status(pid);
			check.deepEqual([name, s.CapEff, s.CapPrm, s.NoNewPrivs, s.Seccomp], [name, caps, caps, '1', '2']);
		}
		check.equal(status(monitor).CapBnd, five);
		const probes = status(property(host, probesUnit(host), 'MainPID'));
		check.equal(probes.CapBnd, '0'.repeat(16));
		check.match(probes.Uid, new RegExp(`^${host.run('id -u ops-probe')}\\b`));
		// nothing but the loopback of a network of its own for who needs none
		check.equal(host.run(`nsenter -t ${monitor} -n ls /sys/class/net >/dev/null; nsenter -t ${monitor} -n cat /proc/net/dev | grep -c :`), '1');
		check.notEqual(host.run(`readlink /proc/${monitor}/ns/net`), host.run('readlink /proc/1/ns/net'));
		check.equal(host.run(`readlink /proc/${property(host, probesUnit(host), 'MainPID')}/ns/net`), host.run('readlink /proc/1/ns/net'));
	},

	// In the sandbox probes see the machine as it is: its disks, and its units over D-Bus.
	async probes(host) {
		host.write('/root/ask-status.py', askStatus);
		host.run('opsctl reload');
		await host.until('the unit is seen', 'python3 /root/ask-status.py | grep -q dbus.service.*active', 30);
		const document = host.run('python3 /root/ask-status.py');
		const root = document.match(/\{[^{}]*"disk:\/"[^{}]*\{[^{}]*\}[^{}]*\}/)?.[0] ?? document;
		check.match(root, /"mount":"\/"/);
		check.match(root, /"read_only":(false|0)/);
		const [total] = host.run("df -B1 --output=size / | tail -n 1").match(/\d+/);
		check.match(root, new RegExp(`"total":${total}`));
	},

	// What a taken-over agent is left with, counted by systemd itself.
	async exposure(host) {
		await host.until('the probes', `systemctl is-active 'ops-agent-probes@*.service'`);
		const levels = ['ops-agent.service', probesUnit(host)].map((unit) => {
			const said = host.run(`systemd-analyze security '${unit}' --no-pager | tail -n 1`);
			const level = Number(said.match(/([\d.]+) (OK|SAFE|MEDIUM|EXPOSED|UNSAFE)/)[1]);
			check.ok(level <= 2.0, said);
			return level;
		});
		return `agent ${levels[0]}, probes ${levels[1]}`;
	},

	// Each dies and comes back without the other, and nothing stays behind.
	async 'probes-and-agent-die'(host) {
		const pid = () => property(host, probesUnit(host), 'MainPID');
		const anew = (old, what) => host.until(`new probes after ${what}`,
			`p=$(systemctl show -P MainPID 'ops-agent-probes@*.service'); [ "$(echo $p | wc -w)" = 1 ] && [ "$p" -gt 0 ] && [ "$p" != ${old} ]`, 30);
		let old = pid();
		host.run(`kill -9 ${old}`);
		await anew(old, 'their death');
		old = pid();
		host.run('systemctl kill -s KILL ops-agent');
		await anew(old, 'the agent\'s death');
		old = pid();
		host.run('systemctl restart ops-agent');
		await anew(old, 'a restart');
		await answers(host);
		// stopped, they are as deaf to their end as if somebody else had taken them over
		old = pid();
		host.run(`kill -STOP ${old}; opsctl reload`);
		await anew(old, 'the death of the deaf');
		check.match(host.run('journalctl -u ops-agent --no-pager -o cat'), /process\.killed process=probes/);
		old = pid();
		host.run(`kill -STOP ${old}; systemctl kill -s KILL ops-agent`);
		await host.until('new probes, whatever the deaf ones do', `systemctl show -P MainPID 'ops-agent-probes@*.service' | grep -qvx -e ${old} -e ''`, 30);
		await answers(host);
		host.run('systemctl stop ops-agent');
		await host.until('no probes', `[ -z "$(systemctl list-units --plain --no-legend --all 'ops-agent-probes@*.service')" ]`, 30);
		check.equal(processes(host, '^/opt/ops-agent/bin/ops-agent probes'), 0);
		host.run('systemctl start ops-agent');
		await answers(host);
		const refused = host.try(`runuser -u ops-agent -- python3 -c 'import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect("/run/ops-agent-probes.sock")'`);
		check.match(refused.out, /PermissionError/);
	},

	// From the unit of before, in which the probes were forked, with a run of its own unit going.
	async 'upgrade-from-one-unit'(host) {
		host.run(`systemctl stop ops-agent ops-agent-probes.socket; rm -f /etc/systemd/system/ops-agent-probes*
			sed -i -e '/PROBES_SOCKET/d' -e 's/ ops-agent-probes.socket//' -e '/^PrivateNetwork=/d' -e '/^IPAddressDeny=/d' \
				-e 's/^RestrictAddressFamilies=.*/RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6/' /etc/systemd/system/ops-agent.service
			systemctl daemon-reload; systemctl restart ops-agent`);
		await answers(host);
		await host.until('forked probes', 'pgrep -P $(systemctl show -P MainPID ops-agent) ops-probes', 30);
		const id = await going(host, 'ticks n=400', '"tick 5$"');
		check.match(host.setup(), /ops-agent-probes@\.service[^]*The agent runs/);
		await host.until('probes in their own unit', `systemctl is-active 'ops-agent-probes@*.service'`, 30);
		check.equal(show(host, id).status, 'running');
		check.equal((await ended(host, id)).status, 'succeeded');
		isWhole(host, id, 400);
	},

	// A tunnel to the agent of this very host, through its own sshd: accounts, rights and units of both ends.
	async tunnel(host) {
		const script = '/opt/ops-agent/share/ops-agent/tunnel/tunnel.sh';
		const opsctl = 'OPS_AGENT_SOCKET=/run/ops-tunnel/other/agent.sock opsctl';
		host.run('ssh-keygen -A; systemctl start ssh');
		const key = host.run(`${script} key`).split('\n').at(-1);
		check.match(key, /^ssh-ed25519 /);
		const accepted = host.run(`${script} accept '${key}'`).split('\n').at(-1);
		await answers(host);
		check.match(host.run(`${script} connect other 127.0.0.1 '${accepted}'`), /The tunnel is there/);
		check.equal(host.run('stat -c "%a %U %G" /run/ops-tunnel/other/agent.sock'), '660 ops-tunnel ops-tunnel');
		// the container's number, with the group and without it
		const asContainer = (groups) => host.try(`cp $(readlink -f /usr/local/bin/opsctl) /usr/local/bin/opsctl-for-all; install -m 0644 /etc/ops-agent/secret /run/secret-for-all
			OPS_AGENT_SOCKET=/run/ops-tunnel/other/agent.sock OPS_AGENT_SECRET_PATH=/run/secret-for-all setpriv --reuid 10001 --regid 10001 ${groups} opsctl-for-all status`);
		check.equal(asContainer('--groups $(getent group ops-tunnel | cut -d: -f3)').status, 0);
		check.notEqual(asContainer('--clear-groups').status, 0);
		host.run('rm /run/secret-for-all /usr/local/bin/opsctl-for-all');
		// it says who it is, which over there is the tunnel's account: it looks, and starts nothing
		check.match(host.try(`${opsctl} run ticks n=1`).out, /an actor that cannot be/);
		const id = uuid(host, 'ticks n=400');
		await host.until('it goes', `${opsctl} logs ${id} | grep -q "tick 5$"`);
		const restarts = Number(property(host, 'ops-agent-tunnel@other', 'NRestarts'));
		host.run('pkill -KILL -u ops-tunnel -f "^sshd"');
		await host.until('the tunnel is back', `[ "$(systemctl show -P NRestarts ops-agent-tunnel@other)" -gt ${restarts} ] && ${opsctl} status`, 60);
		check.equal((await ended(host, id)).status, 'succeeded');
		isWhole(host, id, 400);
		const said = host.run('systemd-analyze security ops-agent-tunnel@other --no-pager | tail -n 1');
		check.ok(Number(said.match(/([\d.]+) (OK|SAFE|MEDIUM|EXPOSED|UNSAFE)/)[1]) <= 2.0, said);
		// again changes nothing but takes another key
		check.equal(host.run(`${script} accept '${key}'; ${script} key`).split('\n').at(-1), key);
		host.run(`${script} refuse`);
		check.doesNotMatch(host.run('cat /etc/default/ops-agent'), new RegExp(`[=,]${host.run('id -u ops-tunnel')}(,|$)`, 'm'));
		await answers(host);
		check.notEqual(host.try(`${opsctl} status`).status, 0);
		await host.until('the refusal', 'journalctl -u ops-agent-tunnel@other -o cat | grep -q "Permission denied"', 60);
		host.run(`${script} disconnect other`);
		check.equal(host.try('test -e /run/ops-tunnel/other').status, 1);
		return said.match(/[\d.]+ (OK|SAFE)/)[0];
	},

	// The new program is put in place and started while a run goes.
	async upgrade(host) {
		const id = await going(host, 'ticks n=400', '"tick 5$"');
		host.run('cp /root/agent/usr/local/bin/ops-agent /root/new; echo >>/root/new; mv /root/new /root/agent/usr/local/bin/ops-agent');
		const said = host.setup();
		check.match(said, /bin\/ops-agent[^]*The agent runs/);
		check.equal((await ended(host, id)).status, 'succeeded');
		isWhole(host, id, 400);
	},

	// A new agent that accepts the configuration and then does not start: programs and units of before, and a run that notices nothing.
	async 'upgrade-that-fails'(host) {
		const id = await going(host, 'ticks n=3000', '"tick 5$"');
		const before = host.run('sha256sum /opt/ops-agent/bin/ops-agent /etc/systemd/system/ops-agent.service /etc/systemd/system/ops-agent-probes*');
		host.run(`cp -a /root/agent/usr/local /root/broken
			printf '#!/bin/sh\n[ "$1" = check ]\n' >/root/broken/bin/ops-agent
			echo '# new' | tee -a /root/broken/lib/systemd/system/ops-agent.service >>/root/broken/lib/systemd/system/ops-agent-probes.socket`);
		const r = host.try('/root/agent/usr/local/share/ops-agent/setup.sh --from /root/broken');
		check.equal(r.status, 1);
		check.match(r.out, /the previous one runs again/);
		check.equal(host.run('sha256sum /opt/ops-agent/bin/ops-agent /etc/systemd/system/ops-agent.service /etc/systemd/system/ops-agent-probes*'), before);
		await answers(host);
		check.equal(show(host, id).status, 'running');
		host.run(`rm -r /root/broken; opsctl cancel ${id}`);
		check.equal((await ended(host, id)).status, 'cancelled');
		host.setup();
	},

	// From an agent that forked its runs, whose unit left them alone, to this one.
	async 'upgrade-from-forks'(host) {
		host.run(`sed -i -e 's/^KillMode=.*/KillMode=process/' -e 's/^Environment=OPS_LAUNCH=.*/Environment=OPS_LAUNCH=fork/' \
			-e '/^CapabilityBoundingSet/,/^SystemCallErrorNumber/d' /etc/systemd/system/ops-agent.service
			systemctl daemon-reload; systemctl restart ops-agent`);
		await answers(host);
		const id = await going(host, 'ticks n=500', '"tick 5$"');
		check.notEqual(property(host, unitOf(id), 'ActiveState'), 'active');
		check.match(host.setup(), /the service leaves them alone/);
		check.equal(property(host, 'ops-agent', 'KillMode'), 'process');
		check.equal(show(host, id).status, 'running');
		check.equal((await ended(host, id)).status, 'succeeded');
		isWhole(host, id, 500);
		host.setup();
		check.equal(property(host, 'ops-agent', 'KillMode'), 'mixed');
	},
};
