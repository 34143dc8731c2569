// The first view: the process in figures, its last minutes, who lags, who left.

import { linkTo } from './address.js';
import { Chart } from './chart.js';
import { el, setClass, setText } from './dom.js';
import { kinds, lateness, say } from './format.js';
import { Table } from './table.js';
import { views } from './views.js';

const topRows = 5;

/** Title, kind, value of `(row, history)`, and a line below. */
const tiles = [
  ['Connections', 'count', (row) => row.connections,
    (row) => `${kinds.count(row.memberships)[0]} memberships`],
  ['Rooms', 'count', (row) => row.rooms, (row) => (row.quarantined
    ? `${kinds.count(row.quarantined)[0]} quarantined` : 'none quarantined')],
  ['Deliveries', 'rate', (_, history) => history.last('deliveries'),
    (_, history) => `${say('rate', history.last('publications') ?? 0)
    } published`],
  ['Latency p99', 'us', (row) => row.latency_p99_us,
    (row) => `p50 ${say('us', row.latency_p50_us)}`],
  ['Queued', 'bytes', (row) => row.bytes_queued,
    (row) => `${say('bytes', row.bytes_live)} in memory`],
  ['CPU', 'percent', (_, history) => history.last('cpu'),
    (row) => `${row.units.length} units`],
  ['Memory', 'bytes', (row) => row.memory_bytes,
    (row) => `${kinds.count(row.descriptors)[0]} descriptors`],
  ['Faults', 'count', (row) => row.crashes + row.audit_faults,
    (row) => `${row.crashes} crashes, ${row.audit_faults} by audit`],
];

const charts = [
  { title: 'Latency', kind: 'us', lines: [
    { name: 'p50', field: 'latency_p50_us', tone: 'tone1' },
    { name: 'p99', field: 'latency_p99_us', tone: 'tone2' },
    { name: 'max', field: 'latency_max_us', tone: 'tone3' }] },
  { title: 'Messages', kind: 'rate', lines: [
    { name: 'delivered', field: 'deliveries', tone: 'tone1' },
    { name: 'published', field: 'publications', tone: 'tone2' }] },
  { title: 'Bytes', kind: 'byteRate', lines: [
    { name: 'out', field: 'bytes_out', tone: 'tone1' },
    { name: 'in', field: 'bytes_in', tone: 'tone2' }] },
];

const unitColumns = [
  { field: 'unit', title: 'Unit', kind: 'index' },
  { field: 'connections', title: 'Connections', kind: 'count' },
  { field: 'actors', title: 'Actors', kind: 'count' },
  { field: 'depth', title: 'Waiting', kind: 'count',
    hint: 'Messages in mailboxes now' },
  { field: 'rate', rate: 'handled', title: 'Handled', kind: 'rate' },
  { field: 'turns', rate: 'turns', title: 'Turns', kind: 'rate' },
  { field: 'cpu_us', title: 'CPU', kind: 'us' },
  { field: 'sample_us', title: 'Inspection', kind: 'us',
    hint: 'CPU time that looking inside has cost so far' },
];

const some = (view, fields) => view.columns.filter(
  (x) => fields.includes(x.field));

export class Overview {
  #tiles;
  #charts;

  constructor() {
    this.#tiles = tiles.map(([title]) => ({
      value: el('span', { class: 'n' }), unit: el('span', { class: 'u' }),
      more: el('p', { class: 'faint' }), title }));
    this.#charts = charts.map((x) => new Chart(x));
    const { lag, closed } = views;
    this.lag = new Table({ ...lag, label: 'Furthest behind',
      columns: some(lag, ['client', 'room', 'lag_ms', 'bytes_queued']),
      empty: 'No members yet.' });
    this.closed = new Table({ ...closed, label: 'Latest closed',
      columns: some(closed, ['client', 'closed_at', 'reason', 'lived_ms']),
      empty: 'Nobody has left yet.' });
    this.units = new Table({ label: 'Units', columns: unitColumns,
      key: (x) => x.unit, link: () => null });
    const block = (title, table, view) => el('section', { class: 'block' },
      el('header', {}, el('h2', { text: title }),
        view ? linkTo({ view, q: '', sort: '', order: '', offset: 0, room: '' },
          'all') : null), table.node);
    this.node = el('div', { class: 'overview' },
      el('div', { class: 'tiles' }, ...this.#tiles.map((x) => (x.node
        = el('div', { class: 'tile' }, el('h3', { text: x.title }),
          el('p', { class: 'figure' }, x.value, x.unit), x.more)))),
      el('div', { class: 'charts' }, ...this.#charts.map((x) => x.node)),
      el('div', { class: 'pair' }, block('Furthest behind', this.lag, 'lag'),
        block('Latest closed', this.closed, 'closed')),
      block('Units', this.units));
  }

  questions() {
    return [{ view: 'lag', params: { limit: topRows } },
      { view: 'closed', params: { limit: topRows } }];
  }

  show([lag, closed], { overview, history, at }) {
    tiles.forEach(([, kind, value, more], i) => {
      const x = value(overview, history);
      const [text, unit] = x === null ? ['-', ''] : kinds[kind](x);
      const tile = this.#tiles[i];
      setText(tile.value, text);
      setText(tile.unit, unit);
      setText(tile.more, more(overview, history));
    });
    setClass(this.#tiles.at(-1).node,
      overview.crashes + overview.audit_faults ? 'tile bad' : 'tile');
    const behind = lag.rows[0]?.lag_ms ?? 0;
    setClass(this.#tiles[4].node, `tile ${lateness(behind)}`.trim());
    for (const chart of this.#charts)
      chart.show(history);
    this.lag.show(lag);
    this.closed.show(closed);
    this.units.show({ total: overview.units.length, rows: overview.units,
      sampled_at: at });
  }

  repaint() {
    for (const chart of this.#charts)
      chart.repaint();
  }

  close() {
    for (const chart of this.#charts)
      chart.close();
  }
}
