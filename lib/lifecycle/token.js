'use strict';

const { SluiceError } = require('../errors');
const { native } = require('../native');
const { checkName } = require('../options');
const { LazySignal } = require('./lazy-signal');
const { checkReason } = require('./reason');

const collected = new FinalizationRegistry((token) => native.releaseToken(token));

/** A part of the work: cancelled with its lifecycle, with the token above it, or by itself. */
class LifecycleToken {
  #name;
  #part;
  #token;
  #signal;
  #children;

  /** `part` is this thread's in the lifecycle, `parent` the native number of the token above. */
  constructor(part, name, parent) {
    this.#name = name;
    this.#part = part;
    this.#token = native.openToken(part.handle, parent, name);
    collected.register(this, this.#token);
    this.#signal = new LazySignal(
      () => this.isCancelled,
      () => this.#error(),
    );
    this.#children = new Tokens(part, this.#token);
  }

  get name() {
    return this.#name;
  }

  get isCancelled() {
    return native.tokenIsCancelled(this.#token);
  }

  get signal() {
    return this.#signal.signal;
  }

  child(name) {
    return this.#children.open(name);
  }

  cancel(reason) {
    checkReason('cancel reason', reason);
    return native.cancelToken(this.#token, reason);
  }

  track(work) {
    return this.#part.track(work, this.#signal);
  }

  /** Something of the lifecycle changed. */
  look() {
    this.#signal.look();
    this.#children.look();
  }

  #error() {
    if (native.lifecycleIsCancelled(this.#part.handle)) return this.#part.error();
    const reason = native.tokenReason(this.#token);
    const why = reason === null ? '' : `: ${reason}`;
    return new SluiceError('SHUTTING_DOWN', `"${this.#name}" of ${this.#part.title} was cancelled${why}`);
  }
}

/** The tokens below a lifecycle or a token, one object for each name. */
class Tokens {
  #part;
  #parent;
  #byName = new Map();

  constructor(part, parent) {
    this.#part = part;
    this.#parent = parent;
  }

  open(name) {
    checkName('child', name);
    let token = this.#byName.get(name);
    if (token === undefined) {
      token = new LifecycleToken(this.#part, name, this.#parent);
      this.#byName.set(name, token);
    }
    return token;
  }

  look() {
    for (const token of this.#byName.values()) token.look();
  }
}

module.exports = { Tokens };
