// The broker as a child process, and the patience of a test. Everything waits
// for something that happens, with a deadline; nothing sleeps.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

const patience = 15_000; // ms; sanitizers are slow, machines are shared

/** What `promise` brings, or a failure that says what was waited for. */
export async function within(promise, what, ms = patience) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** The next event of `name`, begun to be waited for at once. */
export function next(emitter, name, matches = () => true) {
  let listener;
  const seen = new Promise((resolve) => {
    listener = (x) => matches(x) && resolve(x);
    emitter.on(name, listener);
  });
  return within(seen, `event ${name}`).finally(() => {
    if (emitter.removeListener)
      emitter.removeListener(name, listener);
  });
}

/**
 * A list that grows: `until(find)` waits for what `find` makes of it to be
 * something, `upTo(n)` for so many of what it is a list of.
 */
export function growing(what) {
  const all = [];
  const looks = new Set();
  const until = (find, name) => {
    let look;
    const found = new Promise((resolve) => {
      look = () => {
        const x = find(all);
        if (x)
          resolve(x);
      };
      looks.add(look);
      look();
    });
    return within(found, name).finally(() => looks.delete(look));
  };
  return {
    all,
    add(...more) {
      all.push(...more);
      for (const look of looks)
        look();
    },
    until,
    upTo: (n) => until(() => all.length >= n && all, `${what} ${n}`),
  };
}

/** The numbers from 0 to below n. */
export const range = (n) => Array.from({ length: n }, (_, i) => i);

// -- the broker ---------------------------------------------------------------

class Broker {
  #child;
  #lines = growing('line of the log');
  #exited;

  constructor(flags) {
    const binary = process.env.GREENROOM_BINARY;
    if (!binary)
      throw new Error('GREENROOM_BINARY names no broker');
    this.#child = spawn(binary, ['serve', '--log-format', 'json', ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#exited = once(this.#child, 'exit');
    createInterface({ input: this.#child.stdout }).on('line',
      (text) => this.#lines.add(JSON.parse(text)));
  }

  /** The first line of the log, past ones included, that fits. */
  logged(what, matches) {
    return this.#lines.until((all) => all.find(matches), what);
  }

  /** How many lines of the log fit by now. */
  count(matches) {
    return this.#lines.all.filter(matches).length;
  }

  get pid() {
    return this.#child.pid;
  }

  signal(name) {
    this.#child.kill(name); // by pid: this child and no other
  }

  /** How it ended, once it has. */
  async ended() {
    const [code, signal] = await within(this.#exited, 'end of the broker');
    return signal ?? code;
  }

  /** Ends it and says how it ended. */
  end(name = 'SIGTERM') {
    if (this.#child.exitCode === null && this.#child.signalCode === null)
      this.signal(name);
    return this.ended();
  }
}

/**
 * A broker that listens: on a free port, with rooms on demand and for pages of
 * any origin, unless the flags say otherwise.
 */
export async function startBroker(t, ...flags) {
  for (const [flag, value] of [['--port', '0'], ['--rooms-on-demand', 'on'],
    ['--origin', '*']])
    if (!flags.includes(flag))
      flags.push(flag, value);
  const broker = new Broker(flags);
  t.after(() => broker.end('SIGKILL'));
  const line = await broker.logged('listening broker',
    (x) => x.message === 'listening');
  broker.port = line.port;
  broker.centrifuge = `ws://127.0.0.1:${line.port}/connection/websocket`;
  broker.room = (name) => `ws://127.0.0.1:${line.port}/room/${name}`;
  return broker;
}

const token = 'only-for-this-test';

/** Such a broker, of which `act` asks its inspection API to do something. */
export async function startObedientBroker(t, ...flags) {
  const broker = await startBroker(t, '--inspect-port', '0',
    '--inspect-act-token', token, ...flags);
  const { port } = await broker.logged('inspection',
    (x) => x.message === 'inspecting');
  broker.act = async (what, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}/inspect/${what}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    const receipt = await answer.json();
    if (!receipt.clean)
      throw new Error(`${what}: ${JSON.stringify(receipt)}`);
  };
  return broker;
}

// -- a wire that can be cut ---------------------------------------------------

/** Passes connections on to a port, and fails them when it is told to. */
export async function startWire(t, port) {
  const pairs = new Set();
  let up = true;
  const server = net.createServer((near) => {
    if (!up) {
      near.destroy();
      return;
    }
    const far = net.connect(port, '127.0.0.1');
    const pair = { near, far };
    pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    for (const end of [near, far]) {
      end.on('error', () => {}); // told by close
      end.on('close', () => {
        pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const wire = {
    centrifuge: `ws://127.0.0.1:${server.address().port}/connection/websocket`,
    /** Ends both sides, and whoever knocks until it is mended. */
    cut() {
      up = false;
      // Not resetAndDestroy: Node 20 may hang in its exit afterwards.
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
    },
    mend() {
      up = true;
    },
    /** What clients say on connections that exist is lost from now on. */
    deafen() {
      for (const { near, far } of pairs) {
        near.unpipe(far);
        near.resume();
      }
    },
    /** Clients on connections that exist are sent nothing until it flows. */
    stall() {
      for (const { far } of pairs) {
        far.unpipe();
        far.pause();
      }
    },
    flow() {
      for (const { near, far } of pairs)
        far.pipe(near);
    },
  };
  t.after(() => {
    wire.cut();
    server.close();
  });
  return wire;
}

// -- clients ------------------------------------------------------------------

// Reconnects are quick, or tests would wait for them.
export const quickly = { minReconnectDelay: 20, maxReconnectDelay: 200 };

// Both also run in pages: they may name nothing of this file.

/** A class of WebSockets: `to` keeps the last one and how often it sent. */
export function watched(Base, to) {
  return class extends Base {
    constructor(...args) {
      super(...args);
      to.socket = this;
      to.messages = 0;
    }

    send(data) {
      ++to.messages;
      super.send(data);
    }
  };
}

/**
 * Publishes a list at once. @returns in how many messages that was, and in the
 * order of the answers the index and the error of each, 0 if it was granted
 */
export async function publishAtOnce(client, wire, room, data) {
  const answers = [];
  const before = wire.messages;
  client.startBatching();
  const all = data.map((x, i) => room.publish(x).then(
    () => answers.push([i, 0]), ({ code }) => answers.push([i, code])));
  client.stopBatching();
  await Promise.all(all);
  return { messages: wire.messages - before, answers };
}

/**
 * The SDK in this process, connecting. On top of what it offers:
 * `sendRaw(text)` puts a message of one's own onto its WebSocket, and
 * `inOneMessage(room, data)` publishes a list at once, see `publishAtOnce`.
 */
export function startClient(t, url, options = {}) {
  const wire = {};
  const client = new Centrifuge(url,
    { websocket: watched(WebSocket, wire), ...quickly, ...options });
  client.sendRaw = (text) => wire.socket.send(text);
  client.inOneMessage = (room, data) =>
    publishAtOnce(client, wire, room, data);
  t.after(() => client.disconnect());
  client.connect();
  return client;
}

/** A subscription that is made and answered. */
export async function join(client, channel) {
  const subscription = client.newSubscription(channel);
  const subscribed = next(subscription, 'subscribed');
  subscription.subscribe();
  await subscribed;
  return subscription;
}

/** Collects what a subscription is told; `upTo(n)` waits for n of it. */
export function collect(subscription) {
  const list = growing('publication');
  subscription.on('publication', (x) => list.add(x.data));
  return list;
}

/** Commands as a message of the Centrifuge protocol. */
export const inLines = (commands) =>
  commands.map((x) => JSON.stringify(x)).join('\n');

/** A WebSocket without an SDK: what it hears by lines, and how it is closed. */
export async function startSocket(t, url, ...rest) {
  const socket = new WebSocket(url, ...rest);
  t.after(() => socket.terminate());
  const list = growing('line');
  socket.messages = 0;
  socket.on('message', (data, binary) => {
    ++socket.messages;
    list.add(...(binary ? [data] : data.toString().split('\n')));
  });
  socket.lines = list.all;
  socket.upTo = list.upTo;
  socket.until = list.until;
  socket.closed = new Promise((resolve) => {
    socket.on('close', (code, reason) =>
      resolve({ code, reason: reason.toString() }));
  });
  socket.on('error', () => {}); // told by close
  await within(once(socket, 'open'), 'open WebSocket');
  return socket;
}

/**
 * Such a WebSocket that has greeted the Centrifuge way; `ask` sends commands in
 * one message.
 */
export async function startSpeaker(t, url) {
  const socket = await startSocket(t, url);
  socket.ask = (...commands) => socket.send(inLines(commands));
  socket.send('{"id":1,"connect":{}}');
  await socket.upTo(1);
  socket.greeting = JSON.parse(socket.lines.shift());
  return socket;
}
