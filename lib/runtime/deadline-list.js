'use strict';

const { clearImmediate, setImmediate } = require('node:timers');
const { Deadline } = require('./deadline');
const { native } = require('./native');

/**
 * Deadlines of many calls on one timer. Most calls end in time, so adding and removing a call sets no timer.
 *
 * Deadlines are grouped by ticks of `tickMs` milliseconds. The calls of a tick expire together, at the latest deadline
 * among them: none before its deadline, none more than a tick after it. The ticks form a list, the earliest first, and
 * so do the calls of a tick.
 *
 * An entry has `tick`, `previous` and `next`, which belong to the list, and `expire()`.
 */
class DeadlineList {
  #tickMs;
  #keepsAlive;
  #isDeferred;
  #ticks = new Map();
  #first;
  #last;
  /** The tick added to last. It stays while it is empty, as the next call usually falls into it. */
  #latest;
  #count = 0;
  /** When the timer fires, in milliseconds of `elapsed`. */
  #armed = Number.POSITIVE_INFINITY;
  /** The earliest deadline added since the last `arm`. */
  #wanted = Number.POSITIVE_INFINITY;
  #timer;
  #isRef = false;
  #isIdleCheckDue = false;
  #turn;

  /**
   * With `keepsAlive` the thread stays alive while the list has entries. With `isDeferred` calls expire one turn of the
   * event loop after the timer fires: pending requests go out first, and a thread that was busy reads the answers that
   * have arrived.
   */
  constructor({ tickMs, keepsAlive, isDeferred }) {
    this.#tickMs = tickMs;
    this.#keepsAlive = keepsAlive;
    this.#isDeferred = isDeferred;
  }

  /** `due` is in milliseconds of `elapsed`. Followed by `arm`. */
  add(entry, due) {
    const at = Math.ceil(due / this.#tickMs);
    const tick = this.#latest?.at === at ? this.#latest : this.#open(at);
    // No call from here on: where the stack overflows, the entry is either in the list or not.
    entry.tick = tick;
    entry.previous = tick.last;
    entry.next = undefined;
    if (tick.last === undefined) tick.first = entry;
    else tick.last.next = entry;
    tick.last = entry;
    if (due > tick.due) tick.due = due;
    if (due < this.#wanted) this.#wanted = due;
    this.#count += 1;
  }

  /**
   * Sets the timer for the entries that were added. Separate from `add`, which may run near the end of the stack: a
   * Node.js timer whose creation overflows the stack keeps the thread alive for good.
   */
  arm() {
    const wanted = this.#wanted;
    this.#wanted = Number.POSITIVE_INFINITY;
    try {
      if (wanted < this.#armed) this.#setTimer(wanted, native.elapsed());
      else if (this.#keepsAlive && !this.#isRef) this.#setRef(true);
    } catch (error) {
      // A stack overflow. The next call sets the timer.
      if (wanted < this.#wanted) this.#wanted = wanted;
      throw error;
    }
  }

  /** Does nothing for an entry that is not in the list. */
  remove(entry) {
    const { tick, previous, next } = entry;
    if (tick === undefined) return;
    if (previous === undefined) tick.first = next;
    else previous.next = next;
    if (next === undefined) tick.last = previous;
    else next.previous = previous;
    entry.tick = undefined;
    entry.previous = undefined;
    entry.next = undefined;
    this.#count -= 1;
    if (tick.first === undefined && tick !== this.#latest) this.#drop(tick);
    if (this.#count === 0 && this.#keepsAlive) this.#checkIdleSoon();
  }

  #open(at) {
    const before = this.#latest;
    this.#latest = this.#ticks.get(at) ?? this.#insert(at);
    if (before !== undefined && before.first === undefined) this.#drop(before);
    return this.#latest;
  }

  /** Searches from the end: most calls have about the same timeout. */
  #insert(at) {
    const tick = { at, due: 0, first: undefined, last: undefined, before: undefined, after: undefined };
    this.#ticks.set(at, tick);
    let before = this.#last;
    while (before !== undefined && before.at > at) before = before.before;
    const after = before === undefined ? this.#first : before.after;
    tick.before = before;
    tick.after = after;
    if (before === undefined) this.#first = tick;
    else before.after = tick;
    if (after === undefined) this.#last = tick;
    else after.before = tick;
    return tick;
  }

  #drop(tick) {
    if (this.#ticks.get(tick.at) !== tick) return;
    this.#ticks.delete(tick.at);
    const { before, after } = tick;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    if (tick === this.#latest) this.#latest = undefined;
  }

  #setTimer(due, now) {
    this.#timer?.cancel();
    this.#timer = undefined;
    clearImmediate(this.#turn);
    this.#armed = due;
    this.#isRef = this.#keepsAlive;
    let hasFired = false;
    const onTime = () => {
      hasFired = true;
      if (this.#isDeferred) this.#turn = setImmediate(() => this.#expire(due));
      else this.#expire(due);
    };
    try {
      const timer = new Deadline(Math.max(due - now, 0), onTime, { ref: this.#isRef });
      // A deadline that has passed fires at once, and may have set the next timer.
      if (!hasFired) this.#timer = timer;
    } catch (error) {
      // A stack overflow: there is no timer.
      if (!hasFired) this.#armed = Number.POSITIVE_INFINITY;
      throw error;
    }
  }

  /** `due` is the time of the timer, which may fire a fraction of a millisecond early. */
  #expire(due) {
    const now = Math.max(native.elapsed(), due);
    this.#armed = Number.POSITIVE_INFINITY;
    this.#timer = undefined;
    for (let tick = this.#first; tick !== undefined && tick.due <= now; tick = this.#first) {
      while (tick.first !== undefined) {
        const entry = tick.first;
        this.remove(entry);
        entry.expire();
      }
      this.#drop(tick);
    }
    let next = this.#first;
    while (next !== undefined && next.first === undefined) next = next.after;
    if (next !== undefined && next.due < this.#armed) this.#setTimer(next.due, now);
  }

  /** Once a turn of the event loop, not after every call: a loop of calls leaves the timer as it is. */
  #checkIdleSoon() {
    if (this.#isIdleCheckDue) return;
    this.#isIdleCheckDue = true;
    setImmediate(() => {
      this.#isIdleCheckDue = false;
      if (this.#count === 0 && this.#isRef) this.#setRef(false);
    });
  }

  #setRef(isRef) {
    this.#isRef = isRef;
    this.#timer?.setRef(isRef);
  }
}

module.exports = { DeadlineList };
