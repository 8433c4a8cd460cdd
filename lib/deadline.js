'use strict';

const { handlers, native } = require('./native');

/** What Node's timers take at most; they fire at once beyond it. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Deadlines of this thread, by the clock of decisions: a test that moves that clock moves these. */
const pending = new Set();

/** Subscription 0 of every thread: the test clock was moved, stopped or started. */
handlers.set(0, () => {
  // What one of them does may cancel another.
  for (const deadline of [...pending]) if (pending.has(deadline)) deadline.look();
});

/** Calls `onTime` once `ms` milliseconds have passed. With `ref` it keeps the thread alive until then. */
class Deadline {
  #ms;
  #due;
  #onTime;
  #ref;
  #timer;

  constructor(ms, onTime, { ref = true } = {}) {
    this.#ms = ms;
    this.#due = native.clockNow() + ms;
    this.#onTime = onTime;
    this.#ref = ref;
    pending.add(this);
    this.look();
  }

  /** Fires if it is time, else waits for the rest of it. */
  look() {
    clearTimeout(this.#timer);
    const now = native.clockNow();
    // Where a test has set the clock back, nobody waits for the time that it showed before.
    this.#due = Math.min(this.#due, now + this.#ms);
    const rest = this.#due - now;
    if (rest <= 0) {
      pending.delete(this);
      this.#onTime();
      return;
    }
    // Under a stopped clock the timer only keeps the thread alive: time passes by hand.
    const wait = native.isClockManual() ? MAX_TIMER_MS : Math.min(Math.ceil(rest), MAX_TIMER_MS);
    this.#timer = setTimeout(() => this.look(), wait);
    if (!this.#ref) this.#timer.unref();
  }

  /** Whether it keeps the thread alive from now on. */
  setRef(ref) {
    this.#ref = ref;
    if (ref) this.#timer.ref();
    else this.#timer.unref();
  }

  cancel() {
    clearTimeout(this.#timer);
    pending.delete(this);
  }
}

module.exports = { Deadline, MAX_TIMER_MS };
