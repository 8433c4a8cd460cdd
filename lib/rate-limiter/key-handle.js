'use strict';

const { invalid } = require('../runtime/errors');
const { LIMITER_CALL } = require('../runtime/layouts');
const { native, numbers } = require('../runtime/native');
const { readDecision } = require('./decision');
const { kPolicyNames } = require('./symbols');

const { HANDLE, HASH_HIGH, HASH_LOW, COST } = LIMITER_CALL;

/** A key of a limiter, hashed once. It owns nothing. */
class KeyHandle {
  /** Referenced so that the limiter's handle stays in use. */
  #limiter;
  #handle;
  #high;
  #low;

  constructor(limiter, handle, key) {
    native.hashKey(key);
    this.#limiter = limiter;
    this.#handle = handle;
    this.#high = numbers[HASH_HIGH];
    this.#low = numbers[HASH_LOW];
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
    return readDecision(this.#limiter[kPolicyNames](), allowed);
  }

  peek() {
    this.#leave(1);
    const allowed = native.peekHashed();
    return readDecision(this.#limiter[kPolicyNames](), allowed);
  }

  /** Leaves the arguments of a native call. */
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

module.exports = { KeyHandle };
