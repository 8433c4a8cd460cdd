'use strict';

const { Deadline } = require('./deadline');
const { native } = require('./native');

/**
 * Ends of calls that may all take equally long. They come due in the order in which they began, so one timer serves
 * all: it is set for the first, and when it fires for the first that is left. A call that ends in time costs no timer.
 *
 * An entry has `due`, `previous` and `next`, which are the queue's, and `expire()`. The thread is kept alive while
 * there are entries.
 */
class DeadlineQueue {
  ms;
  #first;
  #last;
  #deadline;
  #isRef = true;
  #isResting = false;

  constructor(ms) {
    this.ms = ms;
  }

  add(entry, startedAt) {
    entry.due = startedAt + this.ms;
    let previous = this.#last;
    // A call that another made within its function began later and is added first.
    while (previous !== undefined && previous.due > entry.due) previous = previous.previous;
    this.#insert(entry, previous);
    if (this.#deadline === undefined || (previous === undefined && entry.next !== undefined)) this.#arm();
    else if (!this.#isRef) this.#setRef(true);
  }

  remove(entry) {
    const { previous, next } = entry;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    if (this.#first === undefined) this.#restSoon();
  }

  #insert(entry, previous) {
    const next = previous === undefined ? this.#first : previous.next;
    entry.previous = previous;
    entry.next = next;
    if (previous === undefined) this.#first = entry;
    else previous.next = entry;
    if (next === undefined) this.#last = entry;
    else next.previous = entry;
  }

  #arm() {
    this.#deadline?.cancel();
    this.#isRef = true;
    this.#deadline = new Deadline(this.#first.due - native.elapsed(), () => this.#expire());
  }

  #expire() {
    this.#deadline = undefined;
    const now = native.elapsed();
    while (this.#first !== undefined && this.#first.due <= now) {
      const entry = this.#first;
      this.remove(entry);
      entry.expire();
    }
    if (this.#first !== undefined && this.#deadline === undefined) this.#arm();
  }

  /** Looks once a turn of the event loop, not after every call: a loop of calls leaves the timer as it is. */
  #restSoon() {
    if (this.#isResting) return;
    this.#isResting = true;
    setImmediate(() => {
      this.#isResting = false;
      if (this.#first === undefined && this.#isRef) this.#setRef(false);
    });
  }

  #setRef(isRef) {
    this.#isRef = isRef;
    this.#deadline?.setRef(isRef);
  }
}

module.exports = { DeadlineQueue };
