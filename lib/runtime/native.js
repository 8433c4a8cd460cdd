'use strict';

const { totalmem } = require('node:os');
const { threadId } = require('node:worker_threads');
const { SluiceError } = require('./errors');
const { ADMISSION, ADMITTED, INTEGERS, NUMBERS, REFUSED } = require('./layouts');
const { loadBinding } = require('./load-binding');
const { NONE } = require('./none');
const { warn } = require('./warn');

const native = loadBinding();

/** Numbers that cross beside arguments and results of native calls. Read them before the next call. */
const numbers = new Float64Array(NUMBERS);

/**
 * Integers that cross in the same way, for calls that are made for every request. The first is the handle of an instance
 * before such a call and its answer after it, which is negative: a call that failed leaves none.
 */
const integers = new Int32Array(INTEGERS);

/**
 * The current versions of this thread's registries, by handle. Other threads write them. Empty where the runtime has no
 * such memory.
 */
const versions = new Int32Array(native.versionCells() ?? 0);

const { ANSWER } = ADMISSION;

/** Whether the last quick call was admitted. Throws where it left no answer. */
function isAdmitted() {
  const answer = integers[ANSWER];
  return answer === ADMITTED || (answer !== REFUSED && noAnswer());
}

/** A native call ended without an answer and without an exception: an internal error, and never an admission. */
function noAnswer() {
  throw new Error('sluice: internal fault; please report it with what was called');
}

/** Handlers of deliveries, by subscription. */
const handlers = new Map();
/** The subscriptions that keep this copy in memory by themselves. */
const holding = new Set();
let nextSubscription = 1;

/**
 * Subscription 0 of every thread, for the whole process. `clock`: a test moved the clock; `reset`: a test emptied every
 * instance; `options`: an instance has other options; `measured`: something is measured that was not before;
 * `differences`: another process of the fleet has other options.
 */
const ofProcess = { __proto__: null, clock: [], reset: [], options: [], measured: [], differences: [] };
handlers.set(0, ({ kind }) => notifyProcess(kind));

/** Resets that this thread has followed. */
let resets = 0;

/** Called on each wake, before the mailbox is read. */
const onWake = new Set();

resets = native.resets();
// Native code holds these weakly. A copy that nothing uses is collected, as when a test runner reloads modules. What uses
// the copy keeps the native module, and with it these.
native.usedByNativeCode = { deliver, SluiceError };

const isFirstLoad =
  native.attachThread(deliver, numbers, integers, SluiceError, threadId, availableMemory()) === 1;
if (isFirstLoad) reapWorkersThatSkipTheirHook();
warnOfOtherCopies();
inspectIfAsked();

/** Bytes that this process can use: the machine's, or what its control group leaves it where that is less. */
function availableMemory() {
  const constrained = process.constrainedMemory?.() || Number.POSITIVE_INFINITY;
  return Math.min(totalmem(), constrained);
}

/**
 * Runs `handler(delivery)` for each delivery of the returned subscription. With `holds`, the subscription keeps this copy
 * in memory until `unsubscribe`.
 */
function subscribe(handler, { holds = true } = NONE) {
  const subscription = nextSubscription++;
  handlers.set(subscription, handler);
  if (holds) hold(subscription);
  return subscription;
}

function unsubscribe(subscription) {
  handlers.delete(subscription);
  letCollect(subscription);
}

/** Calls `poll` on each wake, until `stopPolling`. */
function pollOnWake(poll) {
  onWake.add(poll);
  hold(poll);
}

function stopPolling(poll) {
  onWake.delete(poll);
  letCollect(poll);
}

function hold(reason) {
  holding.add(reason);
  if (holding.size === 1) native.keepCopy(1);
}

function letCollect(reason) {
  if (holding.delete(reason) && holding.size === 0) native.keepCopy(0);
}

/**
 * A registry that calls `release(handle)`, a native function, for each registered object that is collected. A handle is
 * free again once its last object in this thread is collected, even together with this copy.
 */
function handlesOf(release) {
  const collected = new FinalizationRegistry(release);
  native.keepForThread(collected);
  return collected;
}

/** Runs `handler()` in this thread on each event of the process; see `ofProcess`. */
function onProcess(kind, handler) {
  ofProcess[kind].push(handler);
}

function notifyProcess(kind) {
  if (kind === 'reset') followReset();
  else for (const handler of ofProcess[kind]) handler();
}

/** Drops what this thread caches of instances that were reset. Once for each reset. */
function followReset() {
  if (resets === native.resets()) return;
  resets = native.resets();
  for (const handler of ofProcess.reset) runSafely(handler);
}

/** The waker calls this. */
function deliver() {
  for (const poll of onWake) poll();
  for (const delivery of native.takeDeliveries()) {
    runSafely(handlers.get(delivery.subscription), delivery);
  }
}

/** A handler that throws must not keep the others from their deliveries. */
function runSafely(handler, delivery) {
  try {
    handler?.(delivery);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/** Reasons to keep this thread alive with nothing but the waker to wake it: pending calls, active listeners. */
let reasons = 0;

/** Adds a reason. Each is removed by `letGo`. */
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
 * A thread's clean-up hook releases what it held. Deno skips the hook of a terminated worker, so the thread that started
 * the worker reports its end. Where the hook has run, nothing is left to do.
 */
function reapWorkersThatSkipTheirHook() {
  process.on('worker', (worker) => {
    const { threadId: workerId } = worker;
    worker.once('exit', () => native.reapThread(workerId));
  });
}

/** `SLUICE_INSPECT=1` makes every process inspectable that loads any part of the package. Once all of it is loaded. */
function inspectIfAsked() {
  if (['', '0', undefined].includes(process.env.SLUICE_INSPECT)) return;
  const inspect = () => require('../inspection/by-environment').inspectByEnvironment();
  setImmediate(inspect).unref?.();
}

function warnOfOtherCopies() {
  const copies = native.otherCopiesOnce();
  if (copies.length === 0) return;
  warn(
    'SLUICE_SEVERAL_COPIES',
    `several copies are loaded and share nothing: ${copies.join(', ')}`,
    'Make all dependants resolve one version of sluice, for example with "npm dedupe".',
  );
}

module.exports = {
  followReset,
  handlesOf,
  integers,
  isAdmitted,
  keepAlive,
  letGo,
  pollOnWake,
  native,
  noAnswer,
  numbers,
  onProcess,
  stopPolling,
  subscribe,
  unsubscribe,
  versions,
};
