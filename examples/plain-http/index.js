'use strict';

// Four worker threads with node:http share a limit and a cap on connections: 80 requests of one client, eight exports of
// another, and 16 connections of a third at once.

const http = require('node:http');
const { ask, check, repeat, startWorkers, tally } = require('../stage');

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const statuses = (answers) => tally(answers.map(({ status }) => status).sort());

  const few = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const pages = await repeat(80, 16, () => ask(port, '/', { from: '127.0.0.2', agent: few }));
  few.destroy();
  check('80 requests of one client', statuses(pages), '200 × 50, 429 × 30');

  const exports_ = await repeat(8, 1, () => ask(port, '/export', { from: '127.0.0.3' }));
  check('8 exports, each of cost 10', statuses(exports_), '200 × 5, 429 × 3');

  // A connection for each: an open one is used again only once its answer is there.
  const many = new http.Agent({ keepAlive: true });
  const held = await repeat(16, 16, () => ask(port, '/', { from: '127.0.0.4', agent: many }));
  check('16 connections at once', statuses(held), '200 × 10, 503 × 6');
  many.destroy();

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
