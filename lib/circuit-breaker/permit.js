'use strict';

const { outcomeOf, report } = require('./call-outcome');
const { invalidOption } = require('../runtime/errors');
const { native } = require('../runtime/native');

/**
 * Permission for one call. Only its first report counts, and only in the state of the circuit in which it was acquired.
 * The place of a trial is free after the report, after `release`, when the lease expires, or when the thread ends.
 */
class Permit {
  /** Shared with the breaker: see `CircuitBreaker`. */
  #source;
  /** 0 after a report or `release`. */
  #ticket;
  #startedAt;

  constructor(source, ticket, startedAt) {
    this.#source = source;
    this.#ticket = ticket;
    this.#startedAt = startedAt;
  }

  success(durationMs) {
    if (durationMs === undefined) {
      native.permitSuccess(this.#source.handle, this.#take(), this.#startedAt);
      return;
    }
    if (typeof durationMs !== 'number' || !(durationMs >= 0 && durationMs < Infinity)) {
      throw invalidOption('Permit success durationMs', durationMs, 'milliseconds as a number from 0');
    }
    native.permitSuccessAfter(this.#source.handle, this.#take(), durationMs);
  }

  failure(error) {
    const outcome = error === undefined ? 'failure' : outcomeOf(this.#source, error);
    report(this.#source, this.#take(), this.#startedAt, outcome);
  }

  release() {
    native.releasePermit(this.#source.handle, this.#take());
  }

  [Symbol.dispose]() {
    this.release();
  }

  /** The ticket, once; then 0, whose reports are ignored. */
  #take() {
    const ticket = this.#ticket;
    this.#ticket = 0;
    return ticket;
  }
}

module.exports = { Permit };
