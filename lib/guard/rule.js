'use strict';

const { integer } = require('../runtime/schema');
const { headersFor } = require('./headers');
const { keyOf } = require('./request-key');
const { after } = require('./user-function');

const checkLimit = integer(1);

/**
 * How requests of one route are limited: which limiter, whose key, what price. `limiter` is null where
 * `rateLimit` is false. Whether a rule asks the user's functions is known beforehand, so that a request pays
 * only for what is there.
 */
class Rule {
  #key;
  #cost;
  #skip;
  #limit;

  /** `limit` is a function, or undefined where the limiter's own holds. */
  constructor({ limiter, limit }, options) {
    const { key, cost = 1, skip, handler, headers, countOnly, login = false } = options;
    const { hook = 'onRequest', keyFallback = 'client', skipPreflight = false } = options;
    this.limiter = limiter;
    this.headers = limiter === null ? null : headersFor(headers, limiter);
    this.handler = handler;
    this.cost = cost;
    /** 'failures' or 'successes' where the others' charges are taken back; else undefined. */
    this.countOnly = countOnly;
    /** Whether a request of this route carries credentials. */
    this.login = login;
    /** Fastify's hook in which the rate is decided; without a limiter there is nothing to wait for. */
    this.hook = limiter === null ? 'onRequest' : hook;
    /** What stands for the key where there is none: 'client', 'refuse' or 'error'. */
    this.keyFallback = keyFallback;
    this.skipsPreflight = skipPreflight;
    this.asksUser = [key, cost, skip, limit].some((option) => typeof option === 'function');
    this.needsClient = limiter !== null && key === undefined;
    this.#key = key;
    this.#cost = typeof cost === 'function' ? cost : () => cost;
    this.#skip = skip ?? (() => false);
    this.#limit = limit;
  }

  /**
   * Asks `skip`, then `key`, `cost` and the limit, each only when the one before has answered, and hands the
   * last three to `decide`. Without a promise among the answers there is none in the result. Where `key` gave none,
   * `missing(given, goOn)` decides, or goes on with another.
   */
  ask(request, client, { skip, decide, missing }) {
    const goOn = (key) =>
      after(this.#cost(request), (cost) =>
        after(this.#limitOf(request), (limit) => decide(key, cost, limit)),
      );
    return after(this.#skip(request), (skipped) => {
      if (skipped) return skip();
      if (this.needsClient) return goOn(client);
      return after(this.#key(request), (given) => {
        const key = keyOf(given);
        return key === null ? missing(given, goOn) : goOn(key);
      });
    });
  }

  #limitOf(request) {
    if (this.#limit === undefined) return undefined;
    return after(this.#limit(request), (limit) => checkLimit(limit, 'what rateLimit.limit returned'));
  }
}

module.exports = { Rule };
