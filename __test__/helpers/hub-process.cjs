'use strict';

// A process with a pending ClientHub call. Prints the outcome. Used by client-hub/threads.test.mjs.

const { isMainThread, Worker, workerData } = require('node:worker_threads');
const { ClientHub } = require('../..');

const hub = new ClientHub('hub');
const never = () => new Promise(() => {});
const report = (promise) => promise.then(console.log, (error) => console.log(error.code ?? error.message));

const WAYS = {
  kept() {
    return report(hub.getOrInit('key', async () => 'kept', { ttl: '1h' }));
  },
  async refreshing() {
    const times = { ttl: 1, staleWhileRevalidate: '1h' };
    await hub.getOrInit('key', () => 'stale', times);
    setTimeout(() => report(hub.getOrInit('key', never, times)), 5);
  },
  aborted() {
    const controller = new AbortController();
    report(hub.getOrInit('key', never, { signal: controller.signal }));
    setTimeout(() => controller.abort(new Error('aborted')), 5);
  },
  overdue() {
    return report(hub.getOrInit('key', never, { timeout: 50 }));
  },
  /** The other thread is unreferenced once it has started: only the pending call keeps this process alive. */
  waiting() {
    const started = new Int32Array(new SharedArrayBuffer(4));
    new Worker(__filename, { workerData: started }).unref();
    const poll = setInterval(() => {
      if (Atomics.load(started, 0) === 0) return;
      clearInterval(poll);
      report(hub.getOrInit('key', () => 'made here'));
    }, 1);
  },
};

if (isMainThread) WAYS[process.argv[2]]();
else {
  hub.getOrInit('key', () => {
    Atomics.store(workerData, 0, 1);
    return new Promise((resolve) => setTimeout(() => resolve('made by the other'), 200));
  });
}
