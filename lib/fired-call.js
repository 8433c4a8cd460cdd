'use strict';

const { SluiceError } = require('./errors');
const { native } = require('./native');
const { reportError } = require('./permit');

/** A call under way: it settles once, by its result, its error or its deadline, and reports what came of it. */
class FiredCall {
  // Those of the queue of deadlines.
  due = 0;
  previous = undefined;
  next = undefined;

  #source;
  #ticket;
  #startedAt;
  #peer;
  #resolve;
  #reject;
  #isSettled = false;
  /** Aborts the call's own signal, where it has one. */
  #abort;

  constructor(source, peer, ticket, startedAt, resolve, reject) {
    this.#source = source;
    this.#peer = peer;
    this.#ticket = ticket;
    this.#startedAt = startedAt;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Making a signal costs more than all the rest, so a function that declares no parameter gets none. */
  run(fn) {
    let result;
    try {
      result = fn.length === 0 ? fn() : fn(this.#makeSignal());
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (typeof result?.then !== 'function') {
      this.#succeed(result);
      return;
    }
    this.#source.deadlines?.add(this, this.#startedAt);
    const promise = result instanceof Promise ? result : Promise.resolve(result);
    promise.then(
      (value) => this.#succeed(value),
      (error) => this.#fail(error),
    );
  }

  /** It takes too long. The signal has aborted when the caller hears of it. */
  expire() {
    this.#isSettled = true;
    const { handle, name, timeoutMs } = this.#source;
    native.permitFailure(handle, this.#ticket, this.#startedAt);
    const peer = JSON.stringify(this.#peer);
    const message = `CircuitBreaker "${name}": the call to ${peer} took longer than ${timeoutMs} ms`;
    const error = new SluiceError('TIMEOUT', message);
    this.#abort?.(error);
    this.#reject(error);
  }

  /** It aborts by way of a promise made here: listeners run in the context of the call, not in that of the timer. */
  #makeSignal() {
    const controller = new AbortController();
    if (this.#source.deadlines !== undefined) {
      const timedOut = new Promise((resolve) => {
        this.#abort = resolve;
      });
      timedOut.then((error) => controller.abort(error));
    }
    return controller.signal;
  }

  #succeed(value) {
    if (!this.#settle()) return;
    native.permitSuccess(this.#source.handle, this.#ticket, this.#startedAt);
    this.#resolve(value);
  }

  #fail(error) {
    if (!this.#settle()) return;
    const { handle, errorFilter } = this.#source;
    if (errorFilter === undefined) {
      native.permitFailure(handle, this.#ticket, this.#startedAt);
      this.#reject(error);
      return;
    }
    try {
      reportError(handle, this.#ticket, this.#startedAt, errorFilter, error);
    } catch (ofFilter) {
      this.#reject(ofFilter);
      return;
    }
    this.#reject(error);
  }

  /** False when it is too late. */
  #settle() {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    if (this.due !== 0) this.#source.deadlines.remove(this);
    return true;
  }
}

module.exports = { FiredCall };
