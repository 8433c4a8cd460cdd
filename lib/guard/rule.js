'use strict';

const { codeOf } = require('../load-shedder/priorities');
const { integer, owned } = require('../runtime/schema');
const { headersFor } = require('./headers');
const { keyOf } = require('./request-key');
const { kIsAwaited } = require('../rate-limiter/symbols');
const { DEFAULT_PRIORITY, EXEMPT } = require('./priority');
const { after } = require('./user-function');
const { waitOf } = require('./waiting-rate');

const checkLimit = integer(1);

/**
 * How requests of one route are limited: by which limiter, key and cost. `limiter` is null where `rateLimit` is false.
 * Whether a rule calls functions of the user is known beforehand, so that a request pays only for what there is.
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
    const { concurrency = false, priority = DEFAULT_PRIORITY } = options;
    this.limiter = limiter;
    this.headers = limiter === null ? null : headersFor(headers, limiter);
    this.handler = handler;
    this.cost = cost;
    /** 'failures' or 'successes' where the others' charges are taken back; else undefined. */
    this.countOnly = countOnly;
    /** Whether requests of this route carry credentials. */
    this.login = login;
    /** Whether requests in progress are counted. */
    this.isBounded = typeof concurrency === 'object';
    /** How much its requests matter: a priority, or a function of the request. */
    this.priority = priority;
    this.isExempt = priority === EXEMPT;
    /** The code of `priority`; undefined where it is a function. */
    this.priorityCode = codeOf(priority);
    /** Fastify's hook in which the rate is decided; `onRequest` without a limiter. */
    this.hook = limiter === null ? 'onRequest' : hook;
    /** What happens to a request without a key: 'client', 'refuse' or 'error'. */
    this.keyFallback = keyFallback;
    this.skipsPreflight = skipPreflight;
    /** Whether the limiter's decisions are promises. */
    this.isAwaited = limiter?.[kIsAwaited] ?? false;
    /** For how long a request beyond the quota waits, in milliseconds; undefined where it does not. */
    this.wait = waitOf({ limiter, limit }, options.wait);
    /** Whether a decision takes more than a call of the limiter: functions of the user, or a promise. */
    this.isEvaluated =
      this.isAwaited || [key, cost, skip, limit].some((option) => typeof option === 'function');
    this.needsClient = limiter !== null && key === undefined;
    this.#key = key;
    this.#cost = typeof cost === 'function' ? cost : () => cost;
    this.#skip = skip ?? (() => false);
    this.#limit = limit;
  }

  /**
   * Calls `skip`, then `key`, `cost` and the limit, each once the one before has returned or its promise has settled, and
   * passes the results of the last three to `decide`. Returns a promise only where one of them did. Where `key` returns no
   * key, `missing(given, goOn)` decides, or continues with another key by `goOn(key)`.
   */
  evaluate(request, client, { skip, decide, missing }) {
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

/**
 * The rule of `options` without the user's functions, for requests that no framework has seen, and which are answered
 * already. Where the limit is a function, it has no limiter.
 */
function plainRuleOf(limited, options) {
  const { cost } = options;
  const plain = {
    key: undefined,
    skip: undefined,
    wait: undefined,
    cost: typeof cost === 'function' ? 1 : cost,
    priority: EXEMPT,
  };
  const isByRequest = limited.limit !== undefined;
  return new Rule(isByRequest ? { limiter: null, limit: undefined } : limited, owned(options, plain));
}

module.exports = { Rule, plainRuleOf };
