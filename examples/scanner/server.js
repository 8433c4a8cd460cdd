'use strict';

// One worker thread: Fastify behind a guard that bans clients which request many different missing paths.

const { parentPort } = require('node:worker_threads');
const fastify = require('fastify');
const { createGuard, listen } = require('sluice');

const guard = createGuard('site', {
  rateLimit: { limit: 1000, window: '1m' },
  // A missing page does not count as a failure by default, so only the rule below bans.
  reputation: { maxFailures: 100, findTime: '10m', banTime: '10m', maxBanTime: '1d' },
  monitor: {
    rules: [{ name: 'scan', event: 'not-found', count: 15, window: '1m', distinct: true, action: 'ban' }],
  },
});

async function start() {
  const app = fastify();
  await app.register(guard.fastify);
  app.get('/', async () => 'welcome');
  await app.ready();
  parentPort.postMessage(await listen(app.server, { port: 0, host: '127.0.0.1' }));
}

start();
