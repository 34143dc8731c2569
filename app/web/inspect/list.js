// Rooms, lag, connections, closed: one table over the whole view.

import { go } from './address.js';
import { el, visible } from './dom.js';
import { pageRows, Table } from './table.js';
import { views } from './views.js';

const ascendsFirst = new Set(['room', 'user', 'address', 'dialect', 'reason',
  'first', 'client']);

export class List {
  constructor(view) {
    this.view = view;
    const what = views[view];
    this.sort = what.sort;
    this.table = new Table({
      ...what,
      label: what.title,
      sorted: (field) => go(this.#sortedBy(field), true),
      paged: (offset) => go({ offset }, true),
    });
    this.chip = el('p', { class: 'chip', hidden: true },
      el('span'), el('button', { type: 'button', class: 'quiet', text: 'Show all',
        on: { click: () => go({ room: '', offset: 0 }) } }));
    this.node = el('div', { class: 'list' }, this.chip, this.table.node);
  }

  #sortedBy(field) {
    const { sort, order } = this.place;
    const same = field === (sort || this.sort);
    const first = ascendsFirst.has(field) ? 'asc' : 'desc';
    const now = order || 'desc';
    return { sort: field, offset: 0,
      order: same ? (now === 'asc' ? 'desc' : 'asc') : first };
  }

  questions(place) {
    this.place = place;
    const { q, sort, order, offset, room } = place;
    return [{ view: this.view,
      params: { q, sort, order, room, offset, limit: pageRows } }];
  }

  show([page]) {
    const { sort, order, offset, room, open } = this.place;
    this.chip.hidden = !room;
    this.chip.firstChild.textContent = room ? `Only of room ${visible(room)}` : '';
    const [, id = ''] = open.match(/^\w+:(.*)$/s) ?? [];
    const key = page.rows.map(views[this.view].key)
      .find((x) => String(x) === id || String(x).startsWith(`${id} `));
    this.table.show(page, { sort: sort || this.sort, order: order || 'desc',
      offset }, id ? key : undefined);
    // The rows there were are no more: back to where some are.
    if (!page.rows.length && offset > 0)
      go({ offset: 0 }, true);
  }

  close() {}
}
