// What a command prints, and what things are called, is text: nothing of it becomes markup, a script, a link, a title
// or something on the clipboard.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../integration/lib/agent.mjs';
import { Dashboard } from '../integration/lib/dashboard.mjs';
import { FakeAgent, FakeRun } from '../integration/lib/fake-agent.mjs';
import { Postgres } from '../integration/lib/postgres.mjs';
import { launch, PHONE, TALL, Visitor } from './browser.mjs';

const MARKUP = '<img src=x onerror="globalThis.pwned=1">';
const LINES = [
  MARKUP,
  '<script>globalThis.pwned=2</script><svg onload=globalThis.pwned=3>',
  '</pre></div><iframe srcdoc="<script>parent.pwned=4</script>">',
  '{{constructor.constructor("globalThis.pwned=5")()}} ${globalThis.pwned=6} &lt;b&gt; &#x3c;b&#x3e;',
  'javascript:globalThis.pwned=7 data:text/html,<script>globalThis.pwned=8</script>',
];
// The one thing that becomes something: a link to a web address, which says where it leads.
const LINK = '\x1b]8;;https://elsewhere.example/a?b\x1b\\ours\x1b]8;;\x1b\\';
// Escape sequences and what is to be left of them.
const ESCAPES = [
  ['\x1b]0;stolen title\x07title', 'title'],
  ['\x1b]2;stolen title\x1b\\other end', 'other end'],
  ['\x1b]8;;javascript:globalThis.pwned=9\x07a link\x1b]8;;\x07', 'a link'],
  ['\x1b]52;c;c3RvbGVu\x07clipboard', 'clipboard'],
  ['\x1bP1$r0m\x1b\\device', 'device'],
  ['\x1b_application\x1b\\command', 'command'],
  ['\x1b[2J\x1b[3J\x1b[Hcleared', 'cleared'],
  ['\x1bcreset', 'reset'],
  ['\x1b[31mred\x1b[0m', 'red'],
  ['\x1b[?1049hother screen', 'other screen'],
  ['\x1b[5nreport', 'report'],
];

// With all that the page wants to know of a step.
class NamedRun extends FakeRun {
  document() {
    const run = super.document();
    const steps = run.steps.map((step) => ({
      title: step.id, phase: 'main', needs: [], status: 'succeeded', reason: null, attempt: 1, exit_code: 0, signal: null,
      started_us: run.started_us, finished_us: run.finished_us, offset: 0, approve: null, ...step, outputs: { [MARKUP]: MARKUP },
    }));
    return { ...run, title: MARKUP, steps };
  }
}

describe('the page shows as text', () => {
  let pg, agent, dashboard, browser, run;

  before(async () => {
    pg = await Postgres.start();
    agent = await FakeAgent.start();
    run = agent.add(new NamedRun({ name: MARKUP, steps: [MARKUP, 'javascript:globalThis.pwned=10'] }));
    for (const line of LINES) run.output(`${line}\n`);
    for (const [line] of ESCAPES) run.output(`${line}\n`);
    run.output(`${LINK}\n`).output('the end\n').finish();
    dashboard = await (await Dashboard.start({ agent, databaseUrl: pg.url })).connected({ database: true });
    await until('the run to be archived', () => run.released);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await dashboard?.destroy();
    await agent?.destroy();
    await pg?.destroy();
  });

  async function assertHarmless(visitor, links = []) {
    const found = await visitor.page.evaluate(() => ({
      pwned: globalThis.pwned,
      title: document.title,
      made: [...document.querySelectorAll('main img, main iframe, main script, [onerror], [onload], [srcdoc]')].map((e) => e.outerHTML),
      links: [...document.querySelectorAll('a[href]')].filter((a) => new URL(a.href).origin !== location.origin).map((a) => [a.href, a.rel, a.title]),
    }));
    assert.equal(found.pwned, undefined);
    assert.doesNotMatch(found.title, /stolen/);
    assert.deepEqual(found.made, []);
    assert.deepEqual(found.links, links);
  }

  for (const [name, viewport] of [['on a desk', TALL], ['on a phone', { ...PHONE, height: 6000 }]]) {
    it(`what a command prints, ${name}`, async () => {
      const visitor = await Visitor.open(browser, dashboard, { viewport });
      await visitor.arrive(`/runs/${run.number}`);
      await until('the last line', async () => (await visitor.lines()).some((line) => line?.trim() === 'the end'));
      const lines = await visitor.lines();
      for (const line of LINES) assert.ok(lines.some((shown) => shown?.trim() === line), `${line}: ${JSON.stringify(lines)}`);
      for (const [, left] of ESCAPES) assert.ok(lines.some((line) => line?.trim() === left), `${left}: ${JSON.stringify(lines)}`);
      await assertHarmless(visitor, [['https://elsewhere.example/a?b', 'noreferrer noopener', 'https://elsewhere.example/a?b']]);
      await visitor.leave();
    });
  }

  it('what runs and steps are called, and what is asked for in the address', async () => {
    const visitor = await Visitor.open(browser, dashboard);
    await visitor.arrive('/history');
    await visitor.page.getByText(MARKUP).first().waitFor();
    await assertHarmless(visitor);
    for (const path of [`/history?q=${encodeURIComponent(MARKUP)}`, `/runs/${encodeURIComponent(MARKUP)}`, `/nowhere/${encodeURIComponent(MARKUP)}`, `/#${MARKUP}`, '/login?next=javascript:globalThis.pwned=11', '/login?next=//evil.example/']) {
      await visitor.goto(path);
      await visitor.page.locator('body').filter({ hasText: /\S/ }).waitFor();
      await assertHarmless(visitor);
      assert.equal(new URL(visitor.page.url()).origin, dashboard.url);
    }
    await visitor.leave();
  });
});
