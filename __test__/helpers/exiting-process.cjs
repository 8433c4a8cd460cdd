'use strict';

// Calls `process.exit` while threads hold connections and run, and a drain is pending here.

const { Worker } = require('node:worker_threads');
const { ConnectionTracker, RateLimiter, Registry } = require('../..');

const name = 'threads that end';
const tracker = new ConnectionTracker(name, { max: 1000, maxPerClient: 500, clients: 'opaque' });
new RateLimiter(name, { limit: 1000, window: '1s', maxKeys: 50 });
new Registry(name).on('change', () => {});
tracker.tryOpen('main');

let working = 0;
for (let seed = 1; seed <= 6; seed++) {
  const workerData = { name, way: 'terminate', port: 0, seed };
  new Worker(require.resolve('./ending-worker.cjs'), { workerData }).once('message', () => {
    working += 1;
    if (working < 6) return;
    tracker.drain({ timeout: '1h' });
    setTimeout(() => process.exit(7), 20);
  });
}
