// A process whose threads take units of one key until there are none. Each thread adds a byte to a file of its own for each
// unit, so that what callers were told is known also of a process that was killed.
'use strict';

const { openSync, writeSync } = require('node:fs');
const { Worker, isMainThread, threadId, workerData } = require('node:worker_threads');
const { RateLimiter } = require('../../index.js');

/** As many refusals in a row say that the quota is used up. */
const REFUSALS = 200;

if (isMainThread) startThreads(JSON.parse(process.argv[2]));
else take(workerData);

function startThreads(task) {
  for (let thread = 0; thread < task.threads; thread++) {
    new Worker(__filename, { workerData: task });
  }
}

function take({ name, options, told }) {
  const limiter = new RateLimiter(name, options);
  const file = openSync(`${told}/${process.pid}-${threadId}`, 'a');
  for (let refusals = 0; refusals < REFUSALS; ) {
    if (limiter.tryConsume('client')) {
      writeSync(file, '1');
      refusals = 0;
    } else {
      refusals += 1;
    }
  }
}
