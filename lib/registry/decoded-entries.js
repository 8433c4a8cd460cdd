'use strict';

/** No version that is shown: they are not negative, and a registry that ended shows -1. */
const NEVER = -2;

/**
 * What a thread has decoded of a registry: `{ version, value, checkedAt }` by key. An entry is current while the registry
 * shows the version `checkedAt`.
 */
class DecodedEntries {
  #entries = new Map();
  /**
   * Values of entries with `checkedAt` equal to `#checkedAt`: one look-up instead of one and an object. Filled by the
   * second read at a version, so that a registry which is written between any two reads does not pay for it.
   */
  #values = new Map();
  #checkedAt = NEVER;

  get size() {
    return this.#entries.size;
  }

  /** Values that are current at the version `valuesAt`, by key; to read others takes `current` or more. */
  get values() {
    return this.#values;
  }

  get valuesAt() {
    return this.#checkedAt;
  }

  /** The entry that is current at this version. */
  current(key, version) {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.checkedAt !== version) return undefined;
    if (version !== this.#checkedAt) {
      this.#values = new Map();
      this.#checkedAt = version;
    }
    this.#values.set(key, entry.value);
    return entry;
  }

  /** The entry, current or not. */
  get(key) {
    return this.#entries.get(key);
  }

  set(key, entry) {
    this.#values.delete(key);
    this.#entries.set(key, entry);
  }

  delete(key) {
    this.#values.delete(key);
    this.#entries.delete(key);
  }

  /** Makes these the only entries. */
  replaceAll(entries) {
    this.#values = new Map();
    this.#checkedAt = NEVER;
    this.#entries = new Map(entries);
  }

  [Symbol.iterator]() {
    return this.#entries[Symbol.iterator]();
  }
}

module.exports = { DecodedEntries };
