// deploy/ops-agent/tunnel: a real sshd on loopback with the settings of `tunnel.sh accept`, and ssh as the unit starts it, in
// front of a real agent. What comes through is the agent's protocol, and nothing else does. Accounts, units and
// a second host: ./dev drill, runbooks/second-host.md.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, it, test } from 'node:test';
import { Agent, isAlive, until } from '../lib/agent.mjs';
import { AgentClient, Journal } from '../lib/agent-client.mjs';
import { commandsYml, hold, makeScripts } from '../lib/commands.mjs';
import { freePort } from '../lib/ports.mjs';

const TUNNEL = fileURLToPath(new URL('../../../deploy/ops-agent/tunnel/', import.meta.url));
const skip = process.getuid() !== 0 && 'sshd changes accounts and roots as root only';
const NOBODY = 65534;
// every folder above the new root of a session must be root's alone, which /tmp is not
if (!skip) process.env.TMPDIR = '/run';

const dir = mkdtempSync(join(process.env.TMPDIR ?? '/tmp', 'ops-tunnel-'));
const at = (...parts) => join(dir, ...parts);
const tunnel = (...args) => spawnSync(join(TUNNEL, 'tunnel.sh'), ['--prefix', dir, ...args], { encoding: 'utf8' });
after(() => rmSync(dir, { recursive: true, force: true }));

function hostKey() {
	execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'the other host', '-f', at('host_key')]);
	return readFileSync(at('host_key.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
}

test('the script writes what each side needs, and nothing twice', () => {
	chmodSync(dir, 0o755);
	let r = tunnel('key');
	assert.equal(r.status, 0, r.stderr);
	const key = r.stdout.trim();
	assert.match(key, /^ssh-ed25519 \S+ ops-dashboard@/);
	assert.equal(statSync(at('etc/ops-agent-tunnel/key')).mode & 0o777, 0o640);
	assert.equal(tunnel('key').stdout.trim(), key, 'the key stays');
	r = tunnel('accept', key);
	assert.equal(r.status, 0, r.stderr);
	assert.equal(readFileSync(at('etc/ssh/ops-tunnel.keys'), 'utf8'), `restrict,port-forwarding ${key.split(' ').slice(0, 2).join(' ')}\n`);
	const pinned = hostKey();
	for (const [address, env] of [['db1.example.org', 'SSH_HOST=db1.example.org\nSSH_PORT=22\n'], ['[2001:db8::1]:2222', 'SSH_HOST=2001:db8::1\nSSH_PORT=2222\n'],
		['2001:db8::1', 'SSH_HOST=2001:db8::1\nSSH_PORT=22\n'], ['192.0.2.1:22222', 'SSH_HOST=192.0.2.1\nSSH_PORT=22222\n']]) {
		r = tunnel('connect', 'db1', address, `${pinned} comment`);
		assert.equal(r.status, 0, r.stderr);
		assert.equal(readFileSync(at('etc/ops-agent-tunnel/db1.env'), 'utf8'), env);
	}
	assert.equal(readFileSync(at('etc/ops-agent-tunnel/db1.known_hosts'), 'utf8'), `db1 ${pinned}\n`);
	assert.ok(existsSync(at('etc/systemd/system/ops-agent-tunnel@.service')));
});

// systemctl reload fails for a unit that is not active, as ssh.service is where systemd listens for sshd
const FAKES = {
	systemctl: 'case $1 in reload) echo "ssh.service is not active" >&2; exit 1 ;; esac\necho "$*" >>"$SAID"',
	id: '[ "$*" = -u ] && echo 0 || echo "$ACCOUNT"',
	gpasswd: 'echo "gpasswd $*" >>"$SAID"',
	sshd: 'exit 0',
	pkill: 'exit 127',
};
// An account that nobody has: everything of it is killed, also what another run of these tests would have.
const accountOf = (n) => 1000000 + 2 * process.pid + n;
const IN_OWN_MOUNTS = 'mount -t tmpfs none /run && mkdir -p /run/systemd/system && mount -t tmpfs none /etc/ssh && mount -t tmpfs none /etc/default && ' +
	'echo "OPS_AGENT_PEERS=1000,$ACCOUNT" >/etc/default/ops-agent && mkdir /etc/ssh/sshd_config.d && touch /etc/ssh/ops-tunnel.keys /etc/ssh/ops-tunnel.keys.old /etc/ssh/sshd_config.d/ops-tunnel.conf.old && bash "$TUNNEL" refuse && ' +
	'cat /etc/default/ops-agent && cd /etc/ssh && find . -type f';

test('refuse ends what is open, also where no sshd can be reloaded and without procps', { skip }, async () => {
	const account = accountOf(1);
	const fakes = mkdtempSync('/var/tmp/ops-tunnel-'); // /run is another one for the script
	chmodSync(fakes, 0o755);
	for (const [name, text] of Object.entries(FAKES)) writeFileSync(join(fakes, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
	const holder = spawn('sleep', ['600'], { uid: account, gid: account, stdio: 'ignore' });
	const ended = once(holder, 'exit');
	try {
		const r = spawnSync('unshare', ['--mount', 'sh', '-c', IN_OWN_MOUNTS], { encoding: 'utf8', timeout: 60000,
			env: { ...process.env, PATH: `${fakes}:${process.env.PATH}`, TUNNEL: join(TUNNEL, 'tunnel.sh'), ACCOUNT: String(account), SAID: join(fakes, 'said') } });
		assert.equal(r.status, 0, r.stderr);
		assert.equal(r.stdout, 'OPS_AGENT_PEERS=1000\n');
		assert.deepEqual(await ended, [null, 'SIGKILL']);
		const said = readFileSync(join(fakes, 'said'), 'utf8');
		assert.match(said, /^gpasswd -d ops-tunnel ops-agent$/m);
		assert.match(said, /^try-restart ops-agent\.service$/m);
	} finally {
		holder.kill('SIGKILL');
		rmSync(fakes, { recursive: true });
	}
});

test('purging the package takes the way in back, and ends what is open', { skip }, async () => {
	const account = accountOf(2);
	const fakes = mkdtempSync('/var/tmp/ops-tunnel-');
	chmodSync(fakes, 0o755);
	for (const [name, text] of Object.entries({ ...FAKES, 'deb-systemd-helper': 'exit 0' })) writeFileSync(join(fakes, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
	const holder = spawn('sleep', ['600'], { uid: account, gid: account, stdio: 'ignore' });
	const ended = once(holder, 'exit');
	try {
		const script = 'mount -t tmpfs none /run && mount -t tmpfs none /var/lib && mkdir -p /run/systemd/system && mount -t tmpfs none /etc/ssh && mkdir /etc/ssh/sshd_config.d && ' +
			'touch /etc/ssh/ops-tunnel.keys /etc/ssh/sshd_config.d/ops-tunnel.conf /etc/ssh/sshd_config && mount -t tmpfs none /etc/default && ' +
			'{ test ! -d /etc/ops-agent || mount -t tmpfs none /etc/ops-agent; } && sh "$POSTRM" purge >&2 && cd /etc/ssh && find . -type f';
		const r = spawnSync('unshare', ['--mount', 'sh', '-c', script], { encoding: 'utf8', timeout: 60000,
			env: { ...process.env, PATH: `${fakes}:${process.env.PATH}`, POSTRM: fileURLToPath(new URL('../../../deploy/deb/postrm', import.meta.url)), ACCOUNT: String(account), SAID: join(fakes, 'said'), DPKG_ROOT: '' } });
		assert.equal(r.stdout, './sshd_config\n', r.stderr);
		assert.deepEqual(await ended, [null, 'SIGKILL']);
		assert.match(readFileSync(join(fakes, 'said'), 'utf8'), /^gpasswd -d ops-tunnel ops-agent\n(.*\n)*try-reload-or-restart ssh\.service$/m);
	} finally {
		holder.kill('SIGKILL');
		rmSync(fakes, { recursive: true });
	}
});

// `script` on a host of its own with an agent's socket and these programs in the place of others; what they were told is `said`.
function acceptThere(programs, script) {
	const fakes = mkdtempSync('/var/tmp/ops-tunnel-');
	const before = 'mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/ops-agent /run/upper /run/work && ' +
		'mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work none /etc && mkdir -p /etc/default /etc/ssh/sshd_config.d && printf OPS_AGENT_KEEP_DAYS=7 >/etc/default/ops-agent && ' +
		'echo key of-the-host >/etc/ssh/ssh_host_ed25519_key.pub && { "$NODE" -e "$LISTEN" || test -S /run/ops-agent/agent.sock; } && ';
	try {
		for (const [name, text] of Object.entries({ ...FAKES, usermod: 'echo "usermod $*" >>"$SAID"', 'systemd-sysusers': 'exit 0', ...programs }))
			writeFileSync(join(fakes, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
		const r = spawnSync('unshare', ['--mount', 'sh', '-c', before + script], { encoding: 'utf8', timeout: 60000,
			env: { ...process.env, PATH: `${fakes}:${process.env.PATH}`, TUNNEL: join(TUNNEL, 'tunnel.sh'), ACCOUNT: '54321', SAID: join(fakes, 'said'),
				NODE: process.execPath, KEY: readFileSync(at('host_key.pub'), 'utf8').trim(),
				LISTEN: 'require("net").createServer().listen("/run/ops-agent/agent.sock", () => process.kill(process.pid, "SIGKILL"))' } });
		return { ...r, said: readFileSync(join(fakes, 'said'), 'utf8') };
	} finally {
		rmSync(fakes, { recursive: true });
	}
}

test('accept keeps the last line of the settings as it is, ended or not', { skip }, () => {
	const r = acceptThere({ sshd: 'echo "chrootdirectory /run/ops-agent"' }, 'bash "$TUNNEL" accept "$KEY" >/dev/null && cat /etc/default/ops-agent && ls /etc/ssh/*tunnel* /etc/ssh/sshd_config.d/*tunnel*');
	assert.equal(r.stdout, 'OPS_AGENT_KEEP_DAYS=7\nOPS_AGENT_PEERS=54321\n/etc/ssh/ops-tunnel.keys\n/etc/ssh/sshd_config.d/ops-tunnel.conf\n', r.stderr);
});

test('an accept that sshd does not take over leaves everything as it was', { skip }, () => {
	const broken = [['echo "line 1: Bad option" >&2; exit 1', /does not accept its settings: line 1: Bad option\n.*nothing is changed/], ['exit 0', /sshd_config needs 'Include/]];
	const show = 'cat /etc/ssh/ops-tunnel.keys /etc/ssh/sshd_config.d/ops-tunnel.conf 2>/dev/null; cat /etc/default/ops-agent; ls /etc/ssh/*tunnel* /etc/ssh/sshd_config.d/*tunnel* 2>/dev/null';
	for (const [sshd, text] of broken) {
		let r = acceptThere({ sshd }, `bash "$TUNNEL" accept "$KEY"; echo "exit $?"; ${show}`);
		assert.match(r.stderr, text);
		assert.equal(r.stdout, 'exit 1\nOPS_AGENT_KEEP_DAYS=7', r.stderr);
		assert.match(r.said, /^usermod -a -G ops-agent ops-tunnel\ngpasswd -d ops-tunnel ops-agent$/m);
		// who was let in before still is
		r = acceptThere({ sshd, id: `case "$*" in -u) echo 0 ;; -nG*) echo ops-tunnel ops-agent ;; *) echo "$ACCOUNT" ;; esac` },
			`echo old >/etc/ssh/ops-tunnel.keys && echo conf >/etc/ssh/sshd_config.d/ops-tunnel.conf && bash "$TUNNEL" accept "$KEY"; ${show}`);
		assert.equal(r.stdout, 'old\nconf\nOPS_AGENT_KEEP_DAYS=7/etc/ssh/ops-tunnel.keys\n/etc/ssh/sshd_config.d/ops-tunnel.conf\n', r.stderr);
		assert.doesNotMatch(r.said, /gpasswd/);
	}
});

test('the script refuses what would end up as something else', () => {
	const key = readFileSync(at('host_key.pub'), 'utf8').trim();
	for (const [args, text] of [[['accept', 'command="sh" ssh-ed25519 AAAA'], /no public key/], [['accept', `${key}\nssh-rsa AAAA`], /one line/],
		[['connect', '../x', 'a', key], /no host's name/], [['connect', 'x', '-oProxyCommand=sh', key], /no address/],
		[['connect', 'x', 'a:99999', key], /no port/], [['connect', 'x', 'a', 'ssh-ed25519 nonsense'], /no public key/]]) {
		const r = tunnel(...args);
		assert.equal(r.status, 1, args.join(' '));
		assert.match(r.stderr, text);
	}
	assert.equal(tunnel('connect', 'x').status, 64);
	assert.ok(!existsSync(at('etc/ops-agent-tunnel/x.env')));
});

// systemd-analyze knows it as exposed as it says
test('the unit is no more exposed than 2.0', () => {
	mkdirSync(at('unit'));
	const unit = readFileSync(join(TUNNEL, 'ops-agent-tunnel@.service'), 'utf8').replace(/^ExecStart=(.*\\\n)+.*$/m, 'ExecStart=/bin/true');
	writeFileSync(at('unit/ops-agent-tunnel@db1.service'), unit);
	const r = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', '--threshold=20', at('unit/ops-agent-tunnel@db1.service')],
		{ encoding: 'utf8' });
	assert.equal(r.status, 0, `${r.error ?? r.stdout.match(/→.*/)}`);
});

describe('through the tunnel', { skip, timeout: 600000 }, () => {
	let agent, sshd, port, ssh;
	const bin = makeScripts();
	const socket = at('tunnel/db1/agent.sock');

	// The command line of the unit, with this test's folders.
	function commandLine() {
		const env = Object.fromEntries(`SSH_PORT=22\nSSH_USER=nobody\nREMOTE_SOCKET=/agent.sock\n${readFileSync(at('etc/ops-agent-tunnel/db1.env'), 'utf8')}`
			.trim().split('\n').map((line) => line.split('=')));
		return readFileSync(join(TUNNEL, 'ops-agent-tunnel@.service'), 'utf8').match(/^ExecStart=((.*\\\n)+.*)$/m)[1].replaceAll('\\\n', ' ')
			.replaceAll('%i', 'db1').replaceAll('/run/ops-tunnel', at('tunnel')).replaceAll('/etc/ops-agent-tunnel', at('etc/ops-agent-tunnel'))
			.replace(/\$\{(\w+)\}/g, (_, name) => env[name]).split(/\s+/);
	}

	async function connectTunnel() {
		const [program, ...args] = commandLine();
		ssh = spawn(program, args, { uid: NOBODY, gid: NOBODY, stdio: ['ignore', 'ignore', 'pipe'] });
		ssh.said = '';
		ssh.stderr.on('data', (data) => { ssh.said += data; });
		ssh.exited = once(ssh, 'exit');
		await until('the tunnel', () => {
			assert.equal(ssh.exitCode, null, ssh.said);
			return new Promise((resolve) => {
				const probe = net.connect(socket, () => { probe.destroy(); resolve(true); });
				probe.on('error', () => resolve(false));
			});
		});
	}

	// This sshd's processes for the tunnel, which run as its account, below one that still is root
	const sessions = () => {
		const all = execFileSync('ps', ['-eo', 'pid,ppid,user,args'], { encoding: 'utf8' }).trim().split('\n').slice(1)
			.map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line)).map(([, pid, ppid, what]) => ({ pid: Number(pid), ppid: Number(ppid), what }));
		const ours = new Set(all.filter((one) => one.ppid === sshd.pid).map((one) => one.pid));
		return all.filter((one) => ours.has(one.ppid) && /^nobody\s+sshd(-session)?: nobody/.test(one.what)).map((one) => one.pid);
	};

	// Other uses of the same key, as somebody who took the dashboard's host over would try them.
	const attempt = (...args) => spawnSync('ssh', ['-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes', '-o', 'HostKeyAlias=db1',
		'-o', `UserKnownHostsFile=${at('etc/ops-agent-tunnel/db1.known_hosts')}`, '-i', at('etc/ops-agent-tunnel/key'), '-o', 'IdentitiesOnly=yes',
		'-o', 'ExitOnForwardFailure=yes', '-o', 'ConnectTimeout=5', '-p', String(port), ...args], { uid: NOBODY, gid: NOBODY, encoding: 'utf8', timeout: 120000, input: 'x' });

	before(async () => {
		agent = await Agent.start({ commands: commandsYml(bin), env: { OPS_AGENT_PEERS: String(NOBODY) } });
		const root = join(agent.dir, 'run');
		chmodSync(root, 0o755);
		chmodSync(agent.socket, 0o666);
		port = await freePort();
		mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
		writeFileSync(at('sshd_config'), `Port ${port}\nListenAddress 127.0.0.1\nHostKey ${at('host_key')}\nPidFile none\nUsePAM no\nLogLevel VERBOSE\n${
			readFileSync(join(TUNNEL, 'sshd.conf'), 'utf8').replace('Match User ops-tunnel', 'Match User nobody').replace('/run/ops-agent', root)
				.replace('/etc/ssh/ops-tunnel.keys', at('etc/ssh/ops-tunnel.keys'))}`);
		sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', at('sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] });
		sshd.said = '';
		sshd.stderr.on('data', (data) => { sshd.said += data; });
		const key = readFileSync(at('host_key.pub'), 'utf8').trim();
		assert.equal(tunnel('connect', 'db1', `127.0.0.1:${port}`, key).status, 0);
		// as the script and systemd do it for the account
		chownSync(at('etc/ops-agent-tunnel/key'), 0, NOBODY);
		chownSync(at('etc/ops-agent-tunnel'), 0, NOBODY);
		mkdirSync(at('tunnel/db1'), { recursive: true });
		chownSync(at('tunnel/db1'), NOBODY, NOBODY);
		await until('sshd', () => {
			assert.equal(sshd.exitCode, null, sshd.said);
			return /Server listening/.test(sshd.said);
		});
		await connectTunnel();
	});
	after(async () => {
		ssh?.kill('SIGKILL');
		sshd?.kill('SIGTERM');
		await agent?.destroy();
	});

	it('a run is started, followed and whole', async () => {
		const client = await AgentClient.connect(socket, agent.secret);
		assert.equal((await client.hello()).version, (await (await agent.connect()).hello()).version);
		const { run } = await client.start('ticks', { n: 50 });
		const journal = new Journal();
		await client.follow(run.id, 0, { journal });
		assert.equal(journal.finished.status, 'succeeded');
		client.destroy();
	});

	it('the secret is asked for there as here', async () => {
		const client = await AgentClient.connect(socket, 'not the secret at all');
		await assert.rejects(client.hello(), /unauthorized/);
		client.destroy();
	});

	it('the socket opens for its account and group alone', () => {
		assert.equal(statSync(socket).mode & 0o777, 0o660);
		assert.equal(statSync(socket).uid, NOBODY);
	});

	it('the connection is cut in the middle of a run: ssh ends, and the next one goes on where it was', async () => {
		let client = await AgentClient.connect(socket, agent.secret);
		const letOn = hold(bin);
		const { run } = await client.start('ticks', { n: 50 });
		const journal = new Journal();
		const cut = assert.rejects(client.follow(run.id, 0, { journal }));
		await until('some of it', () => journal.offset > 0);
		const [session] = sessions();
		assert.ok(session > 0, 'there is a session');
		process.kill(session, 'SIGKILL');
		await cut;
		const [code] = await ssh.exited;
		assert.equal(code, 255, 'systemd starts it again');
		await connectTunnel();
		client = await AgentClient.connect(socket, agent.secret);
		letOn();
		await client.follow(run.id, journal.offset, { journal });
		assert.equal(journal.finished.status, 'succeeded');
		client.destroy();
	});

	it('a socket that a killed ssh has left does not keep the next one from its place', async () => {
		ssh.kill('SIGKILL');
		await ssh.exited;
		assert.ok(existsSync(socket));
		await connectTunnel();
		const client = await AgentClient.connect(socket, agent.secret);
		await client.hello();
		client.destroy();
	});

	it('the key is good for nothing else', () => {
		const user = 'nobody@127.0.0.1';
		for (const [what, ...args] of [['a command', user, 'id'], ['a terminal', '-tt', user], ['a subsystem', '-s', user, 'sftp'],
			['a port', '-W', `127.0.0.1:${port}`, user], ['a port of ours', '-N', '-R', '127.0.0.1:0:127.0.0.1:1', user],
			['a socket of ours', '-N', '-R', '/agent2.sock:/nowhere', user]]) {
			const r = attempt(...args);
			assert.notEqual(r.status, 0, `${what}: ${r.stdout}`);
			assert.equal(r.stdout, '', what);
			assert.equal(r.signal, null, `${what} is refused and not just unanswered`);
		}
	});

	it('no other socket of that host is within reach', async () => {
		const other = net.createServer((c) => { c.on('error', () => {}); c.end('reached'); });
		other.listen(at('other.sock'));
		await once(other, 'listening');
		chmodSync(at('other.sock'), 0o666);
		const through = at('tunnel/db1/other.sock');
		const reads = (path) => new Promise((resolve) => {
			let text = '';
			const probe = net.connect(path);
			probe.on('data', (data) => { text += data; });
			probe.on('error', () => resolve(text));
			probe.on('close', () => resolve(text));
		});
		assert.equal(await reads(at('other.sock')), 'reached');
		// a socket beside the agent's, which only PermitOpen keeps from it
		const beside = net.createServer((c) => { c.on('error', () => {}); c.end('reached'); });
		beside.listen(join(agent.dir, 'run/other.sock'));
		await once(beside, 'listening');
		chmodSync(join(agent.dir, 'run/other.sock'), 0o666);
		for (const path of ['/other.sock', at('other.sock'), `/..${at('other.sock')}`, `/../../../..${at('other.sock')}`]) {
			const child = spawn('ssh', [...commandLine().slice(1).map((arg) => (arg.includes('agent.sock:') ? `${through}:${path}` : arg))],
				{ uid: NOBODY, gid: NOBODY, stdio: 'ignore' });
			const gone = once(child, 'exit');
			await until('the other tunnel', () => existsSync(through));
			assert.equal(await reads(through), '', path);
			child.kill('SIGKILL');
			await gone;
			rmSync(through);
		}
		other.close();
		beside.close();
	});

	it('another host under the same address is not spoken to', async () => {
		execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('impostor')]);
		const file = at('etc/ops-agent-tunnel/db1.known_hosts'), pinned = readFileSync(file, 'utf8');
		writeFileSync(file, `db1 ${readFileSync(at('impostor.pub'), 'utf8')}`);
		const [program, ...args] = commandLine();
		const r = spawnSync(program, args.map((arg) => arg.replace('/db1/agent.sock', '/db1/second.sock')), { uid: NOBODY, gid: NOBODY, encoding: 'utf8', timeout: 120000 });
		writeFileSync(file, pinned);
		assert.equal(r.status, 255);
		assert.match(r.stderr, /verification failed/);
		assert.ok(!existsSync(at('tunnel/db1/second.sock')));
	});

	it('when sshd goes, so does the tunnel, and what was open says so', async () => {
		const client = await AgentClient.connect(socket, agent.secret);
		await client.hello();
		for (const pid of sessions()) process.kill(pid, 'SIGKILL');
		await client.whenClosed();
		await ssh.exited;
		assert.ok(!isAlive(ssh.pid));
	});
});
