'use strict';

// Loads sluice several times in one thread, as a test runner that resets modules does, and prints what came of it.

const { once } = require('node:events');
const { isMainThread, Worker } = require('node:worker_threads');

const LOADS = 20;

function loadAnew() {
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
  const [first, second] = [loadAnew(), loadAnew()];
  const limiters = [first, second, loadAnew()].map(
    ({ RateLimiter }) => new RateLimiter('loads', { limit: 2, window: '1h' }),
  );
  const admitted = limiters.map((limiter) => limiter.tryConsume('client'));

  const trackers = [first, second].map(({ ConnectionTracker }) => new ConnectionTracker('loads', {}));
  for (const tracker of trackers) tracker.tryOpen('192.0.2.1');
  const { count } = trackers[0];

  let told = 0;
  for (const { Registry } of [first, second]) new Registry('loads').on('change', () => told++);
  new first.Registry('loads').set('key', 1);
  for (let turn = 0; turn < 100 && told < 2; turn++) await new Promise(setImmediate);

  const error = errorOf(() => limiters[1].tryConsume(''));
  const errors = {
    ownCode: error.code,
    isOwn: error instanceof second.SluiceError,
    isOther: error instanceof first.SluiceError,
    perLoad: 0,
  };
  for (let load = 0; load < LOADS; load++) {
    const { Registry, SluiceError } = loadAnew();
    if (errorOf(() => new Registry('loads').get('')) instanceof SluiceError) errors.perLoad++;
  }

  const worker = new Worker(__filename);
  await once(worker, 'exit');
  const { count: left, opened, perThread } = trackers[1].stats();
  const afterWorker = { count: left, opened, perThread };
  console.log(JSON.stringify({ admitted, count, told, errors, afterWorker }));
}

/** Each load of the thread opens two; its one hook closes them all. */
function holdInEachLoad() {
  for (let load = 0; load < LOADS; load++) {
    const { ConnectionTracker } = loadAnew();
    for (const client of ['192.0.2.1', '192.0.2.2']) new ConnectionTracker('loads').tryOpen(client);
  }
}

if (isMainThread) main();
else holdInEachLoad();
