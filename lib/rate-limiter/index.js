'use strict';

const { invalid } = require('../runtime/errors');
const { DECISION, LIMITER_CALL, MIDDLEWARE } = require('../runtime/layouts');
const { handlesOf, native, numbers } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { checkName, parseDuration } = require('../runtime/schema');
const { creationOptions, replacementOptions } = require('./options');

const { LIMIT, REMAINING, RESET_AFTER, RETRY_AFTER, WOULD_REFUSE, POLICY, GENERATION } = DECISION;
const { MORE_AFTER, RECEIPT_AT } = MIDDLEWARE;
const { HANDLE, HASH_HIGH, HASH_LOW, COST, GUARD } = LIMITER_CALL;
const NO_GUARD = -1;

/** For the middleware: `consume` with what its headers need, and the policies in force. */
const kDecide = Symbol('sluice.decide');
const kPolicies = Symbol('sluice.policies');
const kPolicyNames = Symbol('sluice.policyNames');
/** For charges that are taken back when the answer is known. */
const kReceipt = Symbol('sluice.receipt');
const kUndo = Symbol('sluice.undo');

/** A handle is free again when the last object of this thread that stands for it was collected. */
const collected = handlesOf(native.releaseRateLimiter);

class RateLimiter {
  #name;
  #handle;
  /** Names of the limits, in order, and the generation of options that they are of. */
  #policyNames;
  #namesGeneration;
  #policies;
  #generation;

  constructor(name, options) {
    checkName('RateLimiter', name);
    this.#name = name;
    const checked = options === undefined ? undefined : creationOptions(name, options);
    const open = (reconfigures) => native.openRateLimiter(name, checked, reconfigures);
    this.#handle = openNamed('RateLimiter', name, options, open);
    collected.register(this, this.#handle);
    this.#readPolicyNames(native.rateLimiterGeneration(this.#handle));
  }

  static destroy(name) {
    checkName('RateLimiter', name);
    return native.destroyRateLimiter(name);
  }

  get name() {
    return this.#name;
  }

  tryConsume(key, cost = 1) {
    numbers[HANDLE] = this.#handle;
    return cost === 1 ? native.tryConsumeOne(key) : native.tryConsume(key, cost);
  }

  consume(key, cost = 1) {
    numbers[HANDLE] = this.#handle;
    const allowed = cost === 1 ? native.consumeOne(key) : native.consume(key, cost);
    return decision(this[kPolicyNames](), allowed);
  }

  async consumeAsync(key, cost = 1) {
    return this.consume(key, cost);
  }

  /** All keys are looked at before the first is charged, so an error charges nobody. */
  consumeMany(keys, cost = 1) {
    if (!Array.isArray(keys)) throw invalid('INVALID_KEY', 'keys', keys, 'an array of non-empty strings');
    // A copy has no holes and no getters, and nobody changes it between the look and the charge.
    const given = [...keys];
    const allowed = new Uint8Array(given.length);
    numbers[HANDLE] = this.#handle;
    const mistake = native.consumeMany(given, cost, allowed);
    if (mistake >= 0) {
      throw invalid('INVALID_KEY', `keys[${mistake}]`, given[mistake], 'a non-empty string');
    }
    const answers = new Array(allowed.length);
    for (let index = 0; index < answers.length; index++) answers[index] = allowed[index] === 1;
    return answers;
  }

  peek(key) {
    numbers[HANDLE] = this.#handle;
    const allowed = native.peek(key);
    return decision(this[kPolicyNames](), allowed);
  }

  /** The key's hash, for calls that need not read the key again. It owns nothing. */
  handle(key) {
    native.hashKey(key);
    return new KeyHandle(this, this.#handle, numbers[HASH_HIGH], numbers[HASH_LOW]);
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
    native.reconfigureRateLimiter(this.#handle, replacementOptions(options));
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

  /**
   * `limit` stands in for the configured one in this call. What is allowed counts for the guard whose handle is
   * given.
   */
  [kDecide](key, cost = 1, limit = undefined, guard = NO_GUARD) {
    numbers[HANDLE] = this.#handle;
    numbers[GUARD] = guard;
    const allowed = this.#decide(key, cost, limit);
    const told = decision(this[kPolicyNames](), allowed);
    told.moreAfterMs = numbers[MORE_AFTER];
    if (numbers[GENERATION] !== this.#generation) this.#policies = undefined;
    this.#generation = numbers[GENERATION];
    return told;
  }

  /** What `kUndo` needs of the decision that was just made. */
  [kReceipt](key, cost) {
    return { key, cost, receipt: numbers.slice(RECEIPT_AT, HANDLE) };
  }

  /** What time has given back since is not given a second time. */
  [kUndo]({ key, cost, receipt }) {
    numbers.set(receipt, RECEIPT_AT);
    native.undoCharge(this.#handle, key, cost);
  }

  /** The policies that the last `kDecide` was decided by; the same array while they stay in force. */
  [kPolicies]() {
    this.#policies ??= native.rateLimiterPolicies(this.#handle);
    return this.#policies;
  }

  /** For the decision that was just made. */
  [kPolicyNames]() {
    const generation = numbers[GENERATION];
    if (generation !== this.#namesGeneration) this.#readPolicyNames(generation);
    return this.#policyNames;
  }

  #readPolicyNames(generation) {
    this.#policyNames = native.rateLimiterPolicies(this.#handle).map(({ name }) => name);
    this.#namesGeneration = generation;
  }

  #decide(key, cost, limit) {
    if (limit !== undefined) return native.decideByLimit(this.#handle, key, cost, limit);
    return cost === 1 ? native.decideOne(key) : native.decide(key, cost);
  }
}

/** A key of a limiter, hashed once. */
class KeyHandle {
  /** Kept so that its handle stays in use. */
  #limiter;
  #handle;
  #high;
  #low;

  constructor(limiter, handle, high, low) {
    this.#limiter = limiter;
    this.#handle = handle;
    this.#high = high;
    this.#low = low;
  }

  get limiter() {
    return this.#limiter;
  }

  tryConsume(cost = 1) {
    this.#leave(cost);
    return native.tryConsumeHashed();
  }

  consume(cost = 1) {
    this.#leave(cost);
    const allowed = native.consumeHashed();
    return decision(this.#limiter[kPolicyNames](), allowed);
  }

  peek() {
    this.#leave(1);
    const allowed = native.peekHashed();
    return decision(this.#limiter[kPolicyNames](), allowed);
  }

  #leave(cost) {
    if (!(Number.isSafeInteger(cost) && cost > 0)) {
      throw invalid('INVALID_COST', 'cost', cost, `an integer from 1 to ${Number.MAX_SAFE_INTEGER}`);
    }
    numbers[HANDLE] = this.#handle;
    numbers[HASH_HIGH] = this.#high;
    numbers[HASH_LOW] = this.#low;
    numbers[COST] = cost;
  }
}

/** The decision that native code has just left. */
function decision(policyNames, allowed) {
  const told = {
    allowed,
    limit: numbers[LIMIT],
    remaining: numbers[REMAINING],
    resetAfterMs: numbers[RESET_AFTER],
    retryAfterMs: numbers[RETRY_AFTER],
    policy: policyNames[numbers[POLICY]],
  };
  if (numbers[WOULD_REFUSE] >= 0) told.wouldRefuse = numbers[WOULD_REFUSE] === 1;
  return told;
}

module.exports = { RateLimiter, kDecide, kPolicies, kReceipt, kUndo };
