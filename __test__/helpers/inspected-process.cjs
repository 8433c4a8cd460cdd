'use strict';

// A process whose worker threads run functions that a test sends, see inspected.mjs. `worker` is the place of a thread in
// the order in which they were started.

const path = require('node:path');
const { Worker } = require('node:worker_threads');

const FILE = path.join(__dirname, 'peer-worker.cjs');
const workers = [];

process.on('message', ({ id, worker, body, data }) => {
  if (worker === 'start') return start(id);
  if (worker === 'exit') process.exit(0);
  if (body === undefined) return end(id, worker);
  return workers[worker].postMessage({ id, body, data });
});

function start(id) {
  const worker = new Worker(FILE);
  workers.push(worker);
  worker.on('message', (answer) => process.send(answer));
  worker.once('online', () => process.send({ id, value: workers.length - 1 }));
}

async function end(id, worker) {
  await workers[worker].terminate();
  process.send({ id });
}
