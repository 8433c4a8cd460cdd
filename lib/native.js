'use strict';

const { threadId } = require('node:worker_threads');
const { SluiceError } = require('./errors');
const { loadBinding } = require('./load-binding');

const native = loadBinding();

/** Numbers that pass beside the arguments of native calls and their results; read before the next call. */
const numbers = new Float64Array(21);

/**
 * The versions of this thread's registries, by handle, as they are now: other threads write them. Empty where the
 * runtime has no such memory.
 */
const versions = new Int32Array(native.versionCells() ?? 0);

/** What this thread is told by others: subscription number to handler. */
const handlers = new Map();
let nextSubscription = 1;

/** Called whenever the bell rings, before what the mailbox holds is told. */
const onRing = new Set();

const isFirstLoad = native.attachThread(deliver, numbers, SluiceError, threadId) === 1;
if (isFirstLoad) reapWorkersThatSkipTheirHook();
warnOfOtherCopies();

/** Runs `handler(delivery)` for what is left under the returned number. */
function subscribe(handler) {
  const subscription = nextSubscription++;
  handlers.set(subscription, handler);
  return subscription;
}

function unsubscribe(subscription) {
  handlers.delete(subscription);
}

/** The bell rang. */
function deliver() {
  for (const look of onRing) look();
  for (const delivery of native.takeDeliveries()) {
    runSafely(handlers.get(delivery.subscription), delivery);
  }
}

/** A handler that throws must not keep the others from what they were told. */
function runSafely(handler, delivery) {
  try {
    handler?.(delivery);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/** Reasons why this thread goes on though nothing but the bell could wake it: calls and listeners that wait. */
let reasons = 0;

/** One reason more. Each is taken back by `letGo`. */
function keepAlive() {
  reasons += 1;
  if (reasons === 1) native.keepThreadAlive(1);
}

function letGo() {
  reasons -= 1;
  if (reasons === 0) native.keepThreadAlive(0);
}

/**
 * A thread's own hook gives back what it held. Where a runtime skips the hook of a terminated worker
 * (Deno does), the thread that started it sees its end; elsewhere there is nothing left to do then.
 */
function reapWorkersThatSkipTheirHook() {
  process.on('worker', (worker) => {
    const { threadId: workerId } = worker;
    worker.once('exit', () => native.reapThread(workerId));
  });
}

function warnOfOtherCopies() {
  const copies = native.otherCopiesOnce();
  if (copies.length === 0) return;
  process.emitWarning(`several copies are loaded and share nothing: ${copies.join(', ')}`, {
    type: 'SluiceWarning',
    code: 'SLUICE_SEVERAL_COPIES',
    detail: 'Make all dependants resolve one version of sluice, for example with "npm dedupe".',
  });
}

module.exports = {
  handlers,
  keepAlive,
  letGo,
  native,
  numbers,
  onRing,
  subscribe,
  unsubscribe,
  versions,
};
