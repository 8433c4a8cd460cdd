'use strict';

// One worker thread: Fastify, behind a guard that knows a scanner by how many different things it misses.

const { parentPort } = require('node:worker_threads');
const fastify = require('fastify');
const { createGuard, listen } = require('sluice');

const guard = createGuard('site', {
  rateLimit: { limit: 1000, window: '1m' },
  // Here bans come from the rule alone: answers are no failures, so nobody is banned for an old bookmark.
  reputation: { maxFailures: 100, findTime: '10m', banTime: '10m', maxBanTime: '1d' },
  record: { 401: false, 403: false, 404: { event: 'not-found', weight: 0 }, 429: false },
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
