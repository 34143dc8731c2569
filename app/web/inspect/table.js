// A table whose rows the server sorts and pages. Rows and cells stay where they
// are between two samples and only change their texts, so that a thousand numbers a
// second cost no layout but their own.

import { linkTo } from './address.js';
import { el, nameOf, setClass, setText, visible } from './dom.js';
import { kinds, lateness } from './format.js';

export const pageRows = 50;

/** The two halves of a quantity, so that numbers stand in line. */
function quantity() {
  return [el('span', { class: 'n' }), el('span', { class: 'u' })];
}

/** How much a counter grew a second since the row was last seen. */
class Rates {
  #seen = new Map();
  #at = 0;
  #rates = new Map();

  take(rows, key, fields, at) {
    if (at <= this.#at)
      return; // the same sample once more
    const span = (at - this.#at) / 1000;
    const seen = new Map();
    const rates = new Map();
    for (const row of rows) {
      const id = key(row);
      const past = this.#at && span < 10 ? this.#seen.get(id) : undefined;
      seen.set(id, row);
      rates.set(id, Object.fromEntries(fields.map((f) => [f, past
        && row[f] >= past[f] ? (row[f] - past[f]) / span : null])));
    }
    this.#seen = seen;
    this.#rates = rates;
    this.#at = at;
  }

  of(id, field) {
    return this.#rates.get(id)?.[field] ?? null;
  }
}

export class Table {
  #columns;
  #key;
  #link;
  #rows = new Map();
  #rates = new Rates();
  #head;
  #body = el('tbody');
  #foot = el('div', { class: 'pager' });

  /**
   * @param columns `{field, title, kind, hint, sort, name, value, late}`: `kind`
   *   of format.js, or none for text; `name` is the one cell that links to the row
   * @param key what a row is known by
   * @param link where a row leads to: a change of the address, or null
   * @param sorted called with a field that was clicked
   * @param paged called with an offset
   */
  constructor({ label, columns, key, link, empty, sorted, paged }) {
    this.#columns = columns;
    this.#key = key;
    this.#link = link;
    this.empty = empty;
    this.#head = el('tr');
    for (const column of columns) {
      const cell = el('th', { scope: 'col', class: this.#classOf(column),
        title: column.hint });
      cell.append(sorted && column.sort !== false
        ? el('button', { type: 'button', text: column.title,
          on: { click: () => sorted(column.field) } })
        : column.title);
      this.#head.append(cell);
    }
    this.#body.addEventListener('click', (event) => {
      // A click anywhere in a row is one on its link, unless text is selected.
      if (!event.target.closest('a, button') && getSelection().isCollapsed)
        event.target.closest('tr')?.querySelector('a')?.click();
    });
    this.note = el('p', { class: 'empty', hidden: true });
    this.node = el('section', { class: 'sheet' },
      el('div', { class: 'scroll', tabindex: '0', role: 'region',
        'aria-label': label },
        el('table', { 'aria-label': label },
          el('thead', {}, this.#head), this.#body)),
      this.note, paged ? this.#foot : null);
    this.#pager(paged);
  }

  #classOf({ kind, wide }) {
    return [kind ? 'num' : 'txt', wide ? 'wide' : ''].join(' ').trim();
  }

  #pager(paged) {
    if (!paged)
      return;
    this.range = el('span', { class: 'range' });
    this.back = el('button', { type: 'button', class: 'quiet', text: 'Previous',
      on: { click: () => paged(Math.max(0, this.offset - pageRows)) } });
    this.on = el('button', { type: 'button', class: 'quiet', text: 'Next',
      on: { click: () => paged(this.offset + pageRows) } });
    this.#foot.append(this.range, this.back, this.on);
  }

  #make(row) {
    const line = el('tr');
    for (const column of this.#columns) {
      const cell = el('td', { class: this.#classOf(column) });
      if (column.kind)
        cell.append(...quantity());
      else if (column.name && this.#link(row))
        cell.append(linkTo(this.#link(row), nameOf(this.#value(column, row))));
      else
        cell.append(el('bdi', { class: 'name' }));
      line.append(cell);
    }
    return line;
  }

  #value({ field, value }, row) {
    return value ? value(row) : row[field];
  }

  #fill(line, row, id) {
    this.#columns.forEach((column, i) => {
      const cell = line.children[i];
      if (!column.kind) {
        const text = visible(this.#value(column, row)) || '-';
        const name = cell.querySelector('.name');
        if (name.textContent !== text) {
          name.textContent = text;
          name.title = text;
        }
        return;
      }
      const x = column.rate ? this.#rates.of(id, column.rate)
        : this.#value(column, row);
      const [text, unit] = kinds[column.kind](x);
      setText(cell.firstChild, text);
      setText(cell.lastChild, unit);
      setClass(cell, ['num', x === 0 && column.kind !== 'index' ? 'zero' : '',
        column.late ? lateness(x) : column.bad && x > 0 ? 'bad' : '']
        .filter(Boolean).join(' '));
    });
  }

  /** Shows one page: `{total, sampled_at, rows}`, rows from `offset` on. */
  show({ total, sampled_at: at, rows }, { sort, order, offset = 0 } = {},
    open = undefined) {
    this.offset = offset;
    this.#rates.take(rows, this.#key,
      this.#columns.map((x) => x.rate).filter(Boolean), at);
    const lines = new Map();
    let place = this.#body.firstChild;
    for (const row of rows) {
      const id = this.#key(row);
      const line = this.#rows.get(id) ?? this.#make(row);
      this.#fill(line, row, id);
      setClass(line, id === open ? 'open' : '');
      lines.set(id, line);
      if (line === place)
        place = place.nextSibling;
      else
        this.#body.insertBefore(line, place);
    }
    for (const [id, line] of this.#rows)
      if (lines.get(id) !== line)
        line.remove();
    this.#rows = lines;
    [...this.#head.children].forEach((cell, i) => {
      const { field } = this.#columns[i];
      const said = field === sort && this.#columns[i].sort !== false
        ? (order === 'asc' ? 'ascending' : 'descending') : 'none';
      if (cell.getAttribute('aria-sort') !== said)
        cell.setAttribute('aria-sort', said);
    });
    setText(this.note, rows.length ? '' : this.empty ?? 'Nothing here.');
    this.note.hidden = rows.length > 0;
    if (this.range) {
      const from = rows.length ? offset + 1 : 0;
      setText(this.range, total ? `${kinds.count(from)[0]}–${
        kinds.count(offset + rows.length)[0]} of ${kinds.count(total)[0]}` : '');
      this.back.disabled = offset === 0;
      this.on.disabled = offset + rows.length >= total
        || offset + pageRows >= 10_000; // the server sorts no further
      this.#foot.hidden = total <= pageRows && offset === 0;
    }
  }
}
