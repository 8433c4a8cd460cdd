'use strict';

const { integer } = require('../options');
const { headersFor } = require('./headers');
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
  constructor({ limiter, limit }, { key, cost = 1, skip, handler, headers, countOnly, login = false }) {
    this.limiter = limiter;
    this.headers = limiter === null ? null : headersFor(headers, limiter);
    this.handler = handler;
    this.cost = cost;
    /** 'failures' or 'successes' where the others' charges are taken back; else undefined. */
    this.countOnly = countOnly;
    /** Whether a request of this route carries credentials. */
    this.login = login;
    this.asksUser = [key, cost, skip, limit].some((option) => typeof option === 'function');
    this.needsClient = limiter !== null && key === undefined;
    this.#key = key;
    this.#cost = typeof cost === 'function' ? cost : () => cost;
    this.#skip = skip ?? (() => false);
    this.#limit = limit;
  }

  /**
   * Asks `skip`, then `key`, `cost` and the limit, each only when the one before has answered, and hands the
   * last three to `decide`. Without a promise among the answers there is none in the result.
   */
  ask(request, client, { skip, decide }) {
    return after(this.#skip(request), (skipped) => {
      if (skipped) return skip();
      return after(this.needsClient ? client : this.#key(request), (key) =>
        after(this.#cost(request), (cost) =>
          after(this.#limitOf(request), (limit) => decide(key, cost, limit)),
        ),
      );
    });
  }

  #limitOf(request) {
    if (this.#limit === undefined) return undefined;
    return after(this.#limit(request), (limit) => checkLimit(limit, 'what rateLimit.limit returned'));
  }
}

module.exports = { Rule };
