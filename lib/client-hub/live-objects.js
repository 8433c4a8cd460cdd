'use strict';

const { isPromise } = require('node:util/types');

const LEAST_PRUNED = 64;

/** What one thread has built of values, by key: one object for each key and version, whichever client asked for it. */
class LiveObjects {
  #hub;
  #byKey = new Map();
  #pruneAt = LEAST_PRUNED;

  constructor(hub) {
    this.#hub = hub;
  }

  /** The object of an entry, built now if this thread has none. One of a later version stands for earlier ones too. */
  of(key, { version, value }, revive, dispose) {
    const existing = this.#byKey.get(key);
    if (existing !== undefined && existing.version >= version) return existing.object;
    const object = revive(value);
    // Not among those that are looked through: each is disposed of once.
    this.#byKey.delete(key);
    this.#keep(key, { version, object, dispose });
    if (existing !== undefined) disposeOf(existing);
    return object;
  }

  /** The object of what a call would be answered with now. */
  current(key) {
    const existing = this.#byKey.get(key);
    return existing !== undefined && this.#hub.isCurrent(key, existing.version) ? existing.object : undefined;
  }

  #keep(key, live) {
    if (this.#byKey.size >= this.#pruneAt) this.#prune();
    this.#byKey.set(key, live);
    if (isPromise(live.object)) live.object.catch(() => this.#forget(key, live));
  }

  /** What could not be built is tried anew by the next who asks. */
  #forget(key, live) {
    if (this.#byKey.get(key) === live) this.#byKey.delete(key);
  }

  /** Gives up those whose values are gone. Done when they may be the half, it costs little per key. */
  #prune() {
    for (const [key, existing] of this.#byKey) {
      if (this.#hub.isCurrent(key, existing.version)) continue;
      this.#byKey.delete(key);
      disposeOf(existing);
    }
    this.#pruneAt = Math.max(LEAST_PRUNED, 2 * this.#byKey.size);
  }
}

/** What it throws must not keep the caller from the new object. */
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
