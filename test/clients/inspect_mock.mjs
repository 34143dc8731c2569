// An inspection listener (net/api/README.md) without a broker, for what a real one
// cannot be made to show at will: 10 000 connections, receipts that are not clean,
// answers that fail. Also to work on the page by hand:
//
//   node test/clients/inspect_mock.mjs 8001

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';

const web = new URL('../../app/web/', import.meta.url);

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; "
  + "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
  + "form-action 'none'; frame-ancestors 'none'";

const types = { html: 'text/html', css: 'text/css', js: 'text/javascript' };

/** The files of the page, as app/web/CMakeLists.txt lists them. */
function files() {
  const list = readFileSync(new URL('CMakeLists.txt', web), 'utf8');
  return new Map([...list.matchAll(/"(\/[^|"]*)\|[^|"]+\|([^|"]+)"/g)]
    .map(([, path, file]) => [path, file]));
}

export const hostileNames = [
  '<img src=x onerror="globalThis.owned=1">',
  '"><script>globalThis.owned=2</script>',
  '{{constructor.constructor("globalThis.owned=3")()}}',
  'javascript:globalThis.owned=4',
  'left\u202eto right', 'two\u200bwords', 'a'.repeat(255), '部屋 🎪 غرفة',
];

/** A made-up broker; the same numbers for the same moment. */
class World {
  constructor({ connections = 1000, rooms = 400 } = {}) {
    this.start = Date.now() - 3_600_000;
    this.gone = new Set();
    this.restarts = new Map();
    this.rooms = Array.from({ length: rooms }, (_, i) => hostileNames[i - 3]
      ?? (i ? `room:${i}` : 'lobby'));
    this.clients = Array.from({ length: connections }, (_, i) => i + 1);
  }

  roomOf = (client) => this.rooms[client % 7 ? client % this.rooms.length : 0];

  wave = (i) => Math.abs(Math.sin(i * 12.9898) * 43758.5453) % 1;

  lagOf(client) {
    return client === 42 ? 2000 + (Date.now() - this.start) % 60_000
      : client % 997 === 0 ? Math.round(this.wave(client) * 900) : 0;
  }

  overview(now) {
    const s = (now - this.start) / 1000;
    const messages = Math.round(900 * s + 9000 * Math.sin(s / 30));
    const units = [0, 1].map((unit) => ({ unit, actors: 10_600,
      connections: this.clients.length / 2, turns: Math.round(s * 4100),
      handled: messages * 12, depth: Math.round(5 * this.wave(s)),
      cpu_us: Math.round(s * 3e5), sample_us: Math.round(s * 2300) }));
    return [{ version: '0.1.0', now_at: now, started_at: this.start,
      cpu_us: Math.round(s * 6.1e5 + 1e6 * Math.sin(s / 20)),
      memory_bytes: 231_000_000, descriptors: this.clients.length + 40,
      connections: this.clients.length - this.gone.size,
      rooms: this.rooms.length, memberships: this.clients.length,
      quarantined: 1, bytes_queued: 1_300_000, bytes_live: 2_400_000,
      messages_in: messages, bytes_in: messages * 180, frames_out: messages * 20,
      bytes_out: messages * 4000, publications: messages,
      deliveries: messages * 24, dropped: 12, crashes: 0, audit_faults: 0,
      latency_p50_us: 180 + Math.round(60 * this.wave(s)),
      latency_p99_us: 900 + Math.round(700 * this.wave(s + 1)),
      latency_max_us: 2400 + Math.round(4000 * this.wave(s + 2)), units }];
  }

  actor(id, kind, parent, more = {}) {
    const x = this.wave(id);
    return { id, kind, parent, unit: id % 2, state: x < 0.02 ? 'running'
      : x < 0.05 ? 'ready' : 'idle', client: 0, room: '', user: '',
    links: 1, monitors: 1, depth: x < 0.05 ? Math.round(x * 100) : 0,
    depth_max: Math.round(x * 300), handled: Math.round(x * 90_000),
    busy_us: Math.round(x * 4e6), wait_last_us: Math.round(x * 300),
    wait_max_us: Math.round(x * 40_000), age_ms: Date.now() - this.start,
    ...more };
  }

  actors(now) {
    void now;
    const all = [this.actor(1, 'supervisor', 0), this.actor(2, 'inspector', 0),
      this.actor(3, 'probe', 2), this.actor(4, 'probe', 2)];
    this.rooms.forEach((room, i) => {
      all.push(this.actor(100 + 3 * i, 'room', 1, { room }));
      all.push(this.actor(101 + 3 * i, 'outlet', 100 + 3 * i, { room }));
    });
    for (const client of this.alive()) {
      all.push(this.actor(10_000 + 2 * client, 'reader', 1, { client }));
      all.push(this.actor(10_001 + 2 * client, 'writer', 10_000 + 2 * client,
        { client }));
    }
    return all;
  }

  alive() {
    return this.clients.filter((x) => !this.gone.has(x));
  }

  roomRows(now) {
    const s = (now - this.start) / 1000;
    return this.rooms.map((room, i) => {
      const members = i ? Math.round(this.clients.length / this.rooms.length)
        : Math.round(this.clients.length / 7);
      const publications = Math.round(s * this.wave(i) * 20);
      return { room, actor: 100 + 3 * i, unit: i % 2, named: i < 3,
        quarantined: false, members, outlets: 1, epoch: 'a1b2c3', offset:
        publications, publications, bytes_in: publications * 120,
        bytes_out: publications * 120 * members, deliveries: publications
        * members, dropped: i === 2 ? 12 : 0, bytes_queued: i ? 0 : 812_333,
        queue_max: 40_000, lag_ms: i ? Math.round(this.wave(i) * 40)
          : this.lagOf(42), cpu_us: Math.round(s * 900 * this.wave(i)),
        restarts: this.restarts.get(room) ?? 0, age_ms: now - this.start };
    });
  }

  where(client) {
    return { client, user: client % 3 ? '' : `user${client}`,
      address: `203.0.113.${client % 250}`, dialect: client % 2 ? 'raw'
        : 'centrifuge', unit: client % 2 };
  }

  connectionRows(now) {
    return this.alive().map((client) => {
      const x = this.wave(client);
      const lag = this.lagOf(client);
      return { ...this.where(client), reader: 10_000 + 2 * client,
        writer: 10_001 + 2 * client, rooms: 1, messages_in: Math.round(x * 900),
        bytes_in: Math.round(x * 90_000), frames_out: Math.round(x * 50_000),
        bytes_out: Math.round(x * 9e6), frames_queued: Math.round(lag / 9),
        bytes_queued: lag * 40, queue_max: lag * 50, queue_age_ms: lag,
        kernel_bytes: lag ? 46_080 : 0, kernel_age_ms: lag, lag_ms: lag,
        last_flush_ms: lag || Math.round(x * 900), gaps: 0,
        cpu_us: Math.round(x * 300_000), age_ms: now - this.start };
    });
  }

  lagRows(now) {
    void now;
    return this.alive().map((client) => {
      const lag = this.lagOf(client);
      return { room: this.roomOf(client), ...this.where(client), head: 8000,
        flushed: 8000 - Math.round(lag / 9), messages_queued: Math.round(lag / 9),
        bytes_queued: lag * 40, queue_age_ms: lag, kernel_bytes: lag ? 46_080 : 0,
        kernel_age_ms: lag, lag_ms: lag, last_flush_ms: lag, drops: 0, gaps: 0 };
    });
  }

  closedRows(now) {
    const reasons = [['slow_consumer', 1013, 'writer'], ['peer_gone', 0, 'reader'],
      ['peer_closed', 1000, 'reader'], ['no_pong', 1008, 'reader']];
    return Array.from({ length: 900 }, (_, i) => {
      const [reason, code, first] = reasons[i % 4];
      const other = first === 'reader' ? 'writer' : 'reader';
      return { ...this.where(20_000 + i), closed_at: now - i * 7300,
        lived_ms: 90_000 + i * 1000, code, peer_code: code === 1000 ? 1000 : 0,
        reason, first, chain: `${first} ${reason} > ${other} ${reason}`,
        frames_queued: i % 4 ? 0 : 731, bytes_queued: i % 4 ? 0 : 1_048_576,
        queue_age_ms: i % 4 ? 0 : 8421, kernel_bytes: i % 4 ? 0 : 46_080,
        kernel_age_ms: i % 4 ? 0 : 9033, gaps: 0, rooms: 2,
        seats: [{ room: this.roomOf(i), offset: 8000 },
          { room: hostileNames[0], offset: 12 }] };
    });
  }

  event(i, now = Date.now()) {
    const whats = ['received', 'post', 'deliver', 'deliver'];
    return { at: now, what: whats[i % 4], room: 'lobby', client: 42,
      from: i % 4 === 3 ? 17 : 0, bytes: 120 + i, offset: i, code: 0, reason: '',
      wait_us: 40 + i % 30, run_us: 3 + i % 5 };
  }

  boxRows(now) {
    return Array.from({ length: 64 }, (_, i) => this.event(i, now - 6400 + 100 * i));
  }

  /** Made once a second: of 10 000 rows that takes a while. */
  rows(view, now) {
    const key = `${now} ${this.gone.size}`;
    if (this.made?.key !== key)
      this.made = { key };
    return (this.made[view] ??= this.make(view, now));
  }

  make(view, now) {
    return { overview: () => this.overview(now), actors: () => this.actors(now),
      rooms: () => this.roomRows(now), connections: () =>
        this.connectionRows(now), lag: () => this.lagRows(now), closed: () =>
        this.closedRows(now), box: () => this.boxRows(now) }[view]?.();
  }
}

const natural = { actors: 'id', rooms: 'members', connections: 'lag_ms',
  lag: 'lag_ms', closed: 'closed_at' };
const texts = ['room', 'user', 'address'];

function page(world, view, params) {
  const now = Math.floor(Date.now() / 1000) * 1000;
  let rows = world.rows(view, now);
  if (!rows)
    return null;
  const get = (name) => params.get(name) ?? '';
  for (const field of ['room', 'kind'])
    if (get(field) && view !== 'box')
      rows = rows.filter((x) => x[field] === get(field));
  for (const field of ['client', 'actor'])
    if (get(field) && view !== 'box')
      rows = rows.filter((x) => String(field === 'actor' && view === 'actors'
        ? x.id : x[field]) === get(field));
  const q = get('q');
  if (q)
    rows = rows.filter((x) => texts.some((f) => x[f]?.includes(q))
      || String(x.client) === q || String(x.id) === q);
  const sort = get('sort') || natural[view];
  const sign = get('order') === 'asc' ? 1 : -1;
  if (sort)
    rows = [...rows].sort((a, b) => sign * (a[sort] < b[sort] ? -1
      : a[sort] > b[sort] ? 1 : 0));
  const offset = Number(get('offset') || 0);
  const limit = Number(get('limit') || 100);
  return { view, total: rows.length, sampled_at: now, offset, limit,
    rows: rows.slice(offset, offset + limit) };
}

/**
 * Starts one. `readToken`, `actToken`: as the flags; `dirty`: receipts are not
 * clean. Its `requests` counts by path, `told` is called at each, `broken` fails
 * every answer with a status.
 */
export async function startMock({ port = 0, readToken = '', actToken = '',
  dirty = false, ...size } = {}) {
  const world = new World(size);
  const mock = { world, requests: new Map(), broken: 0, acts: [] };
  const paths = files();
  const answer = (response, status, body, type = 'application/json') => {
    response.writeHead(status, { 'Content-Type': type, 'Cache-Control':
      'no-store', 'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': policy });
    response.end(typeof body === 'object' && !Buffer.isBuffer(body)
      ? JSON.stringify(body) : body);
  };

  async function act(request, response, what) {
    let text = '';
    for await (const part of request)
      text += part;
    const order = JSON.parse(text);
    mock.acts.push({ what, ...order });
    if (order.client && !world.alive().includes(order.client)) {
      answer(response, 404, { error: 'not_found' });
      return;
    }
    if (order.client && !dirty)
      world.gone.add(order.client);
    if (what === 'restart')
      world.restarts.set(order.room, (world.restarts.get(order.room) ?? 0) + 1);
    answer(response, 200, { target: what === 'restart' ? 'restart'
      : order.client ? 'connection' : order.room ? 'room' : 'reader',
    actor: order.actor ?? 0, client: order.client ?? 0, room: order.room ?? '',
    memberships: 2, presence: 0, timers: 3, bytes: 81_920, frames: 731,
    descriptors: 1, actors: 2, moved: what === 'restart' ? 1428 : 0, took_ms: 4,
    clean: !dirty, left: dirty ? ['socket', `membership ${hostileNames[0]}`]
      : [] });
  }

  function trace(response, params) {
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
    let i = 0;
    const line = (x) => response.write(`${JSON.stringify(x)}\n`);
    const ticking = setInterval(() => {
      line({ event: { ...world.event(i), at: Date.now() } });
      if (++i === 5)
        line({ lost: 3 });
    }, 50);
    const over = setTimeout(() => {
      line({ end: 'none' });
      response.end();
    }, Number(params.get('seconds') ?? 30) * 1000);
    response.on('close', () => {
      clearInterval(ticking);
      clearTimeout(over);
    });
  }

  const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    // A plus is a plus.
    const params = new URLSearchParams(url.search.replaceAll('+', '%2B'));
    const path = url.pathname;
    mock.requests.set(path, (mock.requests.get(path) ?? 0) + 1);
    mock.told?.();
    if (paths.has(path)) {
      const file = new URL(paths.get(path), web);
      answer(response, 200, readFileSync(file),
        `${types[paths.get(path).split('.').at(-1)]}; charset=utf-8`);
      return;
    }
    if (mock.broken) {
      answer(response, mock.broken, { error: 'answer_timeout' });
      return;
    }
    const token = (request.headers.authorization ?? '').replace('Bearer ', '');
    const acts = actToken !== '' && token === actToken;
    const reads = readToken === '' || token === readToken || acts;
    const name = path.replace('/inspect/', '');
    if (name === 'rights')
      answer(response, 200, { read: reads, act: acts, read_token:
        readToken !== '', act_token: actToken !== '' });
    else if (!reads)
      answer(response, 401, { error: 'unauthorized' });
    else if (request.method === 'POST' && ['kill', 'restart'].includes(name))
      if (acts)
        act(request, response, name);
      else
        answer(response, token ? 403 : 401, { error: 'forbidden' });
    else if (name === 'trace')
      trace(response, params);
    else
      answer(response, ...(page(world, name, params) === null
        ? [404, { error: 'not_found' }] : [200, page(world, name, params)]));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  mock.port = server.address().port;
  mock.url = `http://127.0.0.1:${mock.port}/inspect`;
  mock.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return mock;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const mock = await startMock({ port: Number(process.argv[2] ?? 8001),
    actToken: 'act', connections: 10_000 });
  console.log(`${mock.url}; the token for actions is "act"`);
}
