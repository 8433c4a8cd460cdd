'use strict';

const { throwIfAborted } = require('../runtime/abort-listeners');
const { native } = require('../runtime/native');
const { checkName, func } = require('../runtime/schema');
const { openSemaphore } = require('./opened');
const { creationOptions, replacementOptions, takeOptions, waitOptions } = require('./options');
const { kCheckOpen, kTryHold } = require('./symbols');

class Semaphore {
  #semaphore;

  constructor(name, options) {
    checkName('Semaphore', name);
    const checked = options === undefined ? undefined : creationOptions(options);
    this.#semaphore = openSemaphore(name, options, checked);
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
      const request = waitOptions('Semaphore acquire', options);
      const permit = this.#tryTake(request);
      return permit === null ? this.#semaphore.wait(request, false) : Promise.resolve(permit);
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
      const permit = this.#tryTake(request);
      if (permit !== null) return runWith(permit, fn, request.signal);
      return runLater(this.#semaphore, request, fn);
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

  /** Throws once the semaphore is destroyed. */
  [kCheckOpen]() {
    native.checkSemaphore(this.#semaphore.handle);
  }

  /** A permit, where no more than `share` thousandths of all are held afterwards; else null. */
  [kTryHold](key, share) {
    return this.#semaphore.tryTake(key, 1, true, share);
  }

  /** The permit where it is free; null where the call has to wait. */
  #tryTake(request) {
    const { key, permits, signal } = request;
    if (signal !== undefined) throwIfAborted(signal);
    // A call that waits makes the next one wait as well, in most cases.
    return this.#semaphore.hasWaits ? null : this.#semaphore.tryTake(key, permits, false);
  }
}

/** As `runWith`, once there is a permit. */
async function runLater(semaphore, request, fn) {
  const serial = await semaphore.wait(request, true);
  try {
    return await call(fn, request.signal);
  } finally {
    semaphore.release(request, serial);
  }
}

/** Calls `fn` and releases the permit once its promise has settled. */
async function runWith(permit, fn, signal) {
  try {
    return await call(fn, signal);
  } finally {
    permit.release();
  }
}

/** A signal costs more than the rest of the call, so one is made only for a function that declares a parameter. */
function call(fn, signal) {
  if (signal === undefined && fn.length === 0) return fn();
  return fn(signal ?? new AbortController().signal);
}

module.exports = { Semaphore };
