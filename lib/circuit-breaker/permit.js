'use strict';

const { outcomeOf, reportLeft } = require('./call-outcome');
const { invalidOption } = require('../runtime/errors');
const { PERMIT_CALL } = require('../runtime/layouts');
const { integers, native } = require('../runtime/native');

const { HANDLE, TICKET_HIGH, TICKET_LOW, STARTED_HIGH, STARTED_LOW } = PERMIT_CALL;
const { permitSuccess, permitSuccessAfter, releasePermit } = native;

/**
 * Permission for one call. Only its first report counts, and only in the state of the circuit in which it was acquired.
 * The place of a trial is free after the report, after `release`, when the lease expires, or when the thread ends.
 */
class Permit {
  /** Shared with the breaker: see `CircuitBreaker`. */
  #source;
  /** Both halves of the ticket are 0 after a report or `release`. */
  #ticketHigh;
  #ticketLow;
  #startedHigh;
  #startedLow;

  constructor(source, ticketHigh, ticketLow, startedHigh, startedLow) {
    this.#source = source;
    this.#ticketHigh = ticketHigh;
    this.#ticketLow = ticketLow;
    this.#startedHigh = startedHigh;
    this.#startedLow = startedLow;
  }

  success(durationMs) {
    if (durationMs === undefined) {
      this.#leave();
      permitSuccess();
      return;
    }
    if (typeof durationMs !== 'number' || !(durationMs >= 0 && durationMs < Infinity)) {
      throw invalidOption('Permit success durationMs', durationMs, 'milliseconds as a number from 0');
    }
    this.#leave();
    permitSuccessAfter(durationMs);
  }

  failure(error) {
    const outcome = error === undefined ? 'failure' : outcomeOf(this.#source, error);
    this.#leave();
    reportLeft(outcome);
  }

  release() {
    this.#leave();
    releasePermit();
  }

  [Symbol.dispose]() {
    this.release();
  }

  /** Leaves the permit for a native call. The ticket once; then 0, whose reports are ignored. */
  #leave() {
    integers[HANDLE] = this.#source.handle;
    integers[TICKET_HIGH] = this.#ticketHigh;
    integers[TICKET_LOW] = this.#ticketLow;
    integers[STARTED_HIGH] = this.#startedHigh;
    integers[STARTED_LOW] = this.#startedLow;
    this.#ticketHigh = 0;
    this.#ticketLow = 0;
  }
}

module.exports = { Permit };
