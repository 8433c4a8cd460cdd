'use strict';

// A catalogue that takes its time, behind four worker threads: each product is asked for once, not once by each thread nor
// by each request. A thread that asks is terminated, and another asks in its place.

const http = require('node:http');
const { ClientHub } = require('sluice');
const { ask, check, repeat, startWorkers, tally, until } = require('../stage');

const PRODUCTS = 20;

/** A catalogue that counts what it is asked; while it `holds`, it keeps who asks waiting. */
async function startCatalogue() {
  const catalogue = { asked: 0, fails: false, holds: false, lastThread: 0 };
  const server = http.createServer((req, res) => {
    catalogue.asked += 1;
    catalogue.lastThread = Number(req.headers['x-thread']);
    if (catalogue.holds) return;
    res.statusCode = catalogue.fails ? 500 : 200;
    setTimeout(() => res.end(JSON.stringify({ path: req.url, price: 100, rate: 1.5 })), 50);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(catalogue, { port: server.address().port, server });
}

async function main() {
  const catalogue = await startCatalogue();
  const workerData = { cataloguePort: catalogue.port };
  const { workers, port } = await startWorkers(require.resolve('./server'), 4, { workerData });
  const products = new ClientHub('products');
  const statuses = async (count, together, path) => {
    const answers = await repeat(count, together, async (turn) => {
      const { status, text } = await ask(port, path(turn));
      return status === 200 ? JSON.parse(text).price : status;
    });
    return tally(answers);
  };
  const product = (turn) => `/product-${turn % PRODUCTS}`;

  console.log(`400 requests for ${PRODUCTS} products, 100 at once`);
  check('prices', await statuses(400, 100, product), '150 × 400');
  check('the catalogue was asked, once for the rates', catalogue.asked, PRODUCTS + 1);

  console.log('Their time is over: a stale answer at once, and one question in the background');
  await until(() => products.get('/product-0') === undefined);
  check('prices', await statuses(40, 40, () => '/product-0'), '150 × 40');
  await until(() => products.stats().initialising === 0);
  check('the catalogue was asked once more', catalogue.asked, PRODUCTS + 2);

  console.log('It is down for a product that nobody has');
  catalogue.fails = true;
  const { failures } = products.stats();
  check('those who asked together', await statuses(20, 20, () => '/new'), '502 × 20');
  catalogue.fails = false;
  check('some failures, fewer than requests', products.stats().failures - failures < 20, true);
  check('afterwards', await statuses(20, 20, () => '/new'), '150 × 20');

  console.log('The thread that asks is terminated');
  catalogue.holds = true;
  const before = catalogue.asked;
  const asking = Promise.allSettled(Array.from({ length: 40 }, () => ask(port, '/last')));
  await until(() => products.stats().waiting === 39 && catalogue.asked > before);
  catalogue.holds = false;
  await workers.find(({ threadId }) => threadId === catalogue.lastThread).terminate();
  const settled = await asking;
  const answered = settled.filter(({ value }) => value?.status === 200).length;
  const cut = settled.filter(({ status }) => status === 'rejected').length;
  check('answered, or cut off with their thread', answered + cut, 40);
  check('answered by the others', answered > 0, true);
  check('the catalogue was asked by that thread and one other', catalogue.asked - before, 2);
  const { handovers, waiting, initialising } = products.stats();
  check('handed over, waiting, running', [handovers, waiting, initialising], [1, 0, 0]);

  catalogue.server.close();
  catalogue.server.closeAllConnections();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
