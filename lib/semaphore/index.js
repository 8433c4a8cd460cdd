'use strict';

const { throwIfAborted } = require('../runtime/abort-listeners');
const { native } = require('../runtime/native');
const { checkName, func } = require('../runtime/schema');
const { creationOptions, replacementOptions, takeOptions, waitOptions } = require('./options');
const { SemaphorePermit } = require('./permit');
const { kTryHold } = require('./symbols');
const { ThreadSemaphore } = require('./thread-semaphore');

class Semaphore {
  #semaphore;

  constructor(name, options) {
    checkName('Semaphore', name);
    const checked = options === undefined ? undefined : creationOptions(options);
    this.#semaphore = ThreadSemaphore.open(name, options, checked);
  }

  static destroy(name) {
    checkName('Semaphore', name);
    return native.destroySemaphore(name);
  }

  get name() {
    return this.#semaphore.name;
  }

  /** Rejects for invalid arguments too; never throws. */
  acquire(options) {
    try {
      const permit = this.#begin(waitOptions('Semaphore acquire', options));
      return permit instanceof SemaphorePermit ? Promise.resolve(permit) : permit;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  tryAcquire(options) {
    const { key, permits } = takeOptions('Semaphore tryAcquire', options);
    return this.#semaphore.tryTake(key, permits, true);
  }

  /** Rejects for invalid arguments too; never throws. */
  run(fn, options) {
    try {
      func(fn, 'Semaphore run function');
      const request = waitOptions('Semaphore run', options);
      const permit = this.#begin(request);
      if (permit instanceof SemaphorePermit) return runWith(permit, fn, request.signal);
      return permit.then((granted) => runWith(granted, fn, request.signal));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  reconfigure(options) {
    native.reconfigureSemaphore(this.#semaphore.handle, replacementOptions(options));
  }

  stats() {
    return native.semaphoreStats(this.#semaphore.handle);
  }

  /** A permit, where no more than `share` thousandths of all are held afterwards; else null. */
  [kTryHold](key, share) {
    return this.#semaphore.tryTake(key, 1, true, share);
  }

  /** The permit, or a promise for it. */
  #begin(request) {
    const { key, permits, signal } = request;
    if (signal !== undefined) throwIfAborted(signal);
    // A call that waits makes the next one wait as well, in most cases.
    const permit = this.#semaphore.hasWaits ? null : this.#semaphore.tryTake(key, permits, false);
    return permit ?? this.#semaphore.wait(request);
  }
}

/** Calls `fn` and releases the permit once its promise has settled. */
async function runWith(permit, fn, signal) {
  try {
    // A signal costs more than the rest of the call.
    return await (signal === undefined && fn.length === 0
      ? fn()
      : fn(signal ?? new AbortController().signal));
  } finally {
    permit.release();
  }
}

module.exports = { Semaphore };
