// One room, connection or actor: all of its figures, its black box, its trace, and
// the ways to end it.

import { confirmAct } from './act.js';
import { go, linkTo } from './address.js';
import { el, nameOf, setText, visible } from './dom.js';
import { Box, Trace } from './events.js';
import { clockOf, kinds, lateness, say } from './format.js';
import { reasons } from './reasons.js';
import { Table } from './table.js';
import { views } from './views.js';

const seatsMax = 10; // rows of the small tables

/** How a field is shown, by how it is called (`actors/inspection.hpp`). */
function kindOf(field, value) {
  if (typeof value === 'boolean')
    return 'flag';
  if (field.endsWith('_ms'))
    return 'ms';
  if (field.endsWith('_us'))
    return 'us';
  if (field === 'unit')
    return 'index';
  if (field.endsWith('_at'))
    return 'at';
  if (field.startsWith('bytes_') || field.endsWith('_bytes')
    || field === 'queue_max')
    return 'bytes';
  return ['id', 'actor', 'client', 'reader', 'writer', 'parent', 'code',
    'peer_code'].includes(field) ? 'id' : 'count';
}

const titleOf = (field) => {
  const words = field.replace(/_(ms|us)$/, '').replaceAll('_', ' ');
  return words.startsWith('cpu') ? 'CPU' : words[0].toUpperCase() + words.slice(1);
};

function plain(value) {
  return typeof value === 'string' ? visible(value) : null;
}

/** Every field of a row, kept up to date. */
class Facts {
  #cells = new Map();
  node = el('dl', { class: 'facts' });

  show(row, leave = []) {
    for (const [field, value] of Object.entries(row)) {
      if (leave.includes(field) || (typeof value === 'object'))
        continue;
      let cell = this.#cells.get(field);
      if (!cell) {
        cell = el('dd');
        this.#cells.set(field, cell);
        this.node.append(el('dt', { text: titleOf(field) }), cell);
      }
      setText(cell, (plain(value) ?? say(kindOf(field, value), value)) || '-');
      if (field === 'lag_ms')
        cell.className = lateness(value);
    }
  }
}

/** Why it ended: reason, chain, and what waited for it. */
function obituary(row) {
  const steps = String(row.chain ?? '').split(' > ').filter(Boolean);
  return el('div', { class: 'obituary' },
    el('p', { class: 'verdict' }, el('b', { text: row.reason }), ' ',
      reasons[row.reason] ?? ''),
    el('p', { class: 'faint', text: `Closed at ${clockOf(row.closed_at)} after ${
      say('ms', row.lived_ms)}; ${row.code ? `sent ${row.code}` : 'sent no code'
    }, ${row.peer_code ? `got ${row.peer_code}` : 'got none'}.` }),
    steps.length ? el('h3', { text: 'What followed what' }) : null,
    el('ol', { class: 'chain' }, ...steps.map((x) => el('li',
      { text: visible(x) }))),
    el('h3', { text: 'Queue at death' }),
    el('p', { text: `${kinds.count(row.frames_queued)[0]} frames, ${
      say('bytes', row.bytes_queued)}, the oldest ${say('ms', row.queue_age_ms)
    } old; ${say('bytes', row.kernel_bytes)} in the kernel unacknowledged${
      row.kernel_bytes ? ` for ${say('ms', row.kernel_age_ms)}` : ''}.` }),
    row.seats?.length ? el('h3', { text: `Rooms (${row.rooms})` }) : null,
    row.seats?.length ? el('ul', { class: 'seats' }, ...row.seats.map((x) =>
      el('li', {}, nameOf(x.room), el('span', { class: 'faint',
        text: x.offset ? `up to offset ${kinds.count(x.offset)[0]}` : '' }))))
      : null);
}

const kindsOfTarget = {
  room: {
    title: 'Room',
    target: (id) => ({ room: id }),
    questions: (id) => [{ view: 'rooms', params: { room: id, limit: 1 } },
      { view: 'lag', params: { room: id, limit: seatsMax } }],
    sub: { view: 'lag', title: 'Slowest members', fields: ['client', 'lag_ms',
      'bytes_queued', 'kernel_bytes', 'drops'] },
    gone: 'There is no such room now.',
    ends: (id) => [
      { verb: 'Restart', path: 'restart', what: 'room', name: id,
        order: { room: id }, follows: 'The actor of the room ends and a new one '
          + 'begins with the same members. Messages it has not handled are lost; '
          + 'none of them was acknowledged.' },
      { verb: 'End', path: 'kill', what: 'room', name: id, order: { room: id },
        follows: 'All its members are told that the room was closed.' }],
  },
  client: {
    title: 'Connection',
    target: (id) => ({ client: id }),
    questions: (id) => [
      { view: 'connections', params: { client: id, limit: 1 } },
      { view: 'lag', params: { client: id, limit: seatsMax } },
      { view: 'closed', params: { client: id, limit: 1 } }],
    sub: { view: 'lag', title: 'Its rooms', fields: ['room', 'lag_ms',
      'bytes_queued', 'messages_queued', 'drops'] },
    gone: 'There is no such connection now, and nothing is remembered of it (yet).',
    ends: (id) => [{ verb: 'End', path: 'kill', what: 'connection',
      name: `#${id}`, order: { client: Number(id) }, follows: 'The client is told '
        + 'that it was kicked, and leaves all its rooms.' }],
  },
  actor: {
    title: 'Actor',
    target: () => null,
    questions: (id) => [{ view: 'actors', params: { actor: id, limit: 1 } }],
    gone: 'There is no such actor now.',
    ends: (id, row) => (['reader', 'writer', 'room', 'outlet'].includes(row?.kind)
      ? [{ verb: 'End', path: 'kill', what: row.kind, name: `#${id}`,
        order: { actor: Number(id) }, follows: 'What is linked to it ends with '
          + 'it, and its supervisor cleans up behind it.' }] : []),
  },
};
kindsOfTarget.closed = kindsOfTarget.client;

const tabNames = [['now', 'Now'], ['box', 'Black box'], ['trace', 'Trace']];

export class Detail {
  #tab = 'now';
  #shown = null; // a Box or a Trace
  #facts = new Facts();
  #actions = '';

  /** @param open as in an address: `room:lobby`; `mayAct` as in act.js */
  constructor(open, { mayAct, again }) {
    const colon = open.indexOf(':');
    this.kind = open.slice(0, colon);
    this.id = open.slice(colon + 1);
    this.what = kindsOfTarget[this.kind];
    this.alive = this.kind === 'closed' ? false : undefined; // not known yet
    this.mayAct = mayAct;
    this.again = again;
    if (!this.what)
      return;
    this.status = el('p', { class: 'verdict', hidden: true });
    this.death = el('div');
    this.buttons = el('p', { class: 'row actions' });
    this.links = el('p', { class: 'links' });
    this.body = el('div', { class: 'body' });
    if (this.what.sub)
      this.sub = new Table({ ...views[this.what.sub.view], label: this.what.sub.title,
        empty: 'None.', columns: views[this.what.sub.view].columns
          .filter((x) => this.what.sub.fields.includes(x.field))
          .map((x) => ({ ...x, name: x.field === 'client' && this.kind === 'room',
            sort: false })) });
    const target = this.what.target(this.id);
    this.tabs = el('div', { class: 'subtabs', role: 'group',
      'aria-label': 'Details' }, ...(target ? tabNames : []).map(
      ([name, text]) => el('button', { type: 'button', text, 'data-tab': name,
        on: { click: () => this.#turn(name) } })));
    this.now = el('div', {}, this.death, this.links, this.#facts.node,
      this.sub ? el('h3', { text: this.what.sub.title }) : null,
      this.sub ? this.sub.node : null);
    this.node = el('div', { class: 'detail' },
      el('header', {}, el('div', {}, el('p', { class: 'faint over',
        text: this.what.title }), el('h2', {}, nameOf(this.kind === 'room' ? this.id
        : `#${this.id}`))),
      el('button', { type: 'button', class: 'quiet close', text: 'Close',
        'aria-label': 'Close details', on: { click: () => go({ open: '' }) } })),
      this.buttons, this.status, this.tabs, this.body);
    this.#turn('now');
  }

  #turn(name) {
    this.#shown?.close();
    this.#shown = null;
    this.#tab = name;
    for (const x of this.tabs.children)
      x.setAttribute('aria-pressed', x.dataset.tab === name);
    const target = this.what.target(this.id);
    if (name !== 'now')
      this.#shown = name === 'box' ? new Box(target) : new Trace(target);
    this.body.replaceChildren(this.#shown?.node ?? this.now);
  }

  // What lives is asked for itself and, where it is seen, for its small table. What
  // does not is looked for among the dead.
  questions() {
    const all = this.what?.questions(this.id) ?? [];
    const wanted = this.alive === false ? [0, 2] : this.#tab === 'now' ? [0, 1]
      : [0];
    this.asked = wanted.filter((x) => x < all.length);
    return this.asked.map((x) => all[x]);
  }

  show(answers) {
    const pages = [];
    this.asked.forEach((x, i) => { pages[x] = answers[i]; });
    const row = pages[0].rows[0];
    this.alive = row !== undefined;
    if (!row && this.what === kindsOfTarget.client && !pages[2]) {
      this.again(); // why is the next question
      return;
    }
    const dead = pages[2]?.rows[0];
    this.status.hidden = row !== undefined || dead !== undefined;
    setText(this.status, this.what.gone);
    if (dead && !row && !this.death.firstChild) {
      this.death.replaceChildren(obituary(dead));
      this.#facts.node.remove();
      this.#facts = new Facts();
      this.links.after(this.#facts.node);
    }
    if (row ?? dead)
      this.#facts.show(row ?? dead, dead && !row ? ['reason', 'chain', 'rooms']
        : ['room', 'client'].filter((x) => x === this.kind));
    if (this.sub) {
      const alive = row !== undefined;
      this.sub.node.hidden = !alive;
      this.sub.node.previousSibling.hidden = !alive;
      if (pages[1])
        this.sub.show(pages[1]);
    }
    this.#offer(row);
    // Nothing will happen to the dead.
    const trace = this.tabs.querySelector('[data-tab="trace"]');
    if (trace)
      trace.disabled = row === undefined;
  }

  // Buttons and links of what is there now.
  #offer(row) {
    const ends = row ? this.what.ends(this.id, row) : [];
    const links = !row ? [] : this.kind === 'room'
      ? [['Members', { view: 'lag', room: this.id, q: '', offset: 0 }]]
      : this.kind === 'actor'
        ? [...(row.room ? [[`Room ${visible(row.room)}`,
          { open: `room:${row.room}` }]] : []),
        ...(row.client ? [[`Connection #${row.client}`,
          { open: `client:${row.client}` }]] : [])]
        : [['Reader', { open: `actor:${row.reader}` }],
          ['Writer', { open: `actor:${row.writer}` }]];
    const said = JSON.stringify([ends.map((x) => x.verb), links]);
    if (said === this.#actions)
      return;
    this.#actions = said;
    this.buttons.replaceChildren(...ends.map((x) => el('button', {
      type: 'button', class: x.verb === 'End' ? 'danger' : 'quiet',
      text: `${x.verb} ${x.what}`, on: { click: () => confirmAct({ ...x,
        mayAct: this.mayAct, done: this.again }) } })));
    this.links.replaceChildren(...links.map(([text, to]) =>
      linkTo(to, text)));
  }

  close() {
    this.#shown?.close();
  }
}
