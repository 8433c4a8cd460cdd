'use strict';

const { SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');

/**
 * What a handler is told of a request beside its payload. A signal costs more than all the rest of a call, so it is made when it
 * is asked for.
 */
class Request {
  /** The id of the peer that asks. */
  from;
  /** The request's number, which no other request of this broker has. */
  id;
  #due;
  #controller;
  #reason;

  constructor(from, id, due) {
    this.from = from;
    this.id = id;
    this.#due = due;
  }

  /** UTC milliseconds after which nobody waits for the answer. */
  get deadline() {
    return native.utcOfElapsed(this.#due);
  }

  /** Aborts when nobody waits for the answer any more: deadline, abort, the end of either peer. */
  get signal() {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  cancel(reason) {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/** The reasons of a handler's signal. */
const REASONS = [
  () => new DOMException('The caller has aborted the call', 'AbortError'),
  () => new SluiceError('TIMEOUT', 'The caller has waited as long as it meant to'),
  () => new SluiceError('CLOSED', 'The caller has left its broker'),
];

/** By the number of `CANCELLED`. */
function reasonOf(cancelled) {
  return REASONS[cancelled]();
}

module.exports = { Request, reasonOf };
