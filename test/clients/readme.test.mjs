// What README.md and app/run tell a newcomer to paste into the console of a
// browser, pasted into the console of one: only the port is another.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { growing, startBroker, within } from './broker.mjs';
import { openPage, useChromium } from './chromium.mjs';

useChromium();

const root = new URL('../../', import.meta.url);
const textOf = (path) => readFile(new URL(path, root), 'utf8');

/** A page of the broker, and the lines its console shows. */
async function openConsole(t) {
  const broker = await startBroker(t, '--room', 'lobby', '--room', 'news',
    '--rooms-on-demand', 'off', '--origin', 'https://example.org');
  const page = await openPage(t, `http://127.0.0.1:${broker.port}/`);
  const shown = growing('value');
  page.on('console', async (x) => {
    const values = await Promise.all(x.args().map((y) => y.jsonValue()));
    shown.add(values.length === 1 ? values[0] : values);
  });
  const cdp = await page.context().newCDPSession(page);
  return {
    page,
    /** Whatever is typed, as the console takes it; its failure is ours. */
    async paste(code) {
      assert.match(code, /127\.0\.0\.1:8000/);
      const { exceptionDetails } = await within(cdp.send('Runtime.evaluate', {
        expression: code.replaceAll('127.0.0.1:8000',
          `127.0.0.1:${broker.port}`),
        replMode: true,
        awaitPromise: true,
      }), 'result of what was pasted');
      assert.equal(exceptionDetails, undefined,
        exceptionDetails?.exception?.description);
    },
    shows: (value) => shown.until(
      (all) => all.some((x) => JSON.stringify(x) === JSON.stringify(value)),
      `${JSON.stringify(value)} in the console`),
  };
}

async function blocks() {
  const all = [...(await textOf('README.md'))
    .matchAll(/^```js\n(.*?)^```$/gms)].map((x) => x[1]);
  assert.equal(all.length, 2, 'blocks of JavaScript in README.md');
  return all;
}

test('README.md: a WebSocket says hello', async (t) => {
  const [code] = await blocks();
  const console = await openConsole(t);
  await console.paste(code);
  await console.shows('hello from a page');
  assert.deepEqual(console.page.faults, []);
});

test('README.md: the npm client says hello', async (t) => {
  const [, code] = await blocks();
  const console = await openConsole(t);
  await console.paste(code);
  await console.shows({ text: 'hello' });
  assert.deepEqual(console.page.faults, []);
});

test('app/run: its hint says hello', async (t) => {
  const found = /in a browser +(.*)\n *\(the console\) +(.*)\n +(s\..*)\n/
    .exec(await textOf('app/run'));
  assert.ok(found, 'no hint in app/run');
  const code = found.slice(1).join('\n').replaceAll(
    '$host:$port', '127.0.0.1:8000');
  const console = await openConsole(t);
  await console.paste(code);
  await console.shows('hello');
  assert.deepEqual(console.page.faults, []);
});
