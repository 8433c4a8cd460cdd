'use strict';

const { outcomeOf, report } = require('./call-outcome');
const { invalidOption } = require('../runtime/errors');
const { native } = require('../runtime/native');

/**
 * Leave for one call. What is reported first counts, and only in the state of the circuit in which it was given; a
 * trial's place comes back with the report, with `release`, when its lease ends, or with its thread.
 */
class Permit {
  /** `{ breaker, name, handle, errorFilter }`; the breaker, so that its handle stays in use. */
  #source;
  /** 0 once it was reported or released. */
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

  /** The ticket, once; then that of nobody, whose reports reach nobody. */
  #take() {
    const ticket = this.#ticket;
    this.#ticket = 0;
    return ticket;
  }
}

module.exports = { Permit };
