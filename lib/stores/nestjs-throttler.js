'use strict';

const { StoreCounter, checkLimit, storeOptions, textOf, unsupportedCall } = require('./store-counter');

const OWNER = 'ThrottlerStorage';

/** The storage of @nestjs/throttler 6. Counts are shared by all threads. */
class ThrottlerStorage {
  #counter;

  constructor(options = {}) {
    const { name, counter } = storeOptions(OWNER, options, 'nestjs-throttler');
    this.#counter = new StoreCounter(name, counter);
  }

  async increment(key, ttl, limit, blockDuration, throttlerName) {
    if (throttlerName === undefined) {
      throw unsupportedCall(OWNER, 'increment(key, ttl)', '@nestjs/throttler 6');
    }
    const most = limit === Number.POSITIVE_INFINITY ? limit : checkLimit(`${OWNER} limit`, limit);
    const { count, leftMs } = this.#add(keyOf(key, throttlerName), ttl, ruleOf(most, blockDuration));
    const isBlocked = count > most;
    const seconds = Math.ceil(leftMs / 1000);
    return {
      // A hit of a blocked client is told as the first above the limit.
      totalHits: isBlocked ? Math.floor(most) + 1 : count,
      timeToExpire: seconds,
      isBlocked,
      timeToBlockExpire: isBlocked ? seconds : 0,
    };
  }

  #add(key, ttl, rule) {
    // A window of 0 or less has ended with each hit.
    const hasEnded = typeof ttl === 'number' && ttl <= 0;
    return hasEnded ? { count: 1, leftMs: 0 } : this.#counter.add(key, 1, ttl, rule);
  }
}

/** Throttlers count apart, also where `generateKey` of the application leaves their name out. */
function keyOf(key, throttlerName) {
  return `${textOf(throttlerName)}\0${textOf(key)}`;
}

function ruleOf(limit, blockDuration) {
  if (blockDuration <= 0 || limit === Number.POSITIVE_INFINITY) return undefined;
  return { above: Math.floor(limit), windowMs: blockDuration, once: true };
}

module.exports = { SluiceThrottlerStorage: ThrottlerStorage, ThrottlerStorage };
