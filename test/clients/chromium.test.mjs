// A real browser: the npm client `centrifuge` in a page, and the broker's own
// page.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  collect, join, range, startBroker, startClient as startNodeClient, startSocket,
  within,
} from './broker.mjs';
import { whatGoesRight, whatGoesWrong } from './centrifuge_cases.mjs';
import { openPage, startClient, useChromium } from './chromium.mjs';

useChromium();

whatGoesRight(startClient);
whatGoesWrong(startClient);

// -- the broker's own page ----------------------------------------------------

const isIn = (page) => page.waitForFunction(
  () => !document.getElementById('text').disabled);

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

const heardBy = (page) => page.$$eval('#messages li:not(.event)',
  (all) => all.map((x) => x.textContent));

const hears = (page, n) => page.waitForFunction((count) => document
  .querySelectorAll('#messages li:not(.event)').length >= count, n);

test('two tabs, a raw client and Node hear the same in the same order',
  async (t) => {
    const broker = await startBroker(t, '--room', 'lobby',
      '--rooms-on-demand', 'off');
    const home = `http://127.0.0.1:${broker.port}/`;
    const ann = await openPage(t, home);
    const bob = await openPage(t, home);
    await Promise.all([isIn(ann), isIn(bob)]);
    const raw = await startSocket(t, broker.room('lobby'));
    const eve = await join(startNodeClient(t, broker.centrifuge), 'lobby');
    const evesNotes = collect(eve);
    await ann.fill('#name', 'Ann');
    await bob.fill('#name', 'Bob');
    const n = 10;
    for (let i = 0; i < n; ++i) {
      await Promise.all([say(ann, `a${i} <b>&amp;`), say(bob, `b${i} grüße`)]);
      raw.send(`raw ${i}`);
      // Neither of these is JSON: one is a string, JSON has no word for the other.
      raw.send(`{"raw": ${i}`);
      raw.send(Buffer.from([0, 255, i]));
      await eve.publish({ name: 'Eve', text: `e${i}` });
    }
    await Promise.all([hears(ann, 5 * n), hears(bob, 5 * n)]);
    await evesNotes.upTo(5 * n);
    await raw.upTo(6 * n);
    const said = evesNotes.all.map(
      (x) => (typeof x === 'string' ? x : `${x.name}: ${x.text}`));
    const inTab = await heardBy(ann);
    assert.deepEqual(await heardBy(bob), inTab);
    assert.deepEqual(
      inTab.map((x) => x.replace(/^client [0-9a-f]{8}: (raw|\{)/, '$1')), said);
    const texts = raw.lines.filter((x) => typeof x === 'string');
    assert.deepEqual(raw.lines.filter((x) => typeof x !== 'string'),
      range(n).map((i) => Buffer.from([0, 255, i])));
    assert.deepEqual(texts, evesNotes.all.map(
      (x) => (typeof x === 'string' ? x : JSON.stringify(x))));
    assert.deepEqual([...ann.faults, ...bob.faults], []);
  });

test('a tab is back after the broker was restarted', async (t) => {
  const broker = await startBroker(t, '--room', 'lobby');
  const page = await openPage(t, `http://127.0.0.1:${broker.port}/#lobby`);
  await isIn(page);
  await broker.end();
  await page.waitForFunction(() => document.getElementById('text').disabled);
  assert.match(await page.textContent('#state'), /^reconnecting/);
  await startBroker(t, '--room', 'lobby', '--port', `${broker.port}`);
  await isIn(page);
  await say(page, 'still here');
  await hears(page, 1);
});

test('a tab says why it may not enter', async (t) => {
  const broker = await startBroker(t, '--room', 'lobby',
    '--rooms-on-demand', 'off');
  const page = await openPage(t, `http://127.0.0.1:${broker.port}/#nowhere`);
  await page.waitForSelector('#notice:not([hidden])');
  assert.match(await page.textContent('#notice'), /no such room/);
  await page.fill('#room', 'lobby');
  await page.press('#room', 'Enter');
  await isIn(page);
  assert.equal(await page.isVisible('#notice'), false);
  assert.equal(new URL(page.url()).hash, '#lobby');
  assert.deepEqual(page.faults, []);
});

test('a tab survives names that mean something to JavaScript', async (t) => {
  const broker = await startBroker(t);
  for (const name of ['constructor', '__proto__', 'toString']) {
    const page = await openPage(t, `http://127.0.0.1:${broker.port}/#${name}`);
    await page.waitForSelector('#state.connected');
    await page.waitForSelector('#notice:not([hidden])');
    await page.fill('#room', 'lobby');
    await page.press('#room', 'Enter');
    await isIn(page);
    assert.equal(await page.isVisible('#notice'), false);
    assert.deepEqual(page.faults, []);
  }
});

test('a page of another origin is kept out', async (t) => {
  const broker = await startBroker(t, '--origin', 'https://example.org');
  const other = await startBroker(t);
  const page = await openPage(t, `http://127.0.0.1:${other.port}/ready`);
  const code = await within(page.evaluate((url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve(0);
    socket.onclose = (x) => resolve(x.code);
  }), broker.centrifuge), 'refusal');
  assert.equal(code, 1006);
});

test('a tab is sent less where the broker compresses', async (t) => {
  const broker = await startBroker(t, '--deflate', '--room', 'lobby');
  const raw = await startSocket(t, broker.room('lobby'),
    { perMessageDeflate: false });
  const page = await openPage(t, `http://127.0.0.1:${broker.port}/ready`);
  const texts = ['short', 'to be compressed, '.repeat(1000), 'grüße '.repeat(99)];
  const seen = await within(page.evaluate(([url, all]) => new Promise(
    (resolve) => {
      const socket = new WebSocket(url);
      const heard = [];
      socket.onopen = () => all.forEach((x) => socket.send(x));
      socket.onmessage = (x) => {
        heard.push(x.data);
        if (heard.length === all.length)
          resolve({ heard, extensions: socket.extensions });
      };
      socket.onclose = (x) => resolve({ code: x.code });
    }), [broker.room('lobby'), texts]), 'its own messages');
  assert.deepEqual(seen.heard, texts);
  assert.match(seen.extensions, /^permessage-deflate.*client_max_window_bits=11/);
  await raw.upTo(texts.length);
  assert.deepEqual(raw.lines, texts);
});
