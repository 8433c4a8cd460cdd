'use strict';

/** One call that this thread awaits. */
class Call {
  // Written by `InFlightCalls`.
  slot = -1;
  inFlight = undefined;
  onAbort = undefined;
  // Written by `CallDeadlines`.
  tick = undefined;
  previous = undefined;
  next = undefined;
  /** The next call that was not sent: see `Caller`. */
  nextUnsent = undefined;
  /** When it was sent, where that is measured. */
  sentAt = 0;
  // Of its route.
  receiver = 0;
  sequence = 0;
  resolve = undefined;
  reject = undefined;
  answer;

  constructor(endpoint, timeout, signal) {
    this.endpoint = endpoint;
    this.timeout = timeout;
    this.signal = signal;
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  expire() {
    this.inFlight.expired(this);
  }
}

module.exports = { Call };
