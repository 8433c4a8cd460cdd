'use strict';

const { Listeners } = require('./listeners');
const { subscribe, unsubscribe } = require('./native');
const { owned } = require('./schema');

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
   * more; each goes to `source.tell(delivery)`, which emits what it means. When the instance is destroyed, the
   * subscription ends, and nothing of this thread keeps the listeners any more.
   */
  constructor(owner, events, source) {
    this.#events = events;
    this.#listeners = new Listeners(owner, events);
    this.#source = source;
  }

  add(event, listener, options) {
    this.#listeners.add(event, listener, options);
    if (this.#subscription !== undefined) return;
    const subscription = subscribe((delivery) => this.#hear(delivery));
    try {
      this.#source.begin(subscription);
    } catch (error) {
      unsubscribe(subscription);
      this.#listeners.remove(event, listener);
      throw error;
    }
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

  #hear(delivery) {
    if (owned(delivery).kind === 'destroyed') this.#forget();
    else this.#source.tell(delivery);
  }

  #endIfIdle() {
    if (this.#subscription === undefined) return;
    if (this.#events.some((event) => this.#listeners.count(event) > 0)) return;
    this.#source.end(this.#subscription);
    this.#forget();
  }

  #forget() {
    unsubscribe(this.#subscription);
    this.#subscription = undefined;
  }
}

module.exports = { SubscribedListeners };
