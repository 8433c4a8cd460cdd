'use strict';

const { SluiceError } = require('../runtime/errors');
const { handlesOf, native } = require('../runtime/native');
const { checkName } = require('../runtime/schema');
const { LazySignal } = require('./lazy-signal');
const { checkReason } = require('./reason');

/** Releases the number of a token when no object uses it any more: once its lifecycle was destroyed. */
const collected = handlesOf(native.releaseToken);

/** A part of the work: cancelled with its lifecycle, with the token above it, or on its own. */
class LifecycleToken {
  #name;
  #number;
  #part;
  #signal;
  #children;

  constructor(name, number, { part, signal, children }) {
    this.#name = name;
    this.#number = number;
    this.#part = part;
    this.#signal = signal;
    this.#children = children;
    collected.register(this, number);
  }

  get name() {
    return this.#name;
  }

  get isCancelled() {
    return native.tokenIsCancelled(this.#number);
  }

  get signal() {
    this.#part.followReset();
    return this.#signal.signal;
  }

  child(name) {
    return this.#children.open(name);
  }

  cancel(reason) {
    checkReason('cancel reason', reason);
    return native.cancelToken(this.#number, reason);
  }

  track(work) {
    return this.#part.track(work, this.#signal);
  }
}

/** The tokens below a lifecycle or another token, one for each name. */
class Tokens {
  #part;
  #parent;
  #byName = new Map();

  /** `parent` is the number of the token above; `undefined` below a lifecycle. */
  constructor(part, parent) {
    this.#part = part;
    this.#parent = parent;
  }

  open(name) {
    checkName('child', name);
    let entry = this.#byName.get(name);
    if (entry === undefined) {
      entry = this.#make(name);
      this.#byName.set(name, entry);
    }
    return entry.token;
  }

  /** Something of the lifecycle changed. */
  refresh() {
    for (const { signal, children } of this.#byName.values()) {
      signal.refresh();
      children.refresh();
    }
  }

  /** After a reset, no token is cancelled. */
  renew() {
    for (const { signal, children } of this.#byName.values()) {
      signal.renew();
      children.renew();
    }
  }

  #make(name) {
    const part = this.#part;
    const number = native.openToken(part.handle, this.#parent, name);
    const signal = new LazySignal(
      () => native.tokenIsCancelled(number),
      () => (part.isCancelled ? part.error() : cancelled(part, name, number)),
    );
    const children = new Tokens(part, number);
    return { token: new LifecycleToken(name, number, { part, signal, children }), signal, children };
  }
}

function cancelled(part, name, number) {
  const reason = native.tokenReason(number);
  const why = reason === null ? '' : `: ${reason}`;
  return new SluiceError('SHUTTING_DOWN', `"${name}" of ${part.title} was cancelled${why}`);
}

module.exports = { Tokens };
