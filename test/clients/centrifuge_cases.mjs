// What an application sees through the npm client `centrifuge` (JSON),
// unmodified, wherever it runs. Section numbers are those of the protocol's
// description; codes of trouble stand in its section 7.2.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  collect, join, next, range, startBroker, startObedientBroker, startSocket,
  startWire, within,
} from './broker.mjs';

const uuid
  = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A subscription that is refused: how. */
async function refusal(client, channel, options) {
  const subscription = client.newSubscription(channel, options);
  const refused = next(subscription, 'unsubscribed');
  subscription.subscribe();
  const { code, reason } = await refused;
  return `${code} ${reason}`;
}

/** What goes right, with clients made by `startClient`. */
export function whatGoesRight(startClient) {
  test('a client connects without a token and is named', async (t) => {
    const broker = await startBroker(t);
    const ann = startClient(t, broker.centrifuge, { name: 'ann' });
    const connected = await next(ann, 'connected');
    assert.match(connected.client, uuid);
    const bob = startClient(t, broker.centrifuge);
    assert.notEqual((await next(bob, 'connected')).client, connected.client);
  });

  test('a client hears everybody in order, itself included', async (t) => {
    const broker = await startBroker(t, '--messages-per-second', '0');
    const ann = startClient(t, broker.centrifuge);
    const bob = startClient(t, broker.centrifuge);
    const { client } = await next(ann, 'connected');
    const annsRoom = await join(ann, 'chat:1');
    const bobsRoom = await join(bob, 'chat:1');
    const heard = [collect(annsRoom), collect(bobsRoom)];
    const first = next(bobsRoom, 'publication');
    const sent = range(1000).map((i) => ({ i, text: 'grüße\n"\\ 😀' }));
    const answers = Promise.all(sent.map((x) => annsRoom.publish(x)));
    for (const answer of await within(answers, 'answers'))
      assert.deepEqual(answer, {});
    for (const { all, upTo } of heard) {
      await upTo(sent.length);
      assert.deepEqual(all, sent);
    }
    const { info, offset } = await first;
    assert.deepEqual(info, { client, user: '' });
    assert.equal(offset, undefined); // nothing is kept
  });

  test('clients that publish at once are heard in one order', async (t) => {
    const broker = await startBroker(t, '--messages-per-second', '0');
    const rooms = await Promise.all(range(3).map(
      () => join(startClient(t, broker.centrifuge), 'chat')));
    const heard = rooms.map(collect);
    const n = 200;
    for (const i of range(n))
      rooms.forEach((room, who) => room.publish([who, i]));
    for (const list of heard)
      await list.upTo(n * rooms.length);
    for (const { all } of heard)
      assert.deepEqual(all, heard[0].all);
    rooms.forEach((_, who) => assert.deepEqual(
      heard[0].all.filter(([from]) => from === who).map(([, i]) => i),
      range(n)));
  });

  test('a connection has 128 rooms and no more', async (t) => {
    const broker = await startBroker(t);
    const ann = startClient(t, broker.centrifuge);
    const bob = startClient(t, broker.centrifuge);
    // All of them in the first message, before connect is answered (§1).
    const rooms = await Promise.all(
      range(128).map((i) => join(ann, `room:${i}`)));
    const heard = rooms.map(collect);
    assert.equal(await refusal(ann, 'room:128'), '106 limit exceeded');
    const loud = [0, 64, 127];
    for (const i of loud)
      await (await join(bob, `room:${i}`)).publish(i);
    await Promise.all(loud.map((i) => heard[i].upTo(1)));
    heard.forEach(({ all }, i) => assert.deepEqual(all,
      loud.includes(i) ? [i] : []));
    // A place that is given back may be taken again.
    const left = next(rooms[5], 'unsubscribed');
    rooms[5].unsubscribe();
    await left;
    await join(ann, 'room:129');
  });

  test('a connection that ends leaves all of its rooms at once', async (t) => {
    const broker = await startBroker(t);
    const ann = startClient(t, broker.centrifuge);
    await Promise.all(range(128).map((i) => join(ann, `room:${i}`)));
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
    await broker.logged('leave', (x) => x.message === 'left');
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
    for (const i of range(n)) {
      ann.publish({ from: 'ann', i });
      raw.send(`raw ${i}`);
      raw.send(Buffer.from([0, 255, i & 255])); // JSON has no word for this
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

  test('what is not offered is refused in the protocol\'s words', async (t) => {
    const broker = await startBroker(t);
    const ann = startClient(t, broker.centrifuge);
    const room = await join(ann, 'chat');
    const refused = (answer) => within(answer, 'refusal').then(
      () => assert.fail('not refused'),
      ({ code, message }) => `${code} ${message}`);
    assert.equal(await refused(room.presence()), '108 not available'); // §4.4
    assert.equal(await refused(room.presenceStats()), '108 not available');
    assert.equal(await refused(room.history({ limit: 10 })),
      '108 not available'); // §4.5
    assert.equal(await refused(ann.rpc('sum', { a: 1 })),
      '108 not available'); // §4.6
    assert.equal(await refused(ann.publish('elsewhere', 1)),
      '103 permission denied'); // §4.3
    assert.equal(await refusal(ann, '$secret'), '103 permission denied');
    assert.equal(await refusal(ann, 'private-a'), '103 permission denied');
    assert.equal(await refusal(ann, 'x'.repeat(256)), '107 bad request');
    assert.equal(await refusal(ann, 'café'), '107 bad request');
    assert.equal(await refusal(ann, 'a/b'), '107 bad request');
    assert.equal(await refusal(ann, 'dialog#42,43'), '103 permission denied');
    let deep = 1;
    for (let i = 0; i < 100; ++i)
      deep = [deep];
    assert.equal(await refused(room.publish(deep)), '107 bad request');
    assert.deepEqual(await room.publish(2), {}); // the connection lives
  });

  test('names are as long as the operator wants', async (t) => {
    const broker = await startBroker(t, '--room-name-max', '8');
    const ann = startClient(t, broker.centrifuge);
    await join(ann, 'x'.repeat(8));
    assert.equal(await refusal(ann, 'x'.repeat(9)), '107 bad request');
  });

  test('publishing to two rooms in turn takes a turn of each', async (t) => {
    const broker = await startBroker(t, '--room-write-delay', '1s');
    const ann = startClient(t, broker.centrifuge);
    const rooms = [await join(ann, 'a'), await join(ann, 'b')];
    const answers = Promise.all(range(20).map((i) => rooms[i % 2].publish(i)));
    // One after the other these would take 20 s, and the client gives up after 5.
    assert.equal((await within(answers, 'answers')).length, 20);
  });

  test('a thousand commands in one message are answered in order',
    async (t) => {
      // With the greeting and the room exactly as many as may come at once.
      const broker = await startBroker(t, '--messages-per-second', '1',
        '--burst-seconds', '1002');
      const ann = startClient(t, broker.centrifuge);
      const room = await join(ann, 'chat');
      const heard = collect(room);
      const { messages, answers } = await within(
        ann.inOneMessage(room, range(1000)), 'answers');
      assert.equal(messages, 1);
      assert.deepEqual(answers, range(1000).map((i) => [i, 0]));
      await heard.upTo(1000);
      assert.deepEqual(heard.all, range(1000));
    });

  test('a client does not notice that its room was restarted', async (t) => {
    const broker = await startObedientBroker(t);
    const ann = startClient(t, broker.centrifuge);
    const rooms = [await join(ann, 'a'), await join(ann, 'b')];
    const heard = rooms.map(collect);
    const faults = [];
    for (const [thing, name] of [[ann, 'connecting'],
      [rooms[0], 'subscribing'], [rooms[0], 'unsubscribed']])
      thing.on(name, (x) => faults.push(x));
    await broker.act('restart', { room: 'a' });
    await rooms[0].publish(1);
    await rooms[1].publish(2);
    await Promise.all(heard.map((x) => x.upTo(1)));
    assert.deepEqual(heard.map((x) => x.all), [[1], [2]]);
    assert.deepEqual(faults, []);
  });

  test('a room that nobody opened is unknown', async (t) => {
    const broker = await startBroker(t, '--room', 'lobby',
      '--rooms-on-demand', 'off');
    const ann = startClient(t, broker.centrifuge);
    await join(ann, 'lobby');
    assert.equal(await refusal(ann, 'nowhere'), '102 unknown channel');
  });

  test('a position of which nothing is kept is not recovered', async (t) => {
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
}

// -- trouble ------------------------------------------------------------------

/** The client is told to go and comes back: its subscription goes on. */
async function comesBack(client, room, code, trouble) {
  const gone = next(client, 'connecting');
  const back = next(client, 'connected');
  const subscribed = next(room, 'subscribed');
  await trouble();
  assert.equal((await gone).code, code);
  await back;
  await subscribed;
  const heard = collect(room);
  await room.publish('back');
  await heard.upTo(1);
}

/** The client is told to go and stays away. */
async function staysAway(client, code, trouble = () => {}) {
  const gone = next(client, 'disconnected');
  await trouble();
  assert.equal((await gone).code, code);
  assert.equal(client.state, 'disconnected');
}

/** What goes wrong, and whether the client comes back. */
export function whatGoesWrong(startClient) {
  test('a client is back after the broker was killed', async (t) => {
    const broker = await startBroker(t);
    const ann = startClient(t, broker.centrifuge);
    const room = await join(ann, 'chat');
    await comesBack(ann, room, 1, async () => { // transport closed
      await broker.end('SIGKILL');
      await startBroker(t, '--port', `${broker.port}`);
    });
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

  test('a client is back after its network was cut', async (t) => {
    const broker = await startBroker(t);
    const wire = await startWire(t, broker.port);
    const ann = startClient(t, wire.centrifuge);
    const room = await join(ann, 'chat');
    const { client } = await broker.logged('join',
      (x) => x.message === 'joined');
    await comesBack(ann, room, 1, async () => { // transport closed
      wire.cut();
      await broker.logged('death', // nobody is left behind
        (x) => x.message === 'client_down' && x.client === client);
      wire.mend();
    });
  });

  test('a client that answers no ping is told so and comes back',
    async (t) => { // §6
      const broker = await startBroker(t,
        '--ping-every', '400ms', '--pong-timeout', '150ms');
      const wire = await startWire(t, broker.port);
      const ann = startClient(t, wire.centrifuge);
      const room = await join(ann, 'chat');
      await comesBack(ann, room, 3012, () => wire.deafen());
    });

  test('a client that reads nothing is cut off and comes back', async (t) => {
    const broker = await startBroker(t, '--messages-per-second', '0',
      '--bytes-per-second', '0', '--send-buffer', '64KiB');
    const wire = await startWire(t, broker.port);
    const ann = startClient(t, wire.centrifuge);
    const room = await join(ann, 'chat');
    const { client } = await broker.logged('join',
      (x) => x.message === 'joined');
    const bob = await join(startClient(t, broker.centrifuge), 'chat');
    const heard = collect(bob);
    const text = 'x'.repeat(32 * 1024);
    let published = 0;
    await comesBack(ann, room, 3008, async () => {
      let cut = false;
      // Logged when it leaves its rooms, before its socket is given up.
      const left = broker.logged('eviction',
        (x) => x.message === 'left' && x.client === client)
        .then(() => { cut = true; });
      wire.stall();
      while (published < 2000 && !cut)
        await bob.publish([published++, text]);
      await left;
      wire.flow();
    });
    // Others have lost nothing.
    await heard.upTo(published + 1);
    assert.deepEqual(heard.all.map((x) => (x === 'back' ? x : x[0])),
      [...range(published), 'back']);
  });

  test('a room that is closed is told, and others go on', async (t) => { // §7.3
    const broker = await startObedientBroker(t);
    const clients = range(2).map(() => startClient(t, broker.centrifuge));
    const rooms = await Promise.all(
      clients.map((x) => Promise.all([join(x, 'a'), join(x, 'b')])));
    const ends = rooms.map(([a]) => next(a, 'unsubscribed'));
    await broker.act('kill', { room: 'a' });
    for (const end of ends) {
      const { code, reason } = await end;
      assert.equal(`${code} ${reason}`, '2000 server unsubscribe');
    }
    const heard = collect(rooms[1][1]);
    await rooms[0][1].publish('still here');
    await heard.upTo(1);
    for (const x of clients)
      assert.equal(x.state, 'connected');
    // On demand it is there again.
    const back = next(rooms[0][0], 'subscribed');
    rooms[0][0].subscribe();
    await back;
    await rooms[0][0].publish('again');
  });

  test('a bad command ends the client for good', async (t) => { // §2.1
    const broker = await startBroker(t);
    const ann = startClient(t, broker.centrifuge);
    await next(ann, 'connected');
    await staysAway(ann, 3501, () => ann.sendRaw('nonsense'));
  });

  test('a message that has no answer ends the client for good',
    async (t) => { // §4.6
      const broker = await startBroker(t);
      const ann = startClient(t, broker.centrifuge);
      await next(ann, 'connected');
      await staysAway(ann, 3508, () => ann.send({ a: 1 }));
    });

  test('an oversized message ends the client for good', async (t) => {
    const broker = await startBroker(t);
    const ann = startClient(t, broker.centrifuge);
    const room = await join(ann, 'chat');
    await staysAway(ann, 3, () => { // the client's own word for 1009
      room.publish('x'.repeat(70 * 1024)).catch(() => {});
    });
  });

  test('a client that asks too much is told so and comes back', async (t) => {
    // Each of the commands counts: without ten of them it would be allowed.
    const broker = await startBroker(t, '--messages-per-second', '1',
      '--burst-seconds', '992');
    const ann = startClient(t, broker.centrifuge);
    const room = await join(ann, 'chat');
    await comesBack(ann, room, 3013, async () => {
      const { answers } = await ann.inOneMessage(room, range(1000));
      assert.ok(answers.every(([, code]) => code !== 0), 'some were granted');
    });
  });

  test('a client that an operator ends stays away', async (t) => { // §7.2
    const broker = await startObedientBroker(t);
    const ann = startClient(t, broker.centrifuge);
    await join(ann, 'chat');
    const { client } = await broker.logged('join',
      (x) => x.message === 'joined');
    await staysAway(ann, 3503, () => broker.act('kill', { client }));
  });

  test('a token that cannot be checked is invalid', async (t) => { // §3
    const broker = await startBroker(t);
    await staysAway(startClient(t, broker.centrifuge, { token: 'JWT' }), 3500);
  });

  test('a client without a token may be unwelcome', async (t) => { // §3
    const broker = await startBroker(t, '--anonymous', 'off');
    await staysAway(startClient(t, broker.centrifuge), 101);
  });
}
