// The page of the inspector in a real browser, before a real broker: it opens, shows
// what goes on, and ends it. What a broker cannot be made to show at will has
// inspect_page.test.mjs. Screenshots are left for people to look at (screens.mjs).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { startBroker, startSocket, within } from './broker.mjs';
import { openPage, useChromium } from './chromium.mjs';
import { hostileNames } from './inspect_mock.mjs';
import { screenshot } from './screens.mjs';

useChromium();

const token = 'only-for-this-test-0123456789';

async function inspected(t, ...flags) {
  const broker = await startBroker(t, '--inspect-port', '0',
    '--inspect-act-token', token, '--messages-per-second', '0',
    '--bytes-per-second', '0', ...flags);
  const line = await broker.logged('inspection listener',
    (x) => x.message === 'inspecting');
  broker.inspect = line.url;
  broker.look = async (view) => (await fetch(
    `${line.url.replace(/\/inspect$/, '')}/inspect/${view}`)).json();
  return broker;
}

async function open(t, broker, place, options) {
  const page = await openPage(t, broker.inspect + place, options);
  await page.waitForSelector('#state.live');
  return page;
}

/** The cells of a row by the titles of their columns. */
const rowOf = (page, name) => page.evaluate((x) => {
  const titles = [...document.querySelectorAll('#main thead th')].map((c) =>
    c.textContent);
  const row = [...document.querySelectorAll('#main tbody tr')].find((r) =>
    r.querySelector('.name')?.textContent === x);
  return row && Object.fromEntries([...row.children].map((c, i) =>
    [titles[i], c.innerText.replace(/\s+/g, ' ').trim()]));
}, name);

const cellIs = (page, name, title, text) => page.waitForFunction(
  ([n, column, wanted]) => {
    const at = [...document.querySelectorAll('#main thead th')].findIndex((c) =>
      c.textContent === column);
    const row = [...document.querySelectorAll('#main tbody tr')].find((r) =>
      r.querySelector('.name')?.textContent === n);
    return row?.children[at].innerText.trim() === wanted;
  }, [name, title, text]);

// -- a slow client ------------------------------------------------------------

const payload = 'x'.repeat(1024);
const frameBytes = payload.length + 4; // RFC 6455 §5.2

/**
 * A member with a receive buffer of some KiB that takes a kilobyte a second out of
 * it. What its kernel holds is acknowledged, read or not.
 * @returns `acknowledged`: [Unix time in ms, bytes behind the handshake], growing
 */
async function throttledClient(t, broker, room) {
  const child = spawn('python3', ['-c', `
import fcntl, select, socket, struct, sys, termios, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
s.bind(("127.0.0.2", 0))
s.connect(("127.0.0.1", int(sys.argv[1])))
s.sendall(("GET /room/%s HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\n"
  "Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n"
  % sys.argv[2]).encode())
head = b""
while not head.endswith(b"\\r\\n\\r\\n"):
  head += s.recv(1)
print(head.split(b"\\r\\n")[0].decode(), flush=True)
taken, told, sip_at = 0, 0, time.monotonic()
while not select.select([sys.stdin], [], [], 0.01)[0]:
  if time.monotonic() >= sip_at:
    sip_at += 1 / 16
    try:
      got = s.recv(64, socket.MSG_DONTWAIT)
    except BlockingIOError:
      pass
    except ConnectionError:
      break
    else:
      if not got:
        break
      taken += len(got)
  waits = struct.unpack("i", fcntl.ioctl(s, termios.FIONREAD, bytes(4)))[0]
  if taken + waits > told:
    told = taken + waits
    print(int(time.time() * 1000), told, flush=True)
`, `${broker.port}`, room], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const acknowledged = [[Date.now(), 0]];
  const lines = createInterface({ input: child.stdout });
  const [answer] = await within(once(lines, 'line'), 'slow client');
  assert.match(answer, /^HTTP\/1.1 101/);
  lines.on('line', (x) => acknowledged.push(x.split(' ').map(Number)));
  const up = await broker.logged('slow client', (x) =>
    x.message === 'client_up' && x.address === '127.0.0.2');
  return { client: up.client, acknowledged };
}

/** How old the first unacknowledged byte was: [least, most] between two times. */
function trueAge(acknowledged, published, from, to) {
  const ageAt = (at, bytes) => Math.max(0,
    at - (published[Math.floor(bytes / frameBytes)] ?? at));
  let known = acknowledged.findLast(([at]) => at <= from)?.[1] ?? 0;
  const ages = [ageAt(from, known)];
  for (const [at, bytes] of acknowledged)
    if (at > from && at <= to) {
      ages.push(ageAt(at, known), ageAt(at, bytes));
      known = bytes;
    }
  ages.push(ageAt(to, known));
  return [Math.min(...ages), Math.max(...ages)];
}

function firstOlderThan(acknowledged, published, ms) {
  for (let at = published[0]; at < Date.now(); ++at)
    if (trueAge(acknowledged, published, at, at)[1] > ms)
      return at;
  return assert.fail(`it never was ${ms} ms old`);
}

const msOf = (text) => {
  const [, number, unit] = /^([\d.,]+)\s*(ms|s|min)$/.exec(text ?? '') ?? [];
  return Number(number?.replace(',', '')) * ({ ms: 1, s: 1000, min: 60_000 })[unit];
};

/** From now on `globalThis.seen` gets [time, name, lag] of the first row. */
const watchFirstRow = (page) => page.evaluate(() => {
  globalThis.seen = [];
  const note = () => {
    const titles = [...document.querySelectorAll('#main thead th')].map((x) =>
      x.textContent);
    const row = document.querySelector('#main tbody tr');
    globalThis.seen.push([Date.now(), row?.querySelector('.name')?.textContent,
      row?.children[titles.indexOf('Lag')]?.innerText.trim()]);
  };
  new MutationObserver(note).observe(document.querySelector('#main'), {
    subtree: true, childList: true, characterData: true, attributes: true });
});

/** What the API answers the page from now on, as it comes. */
function listenToLag(page) {
  const pages = [];
  page.on('response', async (x) => {
    if (!x.url().includes('/inspect/lag'))
      return;
    const at = Date.now();
    const body = await x.json().catch(() => null); // it was asked anew
    if (body?.rows)
      pages.push({ ...body, at });
  });
  return pages;
}

// -- tests --------------------------------------------------------------------

test('the page shows who stands under whom', async (t) => {
  const broker = await inspected(t, '--room', 'lobby', '--room', 'news');
  await startSocket(t, broker.room('lobby'));
  const page = await open(t, broker, '#/tree');
  await page.waitForSelector('.tree .reader');
  const tree = await page.$$eval('.tree tbody tr', (all) => all.map((x) =>
    `${x.ariaLevel} ${x.querySelector('th').innerText.replace(/\s+/g, ' ').trim()}`));
  assert.match(tree[0], /^1 supervisor/);
  assert.deepEqual(tree.slice(1, 4), ['2 Rooms 2', '3 room lobby', '3 room news']);
  assert.match(tree[4], /^2 Connections 1/);
  assert.match(tree[5], /^3 reader #\d+/);
  await page.click('tr:has(.reader) .twist');
  await page.waitForSelector('.tree .writer');
  await screenshot(page, 'tree');
  assert.deepEqual(page.faults, []);
});

test('a room fills while clients join, and empties', async (t) => {
  const broker = await inspected(t, '--room', 'lobby');
  const page = await open(t, broker, '#/rooms');
  await cellIs(page, 'lobby', 'Members', '0');
  const clients = [];
  for (const n of [5, 20, 60]) {
    while (clients.length < n)
      clients.push(await startSocket(t, broker.room('lobby')));
    await cellIs(page, 'lobby', 'Members', `${n}`);
  }
  for (let i = 0; i < 50; ++i)
    clients[0].send(`message ${i}`);
  await clients[59].upTo(50);
  await cellIs(page, 'lobby', 'Published', '50');
  await cellIs(page, 'lobby', 'Delivered', '3,000');
  await screenshot(page, 'rooms');
  await page.click('#tabs >> text=Connections');
  await page.waitForFunction(() => document.querySelectorAll('#main tbody tr')
    .length === 50); // the first page of them
  assert.match(await page.textContent('.pager'), /1–50 of 60/);
  await page.click('#tabs >> text=Rooms');
  for (const client of clients)
    client.terminate();
  await cellIs(page, 'lobby', 'Members', '0');
  assert.deepEqual(page.faults, []);
});

test('the one of a thousand that reads slowly is first, with its true age', async (t) => {
  const members = 1000;
  const sample = 1000; // ms
  const tolerance = 500; // ms: marks of sends, this process, a shared machine
  const broker = await inspected(t, '--room', 'lobby', '--send-buffer', '16KiB',
    '--connections-per-address', '2000');
  const fast = [];
  while (fast.length < members - 1)
    fast.push(...await Promise.all(Array.from(
      { length: Math.min(50, members - 1 - fast.length) },
      () => startSocket(t, broker.room('lobby'), { perMessageDeflate: false }))));
  const { client, acknowledged } = await throttledClient(t, broker, 'lobby');
  const page = await open(t, broker, '#/lag');
  await page.waitForFunction(() => document.querySelector('#main tbody tr'));
  await watchFirstRow(page);
  const pages = listenToLag(page);
  const published = [];
  const talk = setInterval(() => {
    published.push(Date.now());
    fast[0].send(payload);
  }, 125);
  t.after(() => clearInterval(talk));
  await page.waitForFunction((name) => {
    const [, first, lag] = globalThis.seen.at(-1) ?? [];
    return first === name && /^([4-9]|\d\d)[.\d]*\s*s$/.test(lag);
  }, `#${client}`);
  await screenshot(page, 'lag-of-1000');
  const seen = await page.evaluate(() => globalThis.seen);
  const late = firstOlderThan(acknowledged, published, 1000);

  // Every sample since then, in the API: its first row, and how old that says it is.
  const since = pages.filter((x) => x.sampled_at >= late);
  assert.ok(since.length >= 2, `${since.length} pages`);
  assert.ok(since[0].at - late <= sample + tolerance,
    `the API shows it after ${since[0].at - late} ms`);
  let worst = 0;
  for (const { sampled_at: at, rows: [first, second] } of since) {
    assert.equal(first.client, client, `${at - late} ms after it was so old`);
    assert.ok(first.lag_ms > second.lag_ms);
    const [low, high] = trueAge(acknowledged, published, at - tolerance,
      at + tolerance);
    assert.ok(first.lag_ms >= low && first.lag_ms <= high,
      `${first.lag_ms} ms, true is ${low} to ${high}`);
    worst = Math.max(worst, Math.abs(first.lag_ms
      - trueAge(acknowledged, published, at, at)[0]));
  }
  // The page: what it shows is of its last sample, and rounded.
  const shown = seen.filter(([at, , lag]) => at >= late && msOf(lag) >= 1000);
  const delay = shown[0][0] - late;
  for (const [at, name, lag] of shown) {
    assert.equal(name, `#${client}`, `${at - late} ms after it was so old`);
    const [low, high] = trueAge(acknowledged, published,
      at - 2 * sample - tolerance, at + tolerance);
    assert.ok(msOf(lag) * 1.05 >= low && msOf(lag) * 0.95 <= high,
      `${lag}, true is ${low} to ${high} ms`);
  }
  t.diagnostic(`older than 1 s: the API shows it ${since[0].at - late} ms later, `
    + `the page ${delay} ms; the API is off by ${worst} ms at most`);
  assert.ok(delay <= sample + tolerance, `the page shows it after ${delay} ms`);
  assert.ok(shown[0][0] - since[0].at <= tolerance, 'the page draws what it hears');

  // Its details; then end it, and see that nothing is left of it.
  await page.click('#main tbody tr:first-child a');
  await page.waitForSelector('#detail dd.warn, #detail dd.bad');
  await screenshot(page, 'lag');
  await page.click('#detail >> text=End connection');
  await screenshot(page, 'confirm');
  await page.click('#act >> text=End it');
  await page.fill('#token-text', token);
  const [, before] = acknowledged.at(-1);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.receipt');
  const receipt = await page.innerText('.receipt');
  assert.match(receipt, /Clean: nothing was left behind\./);
  assert.match(receipt, /Memberships given up\s+1\n/);
  assert.match(receipt, /Descriptors closed\s+1\n/);
  await screenshot(page, 'receipt');
  await page.click('#act button');
  // Why it was: asked of the page that shows it, and by its number.
  await page.waitForSelector('#detail .obituary');
  assert.match(await page.innerText('#detail'), /kicked An operator/);
  await page.goto(`${broker.inspect}#/closed?q=${client}`);
  await page.waitForFunction(() => /kicked/.test(document.querySelector(
    '#main tbody').innerText));
  await page.click('#main tbody a');
  await page.waitForSelector('#detail .chain li');
  await screenshot(page, 'why');
  const chain = await page.$$eval('#detail .chain li', (all) => all.map((x) =>
    x.textContent));
  assert.deepEqual(chain, ['reader kicked', 'writer kicked']);
  const { rows: [dead] } = await broker.look(`closed?client=${client}`);
  assert.equal(dead.reason, 'kicked');
  assert.equal(dead.first, 'reader');
  const missing = dead.seats[0].offset * frameBytes - before;
  assert.ok(Math.abs(dead.bytes_queued + dead.kernel_bytes - missing)
    <= 4 * frameBytes, `${JSON.stringify(dead)}, missing are ${missing} bytes`);
  assert.match(await page.innerText('#detail .obituary'),
    /Queue at death\s+[\d,]+ frames, [^]*in the kernel unacknowledged for \d/);
  // The others have heard everything.
  clearInterval(talk);
  await Promise.all(fast.map((x) => x.upTo(published.length)));
  assert.deepEqual(page.faults, []);
});

test('a room is followed live', async (t) => {
  const broker = await inspected(t, '--room', 'lobby');
  const ann = await startSocket(t, broker.room('lobby'));
  const page = await open(t, broker, '#/rooms?open=room:lobby');
  await page.click('#detail >> text=Trace');
  await page.click('#detail >> text=Follow');
  await page.waitForFunction(() => /Stop/.test(document.querySelector(
    '.events .first').textContent));
  // It may begin a moment later: somebody talks until it shows.
  const talk = setInterval(() => ann.send('hello'), 50);
  t.after(() => clearInterval(talk));
  await page.waitForFunction(() => document.querySelectorAll(
    '.events tbody tr').length > 5);
  clearInterval(talk);
  await screenshot(page, 'trace');
  await page.click('#detail >> text=Black box');
  await page.waitForFunction(() => document.querySelectorAll(
    '.events tbody tr').length > 5);
  await screenshot(page, 'black-box');
  assert.doesNotMatch(await page.innerText('#detail'), /hello/); // no payload
  assert.deepEqual(page.faults, []);
});

test('names of strangers do nothing but stand there', async (t) => {
  const broker = await inspected(t, '--rooms-on-demand', 'on');
  const names = hostileNames.filter((x) => !x.includes('/')); // no room has it
  for (const name of names)
    await startSocket(t, broker.room(encodeURIComponent(name)));
  for (const view of ['rooms', 'lag', 'tree']) {
    const page = await open(t, broker, `#/${view}`);
    await page.waitForFunction((n) => document.querySelectorAll('#main .name')
      .length >= n, names.length);
    const text = await page.innerText('#main');
    for (const name of [...names.slice(0, 3), 'left\\u202eto right',
      'two\\u200bwords'])
      assert.ok(text.includes(name), `${name} in ${view}`);
    assert.equal(await page.evaluate(() => globalThis.owned), undefined);
    assert.equal(await page.$$eval('main img, main script', (x) => x.length), 0);
    await screenshot(page, `hostile-${view}`);
    assert.deepEqual(page.faults, []);
  }
});

test('a room is restarted with its members', async (t) => {
  const broker = await inspected(t, '--room', 'lobby');
  const ann = await startSocket(t, broker.room('lobby'));
  const bob = await startSocket(t, broker.room('lobby'));
  const page = await open(t, broker, '#/rooms?open=room:lobby');
  await page.click('#detail >> text=Restart room');
  await page.click('#act >> text=Restart it');
  await page.fill('#token-text', token);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.receipt');
  assert.match(await page.innerText('.receipt'),
    /Clean[^]*Members that went on\s+2\n/);
  bob.lines.length = 0;
  ann.send('still here');
  await bob.upTo(1);
  assert.equal(bob.lines.at(-1), 'still here');
  assert.deepEqual(page.faults, []);
});

test('without its token the page shows nothing', async (t) => {
  const broker = await inspected(t, '--room', 'lobby', '--inspect-token',
    'may-look-0123456789');
  const page = await openPage(t, `${broker.inspect}#/rooms`);
  await page.waitForSelector('#ask-token[open]');
  assert.equal(await page.$$eval('#main tbody tr', (x) => x.length), 0);
  await page.fill('#token-text', 'may-look-0123456789');
  await page.keyboard.press('Enter');
  await cellIs(page, 'lobby', 'Members', '0');
  // It may look and not act.
  await page.click('#main tbody a');
  await page.click('#detail >> text=End room');
  await page.click('#act >> text=End it');
  await page.waitForSelector('#ask-token[open]');
  assert.deepEqual(page.faults.filter((x) => !/401/.test(x)), []);
});

for (const colorScheme of ['light', 'dark'])
  test(`the overview moves with the broker, ${colorScheme}`, async (t) => {
    const broker = await inspected(t, '--room', 'lobby', '--room', 'news');
    const clients = [];
    for (let i = 0; i < 40; ++i)
      clients.push(await startSocket(t, broker.room(i % 4 ? 'lobby' : 'news')));
    let i = 0;
    const talk = setInterval(() => {
      for (let n = 0; n < 5 + 4 * Math.sin(i / 15); ++n)
        clients[++i % 39].send(`message ${i} ${'.'.repeat(100)}`);
    }, 20);
    t.after(() => clearInterval(talk));
    const page = await open(t, broker, '#/overview', { colorScheme });
    await page.waitForFunction(() => {
      const tile = [...document.querySelectorAll('.tile')].find((x) =>
        /Deliveries/.test(x.textContent));
      return parseFloat(tile.querySelector('.n').textContent) > 0;
    });
    clients.pop().terminate();
    // A latency is known, and four samples make a line.
    await page.waitForFunction(() => [...document.querySelectorAll('.legend b')]
      .every((x) => /\d/.test(x.textContent)));
    const samples = await page.evaluate(() => performance.getEntriesByType(
      'resource').filter((x) => /overview$/.test(x.name)).length);
    await page.waitForFunction((n) => performance.getEntriesByType('resource')
      .filter((x) => /overview$/.test(x.name)).length >= n + 4, samples);
    await screenshot(page, `overview-${colorScheme}`);
    assert.deepEqual(page.faults, []);
  });
