'use strict';

const { Listeners } = require('./listeners');
const { subscribe, unsubscribe } = require('./native');
const { owned } = require('./schema');

/**
 * Listeners to events that may come from other threads, and the subscription of this thread that delivers them. It exists
 * while there are listeners.
 */
class SubscribedListeners {
  #events;
  #listeners;
  #source;
  #subscription;

  /**
   * `source.begin(subscription)` starts deliveries, `source.end(subscription)` stops them. `source.emit(delivery)` emits
   * the event of each. When the instance is destroyed, the subscription ends and the listeners can be collected;
   * `source.destroyed()`, if there is one, is called then.
   */
  constructor(owner, events, source) {
    this.#events = events;
    this.#listeners = new Listeners(owner, events);
    this.#source = source;
  }

  add(event, listener, options) {
    this.#listeners.add(event, listener, options);
    if (this.#subscription !== undefined) return;
    const subscription = subscribe((delivery) => this.#receive(delivery));
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

  #receive(delivery) {
    if (owned(delivery).kind === 'destroyed') {
      this.#forget();
      this.#source.destroyed?.();
    } else this.#source.emit(delivery);
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
