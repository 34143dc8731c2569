// Asks for the token, where one is needed.

import { ApiError, hasToken, rights, setToken } from './api.js';
import { by } from './dom.js';

const dialog = by('ask-token');
const input = by('token-text');

// Only the button that uses it submits: Enter must not forget or cancel.
by('token-forget').addEventListener('click', () => dialog.close('forget'));
by('token-cancel').addEventListener('click', () => dialog.close('cancel'));

/** @returns whether one was given, or given up */
export function askToken(why) {
  by('ask-token-why').textContent = why;
  by('token-forget').hidden = !hasToken();
  input.value = '';
  dialog.returnValue = '';
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      const text = input.value.trim();
      input.value = ''; // not even in the page
      if (dialog.returnValue === 'forget')
        setToken('');
      if (dialog.returnValue === 'use' && text)
        setToken(text);
      resolve(dialog.returnValue === 'forget'
        || (dialog.returnValue === 'use' && text !== ''));
    }, { once: true });
  });
}

/** Whether something may be ended; asks for a token until it is so or given up. */
export async function mayAct() {
  let why = 'Ending something needs the token for actions.';
  for (;;) {
    let now;
    try {
      now = await rights();
    } catch (trouble) {
      if (!(trouble instanceof ApiError))
        throw trouble;
      return true; // let the action itself say what is wrong
    }
    if (now.act)
      return true;
    if (!now.act_token)
      return true; // switched off: the answer says so
    if (!await askToken(why))
      return false;
    why = 'That token may not end anything.';
  }
}
