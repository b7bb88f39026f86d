// What the dashboard and the agent say in English, on a Dutch page.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { ApiError } from '../../../ui/src/api/http.ts';
import { lang, loadWords, problemWords, statusWords } from '../../../ui/src/i18n/index.ts';
import { problems } from '../../../ui/src/i18n/problems.nl.ts';
import { sentences } from '../../../ui/src/i18n/status.nl.ts';
import { errorText } from '../../../ui/src/ui/Notice.tsx';

const said = (code: string, ...params: string[]) => ({ message: 'what was sent', code, params });

/** A test on a page that is read in Dutch. */
function dutch(name: string, fn: () => void): void {
  test(name, async () => {
    await loadWords('nl');
    lang.value = 'nl';
    try {
      fn();
    } finally {
      lang.value = 'en';
    }
  });
}

dutch('a code is told in Dutch, and what its sentence says beyond that stays beside it', () => {
  assert.deepEqual(problemWords('finished', 'The run has ended already.'), { words: problems['finished']![0], sent: '' });
  assert.deepEqual(problemWords('agent_unavailable', 'The agent cannot be reached: no such file.'), { words: problems['agent_unavailable']![0], sent: 'The agent cannot be reached: no such file.' });
  assert.equal(problemWords('of_tomorrow', 'Something new.'), null);
  assert.equal(problemWords('constructor', 'x'), null);
  assert.equal(errorText(new ApiError(409, 'conflict', '')), problems['conflict']![0]);
  assert.equal(errorText(new ApiError(400, 'of_tomorrow', 'Something new.')), 'Something new.');
});

test('in English the sentence is the dashboard\u2019s own', async () => {
  await loadWords('nl');
  assert.equal(problemWords('finished', 'The run has ended already.'), null);
  assert.equal(statusWords(said('disk_full', '97')), null);
  assert.equal(errorText(new ApiError(409, 'finished', 'The run has ended already.')), 'The run has ended already.');
});

dutch('why an item is not well is told by its code, with the numbers and names that were sent', () => {
  const cases: [string, string[], string | null][] = [
    ['disk_full', ['97'], '97 % vol'],
    ['unit_failed_how', ['exit-code'], 'is mislukt (exit-code)'],
    ['unit_failed', [], 'is mislukt'],
    ['repository_behind', ['1', 'origin/main'], '1 commit achter op origin/main'],
    ['repository_behind', ['2', 'origin/main'], '2 commits achter op origin/main'],
    ['container_restarted', ['12', '4'], '12 s geleden door Docker herstart, 4 keer sinds hij is gemaakt'],
    ['url_text', ['$1 {0} (a+b)'], 'in het antwoord staat \u2018$1 {0} (a+b)\u2019 niet'],
    // Of an older agent, of a newer one, and what is not whole: as it was sent.
    ['', [], null],
    ['of_tomorrow', ['1'], null],
    ['toString', [], null],
    ['disk_full', [], null],
  ];
  for (const [code, params, words] of cases) assert.equal(statusWords(said(code, ...params)), words, code);
});

/** The codes that the C sources send, with how many params each has. */
function sent(): Map<string, Set<number>> {
  const codes = new Map<string, Set<number>>();
  const root = `${__VECTORS__}/../..`;
  const probes = readdirSync(`${root}/agent/probes`).filter((f) => f.endsWith('.c')).map((f) => readFileSync(`${root}/agent/probes/${f}`, 'utf8').replace(/^void finding_raise\([\s\S]*?^\}/m, ''));
  for (const source of probes) {
    const calls = source.split('finding_raise(').slice(1);
    for (const call of calls) {
      const found = /^[\s\S]*?\bLEVEL_[A-Z]+,\s*(NULL|"([a-z_]+)"),\s*((?:"(?:[^"\\]|\\.)*"\s*)+)/.exec(call);
      assert.ok(found, `a code and a sentence: ${call.slice(0, 120)}`);
      const [, , code, format] = found;
      const n = format!.replaceAll('%%', '').split('%').length - 1;
      if (code !== undefined) codes.set(code, (codes.get(code) ?? new Set()).add(n));
      else assert.equal(format!.trim(), '"%s"', 'without a code is only what is a sentence of its own');
    }
  }
  const database = readFileSync(`${root}/core/app/status/dbitems.c`, 'utf8');
  for (const [, code] of database.matchAll(/\bsay\(r, "([a-z_]+)"/g)) codes.set(code!, new Set([code === 'db_connections' ? 2 : 1]));
  return codes;
}

test('every code that is sent has its Dutch, with a place for each param, and the other way round', () => {
  const codes = sent();
  assert.ok(codes.size > 50);
  assert.deepEqual([...codes.keys()].sort(), Object.keys(sentences).sort());
  for (const [code, counts] of codes) {
    assert.equal(counts.size, 1, `${code} has as many params each time`);
    for (const form of [sentences[code]!].flat()) {
      const places = [...new Set([...form.matchAll(/\{(\d)\}/g)].map((m) => m[1]))].sort();
      assert.deepEqual(places, Array.from({ length: [...counts][0]! }, (_, i) => String(i)), code);
    }
  }
});

/** All C sources below a folder, as one text. */
function sources(folder: string): string {
  return readdirSync(folder)
    .map((f) => (f.endsWith('.c') ? readFileSync(`${folder}/${f}`, 'utf8') : f.includes('.') || f === 'migrations' ? '' : sources(`${folder}/${f}`)))
    .join('\n');
}

test('every code of a problem that the dashboard can answer has its Dutch, and the other way round', () => {
  const all = sources(`${__VECTORS__}/../../core`);
  // Behind a status (calls, tables), and what has none: errors of subscriptions, codes that are set by name.
  const places = [/\b[45]\d\d,\s*"([a-z]+(?:_[a-z]+)*)"/g, /\bsub_fail\(\s*\w+,\s*"([a-z_]+)"/g, /\bsend_error\([^;]*?,\s*"([a-z_]+)"/g, /\.code = "([a-z_]+)"/g, /\{MSG_\w+, "([a-z_]+)"\}/g];
  const codes = new Set(places.flatMap((p) => [...all.matchAll(p)].map((m) => m[1]!)));
  assert.ok(codes.size > 60);
  assert.deepEqual([...codes].sort(), Object.keys(problems).sort());
});
