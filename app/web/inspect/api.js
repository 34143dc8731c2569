// The inspection API (net/api/README.md) as the page uses it. The token lives in
// this module and nowhere else: no storage, no address, gone with the page.

const base = new URL('../', import.meta.url); // of .../inspect/assets/api.js
const patience = 10_000; // ms until an answer counts as lost

let token = '';

export const hasToken = () => token !== '';

export function setToken(text) {
  token = text;
}

/** An answer that is not 200, or that there was none (status 0). */
export class ApiError extends Error {
  constructor(status, name, detail = '') {
    super(detail ? `${name}: ${detail}` : name);
    this.status = status;
  }

  /** It went somewhere and nobody was there, or they had no time. */
  get passing() {
    return this.status === 0 || this.status >= 500;
  }
}

// Not URLSearchParams: to the API a plus is a plus, and no blank.
function urlOf(path, params) {
  const pairs = Object.entries(params)
    .filter(([, x]) => x !== '' && x !== undefined && x !== null)
    .map(([name, x]) => `${name}=${encodeURIComponent(x)}`);
  return new URL(path + (pairs.length ? `?${pairs.join('&')}` : ''), base);
}

async function ask(path, params, signal, options = {}) {
  let answer;
  try {
    answer = await fetch(urlOf(path, params), {
      headers: token ? { Authorization: `Bearer ${token}` } : {},
      cache: 'no-store', credentials: 'omit', redirect: 'error',
      referrerPolicy: 'no-referrer', signal, ...options,
    });
  } catch (why) {
    throw trouble(why);
  }
  if (answer.ok)
    return answer;
  let told = {};
  try {
    told = await answer.json();
  } catch {
    // The status has to do.
  }
  throw new ApiError(answer.status, String(told?.error
    ?? `status ${answer.status}`), String(told?.detail ?? ''));
}

function trouble(why) {
  if (why.name === 'AbortError')
    return why;
  return new ApiError(0, why.name === 'TimeoutError' ? 'no answer in time'
    : why.name === 'SyntaxError' ? 'a broken answer' : 'no connection');
}

async function json(path, params, signal, options) {
  const limit = AbortSignal.timeout(patience);
  const answer = await ask(path, params,
    signal ? AbortSignal.any([limit, signal]) : limit, options);
  try {
    return await answer.json();
  } catch (why) {
    throw trouble(why);
  }
}

/** What the token at hand may do. */
export const rights = () => json('rights', {});

/** One page of a view: `{total, sampled_at, rows}`. */
export const look = (view, params = {}, signal = undefined) =>
  json(view, params, signal);

/** `kill` or `restart`. @returns the receipt */
export const act = (what, order) => json(what, {}, undefined,
  { method: 'POST', body: JSON.stringify(order) });

/**
 * Follows a room or a client until the time is over or `signal` aborts it.
 * @param told gets every line: `{event}`, `{lost}`, `{beat}` or `{end}`
 */
export async function follow(params, told, signal) {
  const answer = await ask('trace', params, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let ended = false;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done)
        break;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines.filter(Boolean).map((x) => JSON.parse(x))) {
        ended ||= 'end' in line;
        told(line);
      }
    }
  } catch (why) {
    throw trouble(why);
  }
  if (!ended)
    throw new ApiError(0, 'the stream was cut');
}
