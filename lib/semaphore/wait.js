'use strict';

const { addAbortListener, removeAbortListener } = require('../runtime/abort-listeners');
const { permitOf } = require('./permit');

/** A call that waits in the line of a key. It settles once. Small, as thousands may wait. */
class Wait {
  // Fields of the list of deadlines.
  tick = undefined;
  previous = undefined;
  next = undefined;

  /** `{ key, permits, timeout, signal }`. */
  request;
  /** Whether its promise resolves with the serial: a promise resolves with a number in less time than with an object. */
  #wantsSerial;
  /** Its number, and the serial that its permits will have. */
  id = 0;
  serial = 0;

  #semaphore;
  #resolve;
  #reject;
  #onAbort = undefined;

  constructor(semaphore, request, wantsSerial, resolve, reject) {
    this.#semaphore = semaphore;
    this.#wantsSerial = wantsSerial;
    this.request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Ends with the caller's signal from now on. */
  followSignal() {
    this.#onAbort = () => this.#semaphore.abort(this);
    addAbortListener(this.request.signal, this.#onAbort);
  }

  /** The permits are the call's. */
  grant() {
    const { serial } = this;
    const granted = this.#wantsSerial ? serial : permitOf(this.#semaphore, this.request, serial);
    this.end();
    this.#resolve(granted);
  }

  fail(error) {
    this.end();
    this.#reject(error);
  }

  /** Its time is over. Called by the list of deadlines. */
  expire() {
    this.#semaphore.expire(this);
  }

  end() {
    this.#semaphore.remove(this);
    if (this.#onAbort === undefined) return;
    removeAbortListener(this.request.signal, this.#onAbort);
    this.#onAbort = undefined;
  }
}

module.exports = { Wait };
