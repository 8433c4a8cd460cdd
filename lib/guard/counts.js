'use strict';

const { GUARD_COUNTERS } = require('../runtime/layouts');
const { handlesOf, native } = require('../runtime/native');
const { warnOnce } = require('./warn-once');

const collected = handlesOf(native.releaseGuard);

/** The counts that all threads of one guard share. They are opened before the first request comes. */
class Counts {
  /** The guard's, for calls that count on their way. */
  handle;
  /** Limiters that were made before the guard was. */
  #limiters = [];

  open(handle) {
    this.handle = handle;
    collected.register(this, handle);
    for (const name of this.#limiters) native.addGuardLimiter(handle, name);
  }

  /** One more limiter whose numbers belong to the guard's, in all threads. */
  uses(limiter) {
    if (this.handle === undefined) this.#limiters.push(limiter);
    else native.addGuardLimiter(this.handle, limiter);
  }

  allowed() {
    native.countForGuard(this.handle, GUARD_COUNTERS.allowed);
  }

  count(counter) {
    native.countForGuard(this.handle, GUARD_COUNTERS[counter]);
  }

  /** An error of ours that kept something from being decided. Answers null: it goes on without. */
  fault(error) {
    this.count('faults');
    warnOnce(
      'SLUICE_GUARD_FAULT',
      `A guard let a request pass after a fault of its own: ${error?.message}`,
      error?.stack,
    );
    return null;
  }

  all() {
    const counts = native.guardCounts(this.handle);
    return Object.fromEntries(
      Object.entries(GUARD_COUNTERS).map(([counter, code]) => [counter, counts[code]]),
    );
  }
}

module.exports = { Counts };
