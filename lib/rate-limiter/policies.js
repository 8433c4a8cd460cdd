'use strict';

const { DECISION } = require('../runtime/layouts');
const { integers, native, numbers } = require('../runtime/native');

const { GENERATION } = DECISION;

/** The limits of a limiter as this thread has read them. They are read anew once its options have changed. */
class Policies {
  #handle;
  /** Names of the limits, in order, and the generation of the options that they belong to. */
  #names;
  #namesGeneration;
  /** The policies in force, once read, and the generation of the last decision. */
  #current;
  #generation;

  constructor(handle) {
    this.#handle = handle;
    this.#readNames(native.rateLimiterGeneration(handle));
  }

  /** `{ name, limit, windowMs }` of each limit; the same array while they are in force. */
  get current() {
    this.#current ??= this.read();
    return this.#current;
  }

  /** As `current`, read anew. */
  read() {
    return native.rateLimiterPolicies(this.#handle);
  }

  /** The names for the answer that native code has just left, which stays where it is. */
  get names() {
    if (integers[GENERATION] !== this.#namesGeneration) this.#followAnswer();
    return this.#names;
  }

  /** The names for a decision of that generation. */
  namesOf(generation) {
    if (generation !== this.#namesGeneration) this.#readNames(generation);
    return this.#names;
  }

  /** A decision of that generation was the last one. */
  follow(generation) {
    if (generation !== this.#generation) this.#current = undefined;
    this.#generation = generation;
  }

  #followAnswer() {
    const answer = [integers.slice(), numbers.slice()];
    this.#readNames(integers[GENERATION]);
    integers.set(answer[0]);
    numbers.set(answer[1]);
  }

  #readNames(generation) {
    this.#names = this.read().map(({ name }) => name);
    this.#namesGeneration = generation;
  }
}

module.exports = { Policies };
