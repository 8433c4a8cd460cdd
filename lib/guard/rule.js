'use strict';

const { headersFor } = require('./headers');
const { after } = require('./user-function');

/**
 * How requests of one route are limited: which limiter, whose key, what price. `limiter` is null where
 * `rateLimit` is false. Whether a rule asks the user's functions is known beforehand, so that a request pays
 * only for what is there.
 */
class Rule {
  #key;
  #cost;
  #skip;

  constructor(limiter, { key, cost = 1, skip, handler, headers }) {
    this.limiter = limiter;
    this.headers = limiter === null ? null : headersFor(headers, limiter);
    this.handler = handler;
    this.cost = cost;
    this.asksUser = [key, cost, skip].some((option) => typeof option === 'function');
    this.#key = key;
    this.#cost = typeof cost === 'function' ? cost : () => cost;
    this.#skip = skip ?? (() => false);
  }

  get needsClient() {
    return this.#key === undefined;
  }

  /**
   * Asks `skip`, then `key`, then `cost`, each only when the one before has answered, and hands key and cost
   * to `decide`. Without a promise among the answers there is none in the result.
   */
  ask(request, client, { skip, decide }) {
    return after(this.#skip(request), (skipped) => {
      if (skipped) return skip();
      return after(this.needsClient ? client : this.#key(request), (key) =>
        after(this.#cost(request), (cost) => decide(key, cost)),
      );
    });
  }
}

module.exports = { Rule };
