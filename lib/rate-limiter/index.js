'use strict';

const { invalid } = require('../runtime/errors');
const { DECISION, LIMITER_CALL, MIDDLEWARE, QUICK_LIMITER_CALL } = require('../runtime/layouts');
const { handlesOf, integers, isAdmitted, native, numbers } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { checkName, parseDuration } = require('../runtime/schema');
const { readDecision } = require('./decision');
const { KeyHandle } = require('./key-handle');
const { creationOptions, replacementOptions } = require('./options');
const { kDecide, kPolicies, kPolicyNames, kReceipt, kUndo } = require('./symbols');

const { GENERATION } = DECISION;
const { MORE_AFTER, RECEIPT_AT } = MIDDLEWARE;
const { HANDLE, GUARD } = LIMITER_CALL;
const { HANDLE: CALLED } = QUICK_LIMITER_CALL;
const { tryConsumeOne } = native;
const AFTER_RECEIPT = MORE_AFTER + MIDDLEWARE.LENGTH;
const NO_GUARD = -1;

/** A native handle is released when the last object of this thread that stands for it is collected. */
const collected = handlesOf(native.releaseRateLimiter);

class RateLimiter {
  #name;
  #handle;
  /** Names of the limits, in order, and the generation of the options that they belong to. */
  #policyNames;
  #namesGeneration;
  /** The policies in force, once read, and the generation of the last decision. */
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
    if (cost === 1) {
      integers[CALLED] = this.#handle;
      tryConsumeOne(key);
      return isAdmitted();
    }
    numbers[HANDLE] = this.#handle;
    return native.tryConsume(key, cost);
  }

  consume(key, cost = 1) {
    numbers[HANDLE] = this.#handle;
    const allowed = cost === 1 ? native.consumeOne(key) : native.consume(key, cost);
    return readDecision(this[kPolicyNames](), allowed);
  }

  async consumeAsync(key, cost = 1) {
    return this.consume(key, cost);
  }

  /** All keys are checked before the first is charged, so an error charges none. */
  consumeMany(keys, cost = 1) {
    if (!Array.isArray(keys)) throw invalid('INVALID_KEY', 'keys', keys, 'an array of non-empty strings');
    // A copy has no holes and no getters, and does not change between the check and the charge.
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
    return readDecision(this[kPolicyNames](), allowed);
  }

  handle(key) {
    return new KeyHandle(this, this.#handle, key);
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

  /** `limit` replaces the configured one for this call. An admitted call is counted for the guard of this handle. */
  [kDecide](key, cost = 1, limit = undefined, guard = NO_GUARD) {
    numbers[HANDLE] = this.#handle;
    numbers[GUARD] = guard;
    const allowed = this.#decide(key, cost, limit);
    const decision = readDecision(this[kPolicyNames](), allowed);
    decision.moreAfterMs = numbers[MORE_AFTER];
    if (numbers[GENERATION] !== this.#generation) this.#policies = undefined;
    this.#generation = numbers[GENERATION];
    return decision;
  }

  /** What `kUndo` needs to take the last decision back. */
  [kReceipt](key, cost) {
    return { key, cost, receipt: numbers.slice(RECEIPT_AT, AFTER_RECEIPT) };
  }

  /** What time has returned since is not returned twice. */
  [kUndo]({ key, cost, receipt }) {
    numbers.set(receipt, RECEIPT_AT);
    native.undoCharge(this.#handle, key, cost);
  }

  /** The policies that decided the last `kDecide`; the same array while they are in force. */
  [kPolicies]() {
    this.#policies ??= native.rateLimiterPolicies(this.#handle);
    return this.#policies;
  }

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

module.exports = { RateLimiter };
