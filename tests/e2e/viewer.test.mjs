// The log viewer on the real daemons, as the person who uses it: what is shown is what was written, whatever is folded,
// searched, picked, cut off or started anew. Visitor.leave() fails on any console error and any policy violation.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { until } from '../integration/lib/agent.mjs';
import { Stack } from '../integration/lib/stack.mjs';
import { DESKTOP, launch, PHONE, Visitor } from './browser.mjs';
import { talk } from './talk.mjs';

const LINES = 1_000_000;

describe('the log viewer', () => {
  let stack, browser;
  const runs = {};

  before(async () => {
    stack = await Stack.start({ catalogue: talk });
    browser = await launch();
    const { session } = stack;
    for (const [name, id, count] of [['all', 'talk.all', 0], ['million', 'talk.lines', LINES], ['lines', 'talk.lines', 60000], ['fail', 'talk.fail', 400], ['cut', 'talk.cut', 200000]])
      runs[name] = await session.run(id, { count });
    runs.steps = (await session.post('/api/v1/runs', { kind: 'flow', id: 'talk.steps', inputs: {} })).json.run;
    await until('the question', async () => (await session.get(`/api/v1/runs/${runs.steps.id}`)).json.run.steps.some((s) => s.status === 'waiting'));
    assert.equal((await session.post(`/api/v1/runs/${runs.steps.id}/approve`, { step: 'gate', approve: true })).status, 200);
    for (const name of Object.keys(runs)) runs[name] = await session.finished(runs[name].id);
  });
  after(async () => {
    await browser?.close();
    await stack?.destroy();
  });

  const raw = async (run) => (await stack.session.get(`/api/v1/runs/${run.id}/log?format=raw`)).bytes;

  // A visitor at a run, with what the tests below look at.
  async function look(run, { hash = '', viewport = DESKTOP, theme = 'light' } = {}) {
    const visitor = await Visitor.open(browser, stack.dashboard, { viewport, theme });
    await visitor.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await visitor.arrive(`/runs/${run.number}${hash}`);
    const { page } = visitor;
    page.setDefaultTimeout(60000);
    await page.locator('.lr:not(.wait)').first().waitFor();
    // The tools and the keys have come.
    await page.getByRole('button', { name: 'More', exact: true }).first().waitFor();
    await page.locator('.run-page > [role=status]').waitFor({ state: 'attached' });
    visitor.hasHash = (wanted) => page.waitForFunction((h) => location.hash === h, wanted);
    visitor.current = (words) => page.locator('.lr.current .lx', { hasText: words }).waitFor();
    visitor.counts = (text) => page.waitForFunction((wanted) => document.querySelector('.find-count')?.textContent.trim() === wanted, text);
    visitor.hits = async (text) => {
      await page.locator('.find-button, .find input').first().click();
      await page.locator('.find input').fill(text);
    };
    visitor.toasts = async (words) => {
      await page.locator('.toast', { hasText: words }).waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    visitor.number = (n) => page.locator('.lr:not(.pinned) .ln', { hasText: new RegExp(`^${n}$`) });
    visitor.above = (selector) => page.evaluate((s) => {
      const head = document.querySelector('.sticky-step')?.getBoundingClientRect().bottom ?? document.querySelector('.log-body').getBoundingClientRect().top;
      return (document.querySelector(s).getBoundingClientRect().top - head) / 20;
    }, selector);
    return visitor;
  }

  it('draws whatever a command prints, tells where a link leads, and copies it as it was', async () => {
    const visitor = await look(runs.all);
    const { page } = visitor;
    const lines = await visitor.lines();
    const shown = (n) => lines[n].trimEnd();
    assert.equal(shown(2), 'progress 100 %');
    assert.equal(shown(3), 'abYd');
    assert.equal(shown(4), 'short');
    assert.equal(shown(5), 'see the advisory for more');
    assert.equal(shown(7), 'no UTF-8: \\xff\\xfe\\xc3( end');
    assert.equal(shown(8), 'control: \\x01\\x07\\x7f end');
    assert.equal(shown(9), 'bidi: \\u202eabc\\u202c zero\\u200bwidth');
    assert.equal(await page.locator('.lx a').evaluate((a) => getComputedStyle(a, '::after').content), '" (debian.example)"');
    assert.equal(await page.locator('.lx a').count(), 1, 'no other address is a link');
    assert.equal(await page.locator('.lr.stderr.error .lx').innerText(), 'ERROR: could not find the thing');
    await page.locator('.more-bytes').click();
    await page.waitForFunction(() => document.querySelectorAll('.more-bytes').length === 0);
    assert.equal((await visitor.lines())[10].length, 12000 + 'long:  end'.length);
    await page.locator('.log-scroll').focus();
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Control+c');
    const text = await visitor.toasts('Copied');
    assert.equal(text.split('\n')[4], 'see the advisory for more', 'a host is no part of the text');
    assert.equal(text.split('\n')[8].length, 'bidi: \\u202eabc\\u202c zero\\u200bwidth'.length);
    await visitor.leave();
  });

  it('says with numbers what was dropped', async () => {
    const visitor = await look(runs.cut);
    await visitor.page.getByText(/^7\.2.MB of output were dropped: the limit is reached$/).waitFor();
    await visitor.page.getByText('output truncated').waitFor();
    await visitor.leave();
  });

  it('says of what it cannot show that it cannot', async () => {
    const run = await stack.session.run('talk.lines', { count: 60000 });
    await stack.session.finished(run.id);
    await until('the archive', async () => (await stack.pg.psql(`select complete from ops.runs where id = '${run.id}'`)).trim() === 't');
    await stack.pg.psql(`delete from ops.run_log where run_id = '${run.id}' and start_offset = (select max(start_offset) from ops.run_log where run_id = '${run.id}')`);
    rmSync(join(stack.agent.stateDir, 'runs', run.id), { recursive: true });
    const visitor = await Visitor.open(browser, stack.dashboard);
    await visitor.arrive(`/runs/${run.number}`);
    await visitor.page.locator('.log > .note.warn').getByText('What comes after this cannot be read now.').waitFor();
    await visitor.leave();
  });

  it('opens a failed run at its first error with three lines above, and goes on to the next with e and E', async () => {
    const visitor = await look(runs.fail);
    const { page } = visitor;
    await visitor.current('could not open the socket');
    assert.ok(await page.locator('.lr.current').isVisible());
    assert.ok((await visitor.above('.lr.current')) >= 2.9);
    assert.doesNotMatch((await page.locator('.follow-pill').allInnerTexts()).join(), /new/, 'of what has ended nothing is new');
    await page.keyboard.press('e');
    await visitor.current('giving up');
    await page.keyboard.press('Shift+E');
    await visitor.current('could not open the socket');
    assert.ok((await page.locator('.ticks .error').getAttribute('d')).length > 0);
    await visitor.leave();
  });

  it('opens a failed flow at the error of the step that failed, the others folded, with what is inside them', async () => {
    const visitor = await look(runs.steps);
    const { page } = visitor;
    await visitor.current('could not open the socket');
    await page.keyboard.press('Home');
    await page.locator('.lr.event.step.folded', { hasText: '3 errors inside' }).waitFor();
    await page.locator('.lr.event', { hasText: 'Talk again is tried again' }).waitFor();
    // steps by their list, by s and S, the header stays
    await page.locator('.step', { hasText: 'Talk fail' }).getByRole('button').click();
    await page.waitForFunction(() => document.querySelector('.lr.event.step')?.textContent.includes('Talk fail'));
    await page.keyboard.press('Shift+S');
    await page.waitForFunction(() => document.querySelector('.lr').textContent.includes('gate waits for an answer'));
    await page.keyboard.press('s');
    await page.waitForFunction(() => document.querySelector('.lr').textContent.includes('Talk fail'));
    await page.locator('.step', { hasText: 'Talk fail' }).getByRole('button').click();
    await page.locator('.log-scroll').hover();
    await page.mouse.wheel(0, 400);
    await page.locator('.sticky-step', { hasText: 'Talk fail' }).waitFor();
    await visitor.leave();
  });

  it('finds a hit in a folded step, opens the step and shows it with its surroundings', async () => {
    const visitor = await look(runs.steps);
    const { page } = visitor;
    await visitor.current('could not open the socket');
    await page.keyboard.press('Control+f');
    await page.keyboard.type('thing 1500');
    await visitor.counts('1 line');
    await page.keyboard.press('Enter');
    await visitor.current('thing 1500 went wrong');
    await visitor.counts('1 of 1');
    const above = await visitor.above('.lr.current');
    assert.ok(above >= 2.9 && above < 5, `${above} lines above`);
    assert.equal(await page.locator('.lr.current .mark').innerText(), 'thing 1500');
    await visitor.leave();
  });

  it('opens a permalink into a folded step of a failed run, cold', async () => {
    const visitor = await look(runs.steps, { hash: '#L1500-L1503' });
    const { page } = visitor;
    await page.waitForFunction(() => document.querySelectorAll('.lr.picked').length === 4);
    await visitor.hasHash('#L1500-L1503');
    const above = await visitor.above('.lr.picked');
    assert.ok(above >= 2.9 && above < 5, `${above} lines above`);
    await visitor.leave();
  });

  it('searches a million lines: smart case, expressions, n and N, only the hits, ticks', async () => {
    const visitor = await look(runs.million);
    const { page } = visitor;
    assert.ok((await page.evaluate(() => document.querySelectorAll('*').length)) < 1500, 'what is not seen is no element');
    await page.keyboard.press('/');
    await page.keyboard.type('error: THING');
    await visitor.counts('0 lines');
    await page.locator('.find input').fill('error: thing 99');
    await visitor.counts('11 lines');
    await page.keyboard.press('Enter');
    await visitor.counts('1 of 11');
    await visitor.current('thing 99500 ');
    await page.keyboard.press('Shift+Enter');
    await visitor.counts('11 of 11');
    await visitor.current('thing 999500 ');
    await page.getByRole('button', { name: 'Regular expression' }).click();
    await page.locator('.find input').fill('thing (12|13)500 went');
    await visitor.counts('2 lines');
    await page.keyboard.press('Enter');
    await visitor.counts('1 of 2');
    await page.locator('.log-scroll').focus();
    await page.keyboard.press('n');
    await visitor.counts('2 of 2');
    await visitor.current('thing 13500 went');
    await page.keyboard.press('Shift+N');
    await visitor.counts('1 of 2');
    await page.keyboard.press('m');
    await page.waitForFunction(() => [...document.querySelectorAll('.lr:not(.event) .ln')].map((e) => e.textContent).join() === '12498,12499,12500,12501,12502,13498,13499,13500,13501,13502');
    assert.ok((await page.locator('.ticks .hit').getAttribute('d')).length > 0);
    await page.locator('.find input').fill('(');
    await visitor.counts('not a pattern');
    await page.keyboard.press('Escape');
    await page.locator('.find').waitFor({ state: 'detached' });
    // the second Ctrl+F within a moment is left to the browser
    await page.evaluate(() => {
      globalThis.taken = [];
      addEventListener('keydown', (e) => { if (e.key === 'f') setTimeout(() => taken.push(e.defaultPrevented)); });
    });
    await page.keyboard.press('Control+f');
    await page.keyboard.press('Control+f');
    await page.waitForFunction(() => taken.length === 2);
    assert.deepEqual(await page.evaluate(() => taken), [true, false]);
    await visitor.leave();
  });

  it('picks lines by click, Shift, drag beyond the edge, and copies what the log says, without numbers', async () => {
    const bytes = (await raw(runs.lines)).toString().split('\n');
    const visitor = await look(runs.lines, { hash: '#L500' });
    const { page } = visitor;
    const at = async (n) => {
      const box = await visitor.number(n).boundingBox();
      return [box.x + box.width / 2, box.y + box.height / 2];
    };
    await visitor.number(505).click();
    await visitor.hasHash('#L505');
    await visitor.number(510).click({ modifiers: ['Shift'] });
    await visitor.hasHash('#L505-L510');
    await page.keyboard.press('c');
    assert.equal(await visitor.toasts('Copied'), bytes.slice(504, 510).join('\n'));
    await page.keyboard.press('y');
    assert.match(await visitor.toasts('Link'), new RegExp(`/runs/${runs.lines.number}#L505-L510$`));
    await page.mouse.move(...(await at(512)));
    await page.mouse.down();
    await page.mouse.move(...(await at(507)), { steps: 3 });
    await page.mouse.up();
    await visitor.hasHash('#L507-L512');
    // beyond the edge the log moves along
    const box = await page.locator('.log-scroll').boundingBox();
    await page.mouse.move(...(await at(507)));
    await page.mouse.down();
    await page.mouse.move(box.x + 20, box.y + box.height + 50, { steps: 3 });
    await page.waitForFunction(() => Number(location.hash.split('-L')[1]) > 600);
    await page.mouse.up();
    const [from, to] = (await page.evaluate(() => location.hash)).slice(2).split('-L').map(Number);
    assert.equal(from, 507);
    await page.keyboard.press('c');
    await until('the lines on the clipboard', async () => (await page.evaluate(() => navigator.clipboard.readText())) === bytes.slice(from - 1, to).join('\n'));
    await visitor.leave();
  });

  it('copies text that is selected from a place to one far below, whose rows have come and gone', async () => {
    const bytes = (await raw(runs.lines)).toString().split('\n');
    const visitor = await look(runs.lines, { hash: '#L1000' });
    const { page } = visitor;
    const text = (n) => page.locator('.lr:not(.pinned)', { has: page.locator('.ln', { hasText: new RegExp(`^${n}$`) }) }).locator('.lx');
    // by a few rows, and by more than are kept ready
    for (const rows of [300, 4000]) {
      await page.reload();
      // The row may be another line's by the time of the click, as long as the page is coming.
      await until('the caret', async () => {
        await text(1002).click({ position: { x: 1, y: 10 } });
        return page.evaluate(() => getSelection().anchorNode?.parentElement?.closest('.lr')?.querySelector('.ln').textContent === '1002');
      });
      await page.evaluate((px) => { document.querySelector('.log-scroll').scrollTop += px; }, rows * 20);
      await page.waitForFunction((n) => Number([...document.querySelectorAll('.lr:not(.pinned):not(.wait) .ln')].at(-1)?.textContent) > n, 1000 + rows);
      await page.locator('.lr.wait').first().waitFor({ state: 'detached' });
      await page.locator('.lr:not(.pinned) .lx').nth(12).click({ modifiers: ['Shift'], position: { x: 1, y: 10 } });
      const last = await page.evaluate(() => Number(getSelection().focusNode.parentElement.closest('.lr').querySelector('.ln').textContent));
      assert.ok(last > 1000 + rows - 100);
      await page.keyboard.press('Control+c');
      const wanted = `${bytes.slice(1001, last - 1).join('\n')}\n`;
      let copied = '';
      const there = until(`${last - 1002} lines on the clipboard`, async () => (copied = await page.evaluate(() => navigator.clipboard.readText())) === wanted);
      await there.catch(() => assert.equal(copied, wanted));
    }
    await visitor.leave();
  });

  it('copies all of a log that was never loaded whole, and says what is too much', async () => {
    const bytes = (await raw(runs.lines)).toString();
    const visitor = await look(runs.lines);
    const { page } = visitor;
    await page.locator('.log-scroll').focus();
    await page.keyboard.press('Control+a');
    await visitor.hasHash('#L1-L60000');
    await page.keyboard.press('Control+c');
    assert.ok((await visitor.toasts('Copied')) === bytes.trimEnd(), 'byte by byte');
    await visitor.goto(`/runs/${runs.million.number}#L1-L${LINES}`);
    await page.locator('.lr.picked').first().waitFor();
    await page.keyboard.press('c');
    const text = await visitor.toasts('Copied without the last');
    const said = Number((await page.locator('.toast').innerText()).match(/last ([\d,]+) lines/)[1].replaceAll(',', ''));
    assert.equal(text.split('\n').length + said, LINES);
    await visitor.leave();
  });

  it('keeps the place when lines wrap and when times come and go', async () => {
    const visitor = await look(runs.million, { hash: '#L700000' });
    const { page } = visitor;
    await page.locator('.lr.picked').waitFor();
    for (const [key, sees] of [['w', '.log-scroll.wrap'], ['t', '.lt.relative'], ['t', '.lt.absolute'], ['w', '.log-scroll:not(.wrap)'], ['t', '.log-scroll:not(.with-times)']]) {
      await page.keyboard.press(key);
      await page.locator(sees).first().waitFor();
      await page.locator('.lr.picked').waitFor();
      assert.ok(await page.locator('.lr.picked').isVisible(), key);
      const above = await visitor.above('.lr.picked');
      assert.ok(above > 1.5 && above < 6, `${key}: ${above}`);
    }
    await visitor.leave();
  });

  it('opens at the end, goes to top and bottom, fills the window, and hands out all of it', async () => {
    const visitor = await look(runs.million);
    const { page } = visitor;
    await visitor.number(LINES).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('g');
    await visitor.number(1).waitFor();
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('PageDown');
    await visitor.number(1).waitFor({ state: 'detached' });
    await page.keyboard.press('PageUp');
    await visitor.number(1).waitFor();
    await page.keyboard.press('Shift+G');
    await visitor.number(LINES).waitFor();
    await page.keyboard.press('z');
    await page.waitForFunction(() => { const b = document.querySelector('.log').getBoundingClientRect(); return b.left === 0 && b.top === 0 && b.right === innerWidth && b.bottom === innerHeight; });
    // Escape closes one layer: the menu, then the search, then the focus mode.
    await page.keyboard.press('/');
    await page.locator('.find input').waitFor();
    await page.getByRole('button', { name: 'More', exact: true }).click();
    await page.keyboard.press('Escape');
    await page.locator('.menu').waitFor({ state: 'detached' });
    assert.equal(await page.locator('.find').count(), 1);
    await page.keyboard.press('Escape');
    await page.locator('.find').waitFor({ state: 'detached' });
    assert.equal(await page.locator('.log.focus').count(), 1);
    await page.keyboard.press('Escape');
    await page.locator('.log.focus').waitFor({ state: 'detached' });
    const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('d')]);
    assert.equal(download.suggestedFilename(), `run-${runs.million.id}.log`);
    await download.cancel();
    await page.getByRole('button', { name: 'More', exact: true }).click();
    const [text] = await Promise.all([visitor.context.waitForEvent('page'), page.getByText('Open as text').click()]);
    await text.waitForURL(/format=text/, { waitUntil: 'commit' });
    await text.close();
    await visitor.leave();
  });

  it('says the line under the cursor, the last twenty, and what happens to the run', async () => {
    const visitor = await look(runs.lines);
    const { page } = visitor;
    const spoken = page.locator('.log > [role=status]');
    await page.keyboard.press('Home');
    await visitor.number(1).waitFor();
    await page.locator('.log-scroll').focus();
    await page.keyboard.press('ArrowDown');
    await until('the step', async () => (await spoken.textContent()) === 'Talk lines');
    await page.keyboard.press('ArrowDown');
    await until('a line', async () => /^\d+: line /.test(await spoken.textContent()));
    const line = Number((await spoken.textContent()).split(':')[0]);
    await page.keyboard.press('ArrowDown');
    await until('the next line', async () => (await spoken.textContent()).startsWith(`${line + 1}: line ${line + 1}: GET /item/`));
    await page.locator('.lr.cursor').waitFor();
    await page.keyboard.press('ArrowUp');
    await until('the line before', async () => (await spoken.textContent()).startsWith(`${line}: `));
    await page.getByRole('button', { name: 'More', exact: true }).click();
    await page.getByText('Read out the last 20 lines').click();
    await until('the last lines', async () => (await spoken.textContent()).split('\n').length === 20);
    assert.match(await spoken.textContent(), /^line 59981:[^]*line 60000:[^\n]*$/);
    // Two things that happen at once are one message.
    const run = (await stack.session.post('/api/v1/runs', { kind: 'flow', id: 'talk.steps', inputs: {} })).json.run;
    await visitor.goto(`/runs/${run.number}`);
    await page.getByTestId('approve').waitFor();
    await page.evaluate(() => {
      globalThis.said = [];
      const at = document.querySelector('.run-page > [role=status]');
      new MutationObserver(() => said.push([performance.now(), at.textContent])).observe(at, { childList: true, characterData: true, subtree: true });
    });
    await page.getByTestId('approve').click();
    await until('the end to be said', () => page.evaluate(() => said.some(([, text]) => /The run failed after/.test(text))));
    const said = await page.evaluate(() => said);
    assert.ok(said.some(([, text]) => /Talk fail failed/.test(text)), JSON.stringify(said));
    said.slice(1).forEach(([at], i) => assert.ok(at - said[i][0] > 2900, `${at - said[i][0]} ms`));
    await visitor.leave();
  });

  it('mounts the log once, whatever the run is called in the address', async () => {
    const visitor = await Visitor.open(browser, stack.dashboard);
    await visitor.arrive('/history');
    let logs = 0;
    visitor.page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => { if (String(payload).includes(`run/${runs.lines.id}/log`)) logs++; }));
    await visitor.goto(`/runs/${runs.lines.id}#L100`);
    await visitor.page.locator('.lr.picked').waitFor();
    await visitor.page.waitForFunction((path) => location.pathname === path && location.hash === '#L100', `/runs/${runs.lines.number}`);
    assert.equal(logs, 1);
    assert.equal(visitor.page.workers().length, 1);
    await visitor.leave();
  });

  it('shows a run from its first byte while it goes on, follows, stops, counts, comes back', async () => {
    const run = await stack.session.run('talk.rate', { count: 300 });
    const visitor = await look(run);
    const { page } = visitor;
    const first = () => page.evaluate(() => document.querySelector('.lr:not(.pinned) .ln').textContent);
    await page.locator('.log-scroll').hover();
    await page.mouse.wheel(0, -500);
    await page.locator('.follow-pill', { hasText: /[1-9][\d,]* new/ }).waitFor();
    await visitor.rests();
    const [top, pill] = [await first(), await page.locator('.follow-pill').innerText()];
    await page.waitForFunction((was) => document.querySelector('.follow-pill').innerText !== was, pill);
    assert.equal(await first(), top, 'nothing moves under a reader');
    await page.keyboard.press('Home');
    await until('the first line', async () => (await visitor.lines())[1] === 'block line 1 is eighty bytes or so long, like the lines of many a program');
    await page.keyboard.press('f');
    await page.locator('.follow-pill').waitFor({ state: 'detached' });
    await stack.session.post(`/api/v1/runs/${run.id}/cancel`, {});
    await page.locator('.lr.run-end').waitFor();
    const { lines } = await stack.session.finished(run.id);
    assert.equal((await visitor.lines()).length - 1, lines);
    assert.equal(await page.locator('.follow-pill').count(), 0, 'who follows sees the end');
    await visitor.leave();
  });

  it('holds what was written after a kill -9 of the dashboard in mid-stream, with a search open and a step folded', async () => {
    const run = (await stack.session.post('/api/v1/runs', { kind: 'flow', id: 'talk.long', inputs: {} })).json.run;
    const visitor = await look(run);
    const { page } = visitor;
    await page.evaluate(() => { globalThis.sameDocument = true; });
    await page.locator('.lx', { hasText: /tick \d+/ }).first().waitFor();
    await visitor.hits('tick');
    await stack.dashboard.kill9();
    await page.locator('.banner').first().waitFor();
    await stack.dashboard.spawn();
    stack.session = await stack.dashboard.login();
    await page.locator('.banner').first().waitFor({ state: 'detached' });
    writeFileSync(join(stack.dir, 'enough'), '');
    await page.locator('h1', { hasText: 'Succeeded' }).waitFor();
    const { lines } = await stack.session.finished(run.id);
    const bytes = (await raw(run)).toString();
    await visitor.counts(`${lines - 20000} lines`);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'More', exact: true }).click();
    await page.getByRole('button', { name: 'Unfold all steps' }).click();
    await page.locator('.log-scroll').focus();
    await page.keyboard.press('Control+a');
    await visitor.hasHash(`#L1-L${lines}`);
    await page.keyboard.press('Control+c');
    assert.ok((await visitor.toasts('Copied')) === bytes.trimEnd(), 'byte by byte');
    assert.equal(await page.evaluate(() => globalThis.sameDocument), true);
    await visitor.leave();
  });

  it('on a phone: chips in a row, tools and step of 44 px, the log from edge to edge, a tap for focus, taps for lines', async () => {
    const visitor = await look(runs.steps, { viewport: PHONE, theme: 'dark' });
    const { page } = visitor;
    await visitor.current('could not open the socket');
    const box = (selector) => page.locator(selector).first().boundingBox();
    const log = await box('.log');
    assert.deepEqual([log.x, log.width], [0, PHONE.width]);
    for (const selector of ['.find-button', '.errors-count', '.menu-box > button', '.sticky-step', '.sticky-step .icon-btn', '.step button']) assert.ok((await box(selector)).height >= 44, selector);
    assert.ok(await page.evaluate(() => { const ol = document.querySelector('.steps ol'); return ol.scrollWidth > ol.clientWidth; }), 'chips scroll');
    const failed = await box('.step.failed');
    assert.ok(failed.x >= 0 && failed.x + failed.width <= PHONE.width, 'the failed step is in view');
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), PHONE.width, 'the page does not scroll sideways');
    const tools = await page.locator('.log-tools > *:visible').evaluateAll((all) => new Set(all.map((e) => Math.round(e.getBoundingClientRect().top + e.getBoundingClientRect().height / 2))).size);
    assert.equal(tools, 1, 'one row of tools');
    await page.locator('.lr:not(.event) .lx').nth(6).tap();
    await page.waitForFunction(() => { const b = document.querySelector('.log.focus')?.getBoundingClientRect(); return b && b.left === 0 && b.top === 0 && b.right === innerWidth; });
    await page.locator('.lr:not(.event) .lx').nth(6).tap();
    await page.locator('.log.focus').waitFor({ state: 'detached' });
    const numbers = await page.evaluate(() => [...document.querySelectorAll('.lr .ln')].map((e) => Number(e.textContent)).filter((n) => n > 0));
    const [a, b] = [numbers[5], numbers[9]];
    await visitor.number(a).tap();
    await visitor.hasHash(`#L${a}`);
    await visitor.number(b).tap();
    await visitor.hasHash(`#L${a}-L${b}`);
    await visitor.number(b).tap();
    await visitor.hasHash(`#L${b}`);
    // A finger stops the following, the pill is above the bar and takes one back.
    rmSync(join(stack.dir, 'enough'), { force: true });
    const run = await stack.session.run('talk.until');
    await visitor.goto(`/runs/${run.number}`);
    await page.locator('.lx', { hasText: /^tick [5-9]\d\s*$/ }).first().waitFor();
    const at = await box('.log-scroll');
    const finger = await visitor.context.newCDPSession(page);
    await finger.send('Input.synthesizeScrollGesture', { x: at.x + 150, y: at.y + 100, yDistance: 250, speed: 1200 });
    await page.locator('.follow-pill').waitFor();
    const [pill, bar] = [await box('.follow-pill'), await box('.side')];
    assert.ok(pill.y + pill.height <= bar.y, 'above the bar');
    await page.locator('.follow-pill').tap();
    await page.locator('.follow-pill').waitFor({ state: 'detached' });
    writeFileSync(join(stack.dir, 'enough'), '');
    await stack.session.finished(run.id);
    await visitor.leave();
  });

  it('asks before it cancels, by Shift+X too, and takes Escape for a no', async () => {
    const run = await stack.session.run('talk.slow', { count: 2000 });
    const visitor = await look(run);
    const { page } = visitor;
    await page.keyboard.press('Shift+X');
    const question = page.getByRole('alertdialog', { name: 'Cancel Talk slow?' });
    await question.waitFor();
    await question.getByText('what has not ended after 10 s is killed (SIGKILL)').waitFor();
    assert.doesNotMatch(await question.innerText(), /finally/, 'a command has no steps');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Keep running');
    await page.keyboard.press('Escape');
    await question.waitFor({ state: 'detached' });
    await page.keyboard.press('Shift+X');
    await page.getByTestId('cancel-confirm').click();
    await page.locator('h1', { hasText: 'Cancelled' }).waitFor();
    await page.locator('.lr.event', { hasText: 'Cancelled by admin' }).waitFor();
    await page.locator('.lr.run-end', { hasText: /^Run cancelled$/ }).waitFor();
    await page.keyboard.press('[');
    await page.waitForFunction((n) => location.pathname === `/runs/${n}`, run.number - 1);
    await page.keyboard.press(']');
    await page.waitForFunction((n) => location.pathname === `/runs/${n}`, run.number);
    await page.locator('.lr:not(.wait)').first().waitFor();
    await page.getByRole('button', { name: 'Run again' }).waitFor();
    await page.keyboard.press('r');
    await page.locator('dialog[open]').waitFor();
    await page.keyboard.press('Escape');
    await visitor.leave();
  });
});
