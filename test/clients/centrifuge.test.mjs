// The npm client `centrifuge` (JSON), unmodified, against the broker: what goes
// right. Section numbers are those of the protocol's description.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';
import {
  collect, join, next, startBroker, startClient, startSocket, startSpeaker,
  within,
} from './broker.mjs';

const uuid
  = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('a client connects without a token and is named', async (t) => {
  const broker = await startBroker(t);
  const ann = startClient(t, broker.centrifuge, { name: 'ann' });
  const connected = await next(ann, 'connected');
  assert.match(connected.client, uuid);
  const bob = startClient(t, broker.centrifuge);
  assert.notEqual((await next(bob, 'connected')).client, connected.client);
});

test('a client publishes and receives, itself included, in order',
  async (t) => {
    const broker = await startBroker(t, '--messages-per-second', '0');
    const ann = startClient(t, broker.centrifuge);
    const bob = startClient(t, broker.centrifuge);
    const { client } = await next(ann, 'connected');
    const annHears = await join(ann, 'chat:1');
    const bobHears = await join(bob, 'chat:1');
    const heard = [collect(annHears), collect(bobHears)];
    const first = next(bobHears, 'publication');
    const n = 1000;
    const sent = [];
    for (let i = 0; i < n; ++i)
      sent.push(annHears.publish({ i, text: 'grüße\n"\\ 😀' }));
    for (const result of await within(Promise.all(sent), 'answers'))
      assert.deepEqual(result, {});
    for (const list of heard) {
      await list.upTo(n);
      assert.deepEqual(list.all,
        Array.from({ length: n }, (_, i) => ({ i, text: 'grüße\n"\\ 😀' })));
    }
    const publication = await first;
    assert.deepEqual(publication.info, { client, user: '' });
    assert.equal(publication.offset, undefined);
  });

test('two clients that publish at once are heard in one order', async (t) => {
  const broker = await startBroker(t, '--messages-per-second', '0');
  const names = ['ann', 'bob', 'eve'];
  const all = await Promise.all(names.map(
    (name) => join(startClient(t, broker.centrifuge, { name }), 'chat')));
  const heard = all.map(collect);
  const n = 200;
  for (let i = 0; i < n; ++i)
    all.forEach((room, who) => room.publish([who, i]));
  for (const list of heard)
    await list.upTo(n * all.length);
  assert.deepEqual(heard[1].all, heard[0].all);
  assert.deepEqual(heard[2].all, heard[0].all);
  all.forEach((_, who) => assert.deepEqual(
    heard[0].all.filter(([from]) => from === who).map(([, i]) => i),
    Array.from({ length: n }, (_, i) => i)));
});

test('a connection has 128 rooms and no more', async (t) => {
  const broker = await startBroker(t);
  const ann = startClient(t, broker.centrifuge);
  const bob = startClient(t, broker.centrifuge);
  // All of them in the first message, before the connection is answered (§1).
  const rooms = await Promise.all(
    Array.from({ length: 128 }, (_, i) => join(ann, `room:${i}`)));
  const heard = rooms.map(collect);
  const last = ann.newSubscription('room:128');
  const refused = next(last, 'unsubscribed');
  last.subscribe();
  const { code, reason } = await refused;
  assert.deepEqual({ code, reason }, { code: 106, reason: 'limit exceeded' });
  const speakers
    = await Promise.all([0, 64, 127].map((i) => join(bob, `room:${i}`)));
  await Promise.all(speakers.map((x) => x.publish(x.channel)));
  await Promise.all([0, 64, 127].map((i) => heard[i].upTo(1)));
  heard.forEach((list, i) => assert.deepEqual(list.all,
    [0, 64, 127].includes(i) ? [`room:${i}`] : []));
  // A place that is given back may be taken again.
  const left = next(rooms[5], 'unsubscribed');
  rooms[5].unsubscribe();
  await left;
  const joined = next(last, 'subscribed');
  last.subscribe();
  await joined;
});

test('a connection that ends leaves all of its rooms at once', async (t) => {
  const broker = await startBroker(t);
  const ann = startClient(t, broker.centrifuge);
  await Promise.all(
    Array.from({ length: 128 }, (_, i) => join(ann, `room:${i}`)));
  ann.sockets[0].terminate();
  ann.disconnect();
  await broker.logged('end of the last room',
    () => broker.count((x) => x.message === 'room_closed') === 128);
});

test('who has unsubscribed hears nothing more', async (t) => {
  const broker = await startBroker(t);
  const ann = await join(startClient(t, broker.centrifuge), 'chat');
  const bob = await join(startClient(t, broker.centrifuge), 'chat');
  const heard = collect(bob);
  await ann.publish(1);
  await heard.upTo(1);
  const left = next(bob, 'unsubscribed');
  bob.unsubscribe();
  assert.equal((await left).code, 0);
  // The room has let bob go before it answers ann.
  await within(broker.logged('leave', (x) => x.message === 'left'), 'leave');
  await ann.publish(2);
  const back = next(bob, 'subscribed');
  bob.subscribe();
  await back;
  await ann.publish(3);
  await heard.upTo(2);
  assert.deepEqual(heard.all, [1, 3]);
});

test('a raw client and a Centrifuge client hear the same', async (t) => {
  const broker = await startBroker(t, '--messages-per-second', '0');
  const ann = await join(startClient(t, broker.centrifuge), 'lobby');
  const raw = await startSocket(t, broker.room('lobby'));
  const heard = collect(ann);
  const n = 300;
  for (let i = 0; i < n; ++i) {
    ann.publish({ from: 'ann', i });
    raw.send(`raw ${i}`);
    raw.send(Buffer.from([0, 255, i & 255])); // no word for this in JSON
  }
  await heard.upTo(2 * n);
  await raw.upTo(3 * n);
  // Text is text for one and a string for the other, JSON is both.
  const texts = raw.lines.filter((x) => typeof x === 'string');
  assert.equal(raw.lines.length - texts.length, n);
  const same = heard.all.map(
    (x) => (typeof x === 'string' ? x : JSON.stringify(x)));
  assert.deepEqual(same, texts);
});

test('what is not offered is refused in the words of the protocol',
  async (t) => {
    const broker = await startBroker(t);
    const ann = startClient(t, broker.centrifuge);
    const room = await join(ann, 'chat');
    const refusal = (promise) => within(promise, 'refusal').then(
      () => assert.fail('not refused'), ({ code, message }) =>
        `${code} ${message}`);
    const unavailable = '108 not available';
    assert.equal(await refusal(room.presence()), unavailable); // §4.4
    assert.equal(await refusal(room.presenceStats()), unavailable);
    assert.equal(await refusal(room.history({ limit: 10 })), unavailable);
    assert.equal(await refusal(ann.rpc('sum', { a: 1 })), unavailable); // §4.6
    assert.equal(await refusal(ann.publish('elsewhere', 1)),
      '103 permission denied'); // §4.3
    for (const [channel, code] of [['$secret', 103], ['private-a', 103],
      ['x'.repeat(256), 107], ['café', 107]]) {
      const subscription = ann.newSubscription(channel);
      const refused = next(subscription, 'unsubscribed');
      subscription.subscribe();
      assert.equal((await refused).code, code, channel);
    }
    assert.deepEqual(await room.publish(2), {}); // the connection lives
  });

test('a room that nobody opened is unknown', async (t) => {
  const broker = await startBroker(t, '--room', 'lobby',
    '--rooms-on-demand', 'off');
  const ann = startClient(t, broker.centrifuge);
  await join(ann, 'lobby');
  const subscription = ann.newSubscription('nowhere');
  const refused = next(subscription, 'unsubscribed');
  subscription.subscribe();
  assert.equal((await refused).code, 102);
});

test('a position that nothing is kept of cannot be recovered', async (t) => {
  const broker = await startBroker(t);
  const ann = startClient(t, broker.centrifuge);
  const subscription = ann.newSubscription('chat',
    { since: { offset: 3, epoch: 'xvfo' } });
  const subscribed = next(subscription, 'subscribed');
  subscription.subscribe();
  const { wasRecovering, recovered, recoverable } = await subscribed;
  assert.deepEqual({ wasRecovering, recovered, recoverable },
    { wasRecovering: true, recovered: false, recoverable: false }); // §9
});

test('a client may offer a subprotocol or none', async (t) => {
  const broker = await startBroker(t);
  for (const offer of [[], ['centrifuge-json'], ['soap', 'centrifuge-json'],
    ['centrifuge-protobuf', 'centrifuge-json']]) {
    const socket = new WebSocket(broker.centrifuge, offer);
    await within(once(socket, 'open'), 'open WebSocket');
    assert.equal(socket.protocol, offer.length > 0 ? 'centrifuge-json' : '');
    socket.terminate();
  }
});

test('Protobuf is refused before there is a WebSocket', async (t) => {
  const broker = await startBroker(t);
  for (const [url, offer] of [[broker.centrifuge, ['centrifuge-protobuf']],
    [`${broker.centrifuge}?cf_protocol=protobuf`, []],
    [`${broker.centrifuge}?format=protobuf`, []]]) {
    const socket = new WebSocket(url, offer);
    socket.on('error', () => {});
    const [, response] = await within(
      once(socket, 'unexpected-response'), 'refusal');
    assert.equal(response.statusCode, 501);
    socket.terminate();
  }
});

test('pings go to and fro', async (t) => { // §6
  const broker = await startBroker(t, '--ping-every', '400ms');
  const ann = startClient(t, broker.centrifuge);
  await next(ann, 'connected');
  const speaker = await startSpeaker(t, broker.centrifuge);
  assert.equal(speaker.greeting.connect.ping, 1); // in seconds, rounded up
  assert.equal(speaker.greeting.connect.pong, true);
  for (let i = 1; i <= 4; ++i) {
    await speaker.upTo(i);
    assert.equal(speaker.lines[i - 1], '{}');
    speaker.send('{}');
  }
  assert.equal(ann.state, 'connected');
  assert.equal(ann.sockets.length, 1);
});

test('a client may want pings of the WebSocket instead', async (t) => { // §1
  const broker = await startBroker(t, '--ping-every', '200ms');
  const speaker = await startSpeaker(t,
    `${broker.centrifuge}?cf_ws_frame_ping_pong=true`);
  assert.equal('ping' in speaker.greeting.connect, false);
  await within(once(speaker, 'ping'), 'ping of the WebSocket');
  assert.deepEqual(speaker.lines, []);
});

test('a thousand commands in a message are answered in order', async (t) => {
  const broker = await startBroker(t, '--messages-per-second', '600');
  const speaker = await startSpeaker(t, broker.centrifuge);
  speaker.send('{"id":2,"subscribe":{"channel":"a"}}');
  await speaker.upTo(1);
  speaker.lines.length = 0;
  const n = 1000;
  speaker.send(Array.from({ length: n }, (_, i) => JSON.stringify(
    { id: i + 3, publish: { channel: 'a', data: i } })).join('\n'));
  await speaker.upTo(2 * n);
  const heard = speaker.lines.map((x) => JSON.parse(x));
  assert.deepEqual(
    heard.filter((x) => x.id).map((x) => x.id),
    Array.from({ length: n }, (_, i) => i + 3));
  assert.deepEqual(
    heard.filter((x) => x.push).map((x) => x.push.pub.data),
    Array.from({ length: n }, (_, i) => i));
});

test('commands of several kinds in a message are answered in order',
  async (t) => {
    const broker = await startBroker(t);
    const socket = await startSocket(t, broker.centrifuge);
    socket.send([
      { id: 1, connect: {} },
      { id: 2, subscribe: { channel: 'a' } },
      { id: 3, publish: { channel: 'a', data: 1 } },
      { id: 4, subscribe: { channel: 'a' } },
      { id: 5, history: { channel: 'a' } },
      { id: 6, unsubscribe: { channel: 'a' } },
      { id: 7, publish: { channel: 'a', data: 2 } },
      { id: 8, unsubscribe: { channel: 'a' } },
    ].map((x) => JSON.stringify(x)).join('\n'));
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

test('the Protobuf client is told that it cannot connect', async (t) => {
  const broker = await startBroker(t);
  const { Centrifuge: Protobuf } = await import('centrifuge/build/protobuf');
  assert.notEqual(Protobuf, Centrifuge);
  const ann = new Protobuf(broker.centrifuge, { websocket: WebSocket });
  t.after(() => ann.disconnect());
  const failed = next(ann, 'error');
  ann.connect();
  assert.equal((await failed).error.code, 2); // transport closed
});
