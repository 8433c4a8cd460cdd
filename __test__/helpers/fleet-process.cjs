// A process of a fleet: so many threads make so many calls on one key, or call for so long, and it prints how many were
// admitted and failed, and when the first was made. With `usesUp`, calls go on while units are held, which would be lost.
'use strict';

const { Worker, isMainThread, workerData, parentPort } = require('node:worker_threads');
const { RateLimiter } = require('../../index.js');

if (isMainThread) startThreads(JSON.parse(process.argv[2]));
else work(workerData);

async function startThreads(task) {
  const totals = { admitted: 0, degraded: 0, startedAt: Number.POSITIVE_INFINITY };
  const threads = Array.from({ length: task.threads }, () => new Worker(__filename, { workerData: task }));
  await Promise.all(
    threads.map(
      (thread) =>
        new Promise((resolve, reject) => {
          thread.on('message', ({ admitted, degraded, startedAt }) => {
            totals.startedAt = Math.min(totals.startedAt, startedAt);
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

async function work({ name, scope, limit, window = '30d', limits, calls, forMs, inFlight, usesUp = false }) {
  const quota = limits === undefined ? { limit, window } : { limits };
  const limiter = new RateLimiter(name, { ...quota, scope });
  await limiter.ready({ timeout: '30s' });
  const totals = { admitted: 0, degraded: 0, startedAt: Date.now() };
  const goesOn = (n) => (forMs === undefined ? n < calls / inFlight : Date.now() < totals.startedAt + forMs);
  const call = async () => {
    const { allowed, degraded } = await limiter.consumeAsync('hot');
    if (allowed) totals.admitted += 1;
    if (degraded) totals.degraded += 1;
    return allowed;
  };
  const holds = ({ held, pending } = limiter.stats().fleet) => held > 0 || pending > 0;
  const loop = async () => {
    for (let n = 0; goesOn(n); n++) {
      // Others get their turn: what is held is decided without waiting.
      if (n % 64 === 63) await new Promise(setImmediate);
      await call();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  while (usesUp && ((await call()) || holds())) await new Promise(setImmediate);
  parentPort.postMessage(totals);
}
