// ./dev bench fanout latency web sockets slow search: the dashboard's own side. What a hundred viewers get
// in all, how long a line takes, requests a second beside nginx serving the same bytes, what an idle
// socket costs, what a slow viewer does to a fast one, how fast a log is searched.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const COMMANDS = (bin) => `  bench.tick:
    title: Lines with their time
    exec: ["${bin('bench-ticker')}", "\${inputs.lines}"]
    inputs:
      lines: { type: int, min: 1, max: 100000, required: true }
`;

const status = (pid, name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
const pss = (pid) => Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
const cpu = (pid) => {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
// The peak of resident memory since now.
const resetPeak = (pid) => fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');

// nginx with one worker that serves these files; null where it is not installed.
async function startNginx(files, port) {
  const nginx = process.env.NGINX ?? ['/usr/sbin/nginx', '/usr/bin/nginx'].find((p) => fs.existsSync(p));
  if (!nginx || !fs.existsSync(nginx)) return null;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ops-nginx-'));
  fs.chmodSync(dir, 0o755);
  for (const [name, bytes] of Object.entries(files)) fs.writeFileSync(path.join(dir, name), bytes);
  fs.writeFileSync(path.join(dir, 'nginx.conf'), `worker_processes 1; daemon off; pid ${dir}/pid; error_log ${dir}/error.log;
${process.getuid() === 0 ? 'user root;' : ''}
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000; open_file_cache max=100; sendfile on; tcp_nopush on;
  types { application/json json; text/javascript js; }
  client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  server { listen 127.0.0.1:${port}; root ${dir}; } }
`);
  const child = spawn(nginx, ['-c', path.join(dir, 'nginx.conf'), '-p', dir], { stdio: 'ignore' });
  for (let i = 0; ; i++) {
    if (await fetch(`http://127.0.0.1:${port}/${Object.keys(files)[0]}`).then((r) => r.ok, () => false)) break;
    if (i === 100) throw new Error(`nginx does not answer: ${fs.readFileSync(path.join(dir, 'error.log'), 'utf8')}`);
    await sleep(50);
  }
  return {
    pid: Number(fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(/\s+/)[0]),
    async stop() {
      child.kill('SIGTERM');
      await once(child, 'exit');
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function webBenches({ bin, rounds, median, fixed, startStack, startRun, stackPids, settle, twoHops, keep }) {
  const meter = async (...args) => JSON.parse((await run(bin('bench-web-meter'), args.map(String), { maxBuffer: 1 << 24 })).stdout);
  const port = (stack) => new URL(stack.url).port;
  const get = (stack, target) => fetch(`${stack.url}${target}`, { headers: { cookie: stack.cookie } });
  const finished = async (stack, id) => {
    for (;;) {
      const { run: doc } = await (await get(stack, `/api/v1/runs/${id}`)).json();
      if (!['queued', 'running', 'waiting'].includes(doc.status)) return doc;
      await sleep(50);
    }
  };
  const withStack = async (body) => {
    const stack = await startStack();
    try {
      return await body(stack, stackPids(stack));
    } finally {
      await stack.stop();
    }
  };

  const fanout = () => withStack(async (stack, pids) => {
    const mib = 20;
    const id = await startRun(stack, mib, 65536);
    await finished(stack, id);
    await settle(stack);
    const rates = {}, bare = {}, peaks = {}, costs = {};
    const spent = () => cpu(pids.dashboard) + cpu(pids.worker);
    for (const viewers of [100, 200]) {
      rates[viewers] = [];
      bare[viewers] = [];
      peaks[viewers] = [];
      costs[viewers] = [];
      for (let i = 0; i < (viewers > 100 ? 1 : rounds); i++) {
        const relay = await twoHops('-v', viewers, bin('bench-writer'), mib, 65536);
        bare[viewers].push(relay.bytes / 1e6 / relay.seconds);
        resetPeak(pids.dashboard);
        const before = spent();
        const result = await meter('fan', port(stack), stack.cookie, id, viewers);
        costs[viewers].push(((spent() - before) * 2 ** 30) / result.bytes);
        rates[viewers].push(result.bytes / 1e6 / result.seconds);
        peaks[viewers].push(status(pids.dashboard, 'VmHWM') / 1024);
      }
      console.log(`fan-out of ${mib} MiB to ${viewers} viewers: ${fixed(median(rates[viewers]), 0)} MB/s in all (two hops ${fixed(median(bare[viewers]), 0)}, ratio ${fixed(median(rates[viewers]) / median(bare[viewers]))}), ${fixed(median(costs[viewers]))} CPU s/GiB (worker and dashboard), peak RSS of the dashboard ${fixed(median(peaks[viewers]), 1)} MB`);
    }
    const medians = (lists) => Object.fromEntries(Object.entries(lists).map(([n, l]) => [n, median(l)]));
    keep('fanout', { mib, mb_per_second: medians(rates), two_hops: medians(bare), peak_rss_mb: Object.fromEntries(Object.entries(peaks).map(([n, l]) => [n, median(l)])), cpu_per_gib: Object.fromEntries(Object.entries(costs).map(([n, l]) => [n, median(l)])) });
  });

  // A line's way, alone; beside a client that takes a flood of another run; and while the archiver
  // copies a long run that nobody watches.
  const latency = () => withStack(async (stack) => {
    const LINES = 300, FLOOD_MIB = 65536, ARCHIVED_MIB = 1024;
    const ours = async () => meter('latency', port(stack), stack.cookie, await startRun(stack, 'bench.tick', { lines: LINES }));
    const bare = () => twoHops('-l', bin('bench-ticker'), LINES);
    const beside = async (child, body) => {
      const gone = once(child, 'exit');
      try {
        await sleep(300);
        return await body();
      } finally {
        child.kill('SIGKILL');
        await gone;
      }
    };
    const results = {};
    const note = async (name, body) => (results[name] ??= []).push(await body());
    for (let i = 0; i < rounds; i++) {
      await settle(stack);
      await note('two hops', bare);
      await note('ours', ours);
      await note('two hops, beside a flood', () => beside(spawn(bin('bench-two-hops'), [bin('bench-writer'), String(FLOOD_MIB), '65536'], { stdio: 'ignore', detached: true }), bare));
      const flood = await startRun(stack, FLOOD_MIB, 65536);
      await note('ours, beside a flood', () => beside(spawn(bin('bench-web-meter'), ['fan', port(stack), stack.cookie, flood, '1'], { stdio: 'ignore' }), ours));
      const cancel = await fetch(`${stack.url}/api/v1/runs/${flood}/cancel`, { method: 'POST', headers: { 'content-type': 'application/json', origin: stack.url, cookie: stack.cookie }, body: '{}' });
      if (!cancel.ok) throw new Error(`cancel: ${cancel.status} ${await cancel.text()}`);
      await finished(stack, flood);
      await settle(stack);
      await finished(stack, await startRun(stack, ARCHIVED_MIB, 65536));
      await note('ours, while a run is archived', ours);
    }
    const of = (name, key) => median(results[name].map((r) => r[key]));
    for (const name of Object.keys(results)) {
      console.log(`write(2) to client at 100 lines/s, ${name}: p50 ${fixed(of(name, 'p50_us'), 0)} µs, p99 ${fixed(of(name, 'p99_us'), 0)} µs`);
    }
    keep('latency', Object.fromEntries(Object.keys(results).map((name) => [name, { p50_us: of(name, 'p50_us'), p99_us: of(name, 'p99_us') }])));
  });

  // On a machine that is busy with other things only the processor time of a request means something.
  const web = () => withStack(async (stack, pids) => {
    const timed = async (pid, ...args) => {
      const before = cpu(pid), result = await meter('http', ...args, 1, 32);
      return { rate: result.per_second, us: ((cpu(pid) - before) * 1e6) / result.requests };
    };
    const of = (list, key) => median(list.map((r) => r[key]));
    const targets = [['static asset', '/apple-touch-icon.png', '-'], ['/api/v1/session', '/api/v1/session', stack.cookie]];
    const nginxPort = Number(port(stack)) + 1;
    const files = {};
    for (const [i, [, target]] of targets.entries()) files[`f${i}.${i ? 'json' : 'js'}`] = Buffer.from(await (await get(stack, target)).arrayBuffer());
    const nginx = await startNginx(files, nginxPort);
    if (!nginx) console.log('nginx is not installed (apt-get install nginx-light, or NGINX=path): figures without comparison');
    try {
      for (const [i, [name, target, cookie]] of targets.entries()) {
        const ours = [], theirs = [];
        const file = Object.keys(files)[i];
        for (let round = 0; round < rounds; round++) {
          ours.push(await timed(pids.dashboard, port(stack), target, cookie));
          if (nginx) theirs.push(await timed(nginx.pid, nginxPort, `/${file}`, '-'));
        }
        const say = (list) => `${fixed(of(list, 'rate'), 0)} requests/s, ${fixed(of(list, 'us'), 1)} µs CPU each`;
        const ratio = nginx ? of(ours, 'rate') / of(theirs, 'rate') : null;
        console.log(`${name} (${files[file].length} bytes): ours ${say(ours)}${nginx ? `; nginx ${say(theirs)}; ratio ${fixed(ratio)}` : ''}`);
        keep(`web ${name}`, { bytes: files[file].length, ours: of(ours, 'rate'), ours_cpu_us: of(ours, 'us'), nginx: nginx ? of(theirs, 'rate') : null, nginx_cpu_us: nginx ? of(theirs, 'us') : null, ratio });
      }
    } finally {
      await nginx?.stop();
    }
  });

  const sockets = () => withStack(async (stack, pids) => {
    await sleep(2000);
    const before = pss(pids.dashboard), count = 1000;
    const child = spawn(bin('bench-web-meter'), ['idle', port(stack), stack.cookie, String(count)], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    await sleep(1000);
    const each = (pss(pids.dashboard) - before) / count;
    child.stdin.end();
    await once(child, 'exit');
    console.log(`idle dashboard ${fixed(before / 1024)} MiB PSS; ${count} idle WebSockets: ${fixed(each)} KiB each`);
    keep('sockets', { idle_pss_kib: before, kib_each: each });
  });

  // A viewer of 100 KB/s beside a fast one: what it costs the fast one, and in memory.
  const slow = () => withStack(async (stack, pids) => {
    const mib = 256, alone = [], beside = [], more = [];
    for (let i = 0; i < rounds; i++) {
      for (const rate of [0, 100000]) {
        const id = await startRun(stack, mib, 65536);
        await sleep(20);
        resetPeak(pids.dashboard);
        const before = status(pids.dashboard, 'VmRSS');
        const result = await meter('fan', port(stack), stack.cookie, id, 1, ...(rate ? [rate] : []));
        (rate ? beside : alone).push(result.bytes / 1e6 / result.seconds);
        if (rate) more.push((status(pids.dashboard, 'VmHWM') - before) / 1024);
        await finished(stack, id);
      }
    }
    console.log(`${mib} MiB to a fast viewer: ${fixed(median(alone), 0)} MB/s alone, ${fixed(median(beside), 0)} MB/s beside one of 100 KB/s, which takes ${fixed(median(more), 1)} MB of memory`);
    keep('slow', { mib, alone: median(alone), beside: median(beside), more_mb: median(more) });
  });

  const search = () => withStack(async (stack, pids) => {
    const mib = Number(process.env.BENCH_SEARCH_MIB ?? 1024);
    const id = await startRun(stack, mib, 65536);
    await finished(stack, id);
    const results = {};
    for (const [name, query] of [['text', 'q=no+such+text'], ['regex', `q=${encodeURIComponent('z[0-9]+q')}&regex=1`], ['errors', 'preset=errors']]) {
      resetPeak(pids.dashboard);
      const before = status(pids.dashboard, 'VmRSS'), start = performance.now();
      const text = await (await get(stack, `/api/v1/runs/${id}/log/search?${query}`)).text();
      const seconds = (performance.now() - start) / 1000;
      results[name] = { mb_per_second: (mib * 1.048576) / seconds, more_mb: (status(pids.dashboard, 'VmHWM') - before) / 1024, total: JSON.parse(text.trimEnd().split('\n').at(-1)).total };
      console.log(`search of ${mib} MiB for ${name}: ${fixed(results[name].mb_per_second, 0)} MB/s, ${fixed(results[name].more_mb, 1)} MB more memory`);
    }
    keep('search', { mib, ...results });
  });

  return { fanout, latency, web, sockets, slow, search };
}
