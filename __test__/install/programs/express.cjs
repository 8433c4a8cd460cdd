// CommonJS, Express, and worker threads that share one limit with it. Prints what was served.
const { once } = require('node:events');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { RateLimiter } = require('sluice');

const LIMIT = 100;
const limiter = new RateLimiter('shared', { limit: LIMIT, window: '1h' });
const consume = () =>
  Array.from({ length: LIMIT }, () => limiter.tryConsume('client')).filter(Boolean).length;

async function main() {
  require('sluice/testing').manualClock();
  const express = require('express');
  const app = express();
  app.use(require('sluice/express')({ rateLimit: { limit: 2, window: '1h' } }));
  app.get('/', (_request, response) => response.send('served'));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const statuses = [];
  for (let i = 0; i < 3; i++)
    statuses.push((await fetch(`http://127.0.0.1:${server.address().port}/`)).status);
  server.close();
  server.closeAllConnections();
  const workers = [1, 2].map(() => once(new Worker(__filename), 'message'));
  const counts = [consume(), ...(await Promise.all(workers)).flat()];
  const admitted = counts.reduce((total, count) => total + count);
  console.log(JSON.stringify({ statuses, admitted }));
}

if (isMainThread) main();
else parentPort.postMessage(consume());
