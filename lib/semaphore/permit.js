'use strict';

const { ADMITTED, REFUSED, SEMAPHORE_ANSWER, SEMAPHORE_CALL } = require('../runtime/layouts');
const { integers, native, noAnswer } = require('../runtime/native');
const { numberOf } = require('./numbers');

const { SHARE, IS_FINAL } = SEMAPHORE_CALL;
const { ANSWER, SERIAL_HIGH, SERIAL_LOW } = SEMAPHORE_ANSWER;
const { tryAcquirePermits } = native;

let fill;

/** Permits that are held until they are released, or until their thread ends. */
class SemaphorePermit {
  /** null once they are released. */
  #semaphore;
  #key;
  #permits;
  #serial = 0;

  static {
    fill = (permit, serial) => {
      permit.#serial = serial;
    };
  }

  constructor(semaphore, key, permits) {
    this.#semaphore = semaphore;
    this.#key = key;
    this.#permits = permits;
  }

  release() {
    const semaphore = this.#semaphore;
    if (semaphore === null) return;
    // Where this throws, as the stack overflows, nothing was returned.
    semaphore.giveBack(this.#key, this.#permits, this.#serial);
    this.#semaphore = null;
    if (semaphore.served !== undefined) semaphore.settleServed();
  }

  [Symbol.dispose]() {
    this.release();
  }

  /** See `ThreadSemaphore.tryTake`. */
  static tryTake(semaphore, key, permits, isFinal, share) {
    // Made before: where the stack overflows, nothing is taken that no object stands for.
    const permit = new SemaphorePermit(semaphore, key, permits);
    semaphore.leave(key, permits);
    integers[SHARE] = share;
    integers[IS_FINAL] = isFinal ? 1 : 0;
    tryAcquirePermits(key);
    const answer = integers[ANSWER];
    if (answer !== ADMITTED) return answer === REFUSED ? null : noAnswer();
    permit.#serial = numberOf(integers[SERIAL_HIGH], integers[SERIAL_LOW]);
    return permit;
  }
}

/** The object of permits that a thread holds under a serial. */
function permitOf(semaphore, { key, permits }, serial) {
  const permit = new SemaphorePermit(semaphore, key, permits);
  fill(permit, serial);
  return permit;
}

module.exports = { SemaphorePermit, permitOf };
