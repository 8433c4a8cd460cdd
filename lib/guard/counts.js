'use strict';

const { GUARD_COUNTERS } = require('../runtime/layouts');
const { handlesOf, native } = require('../runtime/native');
const { CHANNELS, publish } = require('../observation/channels');
const { warnOnce } = require('./warn-once');

const collected = handlesOf(native.releaseGuard);

/** The counters that all threads of a guard share. They are opened before the first request. */
class Counts {
  /** The guard's handle; native calls that count take it. */
  handle;
  /** The guard's name. */
  #guard;
  /** Names of limiters that were created before the guard. */
  #limiters = [];

  open(handle, guard) {
    this.handle = handle;
    this.#guard = guard;
    collected.register(this, handle);
    for (const name of this.#limiters) native.addGuardLimiter(handle, name);
  }

  /** Adds a limiter to those of the guard, in all threads. */
  uses(limiter) {
    if (this.handle === undefined) this.#limiters.push(limiter);
    else native.addGuardLimiter(this.handle, limiter);
  }

  allowed() {
    native.countForGuard(this.handle, GUARD_COUNTERS.allowed);
  }

  /** `client` is that of a refusal, for the ranking of refused ones. */
  count(counter, client) {
    native.countForGuard(this.handle, GUARD_COUNTERS[counter], client);
  }

  /** Publishes a refusal, which was counted. `dryRun`: the request passes nevertheless. */
  publish({ reason, status, retryAfterMs }, client, dryRun) {
    const { refusal } = CHANNELS.guard;
    if (!refusal.hasSubscribers) return;
    refusal.publish({ guard: this.#guard, reason, status, retryAfterMs, client, dryRun });
  }

  /** Counts an internal error, and warns of the first. Returns null: the request passes undecided. */
  fault(error) {
    this.count('faults');
    publish(CHANNELS.guard.fault, () => ({ guard: this.#guard, error }));
    warnOnce(
      'SLUICE_GUARD_FAULT',
      `A guard let a request pass after an internal error: ${error?.message}`,
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
