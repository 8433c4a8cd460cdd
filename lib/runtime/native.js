'use strict';

const { totalmem } = require('node:os');
const { threadId } = require('node:worker_threads');
const { SluiceError } = require('./errors');
const { NUMBERS } = require('./layouts');
const { loadBinding } = require('./load-binding');

const native = loadBinding();

/** Numbers that pass beside the arguments of native calls and their results; read before the next call. */
const numbers = new Float64Array(NUMBERS);

/**
 * The versions of this thread's registries, by handle, as they are now: other threads write them. Empty where the
 * runtime has no such memory.
 */
const versions = new Int32Array(native.versionCells() ?? 0);

/** What this thread is told by others: subscription number to handler. */
const handlers = new Map();
/** The numbers of those that keep this copy in memory though nothing else does. */
const holding = new Set();
let nextSubscription = 1;

/**
 * Subscription 0 of every thread: what concerns the process. `clock`: the test clock was moved; `reset`: everything was
 * reset; `options`: an instance has other options.
 */
const ofProcess = { __proto__: null, clock: [], reset: [], options: [] };
handlers.set(0, ({ kind }) => tellOfProcess(kind));

/** Resets that this thread has followed. */
let resets = 0;

/** Called whenever the bell rings, before what the mailbox holds is told. */
const onWake = new Set();

resets = native.resets();
// Native code holds these weakly, so that a copy that nothing uses is collected, as when a test runner loads modules
// anew. Whatever uses the copy has the native module at hand.
native.usedByNativeCode = { deliver, SluiceError };

const isFirstLoad = native.attachThread(deliver, numbers, SluiceError, threadId, availableMemory()) === 1;
if (isFirstLoad) reapWorkersThatSkipTheirHook();
warnOfOtherCopies();

/** Bytes that this process can use: the machine's, or what its control group leaves it where that is less. */
function availableMemory() {
  const constrained = process.constrainedMemory?.() || Number.POSITIVE_INFINITY;
  return Math.min(totalmem(), constrained);
}

/**
 * Runs `handler(delivery)` for what is left under the returned number. With `holds`, this copy stays in memory until
 * `unsubscribe` though nothing else uses it.
 */
function subscribe(handler, { holds = true } = { __proto__: null }) {
  const subscription = nextSubscription++;
  handlers.set(subscription, handler);
  if (holds) hold(subscription);
  return subscription;
}

function unsubscribe(subscription) {
  handlers.delete(subscription);
  letCollect(subscription);
}

/** Calls `look` whenever the bell rings, until `stopPolling`. */
function pollOnWake(look) {
  onWake.add(look);
  hold(look);
}

function stopPolling(look) {
  onWake.delete(look);
  letCollect(look);
}

function hold(reason) {
  holding.add(reason);
  if (holding.size === 1) native.keepCopy(1);
}

function letCollect(reason) {
  if (holding.delete(reason) && holding.size === 0) native.keepCopy(0);
}

/**
 * Calls `release(handle)`, a native function, once an object that was registered with its handle is collected: a handle
 * is free again when the last object of this thread that stands for it has gone, be it together with this copy.
 */
function handlesOf(release) {
  const collected = new FinalizationRegistry(release);
  native.keepForThread(collected);
  return collected;
}

/** Runs `handler()` in this thread whenever that has happened. */
function onProcess(kind, handler) {
  ofProcess[kind].push(handler);
}

function tellOfProcess(kind) {
  if (kind === 'reset') followReset();
  else for (const handler of ofProcess[kind]) handler();
}

/** What this thread has of instances that were reset is forgotten: once for each reset. */
function followReset() {
  if (resets === native.resets()) return;
  resets = native.resets();
  for (const handler of ofProcess.reset) runSafely(handler);
}

/** The bell rang. */
function deliver() {
  for (const look of onWake) look();
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
  // First: a stack overflow in there must not count as a reason.
  if (reasons === 0) native.keepThreadAlive(1);
  reasons += 1;
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
  followReset,
  handlesOf,
  keepAlive,
  letGo,
  pollOnWake,
  native,
  numbers,
  onProcess,
  stopPolling,
  subscribe,
  unsubscribe,
  versions,
};
