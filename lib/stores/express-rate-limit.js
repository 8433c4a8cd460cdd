'use strict';

const { invalidOption } = require('../runtime/errors');
const { StoreCounter, storeOptions, unsupportedCall } = require('./store-counter');

const OWNER = 'ExpressRateLimitStore';
/** Longer windows never end, and have no date to reset at. */
const LONGEST_MS = 2 ** 28 * 4_096;

/**
 * A store for express-rate-limit 7 and 8, and for hono-rate-limiter. Counts are shared by all threads; each limiter has a store
 * of its own, and a name that no other limiter has.
 */
class ExpressRateLimitStore {
  /** express-rate-limit looks for requests that are counted twice by this and `prefix`. */
  localKeys = false;
  #counter;
  #windowMs;
  /** The date of the last reset time: calls of one client within a window share it, as in the limiter's own store. */
  #resetTime = new Date(0);

  constructor(options = {}) {
    const { name, counter } = storeOptions(OWNER, options, 'express-rate-limit');
    this.prefix = name;
    this.#counter = new StoreCounter(name, counter);
  }

  /** The limiter calls it with its options. */
  init({ windowMs }) {
    if (this.#windowMs !== undefined && windowMs !== this.#windowMs) {
      const accepted = `${this.#windowMs}, as the limiter that has this store; give each limiter a store of its own`;
      throw invalidOption(`${OWNER} windowMs`, windowMs, accepted);
    }
    if (!(typeof windowMs === 'number' && windowMs > 0 && windowMs <= LONGEST_MS)) {
      throw invalidOption(`${OWNER} windowMs`, windowMs, `a number of milliseconds from 1 to ${LONGEST_MS}`);
    }
    this.#windowMs = windowMs;
  }

  /** Versions up to 5 of the limiter call it, and never `init`. Later ones call `increment`. */
  incr() {
    throw unsupportedCall(OWNER, 'incr(key, callback)', 'express-rate-limit 7 or 8');
  }

  increment(key) {
    const { count } = this.#counter.add(key, 1, this.#window());
    return { totalHits: count, resetTime: this.#resetDate() };
  }

  decrement(key) {
    this.#counter.takeBack(key, 1);
  }

  get(key) {
    const found = this.#counter.get(key);
    if (found === null) return undefined;
    return { totalHits: found.count, resetTime: this.#resetDate() };
  }

  resetKey(key) {
    this.#counter.delete(key);
  }

  resetAll() {
    this.#counter.clear();
  }

  #resetDate() {
    const ends = this.#counter.ends;
    if (this.#resetTime.getTime() !== ends) this.#resetTime = new Date(ends);
    return this.#resetTime;
  }

  #window() {
    if (this.#windowMs === undefined) {
      throw invalidOption(
        `${OWNER} windowMs`,
        undefined,
        'the store of a limiter, which calls init with its options',
      );
    }
    return this.#windowMs;
  }
}

module.exports = { ExpressRateLimitStore };
