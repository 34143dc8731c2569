// Ending and restarting: first the question, then the receipt.

import { act, ApiError } from './api.js';
import { by, el, nameOf, visible } from './dom.js';
import { say } from './format.js';

const dialog = by('act');

const figures = [
  ['memberships', 'Memberships given up', 'count'],
  ['presence', 'Presence entries', 'count'],
  ['timers', 'Timers', 'count'],
  ['bytes', 'Bytes discarded', 'bytes'],
  ['frames', 'Frames discarded', 'count'],
  ['descriptors', 'Descriptors closed', 'count'],
  ['actors', 'Actors ended', 'count'],
  ['moved', 'Members that went on', 'count'],
  ['took_ms', 'Took', 'ms'],
];

export function receiptOf(receipt) {
  const clean = receipt.clean === true;
  return el('div', { class: 'receipt' },
    el('p', { class: clean ? 'verdict clean' : 'verdict dirty',
      text: clean ? 'Clean: nothing was left behind.'
        : 'Not clean: something was left at the deadline.' }),
    clean ? null : el('ul', { class: 'left' }, ...(receipt.left ?? [])
      .map((x) => el('li', { text: visible(x) }))),
    el('dl', { class: 'facts' }, ...figures.flatMap(([field, title, kind]) => [
      el('dt', { text: title }),
      el('dd', { text: say(kind, receipt[field] ?? 0) })])));
}

const button = (text, kind, click) =>
  el('button', { type: 'button', class: kind, text, on: { click } });

function show(title, ...children) {
  dialog.replaceChildren(el('h2', { id: 'act-title' }, ...title), ...children);
  if (!dialog.open)
    dialog.showModal();
}

function words(why) {
  if (!(why instanceof ApiError))
    return String(why);
  switch (why.status) {
    case 401:
      return 'Ending something needs a token (--inspect-act-token).';
    case 403:
      return 'This token may look and not act, or actions are switched off.';
    case 404:
      return 'There is no such thing any more.';
    default:
      return `It did not work: ${why.message}.`;
  }
}

/**
 * Asks, does it, shows the receipt.
 * @param verb `End` or `Restart`
 * @param what what is ended, in words, and its name
 * @param path `kill` or `restart`
 * @param mayAct asks for a token where one is missing; false: it was not given
 */
export function confirmAct({ verb, what, name, follows, path, order, mayAct,
  done }) {
  const title = [`${verb} ${what} `, nameOf(name)];
  const stop = button('Cancel', 'quiet', () => dialog.close());
  const trouble = el('p', { class: 'notice', role: 'alert', hidden: true });
  const doIt = button(`${verb} it`, 'danger', async () => {
    if (!await mayAct())
      return;
    doIt.disabled = true;
    stop.disabled = true;
    doIt.textContent = 'Waiting for the receipt';
    try {
      const receipt = await act(path, order);
      show([`Receipt: ${what} `, nameOf(name)], receiptOf(receipt),
        el('p', { class: 'row' }, el('span', { class: 'grow' }),
          button('Close', 'first', () => dialog.close())));
      dialog.querySelector('button').focus();
      done?.();
    } catch (why) {
      trouble.textContent = words(why);
      trouble.hidden = false;
      doIt.textContent = 'Try again';
      doIt.disabled = false;
      stop.disabled = false;
      stop.focus();
    }
  });
  show(title, el('p', { text: follows }), trouble,
    el('p', { class: 'row' }, el('span', { class: 'grow' }), stop, doIt));
  stop.focus(); // what is meant must be chosen
}
