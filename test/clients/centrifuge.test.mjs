// The npm client `centrifuge` under Node.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Centrifuge } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';
import { next, startBroker, startClient } from './broker.mjs';
import { whatGoesRight, whatGoesWrong } from './centrifuge_cases.mjs';

whatGoesRight(startClient);
whatGoesWrong(startClient);

test('the Protobuf client is told that it cannot connect', async (t) => {
  const broker = await startBroker(t);
  const ann = new Centrifuge(broker.centrifuge, { websocket: WebSocket });
  t.after(() => ann.disconnect());
  const failed = next(ann, 'error');
  ann.connect();
  assert.equal((await failed).error.code, 2); // transport closed
});
