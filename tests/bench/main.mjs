// ./dev bench [stream] [spawn] [idle] [archive] [fanout] [latency] [web] [sockets] [slow] [search] [status] [ui]: the first measures what it costs to carry a command's output from its write(2) to a WebSocket
// client (journal on disk, checksums, authentication and all), beside a bare pipe → Unix socket → TCP
// relay that keeps nothing. Rounds are interleaved and the medians compared, since machines are noisy:
// only the ratios mean something.
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { archive } from './archive.mjs';
import { startBench } from './start.mjs';
import { statusBench } from './status.mjs';
import { uiBench } from './ui.mjs';
import { COMMANDS as WEB_COMMANDS, webBenches } from './web.mjs';

const run = promisify(execFile);
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const bin = (name) => path.join(root, 'build/tests/bench', name);
const PORT = Number(process.env.PORT ?? 3190);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const MIB = Number(process.env.BENCH_MIB ?? 512);

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const fixed = (value, digits = 2) => value.toFixed(digits);

const COMMANDS = `version: 1
defaults: { timeout: 10m, max_output: 0 }
commands:
  bench.write:
    title: Write a lot
    exec: ["${bin('bench-writer')}", "\${inputs.mib}", "\${inputs.block}"]
    inputs:
      mib: { type: int, min: 1, max: 65536, required: true }
      block: { type: int, min: 1, max: 1048576, required: true }
${WEB_COMMANDS(bin)}`;

// Results are kept as JSON, each benchmark's latest.
function keep(name, result) {
  const dir = path.join(root, 'build/bench');
  fs.mkdirSync(dir, { recursive: true });
  const file = path.join(dir, `${name.replace(/[^a-z0-9]+/gi, '-')}.json`);
  fs.writeFileSync(file, `${JSON.stringify({ name, at: new Date().toISOString(), rounds: ROUNDS, ...result }, null, 2)}\n`);
}

async function startStack() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ops-bench-'));
  const config = path.join(dir, 'config');
  fs.mkdirSync(path.join(config, 'flows'), { recursive: true });
  fs.writeFileSync(path.join(config, 'commands.yml'), COMMANDS);
  const env = {
    ...process.env,
    OPS_DEV_DIR: path.join(dir, 'dev'),
    OPS_AGENT_CONFIG_DIR: config,
    PORT: String(PORT),
  };
  fs.chmodSync(dir, 0o755);
  const { stdout } = await run(path.join(root, 'dev'), ['up'], { env });
  const [, url, user, password] = /ready (\S+) user=(\S+) password=(\S+)/.exec(stdout);
  const response = await fetch(`${url}/api/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: url },
    body: JSON.stringify({ user, password }),
  });
  if (!response.ok) throw new Error(`login: ${response.status} ${await response.text()}`);
  const cookie = response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
  const stop = async () => {
    await run(path.join(root, 'dev'), ['down'], { env });
    fs.rmSync(dir, { recursive: true, force: true });
  };
  return { url, cookie, dir: env.OPS_DEV_DIR, stop };
}

// startRun(stack, mib, block), or startRun(stack, id, inputs).
async function startRun(stack, first, second) {
  const [id, inputs] = typeof first === 'string' ? [first, second] : ['bench.write', { mib: first, block: second }];
  const response = await fetch(`${stack.url}/api/v1/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: stack.url, cookie: stack.cookie },
    body: JSON.stringify({ kind: 'command', id, inputs }),
  });
  if (response.status !== 201) throw new Error(`start: ${response.status} ${await response.text()}`);
  return (await response.json()).run.id;
}

// user + system seconds of a process, and of its children that it has waited for
function cpuSeconds(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  const ticks = (i) => Number(fields[i]) / 100;
  return { own: ticks(11) + ticks(12), children: ticks(13) + ticks(14) };
}

function stackPids(stack) {
  const read = (name) => Number(fs.readFileSync(path.join(stack.dir, 'pid', name), 'utf8').split(' ')[0]);
  const monitor = read('agent');
  const children = fs.readFileSync(`/proc/${monitor}/task/${monitor}/children`, 'utf8').trim().split(/\s+/);
  return { dashboard: read('dashboard'), monitor, worker: Number(children[0]) };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Until all that earlier runs left is done: archived, sealed, on the disk. What is measured next pays
// for itself alone, whoever it is.
async function settle(stack) {
  const monitor = stackPids(stack).monitor;
  const comm = (pid) => fs.existsSync(`/proc/${pid}/comm`) && fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  for (;;) {
    const metrics = await (await fetch(`${stack.url}/metrics`, { headers: { cookie: stack.cookie } })).text();
    const behind = Number(/^\S*archiver_behind_runs(?:\{[^}]*\})? (\d+)/m.exec(metrics)[1]);
    const children = fs.readFileSync(`/proc/${monitor}/task/${monitor}/children`, 'utf8').trim().split(/\s+/);
    if (behind === 0 && !children.some((pid) => ['ops-seal', 'ops-runner'].includes(comm(pid)))) break;
    await sleep(100);
  }
  execFileSync('sync');
}

async function oneOfOurs(stack, mib, block) {
  const pids = stackPids(stack);
  const before = [cpuSeconds(pids.dashboard).own, cpuSeconds(pids.worker).own];
  const start = performance.now();
  const id = await startRun(stack, mib, block);
  const { stdout } = await run(bin('bench-ws-meter'), [String(PORT), stack.cookie, id]);
  const seconds = (performance.now() - start) / 1000;
  const meter = JSON.parse(stdout);
  const cpu = cpuSeconds(pids.dashboard).own - before[0] + cpuSeconds(pids.worker).own - before[1];
  if (meter.reason !== 1 || meter.bytes < mib * 1048576) {
    throw new Error(`the client got ${meter.bytes} bytes, end reason ${meter.reason}`);
  }
  return { seconds, cpu, records: meter.messages };
}

const twoHops = async (...args) => JSON.parse((await run(bin('bench-two-hops'), args.map(String))).stdout);
const oneBare = (mib, block) => twoHops(bin('bench-writer'), mib, block);

async function stream() {
  const stack = await startStack();
  try {
    for (const [mib, block] of [[MIB, 65536], [Math.max(1, MIB / 8), 120]]) {
      const ours = [], bare = [], behind = [];
      for (let i = 0; i < ROUNDS; i++) {
        await settle(stack);
        bare.push(await oneBare(mib, block));
        ours.push(await oneOfOurs(stack, mib, block));
        // and once more at once: the archiver is busy with the run before
        behind.push(await oneOfOurs(stack, mib, block));
      }
      const rate = (list) => median(list.map((r) => (mib * 1.048576) / r.seconds));
      const cpuPerGib = (list, key) => median(list.map((r) => (r[key] * 1024) / mib));
      const [o, b] = [rate(ours), rate(bare)];
      console.log(`stream ${mib} MiB in ${block}-byte writes, ${ROUNDS} rounds, medians`);
      console.log(`  two hops, bare   ${fixed(b, 0).padStart(6)} MB/s   ${fixed(cpuPerGib(bare, 'cpu_seconds'))} CPU s/GiB (both relays)`);
      console.log(`  ours             ${fixed(o, 0).padStart(6)} MB/s   ${fixed(cpuPerGib(ours, 'cpu'))} CPU s/GiB (worker and dashboard)`);
      console.log(`  ratio            ${fixed(o / b)}   ${fixed(rate(behind) / b)} (${fixed(rate(behind), 0)} MB/s) while the run before is being archived`);
      keep(`stream ${block}`, { mib, ours: o, bare: b, ratio: o / b, ours_archiving: rate(behind), cpu_per_gib: cpuPerGib(ours, 'cpu'), bare_cpu_per_gib: cpuPerGib(bare, 'cpu_seconds') });
    }
  } finally {
    await stack.stop();
  }
}

// Proportional set size: what a process really costs, shared pages divided among their users.
function pssKib(pid) {
  return Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
}

async function idle() {
  const stack = await startStack();
  try {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const pids = stackPids(stack);
    console.log('idle, signed in once, PostgreSQL connected: proportional and resident set size');
    for (const [name, pid] of Object.entries(pids)) {
      const rss = Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
      console.log(`  ${name.padEnd(10)} ${fixed(pssKib(pid) / 1024)} MiB, resident ${fixed(rss / 1024)} MiB`);
    }
    const sleep = execFileSync('sh', ['-c', 'sleep 5 & grep ^Pss: /proc/$!/smaps_rollup; kill $!'], { encoding: 'utf8' });
    console.log(`  sleep(1)   ${fixed(Number(/(\d+)/.exec(sleep)[1]) / 1024)} MiB, for comparison`);
  } finally {
    await stack.stop();
  }
  await startBench({ bin, rounds: ROUNDS, median, fixed, keep });
}

// A run from run.start to the first byte of echo, and runs of true a second, through the agent's socket,
// beside a bare server that forks, executes and relays.
async function spawn() {
  const { Agent } = await import('../integration/lib/agent.mjs');
  const RUNS = Number(process.env.BENCH_RUNS ?? 300);
  const commands = `version: 1
commands:
  bench.echo: { title: echo, exec: [/bin/echo, hello] }
  bench.true: { title: "true", exec: [/bin/true] }
`;
  // as in an installation, where $OPS_OUTPUT files are under /run
  const steps = fs.mkdtempSync('/dev/shm/ops-bench-');
  const agent = await Agent.start({ commands, env: { OPS_RUNS_DIR: steps } });
  const meter = async (...args) => JSON.parse((await run(bin('bench-spawn-meter'), args.map(String))).stdout);
  const ours = (id, runs, atOnce, pauseMs) => meter('ours', agent.socket, agent.secret, id, runs, atOnce, pauseMs);
  try {
    const echo = { ours: [], bare: [] }, single = { ours: [], bare: [] }, many = { ours: [], bare: [] };
    for (let i = 0; i < ROUNDS; i++) {
      echo.bare.push(await meter('bare', 100, 1, 0, '/bin/echo', 'hello'));
      echo.ours.push(await ours('bench.echo', 100, 1, 0));
      single.bare.push(await meter('bare', 20, 1, 100, '/bin/echo', 'hello'));
      single.ours.push(await ours('bench.echo', 20, 1, 100));
      many.bare.push(await meter('bare', RUNS, 4, 0, '/bin/true'));
      many.ours.push(await ours('bench.true', RUNS, 4, 0));
    }
    const of = (list, key) => median(list.map((r) => r[key]));
    console.log(`spawn, ${ROUNDS} rounds, medians`);
    for (const [name, list] of [['bare', echo.bare], ['ours', echo.ours]]) {
      console.log(`  ${name}  request to first byte of echo: p50 ${fixed(of(list, 'p50_ms'))} ms, p99 ${fixed(of(list, 'p99_ms'))} ms`);
    }
    const list = echo.ours;
    console.log(`  ours  of that until run.start is answered, the run durable: p50 ${fixed(of(list, 'answer_p50_ms'))} ms, p99 ${fixed(of(list, 'answer_p99_ms'))} ms; of the one at the 99th percentile ${fixed(of(list, 'p99_answer_ms'))} ms`);
    for (const [name, some] of [['bare', single.bare], ['ours', single.ours]]) {
      console.log(`  ${name}  the same, each after a pause of 100 ms: p50 ${fixed(of(some, 'p50_ms'))} ms`);
    }
    for (const [name, list] of [['bare', many.bare], ['ours', many.ours]]) {
      console.log(`  ${name}  true, 4 at once: ${fixed(of(list, 'per_second'), 0)} runs/s`);
    }
    console.log(`  ratio ${fixed(of(many.ours, 'per_second') / of(many.bare, 'per_second'))}`);
    const result = (some) => Object.fromEntries(Object.keys(some[0]).map((key) => [key, of(some, key)]));
    keep('spawn', Object.fromEntries(Object.entries({ echo, single, many }).map(([name, both]) => [name, { ours: result(both.ours), bare: result(both.bare) }])));
  } finally {
    await agent.destroy();
    fs.rmSync(steps, { recursive: true, force: true });
  }
}

const archiveBench = () => archive({ bin, rounds: ROUNDS, mib: MIB, median, fixed, commands: COMMANDS });
const benches = { stream, spawn, idle, archive: archiveBench, status: statusBench({ bin, fixed, keep }), ui: uiBench(keep), ...webBenches({ bin, rounds: ROUNDS, median, fixed, startStack, startRun, stackPids, settle, twoHops, keep }) };
const names = process.argv.slice(2).length ? process.argv.slice(2) : Object.keys(benches);
for (const name of names) {
  if (!benches[name]) {
    console.error(`no benchmark '${name}'; there are: ${Object.keys(benches).join(' ')}`);
    process.exit(64);
  }
}
for (const name of names) await benches[name]();
