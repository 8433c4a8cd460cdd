'use strict';

const { isPromise } = require('node:util/types');

const LEAST_PRUNED = 64;

/** The live objects of one thread: one for each key and version, shared by all clients of the key. */
class LiveObjects {
  #hub;
  #byKey = new Map();
  #pruneAt = LEAST_PRUNED;

  constructor(hub) {
    this.#hub = hub;
  }

  /** The object of an entry, built where this thread has none. An object of a later version is returned as well. */
  of(key, { version, value }, revive, dispose) {
    const existing = this.#byKey.get(key);
    if (existing !== undefined && existing.version >= version) return existing.object;
    const object = revive(value);
    // Removed before `#keep`, whose pruning would dispose of it too.
    this.#byKey.delete(key);
    this.#keep(key, { version, object, dispose });
    if (existing !== undefined) disposeOf(existing);
    return object;
  }

  /** The object of the value that a call would receive now. */
  current(key) {
    const existing = this.#byKey.get(key);
    return existing !== undefined && this.#hub.isCurrent(key, existing.version) ? existing.object : undefined;
  }

  #keep(key, live) {
    if (this.#byKey.size >= this.#pruneAt) this.#prune();
    this.#byKey.set(key, live);
    if (isPromise(live.object)) live.object.catch(() => this.#forget(key, live));
  }

  /** An object whose promise rejects is dropped, so that the next call builds it again. */
  #forget(key, live) {
    if (this.#byKey.get(key) === live) this.#byKey.delete(key);
  }

  /** Disposes of objects whose values are gone. Runs each time the map has doubled, so its cost per key is constant. */
  #prune() {
    for (const [key, existing] of this.#byKey) {
      if (this.#hub.isCurrent(key, existing.version)) continue;
      this.#byKey.delete(key);
      disposeOf(existing);
    }
    this.#pruneAt = Math.max(LEAST_PRUNED, 2 * this.#byKey.size);
  }
}

/** An error of `dispose` is thrown later, so that the caller receives the new object. */
function disposeOf({ object, dispose }) {
  try {
    dispose?.(object);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

module.exports = { LiveObjects };
