'use strict';

const { Deadline } = require('../runtime/deadline');
const { native } = require('../runtime/native');

/** Calls whose deadlines lie within one tick of so many milliseconds end together, at the last of them: none early. */
const TICK_MS = 8;

/**
 * Deadlines of calls, by ticks of the clock. Each tick is a linked list, so an answered call is removed in constant time.
 * One timer is set, for the first tick. It does not keep the thread alive; in-flight calls do.
 *
 * An entry has `expire()`, and the fields `tick`, `previous` and `next`, which only the list uses.
 */
class CallDeadlines {
  #ticks = new Map();
  /** The tick of the call added last. Kept while it is empty, since the next call most often has the same. */
  #latest;
  /** When the timer fires, in milliseconds of `elapsed`. */
  #armed = Number.POSITIVE_INFINITY;
  /** The earliest deadline added since then. */
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
   * Sets the timer for calls that were added. `add` does not, as it may run near the end of the stack: a Node timer whose
   * creation overflows the stack keeps the thread alive for ever.
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
   * Calls end one turn after the timer: their requests go out first, and a thread that was busy may have answers pending.
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
