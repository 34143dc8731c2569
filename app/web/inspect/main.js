// The page: where it is, what it asks, and a sample a second of it.

import { addressOf, go, here } from './address.js';
import { ApiError, look, rights } from './api.js';
import { Detail } from './detail.js';
import { by, el, setClass, setText } from './dom.js';
import { kinds } from './format.js';
import { History } from './history.js';
import { List } from './list.js';
import { Overview } from './overview.js';
import { askToken, mayAct } from './token.js';
import { Tree } from './tree.js';
import { views } from './views.js';

const every = 1000; // ms from one sample to the next
const retryMax = 8000; // ms between two tries to reach a broker that is away

const history = new History();
let overview = null; // the latest row
let sampledAt = 0;
let view = null;
let detail = null;
let paused = false;
let asking = null; // AbortController of what is being asked
let timer = 0;
let fails = 0;
let readTold = false; // asked for a token to read with, and in vain

// -- places -------------------------------------------------------------------

const tabs = [['overview', 'Overview'], ['tree', 'Tree'], ['rooms', 'Rooms'],
  ['lag', 'Lag'], ['connections', 'Connections'], ['closed', 'Closed']];

function makeView(name) {
  if (name === 'tree')
    return new Tree(soon);
  return views[name] ? new List(name) : new Overview();
}

function arrive() {
  const place = here();
  if (view?.name !== place.view) {
    view?.close();
    view = makeView(place.view);
    view.name = place.view;
    by('main').replaceChildren(view.node);
    by('main').scrollTop = 0;
  }
  if ((detail?.open ?? '') !== place.open) {
    detail?.close();
    detail = place.open ? new Detail(place.open, { mayAct, again: soon }) : null;
    if (detail)
      detail.open = place.open;
    by('detail').hidden = !detail?.node;
    by('detail').replaceChildren(...(detail?.node ? [detail.node] : []));
  }
  if (document.activeElement !== by('q'))
    by('q').value = place.q;
  drawTabs();
  const title = tabs.find(([name]) => name === place.view)?.[1] ?? 'Overview';
  document.title = `${title} - Greenroom inspector`;
  soon();
}

function drawTabs() {
  const place = here();
  const counts = { rooms: overview?.rooms, connections: overview?.connections };
  if (!by('tabs').firstChild)
    by('tabs').append(...tabs.map(([name, title]) =>
      el('a', { 'data-view': name }, el('span', { text: title }),
        el('span', { class: 'count' }))));
  for (const tab of by('tabs').children) {
    const name = tab.dataset.view;
    // A search goes along, an order or a page does not.
    tab.setAttribute('href', addressOf({ view: name, sort: '', order: '',
      offset: 0, room: '', q: name === 'overview' ? '' : place.q }));
    if (name === place.view)
      tab.setAttribute('aria-current', 'page');
    else
      tab.removeAttribute('aria-current');
    setText(tab.lastChild, counts[name] === undefined ? ''
      : kinds.count(counts[name])[0]);
  }
}

// -- what is going on ---------------------------------------------------------

function state(text, tone) {
  setText(by('state'), text);
  setClass(by('state'), tone);
}

function trouble(text) {
  setText(by('trouble'), text);
  by('trouble').hidden = !text;
  document.body.classList.toggle('stale', Boolean(text));
}

/** Asks as soon as what is being asked is off the way. */
function soon() {
  clearTimeout(timer);
  asking?.abort(new DOMException('asked anew', 'AbortError'));
  asking = null;
  if (!document.hidden)
    timer = setTimeout(sample, 0);
}

function later(ms) {
  clearTimeout(timer);
  if (!document.hidden && !paused)
    timer = setTimeout(sample, ms);
}

async function sample() {
  const mine = new AbortController();
  asking = mine;
  const began = performance.now();
  const [hereNow, detailNow] = [view, detail];
  const ask = (list) => Promise.all(list.map((x) =>
    look(x.view, x.params, mine.signal)));
  try {
    const [first, pages, more] = await Promise.all([look('overview', {},
      mine.signal), ask(hereNow.questions(here())),
    ask(detailNow?.questions() ?? [])]);
    if (mine.signal.aborted)
      return;
    fails = 0;
    readTold = false;
    [overview] = first.rows;
    sampledAt = first.sampled_at;
    history.take(overview, sampledAt);
    setText(by('version'), overview.version);
    drawTabs();
    hereNow.show(pages, { overview, history, at: sampledAt, open: here().open });
    if (detailNow?.node)
      detailNow.show(more);
    trouble('');
    state(paused ? 'paused' : 'live', paused ? 'paused' : 'live');
    later(Math.max(100, every - (performance.now() - began)));
  } catch (why) {
    if (mine.signal.aborted || why.name === 'AbortError')
      return; // somebody asked anew
    await explain(why);
  } finally {
    if (asking === mine)
      asking = null;
  }
}

async function explain(why) {
  if (!(why instanceof ApiError))
    throw why;
  if (why.status === 401) {
    state('token needed', 'away');
    trouble('Reading needs a token.');
    if (!readTold && await askToken('To look inside, this broker wants a token.')) {
      soon();
      return;
    }
    readTold = true; // the button asks again
    return;
  }
  if (!why.passing) { // it makes no sense: a wrong sort order in the address
    state('refused', 'away');
    trouble(`The broker does not understand this: ${why.message}.`);
    later(retryMax);
    return;
  }
  const wait = Math.min(retryMax, 1000 * 2 ** Math.min(fails++, 3));
  state(why.status === 0 ? 'unreachable' : 'busy', 'away');
  trouble(why.status === 0
    ? `The broker cannot be reached (${why.message}): retrying in ${wait / 1000} s.`
    : `The broker is busy (${why.message}): retrying in ${wait / 1000} s.`);
  later(wait);
}

// -- what the user does -------------------------------------------------------

let typing = 0;
by('q').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(search, 200);
});
by('find').addEventListener('submit', (event) => {
  event.preventDefault();
  search();
});

function search() {
  clearTimeout(typing);
  const q = by('q').value.trim();
  const { view: now } = here();
  // The overview has nothing to search in.
  go({ q, offset: 0, view: now === 'overview' && q ? 'connections' : now }, true);
}

by('pause').addEventListener('click', () => {
  paused = !paused;
  by('pause').setAttribute('aria-pressed', paused);
  setText(by('pause'), paused ? 'Go on' : 'Pause');
  soon();
});

function darkNow() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches;
}

by('theme').addEventListener('click', () => {
  const root = document.documentElement;
  root.dataset.theme = darkNow() ? 'light' : 'dark';
  try {
    localStorage.setItem('greenroom-theme', root.dataset.theme);
  } catch {
    // Then it is for this page only.
  }
  nameTheme();
  view?.repaint?.();
});

function nameTheme() {
  setText(by('theme'), darkNow() ? 'Light' : 'Dark');
}

by('token').addEventListener('click', async () => {
  let now = {};
  try {
    now = await rights();
  } catch {
    // It is asked all the same.
  }
  const may = now.act ? 'It may read and act.' : now.read
    ? 'It may read and not act.' : 'It may do nothing.';
  if (await askToken(`What this page may do now: ${may.slice(3)}`))
    soon();
});

addEventListener('keydown', (event) => {
  if (event.target.closest('input, select')
    || document.querySelector('dialog[open]') || event.ctrlKey
    || event.metaKey || event.altKey)
    return;
  if (event.key === '/') {
    by('q').focus();
    by('q').select();
  } else if (event.key === 'Escape' && here().open) {
    go({ open: '' });
  } else {
    return;
  }
  event.preventDefault();
});
by('q').addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    by('q').value = '';
    by('q').blur();
    search();
  }
});

// A page that nobody sees asks nothing.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    clearTimeout(timer);
    asking?.abort(new DOMException('hidden', 'AbortError'));
  } else {
    soon();
  }
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change',
  () => {
    nameTheme();
    view?.repaint?.();
  });
nameTheme();
addEventListener('hashchange', arrive);
arrive();
