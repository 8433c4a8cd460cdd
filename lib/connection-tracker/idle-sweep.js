'use strict';

const { Deadline } = require('../runtime/deadline');
const { native } = require('../runtime/native');

/** The shortest pause between two sweeps. */
const LEAST_PAUSE_MS = 10;

/** Closes the idle connections of all threads from time to time. It does not keep the thread alive. */
class IdleSweep {
  #handle;
  #next;
  #isRunning = false;

  constructor(handle) {
    this.#handle = handle;
  }

  /** Idempotent. Runs as long as the tracker has an idle timeout and is not destroyed. */
  start() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#plan();
  }

  stop() {
    this.#next?.cancel();
  }

  #plan() {
    const idleTimeoutMs = native.connectionTrackerIdleTimeout(this.#handle);
    this.#isRunning = typeof idleTimeoutMs === 'number';
    if (!this.#isRunning) return;
    const pause = Math.max(Math.ceil(idleTimeoutMs / 4), LEAST_PAUSE_MS);
    this.#next = new Deadline(pause, () => this.#sweep(), { ref: false });
  }

  #sweep() {
    try {
      native.closeIdleConnections(this.#handle);
      this.#plan();
    } catch {
      // The tracker was destroyed.
    }
  }
}

module.exports = { IdleSweep };
