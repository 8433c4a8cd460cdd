'use strict';

const { subscribe, unsubscribe } = require('../runtime/native');

/** This thread's subscription to the drained event of a tracker. It holds no reference to the tracker. */
class DrainedSubscription {
  #pending;
  #number;

  /** `pending` has what is called at the event. */
  constructor(pending) {
    this.#pending = pending;
  }

  /** The number of the subscription. It ends with the first event. */
  begin() {
    this.#number ??= subscribe(() => {
      unsubscribe(this.#number);
      this.#number = undefined;
      for (const settle of [...this.#pending]) settle();
    });
    return this.#number;
  }
}

module.exports = { DrainedSubscription };
