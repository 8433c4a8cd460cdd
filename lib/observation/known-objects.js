'use strict';

/** Entries before the first look for those whose instances were destroyed. */
const FEW = 16;

/** What this thread keeps for each instance, by kind and name. Entries of destroyed instances are dropped as others are added. */
class KnownObjects {
  #entries = new Map();
  #isGone;
  #onGone;
  #nextLook = FEW;

  /** `isGone(kind, entry)` answers whether the instance was destroyed; `onGone(entry)` is called before its entry is dropped. */
  constructor(isGone, onGone = (_entry) => {}) {
    this.#isGone = isGone;
    this.#onGone = onGone;
  }

  get size() {
    return this.#entries.size;
  }

  /** The entry of an instance that exists. */
  get(kind, name) {
    const key = keyOf(kind, name);
    const known = this.#entries.get(key);
    if (known === undefined || !this.#isGone(kind, known.entry)) return known?.entry;
    this.#drop(key, known);
    return undefined;
  }

  set(kind, name, entry) {
    // So seldom that an addition costs the same, however many there are.
    if (this.#entries.size >= this.#nextLook) this.#dropGone();
    this.#entries.set(keyOf(kind, name), { kind, entry });
  }

  /** Drops the entry, unless another has taken its place. */
  delete(kind, name, entry) {
    const key = keyOf(kind, name);
    if (this.#entries.get(key)?.entry === entry) this.#entries.delete(key);
  }

  #dropGone() {
    for (const [key, known] of this.#entries) {
      if (this.#isGone(known.kind, known.entry)) this.#drop(key, known);
    }
    this.#nextLook = Math.max(FEW, 2 * this.#entries.size);
  }

  #drop(key, { entry }) {
    this.#entries.delete(key);
    this.#onGone(entry);
  }
}

function keyOf(kind, name) {
  return `${kind} ${name}`;
}

module.exports = { KnownObjects };
