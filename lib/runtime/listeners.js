'use strict';

const { AsyncResource } = require('node:async_hooks');
const { invalid } = require('./errors');
const { NONE } = require('./none');

/**
 * Listeners of one object for the events it has. Each runs in the asynchronous context in which it was
 * added, so AsyncLocalStorage holds; one that throws does not keep the others from being called.
 */
class Listeners {
  #owner;
  #byEvent;

  constructor(owner, events) {
    this.#owner = owner;
    this.#byEvent = new Map(events.map((event) => [event, []]));
  }

  add(event, listener, { once = false } = NONE) {
    const listeners = this.#listenersOf(event);
    if (typeof listener !== 'function') {
      throw invalid('INVALID_OPTION', `${this.#owner} listener`, listener, 'a function');
    }
    const context = new AsyncResource(`sluice:${this.#owner}:${event}`);
    listeners.push({ listener, context, once });
  }

  remove(event, listener) {
    const listeners = this.#listenersOf(event);
    removeAt(
      listeners,
      listeners.findLastIndex((entry) => entry.listener === listener),
    );
  }

  count(event) {
    return this.#listenersOf(event).length;
  }

  emit(event, ...args) {
    const listeners = this.#listenersOf(event);
    for (const entry of [...listeners]) {
      const { listener, context, once } = entry;
      // This very one: the same function may listen otherwise as well.
      if (once) removeAt(listeners, listeners.indexOf(entry));
      try {
        context.runInAsyncScope(listener, undefined, ...args);
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  #listenersOf(event) {
    const listeners = this.#byEvent.get(event);
    if (listeners !== undefined) return listeners;
    const accepted = [...this.#byEvent.keys()].map((name) => `"${name}"`).join(', ');
    throw invalid('INVALID_OPTION', `${this.#owner} event`, event, accepted);
  }
}

function removeAt(listeners, index) {
  if (index >= 0) listeners.splice(index, 1);
}

module.exports = { Listeners };
