'use strict';

const { Listeners } = require('./listeners');
const { subscribe, unsubscribe } = require('./native');

/**
 * Listeners to what other threads tell as well, and the subscription of this thread that brings it, which exists
 * while anybody listens.
 */
class SubscribedListeners {
  #events;
  #listeners;
  #source;
  #subscription;

  /**
   * `source.begin(subscription)` asks native code for deliveries under that number, `source.end(subscription)` for no
   * more; each goes to `source.tell(delivery)`, which emits what it means.
   */
  constructor(owner, events, source) {
    this.#events = events;
    this.#listeners = new Listeners(owner, events);
    this.#source = source;
  }

  add(event, listener, options) {
    this.#listeners.add(event, listener, options);
    if (this.#subscription !== undefined) return;
    const subscription = subscribe((delivery) => this.#source.tell(delivery));
    this.#source.begin(subscription);
    this.#subscription = subscription;
  }

  remove(event, listener) {
    this.#listeners.remove(event, listener);
    this.#endIfIdle();
  }

  count(event) {
    return this.#listeners.count(event);
  }

  emit(event, ...args) {
    this.#listeners.emit(event, ...args);
    this.#endIfIdle();
  }

  #endIfIdle() {
    if (this.#subscription === undefined) return;
    if (this.#events.some((event) => this.#listeners.count(event) > 0)) return;
    this.#source.end(this.#subscription);
    unsubscribe(this.#subscription);
    this.#subscription = undefined;
  }
}

module.exports = { SubscribedListeners };
