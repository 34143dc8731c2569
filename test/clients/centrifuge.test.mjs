// The npm client `centrifuge` under Node.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Centrifuge } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';
import { next, quickly, startBroker, startClient } from './broker.mjs';
import { whatGoesRight, whatGoesWrong } from './centrifuge_cases.mjs';

whatGoesRight(startClient);
whatGoesWrong(startClient);

test('the Protobuf client is told to stay away', async (t) => { // §7.2
  const broker = await startBroker(t);
  const ann = new Centrifuge(broker.centrifuge,
    { websocket: WebSocket, ...quickly });
  t.after(() => ann.disconnect());
  const gone = next(ann, 'disconnected');
  ann.connect();
  const { code, reason } = await gone;
  assert.equal(`${code} ${reason}`, '3508 not available');
  assert.equal(ann.state, 'disconnected');
});
