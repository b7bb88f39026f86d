// Notifications: what happens reaches ntfy, webhooks and mail, once, also over restarts and with two dashboards.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { assertIs } from '../../api/document.mjs';
import { Agent, sleep, until } from '../lib/agent.mjs';
import { Dashboard, DASHBOARD } from '../lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../lib/fake-agent.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { HttpReceiver, isSigned, makeCertificate, readMail, SmtpReceiver } from '../lib/receivers.mjs';

const KEY = '0123456789abcdef0123456789abcdef';
let dir;
const path = (name) => join(dir, name);
const secret = (name, text, mode = 0o600) => {
	writeFileSync(path(name), `${text}\n`, { mode });
	return path(name);
};
const write = (name, text) => {
	writeFileSync(path(name), text, { mode: 0o644 });
	return path(name);
};
// A run that has ended now.
const ended = (name, status, line = '') => {
	const run = new FakeRun({ name });
	run.timeUs = Date.now() * 1000;
	if (line) run.output(`${line}\n`, { kind: 2 });
	return run.finish(status);
};
const happen = (agent, run) => {
	agent.changed(agent.add(run));
	return run;
};
const hangup = async (dashboard, event) => {
	const before = dashboard.log().split(event).length;
	dashboard.child.kill('SIGHUP');
	await until(event, () => dashboard.log().split(event).length > before);
};
// The scan of the agent's runs is over: what happens from now on is an event.
const ready = async (dashboard) => {
	await dashboard.connected();
	await until('the state to be written', () => statSync(join(dashboard.env.STATE_DIR, 'notify.json'), { throwIfNoEntry: false }));
	return dashboard;
};
// On the disk: n runs were told, and nothing waits to be.
const settled = (dashboard, n) => {
	const { marks, waiting, lanes } = state(dashboard);
	return waiting.length === 0 && lanes.length === 0 && marks.filter(([key]) => key.endsWith('/end')).length === n;
};
const state = (dashboard) => JSON.parse(readFileSync(join(dashboard.env.STATE_DIR, 'notify.json'), 'utf8'));

before(() => { dir = mkdtempSync(join(tmpdir(), 'ops-notify-')); });
after(() => rmSync(dir, { recursive: true, force: true }));

describe('what is told', () => {
	let agent, dashboard, http, session;

	before(async () => {
		agent = await FakeAgent.start();
		http = await HttpReceiver.start();
		write('told.yml', `version: 1
agent_grace: 500ms
look_every: 1s
targets:
  phone: { type: ntfy, url: "${http.url}", topic: ops-x, token_file: ${secret('token', 'tk_secret')}, priority: high }
  chat: { type: webhook, url: "${http.url}/hook", secret_file: ${secret('key', KEY)} }
rules:
  - { on: [run.failed, run.recovered], runs: [backup, "pg.*"], targets: [phone, chat], quiet: 0s }
  - { on: [approval.waiting, agent.lost, agent.back], targets: [phone], quiet: 0s }
  - { on: [status.bad, status.ok], sections: [certificates, backups], targets: [phone], quiet: 0s }
`);
		dashboard = await Dashboard.start({ agent, env: { NOTIFY_FILE: path('told.yml') } });
		await ready(dashboard);
		session = await dashboard.login();
	});
	after(async () => {
		const code = await dashboard?.stop();
		await dashboard?.destroy();
		await agent?.destroy();
		await http?.stop();
		assert.equal(code, 0); // a sanitizer's finding is another code
	});
	afterEach(() => { http.requests.length = 0; });

	const toPhone = () => http.taken.filter((r) => r.path === '/').map((r) => r.json);

	// It and what comes with it is a megabyte: not in a daemon that sends nothing.
	const hasCurl = () => readFileSync(`/proc/${dashboard.pid}/maps`, 'utf8').includes('libcurl');

	it('a failed run: what, where, the last line of stderr, a link', async () => {
		assert.equal(hasCurl(), false);
		const run = happen(agent, ended('backup', 'failed', '\x1b[31mdisk is full\x1b[0m'));
		await until('both targets', () => http.taken.length === 2);
		const [phone] = toPhone();
		assert.equal(hasCurl(), true);
		assert.equal(phone.topic, 'ops-x');
		assert.equal(phone.title, 'Title of backup failed on fake');
		assert.match(phone.message, /^#\d+ backup: failed/);
		assert.match(phone.message, /Started by user:admin\nLast line: disk is full\n/);
		assert.equal(phone.priority, 4);
		assert.equal(phone.click, `${dashboard.url}/runs/${run.number}`);
		const ntfy = http.taken.find((r) => r.path === '/');
		assert.equal(ntfy.headers.authorization, 'Bearer tk_secret');
		const hook = http.taken.find((r) => r.path === '/hook');
		assert.ok(isSigned(hook, KEY));
		assert.ok(Math.abs(Number(hook.headers['x-ops-timestamp']) - Date.now() / 1000) < 600);
		assert.deepEqual([hook.json.event, hook.json.run, hook.json.name, hook.json.count], ['run.failed', run.id, 'backup', 1]);
	});

	it('success after it, once; and nothing of runs that no rule names', async () => {
		happen(agent, ended('other', 'failed'));
		happen(agent, ended('backup', 'succeeded'));
		happen(agent, ended('backup', 'succeeded'));
		happen(agent, ended('pg.dump', 'timed_out'));
		await until('the last of them', () => toPhone().some((m) => m.title.startsWith('Title of pg.dump failed')));
		assert.deepEqual(toPhone().map((m) => m.title), ['Title of backup works again on fake', 'Title of pg.dump failed on fake']);
		assert.match(toPhone()[1].message, /took too long/);
	});

	it('the same event again is told once', async () => {
		const run = happen(agent, ended('pg.check', 'failed'));
		agent.changed(run);
		await until('it', () => toPhone().length === 1);
		agent.changed(run);
		happen(agent, ended('pg.other', 'failed'));
		await until('the other one', () => toPhone().length === 2);
		assert.match(toPhone()[1].title, /pg\.other/);
	});

	it('a step that waits for an answer', async () => {
		const run = new FakeRun({ name: 'deploy' });
		const document = run.document.bind(run);
		run.document = () => ({ ...document(), status: 'waiting', steps: [{ index: 0, id: 'ask', uses: '', status: 'waiting', approve: { prompt: 'Deploy to production?' } }] });
		happen(agent, run);
		agent.changed(run);
		await until('it', () => toPhone().length === 1);
		assert.equal(toPhone()[0].title, 'Title of deploy waits for an answer on fake');
		assert.match(toPhone()[0].message, /^Deploy to production\?\n/);
	});

	it('a level of the status, with nobody looking; and that it is well again', async () => {
		const item = (level, message) => ({ id: 'ops.example.org', title: 'ops.example.org', level, message, since_us: Date.now() * 1000, checked_us: 0, values: {} });
		const document = (level, message) => ({ host: 'fake', time_us: 1, level, interval_ms: 1000, sections: { certificates: [item(level, message)], urls: [{ ...item('bad', 'not for us'), id: 'url' }] } });
		agent.status = document('bad', 'expires in 3 days');
		await until('the alarm', () => toPhone().length === 1);
		assert.equal(toPhone()[0].title, 'ops.example.org is bad on fake');
		assert.match(toPhone()[0].message, /^expires in 3 days\ncertificates\/ops\.example\.org since /);
		agent.status = document('unknown', 'no answer'); // not to know is no news
		await until('it to be looked at', () => dashboard.isAlive && sleep(1200).then(() => true));
		agent.status = document('ok', null);
		await until('the relief', () => toPhone().length === 2);
		assert.equal(toPhone()[1].title, 'ops.example.org is well again on fake');
	});

	it('the agent lost after its grace, and back', async () => {
		await agent.close();
		await until('the alarm', () => toPhone().length === 1);
		assert.equal(toPhone()[0].title, 'The agent of fake is away');
		await agent.listen();
		await until('the relief', () => toPhone().length === 2);
		assert.equal(toPhone()[1].title, 'The agent of fake is back');
	});

	it('a target that fails is tried again; /readyz does not mind', async () => {
		let left = 3;
		http.answer = (r) => (r.path === '/' && left-- > 0 ? 500 : 200);
		const before = (await session.get('/readyz')).status;
		happen(agent, ended('pg.retry', 'failed'));
		await until('it to arrive at last', () => toPhone().length === 1);
		assert.equal(http.requests.filter((r) => r.path === '/').length, 4);
		assert.equal((await session.get('/readyz')).status, before);
		http.answer = () => 200;
		const { text } = await session.get('/metrics');
		const value = (target, result) => Number(new RegExp(`ops_notifications_total\\{target="${target}",result="${result}"\\} (\\d+)`).exec(text)[1]);
		assert.ok(value('phone', 'failed') >= 3 && value('phone', 'sent') >= 1 && value('chat', 'sent') >= 1);
	});

	it('what a target refuses for good is dropped and said', async () => {
		http.answer = (r) => (r.path === '/' ? 403 : 200);
		happen(agent, ended('pg.refused', 'failed'));
		await until('the log', () => /notify\.dropped.*answered 403/.test(dashboard.log()));
		http.answer = () => 200;
		assert.equal(http.requests.filter((r) => r.path === '/').length, 1);
	});

	it('a target that hangs holds up nobody', async () => {
		http.answer = (r) => (r.path === '/' ? null : 200);
		happen(agent, ended('pg.hang', 'failed'));
		await until('the other target', () => http.taken.some((r) => r.path === '/hook'));
		await until('the one that hangs', () => http.requests.some((r) => r.path === '/'));
		assert.equal((await session.get('/api/v1/catalog')).status, 503);
		assert.equal((await session.get('/api/v1/session')).status, 200);
		http.answer = () => 200;
	});

	it('GET /notify tells names and results, and no secret', async () => {
		const { status, json, text } = await session.get('/api/v1/notify');
		assert.equal(status, 200);
		assertIs('Notify', json);
		assert.deepEqual(json.targets.map((t) => [t.name, t.kind, t.where]), [['phone', 'ntfy', http.url.slice(7)], ['chat', 'webhook', http.url.slice(7)]]);
		assert.equal(json.targets[1].last.ok, true);
		for (const word of ['tk_secret', KEY, 'ops-x']) assert.ok(!text.includes(word) && !dashboard.log().includes(word), word);
	});
});

describe('tests of targets', () => {
	let dashboard, http, session, pg;

	before(async () => {
		http = await HttpReceiver.start();
		pg = await Postgres.start();
		write('tests.yml', `version: 1
language: nl
targets:
  good: { type: ntfy, url: "${http.url}", topic: ops }
  bad: { type: webhook, url: "http://127.0.0.1:1/", secret_file: ${secret('key2', KEY)} }
`);
		dashboard = await Dashboard.start({ databaseUrl: pg.url, env: { NOTIFY_FILE: path('tests.yml') } });
		session = await dashboard.login();
		await until('the database', async () => (await session.get('/readyz')).json.database.state === 'ready');
	});
	after(async () => {
		await dashboard?.destroy();
		await http?.stop();
		await pg?.destroy();
	});

	const command = (...args) => new Promise((resolve) => execFile(DASHBOARD, ['notify-test', ...args], { env: dashboard.env }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr })));

	it('one or all, each with what it said, in the configured language, in the audit', async () => {
		const one = await session.post('/api/v1/notify/test', { target: 'good' });
		assert.equal(one.status, 200, one.text);
		assertIs('NotifyTestAnswer', one.json);
		assert.deepEqual(one.json.results, [{ target: 'good', ok: true, message: 'answered 200' }]);
		assert.equal(http.requests[0].json.title, 'Test van Ops Dashboard');
		const all = await session.post('/api/v1/notify/test', {});
		assert.deepEqual(all.json.results.map((r) => [r.target, r.ok]), [['good', true], ['bad', false]]);
		assert.match(all.json.results[1].message, /connect/i);
		assert.equal((await session.post('/api/v1/notify/test', { target: 'nobody' })).status, 404);
		assert.equal((await session.post('/api/v1/notify/test', { target: 3 })).status, 422);
		const entries = () => pg.psql(`select actor, object from ops.audit where action = 'notify.test' order by position`);
		await until('the audit', async () => (await entries()).includes('nobody'));
		assert.match(await entries(), /^user:admin\|good$/m);
		const { json } = await session.get('/api/v1/notify');
		assert.deepEqual(json.targets.map((t) => [t.last.ok, t.last.test]), [[true, true], [false, true]]);
	});

	it('the command says the same, and what is wrong', async () => {
		assert.deepEqual(await command('good'), { code: 0, stdout: 'good: ok: answered 200\n', stderr: '' });
		const all = await command();
		assert.equal(all.code, 69);
		assert.match(all.stdout, /^bad: failed: .*connect/im);
		const none = await command('nobody');
		assert.equal(none.code, 64);
		assert.match(none.stderr, /no target 'nobody'; there are: good bad/);
	});
});

describe('mail', () => {
	let cert, smtp, dashboard, session;

	const start = async (mode, more = '') => {
		smtp = await SmtpReceiver.start({ tls: mode, cert: readFileSync(cert.cert), key: readFileSync(cert.key), user: 'ops', password: 'a mail password' });
		write('mail.yml', `version: 1
targets:
  mail:
    type: mail
    smtp: ${mode === 'implicit' ? 'smtps' : 'smtp'}://localhost:${smtp.port}
    from: ops@example.org
    to: [one@example.org, two@example.org]
    user: ops
    password_file: ${secret('password', 'a mail password')}
    ca_file: ${cert.cert}
${more}`);
		dashboard = await Dashboard.start({ env: { NOTIFY_FILE: path('mail.yml') } });
		session = await dashboard.login();
	};
	const send = async () => (await session.post('/api/v1/notify/test', {})).json.results[0];

	before(() => { cert = makeCertificate(dir); });
	afterEach(async () => {
		await dashboard?.destroy();
		await smtp?.stop();
	});

	for (const mode of ['starttls', 'implicit']) {
		it(`goes out over TLS (${mode}), signed in`, async () => {
			await start(mode);
			const result = await send();
			assert.deepEqual([result.ok, result.message], [true, 'answered 250']);
			const [mail] = smtp.mails;
			assert.deepEqual([mail.from, mail.to, mail.secure, mail.user], ['ops@example.org', ['one@example.org', 'two@example.org'], true, 'ops']);
			const { headers, subject, text } = readMail(mail.message);
			assert.equal(subject, 'Test of Ops Dashboard');
			assert.match(text, /reach the target mail\.\n\nhttp:/);
			assert.equal(headers.to, 'one@example.org, two@example.org');
			assert.equal(headers['auto-submitted'], 'auto-generated');
			assert.match(headers['message-id'], /^<[0-9a-f-]{36}@example\.org>$/);
			assert.ok(!dashboard.log().includes('a mail password'));
		});
	}

	it('is refused without TLS, and no password is sent', async () => {
		await start('none');
		const result = await send();
		assert.equal(result.ok, false);
		assert.match(result.message, /STARTTLS|TLS|SSL/i);
		assert.equal(smtp.mails.length, 0);
		assert.ok(!smtp.commands.some((c) => /^AUTH/i.test(c)), smtp.commands.join('\n'));
	});

	it('a certificate that nobody trusts, a wrong password and a server that refuses are told', async () => {
		await start('starttls');
		smtp.refuse = '550 not you';
		assert.match((await send()).message, /550|MAIL failed/);
		smtp.refuse = null;
		smtp.password = 'another';
		assert.match((await send()).message, /denied|535/i);
		smtp.password = 'a mail password';
		writeFileSync(path('mail.yml'), readFileSync(path('mail.yml'), 'utf8').replace(/ca_file: .*/, `ca_file: ${makeCertificate(dir, 'other').cert}`));
		await hangup(dashboard, 'config.reloaded');
		assert.match((await send()).message, /certificate/i);
	});

	it('a server that never answers QUIT holds up nothing', async () => {
		await start('starttls');
		smtp.hangAt = 'QUIT';
		const sent = send().catch(() => {}); // it will be stopped
		await until('the mail', () => smtp.mails.length === 1 && smtp.commands.includes('QUIT'));
		// the loop goes on meanwhile
		assert.equal((await session.get('/api/v1/session')).status, 200);
		assert.equal(await dashboard.stop(), 0);
		await sent;
	});
});

describe('once', () => {
	let agent, http, pg;

	const conf = (quiet) => write('once.yml', `version: 1
targets: { chat: { type: webhook, url: "${http.url}", secret_file: ${secret('key3', KEY)} } }
rules: [{ on: [run.failed, run.recovered], targets: [chat], quiet: ${quiet} }]
`);
	const started = [];
	const start = async (more = {}) => {
		const dashboard = await Dashboard.start({ agent, databaseUrl: pg.url, env: { NOTIFY_FILE: path('once.yml') }, ...more });
		started.push(dashboard);
		return ready(dashboard);
	};

	before(async () => { pg = await Postgres.start(); });
	after(async () => { await pg?.destroy(); });

	const fresh = async () => {
		agent = await FakeAgent.start();
		http = await HttpReceiver.start();
	};
	const over = async (...dashboards) => {
		for (const dashboard of dashboards) assert.equal(await dashboard.stop(), 0, dashboard.log()); // a sanitizer's finding is another code
	};
	// Also of a test that failed: what it left would keep this process, and be in the way of the next.
	afterEach(async () => {
		for (const dashboard of started.splice(0)) await dashboard.destroy();
		await agent?.destroy();
		await http?.stop();
	});

	it('500 failed runs are a first message and a digest', async () => {
		await fresh();
		conf('1s');
		const dashboard = await start();
		await dashboard.connected({ database: true });
		for (let i = 0; i < 500; i++) happen(agent, ended(`job.${i}`, 'failed'));
		await until('all to be told', () => http.taken.reduce((sum, r) => sum + r.json.count, 0) === 500);
		assert.ok(http.taken.length <= 20, `${http.taken.length} messages`);
		const digest = http.taken.at(-1).json;
		if (digest.count > 1) assert.match(digest.text, /^- Title of job\.\d+ failed on fake\n/);
		assert.ok(http.taken.some((r) => /^\d+ events on fake$/.test(r.json.title) && /and \d+ more\n$/.test(r.json.text)));
		await over(dashboard);
	});

	it('what comes while a target refuses again and again is kept within bounds, and counted', async () => {
		await fresh();
		conf('0s');
		const dashboard = await start();
		await dashboard.connected({ database: true });
		let n = 0, refusals = 3;
		const more = (count) => {
			for (let i = 0; i < count; i++) happen(agent, ended(`more.${n++}`, 'failed'));
		};
		http.answer = async () => {
			if (refusals-- <= 0) return 200;
			more(70); // more than are kept, while the message is out
			await until('them to be known', () => {
				const { marks, waiting } = state(dashboard);
				return waiting.length === 0 && marks.filter(([key]) => key.endsWith('/end')).length === n;
			});
			assert.ok(state(dashboard).lanes[0].items.length <= 128);
			return 503;
		};
		more(1);
		await until('all to be told', () => http.taken.reduce((sum, r) => sum + r.json.count, 0) === n && n === 211);
		await over(dashboard);
	});

	it('a restart tells nothing twice, and what failed while it was away', async () => {
		await fresh();
		conf('0s');
		const dashboard = await start();
		happen(agent, ended('before', 'failed'));
		await until('the first', () => http.taken.length === 1);
		await until('it to be known', () => settled(dashboard, 1));
		await dashboard.kill9();
		agent.add(ended('away', 'failed', 'it was in the night'));
		agent.add(ended('before', 'succeeded'));
		await dashboard.spawn();
		// both may come as one, as soon as the target is free
		const texts = () => http.taken.slice(1).map((r) => `${r.json.title}\n${r.json.text}`).join('\n');
		await until('what was missed', () => /away failed/.test(texts()) && /before works again/.test(texts()));
		assert.ok(!/before failed/.test(texts()), texts());
		assert.match(texts(), /it was in the night|2 events/);
		const n = http.taken.length;
		await until('it to be known', () => settled(dashboard, 3));
		await dashboard.restart();
		await ready(dashboard);
		happen(agent, ended('after', 'failed'));
		await until('the next', () => http.titles().includes('Title of after failed on fake'));
		assert.equal(http.taken.length, n + 1);
		await over(dashboard);
	});

	it('what a target did not take is taken after a restart', async () => {
		await fresh();
		conf('0s');
		http.answer = () => 503;
		const dashboard = await start();
		happen(agent, ended('kept', 'failed'));
		await until('an attempt', () => http.requests.length > 0);
		await dashboard.stop();
		assert.equal(state(dashboard).lanes[0].items.length, 1);
		http.answer = () => 200;
		await dashboard.spawn();
		await until('it', () => http.taken.length === 1);
		assert.equal(http.titles()[0], 'Title of kept failed on fake');
		await until('the state', () => state(dashboard).lanes.length === 0);
		await over(dashboard);
	});

	it('two dashboards on one database tell one message', async () => {
		await fresh();
		conf('0s');
		const two = [await start(), await start()];
		for (const dashboard of two) await dashboard.connected({ database: true });
		for (let i = 0; i < 20; i++) happen(agent, ended(`both.${i}`, 'failed'));
		happen(agent, ended('both.0', 'succeeded'));
		const told = () => http.taken.map((r) => r.json).filter((m) => m.count === 1).length + http.taken.reduce((sum, r) => sum + (r.json.count > 1 ? r.json.count : 0), 0);
		await until('all of them', () => told() >= 21);
		// whoever lost the claim has said nothing: both have marks, and nothing waits
		await until('both to know', () => two.every((d) => settled(d, 21)));
		// who cannot claim within NOTIFY_CLAIM_MS tells by itself: then PostgreSQL was too slow, and this says so
		assert.equal(told(), 21, two.map((d) => d.log().match(/.*notify\.(unclaimed|failed).*/g)?.join('\n') ?? 'all was claimed and taken at once').join('\n'));
		await over(...two);
	});

	it('a rule that goes at SIGHUP while its message is out: what was refused goes out by another rule', async () => {
		await fresh();
		const rules = (text) => write('once.yml', `version: 1
targets: { chat: { type: webhook, url: "${http.url}", secret_file: ${secret('key3', KEY)} } }
rules: [${text}{ on: [run.failed], targets: [chat], quiet: 0s }]
`);
		rules('{ on: [run.recovered], targets: [chat], quiet: 0s }, ');
		const dashboard = await start();
		let refuse;
		http.answer = () => new Promise((resolve) => { refuse = () => resolve(503); });
		happen(agent, ended('moved', 'failed'));
		await until('the message to be out', () => refuse);
		rules('');
		await hangup(dashboard, 'config.reloaded');
		http.answer = () => 200;
		refuse();
		await until('it', () => http.taken.length === 1);
		assert.equal(http.titles()[0], 'Title of moved failed on fake');
		await until('the state', () => state(dashboard).lanes.length === 0);
		await over(dashboard);
	});

	it('it happens again when the one that told it is gone: the other one tells it', async () => {
		await fresh();
		write('once.yml', `version: 1
look_every: 1s
targets: { chat: { type: webhook, url: "${http.url}", secret_file: ${secret('key3', KEY)} } }
rules: [{ on: [status.bad], targets: [chat], quiet: 0s }]
`);
		const be = (level) => {
			const item = { id: 'disk', title: 'The disk', level, message: level === 'ok' ? null : 'full', since_us: 1, checked_us: 0, values: {} };
			agent.status = { host: 'fake', time_us: 1, level, interval_ms: 1000, sections: { disks: [item] } };
		};
		const knows = (dashboard, bad) => state(dashboard).waiting.length === 0 && state(dashboard).marks.some(([key]) => key.startsWith('status/')) === bad;
		be('bad');
		const one = await start();
		await one.connected({ database: true });
		await until('the first', () => http.taken.length === 1 && knows(one, true));
		const two = await start();
		await two.connected({ database: true });
		await until('the second to know', () => knows(two, true));
		be('ok');
		await until('both to know', () => knows(one, false) && knows(two, false));
		assert.equal(http.taken.length, 1);
		await one.destroy();
		be('bad');
		await until('the second to tell it', () => http.taken.length === 2);
		await over(two);
	});

	it('with PostgreSQL away it is told all the same', async () => {
		await fresh();
		conf('0s');
		const dashboard = await start({ databaseUrl: undefined });
		happen(agent, ended('nobase', 'failed'));
		await until('it', () => http.taken.length === 1);
		await over(dashboard);
	});

	it('with PostgreSQL not answering no more is waited for than once', async () => {
		await fresh();
		conf('0s');
		const dashboard = await start();
		await dashboard.connected({ database: true });
		// a batch is 32: each by itself would have waited ten times
		const gaveUp = () => [...dashboard.log().matchAll(/notify\.unclaimed events=(\d+)/g)].map(([, n]) => Number(n));
		const sum = (list) => list.reduce((total, n) => total + n, 0);
		pg.pause();
		try {
			for (let i = 0; i < 300; i++) happen(agent, ended(`stalled.${i}`, 'failed'));
			await until('all to be told', () => sum(http.taken.map((r) => r.json.count)) === 300);
			await until('the log to say so', () => sum(gaveUp()) === 300);
		} finally {
			pg.resume();
		}
		assert.ok(gaveUp().length < 300 / 32, gaveUp().join(' '));
		await over(dashboard);
	});

	it('runs that could not be asked for at once are asked for again', async () => {
		await fresh();
		conf('0s');
		const dashboard = await start();
		await dashboard.kill9();
		agent.add(ended('missed', 'failed'));
		agent.refuseLists = 2;
		await dashboard.spawn();
		await until('it', () => http.taken.length === 1);
		assert.equal(http.titles()[0], 'Title of missed failed on fake');
		assert.match(dashboard.log(), /notify\.scan_failed host=fake page=0 attempt=1 reason=unavailable/);
		await over(dashboard);
	});

	it('a level is told when it changes, and over a restart none is missed', async () => {
		await fresh();
		write('once.yml', `version: 1
look_every: 1h
targets: { chat: { type: webhook, url: "${http.url}", secret_file: ${secret('key3', KEY)} } }
rules: [{ on: [status.bad, status.ok], targets: [chat], quiet: 0s }]
`);
		let n = 0;
		const document = (level) => ({
			host: 'fake', time_us: ++n, level, interval_ms: 1000,
			sections: { disks: [{ id: 'restarts', title: 'The disk', level, message: level === 'ok' ? null : 'full', since_us: 1, checked_us: 0, values: {} }] },
		});
		const told = async (what, bad) => {
			const { length } = http.taken;
			await until(what, () => http.taken.length > length);
			assert.equal(http.taken.length, length + 1);
			await until('it to be known', () => {
				const { marks, waiting, lanes } = state(dashboard);
				return waiting.length === 0 && lanes.length === 0 && marks.some(([key]) => key === 'status/fake/disks/restarts') === bad;
			});
			return http.titles().at(-1);
		};
		agent.status = document('ok');
		const dashboard = await start();
		await until('the watch', () => [...agent.sockets].some((socket) => socket.watchers.size > 0));
		agent.tellStatus(document('bad'));
		assert.equal(await told('the alarm', true), 'The disk is bad on fake');
		await dashboard.kill9();
		agent.status = document('ok');
		await dashboard.spawn();
		assert.equal(await told('the relief', false), 'The disk is well again on fake');
		await dashboard.kill9();
		agent.status = document('bad');
		await dashboard.spawn();
		assert.equal(await told('the second alarm', true), 'The disk is bad on fake');
		await dashboard.restart();
		agent.tellStatus(document('ok'));
		await over(dashboard);
	});

	it('what all targets together have not taken is bounded, and counted', async () => {
		await fresh();
		const limit = Number(/LIMIT_NOTIFY_HELD (\d+)/.exec(readFileSync(new URL('../../../core/app/limits.h', import.meta.url), 'utf8'))[1]);
		const lanes = 24, each = 64; // as many as a lane keeps
		assert.ok(lanes * each > limit);
		write('once.yml', `version: 1
targets: { chat: { type: webhook, url: "${http.url}", secret_file: ${secret('key3', KEY)} } }
rules:
${Array.from({ length: lanes }, (_, i) => `  - { on: [run.failed], runs: ["r${i}.*"], targets: [chat], quiet: 0s }`).join('\n')}
`);
		http.answer = () => 503;
		const dashboard = await start();
		await dashboard.connected({ database: true });
		const sum = (list, of) => list.reduce((total, lane) => total + of(lane), 0);
		for (let k = 1; k <= each; k++) {
			for (let i = 0; i < lanes; i++) happen(agent, ended(`r${i}.${k}`, 'failed'));
			// no more at a time than may wait for a claim
			if (k % 16 !== 0) continue;
			await until('them to be known', () => {
				const { waiting, lanes: all } = state(dashboard);
				return waiting.length === 0 && sum(all, (lane) => lane.items.length + lane.more) === k * lanes;
			});
		}
		const now = state(dashboard);
		assert.equal(now.lanes.length, lanes);
		assert.ok(sum(now.lanes, (lane) => lane.items.length) <= limit);
		for (const lane of now.lanes) assert.ok(lane.items.length >= Math.floor(limit / lanes) - 1, 'the longest gives, so all keep about the same');
		// A restart does not wait for the next attempt. What it takes in the last moment would be told twice.
		await dashboard.stop();
		http.answer = () => 200;
		await dashboard.spawn();
		await until('all to be told', () => http.taken.reduce((total, r) => total + r.json.count, 0) === lanes * each);
		await over(dashboard);
	});

	it('a state that is damaged is put aside', async () => {
		await fresh();
		conf('0s');
		const dashboard = await start();
		await dashboard.stop();
		writeFileSync(join(dashboard.env.STATE_DIR, 'notify.json'), '{"version":1,');
		await dashboard.spawn();
		assert.match(dashboard.log(), /notify\.state_damaged/);
		assert.equal(readFileSync(join(dashboard.env.STATE_DIR, 'notify.json.bad'), 'utf8'), '{"version":1,');
		await over(dashboard);
	});
});

describe('NOTIFY_FILE', () => {
	const check = (text) => new Promise((resolve) => {
		const env = { DATABASE_URL: 'postgresql://ops@localhost/ops', AUTH_SECRET: '7d5c1f2b9a3e4d6c8b0a1f2e3d4c5b6a', OPS_AGENT_SECRET: '7d5c1f2b9a3e4d6c8b0a1f2e3d4c5b6a', AUTH_PASSWORD_HASH: '$y$j9T$uSSFhXVQ9wK9Xxjk0yqPa.$8dMPnZP2PRrZd6vXFLAdiYb2Q.jDcOCJfzfv0tOPlt4', NOTIFY_FILE: write('bad.yml', text) };
		execFile(DASHBOARD, ['check'], { env }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stderr }));
	});

	it('that is wrong ends the start with 78, and says where and what', async () => {
		const { code, stderr } = await check('version: 1\ntargets:\n  phone: { type: ntfy, url: "https://ntfy.sh", topik: ops }\n');
		assert.equal(code, 78);
		assert.match(stderr, /bad\.yml:3:\d+: the key 'topik' is not known here \(did you mean topic\?\)/);
	});

	it('that names a secret for everybody is refused', async () => {
		const { code, stderr } = await check(`version: 1\ntargets:\n  chat: { type: webhook, url: "https://chat.example.org", secret_file: ${secret('open', KEY, 0o644)} }\n`);
		assert.equal(code, 78);
		assert.match(stderr, /may be used by others \(mode 644\)/);
		assert.ok(!stderr.includes(KEY));
	});

	it('wrong at SIGHUP: the old one stays, and it says so', async () => {
		const http = await HttpReceiver.start();
		const text = `version: 1\ntargets: { good: { type: ntfy, url: "${http.url}", topic: ops } }\n`;
		const dashboard = await Dashboard.start({ env: { NOTIFY_FILE: write('hup.yml', text) } });
		const session = await dashboard.login();
		write('hup.yml', 'version: 2\n');
		await hangup(dashboard, 'config.reload_failed');
		assert.match(dashboard.log(), /hup\.yml:1:10: must be 1/);
		assert.equal((await session.post('/api/v1/notify/test', {})).json.results[0].ok, true);
		write('hup.yml', text.replace('good', 'better'));
		await hangup(dashboard, 'config.reloaded');
		assert.deepEqual((await session.get('/api/v1/notify')).json.targets.map((t) => t.name), ['better']);
		await dashboard.destroy();
		await http.stop();
	});
});

describe('a real agent', () => {
	it('has its failed run told, with its last line', async () => {
		const http = await HttpReceiver.start();
		const agent = await Agent.start({ commands: 'version: 1\ncommands:\n  bad: { title: Bad thing, exec: [/bin/ls, /nothing-here] }\n' });
		write('real.yml', `version: 1\ntargets: { chat: { type: webhook, url: "${http.url}", secret_file: ${secret('key4', KEY)} } }\nrules: [{ on: run.failed, targets: chat }]\n`);
		const dashboard = await ready(await Dashboard.start({ agent, env: { NOTIFY_FILE: path('real.yml') } }));
		const session = await dashboard.login();
		const run = await session.run('bad');
		await until('it', () => http.taken.length === 1);
		assert.equal(http.taken[0].json.run, run.id);
		assert.match(http.taken[0].json.text, /bad: failed, exit code 2, after .*\nStarted by user:admin\nLast line: .*nothing-here/);
		await dashboard.destroy();
		await agent.destroy();
		await http.stop();
	});
});
