'use strict';

// A slow catalogue behind four worker threads: each product is fetched once, not once per thread or request. When the
// fetching thread is terminated, another thread takes over.

const http = require('node:http');
const { ClientHub, ConnectionTracker } = require('sluice');
const { manualClock } = require('sluice/testing');
const { ask, check, repeat, startWorkers, tally, until } = require('../stage');

const PRODUCTS = 20;

/** A catalogue that counts its requests; while it `holds`, it does not answer. */
async function startCatalogue() {
  const catalogue = { requests: 0, fails: false, holds: false, lastThread: 0 };
  const server = http.createServer((req, res) => {
    catalogue.requests += 1;
    catalogue.lastThread = Number(req.headers['x-thread']);
    if (catalogue.holds) return;
    res.statusCode = catalogue.fails ? 500 : 200;
    setTimeout(() => res.end(JSON.stringify({ path: req.url, price: 100, rate: 1.5 })), 50);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(catalogue, { port: server.address().port, server });
}

async function main() {
  // The clock of all threads. It is stopped, so values are fresh until the example moves on.
  const clock = manualClock();
  const catalogue = await startCatalogue();
  const workerData = { cataloguePort: catalogue.port };
  const { workers, port } = await startWorkers(require.resolve('./server'), 4, { workerData });
  const products = new ClientHub('products');
  const connections = new ConnectionTracker('connections');
  const statuses = async (count, together, path) => {
    const answers = await repeat(count, together, async (turn) => {
      const { status, text } = await ask(port, path(turn));
      return status === 200 ? JSON.parse(text).price : status;
    });
    return tally(answers);
  };
  const product = (turn) => `/product-${turn % PRODUCTS}`;

  console.log(`400 requests for ${PRODUCTS} products, 100 concurrently`);
  check('prices', await statuses(400, 100, product), '150 × 400');
  check('requests to the catalogue, one of them for the rates', catalogue.requests, PRODUCTS + 1);

  clock.advance('2s');
  console.log('The values are stale: they are served at once and refreshed by one request in the background');
  check('prices', await statuses(40, 40, () => '/product-0'), '150 × 40');
  await until(() => products.stats().initialising === 0);
  check('requests to the catalogue, one more than before', catalogue.requests, PRODUCTS + 2);

  console.log('The catalogue fails for a product that is not kept yet');
  catalogue.fails = true;
  const { failures } = products.stats();
  check('20 concurrent requests', await statuses(20, 20, () => '/new'), '502 × 20');
  catalogue.fails = false;
  check('fewer failures than requests', products.stats().failures - failures < 20, true);
  check('after the catalogue has recovered', await statuses(20, 20, () => '/new'), '150 × 20');

  console.log('The thread that fetches is terminated');
  catalogue.holds = true;
  const before = catalogue.requests;
  const asking = [];
  // Which thread a connection goes to is decided by the system: until more than one has some.
  do {
    for (let i = 0; i < 40; i++) asking.push(ask(port, '/last'));
    await until(() => products.stats().waiting === asking.length - 1 && catalogue.requests > before);
  } while (Object.values(connections.stats().perThread).filter((count) => count > 0).length < 2);
  const ended = Promise.allSettled(asking);
  catalogue.holds = false;
  await workers.find(({ threadId }) => threadId === catalogue.lastThread).terminate();
  const settled = await ended;
  const answered = settled.filter(({ value }) => value?.status === 200).length;
  const cut = settled.filter(({ status }) => status === 'rejected').length;
  check('requests answered, or cut off with their thread', answered + cut, asking.length);
  check('some are answered by other threads', answered > 0, true);
  check('requests to the catalogue, by that thread and one other', catalogue.requests - before, 2);
  const { handovers, waiting, initialising } = products.stats();
  check('handovers, pending calls, running initialisers', [handovers, waiting, initialising], [1, 0, 0]);

  clock.restore();
  catalogue.server.close();
  catalogue.server.closeAllConnections();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
