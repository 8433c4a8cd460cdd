'use strict';

const { Deadline } = require('../runtime/deadline');
const { native } = require('../runtime/native');

/**
 * The timer by which this thread reports bans that have ended. Every thread that listens has one: the first to fire reports
 * to all of them, and the others find nothing left.
 */
class BanExpiry {
  #handle;
  #deadline;

  constructor(handle) {
    this.#handle = handle;
  }

  /** Reports what has ended, and waits for the next end. */
  look() {
    this.stop();
    const wait = native.expireBans(this.#handle) ?? undefined;
    if (wait === undefined) return;
    let hasFired = false;
    const onTime = () => {
      hasFired = true;
      this.look();
    };
    const deadline = new Deadline(wait, onTime, { ref: false });
    // A ban that has just ended fires at once, and may have set the next timer.
    if (!hasFired) this.#deadline = deadline;
  }

  stop() {
    this.#deadline?.cancel();
    this.#deadline = undefined;
  }
}

module.exports = { BanExpiry };
