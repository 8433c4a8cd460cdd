'use strict';

const { invalid, SluiceError } = require('../runtime/errors');
const { handlesOf, native, versions } = require('../runtime/native');
const { onMismatch } = require('../runtime/on-mismatch');
const { checkName, checkOptions, checkTextKey } = require('../runtime/schema');
const { SubscribedListeners } = require('../runtime/subscribed-listeners');
const { decode, encode } = require('../runtime/value');

const LEAST_PRUNED = 64;

/**
 * Updates whose functions run in this thread now, the innermost last: `{ handle, key, writes, repeats, isRefused }`.
 * `writes` says that the function has written its own key, `repeats` that it had when it was called before.
 */
const updates = [];

const collected = handlesOf(native.releaseRegistry);

class Registry {
  #name;
  #handle;
  /** What this thread has decoded, by key: `{ version, value, checkedAt }`, current when that is the version shown now. */
  #decoded = new Map();
  #pruneAt = LEAST_PRUNED;
  #listeners = new SubscribedListeners('Registry', ['change'], {
    begin: (subscription) => native.registrySubscribe(this.#handle, subscription),
    end: (subscription) => native.registryUnsubscribe(this.#handle, subscription),
    tell: (delivery) => this.#tell(delivery),
  });

  constructor(name, options = {}) {
    checkName('Registry', name);
    checkOptions('Registry', options, { onMismatch });
    this.#name = name;
    this.#handle = native.openRegistry(name);
    collected.register(this, this.#handle);
  }

  static destroy(name) {
    checkName('Registry', name);
    return native.destroyRegistry(name);
  }

  get name() {
    return this.#name;
  }

  get(key) {
    return this.#read(key)?.value;
  }

  getOrThrow(key) {
    const entry = this.#read(key);
    if (entry !== undefined) return entry.value;
    const message = `Registry "${this.#name}" has no key ${JSON.stringify(key)}; set it first, or use get`;
    throw new SluiceError('NOT_FOUND', message);
  }

  has(key) {
    return this.#read(key) !== undefined;
  }

  set(key, value) {
    checkTextKey('key', key);
    this.#enterWrite(key);
    return native.registrySet(this.#handle, key, encode(value, 'value')).version;
  }

  setIfAbsent(key, value) {
    checkTextKey('key', key);
    this.#enterWrite(key);
    return native.registrySetIfAbsent(this.#handle, key, encode(value, 'value')).done;
  }

  /** Repeats with the newer value until no other thread wrote between reading and writing. */
  update(key, change) {
    if (typeof change !== 'function')
      throw invalid('INVALID_OPTION', 'update', change, 'a function of the old value');
    checkTextKey('key', key);
    this.#enterWrite(key);
    const update = { handle: this.#handle, key, writes: false, repeats: false, isRefused: false };
    for (;;) {
      const entry = this.#read(key);
      const bytes = encode(this.#changed(update, change, entry?.value), 'value');
      const { done, version } = native.registryCompareAndSet(this.#handle, key, entry?.version, bytes);
      if (done) return this.#keep(key, version, bytes, shown(version)).value;
    }
  }

  delete(key) {
    checkTextKey('key', key);
    this.#enterWrite(key);
    return native.registryDelete(this.#handle, key).done;
  }

  keys() {
    return native.registryKeys(this.#handle)[Symbol.iterator]();
  }

  entries() {
    return this.snapshot().entries();
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  get size() {
    return native.registrySize(this.#handle);
  }

  get version() {
    return native.registryVersion(this.#handle);
  }

  /** All values at one moment, as a map that cannot be changed. */
  snapshot() {
    const { version, keys, versions: entryVersions, values } = native.registrySnapshot(this.#handle);
    const entryAt = (index) =>
      this.#current(keys[index], entryVersions[index], () => values[index], shown(version));
    const entries = keys.map((key, index) => [key, entryAt(index)]);
    // What is in the snapshot is all there is: nothing else decoded is still needed.
    this.#decoded = new Map(entries);
    return new RegistrySnapshot(version, new Map(entries.map(([key, { value }]) => [key, value])));
  }

  replaceAll(entries) {
    const pairs = [...pairsOf(entries)];
    for (const pair of pairs) {
      if (!Array.isArray(pair)) throw invalid('INVALID_VALUE', 'an entry', pair, 'an array of key and value');
      checkTextKey('key', pair[0]);
    }
    const values = new Map(pairs);
    const bytes = [...values].map(([key, value]) => encode(value, `value of ${JSON.stringify(key)}`));
    this.#enterWrite();
    return native.registryReplaceAll(this.#handle, [...values.keys()], bytes);
  }

  on(event, listener) {
    this.#listeners.add(event, listener);
    return this;
  }

  once(event, listener) {
    this.#listeners.add(event, listener, { once: true });
    return this;
  }

  off(event, listener) {
    this.#listeners.remove(event, listener);
    return this;
  }

  /** The value that the function of `update` makes of the old one. */
  #changed(update, change, value) {
    update.repeats = update.writes;
    updates.push(update);
    try {
      const changed = change(value);
      // The function may have caught the error of its own write.
      if (update.isRefused) throw this.#writesOwnKey(update.key);
      return changed;
    } finally {
      updates.pop();
    }
  }

  /**
   * A function of `update` that writes its own key is called again, as after the write of another thread. One that
   * does so each time would be called for ever: it is refused the second time. Without a key, all are written.
   */
  #enterWrite(key) {
    if (updates.length === 0) return;
    const own = updates.filter(
      (update) => update.handle === this.#handle && (key ?? update.key) === update.key,
    );
    for (const update of own) {
      update.isRefused = update.repeats || own.length > 1;
      if (update.isRefused) throw this.#writesOwnKey(update.key);
      update.writes = true;
    }
  }

  #writesOwnKey(key) {
    const message = `Registry "${this.#name}": the function of update writes ${JSON.stringify(key)}, the key that it updates, each time; accepted: to return the new value`;
    return new SluiceError('UNSUPPORTED', message);
  }

  #tell({ key, version, missed }) {
    this.#listeners.emit('change', missed > 0 ? { key, version, missed } : { key, version });
  }

  /**
   * The decoded entry of a key. While no thread writes, that is two look-ups; after a write, each key read
   * asks once for its own version and keeps its value if that is the same.
   */
  #read(key) {
    const handle = this.#handle;
    const version =
      handle < versions.length ? Atomics.load(versions, handle) : shown(native.registryVersion(handle));
    const known = this.#decoded.get(key);
    if (known?.checkedAt === version) return known;
    checkTextKey('key', key);
    if (known !== undefined && native.registryEntryVersion(this.#handle, key) === known.version) {
      known.checkedAt = version;
      return known;
    }
    this.#decoded.delete(key);
    const entry = native.registryGet(this.#handle, key);
    return entry === null ? undefined : this.#keep(key, entry.version, entry.value, version);
  }

  #keep(key, version, bytes, checkedAt) {
    const entry = this.#current(key, version, () => bytes, checkedAt);
    if (this.#decoded.size >= this.#pruneAt) this.#prune();
    this.#decoded.set(key, entry);
    return entry;
  }

  /** The entry as this thread decoded it before, or decoded now. */
  #current(key, version, bytes, checkedAt) {
    const known = this.#decoded.get(key);
    if (known?.version !== version) return { version, value: decode(bytes()), checkedAt };
    known.checkedAt = checkedAt;
    return known;
  }

  /** Drops values of keys that are gone. Done when they may be the half, it costs little per key. */
  #prune() {
    for (const [key, known] of this.#decoded) {
      if (native.registryEntryVersion(this.#handle, key) !== known.version) this.#decoded.delete(key);
    }
    this.#pruneAt = Math.max(LEAST_PRUNED, 2 * this.#decoded.size);
  }
}

/** A version as threads are shown it. */
function shown(version) {
  return version % 2 ** 31;
}

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

function pairsOf(entries) {
  if (entries !== null && typeof entries === 'object') {
    if (typeof entries[Symbol.iterator] === 'function') return entries;
    return Object.entries(entries);
  }
  throw invalid('INVALID_VALUE', 'entries', entries, 'an iterable of [key, value], a Map or an object');
}

module.exports = { Registry };
