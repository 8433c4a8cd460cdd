'use strict';

// One worker thread: a Fastify API with two plans. Calls are charged in units, and a plan sets the price of a unit of
// work. So both plans share one limiter, and a change of plan applies from the next call on.

const { parentPort } = require('node:worker_threads');
const fastify = require('fastify');
const { listen } = require('sluice');

const PLANS = { free: 10, paid: 1 };
const ACCOUNTS = { 'key-of-ann': { name: 'ann', plan: 'free' }, 'key-of-bob': { name: 'bob', plan: 'paid' } };

/** The cost of a call with this amount of work, on the plan of its account. */
const price = (work) => (request) => work * PLANS[request.account.plan];

async function start() {
  const app = fastify();

  // Runs before the limits, which need the account: hooks run in the order in which they were added.
  app.decorateRequest('account', null);
  app.addHook('onRequest', async (request, reply) => {
    request.account = ACCOUNTS[request.headers['x-api-key']];
    if (request.account === undefined) return reply.code(401).send({ error: 'no such key' });
  });

  await app.register(require('sluice/fastify'), {
    name: 'api',
    key: (request) => request.account.name,
    cost: price(1),
    // Both limits are charged, or neither.
    rateLimit: {
      limits: [
        { name: 'second', limit: 100, window: '1s' },
        { name: 'day', limit: 300, window: '1d', algorithm: 'fixed-window' },
      ],
    },
  });

  app.get('/items', async () => ['this', 'that']);
  // Five times the work at five times the cost; all else as above.
  app.get('/report', { config: { sluice: { cost: price(5) } } }, async () => ({ total: 42 }));

  await app.ready();
  parentPort.postMessage(await listen(app.server, { port: 0, host: '127.0.0.1' }));
}

start();
