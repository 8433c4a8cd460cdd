'use strict';

const { setMaxListeners } = require('node:events');

/** An AbortSignal that is made when somebody asks for it, and aborts when it is told to look. */
class LazySignal {
  #isCancelled;
  #reasonOf;
  #controller;

  constructor(isCancelled, reasonOf) {
    this.#isCancelled = isCancelled;
    this.#reasonOf = reasonOf;
  }

  get signal() {
    // Asked each time, as it throws once the lifecycle was destroyed.
    const isCancelled = this.#isCancelled();
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      // One signal for all that a thread has under way: many listeners are no leak.
      setMaxListeners(0, this.#controller.signal);
      if (isCancelled) this.#controller.abort(this.#reasonOf());
    }
    return this.#controller.signal;
  }

  get isCancelled() {
    return this.#isCancelled();
  }

  /** With what it aborts, whether it has yet or not. */
  get reason() {
    return this.#controller?.signal.reason ?? this.#reasonOf();
  }

  /** Another signal from now on, where this one has aborted. */
  renew() {
    if (this.#controller?.signal.aborted) this.#controller = undefined;
  }

  look() {
    if (this.#controller === undefined || this.#controller.signal.aborted) return;
    if (this.#isCancelled()) this.#controller.abort(this.#reasonOf());
  }
}

module.exports = { LazySignal };
