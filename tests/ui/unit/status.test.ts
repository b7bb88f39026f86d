// How the machine is: puts and dels, the order of problems, lines, values as text.
import test from 'node:test';
import assert from 'node:assert/strict';
import { bySeverity, decodeStatus, merge, problems, SPARK_MS, without, worst, type Item, type Level } from '../../../ui/src/pages/overview/status.ts';
import { sparkPath } from '../../../ui/src/pages/overview/Sparkline.tsx';
import { SECTIONS, sectionAt, sectionPath } from '../../../ui/src/pages/resources/sections.ts';
import { valueTexts } from '../../../ui/src/pages/resources/values.ts';
import { match } from '../../../ui/src/lib/router.ts';

const item = (id: string, level: Level = 'ok', since_us = 0): Item => ({ id, title: id, level, message: '', since_us, checked_us: 0, values: {} });
const status = (sections: Record<string, Item[]>) => ({ host: 'h', time_us: 1, interval_ms: 1000, sections });

test('a put replaces whole items, keeps their place and adds new ones', () => {
  const before = status({ host: [item('a'), item('b')], urls: [item('u')] });
  const after = merge(before, { time_us: 2, sections: { host: [item('c'), item('a', 'bad')], units: [item('x')] } });
  assert.deepEqual(after.sections['host']!.map((i) => [i.id, i.level]), [['a', 'bad'], ['b', 'ok'], ['c', 'ok']]);
  assert.equal(after.sections['urls'], before.sections['urls']);
  assert.equal(after.sections['units']!.length, 1);
  assert.equal(after.time_us, 2);
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
  const read = decodeStatus({ host: 'h', time_us: 5, more: 1, sections: { weather: [{ id: 'rain', level: 'wet', values: null, new: true }] } }, 'status');
  assert.deepEqual([read.sections['weather']![0]!.level, read.sections['weather']![0]!.title], ['unknown', '']);
  assert.throws(() => decodeStatus({ time_us: 5, sections: [] }, 'status'));
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

test('values are told by what their names say they are', () => {
  const texts = Object.fromEntries(valueTexts({ used_pct: 12.5, rx_bps: 2e6, size: 1500, names: ['a', 'b'], read_only: false, count: 1234, nothing: null, deep: [{}], days_left: -2 }));
  assert.deepEqual(texts, { 'used %': '12.5\u00a0%', rx: '2.0\u00a0MB/s', size: '1.5\u00a0kB', names: 'a, b', 'read only': '–', count: '1,234', 'days left': '-2' });
});
