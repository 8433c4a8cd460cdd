'use strict';

const { DECISION, LIMITER_CALL, MIDDLEWARE } = require('../runtime/layouts');
const { handlesOf, integers, isAdmitted, native, numbers } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { checkName, parseDuration } = require('../runtime/schema');
const { leaveCost } = require('./cost');
const { readDecision } = require('./decision');
const { KeyHandle } = require('./key-handle');
const { creationOptions, replacementOptions } = require('./options');
const { consumeMany } = require('./several');
const { kDecide, kLimits, kPolicies, kPolicyNames, kReceipt, kUndo } = require('./symbols');

const { GENERATION } = DECISION;
const { MORE_AFTER, RECEIPT_AT } = MIDDLEWARE;
const { HANDLE, GUARD } = LIMITER_CALL;
const { consume, decide, decideByLimit, peek, tryConsume } = native;
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
    this.#leave(cost);
    tryConsume(key);
    return isAdmitted();
  }

  consume(key, cost = 1) {
    this.#leave(cost);
    consume(key);
    return readDecision(this[kPolicyNames]());
  }

  async consumeAsync(key, cost = 1) {
    return this.consume(key, cost);
  }

  consumeMany(keys, cost = 1) {
    return consumeMany(this.#handle, keys, cost);
  }

  peek(key) {
    this.#leave(1);
    peek(key);
    return readDecision(this[kPolicyNames]());
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
    this.#leave(cost);
    integers[GUARD] = guard;
    if (limit === undefined) decide(key);
    else decideByLimit(key, limit);
    const decision = readDecision(this[kPolicyNames]());
    decision.moreAfterMs = numbers[MORE_AFTER];
    if (integers[GENERATION] !== this.#generation) this.#policies = undefined;
    this.#generation = integers[GENERATION];
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

  /** The limits in force: `{ name, limit, windowMs }` each. */
  [kLimits]() {
    return native.rateLimiterPolicies(this.#handle);
  }

  [kPolicyNames]() {
    if (integers[GENERATION] !== this.#namesGeneration) this.#followOptions();
    return this.#policyNames;
  }

  /** Reads the names between a call and its answer, which stays where it is. */
  #followOptions() {
    const answer = [integers.slice(), numbers.slice()];
    this.#readPolicyNames(integers[GENERATION]);
    integers.set(answer[0]);
    numbers.set(answer[1]);
  }

  #readPolicyNames(generation) {
    this.#policyNames = native.rateLimiterPolicies(this.#handle).map(({ name }) => name);
    this.#namesGeneration = generation;
  }

  /** Leaves the arguments of a native call. */
  #leave(cost) {
    leaveCost(cost);
    integers[HANDLE] = this.#handle;
  }
}

module.exports = { RateLimiter };
