// Ranking, validation, words, decoding, times, addresses: what pages are made of.
import test from 'node:test';
import assert from 'node:assert/strict';
import { en, type Words } from '../../../ui/src/i18n/en.ts';
import { nl } from '../../../ui/src/i18n/nl.ts';
import { eventText } from '../../../ui/src/log/view/rowview.ts';
import { rank, score } from '../../../ui/src/lib/fuzzy.ts';
import { dashboardNow, noteDate } from '../../../ui/src/lib/clock.ts';
import { allEntries, search } from '../../../ui/src/app/palette/entries.ts';
import { match } from '../../../ui/src/lib/router.ts';
import { initialValues, problemOf, toInputs } from '../../../ui/src/lib/validate.ts';
import { bytes, duration, offsetTime, running } from '../../../ui/src/lib/format.ts';
import { quoteArgv } from '../../../ui/src/pages/commands/quote.ts';
import { decodeAudit, decodeCatalog, decodePlan, decodeRun, decodeRuns, decodeSchedule, type CatalogEntry, type InputSpec, type InputType } from '../../../ui/src/api/types.ts';
import { decodeSystem, isAway } from '../../../ui/src/live/system.ts';

function spec(type: InputType, more: Partial<InputSpec> = {}): InputSpec {
  return { name: 'x', type, title: '', description: '', required: false, default: null, min: null, max: null, max_length: null, pattern: '', values: [], under: '', schemes: [], ...more };
}
const bad = (s: InputSpec, v: string) => problemOf(s, v, en) !== '';

test('both languages have the same words, and none is empty', () => {
  const walk = (a: Record<string, unknown>, b: Record<string, unknown>, at: string) => {
    assert.deepEqual(Object.keys(a).sort(), Object.keys(b).sort(), at);
    for (const k of Object.keys(a)) {
      const x = a[k];
      const y = b[k];
      assert.equal(typeof x, typeof y, `${at}.${k}`);
      if (typeof x === 'object' && x !== null) walk(x as Record<string, unknown>, y as Record<string, unknown>, `${at}.${k}`);
      else if (typeof x === 'string') assert.ok(x !== '' && y !== '', `${at}.${k}`);
      else assert.equal((x as (...a: unknown[]) => string).length, (y as (...a: unknown[]) => string).length, `${at}.${k} takes other arguments`);
    }
  };
  walk(en as unknown as Record<string, unknown>, nl as unknown as Record<string, unknown>, 'words');
  const typed: Words = nl;
  assert.ok(typed);
});

test('the palette prefers beginnings, words and one piece', () => {
  const items = ['Dump a database', 'Deploy web', 'Update packages', 'host.disk'];
  const best = (q: string) => rank(q, items, (x) => x)[0];
  assert.equal(best('de'), 'Deploy web');
  assert.equal(best('dw'), 'Deploy web');
  assert.equal(best('dad'), 'Dump a database');
  assert.equal(best('hd'), 'host.disk');
  assert.ok(score('dpdb', 'Dump the database pg.dump') > 0, 'the start of a word is not worth the rest');
  assert.equal(rank('zzz', items, (x) => x).length, 0);
  assert.equal(rank('', items, (x) => x).length, 4);
  assert.ok(score('pack', 'Update packages') > score('pack', 'p a c k'));
  assert.equal(rank('e', items, (x) => x, (x) => (x === 'host.disk' ? 5000 : 0)).includes('host.disk'), false, 'a bonus is no match');
});

test('inputs are checked by type before they are sent', () => {
  assert.ok(bad(spec('string', { required: true }), ''));
  assert.ok(!bad(spec('string'), ''));
  assert.ok(bad(spec('string'), '-rf'));
  assert.ok(!bad(spec('string', { pattern: '-.*' }), '-rf'));
  assert.ok(bad(spec('string'), 'a\nb'));
  assert.ok(bad(spec('string', { max_length: 3 }), 'abcd'));
  assert.ok(!bad(spec('string', { max_length: 3 }), '日本語'));
  assert.ok(bad(spec('string', { pattern: '[a-z]+' }), 'abc1'), 'patterns are anchored');
  assert.ok(!bad(spec('string', { pattern: '(?<a' }), 'anything'), 'what the browser cannot read, the agent will');
  for (const v of ['010', '+1', '1e3', '1.5', ' 1', '-0']) assert.ok(bad(spec('int'), v), v);
  for (const v of ['0', '7', '-12']) assert.ok(!bad(spec('int'), v), v);
  assert.ok(bad(spec('int', { min: 1, max: 10 }), '11') && bad(spec('int', { min: 1 }), '0'));
  for (const v of ['.x', 'a..b', 'a b', '-a', '']) assert.equal(bad(spec('slug'), v), v !== '', v);
  for (const v of ['30s', '1h30m', '500ms', '7d', '0']) assert.ok(!bad(spec('duration'), v), v);
  for (const v of ['5 m', '5M', '1m1h', 's', '']) assert.equal(bad(spec('duration'), v), v !== '', v);
  for (const v of ['db-1.example.org', '10.0.0.1', '::1', 'fe80::', '::ffff:10.0.0.1']) assert.ok(!bad(spec('host'), v), v);
  for (const v of ['-a', 'a-', 'a_b', 'a b', 'host:80']) assert.ok(bad(spec('host'), v), v);
  assert.ok(bad(spec('path'), '/srv/../etc'));
  assert.ok(bad(spec('url', { schemes: ['https'] }), 'http://x/') && !bad(spec('url', { schemes: ['https'] }), 'https://x/'));
  assert.ok(bad(spec('enum', { values: ['a'] }), 'b'));
});

test('values are sent as JSON of their type, what is empty is left to its default', () => {
  const specs = [spec('int', { name: 'n' }), spec('bool', { name: 'b' }), spec('string', { name: 's' }), spec('string', { name: 'e' }), spec('int', { name: 'odd' })];
  assert.deepEqual(toInputs(specs, { n: '7', b: 'true', s: 'x', e: '', odd: '0x7' }), { n: 7, b: true, s: 'x', odd: '0x7' });
});

test('a form begins with given, then remembered, then default values; never with a secret', () => {
  const specs = [spec('string', { name: 'a', default: 'd' }), spec('enum', { name: 'e', values: ['x', 'y'], default: 'x' }), spec('secret', { name: 's' }), spec('bool', { name: 'b' })];
  assert.deepEqual(initialValues(specs, { a: '1', s: '***' }, { a: '2', e: 'y' }), { a: '1', e: 'y', s: '', b: 'false' });
  assert.deepEqual(initialValues(specs, null, { e: 'gone', a: 5 }), { a: 'd', e: 'x', s: '', b: 'false' });
});

test('addresses', () => {
  assert.deepEqual(match('/'), { page: 'overview' });
  assert.deepEqual(match('/runs/1482'), { page: 'run', id: '1482' });
  assert.deepEqual(match('/runs/019ab4c5-0000-7000-8000-000000001482'), { page: 'run', id: '019ab4c5-0000-7000-8000-000000001482' });
  for (const p of ['/runs', '/runs/a/b', '/runs/../x', '/x', '/commands/pg.dump']) assert.equal(match(p).page, 'notFound', p);
});

test('sizes and times are short', () => {
  const nb = (s: string) => s.replace(/\u00a0/g, ' ');
  assert.equal(nb(bytes(0)), '0 B');
  assert.equal(nb(bytes(1234)), '1.2 kB');
  assert.equal(nb(bytes(38_400_000)), '38 MB');
  assert.equal(nb(duration(400_000)), '0.4 s');
  assert.equal(nb(duration(72e6)), '1m 12s');
  assert.equal(nb(duration(7380e6)), '2h 03m');
  assert.equal(nb(duration(59.97e6)), '1m 00s');
  assert.equal(nb(running(7.9e6)), '7 s');
  assert.equal(offsetTime(62_345_678), '+01:02.345');
});

test('argv is shown as a shell would read it', () => {
  assert.equal(quoteArgv(['/bin/x', '--a=b c', "it's", '']), `/bin/x '--a=b c' 'it'\\''s' ''`);
});

const RUN = {
  id: '019ab4c5-0000-7000-8000-000000000001', number: 1, host: 'h', kind: 'command', name: 'x', title: 'X', status: 'running', reason: null, exit_code: null, signal: null, inputs: { n: '1' },
  actor: 'user:ann', trigger: 'manual', config_digest: 'c0', created_us: 1, started_us: null, finished_us: null, bytes: 0, lines: 0, size: 0, truncated: false, of_a_later_version: 1,
};

test('documents are read with what is null filled in, and without what the page does not know', () => {
  const r = decodeRun(RUN, 'run');
  assert.equal(r.reason, '');
  assert.equal(r.started_us, 0);
  assert.deepEqual(r.inputs, { n: '1' });
  assert.deepEqual(r.steps, []);
  assert.equal(r.exit_code, null);
  assert.ok(!('of_a_later_version' in r));
  assert.equal(decodeRun({ ...RUN, status: 'of_a_later_version' }, 'run').status, 'queued');
  assert.equal(decodeRuns({ runs: [RUN], next: null, agent: 'connected', history: 'ok' }, 'runs').next, '');
  const audit = decodeAudit({ entries: [], next: null, chain: 'of_a_later_version' }, 'audit');
  assert.equal(audit.chain, 'unknown', 'never taken for good');
});

test('documents of another shape are refused with the place', () => {
  assert.throws(() => decodeRun({ ...RUN, number: 'one' }, 'run'), /run\.number: expected number/);
  const { title: _title, ...without } = RUN;
  assert.throws(() => decodeRun(without, 'run'), /run\.title: expected string, got undefined/);
  assert.throws(() => decodeRuns({ runs: {} }, 'runs'), /runs\.runs: expected array/);
  assert.throws(() => decodeCatalog(null, 'catalog'), /catalog: expected object/);
  assert.throws(() => decodePlan({ plan: [{ step: 'a', argv: [1], user: 'u' }] }, 'plan'), /plan\.plan\[0\]\.argv\[0\]/);
});

const part = (state: string, more = {}) => ({ state, since_us: 1, reason: '', ...more });
const systemOf = (more = {}) => ({ version: '1', boot_id: 'b', host: 'h', agent: part('connected', { host: 'thoth' }), database: part('ready', { read_only: false }), archiver: part('idle', { catching_up: false, behind_runs: 0, behind_bytes: 0 }), ...more });

const agent = (more: object) => ({ title: '', primary: false, state: 'connected', since_us: 1, reason: '', agent_id: '', agent_version: '', config_digest: '', started_us: 0, ...more });

test('the system document is looked at; of one agent or of several', () => {
  const one = decodeSystem(systemOf({ agent: part('refused', { reason: 'wrong secret' }), database: part('down', { read_only: false }) }), 'system');
  assert.deepEqual(one.agents, [{ host: 'h', title: '', primary: true, state: 'refused', since_us: 1, reason: 'wrong secret' }]);
  assert.ok(isAway(one.agents[0]!) && one.history.down && one.history.catchingUp);
  assert.equal(decodeSystem(systemOf(), 'system').host, 'thoth');
  const two = decodeSystem(systemOf({ agents: [agent({ host: 'web1', title: 'Web', primary: true }), agent({ host: 'db1', title: 'db1', state: 'gone', reason: 'x' })] }), 'system');
  assert.deepEqual(two.agents.map((a) => [a.host, a.title, a.primary, a.state]), [['web1', 'Web', true, 'connected'], ['db1', '', false, 'connecting']]);
  assert.throws(() => decodeSystem(systemOf({ agent: {} }), 'system'), /system\.agent\.state/);
  assert.throws(() => decodeSystem(systemOf({ agents: [agent({ title: 'x' })] }), 'system'), /system\.agents\[0\]\.host/);
});

test('an answer says which one it was, whose, and why', () => {
  const look = { dark: false, wrap: false, times: 'off', startUs: 0, steps: [] } as unknown as Parameters<typeof eventText>[1];
  const said = (approve: boolean, comment = '') =>
    eventText({ name: 'step.approved', step: 0, fields: { step_id: 'gate', approve, actor: 'user:ann', comment } } as unknown as Parameters<typeof eventText>[0], look);
  assert.deepEqual([said(true).words, said(true).detail], ['gate was approved', 'ann']);
  assert.deepEqual([said(false, 'too early').words, said(false, 'too early').detail], ['gate was rejected', 'ann · too early']);
});

test('each attempt of a step has its own end and time', () => {
  const step = { index: 0, id: 'left', uses: '', title: 'Left', phase: 'main', status: 'succeeded', attempt: 2, started_us: 1e6, finished_us: 13e6 };
  const look = { dark: false, wrap: false, times: 'off', startUs: 0, steps: [step] } as unknown as Parameters<typeof eventText>[1];
  const begins = (attempt: number, timeUs: number) => eventText({ name: 'step.started', step: 0, timeUs, fields: { step_id: 'left', attempt } } as unknown as Parameters<typeof eventText>[0], look);
  assert.deepEqual([begins(1, 1e6).tone, begins(1, 1e6).detail], ['step failed', '']);
  assert.deepEqual([begins(2, 11e6).tone, begins(2, 11e6).detail], ['step succeeded', '2.0\u00a0s']);
});

test('the fixture that page tests run on answers as the API does', async () => {
  // @ts-expect-error: plain JavaScript
  const { CATALOG, makeRuns, schedule } = (await import('../fixture/data.mjs')) as unknown as { CATALOG: unknown; makeRuns(): { doc: unknown }[]; schedule(runs: unknown[]): unknown };
  assert.ok(decodeCatalog(CATALOG, 'catalog').entries.length > 5);
  const runs = makeRuns();
  for (const r of runs) decodeRun(r.doc, 'run');
  assert.equal(decodeSchedule(schedule(runs), 'schedule').flows[0]!.title, 'Backup');
});

test('times go by the dashboard where the browser is far off', () => {
  const at = (ms: number) => new Date(Date.now() + ms).toUTCString();
  noteDate(at(0));
  assert.ok(Math.abs(dashboardNow() - Date.now()) < 100);
  noteDate(at(3_600_000));
  assert.ok(Math.abs(dashboardNow() - Date.now() - 3_600_000) < 2000);
  noteDate(null);
  noteDate('yesterday');
  assert.ok(dashboardNow() - Date.now() > 3_000_000, 'an answer without a date says nothing');
  noteDate(at(2000));
  assert.ok(Math.abs(dashboardNow() - Date.now()) < 100, 'seconds are left alone');
});

test('what people ran lately comes first in the palette; what runs by itself does not', () => {
  const entry = (id: string) => ({ kind: 'command', id, title: id, host: 'h', group: '', description: '', icon: '', inputs: [], confirm: false, danger: 'low', user: '', steps: [] }) as unknown as CatalogEntry;
  const ran = (name: string, number: number, trigger: string) => decodeRun({ ...RUN, id: `${number}`, number, name, trigger }, 'run');
  const entries = allEntries(en, { digest: '', refused: [], entries: ['alpha', 'beta', 'gamma', 'delta'].map(entry) }, [ran('delta', 4, 'schedule'), ran('gamma', 3, 'manual'), ran('beta', 2, 'rerun:1'), ran('gamma', 1, 'manual')]);
  assert.deepEqual(search('', entries).slice(0, 4).map((e) => e.label), ['gamma', 'beta', 'alpha', 'delta']);
  assert.equal(search('>ma', entries)[0]!.label, 'gamma');
  assert.deepEqual(search('ta', entries).filter((e) => e.group === 'run').slice(0, 2).map((e) => e.label), ['beta', 'delta']);
});
