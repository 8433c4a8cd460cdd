'use strict';

const { invalidOption } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { checkName } = require('../runtime/schema');
const { DEFAULT_CALL_TIMEOUT_MS, brokerOptions, callOptions, closeTimeout } = require('./options');
const { leaveDestroyed, peerOf } = require('./peers');

/** Threads that find each other by name, call each other, and send each other messages. */
class Broker {
  #name;
  #peer;

  constructor(name, options) {
    checkName('Broker', name);
    const checked = brokerOptions(options);
    this.#name = name;
    const open = (reconfigures) => peerOf(name, checked, reconfigures);
    this.#peer = openNamed('Broker', name, checked, open);
  }

  /** Makes every thread leave; their in-flight calls reject. */
  static destroy(name) {
    checkName('Broker', name);
    const isDestroyed = native.destroyBroker(name);
    if (isDestroyed) leaveDestroyed(name);
    return isDestroyed;
  }

  get name() {
    return this.#name;
  }

  get id() {
    return this.#peer.id;
  }

  handle(endpoint, handler) {
    checkName('Broker endpoint', endpoint);
    if (typeof handler !== 'function') throw invalidOption('Broker handler', handler, 'a function');
    this.#peer.handle(endpoint, handler);
    return this;
  }

  unhandle(endpoint) {
    checkName('Broker endpoint', endpoint);
    return this.#peer.unhandle(endpoint);
  }

  /** Invalid arguments reject as well. */
  call(endpoint, payload, options) {
    try {
      checkName('Broker endpoint', endpoint);
      if (options === undefined) return this.#peer.caller.call(endpoint, payload, DEFAULT_CALL_TIMEOUT_MS);
      const { timeout = DEFAULT_CALL_TIMEOUT_MS, signal, to } = callOptions(options);
      return this.#peer.caller.call(endpoint, payload, timeout, signal, to);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  send(peerId, payload) {
    checkName('Broker peer', peerId);
    this.#peer.messages.send(peerId, payload);
  }

  broadcast(payload) {
    return this.#peer.messages.broadcast(payload);
  }

  on(event, listener) {
    this.#peer.on(event, listener, false);
    return this;
  }

  once(event, listener) {
    this.#peer.on(event, listener, true);
    return this;
  }

  off(event, listener) {
    this.#peer.off(event, listener);
    return this;
  }

  peers() {
    return this.#peer.peers();
  }

  endpoints() {
    return this.#peer.endpoints();
  }

  /** Invalid arguments reject. */
  async spawn(file, options) {
    return this.#peer.spawn(file, options);
  }

  get pendingCount() {
    return this.#peer.pendingCount;
  }

  ref() {
    this.#peer.setRef(true);
    return this;
  }

  unref() {
    this.#peer.setRef(false);
    return this;
  }

  close(options) {
    return this.#peer.close(closeTimeout(options));
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }

  stats() {
    return this.#peer.stats();
  }
}

module.exports = { Broker };
