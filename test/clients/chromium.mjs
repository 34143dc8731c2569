// Chromium, and the client `centrifuge` inside one of its pages, behind the
// face that it has in Node.

import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { publishAtOnce, quickly, watched, within } from './broker.mjs';

const sdk = createRequire(import.meta.url)
  .resolve('centrifuge').replace('/build/index.js', '/dist/centrifuge.js');

let browser;
// An empty page of this machine: others may not connect to it (local network
// access).
const nowhere = http.createServer((_, response) => {
  response.setHeader('Content-Type', 'text/html');
  response.end('<!doctype html><link rel="icon" href="data:,">');
});

/** Starts Chromium before the tests of this file and ends it behind them. */
export function useChromium() {
  before(async () => {
    nowhere.listen(0, '127.0.0.1');
    await once(nowhere, 'listening');
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic',
        '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync'],
    });
  });
  after(async () => {
    await browser?.close();
    nowhere.close();
  });
}

/**
 * A new page; what goes wrong in it is in `page.faults`.
 * @param options of Playwright's context, such as `colorScheme`
 */
export async function openPage(t, url, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1400, height: 900 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (x) => page.faults.push(`${x}`));
  page.on('console', (x) => {
    if (x.type() === 'error')
      page.faults.push(x.text());
  });
  await within(page.goto(url), `page ${url}`);
  return page;
}

// -- inside of the page -------------------------------------------------------

/* global Centrifuge, tell */

function agent() {
  const things = {}; // clients and subscriptions
  const wires = {};
  const follow = (id, thing, names) => {
    things[id] = thing;
    for (const name of names)
      thing.on(name, (x) => tell(id, name, JSON.parse(JSON.stringify(x))));
  };
  globalThis.agent = {
    connect(id, url, options) {
      wires[id] = {};
      const client = new Centrifuge(url,
        { ...options, websocket: watched(WebSocket, wires[id]) });
      follow(id, client, ['connecting', 'connected', 'disconnected', 'error']);
      client.connect();
    },
    subscription(id, client, channel, options) {
      follow(id, things[client].newSubscription(channel, options),
        ['subscribing', 'subscribed', 'unsubscribed', 'publication', 'error']);
    },
    async call(id, name, args) {
      try {
        return { result: (await things[id][name](...args)) ?? null };
      } catch ({ code, message }) {
        return { error: { code, message } };
      }
    },
    sendRaw(id, text) {
      wires[id].socket.send(text);
    },
    inOneMessage(id, room, data) {
      return publishAtOnce(things[id], wires[id], things[room], data);
    },
  };
}

// -- outside of it ------------------------------------------------------------

/** A client or a subscription of the page. Asks in order, hears in order. */
class Remote extends EventEmitter {
  static #last = 0;

  constructor(page) {
    super();
    this.id = ++Remote.#last;
    this.page = page;
    page.then((x) => x.remotes.set(this.id, this));
    // Node's own emitter would throw an error event that nobody waits for.
    this.on('error', () => {});
  }

  async run(name, ...args) {
    const page = await this.page;
    return page.evaluate(([f, x]) => globalThis.agent[f](...x), [name, args]);
  }

  async call(name, ...args) {
    const { result, error } = await this.run('call', this.id, name, args);
    if (error)
      throw error;
    return result;
  }
}

for (const name of ['subscribe', 'unsubscribe', 'publish', 'presence',
  'presenceStats', 'history', 'send', 'rpc', 'disconnect'])
  Remote.prototype[name] = function (...args) {
    return this.call(name, ...args);
  };

class RemoteClient extends Remote {
  state = 'connecting';

  constructor(page, url, options) {
    super(page);
    for (const name of ['connecting', 'connected', 'disconnected'])
      this.on(name, () => { this.state = name; });
    this.run('connect', this.id, url, { ...quickly, ...options });
  }

  newSubscription(channel, options) {
    const made = new Remote(this.page);
    made.channel = channel;
    made.run('subscription', made.id, this.id, channel, options);
    return made;
  }

  sendRaw(text) {
    return this.run('sendRaw', this.id, text);
  }

  inOneMessage(room, data) {
    return this.run('inOneMessage', this.id, room.id, data);
  }
}

// One page a test: opening one takes a second, a client in it none.
const agents = new WeakMap();

function agentOf(t) {
  if (!agents.has(t))
    agents.set(t, openAgent(t));
  return agents.get(t);
}

async function openAgent(t) {
  const { port } = nowhere.address();
  const page = await openPage(t, `http://127.0.0.1:${port}/`);
  page.remotes = new Map();
  await page.exposeFunction('tell',
    (id, name, event) => page.remotes.get(id).emit(name, event));
  await page.addScriptTag({ path: sdk });
  for (const shared of [watched, publishAtOnce])
    await page.addScriptTag({ content: `${shared}` });
  await page.evaluate(agent);
  return page;
}

/**
 * The SDK in a page of Chromium, connecting. The page is not the broker's own,
 * which has to be started with `--origin *`.
 */
export function startClient(t, url, options = {}) {
  return new RemoteClient(agentOf(t), url, options);
}
