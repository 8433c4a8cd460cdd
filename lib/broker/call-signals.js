'use strict';

/**
 * Calls by the signal that ends them. A signal has one listener here, however many calls wait for it: the server's own
 * signal may stand behind thousands, and Node warns of more than ten listeners.
 */
class CallSignals {
  #bySignal = new Map();
  #onAbort;

  /** `onAbort` is called with each call whose signal aborts. */
  constructor(onAbort) {
    this.#onAbort = onAbort;
  }

  add(call) {
    const followed = this.#bySignal.get(call.signal) ?? this.#follow(call.signal);
    followed.calls.add(call);
  }

  /** The last call takes the listener with it. */
  remove(call) {
    const followed = this.#bySignal.get(call.signal);
    if (!followed?.calls.delete(call) || followed.calls.size > 0) return;
    this.#bySignal.delete(call.signal);
    call.signal.removeEventListener('abort', followed.listener);
  }

  #follow(signal) {
    const calls = new Set();
    const listener = () => {
      this.#bySignal.delete(signal);
      for (const call of calls) this.#onAbort(call);
    };
    signal.addEventListener('abort', listener, { once: true });
    const followed = { calls, listener };
    this.#bySignal.set(signal, followed);
    return followed;
  }
}

module.exports = { CallSignals };
