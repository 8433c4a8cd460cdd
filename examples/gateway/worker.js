'use strict';

// One of the threads behind the gateway. It verifies the token again, with the key set that all threads share and a key
// object of its own.

const { threadId, workerData } = require('node:worker_threads');
const { setTimeout: pause } = require('node:timers/promises');
const { Broker } = require('sluice');
const { verifierOf } = require('./key-set');

const broker = new Broker('gateway');
const verifier = verifierOf(workerData.keySetUrl);

broker.handle('orders', async ({ user, item, token }, { signal }) => {
  if ((await verifier.get()).verify(token) !== user) throw new Error('the token belongs to another user');
  await pause(2, undefined, { signal }); // the database
  return { user, item, by: threadId };
});
broker.handle('reports', async ({ user }, { signal }) => {
  await pause(300, undefined, { signal });
  return { user, report: 'long', by: threadId };
});
// Simulates a crash.
broker.handle('crash', () => {
  process.exit(1);
});
