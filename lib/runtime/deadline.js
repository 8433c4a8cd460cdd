'use strict';

const { native, onProcess } = require('./native');
const { NONE } = require('./none');

/** What Node's timers take at most; they fire at once beyond it. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Deadlines of this thread, by the clock of decisions: a test that moves that clock on moves these; one that sets it
 * back leaves as much of each as before.
 */
const pending = new Set();

onProcess('clock', () => {
  // What one of them does may cancel another.
  for (const deadline of [...pending]) if (pending.has(deadline)) deadline.look();
});

/** Calls `onTime` once `ms` milliseconds have passed. With `ref` it keeps the thread alive until then. */
class Deadline {
  #due;
  #onTime;
  #ref;
  #timer;

  constructor(ms, onTime, { ref = true } = NONE) {
    this.#due = native.elapsed() + ms;
    this.#onTime = onTime;
    this.#ref = ref;
    this.look();
    // After: where the stack overflows, no deadline without a timer stays behind.
    if (this.#timer !== undefined) pending.add(this);
  }

  /** Fires if the time has come, else sets a timer for the rest. */
  look() {
    clearTimeout(this.#timer);
    const rest = this.#due - native.elapsed();
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
