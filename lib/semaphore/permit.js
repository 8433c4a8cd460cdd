'use strict';

const { ADMITTED, REFUSED, SEMAPHORE_ANSWER, SEMAPHORE_CALL } = require('../runtime/layouts');
const { integers, native, noAnswer } = require('../runtime/native');

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
  /** The two halves of their serial. */
  #high = 0;
  #low = 0;

  static {
    fill = (permit, high, low) => {
      permit.#high = high;
      permit.#low = low;
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
    semaphore.giveBack(this.#key, this.#permits, this.#high, this.#low);
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
    permit.#high = integers[SERIAL_HIGH];
    permit.#low = integers[SERIAL_LOW];
    return permit;
  }
}

/** The object of permits that a thread holds under a serial, of which these are the halves. */
function permitOf(semaphore, { key, permits }, high, low) {
  const permit = new SemaphorePermit(semaphore, key, permits);
  fill(permit, high, low);
  return permit;
}

module.exports = { SemaphorePermit, permitOf };
