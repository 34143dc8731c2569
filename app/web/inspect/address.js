// Where the page is: behind the `#` of its address, as `#/rooms?q=lobby`. Links
// work, the back button works, and nothing secret is ever in there.

import { el } from './dom.js';

/** What can be in an address, besides the view. */
const known = ['q', 'sort', 'order', 'offset', 'room', 'open'];

export function here() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const params = new URLSearchParams(query);
  const place = { view: path || 'overview' };
  for (const name of known)
    place[name] = params.get(name) ?? '';
  place.offset = Math.max(0, Number.parseInt(place.offset, 10) || 0);
  return place;
}

/** The address of this place with some of it changed. */
export function addressOf(change) {
  const { view, ...rest } = { ...here(), ...change };
  const params = new URLSearchParams();
  for (const name of known)
    if (rest[name])
      params.set(name, rest[name]);
  const query = params.toString();
  return `#/${view}${query ? `?${query}` : ''}`;
}

/** Goes there. `quietly`: without a step of the back button. */
export function go(change, quietly = false) {
  const to = addressOf(change);
  if (to === location.hash)
    return;
  if (quietly) {
    history.replaceState(null, '', to);
    dispatchEvent(new HashChangeEvent('hashchange'));
  } else {
    location.hash = to;
  }
}

/** A link to this place with some of it changed: of the place when it is clicked. */
export function linkTo(change, ...children) {
  const link = el('a', { href: addressOf(change), on: { click: (event) => {
    link.setAttribute('href', addressOf(change)); // then the browser goes there
    event.stopPropagation();
  } } }, ...children);
  return link;
}
