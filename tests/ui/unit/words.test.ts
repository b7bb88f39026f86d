// What the dashboard and the agent say in English, on a Dutch page.
import test from 'node:test';
import assert from 'node:assert/strict';
import { ApiError } from '../../../ui/src/api/http.ts';
import { lang, loadWords, problemWords, statusWords } from '../../../ui/src/i18n/index.ts';
import { problems } from '../../../ui/src/i18n/problems.nl.ts';
import { sentences, translate } from '../../../ui/src/i18n/status.nl.ts';
import { errorText } from '../../../ui/src/ui/Notice.tsx';

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
  assert.equal(statusWords('host', '97 % full'), null);
  assert.equal(errorText(new ApiError(409, 'finished', 'The run has ended already.')), 'The run has ended already.');
});

dutch('sentences of the status are known by their section, with their numbers and names', () => {
  const said: [string, string, string | null][] = [
    ['host', '97 % full', '97 % vol'],
    ['host', '92 % in use for a while', 'al een tijd 92 % in gebruik'],
    ['units', 'has failed (exit-code)', 'is mislukt (exit-code)'],
    ['units', 'has failed', 'is mislukt'],
    ['backups', 'no backup yet: no file matches its pattern', 'nog geen back-up: geen bestand past bij het patroon'],
    ['repositories', '1 commit behind origin/main', '1 commit achter op origin/main'],
    ['docker', 'restarted by Docker 12 s ago, 4 times since it was created', '12 s geleden door Docker herstart, 4 keer sinds hij is gemaakt'],
    ['certificates', 'expires in 1 days', 'verloopt over 1 dag'],
    ['urls', "the answer does not hold '$1 (a+b)'", 'in het antwoord staat \u2018$1 (a+b)\u2019 niet'],
    ['units', '97 % full', null],
    ['host', 'something nobody foresaw', null],
    ['toString', 'x', null],
  ];
  for (const [section, sent, dutch] of said) assert.equal(statusWords(section, sent), dutch, sent);
});

test('a sentence and its translation have the same holes', () => {
  const holes = (s: string) => s.split('{}').length;
  for (const [section, list] of Object.entries(sentences)) {
    for (const [sent, dutch] of list) {
      assert.equal(holes(sent), holes(dutch), `${section}: ${sent}`);
      const filled = sent.replaceAll('{}', '7');
      assert.equal(translate(sentences, section, filled), dutch.replaceAll('{}', '7'), 'another one takes it');
    }
  }
});
