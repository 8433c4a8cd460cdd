'use strict';

const { Deadline } = require('../runtime/deadline');
const { native } = require('../runtime/native');

/** The shortest pause between two sweeps. */
const LEAST_PAUSE_MS = 10;

/** The longest pause where processes share the tracker: another one may bring an idle timeout into force at any time. */
const SHARED_PAUSE_MS = 1_000;

/** Closes the idle connections of all threads from time to time. It does not keep the thread alive. */
class IdleSweep {
  #handle;
  #next;
  #isRunning = false;

  constructor(handle) {
    this.#handle = handle;
  }

  /** Idempotent. Runs as long as the tracker has an idle timeout, or processes share it, and it is not destroyed. */
  start() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#plan();
  }

  stop() {
    this.#next?.cancel();
  }

  #plan() {
    const idleTimeoutMs = native.connectionTrackerIdleTimeout(this.#handle) ?? Number.POSITIVE_INFINITY;
    const longest = native.connectionTrackerIsShared(this.#handle)
      ? SHARED_PAUSE_MS
      : Number.POSITIVE_INFINITY;
    const pause = Math.min(Math.max(Math.ceil(idleTimeoutMs / 4), LEAST_PAUSE_MS), longest);
    this.#isRunning = Number.isFinite(pause);
    if (!this.#isRunning) return;
    this.#next = new Deadline(pause, () => this.#sweep(), { ref: false });
  }

  #sweep() {
    try {
      const idleTimeoutMs = native.connectionTrackerIdleTimeout(this.#handle);
      // Given, because without any timeout all connections would be closed, and another process may take it away.
      if (typeof idleTimeoutMs === 'number') native.closeIdleConnections(this.#handle, idleTimeoutMs);
      this.#plan();
    } catch {
      // The tracker was destroyed.
    }
  }
}

module.exports = { IdleSweep };
