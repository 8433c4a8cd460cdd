'use strict';

const { setMaxListeners } = require('node:events');

/** An AbortSignal that is made when it is first asked for. `refresh` aborts it once it is cancelled. */
class LazySignal {
  #isCancelled;
  #reasonOf;
  #controller;

  constructor(isCancelled, reasonOf) {
    this.#isCancelled = isCancelled;
    this.#reasonOf = reasonOf;
  }

  get signal() {
    // Called each time: it throws once the lifecycle was destroyed.
    const isCancelled = this.#isCancelled();
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      // One signal for all work of a thread: many listeners are no leak.
      setMaxListeners(0, this.#controller.signal);
      if (isCancelled) this.#controller.abort(this.#reasonOf());
    }
    return this.#controller.signal;
  }

  get isCancelled() {
    return this.#isCancelled();
  }

  /** The reason with which it aborts, whether or not it has. */
  get reason() {
    return this.#controller?.signal.reason ?? this.#reasonOf();
  }

  /** Replaces a signal that has aborted with a new one. */
  renew() {
    if (this.#controller?.signal.aborted) this.#controller = undefined;
  }

  /** Aborts the signal if it is cancelled. */
  refresh() {
    if (this.#controller === undefined || this.#controller.signal.aborted) return;
    if (this.#isCancelled()) this.#controller.abort(this.#reasonOf());
  }
}

module.exports = { LazySignal };
