'use strict';

const { invalid, SluiceError } = require('./errors');
const { native, results } = require('./native');
const {
  QUOTA,
  boolean,
  checkName,
  checkOptions,
  integer,
  nativeQuota,
  oneOf,
  parseDuration,
  requireOptions,
} = require('./options');

const SCHEMA = {
  ...QUOTA,
  algorithm: supported('gcra'),
  limits: supported(),
  maxKeys: integer(1, 2 ** 32),
  overflow: oneOf('evict', 'deny', 'allow'),
  dryRun: boolean,
  scope: supported('process'),
};

// Where native code leaves a decision.
const [LIMIT, REMAINING, RESET_AFTER, RETRY_AFTER, MORE_AFTER, WOULD_REFUSE, GENERATION] = results.keys();

/** For the middleware: `consume` with what its headers need, and the policies in force. */
const kDecide = Symbol('sluice.decide');
const kPolicies = Symbol('sluice.policies');

/** A handle is free again when the last object of this thread that stands for it was collected. */
const collected = new FinalizationRegistry((handle) => native.releaseRateLimiter(handle));

class RateLimiter {
  #name;
  #handle;
  #generation = -1;
  #policies;

  constructor(name, options) {
    checkName('RateLimiter', name);
    this.#name = name;
    this.#handle = native.openRateLimiter(name, options === undefined ? undefined : toNative(options));
    collected.register(this, this.#handle);
  }

  static destroy(name) {
    checkName('RateLimiter', name);
    return native.destroyRateLimiter(name);
  }

  get name() {
    return this.#name;
  }

  tryConsume(key, cost = 1) {
    return native.tryConsume(this.#handle, key, cost) === 1;
  }

  consume(key, cost = 1) {
    return decision(this.#name, native.consume(this.#handle, key, cost) === 1);
  }

  async consumeAsync(key, cost = 1) {
    return this.consume(key, cost);
  }

  /** All keys are looked at before the first is charged, so an error charges nobody. */
  consumeMany(keys, cost = 1) {
    if (!Array.isArray(keys)) throw invalid('INVALID_KEY', 'keys', keys, 'an array of non-empty strings');
    // A copy has no holes, and nobody changes it between the look and the charge.
    const given = Array.from(keys);
    given.forEach((key, index) => {
      if (typeof key === 'string' && key !== '') return;
      throw invalid('INVALID_KEY', `keys[${index}]`, key, 'a non-empty string');
    });
    return given.map((key) => this.tryConsume(key, cost));
  }

  peek(key) {
    return decision(this.#name, native.peek(this.#handle, key) === 1);
  }

  /** The key's hash, for calls that need not read the key again. It owns nothing. */
  handle(key) {
    native.hashKey(key);
    return new KeyHandle(this.#name, this.#handle, results[0], results[1], this);
  }

  refund(key, cost = 1) {
    native.refund(this.#handle, key, cost);
  }

  penalize(key, cost = 1) {
    native.penalize(this.#handle, key, cost);
  }

  block(key, duration) {
    return native.block(this.#handle, key, parseDuration(duration, 'block duration')) === 1;
  }

  reset(key) {
    return native.reset(this.#handle, key) === 1;
  }

  reconfigure(options) {
    const given = checkOptions('reconfigure', options, SCHEMA);
    native.reconfigureRateLimiter(this.#handle, merge(native.rateLimiterOptions(this.#handle), given));
  }

  clear() {
    native.clearRateLimiter(this.#handle);
  }

  get size() {
    return this.stats().size;
  }

  stats() {
    return native.rateLimiterStats(this.#handle);
  }

  [kDecide](key, cost = 1) {
    const told = decision(this.#name, native.consume(this.#handle, key, cost) === 1);
    told.moreAfterMs = results[MORE_AFTER];
    if (results[GENERATION] !== this.#generation) this.#policies = undefined;
    return told;
  }

  [kPolicies]() {
    if (this.#policies === undefined) {
      const { quota } = native.rateLimiterOptions(this.#handle);
      this.#policies = [{ name: this.#name, limit: quota.limit, windowMs: quota.windowMs }];
      this.#generation = results[GENERATION];
    }
    return this.#policies;
  }
}

/** A key of a limiter, hashed once. */
class KeyHandle {
  #name;
  #handle;
  #high;
  #low;
  /** Keeps the limiter's handle in use. */
  #limiter;

  constructor(name, handle, high, low, limiter) {
    this.#name = name;
    this.#handle = handle;
    this.#high = high;
    this.#low = low;
    this.#limiter = limiter;
  }

  tryConsume(cost = 1) {
    return native.tryConsumeHashed(this.#handle, this.#high, this.#low, cost) === 1;
  }

  consume(cost = 1) {
    return decision(this.#name, native.consumeHashed(this.#handle, this.#high, this.#low, cost) === 1);
  }

  peek() {
    return decision(this.#limiter.name, native.peekHashed(this.#handle, this.#high, this.#low) === 1);
  }
}

/** The decision that native code has just left. A limiter's only policy has its name. */
function decision(policy, allowed) {
  const told = {
    allowed,
    limit: results[LIMIT],
    remaining: results[REMAINING],
    resetAfterMs: results[RESET_AFTER],
    retryAfterMs: results[RETRY_AFTER],
    policy,
  };
  if (results[WOULD_REFUSE] >= 0) told.wouldRefuse = results[WOULD_REFUSE] === 1;
  return told;
}

function toNative(options) {
  const checked = checkOptions('RateLimiter', options, SCHEMA);
  requireOptions('RateLimiter', checked, ['limit', 'window']);
  const { maxKeys = 1_000_000, overflow = 'evict', dryRun = false } = checked;
  return { quota: nativeQuota(checked), maxKeys, overflow, dryRun };
}

/** The options in force, with those that were given in their place. */
function merge(current, given) {
  const { limit, windowMs: window, burst } = current.quota;
  return {
    quota: nativeQuota({ limit, window, burst, ...given }),
    maxKeys: given.maxKeys ?? current.maxKeys,
    overflow: given.overflow ?? current.overflow,
    dryRun: given.dryRun ?? current.dryRun,
  };
}

/** An option whose other values are for later versions. */
function supported(...choices) {
  return (value, option) => {
    if (choices.includes(value)) return value;
    const accepted =
      choices.length > 0 ? `only ${choices.map((c) => JSON.stringify(c)).join(', ')}` : 'no value';
    throw new SluiceError('UNSUPPORTED', `${option}: this version supports ${accepted}`);
  };
}

module.exports = { RateLimiter, kDecide, kPolicies };
