// Everything at once, for tests of what the whole promises: a PostgreSQL, the agent with the example
// catalogue, the dashboard; and a watcher that, like the page, resumes after any cut.
//
//   const stack = await Stack.start({ database: 'up' | 'stopped' | 'none' });
//   stack.pg, stack.agent, stack.dashboard, stack.session
//   const watcher = stack.watch(run.id); await watcher.finished; watcher.journal
//   await stack.destroy();
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, closeSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, sleep, until } from './agent.mjs';
import { Journal } from './agent-client.mjs';
import { Dashboard } from './dashboard.mjs';
import { Postgres } from './postgres.mjs';

const DEPLOY = fileURLToPath(new URL('../../../deploy/ops-agent', import.meta.url));

// The example catalogue, with its paths moved to a folder of the test's.
export function exampleCatalogue(dir) {
  const libexec = join(dir, 'libexec');
  cpSync(join(DEPLOY, 'libexec'), libexec, { recursive: true });
  // A checkout may be writable by its group; what runs may not.
  for (const path of [libexec, ...readdirSync(libexec).map((name) => join(libexec, name))]) chmodSync(path, 0o755);
  mkdirSync(join(dir, 'backups'));
  const moved = (file) => readFileSync(join(DEPLOY, 'examples', file), 'utf8')
    .replaceAll('/usr/local/libexec/ops', libexec)
    .replaceAll('/var/lib/ops-backups', join(dir, 'backups'))
    .replaceAll('/etc/ops-agent', dir);
  const flows = {};
  for (const name of readdirSync(join(DEPLOY, 'examples/flows')).filter((f) => f.endsWith('.yml'))) flows[name.slice(0, -4)] = moved(`flows/${name}`);
  return { commands: moved('commands.yml'), flows };
}

export class Stack {
  // status: (dir) => the text of status.yml; none: nothing is watched. catalogue: (dir, example) => what may run instead.
  static async start({ database = 'up', dashboard = true, status, catalogue = (_, example) => example } = {}) {
    const stack = new Stack();
    stack.dir = mkdtempSync(join(tmpdir(), 'ops-stack-'));
    chmodSync(stack.dir, 0o755);
    stack.watchers = [];
    try {
      if (database !== 'none') stack.pg = await Postgres.start();
      if (database === 'stopped') await stack.pg.stop();
      stack.agent = await Agent.start({ ...catalogue(stack.dir, exampleCatalogue(stack.dir)), ...(status && { status: status(stack.dir) }) });
      if (dashboard) await stack.startDashboard();
    } catch (error) {
      await stack.destroy();
      throw error;
    }
    return stack;
  }

  async startDashboard(env = {}) {
    this.dashboard = await Dashboard.start({ agent: this.agent, databaseUrl: this.pg?.url, env });
    await this.dashboard.connected({ database: this.pg?.running ?? false });
    this.session = await this.dashboard.login();
  }

  watch(runId, options = {}) {
    const watcher = new Watcher(options.session ?? this.session, runId, options);
    this.watchers.push(watcher);
    return watcher;
  }

  journalPath(runId) {
    return join(this.agent.stateDir, 'runs', runId, 'journal');
  }

  // Waits until PostgreSQL holds the whole run, then compares row by row with the agent's journal.
  async comparedWithJournal(runId) {
    await until('the schema', async () => (await this.pg.psql("select to_regclass('ops.runs') is not null")).trim() === 't');
    await until('the run to be archived', async () =>
      (await this.pg.psql(`select complete from ops.runs where id = '${runId}'`)).trim() === 't');
    const rows = (await this.pg.psql(
      `select start_offset, end_offset, encode(sha256(records), 'hex') from ops.run_log where run_id = '${runId}' order by 1`,
    )).trim().split('\n').map((line) => line.split('|'));
    const fd = openSync(this.journalPath(runId), 'r');
    let at = 0;
    try {
      for (const [start, end, digest] of rows) {
        if (Number(start) !== at) throw new Error(`a row begins at ${start}, the one before ended at ${at}`);
        const bytes = Buffer.alloc(end - start);
        if (readSync(fd, bytes, 0, bytes.length, at) !== bytes.length) throw new Error('more than the journal holds');
        if (createHash('sha256').update(bytes).digest('hex') !== digest) throw new Error(`the row at ${start} differs`);
        at = Number(end);
      }
    } finally {
      closeSync(fd);
    }
    return at;
  }

  async destroy() {
    for (const watcher of this.watchers) watcher.stop();
    await this.dashboard?.destroy();
    await this.agent?.destroy();
    await this.pg?.destroy();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

// Follows a run's log as the page does: after any cut it connects again and resumes at its offset.
// The Journal refuses a gap, a doubled byte, a wrong checksum and a wrong digest.
export class Watcher {
  constructor(session, runId, { offset = 0, keep = false } = {}) {
    this.session = session;
    this.runId = runId;
    this.journal = new Journal({ offset });
    this.journal.keep = keep;
    this.connections = 0;
    this.stopped = false;
    this.finished = this.follow();
    this.finished.catch(() => {});
  }

  stop() {
    this.stopped = true;
    this.live?.destroy();
  }

  async follow() {
    while (!this.stopped && !this.journal.finished) {
      try {
        this.live = await this.session.live();
      } catch {
        await sleep(50);
        continue;
      }
      this.connections++;
      await this.consume(this.live);
      this.live.destroy();
    }
    return this.journal.finished;
  }

  // Until the end of the log or of the connection.
  async consume(live) {
    const sub = live.subscribe(`run/${this.runId}/log`, { offset: this.journal.offset });
    for (;;) {
      try {
        await sub.until('more of the log', () => sub.chunks.length > 0 || sub.end);
      } catch (error) {
        if (live.closed) return;
        throw error;
      }
      for (const { offset, records } of sub.chunks.splice(0)) {
        if (offset !== this.journal.offset) throw new Error(`records at ${offset}, expected at ${this.journal.offset}`);
        this.journal.push(records);
      }
      if (!sub.end) continue;
      if (sub.end.event === 'error') await sleep(50); // the agent is away for a moment: try again
      return;
    }
  }

  async received(bytes) {
    await until(`${bytes} bytes of the log`, () => {
      if (this.journal.finished) throw new Error('the run ended before');
      return this.journal.offset >= bytes;
    });
  }
}
