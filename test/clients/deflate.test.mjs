// The npm client `ws`, unmodified: it offers permessage-deflate by itself.

import assert from 'node:assert/strict';
import test from 'node:test';
import { collect, join, startBroker, startClient, startSocket } from './broker.mjs';

const long = (i) => `${i}: ${'to be compressed, '.repeat(200 + i)}`;

for (const context of ['off', 'on']) {
  test(`compressed and plain sockets hear the same, client context ${context}`,
    async (t) => {
      const broker = await startBroker(t, '--deflate',
        '--deflate-client-context', context);
      const url = broker.room('lobby');
      const plain = await startSocket(t, url, { perMessageDeflate: false });
      const packed = await startSocket(t, url);
      const eager = await startSocket(t, url, {
        perMessageDeflate: { threshold: 0, serverMaxWindowBits: 10,
          clientMaxWindowBits: 9 },
      });
      const centrifuge = collect(await join(startClient(t, broker.centrifuge),
        'lobby'));
      assert.equal(plain.extensions, '');
      assert.equal(packed.extensions, 'permessage-deflate');
      const n = 20;
      const expected = [];
      for (let i = 0; i < n; ++i) {
        for (const [from, text] of [[plain, long(i)], [packed, long(i)],
          [eager, `short ${i}`]]) {
          from.send(text);
          expected.push(text);
          await eager.upTo(expected.length);
        }
      }
      for (const x of [plain, packed, eager]) {
        await x.upTo(3 * n);
        assert.deepEqual(x.lines, expected);
      }
      await centrifuge.upTo(3 * n);
      assert.deepEqual(centrifuge.all, expected);
      const bytes = (x) => x._socket.bytesRead;
      assert.ok(bytes(packed) * 5 < bytes(plain));
    });
}
