// A stand-in for the dashboard: serves the built page and speaks its API and WebSocket, with scripted
// runs. For developing the page and for its tests; the real daemon is tested in tests/e2e.
//
//   node tests/ui/fixture-server.mjs [DIST] [PORT]     user admin, password secret
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as path from 'node:path';
import * as zlib from 'node:zlib';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { audit, begin, CATALOG, chatter, endRun, endStep, liveBackup, makeRun, makeRuns, schedule, startStep, sync } from './fixture/data.mjs';
import { STDOUT } from './fixture/journal.mjs';
import { Journal } from './fixture/journal.mjs';
import { makeHistories, makeStatus } from './fixture/status.mjs';
import { accept, chunkFrame, endFrame } from './fixture/ws.mjs';

const MIME = { '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.html': 'text/html; charset=utf-8', '.svg': 'image/svg+xml', '.png': 'image/png', '.txt': 'text/plain; charset=utf-8', '.woff2': 'font/woff2', '.webmanifest': 'application/manifest+json' };
const INITIAL_CREDIT = 1 << 20;
const CHUNK = 64 * 1024;
/** A cancelled command takes so long to end: long enough to be seen ending on a busy machine. */
const CANCEL_MS = 2000;
/** Files of the page as they are sent, by name: the dashboard packs them as well. */
const packed = new Map();
const BOOT = '019ab4c5-0000-7000-8000-0000000b0071';

export class Fixture {
  constructor(dist) {
    this.dist = dist;
    this.session = false;
    this.reauthed = false;
    this.runs = new Map();
    this.sockets = new Set();
    this.requests = [];
    this.agent = { state: 'connected', since_us: 0, reason: '', host: 'thoth.example.org', version: '0.1.0', config_digest: CATALOG.config_digest };
    this.archiver = { state: 'idle', since_us: 0, catching_up: false, behind_runs: 0, behind_bytes: 0 };
    this.database = { state: 'ready', since_us: 0, reason: '', read_only: false };
    this.assets = /name="ops-build" content="([^"]*)"/.exec(fs.readFileSync(path.join(dist, 'index.html'), 'utf8'))?.[1] ?? '';
    this.totp = false;
    this.status = makeStatus();
    /** Of a dashboard of several machines (fixture/hosts.mjs); null: of one. */
    this.hosts = null;
    this.catalog = CATALOG;
    /** Of the other machines, by host. */
    this.statuses = new Map();
    /** What containers and units write: by topic. */
    this.tails = new Map();
    for (const topic of ['tail/docker/web-app-1', 'tail/unit/caddy.service']) {
      const journal = new Journal();
      for (let i = 0; i < 40; i++) journal.output(0, i % 9 === 8 ? 2 : 1, chatter(i));
      this.tails.set(topic, journal);
    }
    this.canSearch = true;
    /** Cancelled runs end when endCancelled() says so, not by themselves. */
    this.stubborn = false;
    /** Of an agent that does not tell that a run is being cancelled. */
    this.silent = false;
    this.without = new Set();
    /** First parts of routes whose every answer is that it cannot be asked now. */
    this.failing = new Set();
    /** How many milliseconds late files and answers (by path) and first documents of topics (by topic) come. */
    this.late = () => 0;
    const now = Date.now() * 1000;
    const agent = (system, rest) => `Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) ${rest}`;
    this.sessionList = [
      { id: 's1', current: true, created_us: now, seen_us: now, expires_us: now + 1e12, address: '10.0.0.12', user_agent: agent('X11; Linux x86_64', 'Chrome/156.0.0.0 Safari/537.36') },
      { id: 's2', current: false, created_us: now - 9e9, seen_us: now - 72e8, expires_us: now + 1e12, address: '10.0.0.31', user_agent: agent('iPhone; CPU iPhone OS 19_0 like Mac OS X', 'Version/19.0 Mobile/15E148 Safari/604.1') },
      { id: 's3', current: false, created_us: now - 9e9, seen_us: now - 9e9, expires_us: now + 1e12, address: '10.0.0.40', user_agent: 'curl/8.9' },
    ];
    this.notify = {
      configured: true,
      targets: [
        { name: 'phone', kind: 'ntfy', where: 'ntfy.example.org', waiting: 0, last: { time_us: now - 36e8, ok: true, test: false, message: 'answered 200' } },
        { name: 'chat', kind: 'webhook', where: 'chat.example.org', waiting: 3, last: { time_us: now - 9e7, ok: false, test: false, message: 'answered 503' } },
        { name: 'mail', kind: 'mail', where: 'mail.example.org:465', waiting: 0, last: null },
      ],
      rules: [
        { on: ['run.failed', 'run.recovered'], hosts: [], runs: ['backup', 'pg.*'], sections: [], items: [], targets: ['phone', 'mail'], quiet_us: 300e6 },
        { on: ['status.bad', 'status.ok'], hosts: ['db*'], runs: [], sections: ['certificates', 'backups'], items: [], targets: ['phone'], quiet_us: 60e6 },
      ],
      hooks: [{ name: 'deploy', flow: 'deploy', events: ['push'], refs: ['refs/heads/main'] }],
    };
    this.tokenList = [{ id: 't1', name: 'deploy hook', scopes: ['run:deploy'], created_us: now - 9e10, expires_us: now + 9e12, last_used_us: now - 36e8 }];
    this.keys = new Map();
    this.server = http.createServer((req, res) => this.#handle(req, res));
    this.server.on('upgrade', (req, tcp) => this.#upgrade(req, tcp));
    for (const r of makeRuns()) this.add(r);
  }

  listen(port = 0) {
    return new Promise((resolve) => this.server.listen(port, '127.0.0.1', () => resolve((this.origin = `http://127.0.0.1:${this.server.address().port}`))));
  }

  async close() {
    for (const r of this.runs.values()) for (const t of r.timers) clearInterval(t);
    for (const s of this.sockets) s.socket.tcp.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  add(run) {
    this.runs.set(run.doc.id, run);
    run.onChange = () => this.tell(run);
    this.tell(run);
    return run;
  }

  find(ref) {
    return this.runs.get(ref) ?? [...this.runs.values()].find((r) => String(r.doc.number) === ref);
  }

  /** The machine that a question is about; the primary one when it names none. */
  #host(name) {
    return name || this.agent.host;
  }

  byName(name) {
    return [...this.runs.values()].filter((r) => r.doc.name === name).pop();
  }

  system() {
    return { version: '0.1.0', boot_id: BOOT, assets: this.assets, started_us: 1, host: 'thoth.example.org', agent: this.agent, database: this.database, archiver: this.archiver, ...(this.hosts ? { agents: this.hosts } : {}) };
  }

  /** How the agent of one of several machines is. */
  setHost(host, more) {
    this.hosts = this.hosts.map((h) => (h.host === host ? { ...h, ...more } : h));
    this.tellSystem();
  }

  tellSystem() {
    this.#publish('system', 'put', this.system());
  }

  /** What was measured of the machine itself, a moment ago. */
  tellHost() {
    const us = Date.now() * 1000;
    for (const item of this.status.sections.host) {
      item.checked_us = us;
      for (const key of ['used_pct', 'rx_bps', 'tx_bps']) if (typeof item.values[key] === 'number') item.values[key] *= 0.97 + Math.random() * 0.06;
    }
    this.#publish('status', 'put', { time_us: us, level: this.status.level, sections: { host: this.status.sections.host } });
  }

  /** Cuts every WebSocket, as a killed daemon does. */
  cut() {
    for (const s of this.sockets) s.socket.tcp.destroy();
  }

  /** Ends the session, as signing out elsewhere does. */
  expire() {
    this.session = false;
    for (const s of this.sockets) s.socket.close(4401);
  }

  #summary(doc) {
    const { steps: _steps, ...rest } = doc;
    return rest;
  }

  #list() {
    return [...this.runs.values()].map((r) => r.doc).sort((a, b) => b.created_us - a.created_us || b.number - a.number);
  }

  tell(run) {
    this.#publish('runs', 'put', this.#summary(run.doc));
    this.#publish(`run/${run.doc.id}`, 'put', run.doc);
  }

  #publish(topic, event, data) {
    for (const s of this.sockets) for (const [id, sub] of s.subs) if (sub.topic === topic) s.socket.text({ id, event, data });
  }

  // ---- HTTP

  #send(res, status, body, headers = {}) {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body === undefined ? '' : JSON.stringify(body));
    res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', ...headers });
    res.end(bytes);
  }

  #problem(res, status, code, detail, more = {}) {
    this.#send(res, status, { type: 'about:blank', title: http.STATUS_CODES[status], status, code, detail, request_id: 'req-0001', ...more }, { 'Content-Type': 'application/problem+json' });
  }

  async #handle(req, res) {
    const url = new URL(req.url, this.origin);
    const late = this.late(url.pathname);
    if (late > 0) await sleep(late, undefined, { ref: false });
    if (url.pathname.startsWith('/api/v1/')) {
      let text = '';
      for await (const d of req) text += d;
      const body = text === '' ? {} : JSON.parse(text);
      this.requests.push({ method: req.method, path: url.pathname + url.search, body });
      return this.#api(req, res, url, body);
    }
    let file = path.join(this.dist, path.normalize(url.pathname));
    if (url.pathname === '/' || (!path.extname(file) && !url.pathname.startsWith('/assets/'))) file = path.join(this.dist, 'index.html');
    if (!fs.existsSync(file)) return this.#send(res, 404, Buffer.from('not found'), { 'Content-Type': 'text/plain' });
    const type = MIME[path.extname(file)];
    const headers = { 'Content-Type': type, 'Referrer-Policy': 'no-referrer', 'Content-Security-Policy': "default-src 'none'; connect-src 'self'; frame-ancestors 'none'" };
    if (type.startsWith('text/html')) {
      headers['Content-Security-Policy'] =
        `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self' ws://${req.headers.host}; worker-src 'self'; manifest-src 'self'; ` +
        `base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types ops-worker`;
    }
    if (!/gzip/.test(req.headers['accept-encoding'] ?? '') || /woff2|png/.test(type)) return this.#send(res, 200, fs.readFileSync(file), headers);
    if (!packed.has(file)) packed.set(file, zlib.gzipSync(fs.readFileSync(file), { level: 9 }));
    return this.#send(res, 200, packed.get(file), { ...headers, 'Content-Encoding': 'gzip' });
  }

  #api(req, res, url, body) {
    const route = `${req.method} ${url.pathname.slice('/api/v1'.length)}`;
    const session = { user: 'admin', created_us: 1, expires_us: 9e15, reauth_until_us: 0, totp: this.totp, version: '0.1.0', boot_id: BOOT };
    if (route === 'POST /login') {
      if (body.user !== 'admin' || body.password !== 'secret' || (this.totp && body.code !== '123456')) return this.#problem(res, 401, 'login_failed', 'User or password is wrong.');
      this.session = true;
      return this.#send(res, 200, session);
    }
    if (!this.session) return this.#problem(res, 401, 'unauthenticated', 'Sign in first.', { totp: this.totp });
    if (route === 'GET /session') return this.#send(res, 200, session);
    if (route === 'POST /logout') {
      this.expire();
      return this.#send(res, 204);
    }
    if (route === 'POST /session/reauth') {
      if (body.password !== 'secret') return this.#problem(res, 401, 'login_failed', 'User or password is wrong.');
      this.reauthed = true;
      return this.#send(res, 200, session);
    }
    if (this.failing.has(url.pathname.split('/')[3])) return this.#problem(res, 503, 'unavailable', 'The database cannot be asked just now.');
    const page = this.#pages(res, route, url, body);
    if (page) return;
    if (route === 'GET /status/histories') return this.histories === false ? this.#problem(res, 503, 'history_unavailable', 'The database cannot be asked just now.') : this.#send(res, 200, makeHistories(url.searchParams));
    if (route === 'GET /catalog') return this.#send(res, 200, this.catalog);
    if (route === 'GET /runs') return this.#runs(res, url.searchParams);
    if (route === 'POST /runs') return this.#start(req, res, body);
    const m = /^(GET|POST) \/runs\/([^/]+)(\/.*)?$/.exec(route);
    const alike = m && this.hosts ? [...this.runs.values()].filter((r) => String(r.doc.number) === m[2]) : [];
    const named = url.searchParams.get('host');
    if (alike.length > 1 && !named) return this.#problem(res, 409, 'ambiguous_number', 'Several hosts have a run of this number: give host.', { choices: alike.map((r) => r.doc.host) });
    const run = alike.length > 0 && named ? alike.find((r) => r.doc.host === named) : m && this.find(m[2]);
    if (!run) return this.#problem(res, 404, 'not_found', 'There is no such run.');
    if (m[1] === 'GET' && !m[3]) return this.#send(res, 200, { run: run.doc });
    if (m[3] === '/approve') return this.#approve(res, run, body);
    if (m[3] === '/cancel') return this.#cancel(res, run, body);
    if (m[3] === '/log/locate') return this.#send(res, 200, run.journal.locateLine(Number(url.searchParams.get('line'))));
    if (m[3] === '/log/search' && this.canSearch) return this.#search(res, run, url.searchParams);
    if (m[3] === '/log') return this.#log(res, run, url.searchParams);
    return this.#problem(res, 404, 'not_found', 'No such route.');
  }

  /** Schedule, audit, sessions, tokens, TOTP. `without`: routes that this dashboard does not have. */
  #pages(res, route, url, body) {
    const at = route.split(' ')[1].split('/')[1];
    if (!['schedule', 'maintenance', 'audit', 'sessions', 'tokens', 'totp', 'notify'].includes(at)) return false;
    const reply = () => {
      if (this.without.has(at)) return this.#problem(res, 501, 'unsupported', 'This is not part of this build.');
      if (route === 'GET /schedule') {
        this.schedule ??= schedule([...this.runs.values()]);
        if (this.hosts && !this.schedule.hosts) {
          const flows = this.schedule.flows.map((f) => ({ ...f, host: this.agent.host }));
          this.schedule.flows = [...flows, { ...flows[0], host: 'web1', last_run: null }];
          this.schedule.hosts = this.hosts.map((h) => ({ host: h.host, maintenance: false, maintenance_reason: null, error: h.state === 'away' ? 'connection refused' : null, as_of_us: h.state === 'away' ? (Date.now() - 300e3) * 1000 : null }));
        }
        return this.#send(res, 200, this.schedule);
      }
      if (route === 'POST /schedule/pause') {
        const flow = this.schedule.flows.find((f) => f.flow === body.flow && (!this.hosts || f.host === this.#host(body.host)));
        Object.assign(flow, { paused: body.pause, paused_by: body.pause ? 'user:admin' : null, reason: body.reason ?? null });
        return this.#send(res, 200, this.schedule);
      }
      if (route === 'POST /maintenance') {
        const one = this.schedule.hosts?.find((h) => h.host === this.#host(body.host)) ?? this.schedule;
        Object.assign(one, { maintenance: body.on, maintenance_reason: body.reason ?? null });
        return this.#send(res, 200, this.schedule);
      }
      if (route === 'GET /audit') {
        const q = url.searchParams;
        const whose = (e) => (this.hosts && e.source === 'agent' ? { ...e, host: e.id % 2 ? 'web1' : this.agent.host } : e);
        const entries = audit([...this.runs.values()]).map(whose).filter((e) => !q.get('host') || e.host === q.get('host')).filter((e) => e.event.startsWith(q.get('event') ?? '') && (e.actor ?? '').includes(q.get('actor') ?? ''));
        const older = q.get('before') === '7';
        const list = older ? entries.filter((e) => e.id < 7) : entries.filter((e) => e.id >= 7);
        return this.#send(res, 200, { entries: list, next: !older && entries.length > list.length ? '7' : null, chain: 'verified' });
      }
      if (route === 'GET /sessions') return this.#send(res, 200, { sessions: this.sessionList });
      if (route.startsWith('DELETE /sessions/')) {
        this.sessionList = this.sessionList.filter((s) => s.id !== url.pathname.split('/').pop());
        return this.#send(res, 204);
      }
      if (route === 'GET /tokens') return this.#send(res, 200, { tokens: this.tokenList });
      if (route === 'POST /tokens') {
        if (!this.reauthed) return this.#problem(res, 403, 'reauth_required', 'Give the password again first.');
        const token = { id: `t${this.tokenList.length + 1}`, created_us: Date.now() * 1000, last_used_us: null, expires_us: null, ...body };
        this.tokenList.push(token);
        return this.#send(res, 201, { token, secret: 'opsd_0123456789abcdef' });
      }
      if (route.startsWith('DELETE /tokens/')) {
        this.tokenList = this.tokenList.filter((k) => k.id !== url.pathname.split('/').pop());
        return this.#send(res, 204);
      }
      if (route === 'GET /notify') return this.#send(res, 200, this.notify);
      if (route === 'POST /notify/test') {
        const target = this.notify.targets.find((one) => one.name === body.target);
        const ok = target.name !== 'chat';
        const message = ok ? 'answered 200' : "Failed to connect to chat.example.org port 443";
        target.last = { time_us: Date.now() * 1000, ok, test: true, message };
        return this.#send(res, 200, { results: [{ target: target.name, ok, message }] });
      }
      if (route === 'POST /totp/verify') return this.#send(res, 200, body.code === '123456' ? { ok: true, line: `AUTH_TOTP_SECRET=${body.secret}` } : { ok: false, line: '' });
      return this.#problem(res, 404, 'not_found', 'No such route.');
    };
    reply();
    return true;
  }

  #approve(res, run, body) {
    const i = run.doc.steps.findIndex((s) => s.id === body.step);
    const step = run.doc.steps[i];
    if (step?.status !== 'waiting') return this.#problem(res, 409, 'answered', 'It was approved by admin already.');
    const us = Date.now() * 1000;
    run.doc.status = 'running';
    run.journal.event('step.approved', { step_id: step.id, approve: body.approve, actor: 'user:admin', comment: body.comment ?? null }, i, us);
    endStep(run, i, us, body.approve ? 'succeeded' : 'failed', body.approve ? {} : { reason: 'rejected' });
    if (body.approve) startStep(run, i + 1, us);
    else endRun(run, us, 'failed', { reason: 'rejected' });
    this.#send(res, 200, { run: run.doc });
  }

  #runs(res, query) {
    const limit = Number(query.get('limit') ?? 50);
    const wanted = query.get('status')?.split(',');
    const q = (query.get('q') ?? '').toLowerCase();
    const name = query.get('name');
    const host = query.get('host');
    let list = this.#list().filter((r) => (!host || r.host === host) && (!wanted || wanted.includes(r.status)) && (!name || r.name === name) && (q === '' || `#${r.number}` === q || `${r.name} ${r.title} ${r.actor}`.toLowerCase().includes(q)));
    const before = list.findIndex((r) => r.id === query.get('before'));
    if (before >= 0) list = list.slice(before + 1);
    const page = list.slice(0, limit);
    this.#send(res, 200, { runs: page.map((r) => this.#summary(r)), next: list.length > limit ? page[page.length - 1].id : null, agent: 'connected', history: 'ok' });
  }

  #start(req, res, body) {
    const same = (body.kind === 'flow' ? this.catalog.flows : this.catalog.commands).filter((e) => e.id === body.id);
    if (same.length > 1 && !body.host) return this.#problem(res, 422, 'invalid_input', 'Several hosts have this.', { errors: [{ name: 'host', message: same.map((e) => e.host).join(', ') }] });
    const entry = same.find((e) => !body.host || (e.host ?? this.agent.host) === body.host);
    if (!entry) return this.#problem(res, 404, 'not_found', 'The catalogue has no such command.');
    const values = {};
    const errors = [];
    for (const s of entry.inputs) {
      const v = body.inputs?.[s.name] ?? s.default;
      if (v === null || v === undefined) {
        if (s.required) errors.push({ name: s.name, message: 'is required' });
        continue;
      }
      if (s.type === 'slug' && v === 'taken') errors.push({ name: s.name, message: 'is taken already; choose another one' });
      values[s.name] = s.type === 'secret' ? '***' : String(v);
    }
    if (errors.length > 0) return this.#problem(res, 422, 'invalid_input', 'Some inputs are not acceptable.', { errors });
    if (body.dry_run) {
      const steps = entry.steps ?? [{ id: 'main', uses: entry.id }];
      return this.#send(res, 200, { plan: steps.map((s) => ({ step: s.id, argv: [`/usr/local/libexec/ops/${s.uses}`, ...Object.entries(values).map(([k, v]) => `--${k}=${v}`)], user: entry.user ?? 'ops-run', cwd: '/', timeout_us: 0 })) });
    }
    if (entry.confirm && body.confirm !== entry.id) return this.#problem(res, 422, 'confirm_required', 'The member confirm must repeat the id.');
    if (entry.danger === 'high' && !this.reauthed) return this.#problem(res, 403, 'reauth_required', 'This is dangerous: give the password again first.');
    const key = req.headers['idempotency-key'];
    if (key && this.keys.has(key)) return this.#send(res, 200, { run: this.keys.get(key).doc });
    const run = this.add(makeRun({ kind: body.kind, name: entry.id, title: entry.title, inputs: values, steps: entry.steps ?? [{ id: 'main', title: entry.title }], host: entry.host }));
    if (key) this.keys.set(key, run);
    this.#play(run);
    return this.#send(res, 201, { run: run.doc });
  }

  /** A started run writes some lines and ends well. */
  #play(run) {
    const now = () => Date.now() * 1000;
    begin(run, now());
    startStep(run, 0, now());
    let i = 0;
    const timer = setInterval(() => {
      run.journal.output(0, STDOUT, chatter(i));
      sync(run);
      if (++i < 12) return;
      run.doc.steps.forEach((s, k) => {
        if (k > 0) startStep(run, k, now());
        endStep(run, k, now());
      });
      endRun(run, now());
    }, 60);
    run.timers.add(timer);
  }

  #cancel(res, run, { kill }) {
    if (run.doc.finished_us) return this.#problem(res, 409, 'finished', 'The run has ended already.');
    if (!run.doc.cancel || (kill && !run.doc.cancel.kill)) {
      run.journal.event('run.cancel_requested', { actor: 'user:admin', reason: null, kill: kill === true });
      if (!this.silent) run.doc.cancel = { actor: 'user:admin', time_us: Date.now() * 1000, kill: kill === true };
      this.tell(run);
    }
    if (!this.stubborn) setTimeout(() => this.endCancelled(run), CANCEL_MS);
    this.#send(res, 202, { cancel: 'requested' });
  }

  endCancelled(run) {
    const us = Date.now() * 1000;
    if (run.doc.finished_us) return;
    run.doc.steps.forEach((s, i) => s.status === 'running' && endStep(run, i, us, 'cancelled', { reason: 'cancelled', signal: 15 }));
    endRun(run, us, 'cancelled', { reason: 'cancelled' });
  }

  #search(res, run, query) {
    const q = query.get('q') ?? '';
    const re = query.get('preset') === 'errors' ? /\berror\b/i : new RegExp(query.get('regex') === '1' ? q : q.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), query.get('case') === '1' ? '' : 'i');
    const stream = query.get('stream');
    const found = [...run.journal.search((text) => re.test(text))].filter((m) => !stream || m.stream === stream);
    const limit = Number(query.get('limit') ?? 1000);
    const lines = [...found.slice(0, limit), { total: found.length, truncated: found.length > limit }];
    this.#send(res, 200, Buffer.from(lines.map((l) => `${JSON.stringify(l)}\n`).join('')), { 'Content-Type': 'application/x-ndjson' });
  }

  #log(res, run, query) {
    const { journal } = run;
    if (query.get('format') !== 'records') {
      return this.#send(res, 200, journal.raw(), { 'Content-Type': 'application/octet-stream', ...(query.get('download') ? { 'Content-Disposition': `attachment; filename="${run.doc.name}-${run.doc.number}.log"` } : {}) });
    }
    const offset = Number(query.get('offset') ?? 0);
    if (!journal.isBoundary(offset)) return this.#problem(res, 400, 'bad_offset', 'The offset is no record boundary.');
    const bytes = journal.read(offset, Number(query.get('limit') ?? Infinity));
    return this.#send(res, 200, bytes, { 'Content-Type': 'application/octet-stream', 'X-Next-Offset': String(offset + bytes.length) });
  }

  // ---- WebSocket

  #upgrade(req, tcp) {
    if (!this.session) return tcp.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    const client = { socket: accept(req, tcp), subs: new Map() };
    this.sockets.add(client);
    client.socket.onClose = () => {
      this.sockets.delete(client);
      for (const sub of client.subs.values()) sub.stop?.();
    };
    client.socket.onText = (text) => this.#message(client, JSON.parse(text));
  }

  #message(client, m) {
    const { socket, subs } = client;
    if (m.op === 'credit') {
      const sub = subs.get(m.id);
      if (sub?.pump) {
        sub.credit += m.bytes;
        sub.pump();
      }
      return;
    }
    // Less may be told to a page that nobody sees; this one tells the same.
    if (m.op === 'hush') return;
    if (m.op === 'unsubscribe') {
      const sub = subs.get(m.id);
      subs.delete(m.id);
      sub?.stop?.();
      if (sub?.pump) socket.binary(endFrame(m.id, sub.at, 2));
      else socket.text({ id: m.id, event: 'end' });
      return;
    }
    const log = /^run\/([^/]+)\/log$/.exec(m.topic);
    if (log) return this.#tail(client, m, log[1]);
    if (m.topic.startsWith('tail/')) return this.#source(client, m);
    subs.set(m.id, { topic: m.topic, host: m.host });
    const late = this.late(m.topic);
    if (late > 0) setTimeout(() => this.#first(client, m), late).unref();
    else this.#first(client, m);
  }

  #first({ socket, subs }, m) {
    if (!subs.has(m.id)) return;
    const one = /^run\/([^/]+)$/.exec(m.topic);
    const snapshot = one ? this.find(one[1])?.doc : m.topic === 'runs' ? { runs: this.#list().slice(0, 50).map((r) => this.#summary(r)), next: null, agent: 'connected', history: 'ok' } : m.topic === 'catalog' ? this.catalog : m.topic === 'system' ? this.system() : m.topic === 'status' ? (this.#host(m.host) === this.agent.host ? this.status : (this.statuses.get(m.host) ?? null)) : null;
    if (snapshot) socket.text({ id: m.id, event: 'snapshot', data: snapshot });
    else socket.text({ id: m.id, event: 'error', data: m.topic === 'status' ? { code: 'agent_unavailable', message: `${m.host} cannot be asked.` } : { code: 'not_found', message: 'There is no such topic.' } });
  }

  #tail(client, m, ref) {
    const { socket, subs } = client;
    const run = this.find(ref);
    if (!run) return socket.text({ id: m.id, event: 'error', data: { code: 'not_found', message: 'There is no such run.' } });
    const { journal } = run;
    const asked = m.offset ?? 0;
    if (asked >= 0 && !journal.isBoundary(asked)) {
      if (asked > journal.size) return socket.binary(endFrame(m.id, journal.size, 4));
      return socket.text({ id: m.id, event: 'error', data: { code: 'bad_offset', message: 'no boundary' } });
    }
    socket.text({ id: m.id, event: 'snapshot', data: { offset: asked < 0 ? journal.beforeEnd(-asked) : asked, size: journal.size, run: run.doc } });
    this.#stream(client, m, journal, asked < 0 ? journal.beforeEnd(-asked) : asked);
  }

  /** A container or unit: from 0, whatever was asked for. */
  #source(client, m) {
    const journal = this.tails.get(m.host ? `${m.host} ${m.topic}` : m.topic);
    if (!journal) return client.socket.text({ id: m.id, event: 'error', data: { code: 'not_found', message: 'status.yml does not name it.' } });
    client.socket.text({ id: m.id, event: 'snapshot', data: { offset: 0 } });
    this.#stream(client, m, journal, 0);
  }

  #stream({ socket, subs }, m, journal, at) {
    const sub = { topic: m.topic, at, credit: INITIAL_CREDIT, ended: false };
    sub.pump = () => {
      while (!sub.ended && sub.credit > 0 && sub.at < journal.size) {
        const records = journal.read(sub.at, Math.min(CHUNK, Math.max(1, sub.credit)));
        socket.binary(chunkFrame(m.id, sub.at, records));
        sub.at += records.length;
        sub.credit -= records.length;
      }
      if (!sub.ended && journal.finished && sub.at === journal.size) {
        sub.ended = true;
        sub.stop();
        subs.delete(m.id);
        socket.binary(endFrame(m.id, sub.at, 1));
      }
    };
    sub.stop = () => journal.watchers.delete(sub.pump);
    subs.set(m.id, sub);
    journal.watchers.add(sub.pump);
    sub.pump();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fixture = new Fixture(path.resolve(process.argv[2] ?? path.join(path.dirname(fileURLToPath(import.meta.url)), '../../ui/dist/dist')));
  fixture.add(liveBackup());
  console.log(await fixture.listen(Number(process.argv[3] ?? 3180)), 'user admin, password secret');
}
