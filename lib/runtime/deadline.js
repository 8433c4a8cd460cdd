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
  /** Clears `#timer`: a test may replace the global functions after it was set. */
  #clear;

  constructor(ms, onTime, { ref = true } = NONE) {
    this.#due = native.elapsed() + ms;
    this.#onTime = onTime;
    this.#ref = ref;
    this.#wait(ms);
    // After: where the stack overflows, no deadline without a timer stays behind.
    if (this.#timer !== undefined) pending.add(this);
  }

  /** Fires if the time has come, else sets a timer for the rest. */
  look() {
    this.#clear?.(this.#timer);
    this.#wait(this.#due - native.elapsed());
  }

  #wait(rest) {
    if (rest <= 0) {
      pending.delete(this);
      this.#onTime();
      return;
    }
    this.#clear = clearTimeout;
    // Under a stopped clock the timer only keeps the thread alive.
    const wait = native.doesTimePass() === 1 ? Math.min(Math.ceil(rest), MAX_TIMER_MS) : MAX_TIMER_MS;
    this.#timer = setTimeout(() => this.look(), wait);
    if (!this.#ref) this.#timer.unref?.();
  }

  /** Whether it keeps the thread alive from now on. */
  setRef(ref) {
    this.#ref = ref;
    // Fake timers may have neither.
    if (ref) this.#timer.ref?.();
    else this.#timer.unref?.();
  }

  cancel() {
    this.#clear?.(this.#timer);
    pending.delete(this);
  }
}

module.exports = { Deadline, MAX_TIMER_MS };
