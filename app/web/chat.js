// A room to chat in, as an application would make it with the Centrifuge SDK.
// The room's name is behind the `#` of the address, so a link leads into a
// room.

'use strict';

const messagesMax = 500; // older ones leave the page

const by = (id) => document.getElementById(id);
const url = new URL('connection/websocket', location.href);
url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
url.hash = '';

const centrifuge = new Centrifuge(url.href);
let me = ''; // what the broker calls this connection
let room = null; // the subscription

// -- the page -----------------------------------------------------------------

function show(text, who, kind) {
  const messages = by('messages');
  const atEnd = messages.scrollHeight - messages.scrollTop
    - messages.clientHeight < 40;
  const item = document.createElement('li');
  item.className = kind;
  if (who) {
    const name = document.createElement('span');
    name.className = 'who';
    name.textContent = `${who}: `;
    item.append(name);
  }
  item.append(text); // as text: nobody's message becomes markup
  messages.append(item);
  while (messages.childElementCount > messagesMax)
    messages.firstElementChild.remove();
  if (atEnd)
    messages.scrollTop = messages.scrollHeight;
}

function notice(text) {
  by('notice').textContent = text;
  by('notice').hidden = !text;
}

function state(text, connected) {
  by('state').textContent = text;
  by('state').className = connected ? 'connected' : '';
}

function mayTalk(yes) {
  by('text').disabled = !yes;
  by('send').disabled = !yes;
}

// -- the connection -----------------------------------------------------------

centrifuge.on('connecting', ({ code, reason }) => {
  state(code === 0 ? 'connecting' : `reconnecting: ${reason}`, false);
});
centrifuge.on('connected', ({ client }) => {
  me = client;
  state('connected', true);
});
centrifuge.on('disconnected', ({ code, reason }) => {
  state(`disconnected: ${reason} (${code})`, false);
});

// -- the room -----------------------------------------------------------------

function reasonOf({ code, message, reason }) {
  if (code === 102)
    return 'There is no such room. The broker opens rooms by --room NAME, or '
      + 'any that is entered by --rooms-on-demand.';
  return `${message ?? reason} (${code})`;
}

// Raw clients publish text, others what they like; this page an object.
function hear({ data, info }) {
  const mine = info?.client === me;
  const own = data !== null && typeof data === 'object'
    && typeof data.text === 'string';
  const text = own ? data.text
    : typeof data === 'string' ? data : JSON.stringify(data);
  const name = own && typeof data.name === 'string' && data.name
    ? data.name : info ? `client ${info.client.slice(0, 8)}` : 'server';
  show(text, name, mine ? 'mine' : 'other');
}

function enter(name) {
  if (room) {
    room.unsubscribe();
    centrifuge.removeSubscription(room);
  }
  by('messages').replaceChildren();
  notice('');
  by('room').value = name;
  document.title = `${name} - Greenroom`;
  room = null;
  mayTalk(false);
  let here;
  try {
    here = centrifuge.newSubscription(name);
  } catch ({ message }) { // the SDK knows names that it cannot keep
    notice(`This name cannot be used: ${message}`);
    return;
  }
  room = here;
  here.on('publication', hear);
  here.on('subscribed', () => {
    notice('');
    mayTalk(true);
    show(`You are in ${name}.`, '', 'event');
  });
  here.on('subscribing', () => mayTalk(false));
  here.on('unsubscribed', (why) => {
    if (here !== room)
      return; // another one was entered
    mayTalk(false);
    if (why.code !== 0)
      notice(reasonOf(why));
  });
  here.subscribe();
}

function nameOfAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || 'lobby';
  } catch {
    return 'lobby';
  }
}

// -- what the user does -------------------------------------------------------

by('place').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = by('room').value.trim() || 'lobby';
  if (name === nameOfAddress())
    enter(name);
  else
    location.hash = encodeURIComponent(name);
});

by('say').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = by('text').value;
  if (!text || !room)
    return;
  by('text').value = '';
  try {
    await room.publish({ name: by('name').value.trim(), text });
    notice('');
  } catch (why) {
    by('text').value ||= text;
    notice(reasonOf(why));
  }
});

addEventListener('hashchange', () => enter(nameOfAddress()));

centrifuge.connect();
enter(nameOfAddress());
