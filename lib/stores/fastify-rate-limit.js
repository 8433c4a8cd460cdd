'use strict';

const { fitted } = require('../runtime/fitted-name');
const { StoreCounter, checkLimit, storeOptions, unsupportedCall } = require('./store-counter');

const OWNER = 'FastifyRateLimitStore';
/** Of versions up to 9, whose stores know their window. */
const CALL_OF_OTHERS = 'incr(key, callback, max, ban)';

/** For @fastify/rate-limit 11: `store: FastifyRateLimitStore`. Counts are shared by all threads. */
class FastifyRateLimitStore {
  #name;
  #options;
  #counter;
  #continues;
  #backsOff;
  /** That of the plugin, where its options are those of version 9 or before. */
  #banOfOthers;
  /** Children without a route, so far: limiters that are made by hand. */
  #handMade = { count: 0 };

  /**
   * The plugin calls it with its own options.
   *
   * @param {{ continueExceeding?: boolean, exponentialBackoff?: boolean, ban?: number }} [options]
   */
  constructor({ continueExceeding = false, exponentialBackoff, ban } = {}) {
    const { name, options } = new.target[kDeclared];
    this.#name = name;
    this.#options = options;
    this.#counter = new StoreCounter(name, options);
    this.#continues = continueExceeding === true;
    this.#backsOff = exponentialBackoff === true;
    this.#banOfOthers = exponentialBackoff === undefined ? ban : undefined;
  }

  /** The class of a store with this name. Plugins of different names count apart. */
  static named(name, options = {}) {
    const declared = storeOptions(OWNER, { ...options, name }, undefined);
    return classOf(declared.name, declared.counter);
  }

  incr(key, callback, timeWindow, max) {
    let hits;
    try {
      if (this.#isCallOfOthers(max)) {
        throw unsupportedCall(OWNER, CALL_OF_OTHERS, '@fastify/rate-limit 11');
      }
      // A window of 0 or less has ended with each hit, as in the plugin's own store.
      const hasEnded = typeof timeWindow === 'number' && timeWindow <= 0;
      hits = hasEnded
        ? { count: 1, leftMs: 0 }
        : this.#counter.add(key, 1, timeWindow, this.#ruleFor(timeWindow, max));
    } catch (error) {
      return callback(error);
    }
    callback(null, { current: hits.count, ttl: hits.leftMs });
  }

  /** For `createRateLimit()(request, { increment: false })`. */
  read(key, callback) {
    let found;
    try {
      found = this.#counter.get(key);
    } catch (error) {
      return callback(error);
    }
    callback(null, found === null ? { current: 0, ttl: 0 } : { current: found.count, ttl: found.leftMs });
  }

  /** The store of a route, or of a limiter made by hand. */
  child(options) {
    const { method, url } = options.routeInfo ?? {};
    const Child = classOf(this.#childName(method, url), this.#options);
    return new Child(options);
  }

  /** Version 11 passes as `max` what the application's function returns: undefined and -1 too. */
  #isCallOfOthers(max) {
    return this.#banOfOthers !== undefined && (max === undefined || max === this.#banOfOthers);
  }

  #childName(method, url) {
    if (url !== undefined) return fitted(`${this.#name} ${[method].flat().join(',')} ${url}`);
    this.#handMade.count += 1;
    return fitted(`${this.#name} #${this.#handMade.count}`);
  }

  #ruleFor(windowMs, max) {
    // What is not below Infinity, such as undefined, no count exceeds.
    if ((!this.#continues && !this.#backsOff) || !(max < Number.POSITIVE_INFINITY)) return undefined;
    const above = checkLimit(`${OWNER} max`, max);
    // With both, the plugin's own store continues.
    return { above, windowMs, double: !this.#continues };
  }
}

const kDeclared = Symbol('declared');

/** A class, as the plugin makes the store itself and passes no options of the application. */
function classOf(name, options) {
  return class extends FastifyRateLimitStore {
    static [kDeclared] = { name, options };
  };
}

FastifyRateLimitStore[kDeclared] = { name: 'fastify-rate-limit', options: {} };

module.exports = { FastifyRateLimitStore };
