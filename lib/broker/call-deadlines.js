'use strict';

const { Deadline } = require('../runtime/deadline');
const { native } = require('../runtime/native');

/** Calls whose deadlines lie within this many milliseconds end together, at the last of them: none before its time. */
const TICK_MS = 8;

/**
 * Deadlines of calls, by ticks of the clock: a call in its tick is in a list it leaves at once when it is answered. One timer
 * stands for the first tick. It does not keep the thread alive; calls do.
 *
 * An entry has `tick`, `previous` and `next`, which are the list's, and `expire()`.
 */
class CallDeadlines {
  #ticks = new Map();
  /** The tick added to last: it stays while it is empty, as the next call most often has the same. */
  #latest;
  /** When the timer is to fire, in milliseconds of `elapsed`. */
  #armed = Number.POSITIVE_INFINITY;
  /** The earliest deadline that was added since a timer was set. */
  #wanted = Number.POSITIVE_INFINITY;
  #deadline;
  #turn;

  add(entry, due) {
    const at = Math.ceil(due / TICK_MS);
    const tick = this.#latest?.at === at ? this.#latest : this.#open(at);
    entry.tick = tick;
    entry.previous = undefined;
    entry.next = tick.first;
    if (tick.first !== undefined) tick.first.previous = entry;
    tick.first = entry;
    if (due > tick.due) tick.due = due;
    if (due < this.#wanted) this.#wanted = due;
  }

  /**
   * Sets a timer for the first of those that were added. Not done by `add`, whose caller may be anywhere on the stack: a
   * timer of Node's that is made where the stack overflows keeps the thread alive for good.
   */
  arm() {
    const wanted = this.#wanted;
    this.#wanted = Number.POSITIVE_INFINITY;
    if (wanted < this.#armed) this.#arm(wanted, native.elapsed());
  }

  remove(entry) {
    const { tick, previous, next } = entry;
    if (previous === undefined) tick.first = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    entry.next = undefined;
    this.#dropIfEmpty(tick);
  }

  #open(at) {
    const before = this.#latest;
    let tick = this.#ticks.get(at);
    if (tick === undefined) {
      tick = { at, due: 0, first: undefined };
      this.#ticks.set(at, tick);
    }
    this.#latest = tick;
    if (before !== undefined) this.#dropIfEmpty(before);
    return tick;
  }

  #dropIfEmpty(tick) {
    if (tick.first === undefined && tick !== this.#latest) this.#ticks.delete(tick.at);
  }

  /**
   * Calls end in the turn after that: their requests are to go out first, and a thread that was busy for long may have the
   * answers waiting.
   */
  #arm(due, now) {
    this.#deadline?.cancel();
    clearImmediate(this.#turn);
    this.#armed = due;
    const onTime = () => {
      this.#turn = setImmediate(() => this.#expire());
    };
    this.#deadline = new Deadline(Math.max(due - now, 0), onTime, { ref: false });
  }

  #expire() {
    // A timer may fire a fraction of a millisecond early.
    const now = Math.max(native.elapsed(), this.#armed);
    this.#armed = Number.POSITIVE_INFINITY;
    for (const tick of [...this.#ticks.values()]) {
      if (tick.due > now) continue;
      while (tick.first !== undefined) {
        const entry = tick.first;
        this.remove(entry);
        entry.expire();
      }
    }
    this.#armNext(now);
  }

  #armNext(now) {
    let first = this.#armed;
    for (const tick of this.#ticks.values()) {
      if (tick.first !== undefined && tick.due < first) first = tick.due;
    }
    if (first < this.#armed) this.#arm(first, now);
  }
}

module.exports = { CallDeadlines };
