// A process of a fleet: so many threads make so many calls on one key, and it prints how many were admitted and failed.
'use strict';

const { Worker, isMainThread, workerData, parentPort } = require('node:worker_threads');
const { RateLimiter } = require('../../index.js');

if (isMainThread) startThreads(JSON.parse(process.argv[2]));
else work(workerData);

async function startThreads(task) {
  const totals = { admitted: 0, degraded: 0 };
  const threads = Array.from({ length: task.threads }, () => new Worker(__filename, { workerData: task }));
  await Promise.all(
    threads.map(
      (thread) =>
        new Promise((resolve, reject) => {
          thread.on('message', ({ admitted, degraded }) => {
            totals.admitted += admitted;
            totals.degraded += degraded;
          });
          thread.on('error', reject);
          thread.on('exit', resolve);
        }),
    ),
  );
  console.log(JSON.stringify(totals));
}

async function work({ name, scope, limit, calls, inFlight }) {
  const limiter = new RateLimiter(name, { limit, window: '30d', scope });
  await limiter.ready({ timeout: '30s' });
  const totals = { admitted: 0, degraded: 0 };
  const loop = async () => {
    for (let n = 0; n < calls / inFlight; n++) {
      const { allowed, degraded } = await limiter.consumeAsync('hot');
      if (allowed) totals.admitted += 1;
      if (degraded) totals.degraded += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  parentPort.postMessage(totals);
}
