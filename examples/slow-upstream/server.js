'use strict';

// One worker thread: a shop in front of a slow catalogue. Each product is fetched once for all threads.

const http = require('node:http');
const { parentPort, threadId, workerData } = require('node:worker_threads');
const { ClientHub, ConnectionTracker, listen } = require('sluice');

const products = new ClientHub('products', { maxEntries: 1000 });
const TIMES = { ttl: '2s', staleWhileRevalidate: '1m', timeout: '5s' };

async function askCatalogue(path, signal) {
  const url = `http://127.0.0.1:${workerData.cataloguePort}${path}`;
  const response = await fetch(url, { signal, headers: { 'x-thread': String(threadId) } });
  if (!response.ok) throw new Error(`the catalogue answered with status ${response.status}`);
  return response.json();
}

/** A converter that each thread builds from the shared rates, once per version: functions cannot be shared. */
const rates = products.client('/rates', (signal) => askCatalogue('/rates', signal), {
  revive: ({ rate }) => ({ convert: (price) => Math.round(price * rate) }),
});

const server = http.createServer(async (req, res) => {
  try {
    const product = await products.getOrInit(req.url, (signal) => askCatalogue(req.url, signal), TIMES);
    const { convert } = await rates.get();
    res.end(JSON.stringify({ ...product, price: convert(product.price) }));
  } catch (error) {
    res.statusCode = 502;
    res.end(error.message);
  }
});

// For the main thread, which asks how many each thread has.
new ConnectionTracker('connections', {}).attach(server);
listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
