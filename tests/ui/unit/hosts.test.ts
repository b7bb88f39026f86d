// Several machines: which one an address means, what is whose, and that one machine is never named.
import unit from 'node:test';
import assert from 'node:assert/strict';
import { decodeAudit, decodeCatalog, decodeSchedule, type CatalogEntry, type Run } from '../../../ui/src/api/types.ts';
import { pageOf } from '../../../ui/src/app/HostSwitch.tsx';
import { allEntries, search } from '../../../ui/src/app/palette/entries.ts';
import { en } from '../../../ui/src/i18n/en.ts';
import { here } from '../../../ui/src/lib/router.ts';
import { blockedOn, chosenHost, findEntry, hostKey, knownRun, pagePath, runPath, sameHost, shownHost, shownKey, withHost } from '../../../ui/src/live/hosts.ts';
import { LiveSocket } from '../../../ui/src/live/socket.ts';
import { catalog, connection, runs, system } from '../../../ui/src/live/store.ts';
import type { HostState, System } from '../../../ui/src/live/system.ts';
import { ordered } from '../../../ui/src/pages/overview/AllHosts.tsx';
import type { MachineStatus } from '../../../ui/src/pages/overview/status.ts';
import { grouped } from '../../../ui/src/pages/commands/Commands.tsx';
import { hostMember } from '../../../ui/src/pages/commands/start.ts';

const host = (name: string, more: Partial<HostState> = {}): HostState => ({ host: name, title: '', primary: false, state: 'connected', since_us: 0, reason: '', ...more });
const ONE = [host('thoth', { primary: true })];
const TWO = [host('web1', { primary: true, title: 'Web server' }), host('db1')];
const known = (agents: HostState[], query = '') => {
  system.value = { version: '', bootId: '', assets: '', host: agents[0]!.host, agents, history: { down: false, catchingUp: false } } satisfies System;
  here.value = { path: '/', query, hash: '' };
};
const run = (id: string, number: number, of: string): Run => ({ id, number, host: of, name: 'a', title: 'A', status: 'succeeded', created_us: number }) as Run;
const entry = (id: string, of: string, more: Partial<CatalogEntry> = {}): CatalogEntry => ({ id, kind: 'command', host: of, title: id, description: '', group: '', icon: '', inputs: [], confirm: false, danger: 'low', user: '', kill_after_us: 0, steps: [], ...more });

/** A test that leaves nothing known behind. */
function test(name: string, fn: () => void): void {
  unit(name, () => {
    try {
      fn();
    } finally {
      system.value = null;
      runs.value = null;
      catalog.value = null;
      connection.value = { kind: 'idle' };
      here.value = { path: '/', query: '', hash: '' };
    }
  });
}

test('of one machine no address and no request names it, whatever a query says', () => {
  known(ONE, '?host=thoth');
  assert.deepEqual([chosenHost.value, shownKey.value, pagePath('/containers'), runPath(run('x', 7, 'thoth'))], ['', '', '/containers', '/runs/7']);
  assert.deepEqual(hostMember(entry('a', '')), {});
  assert.ok(sameHost('', 'thoth') && sameHost('thoth', 'anything'));
});

test('of several the address says which, and links keep it', () => {
  known(TWO, '?status=failed&host=db1');
  assert.deepEqual([chosenHost.value, shownKey.value, shownHost.value], ['db1', 'db1', 'db1']);
  assert.equal(pagePath('/containers#web'), '/containers?host=db1#web');
  assert.equal(runPath(run('x', 7, 'web1')), '/runs/7?host=web1');
  assert.equal(withHost('/history?q=a', 'db1'), '/history?q=a&host=db1');
  known(TWO, '?host=gone');
  assert.deepEqual([chosenHost.value, shownKey.value, shownHost.value], ['', '', 'web1'], 'one that is not there is none');
  assert.deepEqual([hostKey('web1'), hostKey('db1'), sameHost('', 'web1'), sameHost('', 'db1')], ['', 'db1', true, false]);
});

test('before it is known how many there are a run is named by its id', () => {
  assert.equal(runPath(run('0af', 7, 'web1')), '/runs/0af');
  here.value = { path: '/units', query: '?host=db1', hash: '' };
  assert.deepEqual([chosenHost.value, shownKey.value], ['db1', 'db1'], 'and the address is believed: another machine is not asked first');
});

test('a number is taken for the run of the machine that the address names', () => {
  runs.value = [run('x', 7, 'web1'), run('y', 7, 'db1')];
  known(TWO, '?host=db1');
  assert.equal(knownRun('7')?.id, 'y');
  known(TWO);
  assert.equal(knownRun('7'), null, 'which one is for the dashboard to ask');
  assert.equal(knownRun('x')?.id, 'x');
  known(ONE);
  assert.equal(knownRun('7')?.id, 'x');
});

test('the switch keeps the page and its filters, but not what is of one machine', () => {
  assert.equal(pageOf('db1', '/history', '?status=failed&host=web1'), '/history?status=failed&host=db1');
  assert.equal(pageOf('', '/history', '?status=failed&host=web1'), '/history?status=failed');
  assert.equal(pageOf('db1', '/runs/7', '?host=web1'), '/?host=db1');
  assert.equal(pageOf('', '/containers', '?host=web1'), '/', 'there is no page of all containers');
  assert.equal(pageOf('db1', '/containers', ''), '/containers?host=db1');
  assert.equal(pageOf('db1', '/commands', '?run=pg.dump'), '/commands?host=db1');
});

test('documents say whose each thing is; of one machine they need not', () => {
  const command = { id: 'a', title: 'A', inputs: [], confirm: false, danger: 'low', timeout_us: 0, kill_after_us: 0, user: 'u', argv_shape: [], outputs: [] };
  const union = decodeCatalog({ config_digest: '', commands: [{ ...command, host: 'web1' }, { ...command, host: 'db1' }], flows: [] }, 'catalog');
  assert.deepEqual(union.entries.map((e) => e.host), ['web1', 'db1']);
  assert.equal(decodeCatalog({ config_digest: '', commands: [command], flows: [] }, 'catalog').entries[0]!.host, '');
  const refused = (more: object) => decodeCatalog({ config_digest: '', commands: [], flows: [], ...more }, 'catalog').refused;
  assert.deepEqual(refused({ config_error: null }), []);
  assert.deepEqual(refused({ config_error: 'line 3' }), [{ host: '', error: 'line 3' }]);
  assert.deepEqual(refused({ config_error: 'line 3', hosts: [{ host: 'web1', title: 'web1', primary: true, digest: null, error: 'line 3' }, { host: 'db1', title: 'db1', primary: false, digest: 'c0', error: null }] }), [{ host: 'web1', error: 'line 3' }]);
  const flow = { flow: 'f', title: 'F', rules: [], next_us: null, last_run: null, paused: false, paused_by: null, reason: null };
  const plan = decodeSchedule({ flows: [flow, { ...flow, host: 'db1' }], maintenance: true, maintenance_reason: 'work' }, 'schedule');
  assert.deepEqual([plan.flows.map((f) => f.host), plan.maintenance], [['', 'db1'], [{ host: '', on: true, reason: 'work', error: '', asOf: 0 }]]);
  const each = decodeSchedule({ flows: [], maintenance: false, maintenance_reason: null, hosts: [{ host: 'web1', maintenance: false }, { host: 'db1', maintenance: true, maintenance_reason: 'x', error: 'away', as_of_us: 5 }] }, 'schedule');
  assert.deepEqual(each.maintenance, [{ host: 'web1', on: false, reason: '', error: '', asOf: 0 }, { host: 'db1', on: true, reason: 'x', error: 'away', asOf: 5 }]);
  const row = { id: 1, time_us: 1, source: 'agent', event: 'x', actor: null, data: {} };
  assert.deepEqual(decodeAudit({ entries: [row, { ...row, host: 'db1' }], next: null, chain: 'verified' }, 'audit').entries.map((e) => e.host), ['', 'db1']);
});

test('what bears one id on two machines is told apart', () => {
  known(TWO);
  catalog.value = { digest: '', refused: [], entries: [entry('up', 'web1'), entry('up', 'db1', { title: 'Up there' })] };
  assert.equal(findEntry('command', 'up', 'db1')?.title, 'Up there');
  assert.equal(findEntry('flow', 'up', 'db1'), undefined);
  assert.deepEqual(hostMember(entry('up', 'db1')), { host: 'db1' });
  const list = grouped([entry('pg.dump', 'db1'), entry('pg.dump', 'web1'), entry('pg.restore', 'web1')], 'Flows', ['web1', 'db1']);
  assert.deepEqual(list.map((g) => [g.host, g.name, g.entries.length]), [['web1', 'pg', 2], ['db1', 'pg', 1]]);
  assert.deepEqual(grouped([entry('a.b', 'x'), entry('a.c', 'y')], 'Flows').map((g) => g.entries.length), [2]);
});

test('one machine away blocks what is its own, and nothing else', () => {
  connection.value = { kind: 'open' };
  known([TWO[0]!, host('db1', { state: 'away' })]);
  assert.equal(blockedOn('web1'), '');
  assert.equal(blockedOn('db1'), en.hostAway('db1'));
  known([host('thoth', { primary: true, state: 'refused' })]);
  assert.equal(blockedOn(''), en.agentAway);
});

test('machines that are away stand first, then by what is worst on them', () => {
  const seen = (name: string, level: MachineStatus['level'] | null, more: Partial<HostState> = {}) => ({ state: host(name, more), status: level && ({ level, sections: {} } as unknown as MachineStatus) });
  assert.deepEqual(ordered([seen('a', 'ok'), seen('b', 'bad'), seen('c', null), seen('d', 'ok', { state: 'away' }), seen('e', 'warn'), seen('f', 'ok')]).map((s) => s.state.host), ['d', 'b', 'e', 'c', 'a', 'f']);
});

test('the palette names the machine, finds by it, and asks of which a number is', () => {
  known(TWO);
  const entries = allEntries(en, { digest: '', refused: [], entries: [entry('up', 'web1'), entry('up', 'db1')] }, [run('x', 7, 'db1')]);
  assert.deepEqual(search('>up', entries).map((e) => e.detail).sort(), ['Web server · up', 'db1 · up']);
  assert.equal(search('up db1', entries)[0]?.detail, 'db1 · up');
  assert.equal(entries.find((e) => e.group === 'recent')?.detail, `db1 · ${en.status.succeeded}`);
  assert.deepEqual(search('#99', entries).map((e) => e.detail), ['Web server', 'db1']);
  assert.equal(entries.filter((e) => e.label.startsWith('Overview: ')).length, 2);
  here.value = { path: '/', query: '?host=db1', hash: '' };
  const atDb = allEntries(en, { digest: '', refused: [], entries: [entry('up', 'web1'), entry('up', 'db1')] }, [run('y', 8, 'web1'), run('x', 7, 'db1')]);
  for (const group of ['run', 'recent']) assert.match(atDb.find((e) => e.group === group)!.detail, /^db1 /, `${group}: of the machine that is looked at first`);
  here.value = { path: '/', query: '', hash: '' };
  known(ONE);
  const alone = allEntries(en, { digest: '', refused: [], entries: [entry('up', '')] }, []);
  assert.deepEqual(search('>up', alone).map((e) => e.detail), ['up']);
  assert.deepEqual(search('#99', alone).map((e) => e.detail), ['']);
});

test('a subscription says of which machine, unless it is the primary one', () => {
  const sent: unknown[] = [];
  const ws = { readyState: 1, binaryType: '', send: (text: string) => sent.push(JSON.parse(text)), close: () => undefined } as unknown as WebSocket;
  const socket = new LiveSocket({ connect: () => ws, now: () => 0, random: () => 0, setTimeout: () => 0, clearTimeout: () => undefined, online: () => true }, () => undefined);
  socket.start();
  ws.onopen!(new Event('open'));
  socket.subscribe({ topic: 'status', host: 'db1', onEvent: () => undefined });
  socket.subscribe({ topic: 'status', host: '', onEvent: () => undefined });
  assert.deepEqual(sent, [{ op: 'subscribe', topic: 'status', id: 1, host: 'db1' }, { op: 'subscribe', topic: 'status', id: 2 }]);
});
