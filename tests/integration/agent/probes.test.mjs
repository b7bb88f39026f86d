// What the probes say of real peers: certificates of openssl s_server, repositories of git, files, addresses
// that answer, hang or talk nonsense. One that goes wrong says why; the others go on.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assertIs } from '../../api/document.mjs';
import { Agent, until } from '../lib/agent.mjs';
import { freePort } from '../lib/ports.mjs';

const dir = mkdtempSync(join(tmpdir(), 'ops-probes-'));
const at = (...parts) => join(dir, ...parts);
const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
const git = (where, ...args) => execFileSync('git', ['-C', where, '-c', 'user.name=t', '-c', 'user.email=t@localhost', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
const servers = [], children = [];
let agent, client;

// ---- certificates: a root, an intermediate, leaves ----

function authority(name, signer) {
	openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
	writeFileSync(at('ca.ext'), 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n');
	openssl('x509', '-req', '-in', `${name}.csr`, '-days', '3650', '-extfile', 'ca.ext', '-out', `${name}.pem`,
		...(signer ? ['-CA', `${signer}.pem`, '-CAkey', `${signer}.key`, '-CAcreateserial'] : ['-signkey', `${name}.key`]));
}

function leaf(name, { days, host = 'localhost' }) {
	openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
	writeFileSync(at(`${name}.cnf`), [
		'[ca]', 'default_ca=d', '[d]', `database=${at(`${name}.db`)}`, `serial=${at(`${name}.srl`)}`, `new_certs_dir=${dir}`, 'default_md=sha256',
		'policy=p', 'x509_extensions=e', 'unique_subject=no', '[p]', 'commonName=supplied', '[e]', `subjectAltName=DNS:${host}`, '',
	].join('\n'));
	writeFileSync(at(`${name}.db`), '');
	writeFileSync(at(`${name}.srl`), '01');
	const stamp = (d) => new Date(Date.now() + d * 86400000).toISOString().replace(/[-:T]/g, '').slice(0, 14) + 'Z';
	openssl('ca', '-batch', '-config', `${name}.cnf`, '-cert', 'middle.pem', '-keyfile', 'middle.key', '-in', `${name}.csr`, '-out', `${name}.pem`,
		'-notext', '-startdate', stamp(-400), '-enddate', stamp(days));
}

async function serve(name, { chain = true } = {}) {
	const port = await freePort();
	const child = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, '-cert', `${name}.pem`, '-key', `${name}.key`, '-www',
		...(chain ? ['-cert_chain', 'middle.pem'] : [])], { cwd: dir, stdio: 'ignore' });
	children.push(child);
	await until(`s_server ${name}`, () => new Promise((resolve) => {
		const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
		socket.on('error', () => resolve(false));
	}));
	return port;
}

async function listen(server) {
	servers.push(server);
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	return server.address().port;
}

// A mail server as far as its STARTTLS: answers by line, `null` means TLS from here on.
async function mailServer(greeting, answers) {
	return listen(net.createServer((socket) => {
		socket.on('error', () => {});
		socket.write(greeting);
		const onData = (data) => {
			for (const line of data.toString().split('\r\n').filter(Boolean)) {
				const answer = answers(line);
				if (answer) socket.write(answer);
				if (!/STARTTLS/.test(line) || !/^(220|a OK)/.test(answer)) continue;
				socket.removeListener('data', onData);
				const secure = new tls.TLSSocket(socket, {
					isServer: true, key: readFileSync(at('good.key')), cert: readFileSync(at('good.pem')) + readFileSync(at('middle.pem')),
				});
				secure.on('error', () => {});
			}
		};
		socket.on('data', onData);
	}));
}
const smtp = (line) => (line.startsWith('EHLO ') ? '250-mail.example\r\n250-SIZE 1\r\n250 STARTTLS\r\n' : '220 go ahead\r\n');

const port = {};

before(async () => {
	authority('root');
	authority('middle', 'root');
	leaf('good', { days: 90 });
	leaf('soon', { days: 10.5 });
	leaf('expired', { days: -3.5 });
	leaf('wrong', { days: 90, host: 'elsewhere.example' });
	for (const name of ['good', 'soon', 'expired', 'wrong']) port[name] = await serve(name);
	port.incomplete = await serve('good', { chain: false });
	port.refused = await freePort();
	// accepts and says nothing
	port.silent = await listen(net.createServer((socket) => { socket.on('error', () => {}); }));
	port.garbage = await listen(net.createServer((socket) => { socket.on('error', () => {}); socket.end('\0\x01 what is this\n'.repeat(1000)); }));
	// an answer that never ends
	port.endless = await listen(http.createServer((req, res) => {
		res.writeHead(200);
		const more = () => { while (!res.destroyed && res.write(Buffer.alloc(65536))); };
		res.on('drain', more);
		more();
	}));
	port.teapot = await listen(http.createServer((req, res) => res.writeHead(418).end()));

	port.welcome = await listen(http.createServer((req, res) => {
		// two chunks, with the text across both
		res.write('<h1>Wel');
		setImmediate(() => res.end(req.url === '/other' ? 'l</h1>' : 'come</h1>'));
	}));
	port.smtp = await mailServer('220-mail.example\r\n220 ESMTP\r\n', smtp);
	port.smtpWithout = await mailServer('220 ESMTP\r\n', (line) => (line.startsWith('EHLO ') ? '250 SIZE 1\r\n' : '502 not here\r\n'));
	port.imap = await mailServer('* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n', () => 'a OK begin\r\n');
	port.mailGarbage = await listen(net.createServer((socket) => { socket.on('error', () => {}); socket.end('x'.repeat(100000)); }));

	mkdirSync(at('origin'));
	git(at('origin'), 'init', '-q', '-b', 'main');
	writeFileSync(at('origin/a'), 'one');
	git(at('origin'), 'add', 'a');
	git(at('origin'), 'commit', '-qm', 'one');
	for (const name of ['clean', 'dirty', 'behind', 'hostile']) git(dir, 'clone', '-q', at('origin'), at(name));
	writeFileSync(at('dirty/a'), 'other');
	writeFileSync(at('dirty/new'), 'new');
	writeFileSync(at('origin/a'), 'two');
	git(at('origin'), 'commit', '-qam', 'two');
	git(at('behind'), 'fetch', '-q');
	// what a repository may name to be executed
	writeFileSync(at('evil'), `#!/bin/sh\ntouch ${at('executed')}\n`, { mode: 0o755 });
	git(at('hostile'), 'config', 'core.fsmonitor', at('evil'));
	git(at('hostile'), 'config', 'core.hooksPath', dir);
	mkdirSync(at('empty'));

	mkdirSync(at('backups'));
	for (let i = 0; i < 8; i++) {
		for (const [name, size, hours] of [['daily', 1000, 1], ['old', 1000, 60], ['small', 1000, 1]]) {
			writeFileSync(at('backups', `${name}-${i}.dump`), Buffer.alloc(size));
			const when = Date.now() / 1000 - (hours + 24 * i) * 3600;
			if (name === 'small' && i === 0) truncateSync(at('backups', `${name}-${i}.dump`), 100);
			utimesSync(at('backups', `${name}-${i}.dump`), when, when);
		}
	}
	const certificates = ['good', 'soon', 'expired', 'wrong', 'incomplete', 'refused', 'silent', 'garbage'];
	const status = `version: 1
interval: 1s
certificates:
${certificates.map((n) => `  - { host: localhost, port: ${port[n]} }`).join('\n')}
  - { host: localhost, port: ${port.smtp}, starttls: smtp, action: quick }
  - { host: localhost, port: ${port.smtpWithout}, starttls: smtp }
  - { host: localhost, port: ${port.imap}, starttls: imap }
  - { host: localhost, port: ${port.mailGarbage}, starttls: imap }
  - { file: ${at('soon.pem')} }
  - { file: ${at('good.key')} }
urls:
  - { url: "https://localhost:${port.good}/" }
  - { url: "http://127.0.0.1:${port.endless}/large?x=1" }
  - { url: "http://127.0.0.1:${port.teapot}/", expect: 418 }
  - { url: "http://127.0.0.1:${port.teapot}/coffee" }
  - { url: "http://127.0.0.1:${port.garbage}/" }
  - { url: "http://127.0.0.1:${port.welcome}/", text: Welcome, action: quick }
  - { url: "http://127.0.0.1:${port.welcome}/other", text: Welcome }
  - { url: "http://127.0.0.1:${port.endless}/endless", text: Welcome }
actions: { urls: other, host: other }
repositories: [{ path: ${at('clean')}, action: quick }, ${['dirty', 'behind', 'hostile', 'empty'].map((n) => at(n)).join(', ')}]
backups:
  - { name: daily, glob: "${at('backups/daily-*.dump')}", max_age: 26h, min_size: 500B, verified_by: restore }
  - { name: made, glob: "${at('backups/made-*.dump')}", action: make }
  - { name: old, glob: "${at('backups/old-*.dump')}", max_age: 26h }
  - { name: small, glob: "${at('backups/small-*.dump')}" }
  - { name: tiny, glob: "${at('backups/small-*.dump')}", min_size: 500B }
  - { name: none, glob: "${at('backups/nothing-*.dump')}" }
  - { name: soon, glob: "${at('backups/nothing-*.dump')}", max_age: 2h }
`;
	agent = await Agent.start({
		commands: 'version: 1\ncommands:\n  quick: { title: Quick, exec: [/bin/true] }\n  other: { title: Other, exec: [/bin/true] }\n  restore: { title: Restore, exec: [/bin/true] }\n' +
			`  make: { title: Make, exec: [/bin/touch, ${at('backups/made-1.dump')}] }\n`, status,
		env: { SSL_CERT_FILE: at('root.pem') },
	});
	client = await agent.connect();
	await client.watchStatus();
});
after(async () => {
	try {
		await agent?.destroy();
	} finally {
		for (const child of children) child.kill();
		for (const server of servers) {
			server.closeAllConnections?.();
			server.close();
		}
		rmSync(dir, { recursive: true, force: true });
	}
});

// Waits for an item of this id, or for one that test() accepts.
async function item(section, id, test = () => true) {
	return until(`${section} ${id}`, async () => {
		const document = await client.status();
		assertIs('Status', document);
		return document.sections[section]?.find((i) => i.id === id && test(i));
	});
}
const certificate = (name) => item('certificates', `localhost:${port[name]}`);

test('a certificate that is good', async () => {
	const good = await certificate('good');
	assert.equal(good.level, 'ok', good.message);
	assert.equal(good.values.verifies, true);
	assert.deepEqual(good.values.names, ['localhost']);
	assert.ok(good.values.days_left >= 88 && good.values.days_left <= 90);
	assert.match(good.values.issuer, /CN=middle/);
});

test('certificates that end soon, have ended, are for others, or come without their chain', async () => {
	const said = {};
	for (const name of ['soon', 'expired', 'wrong', 'incomplete']) {
		const found = await certificate(name);
		said[name] = [found.level, found.message];
	}
	assert.deepEqual(said.soon, ['warn', 'expires in 10 days']);
	assert.deepEqual(said.expired, ['bad', 'expired 3 days ago']);
	assert.deepEqual(said.wrong, ['bad', 'is not for the name localhost']);
	assert.equal(said.incomplete[0], 'bad');
	assert.match(said.incomplete[1], /chain is incomplete/);
});

test('files with a certificate, and with none', async () => {
	const soon = await item('certificates', at('soon.pem'));
	assert.deepEqual([soon.level, soon.message], ['warn', 'expires in 10 days']);
	const key = await item('certificates', at('good.key'));
	assert.equal(key.level, 'unknown');
	assert.match(key.message, /no certificate/);
});

test('peers that refuse, hang or talk nonsense are unknown, and say why', async () => {
	assert.match((await certificate('refused')).message, /cannot connect.*Connection refused/);
	assert.match((await certificate('garbage')).message, /TLS handshake failed/);
	const silent = await certificate('silent');
	assert.deepEqual([silent.level, silent.message], ['unknown', 'no answer within 10 s']);
	// meanwhile the rest was live
	const document = await client.status();
	assert.ok(document.sections.host.find((i) => i.id === 'memory').checked_us > document.time_us - 5e6);
});

test('addresses', async () => {
	assert.equal((await item('urls', `https://localhost:${port.good}/`)).level, 'ok');
	const endless = await item('urls', `http://127.0.0.1:${port.endless}/large?x=1`);
	assert.deepEqual([endless.level, endless.values.status], ['ok', 200]);
	assert.equal((await item('urls', `http://127.0.0.1:${port.teapot}/`)).level, 'ok');
	const coffee = await item('urls', `http://127.0.0.1:${port.teapot}/coffee`);
	assert.deepEqual([coffee.level, coffee.message], ['bad', 'answers 418 instead of 200']);
	const garbage = await item('urls', `http://127.0.0.1:${port.garbage}/`);
	assert.deepEqual([garbage.level, garbage.message], ['bad', 'the answer is no HTTP/1.1']);
});

test('addresses whose answer must hold a text', async () => {
	assert.equal((await item('urls', `http://127.0.0.1:${port.welcome}/`)).level, 'ok');
	const other = await item('urls', `http://127.0.0.1:${port.welcome}/other`);
	assert.deepEqual([other.level, other.message], ['bad', 'the answer does not hold \'Welcome\'']);
	const endless = await item('urls', `http://127.0.0.1:${port.endless}/endless`);
	assert.deepEqual([endless.level, endless.message], ['bad', 'the answer does not hold \'Welcome\''], 'of an answer without end only so much is read');
});

test('certificates of mail servers, asked for by STARTTLS', async () => {
	for (const name of ['smtp', 'imap']) {
		const good = await certificate(name);
		assert.deepEqual([good.level, good.values.verifies], ['ok', true], good.message);
	}
	const without = await certificate('smtpWithout');
	assert.deepEqual([without.level, without.message], ['unknown', 'the server says \'502 not here\'']);
	const garbage = await certificate('mailGarbage');
	assert.deepEqual([garbage.level, garbage.message], ['unknown', 'the server\'s line is too long']);
});

test('what one would do: the item\'s own action, else its section\'s', async () => {
	assert.equal((await certificate('smtp')).action, 'quick');
	assert.equal((await certificate('good')).action, null);
	assert.equal((await item('urls', `http://127.0.0.1:${port.welcome}/`)).action, 'quick');
	assert.equal((await item('urls', `http://127.0.0.1:${port.teapot}/`)).action, 'other');
	assert.equal((await item('host', 'memory')).action, 'other');
	assert.equal((await item('repositories', at('clean'))).action, 'quick');
	assert.equal((await item('repositories', at('dirty'))).action, null);
});

test('repositories', async () => {
	const clean = await item('repositories', at('clean'));
	assert.deepEqual([clean.level, clean.values.branch, clean.values.upstream], ['ok', 'main', 'origin/main']);
	assert.match(clean.values.commit, /^[0-9a-f]{12}$/);
	const dirty = await item('repositories', at('dirty'));
	assert.deepEqual([dirty.level, dirty.message, dirty.values.untracked], ['warn', '1 changed file', 1]);
	const behind = await item('repositories', at('behind'));
	assert.deepEqual([behind.level, behind.message], ['warn', '1 commit behind origin/main']);
	const empty = await item('repositories', at('empty'));
	assert.equal(empty.level, 'unknown');
	assert.match(empty.message, /not a git repository/);
});

test('a repository cannot have its programs executed', async () => {
	assert.equal((await item('repositories', at('hostile'))).level, 'ok');
	assert.throws(() => execFileSync('test', ['-e', at('executed')]));
});

test('backups', async () => {
	const daily = await item('backups', 'daily');
	assert.deepEqual([daily.level, daily.values.count, daily.values.size, daily.values.median_size], ['ok', 8, 1000, 1000]);
	assert.equal(daily.values.path, at('backups/daily-0.dump'));
	const old = await item('backups', 'old');
	assert.deepEqual([old.level, old.message], ['bad', 'is 2 days old']);
	const small = await item('backups', 'small');
	assert.deepEqual([small.level, small.message], ['warn', 'is less than half as large as usual']);
	assert.equal((await item('backups', 'tiny')).level, 'bad');
});

// The file of this test is seconds old.
test('a backup that is not there yet is a warning until one is due since the file names it, and bad from then on', async () => {
	const none = (name, level) => item('backups', name, (i) => i.level === level);
	assert.equal((await none('none', 'warn')).message, 'no backup yet: no file matches its pattern');
	const file = join(agent.configDir, 'status.yml');
	const age = async (seconds) => {
		utimesSync(file, Date.now() / 1000 - seconds, Date.now() / 1000 - seconds);
		await client.reload();
	};
	// the one with max_age: 2h is overdue, the one for which any age is good is not
	await age(3 * 3600);
	assert.equal((await none('soon', 'bad')).message, 'no file matches its pattern');
	await none('none', 'warn');
	await age(25 * 3600);
	await none('none', 'bad');
	await age(0);
	await none('soon', 'warn');
	await none('none', 'warn');
});

// The history as deploy/ops-dashboard-updater/update.sh writes it.
const update = (more) => `${JSON.stringify({ time: '2026-11-25T03:00:41Z', result: 'updated', from: 'a'.repeat(40), to: 'b'.repeat(40), version: '0.1.0', seconds: 41, reason: '', changes: ['core: faster', 'ui: calmer'], ...more })}\n`;
const HISTORIES = {
	'that went well': [update({ result: 'failed', reason: 'the one before' }) + update(), { level: 'ok', message: null }],
	'that was taken back': [update() + update({ result: 'rolled_back', reason: 'the login page does not answer' }), { level: 'bad', message: 'the last update was taken back: the login page does not answer' }],
	'that failed': [update({ result: 'failed', reason: 'no room' }), { level: 'bad', message: 'the last update failed: no room' }],
	'that is being written': [update() + '{"time":"2026-11-26', { level: 'ok', message: null }],
	'behind a long history': [update({ reason: 'x'.repeat(1000) }).repeat(200) + update(), { level: 'ok', message: null }],
	'that makes no sense': ['what?\n', { level: 'unknown', message: 'the last line of the history of updates makes no sense' }],
};
for (const [name, [text, expected]] of Object.entries(HISTORIES)) {
	test(`an update of the dashboard ${name}`, async (t) => {
		const file = at(`history-${Object.keys(HISTORIES).indexOf(name)}.jsonl`);
		writeFileSync(file, text);
		const other = await Agent.start({ commands: 'version: 1\ncommands:\n  quick: { title: Quick, exec: [/bin/true] }\n', status: 'version: 1\nhost: true\n', env: { OPS_UPDATER_HISTORY: file } });
		t.after(() => other.destroy());
		const its = await other.connect();
		const found = await until('the update', async () => (await its.status()).sections.updater?.find((i) => i.checked_us !== null));
		assert.deepEqual({ level: found.level, message: found.message }, expected);
		if (expected.level === 'unknown') return;
		assert.equal(found.values.updated_us, Date.parse('2026-11-25T03:00:41Z') * 1000);
		assert.deepEqual([found.values.from, found.values.to, found.values.took_s, found.values.changes, found.values.new], ['aaaaaaaaaaaa', 'bbbbbbbbbbbb', 41, 2, 'core: faster\nui: calmer']);
	});
}

test('where there is no updater there is no such card', async () => {
	assert.equal((await client.status()).sections.updater, undefined);
});

test('a look that crashes is unknown and says so; the probes themselves go on', async () => {
	const pid = agent.probesPid;
	const looks = () => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
	await until('a crash to be told', async () => {
		for (const look of looks()) {
			// not SIGSEGV, which a sanitizer would catch
			try { process.kill(look, 'SIGABRT'); } catch (error) { assert.equal(error.code, 'ESRCH'); }
		}
		const document = await client.status();
		return document.sections.certificates.some((i) => i.level === 'unknown' && /^the probe crashed: Aborted/.test(i.message));
	});
	const { checked_us: us } = await item('host', 'memory');
	await item('host', 'memory', (i) => i.checked_us > us);
	assert.equal(agent.probesPid, pid);
	assert.doesNotMatch(agent.log(), /probes\.died/);
});

test('a backup is looked at when the run that makes it has ended, long before it is time', async () => {
	// a minute from one look to the next: begin well before, so that a look of the other one would show that it was just time
	const other = await item('backups', 'old', (i) => Date.now() * 1000 - i.checked_us < 40e6);
	await item('backups', 'made', (i) => i.level === 'warn');
	await client.start('make');
	await item('backups', 'made', (i) => i.level === 'ok');
	assert.equal((await item('backups', 'old')).checked_us, other.checked_us);
});

// last: it kills probes and worker
test('a backup knows when a restore last succeeded, also after probes and worker were started anew', async () => {
	const before = (await item('backups', 'daily')).values;
	assert.deepEqual([before.verified_by, before.verified_us], ['restore', undefined]);
	const { run } = await client.start('restore');
	const { finished_us } = await until('the run to be over', async () => { const r = await client.get(run.id); return r.finished_us && r; });
	await item('backups', 'daily', (i) => i.values.verified_us === finished_us);
	process.kill(agent.probesPid, 'SIGKILL');
	const killed = Date.now() * 1000;
	await item('backups', 'daily', (i) => i.checked_us > killed && i.values.verified_us === finished_us);
	agent.kill9Worker();
	client = await until('another worker', () => agent.connect().then(async (c) => { await c.hello(); return c; }).catch(() => null));
	await client.watchStatus();
	process.kill(await until('probes', () => agent.probesPid), 'SIGKILL');
	const again = Date.now() * 1000;
	await item('backups', 'daily', (i) => i.checked_us > again && i.values.verified_us === finished_us);
});
