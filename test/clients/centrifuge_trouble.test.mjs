// The npm client `centrifuge` (JSON), unmodified, against the broker: what goes
// wrong, and whether the client comes back. Codes: section 7.2 of the
// protocol's description.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  collect, join, next, startBroker, startClient, startSocket, startSpeaker,
  startWire, within,
} from './broker.mjs';

/** The client is told to go and comes back: its subscription goes on. */
async function comesBack(client, subscription, code, trouble) {
  const gone = next(client, 'connecting');
  const back = next(client, 'connected');
  const subscribed = subscription && next(subscription, 'subscribed');
  await trouble();
  assert.equal((await gone).code, code);
  await back;
  await subscribed;
}

/** The client is told to go and stays away. */
async function staysAway(client, code, trouble) {
  const gone = next(client, 'disconnected');
  await trouble();
  assert.equal((await gone).code, code);
  assert.equal(client.state, 'disconnected');
}

// -- the broker goes ----------------------------------------------------------

test('a client is back after the broker was killed and restarted',
  async (t) => {
    const broker = await startBroker(t);
    const ann = startClient(t, broker.centrifuge);
    const room = await join(ann, 'chat');
    await comesBack(ann, room, 1, async () => { // transport closed
      await broker.end('SIGKILL');
      await startBroker(t, '--port', `${broker.port}`);
    });
    const heard = collect(room);
    await room.publish('back');
    await heard.upTo(1);
  });

test('a client is told to come back when the broker drains', async (t) => {
  const broker = await startBroker(t);
  const ann = startClient(t, broker.centrifuge);
  const room = await join(ann, 'chat');
  await comesBack(ann, room, 3001, async () => {
    assert.equal(await broker.end(), 0);
    await startBroker(t, '--port', `${broker.port}`);
  });
});

test('a draining broker says so to everybody', async (t) => {
  const broker = await startBroker(t);
  const all = await Promise.all(
    Array.from({ length: 20 }, () => startSpeaker(t, broker.centrifuge)));
  broker.signal('SIGTERM');
  for (const { closed } of all)
    assert.deepEqual(await within(closed, 'close'),
      { code: 3001, reason: 'shutdown' });
  assert.equal(await broker.ended(), 0);
});

// -- the wire goes ------------------------------------------------------------

test('a client is back after its network was cut', async (t) => {
  const broker = await startBroker(t);
  const wire = await startWire(t, broker.port);
  const ann = startClient(t, wire.centrifuge);
  const room = await join(ann, 'chat');
  const { client } = await broker.logged('join', (x) => x.message === 'joined');
  await comesBack(ann, room, 1, async () => {
    wire.cut();
    // Nobody is left behind.
    await broker.logged('death',
      (x) => x.message === 'client_down' && x.client === client);
    wire.mend();
  });
  const heard = collect(room);
  await room.publish('back');
  await heard.upTo(1);
});

test('a client that answers no ping is told so and comes back', async (t) => {
  const broker = await startBroker(t,
    '--ping-every', '400ms', '--pong-timeout', '150ms');
  const wire = await startWire(t, broker.port);
  const ann = startClient(t, wire.centrifuge);
  const room = await join(ann, 'chat');
  await comesBack(ann, room, 3012, async () => wire.deafen());
});

test('an unanswered ping has its code and reason', async (t) => { // §6
  const broker = await startBroker(t,
    '--ping-every', '400ms', '--pong-timeout', '150ms');
  const speaker = await startSpeaker(t, broker.centrifuge);
  assert.deepEqual(await within(speaker.closed, 'close'),
    { code: 3012, reason: 'no pong' });
  assert.deepEqual(speaker.lines, ['{}']);
});

// -- the client is slow -------------------------------------------------------

test('a client that reads nothing is cut off and comes back', async (t) => {
  const broker = await startBroker(t, '--messages-per-second', '0',
    '--bytes-per-second', '0', '--send-buffer', '64KiB');
  const ann = startClient(t, broker.centrifuge);
  const room = await join(ann, 'chat');
  const { client } = await broker.logged('join', (x) => x.message === 'joined');
  const bob = await join(startClient(t, broker.centrifuge), 'chat');
  const heard = collect(bob);
  await comesBack(ann, room, 3008, async () => {
    let cut = false;
    // Logged when it leaves its rooms, before its socket is given up.
    const left = broker.logged('eviction',
      (x) => x.message === 'left' && x.client === client)
      .then(() => { cut = true; });
    ann.sockets[0].pause();
    const text = 'x'.repeat(32 * 1024);
    for (let n = 0; n < 2000 && !cut; ++n)
      await bob.publish([n, text]);
    await left;
    ann.sockets[0].resume();
  });
  // Others have lost nothing.
  heard.all.forEach(([n], i) => assert.equal(n, i));
});

// -- the client misbehaves ----------------------------------------------------

test('a bad command ends the client for good', async (t) => {
  const broker = await startBroker(t);
  const ann = startClient(t, broker.centrifuge);
  await next(ann, 'connected');
  await staysAway(ann, 3501, async () => ann.sockets[0].send('nonsense'));
});

test('bad commands have their code and reason', async (t) => { // §2.1, §3
  const broker = await startBroker(t);
  const greeting = '{"id":1,"connect":{}}';
  for (const text of ['nonsense', '{}', '{"id":1,"subscribe":{"channel":"a"}}',
    '{"id":1,"method":1,"params":{"channel":"a"}}', '', '{"connect":{}}',
    `${greeting}\n${greeting}`, `${greeting}\n{}`, `${greeting}\n{"id":2}`,
    `${greeting}\n{"id":2,"ping":{}}`, Buffer.from(greeting)]) {
    const socket = await startSocket(t, broker.centrifuge);
    socket.send(text);
    assert.deepEqual(await within(socket.closed, 'close'),
      { code: 3501, reason: 'bad request' }, `${text}`);
    // What came before it was answered.
    assert.equal(socket.lines.length, `${text}`.startsWith(`${greeting}\n`)
      ? 1 : 0, `${text}`);
  }
});

test('a message without an answer is not available', async (t) => { // §4.6
  const broker = await startBroker(t);
  const ann = startClient(t, broker.centrifuge);
  await next(ann, 'connected');
  await staysAway(ann, 3508, () => ann.send({ a: 1 }));
});

test('an oversized message ends the client for good', async (t) => {
  const broker = await startBroker(t);
  const ann = startClient(t, broker.centrifuge);
  const room = await join(ann, 'chat');
  await staysAway(ann, 3, async () => { // the client's own word for 1009
    room.publish('x'.repeat(70 * 1024)).catch(() => {});
  });
});

test('too many commands are too many requests, and the client comes back',
  async (t) => {
    const broker = await startBroker(t, '--messages-per-second', '100');
    const ann = startClient(t, broker.centrifuge);
    const room = await join(ann, 'chat');
    await comesBack(ann, room, 3013, async () => {
      ann.startBatching(); // one message
      for (let i = 0; i < 1000; ++i)
        room.publish(i).catch(() => {});
      ann.stopBatching();
    });
  });

test('every command of a message counts against the rate', async (t) => {
  const broker = await startBroker(t, '--messages-per-second', '100',
    '--burst-seconds', '1');
  const speaker = await startSpeaker(t, broker.centrifuge);
  speaker.send(Array.from({ length: 500 }, (_, i) =>
    `{"id":${i + 2},"unsubscribe":{"channel":"a"}}`).join('\n'));
  assert.deepEqual(await within(speaker.closed, 'close'),
    { code: 3013, reason: 'too many requests' });
});

test('a client that does not greet is stale', async (t) => { // §1
  const broker = await startBroker(t, '--greeting-timeout', '200ms');
  const socket = await startSocket(t, broker.centrifuge);
  assert.deepEqual(await within(socket.closed, 'close'),
    { code: 3502, reason: 'stale' });
});

// -- the client is not welcome ------------------------------------------------

test('a token that cannot be checked is invalid', async (t) => { // §3
  const broker = await startBroker(t);
  const ann = startClient(t, broker.centrifuge, { token: 'JWT' });
  await staysAway(ann, 3500, async () => {});
});

test('a client without a token may be unwelcome', async (t) => { // §3
  const broker = await startBroker(t, '--anonymous', 'off',
    '--greeting-timeout', '500ms');
  const ann = startClient(t, broker.centrifuge);
  await staysAway(ann, 101, async () => {});
  // Whoever stays all the same is heard no more and shown the door.
  const socket = await startSocket(t, broker.centrifuge);
  socket.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"a"}}');
  assert.deepEqual(await within(socket.closed, 'close'),
    { code: 3502, reason: 'stale' });
  assert.deepEqual(socket.lines,
    ['{"id":1,"error":{"code":101,"message":"unauthorized"}}']);
});
