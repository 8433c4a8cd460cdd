'use strict';

// One worker thread: Fastify with handlers that compute for two milliseconds each, so it answers fewer than 500 requests
// a second. `PROTECTED` says whether it sheds what it cannot answer in time.

const fastify = require('fastify');
const { parentPort, workerData } = require('node:worker_threads');
const sluice = require('sluice/fastify');

const WORK_MS = 2;

async function start() {
  const app = fastify();
  if (workerData.isProtected) {
    await app.register(sluice, {
      name: 'shop',
      rateLimit: false,
      overload: { targetDelay: '50ms' },
      // Pages of the catalogue can wait until later; the recommendations on them are the first to go.
      priority: ({ url }) => (url.startsWith('/recommendations') ? 'low' : 'normal'),
    });
  }
  app.get('/health', async () => 'ok');
  app.post('/login', { config: { sluice: { priority: 'high' } } }, async () => work('welcome'));
  app.get('/catalogue', async () => work('shoes'));
  app.get('/recommendations', async () => work('more shoes'));
  await app.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  parentPort.postMessage({ port: app.server.address().port });
}

/** Blocks the thread, as a handler does that computes; it waits instead, so that the example needs no core of its own. */
function work(answer) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WORK_MS);
  return answer;
}

start();
