// The log viewer in Chromium: what it shows is what was written.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { chatter, liveBackup, makeRun, begin, endRun, endStep, startStep, sync } from './fixture/data.mjs';
import { STDOUT } from './fixture/journal.mjs';
import { PHONE, skip, World } from './harness.mjs';

let world;
before(async () => {
  if (!skip) world = await World.start();
});
after(async () => world?.stop());

function journey(name, run, options, fn) {
  test(name, { skip }, async () => {
    const fixture = await world.server();
    const live = run === 'live' ? fixture.add(liveBackup(options.everyMs ?? 40)) : typeof run === 'function' ? fixture.add(run(fixture)) : fixture.byName(run);
    const opened = await world.open(fixture, `/runs/${live.doc.number}${options.hash ?? ''}`, options);
    await opened.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    opened.page.setDefaultTimeout(30000);
    try {
      await opened.page.waitForSelector('.lr:not(.wait)');
      await fn(opened.page, fixture, live);
      assert.deepEqual(await opened.done(), []);
    } finally {
      await fixture.close();
    }
  });
}

const numbers = (page) => page.evaluate(() => [...document.querySelectorAll('.lr:not(.pinned) .ln')].map((e) => Number(e.textContent)).filter((n) => n > 0));
const lineText = (page, n) => page.evaluate((wanted) => [...document.querySelectorAll('.lr')].find((e) => e.querySelector('.ln')?.textContent === String(wanted))?.querySelector('.lx')?.textContent ?? null, n);
const plain = (bytes) => bytes.toString().replace(/\x1b\[[0-9;]*m/g, '');
const atBottom = (page) => page.evaluate(() => { const e = document.querySelector('.log-scroll'); return e.scrollTop + e.clientHeight >= e.scrollHeight - 2; });

async function copied(page, from, to) {
  await page.evaluate((hash) => (location.hash = hash), `#L${from}-L${to}`);
  // These, and no longer those that were picked before.
  await page.waitForFunction(([first, last]) => {
    const picked = [...document.querySelectorAll('.lr.picked .ln')].map((e) => Number(e.textContent)).filter((n) => n > 0);
    return picked.includes(first) && picked.every((n) => n >= first && n <= last);
  }, [from, to]);
  await page.keyboard.press('c');
  await page.waitForSelector('.toast');
  return page.evaluate(() => navigator.clipboard.readText());
}

journey('colours, links, broken bytes and overwritten lines', 'demo.colours', {}, async (page) => {
  assert.equal(await lineText(page, 7), 'loading 100% done');
  assert.equal(await lineText(page, 6), 'Not UTF-8: \\xff\\xfe · control \\x01\\x07 · bidi \\u202eabc\\u202c · 日本語 · 👍');
  assert.deepEqual(await page.locator('.lx .shown').allInnerTexts(), ['\\xff\\xfe', '\\x01\\x07', '\\u202e', '\\u202c']);
  const links = await page.locator('.lx a').evaluateAll((all) => all.map((a) => [a.href, a.rel]));
  assert.deepEqual(links, [['https://www.debian.org/', 'noreferrer noopener']]);
  assert.equal(await page.locator('.lr.stderr').count(), 2);
  assert.equal(await page.locator('.lr.open .lx').innerText(), 'the last line has no newline');
  assert.match(await lineText(page, 9), /… 40.kB more$/);
  await page.locator('.more-bytes').click();
  await page.waitForFunction(() => document.querySelectorAll('.more-bytes').length === 0);
  assert.ok((await lineText(page, 9)).length > 40000);
});

for (const width of [721, 860, 1000])
  journey(`an open search leaves the tools one row, ${width} px wide`, 'demo.flood', { viewport: { width, height: 700 } }, async (page) => {
    const height = () => page.evaluate(() => document.querySelector('.log-tools').offsetHeight);
    const before = await height();
    await page.keyboard.press('/');
    await page.locator('.find input').fill('module');
    await page.waitForFunction(() => /^[\d,]+ lines$/.test(document.querySelector('.find-count').textContent));
    assert.equal(await height(), before);
    const out = await page.evaluate(() => [...document.querySelectorAll('.log-tools :is(button, input)')].filter((e) => e.getBoundingClientRect().right > document.querySelector('.log-tools').getBoundingClientRect().right).length);
    assert.equal(out, 0, 'and none is outside');
  });

journey('in forced colours it is still seen what is picked, wrong and of standard error', 'backup', { hash: '#L71' }, async (page) => {
  await page.emulateMedia({ forcedColors: 'active' });
  await page.waitForSelector('.lr.picked');
  const back = (selector, pseudo) => page.locator(selector).first().evaluate((e, p) => getComputedStyle(e, p).backgroundColor, pseudo);
  const plain = await back('.lr:not(.picked, .error, .cursor, .current, .event) .ln');
  const seen = [await back('.lr.picked .ln'), await back('.lr.error:not(.picked, .cursor, .current) .ln')];
  assert.equal(new Set([plain, ...seen]).size, 3, `${plain} ${seen}`);
  assert.notEqual(await page.locator('.lr.stderr:not(.picked, .error, .cursor, .current) .ln').first().evaluate((e) => getComputedStyle(e, '::before').borderLeftColor), plain);
});

journey('with the connection lost, counts and ticks are as grey as the lines', 'backup', {}, async (page, fixture) => {
  await page.waitForSelector('.errors-count');
  const filters = () => page.evaluate(() => ['.log-rows', '.ticks', '.errors'].map((s) => getComputedStyle(document.querySelector(s)).filter));
  assert.deepEqual(await filters(), ['none', 'none', 'none']);
  const { port } = fixture.server.address();
  await new Promise((resolve) => {
    fixture.server.close(resolve);
    fixture.cut();
    fixture.server.closeAllConnections();
  });
  await page.waitForSelector('.banners .lost');
  assert.deepEqual(await filters(), ['grayscale(1)', 'grayscale(1)', 'grayscale(1)']);
  await fixture.listen(port);
});

journey('it follows, stops at the first sign of reading, and comes back', 'live', {}, async (page) => {
  await page.waitForTimeout(400);
  assert.ok(await atBottom(page));
  await page.hover('.log-scroll');
  await page.mouse.wheel(0, -400);
  await page.waitForSelector('.follow-pill');
  const top = (await numbers(page))[0];
  await page.waitForFunction(() => /\d+ new/.test(document.querySelector('.follow-pill')?.textContent ?? ''));
  assert.equal((await numbers(page))[0], top, 'nothing moves under a reader');
  await page.click('.follow-pill');
  await page.waitForSelector('.follow-pill', { state: 'detached' });
  await page.waitForTimeout(300);
  assert.ok(await atBottom(page));
  await page.keyboard.press('Home');
  await page.waitForFunction(() => document.querySelector('.log-scroll').scrollTop === 0 && document.querySelector('.lr.event.step')?.textContent.includes('Dump'));
  await page.keyboard.press('End');
  await page.waitForFunction(() => !document.querySelector('.follow-pill'));
});

journey('a line far inside a large log is opened cold', 'demo.flood', { hash: '#L60000-L60004' }, async (page, fixture, run) => {
  await page.waitForSelector('.lr.picked');
  const lines = plain(run.journal.raw()).split('\n');
  for (const n of [60000, 60004, 60010]) assert.equal(await lineText(page, n), lines[n - 1]);
  assert.equal(await page.locator('.lr.picked').count(), 5);
  const fetched = fixture.requests.filter((r) => r.path.includes('/log?')).length;
  assert.ok(fetched > 0 && fetched < 6, `${fetched} fetches`);
});

journey('every place of a large log can be scrolled to', 'demo.flood', {}, async (page, _fixture, run) => {
  const lines = plain(run.journal.raw()).split('\n');
  for (const share of [0.5, 0.1, 0.9, 0]) {
    await page.evaluate((s) => {
      const e = document.querySelector('.log-scroll');
      e.scrollTop = (e.scrollHeight - e.clientHeight) * s;
    }, share);
    await page.waitForFunction((s) => {
      const first = [...document.querySelectorAll('.lr:not(.wait) .ln')].map((e) => Number(e.textContent)).find((n) => n > 0);
      return document.querySelectorAll('.lr.wait').length === 0 && Math.abs(first - 120000 * s) < 3000;
    }, share);
    const shown = await numbers(page);
    for (const n of shown.slice(2, 12)) assert.equal(await lineText(page, n), lines[n - 1]);
    assert.deepEqual(shown, shown.map((_, i) => shown[0] + i), 'no line is missing or doubled');
  }
});

journey('clicking numbers picks lines, keeps the address and copies their text', 'demo.flood', { hash: '#L500' }, async (page, _fixture, run) => {
  const lines = plain(run.journal.raw()).split('\n');
  await page.waitForSelector('.lr.picked');
  await page.locator('.ln', { hasText: /^505$/ }).click();
  await page.waitForFunction(() => location.hash === '#L505');
  await page.locator('.ln', { hasText: /^510$/ }).click({ modifiers: ['Shift'] });
  await page.waitForFunction(() => location.hash === '#L505-L510');
  // the address changes at once, the rows with the next frame
  await page.waitForFunction(() => document.querySelectorAll('.lr.picked').length === 6);
  await page.keyboard.press('c');
  await page.waitForSelector('.toast');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), lines.slice(504, 510).join('\n'));
  await page.keyboard.press('y');
  await page.waitForFunction(() => /Link/.test(document.querySelector('.toast')?.textContent ?? ''));
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /\/runs\/\d+#L505-L510$/);
});

journey('a selection that is scrolled away is copied whole', 'demo.flood', { hash: '#L1000' }, async (page, _fixture, run) => {
  const lines = plain(run.journal.raw()).split('\n');
  await page.waitForSelector('.lr.picked');
  const box = (n) => page.locator('.lr', { has: page.locator('.ln', { hasText: new RegExp(`^${n}$`) }) }).locator('.lx').boundingBox();
  const start = await box(1000);
  await page.mouse.move(start.x + 1, start.y + 10);
  await page.mouse.down();
  await page.mouse.move(start.x + 60, start.y + 50);
  await page.mouse.wheel(0, 1600);
  await page.waitForTimeout(300);
  await page.mouse.move(start.x + 1, start.y + 200);
  await page.waitForTimeout(400);
  await page.mouse.up();
  await page.waitForTimeout(300);
  await page.keyboard.press('Control+c');
  const text = await page.evaluate(() => navigator.clipboard.readText());
  const got = text.split('\n');
  assert.ok(got.length > 60, `${got.length} lines`);
  assert.deepEqual(got.slice(0, -1), lines.slice(999, 999 + got.length - 1));
});

journey('search counts the whole log, marks, goes round', 'demo.flood', {}, async (page, _fixture, run) => {
  const all = plain(run.journal.raw()).split('\n').filter((l) => l.includes('id=12')).length;
  await page.keyboard.press('Control+f');
  await page.keyboard.type('id=12');
  await page.waitForFunction((n) => document.querySelector('.find-count')?.textContent.trim() === `${n.toLocaleString('en-GB')} lines`, all);
  assert.equal(await page.locator('.find-note').count(), 0, 'all of it was searched');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.lr.current .mark');
  assert.equal(await page.locator('.lr.current .mark').first().innerText(), 'id=12');
  const at = (n) => page.waitForFunction(([i, of]) => document.querySelector('.find-count').textContent === `${i.toLocaleString('en-GB')} of ${of.toLocaleString('en-GB')}`, [n, all]);
  await at(1);
  await page.keyboard.press('Shift+Enter');
  await at(all);
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await at(2);
  assert.equal(await page.locator('.lr.current .mark').first().innerText(), 'id=12');
  await page.keyboard.press('Escape');
  await page.waitForSelector('.find', { state: 'detached' });
  await page.waitForFunction(() => document.querySelector('.mark') === null);
});

journey('only lines that match, with two around each, and all of them again', 'demo.flood', {}, async (page, _fixture, run) => {
  await page.keyboard.press('/');
  await page.waitForSelector('.find input');
  await page.keyboard.type('slow');
  await page.waitForFunction(() => /\d+ (hits|matches)|\d/.test(document.querySelector('.find-count')?.textContent ?? '') && !document.querySelector('.find-note'));
  const toggle = page.getByRole('button', { name: 'Only lines that match' });
  await toggle.click();
  await page.waitForSelector('.lr.apart');
  // However far down one was, the window is full of what is left.
  await page.waitForFunction(() => {
    const list = document.querySelector('.log-scroll').getBoundingClientRect();
    return Math.max(...[...document.querySelectorAll('.lr')].map((e) => e.getBoundingClientRect().bottom)) >= list.bottom - 24;
  });
  await page.keyboard.press('Escape').catch(() => undefined);
  await page.waitForFunction((n) => document.querySelectorAll('.lr.apart').length === 0 && document.querySelector('.log-size').textContent.includes(n), run.journal.lines.toLocaleString('en-GB'));
});

test('where the dashboard cannot search, it says what was', { skip }, async () => {
  const fixture = await world.server();
  fixture.canSearch = false;
  const { page, done } = await world.open(fixture, `/runs/${fixture.byName('demo.flood').doc.number}`);
  await page.waitForSelector('.lr:not(.wait)');
  await page.keyboard.press('/');
  await page.keyboard.type('id=12');
  await page.waitForSelector('.find-note');
  assert.match(await page.locator('.find-note').innerText(), /Searched the .* of 9\.1.MB/);
  assert.deepEqual(await done(), []);
  await fixture.close();
});

journey('steps are folded and unfolded, one stream is shown alone', 'live', { everyMs: 1000 }, async (page) => {
  await page.keyboard.press('Home');
  // What went well is folded away on opening.
  const header = (name) => page.locator('.lr.event.step', { hasText: name });
  await header('Dump').waitFor();
  assert.match(await header('Dump').innerText(), /folded/);
  await header('Dump').locator('.le').click();
  await page.waitForFunction(() => document.querySelectorAll('.lr .ln').length > 30 && [...document.querySelectorAll('.lr .ln')].some((e) => e.textContent === '1'));
  await page.keyboard.press('o');
  await page.waitForFunction(() => ![...document.querySelectorAll('.lr .ln')].some((e) => e.textContent === '1'));
  await page.locator('.menu-box > button').click();
  await page.getByRole('button', { name: 'Unfold all steps' }).click();
  await page.locator('.menu-box > button').click();
  await page.getByRole('radio', { name: 'stderr' }).check({ force: true });
  await page.keyboard.press('Escape');
  await page.locator('.stream-chip').waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.lr:not(.event):not(.open)').length > 0 && document.querySelectorAll('.lr:not(.event):not(.stderr)').length === 0);
  await page.locator('.stream-chip').click();
  await page.waitForFunction(() => document.querySelectorAll('.lr:not(.event):not(.stderr)').length > 0);
});

journey('o folds the step that is read, and once more brings it back', 'live', { everyMs: 1000 }, async (page) => {
  const has = (text, there) => page.waitForFunction(([t, want]) => [...document.querySelectorAll('.lr .ln')].some((e) => e.textContent === t) === want, [text, there]);
  await page.keyboard.press('Home');
  await page.locator('.lr.event.step', { hasText: 'Dump' }).locator('.le').click();
  await has('1', true);
  await page.hover('.log-scroll');
  await page.mouse.wheel(0, 200);
  await page.waitForSelector('.sticky-step');
  await page.keyboard.press('o');
  await has('12', false);
  await page.keyboard.press('o');
  await has('12', true);
});

journey('Home in a large log is its very top', 'demo.flood', {}, async (page) => {
  await page.keyboard.press('Home');
  await page.waitForFunction(() => [...document.querySelectorAll('.lr .lx')].length > 20 && document.querySelectorAll('.lr.wait').length === 0);
  await page.waitForFunction(() => document.querySelector('.lr.event.step')?.textContent.includes('Flood'));
  await page.waitForTimeout(300);
  assert.equal(await page.evaluate(() => document.querySelector('.log-scroll').scrollTop), 0);
});

journey('what a log says itself is said in a language that is chosen meanwhile', 'demo.colours', {}, async (page) => {
  const end = page.locator('.lr.run-end');
  assert.equal(await end.innerText(), 'Run succeeded');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('Nederlands');
  await page.keyboard.press('Enter');
  await page.locator('.lr.run-end', { hasText: 'Run geslaagd' }).waitFor();
});

for (const [where, options] of [['a laptop', {}], ['a phone', { viewport: PHONE }]])
  journey(`a number has the height of its row on ${where}`, 'demo.colours', options, async (page) => {
    const off = await page.locator('.lr:not(.pinned)').evaluateAll((rows) => rows.map((r) => [r, r.firstElementChild].map((e) => e.getBoundingClientRect())).map(([row, number]) => [number.top - row.top, number.bottom - row.bottom]));
    assert.ok(off.length > 8);
    assert.deepEqual(off, off.map(() => [0, 0]));
  });

journey('Back leads to the lines that were read', 'demo.flood', { hash: '#L500' }, async (page) => {
  await page.waitForSelector('.lr.picked');
  await page.hover('.log-scroll');
  await page.mouse.wheel(0, 30000);
  const top = () => numbers(page).then((all) => all[0]);
  await page.waitForFunction(() => document.querySelectorAll('.lr.wait').length === 0 && [...document.querySelectorAll('.lr .ln')].some((e) => Number(e.textContent) > 1500));
  await page.waitForTimeout(300);
  const before = await top();
  await page.getByRole('link', { name: 'History', exact: true }).first().click();
  await page.waitForSelector('.run-row');
  await page.goBack();
  await page.waitForFunction((n) => [...document.querySelectorAll('.lr .ln')].some((e) => e.textContent === String(n)), before);
  await page.waitForTimeout(300);
  assert.equal(await top(), before);
  assert.equal(await page.locator('.follow-pill').innerText(), 'To the end', 'nothing is new');
});

journey('a failed run opens where it failed; e goes to the next error', (f) => [...f.runs.values()].find((r) => r.doc.status === 'failed'), {}, async (page) => {
  await page.waitForSelector('.lr.current');
  assert.match(await page.locator('.lr.current .lx').innerText(), /could not execute query/);
  await page.keyboard.press('e');
  await page.waitForFunction(() => /errors ignored/.test(document.querySelector('.lr.current .lx')?.textContent ?? ''));
  await page.keyboard.press('Shift+E');
  await page.waitForFunction(() => /could not execute/.test(document.querySelector('.lr.current .lx')?.textContent ?? ''));
  await page.locator('.step', { hasText: 'Dump' }).getByRole('button').first().click();
  await page.waitForFunction(() => document.querySelector('.lr.event.step')?.textContent.includes('Dump'));
});

journey('wrapping and timestamps keep the place', 'demo.flood', { hash: '#L70000' }, async (page) => {
  await page.waitForSelector('.lr.picked');
  for (const key of ['w', 't', 't', 'w', 't']) {
    await page.keyboard.press(key);
    await page.waitForTimeout(250);
    const n = await numbers(page);
    assert.ok(n.includes(70000), `after ${key}: ${n[0]}…`);
  }
  await page.keyboard.press('t');
  await page.keyboard.press('w');
  await page.hover('.log-scroll');
  for (let i = 0; i < 10; i++) {
    await page.mouse.wheel(0, 350);
    await page.waitForTimeout(40);
  }
  await page.waitForTimeout(400);
  const shown = await numbers(page);
  assert.ok(shown[0] > 70050);
  assert.deepEqual(shown, shown.map((_, i) => shown[0] + i));
});

journey('wrapped, the last line is still the end', 'demo.colours', {}, async (page) => {
  await page.keyboard.press('w');
  await page.waitForTimeout(300);
  await page.keyboard.press('End');
  await page.waitForTimeout(300);
  const gap = await page.evaluate(() => document.querySelector('.log-scroll').getBoundingClientRect().bottom - [...document.querySelectorAll('.lr')].pop().getBoundingClientRect().bottom);
  assert.ok(Math.abs(gap) < 3, `${gap} px`);
});

journey('cut again and again in mid-stream, nothing is lost or doubled', (f) => {
  const run = makeRun({ name: 'demo.flood', title: 'Flood', ageS: 1, steps: [{ id: 'main', title: 'Flood' }] });
  begin(run, Date.now() * 1000);
  startStep(run, 0, Date.now() * 1000);
  let i = 0;
  run.timers.add(setInterval(() => {
    for (let k = 0; k < 40; k++) {
      const line = chatter(++i);
      // records end where they like
      run.journal.output(0, STDOUT, line.slice(0, i % line.length));
      run.journal.output(0, STDOUT, line.slice(i % line.length));
    }
    sync(run);
  }, 20));
  f.cutter = setInterval(() => f.cut(), 700);
  return run;
}, {}, async (page, fixture, run) => {
  await page.waitForTimeout(4200);
  clearInterval(fixture.cutter);
  for (const t of run.timers) clearInterval(t);
  run.journal.event('step.finished', { step_id: 'main', attempt: 1, status: 'succeeded' }, 0);
  run.journal.event('run.finished', { status: 'succeeded' });
  run.doc.status = 'succeeded';
  run.doc.finished_us = Date.now() * 1000;
  sync(run);
  const lines = plain(run.journal.raw()).split('\n').slice(0, -1);
  await page.waitForFunction((n) => [...document.querySelectorAll('.lr .ln')].some((e) => e.textContent === String(n)), lines.length, { timeout: 20000 });
  const n = Math.min(lines.length, 5000);
  assert.equal(await copied(page, 1, n), lines.slice(0, n).join('\n'));
  await page.waitForSelector('.toast', { state: 'detached', timeout: 9000 });
  assert.equal(await copied(page, lines.length - 200, lines.length), lines.slice(-201).join('\n'));
});

journey('fetches that fail say so and can be tried again', 'demo.flood', {}, async (page, fixture) => {
  let broken = true;
  await page.route('**/log?format=records*', (route) => (broken ? route.fulfill({ status: 503, body: '{}' }) : route.continue()));
  await page.keyboard.press('Home');
  await page.waitForSelector('.lr.gap');
  broken = false;
  await page.locator('.load-gap').first().click();
  await page.waitForFunction(() => [...document.querySelectorAll('.lr:not(.wait) .ln')].some((e) => e.textContent === '1'));
  assert.ok(fixture.requests.length > 0);
});

journey('focus mode fills the window and Escape leaves it', 'live', {}, async (page) => {
  await page.keyboard.press('z');
  const box = await page.locator('.log').boundingBox();
  assert.deepEqual([box.x, box.y], [0, 0]);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !document.querySelector('.log.focus'));
});

journey('download and text are plain links to the API', 'demo.colours', {}, async (page, fixture, run) => {
  await page.locator('.menu-box > button').click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByText('Download log').click()]);
  assert.equal(download.suggestedFilename(), `demo.colours-${run.doc.number}.log`);
  assert.ok(fixture.requests.some((r) => r.path.endsWith('/log?format=raw&download=1')));
});

journey('arrows move a line cursor that is read out', 'demo.colours', {}, async (page) => {
  await page.locator('.log-scroll').focus();
  for (let i = 0; i < 8; i++) await page.keyboard.press('ArrowDown');
  await page.waitForSelector('.lr.cursor');
  assert.match(await page.locator('.log > [role=status]').textContent(), /^7: loading 100% done/);
});

journey('memory of a hidden page: no credit is given until it is seen again', 'live', {}, async (page) => {
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await page.waitForTimeout(200);
  await page.evaluate(() => {
    delete document.hidden;
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await page.waitForTimeout(200);
  assert.ok(await atBottom(page));
});

journey('on a phone a finger scrolls it and stops the following', 'live', { viewport: PHONE }, async (page) => {
  const box = await page.locator('.log-scroll').boundingBox();
  const client = await page.context().newCDPSession(page);
  await client.send('Input.synthesizeScrollGesture', { x: box.x + 100, y: box.y + 100, yDistance: 300, speed: 1200 });
  await page.waitForSelector('.follow-pill');
  await page.locator('.follow-pill').tap();
  await page.waitForSelector('.follow-pill', { state: 'detached' });
});

journey('scrolled sideways, numbers stay in view and the range stays; back at the left nothing of it is left', 'demo.colours', { viewport: PHONE }, async (page) => {
  const at = () => page.evaluate(() => {
    const list = document.querySelector('.log-scroll');
    const ln = [...list.querySelectorAll('.lr .ln')].find((e) => e.textContent !== '');
    return { left: list.scrollLeft, number: Math.round(ln.getBoundingClientRect().left - list.getBoundingClientRect().left), text: Math.round(ln.parentElement.querySelector('.lx').getBoundingClientRect().left - list.getBoundingClientRect().left) };
  });
  const before = await at();
  await page.evaluate(() => (document.querySelector('.log-scroll').scrollLeft = 90));
  await page.waitForSelector('.log-scroll.wide');
  const after = await at();
  assert.deepEqual([after.left, after.number, after.text], [90, before.number, before.text - 90]);
  await page.evaluate(() => (document.querySelector('.log-scroll').scrollLeft = 0));
  await page.waitForSelector('.log-scroll:not(.wide)');
  assert.deepEqual(await at(), before);
  assert.equal(await page.evaluate(() => document.querySelector('.log-space').style.minWidth), '');
});

// It came to the seek before the page was told of any row; and the end of a large screen was asked for twice.
journey('a line of the address is there however fast the log came', 'demo.colours', { viewport: { width: 1000, height: 2400 } }, async (page, fixture) => {
  const run = makeRun({ name: 'short', title: 'Short', ageS: 60, steps: [{ id: 'a', title: 'A' }] });
  const us = run.doc.created_us;
  begin(run, us);
  startStep(run, 0, us);
  for (let i = 0; i < 1100; i++) run.journal.output(0, STDOUT, chatter(i), us + i);
  endStep(run, 0, us + 2e6);
  endRun(run, us + 2e6);
  fixture.add(run);
  for (let i = 0; i < 8; i++) {
    await page.goto('about:blank');
    await page.goto(`${fixture.origin}/runs/${run.doc.number}#L${200 + i}`);
    await page.waitForFunction((n) => document.querySelector('.lr.picked .ln')?.textContent === String(n), 200 + i);
  }
  for (const n of [1100, 1099, 1090]) {
    await page.evaluate((hash) => (location.hash = hash), `#L${n}`);
    await page.waitForFunction((wanted) => document.querySelector('.lr.picked .ln')?.textContent === String(wanted), n);
  }
});
