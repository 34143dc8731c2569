// The Centrifuge protocol without its client: frames to and fro, and what no
// client of good will would send. Section numbers are those of the protocol's
// description.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import WebSocket from 'ws';
import {
  inLines, range, startBroker, startSocket, startSpeaker, within,
} from './broker.mjs';

const greeting = '{"id":1,"connect":{}}';

test('a client may offer a subprotocol or none', async (t) => { // §1
  const broker = await startBroker(t);
  for (const offer of [[], ['centrifuge-json'], ['soap', 'centrifuge-json'],
    ['centrifuge-protobuf', 'centrifuge-json']]) {
    const socket = new WebSocket(broker.centrifuge, offer);
    await within(once(socket, 'open'), 'open WebSocket');
    assert.equal(socket.protocol, offer.length > 0 ? 'centrifuge-json' : '');
    socket.terminate();
  }
});

test('Protobuf has its subprotocol and its answer', async (t) => { // §1
  const broker = await startBroker(t);
  for (const [url, offer] of [[broker.centrifuge, ['centrifuge-protobuf']],
    [`${broker.centrifuge}?cf_protocol=protobuf`, []],
    [`${broker.centrifuge}?format=protobuf`, []]]) {
    const socket = await startSocket(t, url, offer);
    assert.equal(socket.protocol, offer[0] ?? '');
    socket.send(Buffer.from('08012204' + '22026a73', 'hex'));
    assert.deepEqual(await within(socket.closed, 'close'),
      { code: 3508, reason: 'not available' });
    assert.deepEqual(socket.lines, []);
  }
});

test('a client that stops without a word leaves its rooms', async (t) => {
  const broker = await startBroker(t);
  const speaker = await startSpeaker(t, broker.centrifuge);
  speaker.ask(...range(128).map(
    (i) => ({ id: i + 2, subscribe: { channel: `room:${i}` } })));
  await speaker.upTo(128);
  speaker.terminate();
  await broker.logged('end of the last room',
    () => broker.count((x) => x.message === 'room_closed') === 128);
});

test('a thousand commands in a message are answered in order', async (t) => {
  const broker = await startBroker(t, '--messages-per-second', '600');
  const speaker = await startSpeaker(t, broker.centrifuge);
  speaker.ask({ id: 2, subscribe: { channel: 'a' } });
  await speaker.upTo(1);
  speaker.lines.length = 0;
  const numbers = range(1000);
  speaker.ask(...numbers.map(
    (i) => ({ id: i + 3, publish: { channel: 'a', data: i } })));
  await speaker.upTo(2 * numbers.length);
  const heard = speaker.lines.map((x) => JSON.parse(x));
  assert.deepEqual(heard.filter((x) => x.id).map((x) => x.id - 3), numbers);
  assert.deepEqual(
    heard.filter((x) => x.push).map((x) => x.push.pub.data), numbers);
});

test('commands of all kinds in a message are answered in order', async (t) => {
  const broker = await startBroker(t);
  const socket = await startSocket(t, broker.centrifuge);
  socket.send(inLines([
    { id: 1, connect: {} },
    { id: 2, subscribe: { channel: 'a' } },
    { id: 3, publish: { channel: 'a', data: 1 } },
    { id: 4, subscribe: { channel: 'a' } },
    { id: 5, history: { channel: 'a' } },
    { id: 6, unsubscribe: { channel: 'a' } },
    { id: 7, publish: { channel: 'a', data: 2 } },
    { id: 8, unsubscribe: { channel: 'a' } },
  ]));
  await socket.upTo(9);
  const [connected, ...rest] = socket.lines;
  const { client } = JSON.parse(connected).connect;
  const push = JSON.stringify({ push: { channel: 'a',
    pub: { data: 1, info: { user: '', client } } } });
  // The push comes behind the reply to subscribe (§4.1), and before or behind
  // the one to publish (§4.3).
  assert.ok(rest.indexOf(push) > rest.indexOf('{"id":2,"subscribe":{}}'));
  assert.deepEqual(rest.filter((x) => x !== push), [
    '{"id":2,"subscribe":{}}',
    '{"id":3,"publish":{}}',
    '{"id":4,"error":{"code":105,"message":"already subscribed"}}',
    '{"id":5,"error":{"code":108,"message":"not available"}}',
    '{"id":6,"unsubscribe":{}}',
    '{"id":7,"error":{"code":103,"message":"permission denied"}}',
    '{"id":8,"unsubscribe":{}}',
  ]);
});

// -- liveness -----------------------------------------------------------------

test('pings are empty replies, pongs empty commands', async (t) => { // §6
  const broker = await startBroker(t, '--ping-every', '400ms');
  const speaker = await startSpeaker(t, broker.centrifuge);
  assert.equal(speaker.greeting.connect.ping, 1); // in seconds, rounded up
  assert.equal(speaker.greeting.connect.pong, true);
  for (let i = 1; i <= 4; ++i) {
    await speaker.upTo(i);
    assert.equal(speaker.lines[i - 1], '{}');
    speaker.send('{}');
  }
});

test('the first ping leaves at least half of an interval', async (t) => { // §6
  const broker = await startBroker(t, '--ping-every', '600ms');
  const waits = await Promise.all(range(20).map(async () => {
    const begin = performance.now();
    const speaker = await startSpeaker(t, broker.centrifuge);
    await speaker.upTo(1);
    assert.equal(speaker.lines[0], '{}');
    return performance.now() - begin;
  }));
  assert.ok(Math.min(...waits) >= 300, `${waits}`);
});

test('an unanswered ping has its code and reason', async (t) => { // §6
  const broker = await startBroker(t,
    '--ping-every', '400ms', '--pong-timeout', '150ms');
  const speaker = await startSpeaker(t, broker.centrifuge);
  assert.deepEqual(await within(speaker.closed, 'close'),
    { code: 3012, reason: 'no pong' });
  assert.deepEqual(speaker.lines, ['{}']);
});

test('a client may want pings of the WebSocket instead', async (t) => { // §1
  const broker = await startBroker(t, '--ping-every', '200ms');
  const speaker = await startSpeaker(t,
    `${broker.centrifuge}?cf_ws_frame_ping_pong=true`);
  assert.equal('ping' in speaker.greeting.connect, false);
  await within(once(speaker, 'ping'), 'ping of the WebSocket');
  assert.deepEqual(speaker.lines, []);
});

// -- ends ---------------------------------------------------------------------

test('a draining broker says so to everybody', async (t) => {
  const broker = await startBroker(t);
  const all = await Promise.all(
    range(20).map(() => startSpeaker(t, broker.centrifuge)));
  broker.signal('SIGTERM');
  for (const { closed } of all)
    assert.deepEqual(await within(closed, 'close'),
      { code: 3001, reason: 'shutdown' });
  assert.equal(await broker.ended(), 0);
});

test('bad commands have their code and reason', async (t) => { // §2.1, §3
  const broker = await startBroker(t);
  for (const text of ['nonsense', '{}', '{"id":1,"subscribe":{"channel":"a"}}',
    '{"id":1,"method":1,"params":{"channel":"a"}}', '', '{"connect":{}}',
    `${greeting}\n${greeting}`, `${greeting}\n{}`, `${greeting}\n{"id":2}`,
    `${greeting}\n{"id":2,"ping":{}}`, Buffer.from(greeting)]) {
    const socket = await startSocket(t, broker.centrifuge);
    socket.send(text);
    assert.deepEqual(await within(socket.closed, 'close'),
      { code: 3501, reason: 'bad request' }, `${text}`);
    // What came before it was answered.
    assert.equal(socket.lines.length,
      `${text}`.startsWith(`${greeting}\n`) ? 1 : 0, `${text}`);
  }
});

test('every command of a message counts against the rate', async (t) => {
  const broker = await startBroker(t, '--messages-per-second', '10',
    '--burst-seconds', '100'); // 1000 at once
  for (const n of [1000, 1001]) {
    const socket = await startSocket(t, broker.centrifuge);
    const commands = range(n).map(
      (i) => ({ id: i + 1, unsubscribe: { channel: 'a' } }));
    commands[0] = { id: 1, connect: {} };
    socket.send(inLines(commands));
    if (n === 1000) {
      await socket.upTo(n);
      assert.deepEqual(socket.lines.map((x) => JSON.parse(x).id),
        range(n).map((i) => i + 1));
    } else {
      assert.deepEqual(await within(socket.closed, 'close'),
        { code: 3013, reason: 'too many requests' });
      assert.deepEqual(socket.lines, []);
    }
  }
});

test('answers that are known together are joined', async (t) => { // §12
  const broker = await startBroker(t, '--messages-per-second', '0');
  const speaker = await startSpeaker(t, broker.centrifuge);
  const before = speaker.messages;
  const n = 500;
  speaker.ask(...range(n).map(
    (i) => ({ id: i + 2, history: { channel: 'a' } })));
  await speaker.upTo(n);
  assert.deepEqual(speaker.lines.map((x) => JSON.parse(x).id),
    range(n).map((i) => i + 2));
  const messages = speaker.messages - before;
  assert.ok(messages <= 4, `${messages} messages`); // 256 wait at most
});

test('publications and their answers are joined as well', async (t) => { // §12
  const broker = await startBroker(t, '--messages-per-second', '0',
    '--threads', '1');
  const speaker = await startSpeaker(t, broker.centrifuge);
  speaker.ask({ id: 2, subscribe: { channel: 'a' } });
  await speaker.upTo(1);
  const before = speaker.messages;
  const n = 500;
  speaker.ask(...range(n).map(
    (i) => ({ id: i + 3, publish: { channel: 'a', data: i } })));
  await speaker.upTo(1 + 2 * n);
  const messages = speaker.messages - before;
  assert.ok(messages <= 20, `${messages} messages`); // 2 a turn of 256 events
});

test('a subscription is answered before its first push, whoever publishes',
  async (t) => { // §4.1
    const broker = await startBroker(t, '--messages-per-second', '0',
      '--threads', '2');
    // Publishers that never rest: each answer is followed by the next one.
    const begun = await Promise.all(range(4).map(async () => {
      const speaker = await startSpeaker(t, broker.centrifuge);
      let next = 0;
      const say = () => speaker.ask(
        { id: next + 10, publish: { channel: 'a', data: next++ } });
      speaker.ask({ id: 2, subscribe: { channel: 'a' } });
      await speaker.upTo(1);
      speaker.on('message', (text) => {
        for (const x of `${text}`.split('\n'))
          if (JSON.parse(x).publish)
            say();
      });
      range(8).forEach(say);
      return speaker.greeting.connect.client;
    }));
    // Joiners on both threads, which come, hear something and go.
    const joiners = await Promise.all(
      range(4).map(() => startSpeaker(t, broker.centrifuge)));
    await Promise.all(joiners.map(async (joiner) => {
      const upTo = async (is) => {
        const n = await joiner.until(
          (all) => 1 + all.findIndex((x) => is(JSON.parse(x))), 'line');
        return joiner.lines.splice(0, n).map((x) => JSON.parse(x));
      };
      for (const round of range(50)) {
        const id = 2 * round + 2;
        joiner.ask({ id, subscribe: { channel: 'a' } });
        assert.deepEqual(await upTo(() => true), [{ id, subscribe: {} }]);
        const heard = await upTo((x) => x.push?.pub.data % 50 === 0);
        joiner.ask({ id: id + 1, unsubscribe: { channel: 'a' } });
        heard.push(...await upTo((x) => x.unsubscribe));
        assert.deepEqual(heard.pop(), { id: id + 1, unsubscribe: {} });
        // Of each publisher, none is missing in between and none came twice.
        for (const who of begun) {
          const its = heard.filter((x) => x.push.pub.info.client === who)
            .map((x) => x.push.pub.data);
          assert.deepEqual(its, its.map((_, i) => its[0] + i));
        }
      }
    }));
  });

test('a client that does not greet is stale', async (t) => { // §1
  const broker = await startBroker(t, '--greeting-timeout', '200ms');
  const socket = await startSocket(t, broker.centrifuge);
  assert.deepEqual(await within(socket.closed, 'close'),
    { code: 3502, reason: 'stale' });
});

test('a client that is refused and stays is not heard', async (t) => { // §3
  const broker = await startBroker(t, '--anonymous', 'off',
    '--greeting-timeout', '500ms');
  const socket = await startSocket(t, broker.centrifuge);
  socket.send(`${greeting}\n{"id":2,"subscribe":{"channel":"a"}}`);
  assert.deepEqual(await within(socket.closed, 'close'),
    { code: 3502, reason: 'stale' });
  assert.deepEqual(socket.lines,
    ['{"id":1,"error":{"code":101,"message":"unauthorized"}}']);
});
