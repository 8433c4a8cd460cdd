'use strict';

const { invalid, SluiceError } = require('../runtime/errors');
const { DISTINCT_VERSIONS } = require('../runtime/layouts');
const { handlesOf, native, versions } = require('../runtime/native');
const { onMismatch } = require('../runtime/on-mismatch');
const { checkName, checkOptions, checkTextKey } = require('../runtime/schema');
const { SubscribedListeners } = require('../runtime/subscribed-listeners');
const { decode, encode } = require('../runtime/value');
const { DecodedEntries } = require('./decoded-entries');
const { RunningUpdate } = require('./running-updates');
const { RegistrySnapshot } = require('./snapshot');

/** Fewer decoded values are never pruned. */
const LEAST_PRUNED = 64;

/** A native handle is released when the last object of this thread that stands for it is collected. */
const collected = handlesOf(native.releaseRegistry);

class Registry {
  #name;
  #handle;
  #decoded = new DecodedEntries();
  /** As of `#decoded`: one step less for each read. */
  #values = this.#decoded.values;
  #valuesAt = this.#decoded.valuesAt;
  #pruneAt = LEAST_PRUNED;
  #listeners = new SubscribedListeners('Registry', ['change'], {
    begin: (subscription) => native.registrySubscribe(this.#handle, subscription),
    end: (subscription) => native.registryUnsubscribe(this.#handle, subscription),
    emit: (delivery) => this.#report(delivery),
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
    const version = this.#versionShown();
    const value = version === this.#valuesAt ? this.#values.get(key) : undefined;
    return value === undefined ? this.#read(key, version)?.value : value;
  }

  getOrThrow(key) {
    const version = this.#versionShown();
    const value = version === this.#valuesAt ? this.#values.get(key) : undefined;
    if (value !== undefined) return value;
    const entry = this.#read(key, version);
    if (entry !== undefined) return entry.value;
    const message = `Registry "${this.#name}" has no key ${JSON.stringify(key)}; set it first, or use get`;
    throw new SluiceError('NOT_FOUND', message);
  }

  has(key) {
    const version = this.#versionShown();
    const value = version === this.#valuesAt ? this.#values.get(key) : undefined;
    return value !== undefined || this.#read(key, version) !== undefined;
  }

  set(key, value) {
    checkTextKey('key', key);
    RunningUpdate.enterWrite(this.#handle, key);
    return native.registrySet(this.#handle, key, encode(value, 'value')).version;
  }

  setIfAbsent(key, value) {
    checkTextKey('key', key);
    RunningUpdate.enterWrite(this.#handle, key);
    return native.registrySetIfAbsent(this.#handle, key, encode(value, 'value')).done;
  }

  /** Repeats with the newer value until no other thread wrote between reading and writing. */
  update(key, change) {
    if (typeof change !== 'function')
      throw invalid('INVALID_OPTION', 'update', change, 'a function of the old value');
    checkTextKey('key', key);
    RunningUpdate.enterWrite(this.#handle, key);
    const update = new RunningUpdate(this.#name, this.#handle, key);
    for (;;) {
      const entry = this.#read(key, this.#versionShown());
      const bytes = encode(update.run(change, entry?.value), 'value');
      const { done, version } = native.registryCompareAndSet(this.#handle, key, entry?.version, bytes);
      if (done) return this.#keep(key, version, bytes, shown(version)).value;
    }
  }

  delete(key) {
    checkTextKey('key', key);
    RunningUpdate.enterWrite(this.#handle, key);
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
    // The snapshot has every key, so no other decoded value is needed.
    this.#decoded.replaceAll(entries);
    this.#takeValues();
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
    RunningUpdate.enterWrite(this.#handle);
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

  #report({ key, version, missed }) {
    this.#listeners.emit('change', missed > 0 ? { key, version, missed } : { key, version });
  }

  /** The version that this thread is shown, and decoded entries are checked at. */
  #versionShown() {
    const handle = this.#handle;
    return handle < versions.length ? Atomics.load(versions, handle) : shown(native.registryVersion(handle));
  }

  /**
   * The decoded entry of a key at the version shown. While no thread writes, a read is two look-ups. After a write, the
   * first read of each key asks for the key's own version, and keeps its value if that is the same.
   */
  #read(key, version) {
    const current = this.#decoded.current(key, version);
    if (current !== undefined) {
      this.#takeValues();
      return current;
    }
    checkTextKey('key', key);
    const known = this.#decoded.get(key);
    if (known !== undefined && native.registryEntryVersion(this.#handle, key) === known.version) {
      known.checkedAt = version;
      return known;
    }
    this.#decoded.delete(key);
    const entry = native.registryGet(this.#handle, key);
    return entry === null ? undefined : this.#keep(key, entry.version, entry.value, version);
  }

  /** After each call that may replace the values of `#decoded`, or the version that they are current at. */
  #takeValues() {
    this.#values = this.#decoded.values;
    this.#valuesAt = this.#decoded.valuesAt;
  }

  #keep(key, version, bytes, checkedAt) {
    const entry = this.#current(key, version, () => bytes, checkedAt);
    if (this.#decoded.size >= this.#pruneAt) this.#prune();
    this.#decoded.set(key, entry);
    return entry;
  }

  /** The entry as this thread has decoded it before, or decodes it now. */
  #current(key, version, bytes, checkedAt) {
    const known = this.#decoded.get(key);
    if (known?.version !== version) return { version, value: decode(bytes()), checkedAt };
    known.checkedAt = checkedAt;
    return known;
  }

  /** Drops values of keys that are gone. The cost per key is small, as it runs when half of them may be gone. */
  #prune() {
    for (const [key, known] of this.#decoded) {
      if (native.registryEntryVersion(this.#handle, key) !== known.version) this.#decoded.delete(key);
    }
    this.#pruneAt = Math.max(LEAST_PRUNED, 2 * this.#decoded.size);
  }
}

/** A version as `versions` shows it. */
function shown(version) {
  return version % DISTINCT_VERSIONS;
}

function pairsOf(entries) {
  if (entries !== null && typeof entries === 'object') {
    if (typeof entries[Symbol.iterator] === 'function') return entries;
    return Object.entries(entries);
  }
  throw invalid('INVALID_VALUE', 'entries', entries, 'an iterable of [key, value], a Map or an object');
}

module.exports = { Registry };
