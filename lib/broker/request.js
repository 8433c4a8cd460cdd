'use strict';

const { SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');

/** What a handler gets beside the payload. Its signal is made on first use: it costs more than the rest of a call. */
class Request {
  /** The id of the caller. */
  from;
  /** The request's number, unique in this broker. */
  id;
  #due;
  #controller;
  #reason;

  constructor(from, id, due) {
    this.from = from;
    this.id = id;
    this.#due = due;
  }

  /** UTC milliseconds at which the call times out. */
  get deadline() {
    return native.utcOfElapsed(this.#due);
  }

  /** Aborts when the answer is no longer awaited: deadline, abort, the end of either peer. */
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

/** The reasons of a handler's signal, in the order of `CANCELLED`. */
const REASONS = [
  () => new DOMException('The caller has aborted the call', 'AbortError'),
  () => new SluiceError('TIMEOUT', 'The caller has waited as long as it meant to'),
  () => new SluiceError('CLOSED', 'The caller has left its broker'),
];

function reasonOf(cancelled) {
  return REASONS[cancelled]();
}

module.exports = { Request, reasonOf };
