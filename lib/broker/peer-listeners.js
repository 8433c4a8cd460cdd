'use strict';

const { Listeners } = require('../runtime/listeners');
const { keepAlive, letGo } = require('../runtime/native');

const EVENTS = ['message', 'peerJoin', 'peerLeave', 'drain'];

/** The listeners of a peer. Handlers and `'message'` listeners keep the thread alive, unless `setRef(false)`. */
class PeerListeners {
  #listeners = new Listeners('Broker', EVENTS);
  #membership;
  #service;
  #isRef = true;
  #keepsAlive = false;

  constructor({ membership, service }) {
    this.#membership = membership;
    this.#service = service;
  }

  add(event, listener, once) {
    this.#listeners.add(event, listener, { once });
    this.updateKeepAlive();
  }

  remove(event, listener) {
    this.#listeners.remove(event, listener);
    this.updateKeepAlive();
  }

  count(event) {
    return this.#listeners.count(event);
  }

  emit(event, ...args) {
    this.#listeners.emit(event, ...args);
    // A `once` listener may have been the last.
    if (this.#keepsAlive) this.updateKeepAlive();
  }

  setRef(isRef) {
    this.#isRef = isRef;
    this.updateKeepAlive();
  }

  /** Called whenever the reasons for keeping the thread alive have changed. */
  updateKeepAlive() {
    const isServing = this.#service.size > 0 || this.count('message') > 0;
    const keepsAlive = !this.#membership.hasLeft && this.#isRef && isServing;
    if (keepsAlive === this.#keepsAlive) return;
    this.#keepsAlive = keepsAlive;
    if (keepsAlive) keepAlive();
    else letGo();
  }
}

module.exports = { PeerListeners };
