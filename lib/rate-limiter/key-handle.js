'use strict';

const { DONE, HASHED_KEY, LIMITER_CALL } = require('../runtime/layouts');
const { integers, isAdmitted, native, noAnswer } = require('../runtime/native');
const { leaveCost } = require('./cost');
const { readDecision } = require('./decision');
const { kCharge, kHasWaited, kJoin, kPolicyNames } = require('./symbols');
const { acquireBy } = require('./waiting/acquire');

const { GUARD, HANDLE, HASH } = LIMITER_CALL;
const { ANSWER } = HASHED_KEY;
const { acquireHashed, consumeHashed, hashKey, joinHashed, peekHashed, tryConsumeHashed } = native;

const NO_GUARD = -1;

/** A key of a limiter, hashed once. It owns nothing. */
class KeyHandle {
  /** Referenced so that the limiter's handle stays in use. */
  #limiter;
  #handle;
  /** The hash, in four small integers: V8 keeps others outside of the object. */
  #high;
  #highRest;
  #low;
  #lowRest;
  [kHasWaited] = false;

  constructor(limiter, handle, key) {
    integers[HANDLE] = handle;
    hashKey(key);
    if (integers[ANSWER] !== DONE) noAnswer();
    this.#limiter = limiter;
    this.#handle = handle;
    this.#high = integers[HASH];
    this.#highRest = integers[HASH + 1];
    this.#low = integers[HASH + 2];
    this.#lowRest = integers[HASH + 3];
  }

  get limiter() {
    return this.#limiter;
  }

  tryConsume(cost = 1) {
    this.#leave(cost);
    tryConsumeHashed();
    return isAdmitted();
  }

  consume(cost = 1) {
    this.#leave(cost);
    consumeHashed();
    return readDecision(this.#limiter[kPolicyNames]());
  }

  acquire(options) {
    return acquireBy(this.#limiter, this, undefined, options);
  }

  [kCharge](_key, cost) {
    this.#leave(cost);
    acquireHashed();
  }

  [kJoin](_key, waits, { cost, timeout }) {
    this.#leave(cost);
    integers[GUARD] = NO_GUARD;
    return joinHashed(waits, timeout);
  }

  peek() {
    this.#leave(1);
    peekHashed();
    return readDecision(this.#limiter[kPolicyNames]());
  }

  /** Leaves the arguments of a native call. */
  #leave(cost) {
    leaveCost(cost);
    integers[HANDLE] = this.#handle;
    integers[HASH] = this.#high;
    integers[HASH + 1] = this.#highRest;
    integers[HASH + 2] = this.#low;
    integers[HASH + 3] = this.#lowRest;
  }
}

/** A key of a limiter that asks a server for units by the key's text. */
class TextHandle {
  #limiter;
  #key;

  constructor(limiter, key) {
    hashKey(key);
    if (integers[ANSWER] !== DONE) noAnswer();
    this.#limiter = limiter;
    this.#key = key;
  }

  get limiter() {
    return this.#limiter;
  }

  tryConsume(cost = 1) {
    return this.#limiter.tryConsume(this.#key, cost);
  }

  consume(cost = 1) {
    return this.#limiter.consume(this.#key, cost);
  }

  acquire(options) {
    return this.#limiter.acquire(this.#key, options);
  }

  peek() {
    return this.#limiter.peek(this.#key);
  }
}

module.exports = { KeyHandle, TextHandle };
