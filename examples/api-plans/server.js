'use strict';

// One worker thread: a Fastify API with two plans. What a call takes from its account is counted in units; a plan
// is what a unit of work costs on it, so both plans share one limiter, and a change of plan counts from the next call.

const { parentPort } = require('node:worker_threads');
const fastify = require('fastify');
const { listen } = require('sluice');

const PLANS = { free: 10, paid: 1 };
const ACCOUNTS = { 'key-of-ann': { name: 'ann', plan: 'free' }, 'key-of-bob': { name: 'bob', plan: 'paid' } };

/** The price of a call that is so much work, on the plan of who calls. */
const price = (work) => (request) => work * PLANS[request.account.plan];

async function start() {
  const app = fastify();

  // Who calls is known before the limits ask for it: hooks run in the order in which they were added.
  app.decorateRequest('account', null);
  app.addHook('onRequest', async (request, reply) => {
    request.account = ACCOUNTS[request.headers['x-api-key']];
    if (request.account === undefined) return reply.code(401).send({ error: 'no such key' });
  });

  await app.register(require('sluice/fastify'), {
    name: 'api',
    key: (request) => request.account.name,
    cost: price(1),
    // Both are charged, or neither is.
    rateLimit: {
      limits: [
        { name: 'second', limit: 100, window: '1s' },
        { name: 'day', limit: 300, window: '1d', algorithm: 'fixed-window' },
      ],
    },
  });

  app.get('/items', async () => ['this', 'that']);
  // Five times the work, at five times the price; the rest is as above.
  app.get('/report', { config: { sluice: { cost: price(5) } } }, async () => ({ total: 42 }));

  await app.ready();
  parentPort.postMessage(await listen(app.server, { port: 0, host: '127.0.0.1' }));
}

start();
