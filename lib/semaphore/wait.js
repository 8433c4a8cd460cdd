'use strict';

const { addAbortListener, removeAbortListener } = require('../runtime/abort-listeners');
const { keepAlive, letGo } = require('../runtime/native');
const { permitOf } = require('./permit');

/** A call that waits in the line of a key. It settles once, and keeps its thread alive until then. */
class Wait {
  // Fields of the list of deadlines.
  tick = undefined;
  previous = undefined;
  next = undefined;

  /** `{ key, permits, timeout, signal }`. */
  request;
  promise;
  /** Its number, and the halves of it. */
  id = 0;
  idHigh = 0;
  idLow = 0;
  /** The halves of the serial that its permits will have. */
  serialHigh = 0;
  serialLow = 0;

  #semaphore;
  #resolve;
  #reject;
  #onAbort;
  #keepsAlive = false;

  constructor(semaphore, request) {
    this.#semaphore = semaphore;
    this.request = request;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** False where the stack overflowed while the promise was made, which has then rejected. */
  get canSettle() {
    return this.#reject !== undefined;
  }

  /** The call is in the line. */
  begin() {
    keepAlive();
    this.#keepsAlive = true;
    const { signal } = this.request;
    if (signal === undefined) return;
    this.#onAbort = () => this.#semaphore.abort(this);
    addAbortListener(signal, this.#onAbort);
  }

  /** The permits are the call's. */
  grant() {
    this.succeed(permitOf(this.#semaphore, this.request, this.serialHigh, this.serialLow));
  }

  succeed(permit) {
    this.end();
    this.#resolve(permit);
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
    if (this.#onAbort !== undefined) removeAbortListener(this.request.signal, this.#onAbort);
    this.#onAbort = undefined;
    if (this.#keepsAlive) letGo();
    this.#keepsAlive = false;
  }
}

module.exports = { Wait };
