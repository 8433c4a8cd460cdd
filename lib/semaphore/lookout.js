'use strict';

// Those of Node.js: a hand-over takes real time, also where a test has replaced the global timers.
const { clearInterval, setInterval, setTimeout } = require('node:timers');

/** How long a thread may take to accept what was handed to it. */
const GRACE_MS = 10;

/** How often a thread whose calls wait looks at their keys by itself: the thread that handed over may be busy too. */
const PATROL_MS = 100;

/**
 * Looks at keys where permits were handed to another thread while calls wait behind it. A thread that does not take them in
 * time loses them to the next. The timers keep no thread alive: the calls that wait do.
 */
class Lookout {
  /** `look(key)` returns the milliseconds until the next look; 0 for none. */
  #look;
  /** The keys of this thread's calls that wait. */
  #awaited;
  #watched = new Set();
  #timer;
  #patrol;

  constructor(look, awaited) {
    this.#look = look;
    this.#awaited = awaited;
  }

  /** Permits of the key were handed to another thread. */
  watch(key) {
    this.#watched.add(key);
    if (this.#timer === undefined) this.#setTimer(GRACE_MS);
  }

  /** A call of this thread waits. */
  begin() {
    if (this.#patrol !== undefined) return;
    this.#patrol = setInterval(() => this.#goRound(), PATROL_MS);
    this.#patrol.unref?.();
  }

  #setTimer(ms) {
    this.#timer = setTimeout(() => this.#lookAtWatched(), ms);
    this.#timer.unref?.();
  }

  #lookAtWatched() {
    this.#timer = undefined;
    let soonest = Number.POSITIVE_INFINITY;
    for (const key of [...this.#watched]) {
      const next = this.#look(key);
      if (next === 0) this.#watched.delete(key);
      else soonest = Math.min(soonest, next);
    }
    if (soonest < Number.POSITIVE_INFINITY && this.#timer === undefined) this.#setTimer(soonest);
  }

  #goRound() {
    const keys = this.#awaited();
    if (keys.size === 0) {
      clearInterval(this.#patrol);
      this.#patrol = undefined;
      return;
    }
    for (const key of keys) if (this.#look(key) > 0) this.watch(key);
  }
}

module.exports = { Lookout };
