'use strict';

// Loads the package several times in one thread, as test runners that reset modules do, and prints the results.

const { once } = require('node:events');
const { isMainThread, Worker } = require('node:worker_threads');

const LOADS = 20;

function loadFresh() {
  for (const file of Object.keys(require.cache)) {
    if (file !== __filename) delete require.cache[file];
  }
  return require('../..');
}

function errorOf(call) {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

async function main() {
  const [first, second] = [loadFresh(), loadFresh()];
  const limiters = [first, second, loadFresh()].map(
    ({ RateLimiter }) => new RateLimiter('loads', { limit: 2, window: '1h' }),
  );
  const admitted = limiters.map((limiter) => limiter.tryConsume('client'));

  const trackers = [first, second].map(({ ConnectionTracker }) => new ConnectionTracker('loads', {}));
  for (const tracker of trackers) tracker.tryOpen('192.0.2.1');
  const { count } = trackers[0];

  let changes = 0;
  for (const { Registry } of [first, second]) new Registry('loads').on('change', () => changes++);
  new first.Registry('loads').set('key', 1);
  for (let turn = 0; turn < 100 && changes < 2; turn++) await new Promise(setImmediate);

  const error = errorOf(() => limiters[1].tryConsume(''));
  const errors = {
    ownCode: error.code,
    isOwn: error instanceof second.SluiceError,
    isOther: error instanceof first.SluiceError,
    perLoad: 0,
  };
  for (let load = 0; load < LOADS; load++) {
    const { Registry, SluiceError } = loadFresh();
    if (errorOf(() => new Registry('loads').get('')) instanceof SluiceError) errors.perLoad++;
  }

  const worker = new Worker(__filename);
  await once(worker, 'exit');
  const { count: left, opened, perThread } = trackers[1].stats();
  const afterWorker = { count: left, opened, perThread };
  console.log(JSON.stringify({ admitted, count, changes, errors, afterWorker }));
}

/** Each load in this thread opens two connections. All must close when the thread ends. */
function holdInEachLoad() {
  for (let load = 0; load < LOADS; load++) {
    const { ConnectionTracker } = loadFresh();
    for (const client of ['192.0.2.1', '192.0.2.2']) new ConnectionTracker('loads').tryOpen(client);
  }
}

if (isMainThread) main();
else holdInEachLoad();
