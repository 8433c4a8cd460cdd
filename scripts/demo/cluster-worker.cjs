// A process that `cluster.mjs` shows: its threads use up one quota, and write down what they were told.
'use strict';

const { existsSync, openSync, writeSync } = require('node:fs');
const { Worker, isMainThread, threadId } = require('node:worker_threads');
const { RateLimiter } = require('../../index.js');

/** As many refusals in a row say that the quota is used up. */
const REFUSALS = 1_000;

/** `atFirst`: units that a thread takes before it waits for the replacement of the killed process. */
const { directory, limit, threads, atFirst } = JSON.parse(process.env.SLUICE_DEMO_TASK);

if (isMainThread) {
  const ended = Array.from({ length: threads }, () => {
    return new Promise((resolve) => new Worker(__filename).once('exit', resolve));
  });
  // The channel of the cluster keeps the process alive.
  Promise.all(ended).then(() => process.exit());
} else {
  useUp();
}

function useUp() {
  // A unit of a fixed window never comes back before its end.
  const quota = { limit, window: '30d', algorithm: 'fixed-window', maxKeys: 1000 };
  const limiter = new RateLimiter('demo', { ...quota, scope: { shared: directory } });
  const told = openSync(`${directory}/told-${process.pid}-${threadId}`, 'a');
  for (let refusals = 0, units = 0; refusals < REFUSALS; ) {
    if (!limiter.tryConsume('client')) {
      refusals += 1;
      continue;
    }
    writeSync(told, '1');
    refusals = 0;
    units += 1;
    if (units === atFirst) untilReplaced();
  }
}

/** Leaves units for the process that replaces the one that was killed. */
function untilReplaced() {
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  while (!existsSync(`${directory}/replaced`)) Atomics.wait(nothing, 0, 0, 5);
}
