// The page of the inspector in a real browser, against a made-up listener: what a
// broker cannot be made to show at will. Against the broker: inspect.test.mjs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import test from 'node:test';
import { openPage, useChromium } from './chromium.mjs';
import { hostileNames, startMock } from './inspect_mock.mjs';
import { screenshot } from './screens.mjs';

useChromium();

async function mockOf(t, options) {
  const mock = await startMock(options);
  t.after(() => mock.close());
  return mock;
}

async function open(t, mock, place = '#/overview', options = {}) {
  const page = await openPage(t, 'about:blank', options);
  // Failed answers are part of some tests: these are not faults of the page.
  page.ours = () => page.faults.filter((x) => !/^Failed to load/.test(x));
  await page.goto(mock.url + place);
  return page;
}

const names = (page) => page.$$eval('tbody tr td:first-child .name',
  (all) => all.map((x) => x.textContent));

const live = (page) => page.waitForSelector('#state.live');

// -- looking ------------------------------------------------------------------

test('the overview shows figures, charts, who lags and who left', async (t) => {
  const mock = await mockOf(t);
  const page = await open(t, mock);
  await live(page);
  assert.equal(await page.textContent('#version'), '0.1.0');
  assert.match(await page.textContent('.tile:has-text("Connections")'),
    /1,000/);
  await page.waitForFunction(() => document.querySelectorAll('canvas').length
    === 3); // from the second sample on
  await page.waitForFunction(() => /\d/.test(document.querySelector(
    '.chart:nth-child(2) .legend b').textContent));
  assert.equal((await names(page))[0], '#42');
  assert.match(await page.textContent('#main'), /slow_consumer/);
  assert.deepEqual(page.faults, []); // the policy forbids nothing we do
});

test('the tree shows who stands under whom, a page at a time', async (t) => {
  const mock = await mockOf(t);
  const page = await open(t, mock, '#/tree');
  const rows = () => page.$$eval('.tree tbody tr', (all) => all.map((x) =>
    [x.ariaLevel, x.querySelector('th').innerText.replace(/\s+/g, ' ').trim()]));
  await page.waitForSelector('.tree .reader');
  let all = await rows();
  assert.deepEqual(all[0], ['1', 'supervisor unit 1']);
  assert.deepEqual(all[1], ['2', 'Rooms 400']);
  assert.deepEqual(all[2], ['3', 'room lobby']);
  assert.ok(all.length < 60, `${all.length} rows`);
  // By keyboard: down to the lobby, and open it.
  await page.focus('.tree tbody tr:nth-child(2) .twist');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowRight');
  await page.waitForSelector('.tree .outlet');
  all = await rows();
  assert.deepEqual(all[3], ['4', 'outlet lobby']);
  await page.keyboard.press('ArrowLeft');
  await page.waitForSelector('.tree .outlet', { state: 'detached' });
  // The next page of the connections.
  await page.click('tr.more >> nth=1 >> text=Next');
  await page.waitForFunction(() => [...document.querySelectorAll('.tree .name')]
    .some((x) => x.textContent === '#21'));
  // The busiest first.
  await page.selectOption('.tools select', 'handled');
  await page.waitForFunction(() => {
    const all2 = [...document.querySelectorAll('.tree tr:has(.room)')].map((x) =>
      Number(x.children[4].innerText.replace(/\D/g, '')));
    return all2.length > 2 && all2.every((x, i) => !i || x <= all2[i - 1]);
  });
  assert.deepEqual(page.faults, []);
});

test('of 10 000 connections a page is on the page', async (t) => {
  const mock = await mockOf(t, { connections: 10_000 });
  const page = await open(t, mock, '#/connections');
  await page.waitForSelector('tbody tr');
  assert.equal((await names(page)).length, 50);
  assert.equal((await names(page))[0], '#42');
  assert.match(await page.textContent('.pager'), /1–50 of 10,000/);
  await page.click('.pager >> text=Next');
  await page.waitForFunction(() => /51–100/.test(document.querySelector('.pager')
    .textContent));
  // Sorted by the server: the first click on a name ascends, the next descends.
  await page.click('thead >> text=Client');
  await page.waitForFunction(() => document.querySelector('tbody .name')
    .textContent === '#1');
  await page.click('thead >> text=Client');
  await page.waitForFunction(() => document.querySelector('tbody .name')
    .textContent === '#10000');
  assert.equal(await page.getAttribute('th:has-text("Client")', 'aria-sort'),
    'descending');
  // A search narrows it down.
  await page.keyboard.press('/');
  await page.keyboard.type('user9999');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length
    === 1);
  assert.deepEqual(await names(page), ['#9999']);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length
    === 50);
  // What it costs its browser, in time of a processor: a small part of a second.
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  const busy = async () => (await cdp.send('Performance.getMetrics')).metrics
    .find((x) => x.name === 'TaskDuration').value;
  const before = await busy();
  const asked = mock.requests.get('/inspect/connections');
  await new Promise((done) => {
    mock.told = () => {
      if (mock.requests.get('/inspect/connections') >= asked + 4)
        done();
    };
  });
  const cost = (await busy() - before) / 4;
  assert.ok(cost < 0.15, `${cost} s a sample`);
  const nodes = await page.evaluate(() => document.querySelectorAll('*').length);
  assert.ok(nodes < 4000, `${nodes} elements`);
  assert.deepEqual(page.faults, []);
});

test('rows stay the same elements from sample to sample', async (t) => {
  const mock = await mockOf(t);
  const page = await open(t, mock, '#/lag');
  await page.waitForSelector('tbody tr');
  await page.evaluate(() => {
    globalThis.first = document.querySelector('tbody tr');
    globalThis.lag = globalThis.first.children[2].textContent;
  });
  await page.waitForFunction(() => globalThis.first.children[2].textContent
    !== globalThis.lag);
  assert.ok(await page.evaluate(() => globalThis.first.isConnected));
});

test('a page that nobody sees asks nothing', async (t) => {
  const mock = await mockOf(t);
  const page = await open(t, mock);
  await live(page);
  const hide = (hidden) => page.evaluate((x) => {
    Object.defineProperty(document, 'hidden', { value: x, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  const asked = () => mock.requests.get('/inspect/overview');
  await hide(true);
  // Two seconds of the page's own clock, which is what it goes by.
  const before = asked();
  await page.evaluate(() => new Promise((done) => setTimeout(done, 2000)));
  assert.ok(asked() - before <= 1, `${asked() - before} questions`);
  await hide(false);
  await page.waitForFunction((n) => performance.getEntriesByType('resource')
    .filter((x) => /overview/.test(x.name)).length > n, before);
  assert.deepEqual(page.faults, []);
});

test('names of strangers do nothing but stand there', async (t) => {
  const mock = await mockOf(t, { connections: 50, rooms: 12 });
  for (const view of ['rooms', 'lag', 'tree', 'closed', 'overview']) {
    const page = await open(t, mock, `#/${view}`);
    await live(page);
    await page.waitForSelector('tbody .name');
    assert.equal(await page.evaluate(() => globalThis.owned), undefined, view);
    assert.equal(await page.$$eval('main img, main script',
      (all) => all.length), 0);
    assert.deepEqual(page.faults, [], view);
  }
  const page = await open(t, mock, '#/rooms');
  await page.waitForSelector('tbody .name');
  const shown = await names(page);
  for (const name of hostileNames.slice(0, 4))
    assert.ok(shown.includes(name), name);
  assert.ok(shown.includes('left\\u202eto right')); // and not mirrored
  assert.ok(shown.includes('two\\u200bwords'));
  // Each of them has details that open, too.
  for (const name of hostileNames) {
    await page.evaluate((x) => {
      location.hash = `#/rooms?open=${encodeURIComponent(`room:${x}`)}`;
    }, name);
    await page.waitForFunction((x) => document.querySelector('#detail h2')
      ?.textContent.slice(0, 3) === x.slice(0, 3)
      && document.querySelectorAll('#detail dd').length > 10, name);
  }
  await screenshot(page, 'hostile-names');
  assert.equal(await page.evaluate(() => globalThis.owned), undefined);
  assert.deepEqual(page.faults, []);
});

test('why somebody was disconnected is told in words', async (t) => {
  const mock = await mockOf(t);
  const page = await open(t, mock, '#/closed');
  await page.waitForSelector('tbody tr');
  await page.fill('#q', '20008');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length
    === 1);
  await page.click('tbody a');
  await page.waitForSelector('.obituary');
  const told = await page.innerText('#detail');
  assert.match(told, /slow_consumer It read slower than its rooms speak/);
  assert.match(told, /sent 1013/);
  assert.deepEqual(await page.$$eval('.chain li', (all) => all.map((x) =>
    x.textContent)), ['writer slow_consumer', 'reader slow_consumer']);
  assert.match(told, /731 frames, 1.0 MiB, the oldest 8.42 s old/);
  await screenshot(page, 'closed');
  assert.deepEqual(page.faults, []);
});

test('a trace runs for its time, and says what was lost', async (t) => {
  const mock = await mockOf(t);
  const page = await open(t, mock, '#/connections?open=client:42');
  await page.click('#detail >> text=Trace');
  await page.selectOption('.events select', '300');
  await page.click('#detail >> text=Follow');
  await page.waitForFunction(() => document.querySelectorAll(
    '#detail .events tbody tr').length > 10);
  assert.match(await page.textContent('.events .tools'), /3 lost/);
  await page.click('#detail >> text=Stop');
  await page.waitForFunction(() => /stopped/.test(document.querySelector(
    '.events .tools').textContent));
  await page.click('#detail >> text=Black box');
  await page.waitForFunction(() => document.querySelectorAll(
    '#detail .events tbody tr').length === 64);
  assert.deepEqual(page.faults, []);
});

// -- acting -------------------------------------------------------------------

test('an end needs a yes and a token, which is kept nowhere', async (t) => {
  const mock = await mockOf(t, { actToken: 'open sesame' });
  const page = await open(t, mock, '#/lag');
  await page.click('tbody a');
  await page.click('#detail >> text=End connection');
  // Enter does no harm: what has the focus is the way out.
  assert.equal(await page.evaluate(() => document.activeElement.textContent),
    'Cancel');
  await page.click('#act >> text=End it');
  await page.fill('#token-text', 'wrong');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /may not/.test(document.getElementById(
    'ask-token-why').textContent));
  assert.deepEqual(mock.acts, []);
  await page.fill('#token-text', 'open sesame');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.receipt');
  assert.deepEqual(mock.acts, [{ what: 'kill', client: 42 }]);
  assert.match(await page.innerText('.receipt'),
    /Clean: nothing was left behind\.[^]*Bytes discarded\s+80 KiB/);
  await screenshot(page, 'receipt-clean');
  const kept = await page.evaluate(() => [location.href, document.cookie,
    JSON.stringify(localStorage), JSON.stringify(sessionStorage),
    document.getElementById('token-text').value].join());
  assert.doesNotMatch(kept, /sesame/);
  // The next one needs no token any more, but a yes.
  await page.click('#act button');
  await page.goto(`${mock.url}#/rooms?open=room:lobby`);
  await page.click('#detail >> text=Restart room');
  await page.click('#act >> text=Restart it');
  await page.waitForSelector('.receipt');
  assert.match(await page.innerText('.receipt'),
    /Members that went on\s+1,428/);
  assert.deepEqual(mock.acts[1], { what: 'restart', room: 'lobby' });
});

test('what was left behind is said', async (t) => {
  const mock = await mockOf(t, { actToken: 'act', dirty: true });
  const page = await open(t, mock, '#/lag?open=client:42');
  await page.click('#detail >> text=End connection');
  await page.click('#act >> text=End it');
  await page.fill('#token-text', 'act');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.verdict.dirty');
  assert.deepEqual(await page.$$eval('.left li', (all) => all.map((x) =>
    x.textContent)), ['socket', `membership ${hostileNames[0]}`]);
  await screenshot(page, 'receipt-dirty');
});

test('an end that is not possible says why', async (t) => {
  const mock = await mockOf(t);
  const page = await open(t, mock, '#/lag?open=client:42');
  await page.click('#detail >> text=End connection');
  await page.click('#act >> text=End it');
  await page.waitForSelector('#act .notice:not([hidden])');
  assert.match(await page.textContent('#act .notice'), /token/);
  await page.keyboard.press('Escape');
  assert.equal(await page.isVisible('#act'), false);
});

// -- trouble ------------------------------------------------------------------

test('reading asks for a token where it needs one', async (t) => {
  const mock = await mockOf(t, { readToken: 'look' });
  const page = await open(t, mock, '#/rooms');
  await page.fill('#token-text', 'look');
  await page.keyboard.press('Enter');
  await live(page);
  await page.waitForSelector('tbody tr');
  assert.deepEqual(page.ours(), []);
});

test('a broker that is away is waited for', async (t) => {
  const mock = await mockOf(t, { connections: 100 });
  const page = await open(t, mock, '#/rooms');
  await page.waitForSelector('tbody tr');
  mock.broken = 503;
  await page.waitForSelector('#trouble:not([hidden])');
  assert.match(await page.textContent('#trouble'), /busy .*retrying in \d s/);
  mock.broken = 0;
  await page.waitForSelector('#trouble', { state: 'hidden' });
  mock.close();
  await page.waitForSelector('#state.away');
  assert.match(await page.textContent('#trouble'), /cannot be reached/);
  assert.ok((await names(page)).length > 0); // what was known stays
  await screenshot(page, 'unreachable');
  const again = await startMock({ port: mock.port, connections: 100 });
  t.after(() => again.close());
  await live(page);
  assert.deepEqual(page.ours(), []);
});

// -- looks --------------------------------------------------------------------

/** Contrast of texts with what is behind them (WCAG 2.2, 1.4.3), in the page. */
function contrasts() {
  const canvas = document.createElement('canvas').getContext('2d',
    { willReadFrequently: true });
  const light = (name) => {
    canvas.fillStyle = name;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((x) => {
      const c = x / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const probe = document.body.appendChild(document.createElement('p'));
  const value = (name) => {
    probe.style.color = `var(--${name})`;
    return light(getComputedStyle(probe).color);
  };
  const result = {};
  for (const front of ['text', 'faint', 'accent', 'warn', 'bad', 'tone1', 'tone2',
    'tone3'])
    for (const back of ['sheet', 'page', 'raised']) {
      const [a, b] = [value(front), value(back)].sort((x, y) => y - x);
      result[`${front} on ${back}`] = (a + 0.05) / (b + 0.05);
    }
  probe.remove();
  return result;
}

for (const colorScheme of ['light', 'dark'])
  test(`all of it can be read when it is ${colorScheme}`, async (t) => {
    const mock = await mockOf(t);
    const page = await open(t, mock, '#/overview', { colorScheme });
    await live(page);
    await page.waitForSelector('canvas');
    for (const [pair, x] of Object.entries(await page.evaluate(contrasts)))
      assert.ok(x >= 4.5, `${pair}: ${x.toFixed(2)}`);
    await screenshot(page, `mock-overview-${colorScheme}`);
    for (const view of ['tree', 'rooms', 'lag', 'connections', 'closed']) {
      await page.goto(`${mock.url}#/${view}`);
      await page.waitForSelector('#main tbody tr');
      await screenshot(page, `mock-${view}-${colorScheme}`);
    }
    // The other theme, and back to it after a reload.
    const back = () => page.evaluate(() => getComputedStyle(document.body)
      .backgroundColor);
    const before = await back();
    await page.click('#theme');
    const after = await back();
    assert.notEqual(after, before);
    await page.reload();
    assert.equal(await back(), after);
    assert.deepEqual(page.faults, []);
  });

test('vendored files are those of their packages', () => {
  const packaged = createRequire(import.meta.url);
  const web = new URL('../../app/web/vendor/', import.meta.url);
  const uplot = packaged.resolve('uplot').replace(/dist.*/, '');
  const centrifuge = packaged.resolve('centrifuge').replace(/build.*/, '');
  for (const [ours, theirs] of [
    ['uplot.js', `${uplot}dist/uPlot.iife.min.js`],
    ['uplot.css', `${uplot}dist/uPlot.min.css`],
    ['LICENSE.uplot', `${uplot}LICENSE`],
    ['centrifuge.js', `${centrifuge}dist/centrifuge.js`],
    ['LICENSE.centrifuge', `${centrifuge}LICENSE`]])
    assert.equal(readFileSync(new URL(ours, web), 'utf8'),
      readFileSync(theirs, 'utf8'), ours);
});
