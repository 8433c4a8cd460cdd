'use strict';

/** A `ReadonlyMap`: what a `Map` reads, and nothing that writes. */
class RegistrySnapshot {
  #map;

  constructor(version, map) {
    this.version = version;
    this.#map = map;
    Object.freeze(this);
  }

  get size() {
    return this.#map.size;
  }

  get(key) {
    return this.#map.get(key);
  }

  has(key) {
    return this.#map.has(key);
  }

  keys() {
    return this.#map.keys();
  }

  values() {
    return this.#map.values();
  }

  entries() {
    return this.#map.entries();
  }

  forEach(visit, thisArg) {
    for (const [key, value] of this.#map) visit.call(thisArg, value, key, this);
  }

  [Symbol.iterator]() {
    return this.#map.entries();
  }
}

module.exports = { RegistrySnapshot };
