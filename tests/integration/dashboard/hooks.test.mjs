// Flows started from outside: POST /hooks/{name}, signed as GitHub, Forgejo and Gitea sign.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Agent, until } from '../lib/agent.mjs';
import { Dashboard, request } from '../lib/dashboard.mjs';
import { Postgres } from '../lib/postgres.mjs';

// The example of GitHub's documentation ("Validating webhook deliveries"), so that the rule is not our own.
const EXAMPLE = { secret: "It's a Secret to Everybody", body: 'Hello, World!', signature: 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' };
const SECRET = EXAMPLE.secret;
const COMMANDS = `version: 1
commands:
  say:
    title: Say
    exec: [/bin/echo, "--ref=\${inputs.ref}", "--n=\${inputs.n}"]
    inputs:
      ref: { type: string, required: true }
      n: { type: int, min: 0, max: 10, default: 1 }
`;
const FLOW = `version: 1
id: deploy
title: Deploy
inputs:
  ref: { type: string, required: true }
  n: { type: int, min: 0, max: 10, default: 1 }
steps:
  - { id: say, uses: say, with: { ref: "\${inputs.ref}", n: "\${inputs.n}" } }
`;
const PUSH = { ref: 'refs/heads/main', after: '6113728f27ae82c7b1a177c8d03f9e96e0adf246', deleted: false, repository: { full_name: 'a/b', 'odd/name~x': 7, id: 186853002 } };

let dir, pg, agent, dashboard, session;

before(async () => {
	dir = mkdtempSync(join(tmpdir(), 'ops-hooks-'));
	writeFileSync(join(dir, 'secret'), `${SECRET}\n`, { mode: 0o600 });
	writeFileSync(join(dir, 'notify.yml'), `version: 1
hooks:
  deploy:
    secret_file: ${dir}/secret
    flow: deploy
    events: [push]
    refs: [refs/heads/main, "refs/tags/*"]
    inputs: { ref: { pointer: /after } }
    rate: { limit: 1000, per: 1m }
  fixed: { secret_file: ${dir}/secret, flow: deploy, inputs: { ref: fixed, n: { pointer: /repository/odd~1name~0x } } }
  picky: { secret_file: ${dir}/secret, flow: deploy, inputs: { ref: { pointer: /repository }, n: { pointer: /n, default: "2" } } }
  slow: { secret_file: ${dir}/secret, flow: deploy, inputs: { ref: slow }, rate: { limit: 2, per: 1h } }
  gone: { secret_file: ${dir}/secret, flow: not-here, inputs: { ref: x } }
`);
	pg = await Postgres.start();
	agent = await Agent.start({ commands: COMMANDS, flows: { deploy: FLOW } });
	dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url, env: { NOTIFY_FILE: join(dir, 'notify.yml') } })).connected({ database: true });
	session = await dashboard.login();
});
after(async () => {
	await dashboard?.destroy();
	await agent?.destroy();
	await pg?.destroy();
	rmSync(dir, { recursive: true, force: true });
});

const mac = (body, secret = SECRET) => createHmac('sha256', secret).update(body).digest('hex');
const call = (name, body, headers = {}) => request(dashboard, 'POST', `/api/v1/hooks/${name}`, {
	headers: { 'content-type': 'application/json', ...Object.fromEntries(Object.entries(headers).filter(([, v]) => v !== null)) }, body,
});
const github = (name, document, more = {}) => {
	const body = typeof document === 'string' ? document : JSON.stringify(document);
	return call(name, body, { 'x-hub-signature-256': `sha256=${mac(body)}`, 'x-github-event': 'push', 'x-github-delivery': randomUUID(), ...more });
};
const argvOf = async (run) => (await session.get(`/api/v1/runs/${run}/log?format=raw`)).text.trim();

test('the signature rule is GitHub\'s: their example', () => {
	assert.equal(`sha256=${mac(EXAMPLE.body)}`, EXAMPLE.signature);
});

test('a push as GitHub sends it starts the flow, with what the pointer names', async () => {
	const answer = await github('deploy', PUSH);
	assert.equal(answer.status, 202, answer.text);
	const run = await session.finished(answer.json.run);
	assert.deepEqual([run.status, run.name, run.kind, run.actor, run.trigger], ['succeeded', 'deploy', 'flow', 'hook:deploy', 'hook:deploy']);
	assert.equal(await argvOf(run.id), `--ref=${PUSH.after} --n=1`);
});

test('as Forgejo and Gitea send it', async () => {
	for (const [signature, event, id] of [['x-forgejo-signature', 'x-forgejo-event', 'x-forgejo-delivery'], ['x-gitea-signature', 'x-gitea-event', 'x-gitea-delivery']]) {
		const body = JSON.stringify({ ...PUSH, pusher: signature });
		const answer = await call('deploy', body, { [signature]: mac(body), [event]: 'push', [id]: randomUUID() });
		assert.equal(answer.status, 202, answer.text);
		assert.equal((await session.finished(answer.json.run)).status, 'succeeded');
	}
	// Forgejo sends GitHub's header beside its own: each has to be right.
	const body = JSON.stringify(PUSH);
	const both = { 'x-forgejo-signature': mac(body), 'x-forgejo-event': 'push' };
	assert.equal((await call('deploy', body, { ...both, 'x-hub-signature-256': `sha256=${mac(body)}` })).status, 202);
	assert.equal((await call('deploy', body, { ...both, 'x-hub-signature-256': `sha256=${mac('other')}` })).status, 404);
});

test('the same delivery again is answered by the first run, after restarts too; another one is another', async () => {
	const id = randomUUID();
	const first = await github('deploy', PUSH, { 'x-github-delivery': id });
	const again = await github('deploy', PUSH, { 'x-github-delivery': id });
	assert.deepEqual([again.status, again.json.run], [202, first.json.run]);
	await dashboard.restart();
	await dashboard.connected();
	await agent.restart();
	await until('the agent to be back', async () => {
		const later = await github('deploy', PUSH, { 'x-github-delivery': id });
		return later.status === 202 && (assert.equal(later.json.run, first.json.run), true);
	});
	session = await dashboard.login();
	assert.notEqual((await github('deploy', PUSH)).json.run, first.json.run);
	// without an id the body itself is what counts
	const body = JSON.stringify({ ...PUSH, n: Math.random() });
	const plain = () => call('deploy', body, { 'x-hub-signature-256': `sha256=${mac(body)}`, 'x-github-event': 'push' });
	assert.equal((await plain()).json.run, (await plain()).json.run);
});

test('a wrong signature and a hook that there is not are answered alike, and start nothing', async () => {
	const body = JSON.stringify(PUSH);
	const before = (await session.get('/api/v1/runs')).json.runs.length;
	const wrong = [
		{}, { 'x-hub-signature-256': '' }, { 'x-hub-signature-256': `sha256=${mac(body, 'another secret of theirs')}` }, { 'x-hub-signature-256': mac(body) },
		{ 'x-hub-signature-256': `sha1=${mac(body)}` }, { 'x-hub-signature-256': `sha256=${mac(body).slice(0, 63)}` }, { 'x-hub-signature-256': `sha256=${mac(body)}0` },
		{ 'x-hub-signature-256': `sha256=${mac(`${body} `)}` }, { 'x-forgejo-signature': `sha256=${mac(body)}` },
	];
	for (const headers of wrong) {
		const answer = await call('deploy', body, { 'x-github-event': 'push', ...headers });
		const unknown = await call('nobody', body, { 'x-github-event': 'push', ...headers });
		assert.deepEqual([answer.status, unknown.status], [404, 404], JSON.stringify(headers));
		assert.deepEqual({ ...answer.json, request_id: '' }, { ...unknown.json, request_id: '' });
	}
	assert.equal((await call('nobody', body, { 'x-hub-signature-256': `sha256=${mac(body)}` })).status, 404);
	assert.equal((await session.get('/api/v1/runs')).json.runs.length, before);
	assert.match(dashboard.log(), /hook\.refused.*name=nobody.*there is no such hook/);
	assert.match(dashboard.log(), /hook\.refused.*name=deploy.*signature/);
	assert.ok(!dashboard.log().includes(SECRET));
});

test('cookies, tokens and Origin do not count, for or against', async () => {
	assert.equal((await github('deploy', PUSH, { origin: 'https://evil.example', authorization: 'Bearer opsd_nonsense', cookie: 'ops_session=x' })).status, 202);
	const answer = await session.post('/api/v1/hooks/deploy', PUSH);
	assert.equal(answer.status, 404);
});

test('another event, another branch and a deleted one are skipped, and say why', async () => {
	for (const [document, headers, why] of [
		[PUSH, { 'x-github-event': 'ping' }, /event ping/], [PUSH, { 'x-github-event': null }, /no event/],
		[{ ...PUSH, ref: 'refs/heads/other' }, {}, /refs\/heads\/other/], [{ zen: 'no ref' }, {}, /no ref/], [{ ...PUSH, deleted: true }, {}, /deleted/],
	]) {
		const answer = await github('deploy', document, headers);
		assert.equal(answer.status, 202);
		assert.match(answer.json.skipped, why);
		assert.equal(answer.json.run, undefined);
	}
	assert.ok((await github('deploy', { ...PUSH, ref: 'refs/tags/v1' })).json.run);
	// without a filter everything counts but a ping
	assert.match((await github('fixed', PUSH, { 'x-github-event': 'ping' })).json.skipped, /ping/);
});

test('fixed inputs, odd pointers, numbers', async () => {
	const answer = await github('fixed', PUSH, { 'x-github-event': 'whatever' });
	assert.equal(answer.status, 202, answer.text);
	await session.finished(answer.json.run);
	assert.equal(await argvOf(answer.json.run), '--ref=fixed --n=7');
});

test('what is not there, or no scalar, or not the flow\'s type: 422 names the input', async () => {
	for (const [name, document, input, why] of [
		['deploy', { ref: 'refs/heads/main' }, 'ref', /nothing at \/after/], ['deploy', { ref: 'refs/heads/main', after: null }, 'ref', /nothing/],
		['picky', { repository: { x: 1 } }, 'ref', /no text, integer or boolean/], ['picky', { repository: 1.5 }, 'ref', /no text/],
		['picky', { repository: 'x', n: 'abc' }, 'n', /./], ['picky', { repository: 'x', n: 11 }, 'n', /./],
	]) {
		const answer = await github(name, document);
		assert.equal(answer.status, 422, answer.text);
		assert.equal(answer.json.errors[0].name, input);
		assert.match(answer.json.errors[0].message, why);
	}
	assert.equal((await github('picky', { repository: 'x' })).status, 202);
});

test('bodies that are none', async () => {
	for (const body of ['', '[]', '"x"', '{', '{"a":1,"a":2}', '[[[['.repeat(5000), '\u0000', '{"ref":"\\ud800"}'])
		assert.equal((await github('deploy', body)).status, 400, body.slice(0, 20));
	assert.equal((await github('deploy', JSON.stringify({ x: 'y'.repeat(300 * 1024) }))).status, 413);
	assert.equal((await github('deploy', PUSH, { 'content-type': 'application/x-www-form-urlencoded' })).status, 415);
	assert.equal((await github('deploy', PUSH, { 'x-github-delivery': 'a b' })).status, 400);
	assert.equal((await github('deploy', PUSH, { 'x-github-delivery': 'a'.repeat(101) })).status, 400);
});

test('too many calls: 429 with Retry-After; strangers do not use it up', async () => {
	for (let i = 0; i < 5; i++) await call('slow', '{}', { 'x-hub-signature-256': 'sha256=00' });
	assert.equal((await github('slow', { a: 1 })).status, 202);
	assert.equal((await github('slow', { a: 2 })).status, 202);
	const third = await github('slow', { a: 3 });
	assert.equal(third.status, 429);
	assert.ok(Number(third.headers['retry-after']) > 0);
});

test('a flow that the catalogue does not have: 409', async () => {
	const answer = await github('gone', PUSH);
	assert.deepEqual([answer.status, answer.json.code], [409, 'no_such_flow']);
});

test('the audit says which hook started what', async () => {
	const rows = () => pg.psql(`select actor || ' ' || action || ' ' || object || ' ' || outcome from ops.audit where actor like 'hook:%'`);
	await until('the entries', async () => (await rows()).includes('hook:deploy hook.call deploy 202'));
	assert.match(await rows(), /hook:deploy hook\.skipped deploy 202/);
	assert.match(await pg.psql(`select action || ' ' || outcome from ops.audit where action = 'hook.refused' limit 1`), /hook\.refused 404/);
});
