// Who stands under whom: the supervisor, its rooms with their outlets, its readers
// with their writers. Branches with many twigs are sorted and paged by the server.

import { linkTo } from './address.js';
import { el, nameOf, setClass, setText } from './dom.js';
import { kinds, lateness } from './format.js';

const twigs = 20; // rows of a branch
const openMax = 20; // actors whose children are shown: each is a question

const columns = [
  { field: 'state', title: 'State' },
  { field: 'depth', title: 'Mailbox', kind: 'count',
    hint: 'Messages that wait now' },
  { field: 'depth_max', title: 'High mark', kind: 'count' },
  { field: 'handled', title: 'Handled', kind: 'count' },
  { field: 'busy_us', title: 'Busy', kind: 'us',
    hint: 'Time spent in handlers' },
  { field: 'wait_last_us', title: 'Last wait', kind: 'us',
    hint: 'From sent to handled' },
  { field: 'wait_max_us', title: 'Longest wait', kind: 'us' },
  { field: 'links', title: 'Links', kind: 'count' },
  { field: 'monitors', title: 'Monitors', kind: 'count',
    hint: 'Who hears of its end' },
  { field: 'unit', title: 'Unit', kind: 'index' },
  { field: 'age_ms', title: 'Age', kind: 'ms' },
];

// Under the supervisor: branches, and what there is one of.
const under = [{ kind: 'room', title: 'Rooms' },
  { kind: 'reader', title: 'Connections' }, { kind: 'inspector' },
  { kind: 'reaper' }, { kind: 'probe', title: 'Probes' }];

// The broker answers so many questions of a page at once, so the rest takes turns:
// a browser keeps six connections, and the details need some.
const questionsMax = 3;

const childOf = { room: 'outlet', reader: 'writer' };

const sorts = columns.filter((x) => x.kind && x.field !== 'unit');

function labelOf(row) {
  switch (row.kind) {
    case 'room':
    case 'outlet':
      return row.room;
    case 'reader':
    case 'writer':
      return row.user || `#${row.client}`;
    default:
      return `unit ${row.unit}`;
  }
}

export class Tree {
  #branches = new Map(); // by kind: {open, offset}
  #open = new Map(); // actors with their children shown: row by id
  #lines = new Map();
  #body = el('tbody');
  #asked = [];
  #pages = new Map(); // the latest answer, by kind or by id of the open actor
  #turn = 0;

  /** @param again asks at once */
  constructor(again) {
    this.again = again;
    for (const { kind, title } of under)
      if (title)
        this.#branches.set(kind, { open: kind !== 'probe', offset: 0 });
    this.sort = el('select', { on: { change: () => this.#reset() } },
      el('option', { value: '', text: 'birth' }),
      ...sorts.map((x) => el('option', { value: x.field,
        text: x.title.toLowerCase() })));
    this.#body.addEventListener('keydown', (event) => this.#key(event));
    this.node = el('div', { class: 'list' },
      el('p', { class: 'tools' }, el('label', {}, 'Sorted by ', this.sort)),
      el('section', { class: 'sheet' },
        el('div', { class: 'scroll', tabindex: '0', role: 'region',
          'aria-label': 'Actors' },
          el('table', { class: 'tree', role: 'treegrid', 'aria-label': 'Actors' },
            el('thead', {}, el('tr', {}, el('th', { scope: 'col', class: 'txt',
              text: 'Actor' }), ...columns.map((x) => el('th', { scope: 'col',
              class: x.kind ? 'num' : 'txt', title: x.hint, text: x.title })))),
            this.#body))));
  }

  #reset() {
    for (const branch of this.#branches.values())
      branch.offset = 0;
    this.again();
  }

  /** What to ask: the open branches, what is not known yet, and in turns the rest. */
  questions({ q }) {
    const all = new Map();
    for (const { kind, title } of [{ kind: 'supervisor' }, ...under]) {
      const { open, offset } = this.#branches.get(kind) ?? { open: true, offset: 0 };
      const searched = kind === 'room' || kind === 'reader';
      all.set(kind, !title ? { kind, limit: twigs } : { kind,
        q: searched ? q : '', sort: this.sort.value,
        order: this.sort.value ? 'desc' : 'asc', offset: open ? offset : 0,
        limit: open ? twigs : 1 });
    }
    for (const [id, row] of this.#open)
      all.set(id, row.kind === 'room'
        ? { kind: 'outlet', room: row.room, limit: twigs }
        : { kind: 'writer', client: row.client, limit: twigs });
    const first = [...all.keys()].filter((x) => this.#branches.get(x)?.open);
    const rest = [...all.keys()].filter((x) => !first.includes(x));
    const unknown = rest.filter((x) => !this.#pages.has(x));
    const later = rest.filter((x) => this.#pages.has(x));
    const turns = later.map((_, i) => later[(this.#turn + i) % later.length]);
    this.#turn += 1;
    // A branch may wait while there is more that is not known at all.
    this.#asked = [...first, ...unknown, ...turns].slice(0,
      Math.max(questionsMax, first.length + unknown.length));
    return this.#asked.map((x) => ({ view: 'actors', params: all.get(x) }));
  }

  show(pages, { open }) {
    this.#asked.forEach((x, i) => this.#pages.set(x, pages[i]));
    const lines = [];
    const actor = (row, level) => {
      lines.push({ id: row.id, level, row, open: childOf[row.kind]
        ? this.#open.has(row.id) : undefined });
      if (this.#open.has(row.id))
        for (const x of this.#pages.get(row.id)?.rows ?? [])
          actor(x, level + 1);
    };
    for (const row of this.#pages.get('supervisor')?.rows ?? [])
      lines.push({ id: row.id, level: 1, row });
    for (const { kind, title } of under) {
      const page = this.#pages.get(kind);
      if (!page)
        continue;
      if (!title) {
        for (const row of page.rows)
          actor(row, 2);
        continue;
      }
      const branch = this.#branches.get(kind);
      lines.push({ id: `branch ${kind}`, level: 2, kind, title,
        total: page.total, open: branch.open });
      if (!branch.open)
        continue;
      for (const x of page.rows)
        actor(x, 3);
      if (page.total > twigs || branch.offset)
        lines.push({ id: `pager ${kind}`, level: 3, pager: kind,
          total: page.total, shown: page.rows.length });
      if (!page.rows.length && branch.offset)
        branch.offset = 0;
    }
    this.#draw(lines, open);
  }

  #draw(lines, open) {
    const kept = new Map();
    let place = this.#body.firstChild;
    for (const line of lines) {
      const node = this.#lines.get(line.id) ?? this.#make(line);
      this.#fill(node, line, open);
      kept.set(line.id, node);
      if (node === place)
        place = place.nextSibling;
      else
        this.#body.insertBefore(node, place);
    }
    for (const [id, node] of this.#lines)
      if (kept.get(id) !== node)
        node.remove();
    this.#lines = kept;
  }

  #make(line) {
    const toggle = el('button', { type: 'button', class: 'twist',
      on: { click: () => this.#toggle(line.id) } });
    const head = el('th', { scope: 'row', class: `txt level${line.level}` });
    if (line.pager) {
      head.setAttribute('colspan', columns.length + 1);
      const step = (by) => el('button', { type: 'button', class: 'quiet',
        text: by < 0 ? 'Previous' : 'Next',
        on: { click: () => this.#page(line.pager, by) } });
      head.append(el('span', { class: 'range' }), step(-1), step(1));
      return el('tr', { class: 'more' }, head);
    }
    if (line.open !== undefined)
      head.append(toggle);
    if (line.row)
      head.append(el('span', { class: `kind ${line.row.kind}`,
        text: line.row.kind }), ' ',
      linkTo({ open: `actor:${line.id}` }, nameOf(labelOf(line.row))));
    else
      head.append(el('b', { text: line.title }), ' ',
        el('span', { class: 'range' }));
    return el('tr', { 'aria-level': line.level }, head, ...columns.map((x) =>
      (x.kind ? el('td', { class: 'num' }, el('span', { class: 'n' }),
        el('span', { class: 'u' })) : el('td', { class: 'txt' }))));
  }

  #fill(node, line, open) {
    if (line.pager) {
      const { offset } = this.#branches.get(line.pager);
      const [range, back, on] = node.firstChild.children;
      setText(range, `${kinds.count(offset + 1)[0]}–${
        kinds.count(offset + line.shown)[0]} of ${kinds.count(line.total)[0]}`);
      back.disabled = offset === 0;
      on.disabled = offset + line.shown >= line.total
        || offset + 2 * twigs > 10_000;
      return;
    }
    if (line.open !== undefined) {
      node.setAttribute('aria-expanded', line.open);
      const twist = node.querySelector('.twist');
      twist.setAttribute('aria-label', line.open ? 'Collapse' : 'Expand');
    }
    setClass(node, open === `actor:${line.id}` ? 'open'
      : line.row ? '' : 'branch');
    if (!line.row) {
      setText(node.querySelector('.range'), kinds.count(line.total)[0]);
      return;
    }
    columns.forEach((column, i) => {
      const cell = node.children[i + 1];
      const x = line.row[column.field];
      if (!column.kind) {
        setText(cell, x);
        setClass(cell, `txt ${x}`);
        return;
      }
      const [text, unit] = kinds[column.kind](x);
      setText(cell.firstChild, text);
      setText(cell.lastChild, unit);
      setClass(cell, `num ${x === 0 && column.kind !== 'index' ? 'zero' : ''} ${
        column.field === 'wait_last_us' ? lateness(x / 1000) : ''}`.trim());
    });
    node.row = line.row;
  }

  #toggle(id) {
    if (typeof id === 'string') {
      const branch = this.#branches.get(id.slice('branch '.length));
      branch.open = !branch.open;
    } else if (this.#open.delete(id)) {
      this.#pages.delete(id);
    } else {
      this.#open.set(id, this.#lines.get(id).row);
      if (this.#open.size > openMax)
        this.#open.delete(this.#open.keys().next().value);
    }
    this.again();
  }

  #page(kind, by) {
    const branch = this.#branches.get(kind);
    branch.offset = Math.max(0, branch.offset + by * twigs);
    this.again();
  }

  // As trees are wont to: up and down move, right opens, left closes.
  #key(event) {
    const line = event.target.closest('tr');
    const step = { ArrowUp: 'previousElementSibling',
      ArrowDown: 'nextElementSibling' }[event.key];
    if (step) {
      line[step]?.querySelector('a, button')?.focus();
      event.preventDefault();
      return;
    }
    const want = { ArrowRight: 'true', ArrowLeft: 'false' }[event.key];
    const now = line.getAttribute('aria-expanded');
    if (want && now && want !== now) {
      line.querySelector('.twist').click();
      event.preventDefault();
    }
  }

  close() {}
}
