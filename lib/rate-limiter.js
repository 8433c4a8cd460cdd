'use strict';

const { invalid } = require('./errors');
const { native, results } = require('./native');
const { checkName, parseDuration } = require('./options');
const { nativeOptions, replacementOptions } = require('./rate-limiter-options');

// Where native code leaves a decision.
const [LIMIT, REMAINING, RESET_AFTER, RETRY_AFTER, MORE_AFTER, WOULD_REFUSE, GENERATION, POLICY, RECEIPT] =
  results.keys();

/** For the middleware: `consume` with what its headers need, and the policies in force. */
const kDecide = Symbol('sluice.decide');
const kPolicies = Symbol('sluice.policies');
/** For charges that are taken back when the answer is known. */
const kReceipt = Symbol('sluice.receipt');
const kUndo = Symbol('sluice.undo');

/** A handle is free again when the last object of this thread that stands for it was collected. */
const collected = new FinalizationRegistry((handle) => native.releaseRateLimiter(handle));

class RateLimiter {
  #name;
  #handle;
  /** Names of the limits, in order; fixed at creation. */
  #policyNames;
  #policies;
  #generation;

  constructor(name, options) {
    checkName('RateLimiter', name);
    this.#name = name;
    this.#handle = native.openRateLimiter(
      name,
      options === undefined ? undefined : nativeOptions(name, options),
    );
    collected.register(this, this.#handle);
    this.#policyNames = native.rateLimiterOptions(this.#handle).limits.map((limit) => limit.name);
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
    return decision(this.#policyNames, native.consume(this.#handle, key, cost) === 1);
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
    return decision(this.#policyNames, native.peek(this.#handle, key) === 1);
  }

  /** The key's hash, for calls that need not read the key again. It owns nothing. */
  handle(key) {
    native.hashKey(key);
    return new KeyHandle(this, this.#handle, this.#policyNames, results[0], results[1]);
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

  /** Made of the options in force, so it is made anew where another thread has changed them meanwhile. */
  reconfigure(options) {
    let generation;
    let replacement;
    do {
      generation = native.rateLimiterGeneration(this.#handle);
      const current = native.rateLimiterOptions(this.#handle);
      replacement = replacementOptions(this.#name, current, options);
    } while (!native.reconfigureRateLimiter(this.#handle, generation, replacement));
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

  /** `limit` stands in for the configured one in this call. */
  [kDecide](key, cost = 1, limit = undefined) {
    const allowed =
      limit === undefined
        ? native.consume(this.#handle, key, cost)
        : native.consumeWithLimit(this.#handle, key, cost, limit);
    const told = decision(this.#policyNames, allowed === 1);
    told.moreAfterMs = results[MORE_AFTER];
    if (results[GENERATION] !== this.#generation) this.#policies = undefined;
    this.#generation = results[GENERATION];
    return told;
  }

  /** What `kUndo` needs of the decision that was just made. */
  [kReceipt](key, cost) {
    return { key, cost, numbers: results.slice(RECEIPT) };
  }

  /** What time has given back since is not given a second time. */
  [kUndo]({ key, cost, numbers }) {
    results.set(numbers, RECEIPT);
    native.undoCharge(this.#handle, key, cost);
  }

  /** The policies that the last `kDecide` was decided by; the same array while they stay in force. */
  [kPolicies]() {
    this.#policies ??= native
      .rateLimiterOptions(this.#handle)
      .limits.map(({ name, quota }) => ({ name, limit: quota.limit, windowMs: quota.windowMs }));
    return this.#policies;
  }
}

/** A key of a limiter, hashed once. */
class KeyHandle {
  /** Kept so that its handle stays in use. */
  #limiter;
  #handle;
  #policyNames;
  #high;
  #low;

  constructor(limiter, handle, policyNames, high, low) {
    this.#limiter = limiter;
    this.#handle = handle;
    this.#policyNames = policyNames;
    this.#high = high;
    this.#low = low;
  }

  get limiter() {
    return this.#limiter;
  }

  tryConsume(cost = 1) {
    return native.tryConsumeHashed(this.#handle, this.#high, this.#low, cost) === 1;
  }

  consume(cost = 1) {
    const allowed = native.consumeHashed(this.#handle, this.#high, this.#low, cost) === 1;
    return decision(this.#policyNames, allowed);
  }

  peek() {
    return decision(this.#policyNames, native.peekHashed(this.#handle, this.#high, this.#low) === 1);
  }
}

/** The decision that native code has just left. */
function decision(policyNames, allowed) {
  const told = {
    allowed,
    limit: results[LIMIT],
    remaining: results[REMAINING],
    resetAfterMs: results[RESET_AFTER],
    retryAfterMs: results[RETRY_AFTER],
    policy: policyNames[results[POLICY]],
  };
  if (results[WOULD_REFUSE] >= 0) told.wouldRefuse = results[WOULD_REFUSE] === 1;
  return told;
}

module.exports = { RateLimiter, kDecide, kPolicies, kReceipt, kUndo };
