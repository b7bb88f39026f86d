// Parts of pages that need no browser.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { AuditEntry, Run } from '../../../ui/src/api/types.ts';
import { base32 } from '../../../ui/src/lib/base32.ts';
import { until } from '../../../ui/src/lib/format.ts';
import { qrMatrix } from '../../../ui/src/lib/qr.ts';
import { match } from '../../../ui/src/lib/router.ts';
import { isBad, summary } from '../../../ui/src/pages/audit/summary.ts';
import { ApiError } from '../../../ui/src/api/http.ts';
import { knownNames, missing } from '../../../ui/src/pages/audit/runNames.ts';
import { cancelAll } from '../../../ui/src/pages/history/PickBar.tsx';
import { merge, wantedOf } from '../../../ui/src/pages/history/wanted.ts';
import { stepName } from '../../../ui/src/ui/runText.ts';
import { browserName } from '../../../ui/src/pages/settings/browserName.ts';

// The digests are of codes that a reader (zbar) was seen to read.
const READ: [string, number, string][] = [
  ['hello', 21, '52a7aa67e7296ede'],
  ['otpauth://totp/Ops%20Dashboard%3Aadmin%40thoth.example.org?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Ops%20Dashboard', 45, 'c5072dc57f97f0f7'],
  ['x'.repeat(150), 49, '9782fa7f0642d3e6'],
  ['y'.repeat(100), 41, '7e493e4d3583ecb3'],
  ['z'.repeat(210), 57, 'b141ff964c95063a'],
];

test('QR codes are those that a reader reads', () => {
  for (const [text, size, digest] of READ) {
    const matrix = qrMatrix(text);
    assert.equal(matrix.length, size);
    assert.equal(createHash('sha256').update(matrix.map((row) => row.map(Number).join('')).join('\n')).digest('hex').slice(0, 16), digest, text.slice(0, 20));
  }
  assert.throws(() => qrMatrix('z'.repeat(214)), /too long/);
});

test('base32 is that of RFC 4648', () => {
  const of = (s: string) => base32(new TextEncoder().encode(s));
  assert.deepEqual(['', 'f', 'fo', 'foo', 'foob', 'fooba', 'foobar'].map(of), ['', 'MY', 'MZXQ', 'MZXW6', 'MZXW6YQ', 'MZXW6YTB', 'MZXW6YTBOI']);
  assert.equal(base32(new Uint8Array(20)).length, 32);
});

test('what is to come is told in one unit', () => {
  assert.deepEqual([30, 300, 3 * 3600, 3 * 86400].map((s) => until((1e6 + s) * 1e6, 1e9)), ['in 30 sec', 'in 5 min', 'in 3 hr', 'in 3 days']);
});

const run = (number: number, more: Partial<Run>): Run => ({ id: String(number), number, name: 'a', title: 'A', status: 'succeeded', created_us: number, actor: 'user:x', reason: '', ...more }) as Run;

test('the address of history says what is looked for, and live runs have to fit it', () => {
  assert.deepEqual(wantedOf('?status=failed&name=backup&q=%20x%20'), { status: 'failed', name: 'backup', q: 'x', host: '' });
  assert.deepEqual(wantedOf('?status=bogus'), { status: 'all', name: '', q: '', host: '' });
  assert.equal(wantedOf('?host=db1').host, 'db1');
  const loaded = [run(5, {}), run(3, {})];
  const numbers = (q: string, fresh: Run[]) => merge(loaded, fresh, wantedOf(q)).map((r) => r.number);
  assert.deepEqual(numbers('', [run(9, {}), run(2, {})]), [9, 5, 3], 'what is older than the page is not squeezed in');
  assert.deepEqual(numbers('?status=failed', [run(9, { status: 'failed' }), run(5, { status: 'lost' })]), [9, 5]);
  assert.deepEqual(numbers('?name=a', [run(9, { name: 'b' })]), [5, 3]);
  assert.deepEqual(merge([], [run(9, { host: 'web1' }), run(8, { host: 'db1' })], wantedOf('?host=db1')).map((r) => r.number), [8]);
  assert.deepEqual(numbers('?q=nightly', [run(9, { title: 'Nightly' }), run(8, { title: 'Daily' })]), [9, 5, 3]);
  assert.deepEqual(numbers('?q=%238', [run(9, {}), run(8, {}), run(88, {})]), [8, 5, 3]);
});

test('pages have their addresses', () => {
  for (const page of ['history', 'schedule', 'audit', 'more', 'settings'] as const) assert.deepEqual(match(`/${page}`), { page });
  assert.deepEqual(match('/audit/1'), { page: 'notFound' });
});

test('an audit entry is told in one line, without what other columns say', () => {
  const entry = (event: string, data: Record<string, unknown>): AuditEntry => ({ id: 1, time_us: 1, source: 'agent', event, actor: '', address: '', request_id: '', run: '', host: '', data });
  assert.equal(summary(entry('run.started', { event: 'run.started', name: 'backup', number: 7, kind: 'flow', prev: 'ab', inputs: {} })), 'backup #7 kind=flow');
  assert.equal(summary(entry('run.start', { object: 'backup', status: 201, host: 'vm', position: 12, trigger: 'manual' })), 'backup');
  assert.equal(summary(entry('run.start', { object: 'backup', status: 403 })), 'backup status=403');
  assert.equal(summary(entry('x', {})), '');
  assert.equal(summary(entry('run.sealed', { size: 4821, sha256: 'ab' }), 'Backup #7'), 'Backup #7 size=4821');
  assert.equal(summary(entry('run.finished', { number: 7, status: 'failed' }), 'Backup #7'), 'Backup #7 status=failed', 'its number once');
  assert.equal(summary(entry('run.started', { name: 'backup', number: 7 }), 'Backup #7'), 'backup #7');
  assert.ok(isBad(entry('login.failed', {})) && isBad(entry('secret.wrong', {})) && !isBad(entry('login.succeeded', {})));
});

test('runs that entries name by id alone are named by what is known; the others are asked for, each once', () => {
  const entry = (id: string, event: string, data: Record<string, unknown>): AuditEntry => ({ id: 1, time_us: 1, source: 'agent', event, actor: '', address: '', request_id: '', run: id, host: '', data });
  const entries = [entry('c', 'run.released', {}), entry('b', 'run.sealed', {}), entry('a', 'run.sealed', {}), entry('a', 'run.started', { name: 'backup', number: 3 }), entry('', 'config.loaded', {}), entry('c', 'run.sealed', {})];
  const names = knownNames(entries, [run(7, { id: 'b', title: 'Backup' })]);
  assert.deepEqual([...names], [['b', 'Backup #7'], ['a', 'backup #3']]);
  assert.deepEqual(missing(entries, names), ['c']);
});

test('of several runs that are cancelled, one that has ended is no error, and the first error is told', async () => {
  const asked: string[] = [];
  const answers: Record<string, unknown> = { b: new ApiError(409, 'finished', ''), c: new ApiError(503, 'agent_unavailable', 'away'), d: new ApiError(500, 'internal', '') };
  const cancel = async (id: string) => {
    asked.push(id);
    if (answers[id]) throw answers[id];
  };
  assert.equal(await cancelAll([{ id: 'a' }, { id: 'b' }], cancel), null);
  assert.equal(await cancelAll(['a', 'b', 'c', 'd'].map((id) => ({ id })), cancel), answers['c']);
  assert.deepEqual(asked, ['a', 'b', 'a', 'b', 'c', 'd']);
});

test('steps of one title are told apart by their ids', () => {
  const steps = [{ id: 'left', title: 'Work' }, { id: 'right', title: 'Work' }, { id: 'gate', title: 'Go on?' }, { id: 'last', title: '' }];
  assert.deepEqual(steps.map((s) => stepName(s, steps)), ['left', 'right', 'Go on?', 'last']);
});

test('browsers are told apart', () => {
  assert.equal(browserName('Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0'), 'Firefox · Linux');
  assert.equal(browserName('Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Mobile Safari/537.36'), 'Chrome · Android');
  assert.equal(browserName('curl/8.9'), 'curl');
  assert.equal(browserName('some-script'), 'some-script');
});
