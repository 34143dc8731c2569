// The black box and the trace of one room or connection: metadata of messages.

import { follow, look } from './api.js';
import { el } from './dom.js';
import { clockOf, kinds } from './format.js';
import { Table } from './table.js';

const boxMax = 1000; // more than any box holds
const linesMax = 500; // of a trace; older ones leave the page

const columns = (room) => [
  { field: 'at', title: 'Time', value: (row) => clockOf(row.at, true) },
  { field: 'what', title: 'What' },
  room ? { field: 'client', title: 'Client', kind: 'id' }
    : { field: 'room', title: 'Room', wide: true },
  { field: 'from', title: 'From', kind: 'id', hint: 'The client that sent it' },
  { field: 'bytes', title: 'Size', kind: 'bytes' },
  { field: 'offset', title: 'Offset', kind: 'id' },
  { field: 'wait_us', title: 'Waited', kind: 'us' },
  { field: 'run_us', title: 'Ran', kind: 'us' },
  { field: 'end', title: 'End', value: (row) => (row.code || row.reason
    ? `${row.code || ''} ${row.reason}`.trim() : '') },
];

function tableOf(target, label, empty) {
  const all = columns(target.room !== undefined);
  return new Table({ label, empty, key: (row) => row.key, link: () => null,
    columns: all.map((x) => ({ ...x, sort: false })) });
}

function keyed(rows, from = 0) {
  return rows.map((row, i) => ({ ...row, key: from + i }));
}

/** What the black box holds, as often as it is asked. */
export class Box {
  constructor(target) {
    this.target = target;
    this.table = tableOf(target, 'Black box', 'The black box is empty.');
    this.trouble = el('p', { class: 'notice', hidden: true });
    this.node = el('div', { class: 'events' }, el('p', { class: 'tools' },
      el('button', { type: 'button', class: 'quiet', text: 'Look again',
        on: { click: () => this.load() } }),
      el('span', { class: 'faint', text: 'The last messages, newest first. '
        + 'Never their payload.' })), this.trouble, this.table.node);
    this.load();
  }

  async load() {
    try {
      const page = await look('box', { ...this.target, limit: boxMax });
      this.trouble.hidden = true;
      this.table.show({ ...page, rows: keyed(page.rows).reverse() });
    } catch (why) {
      this.trouble.textContent = `No black box: ${why.message}.`;
      this.trouble.hidden = false;
    }
  }

  close() {}
}

/** Follows it live for a bounded time. */
export class Trace {
  #rows = [];
  #count = 0;
  #lost = 0;
  #stop = null;
  #drawing = false;
  #end = '';

  constructor(target) {
    this.target = target;
    this.table = tableOf(target, 'Trace', 'Nothing has happened yet.');
    this.seconds = el('select', {}, ...[[10, '10 seconds'], [30, '30 seconds'],
      [60, 'a minute'], [300, '5 minutes']].map(([value, text]) =>
      el('option', { value, text, selected: value === 30 })));
    this.start = el('button', { type: 'button', class: 'first', text: 'Follow',
      on: { click: () => (this.#stop ? this.close() : this.#run()) } });
    this.said = el('span', { class: 'faint', role: 'status' });
    this.node = el('div', { class: 'events' }, el('p', { class: 'tools' },
      el('label', {}, 'For ', this.seconds), this.start, this.said),
    this.table.node);
  }

  async #run() {
    this.#rows = [];
    this.#count = 0;
    this.#lost = 0;
    this.#stop = new AbortController();
    this.start.textContent = 'Stop';
    this.said.textContent = 'Following';
    this.#end = '';
    this.#draw();
    let end = 'ended';
    try {
      await follow({ ...this.target, seconds: this.seconds.value },
        (line) => {
          if (line.event) {
            this.#rows.unshift({ ...line.event, key: ++this.#count });
            this.#rows.length = Math.min(this.#rows.length, linesMax);
          }
          this.#lost += line.lost ?? 0;
          if (line.end !== undefined)
            end = line.end === 'none' ? 'ended' : `ended: ${line.end}`;
          this.#later();
        }, this.#stop.signal);
    } catch (why) {
      end = why.name === 'AbortError' ? 'stopped' : why.message;
    }
    this.#stop = null;
    this.start.textContent = 'Follow';
    this.#end = end;
    this.#draw();
  }

  // However much happens, it is drawn once a frame.
  #later() {
    if (this.#drawing)
      return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw() {
    const lost = this.#lost ? `, ${kinds.count(this.#lost)[0]} lost` : '';
    this.said.textContent = `${kinds.count(this.#count)[0]} events${lost}${
      this.#end ? `; ${this.#end}` : ''}`;
    this.table.show({ rows: this.#rows, total: this.#rows.length,
      sampled_at: 0 });
  }

  close() {
    this.#stop?.abort(new DOMException('stopped', 'AbortError'));
  }
}
