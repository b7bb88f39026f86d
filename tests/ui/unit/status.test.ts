// How the machine is: puts and dels, the order of problems, lines, values as text.
import test from 'node:test';
import assert from 'node:assert/strict';
import { bySeverity, decodeStatus, merge, problems, SPARK_MS, without, worst, type Item, type Level } from '../../../ui/src/pages/overview/status.ts';
import { sparkPath } from '../../../ui/src/pages/overview/Sparkline.tsx';
import { SECTIONS, sectionAt, sectionPath } from '../../../ui/src/pages/resources/sections.ts';
import { groups } from '../../../ui/src/pages/resources/groups.ts';
import { tableRows } from '../../../ui/src/pages/resources/table.ts';
import { hostPanels, itemPanels, sparkKey } from '../../../ui/src/pages/resources/panels.ts';
import { decodeHistories, historiesPath } from '../../../ui/src/pages/overview/samples.ts';
import { databaseFact, valueTexts } from '../../../ui/src/pages/resources/values.ts';
import { lang } from '../../../ui/src/i18n/index.ts';
import { itemTitle } from '../../../ui/src/i18n/values.ts';
import { match } from '../../../ui/src/lib/router.ts';

const item = (id: string, level: Level = 'ok', since_us = 0): Item => ({ id, title: id, level, message: '', code: '', params: [], since_us, checked_us: 0, action: '', values: {} });
const status = (sections: Record<string, Item[]>) => ({ host: 'h', time_us: 1, level: 'ok' as const, interval_ms: 1000, sections });

test('a put replaces whole items, keeps their place and adds new ones', () => {
  const before = status({ host: [item('a'), item('b')], urls: [item('u')] });
  const after = merge(before, { time_us: 2, level: 'bad', sections: { host: [item('c'), item('a', 'bad')], units: [item('x')] } });
  assert.deepEqual(after.sections['host']!.map((i) => [i.id, i.level]), [['a', 'bad'], ['b', 'ok'], ['c', 'ok']]);
  assert.equal(after.sections['urls'], before.sections['urls']);
  assert.equal(after.sections['units']!.length, 1);
  assert.deepEqual([after.time_us, after.level], [2, 'bad']);
  assert.equal(before.sections['host']![0]!.level, 'ok');
});

test('a del takes one item away, also when its id holds slashes', () => {
  const before = status({ repositories: [item('/srv/a'), item('/srv/b')], urls: [item('u')] });
  assert.deepEqual(without(before, 'repositories//srv/a').sections['repositories']!.map((i) => i.id), ['/srv/b']);
  assert.equal('urls' in without(before, 'urls/u').sections, false);
  assert.deepEqual(without(before, 'nothing/at all').sections['urls'], before.sections['urls']);
});

test('problems come first: bad, warn, unknown; the newest of each before older ones', () => {
  const list = problems(status({ a: [item('ok'), item('u', 'unknown', 9), item('w1', 'warn', 1)], b: [item('w2', 'warn', 5), item('x', 'bad', 1)] }));
  assert.deepEqual(list.map((p) => p.item.id), ['x', 'w2', 'w1', 'u']);
  assert.deepEqual(bySeverity([item('1'), item('2'), item('3', 'bad')].map((i) => ({ item: i }))).map((p) => p.item.id), ['3', '1', '2']);
  assert.equal(worst([item('a'), item('b', 'unknown')]), 'unknown');
  assert.equal(worst([]), 'ok');
});

test('documents of a newer agent do no harm', () => {
  const read = decodeStatus({ host: 'h', time_us: 5, level: 'ok', interval_ms: 5000, more: 1, sections: { weather: [{ id: 'rain', title: 'Rain', level: 'wet', checked_us: null, values: {}, new: true }] } }, 'status');
  const [rain] = read.sections['weather']!;
  assert.deepEqual(rain, { id: 'rain', title: 'Rain', level: 'unknown', message: '', code: '', params: [], since_us: 0, checked_us: 0, action: '', values: {} });
  assert.throws(() => decodeStatus({ host: 'h', time_us: 5, level: 'ok', interval_ms: 1, sections: [] }, 'status'), /status\.sections/);
  assert.throws(() => decodeStatus({ host: 'h', time_us: 5, level: 'ok', interval_ms: 1, sections: { a: [{ id: 1 }] } }, 'status'), /status\.sections\.a\[0\]\.id/);
});

test('a line ends at the right and shows the last ninety seconds', () => {
  const end = 1e6;
  assert.equal(sparkPath([[end - SPARK_MS, 0], [end, 100]], end, 100), 'M0.0 27.0L100.0 1.0');
  assert.equal(sparkPath([[end - SPARK_MS - 1, 50]], end, 100), '');
  assert.equal(sparkPath([[end, 200]], end, 100), 'M100.0 1.0');
  assert.equal(sparkPath([[end, 0]], end, 0), 'M100.0 27.0');
});

test('every kind of thing has a page of its own', () => {
  for (const s of SECTIONS) {
    assert.equal(sectionAt(s.path), s.name);
    assert.deepEqual(match(s.path), { page: 'resources', section: s.name });
  }
  assert.equal(sectionPath('weather'), '/');
});

test('values are told by name and as what their names say they are; others by their own name', () => {
  const values = { used_pct: 12.5, rx_bps: 2e6, size: 1500, memory_bytes: 120e6, cpu_percent: 2.54, names: ['a', 'b'], read_only: false, count: 1234, nothing: null, deep: [{}], days_left: -2, load1: 1.42, cpu_us: 91e6, slowest_ms: 431000, time_ms: 80, odd_thing_bps: 5, container_id: 'x', listed: 0 };
  assert.deepEqual(Object.fromEntries(valueTexts(values)), {
    'In use': '12.5\u00a0%', Received: '2.0\u00a0MB/s', Size: '1.5\u00a0kB', Memory: '120\u00a0MB', Processor: '2.5\u00a0%', Names: 'a, b', 'Read-only': 'no', 'How many': '1,234',
    'Days left': '-2', 'Load, 1 min': '1.42', 'Processor time': '1m\u00a031s', 'Slowest statement': '7m\u00a011s', 'Answer after': '80\u00a0ms', 'odd thing': '5\u00a0B/s',
  });
});

test('a moment to come is told as one, and a number that is a name has no thousands', () => {
  const texts = Object.fromEntries(valueTexts({ not_after_us: Date.now() * 1000 + 4.9 * 86400e6, taken_us: Date.now() * 1000 - 7300e6, pid: 4711 }));
  assert.match(texts['Valid until']!, /\(in 4 days\)$/);
  assert.match(texts['Taken']!, /\(2 hr ago\)$/);
  assert.equal(texts['Main process'], '4711');
});

test('titles of the program’s own making are translated, those of people are not', async () => {
  assert.equal(itemTitle('host', { id: 'memory', title: 'Memory' }), 'Memory');
  const before = lang.peek();
  lang.value = 'nl';
  try {
    assert.equal(itemTitle('host', { id: 'memory', title: 'Memory' }), 'Geheugen');
    assert.equal(itemTitle('database', { id: 'maintenance', title: 'Maintenance' }), 'Onderhoud');
    assert.equal(itemTitle('units', { id: 'memory', title: 'Memory' }), 'Memory');
  } finally {
    lang.value = before;
  }
});

test('what to know first of the database bears its name', () => {
  assert.equal(databaseFact({ ...item('server'), values: { size_bytes: 84e6, connections: 7, connections_max: 100 } }), '84\u00a0MB · 7 of 100 connections');
  assert.equal(databaseFact({ ...item('maintenance'), values: { dead_pct: 1 } }), 'Dead rows, share: 1\u00a0%');
  assert.equal(databaseFact({ ...item('statements'), values: { active: 1 } }), 'Active: 1');
  assert.equal(databaseFact({ ...item('statements'), values: {} }), '');
});

const many = (id: string, values: Record<string, unknown>, level: Level = 'ok'): Item => ({ ...item(id, level), values });

test('containers stand by project, the worst first, those without one last', () => {
  const list = groups('docker', [many('a', { project: 'web' }), many('b', {}), many('c', { project: 'db' }), many('d', { project: 'web' }, 'bad'), many('e', { project: 'app' })]);
  assert.deepEqual(list.map((g) => [g.name, g.items.map((i) => i.id)]), [['web', ['d', 'a']], ['app', ['e']], ['db', ['c']], ['', ['b']]]);
});

test('timers stand apart, failed units come first', () => {
  const list = groups('units', [many('a.service', {}), many('b.timer', {}), many('c.service', {}, 'bad')]);
  assert.deepEqual(list.map((g) => [g.name, g.items.map((i) => i.id)]), [['', ['c.service', 'a.service']], ['timers', ['b.timer']]]);
  assert.deepEqual(groups('urls', []), []);
});

test('the host has its six panels, as far as they are measured', () => {
  const host = [
    many('cpu', { used_pct: 1, load1: 1, load5: 1, load15: 1 }), many('memory', { used_pct: 2 }), many('io', { read_bps: 1, write_bps: 1 }), many('network', { rx_bps: 1, tx_bps: 1 }),
    many('disk:/', { used_pct: 10 }), many('disk:/srv', { used_pct: 90 }),
  ];
  const panels = hostPanels(host);
  assert.deepEqual(panels.map((p) => p.id), ['cpu', 'memory', 'io', 'space', 'network', 'load']);
  assert.deepEqual(panels[3]!.lines.map((l) => l.key.join(' ')), ['host/disk:/srv used_pct', 'host/disk:/ used_pct']);
  assert.deepEqual(panels[5]!.lines.map((l) => l.label), ['load1', 'load5', 'load15']);
  assert.deepEqual(panels.map((p) => p.top), [100, 100, null, 100, null, null]);
  assert.deepEqual(hostPanels([many('cpu', { used_pct: 'x' })]), []);
});

test('of an item what changes is drawn, best first', () => {
  assert.deepEqual(itemPanels('docker', many('web', { restarts: 1, memory_bytes: 5, cpu_percent: 1, image: 'x', memory_limit_bytes: 9 })).map((p) => p.id), ['cpu_percent', 'memory_bytes', 'restarts']);
  assert.deepEqual(sparkKey('units', many('a.service', { memory_bytes: 5 })), ['units/a.service', 'memory_bytes']);
  assert.equal(sparkKey('units', many('a.timer', {})), null);
});

test('the question for samples names pairs; what comes back may have gaps', () => {
  assert.equal(historiesPath([['host/cpu', 'used_pct'], ['docker/a b', 'x']], 1.5, 2), '/status/histories?item=host%2Fcpu&value=used_pct&item=docker%2Fa+b&value=x&from=2000&to=2000');
  assert.match(historiesPath([['host/cpu', 'used_pct']], 1, 2, 'db1'), /&to=2000&host=db1$/);
  const series = decodeHistories({ from_us: 0, to_us: 1, series: [{ item: 'host/cpu', value: 'v', step_us: 1e7, samples: [[5000, 1.5], [10005000, null]] }] }, 'x');
  assert.deepEqual(series, [{ item: 'host/cpu', value: 'v', stepMs: 10000, points: [[5, 1.5], [10005, null]] }]);
  assert.throws(() => decodeHistories({ from_us: 0, to_us: 1, series: [{ item: 'a', value: 'v', step_us: 1, samples: [[1, 'x']] }] }, 'x'));
  assert.throws(() => decodeHistories({ from_us: 0, to_us: 1, series: [{ item: 'a', value: 'v', step_us: 1, samples: [[null, 1]] }] }, 'x'), /without a time/);
});

test('a table tells averages, without what was not measured', () => {
  assert.deepEqual(tableRows([1, 2, 3, 4, 5], [[1, 3, null, null, 5]], 3), [{ ms: 1, values: [2] }, { ms: 5, values: [5] }]);
});

test('a line is broken where nothing was measured', () => {
  // A minute that is not kept yet is no hole; more is.
  const line = [0, 10, 20, 30, 40, 100, 200].map((at) => [at * 1000, 0] as const);
  assert.equal(sparkPath(line, 2e5, 1, 2e5), 'M0.0 27.0L5.0 27.0L10.0 27.0L15.0 27.0L20.0 27.0L50.0 27.0M100.0 27.0');
});
