// One worker thread of the demo: a Fastify server on the port that all workers share.

import { createRequire } from 'node:module';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import Fastify from 'fastify';

const require = createRequire(import.meta.url);
const { inspect, listen } = require('../../index.js');
const { limiter, limit, window, host, hasDashboard } = workerData;

const app = Fastify();
if (limiter === 'sluice') {
  // All workers use the same name, so they share one limiter and one tracker.
  await app.register(require('../../lib/fastify.js'), {
    name: 'demo',
    rateLimit: { limit, window },
    connections: { max: 10_000 },
    reputation: { maxFailures: 1_000, findTime: '1m', banTime: '10m', maxBanTime: '1d' },
  });
  if (hasDashboard) {
    const dashboard = app.sluice.dashboard({ title: 'demo', readOnly: false });
    await app.register(dashboard.fastify, { prefix: '/sluice' });
    inspect({ actions: true, title: 'demo' });
  }
} else {
  await app.register(import('@fastify/rate-limit'), { max: limit, timeWindow: window });
}

app.addHook('onSend', async (_request, reply) => {
  reply.header('x-worker', threadId);
});
app.get('/', async () => ({ hello: 'world' }));

await app.ready();
parentPort.postMessage(await listen(app.server, { port: 0, host }));
