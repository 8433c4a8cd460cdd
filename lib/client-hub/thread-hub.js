'use strict';

const { undecodable, unpackError } = require('../runtime/carried-error');
const { SluiceError } = require('../runtime/errors');
const { handlesOf, native, subscribe, unsubscribe } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { owned } = require('../runtime/schema');
const { decode } = require('../runtime/value');
const { HubCall } = require('./hub-call');
const { LiveObjects } = require('./live-objects');

const LEAST_PRUNED = 64;

/** Remembered errors that a thread keeps as objects; others are decoded from their bytes. */
const MOST_FAILURES = 64;

/** By handle: all objects of this thread that stand for a hub share what the thread has of it. */
const hubs = new Map();

/** A handle is free again when what stood for it was collected. */
const collected = handlesOf(native.releaseClientHub);
const forgotten = new FinalizationRegistry((handle) => {
  if (hubs.get(handle)?.deref() === undefined) hubs.delete(handle);
});

/** What one thread has of a hub: values as it decoded them, live objects, calls under way. */
class ThreadHub {
  live = new LiveObjects(this);
  /** Decoded values by key: `{ version, value }`, current while the hub has that version. */
  #values = new Map();
  #pruneAt = LEAST_PRUNED;
  /** Objects of remembered errors, by key: `{ version, error }`. */
  #failures = new Map();
  #calls = new Map();
  #subscription;

  constructor(name, handle) {
    this.name = name;
    this.handle = handle;
  }

  static open(name, options) {
    const { maxEntries, maxBytes } = options;
    const open = (reconfigures) => native.openClientHub(name, { maxEntries, maxBytes }, reconfigures);
    const handle = openNamed('ClientHub', name, options, open);
    const existing = hubs.get(handle)?.deref();
    if (existing !== undefined) {
      native.releaseClientHub(handle);
      return existing;
    }
    const hub = new ThreadHub(name, handle);
    hubs.set(handle, new WeakRef(hub));
    collected.register(hub, handle);
    forgotten.register(hub, handle);
    return hub;
  }

  /** The entry of a key whose value is fresh: one native call and a look-up, where this thread has decoded it. */
  fresh(key) {
    const version = native.readHub(this.handle, key);
    if (version === 0) return undefined;
    return this.#known(key, version) ?? this.#fetch(key);
  }

  /** What this thread has decoded of the value that a call would be answered with now. */
  current(key) {
    const entry = this.#values.get(key);
    return entry !== undefined && this.isCurrent(key, entry.version) ? entry : undefined;
  }

  isCurrent(key, version) {
    return native.hubVersion(this.handle, key) === version;
  }

  /** A promise for what `take` makes of the entry that is there, stale perhaps, or made by this call or another. */
  call(key, init, options, take) {
    this.#subscription ??= subscribe((delivery) => this.#tell(delivery.hub));
    try {
      return this.#join(key, init, options, take);
    } finally {
      this.#unsubscribeIfIdle();
    }
  }

  #join(key, init, options, take) {
    // The stack may overflow anywhere below. The call is undone when the stack is short again: others wait for it.
    const begun = { id: undefined, call: undefined, hasFailed: false };
    queueMicrotask(() => {
      if (begun.hasFailed) this.#undo(key, begun);
    });
    try {
      return this.#begin(key, init, options, take, begun);
    } catch (error) {
      begun.hasFailed = true;
      throw error;
    }
  }

  #begin(key, init, options, take, begun) {
    const knownVersion = this.#values.get(key)?.version ?? 0;
    const joined = native.joinHub(this.handle, key, this.#subscription, options.timeout, knownVersion);
    const { version, bytes, failure, leads, waits, restMs } = owned(joined);
    if (typeof failure === 'number') return Promise.reject(this.#failureOf(key, failure, bytes));
    const isLeader = typeof leads === 'number';
    if (version > 0) {
      if (isLeader) {
        begun.id = leads;
        this.#refresh(key, leads, init, options);
        begun.id = undefined;
      }
      return Promise.resolve(take(this.#known(key, version) ?? this.#keep(key, version, bytes)));
    }
    begun.id = isLeader ? leads : waits;
    const call = new HubCall(this, key, begun.id, init, options);
    begun.call = call;
    const settled = call.settled(take);
    begun.hasFailed = !call.isAwaited;
    if (begun.hasFailed) return settled;
    if (isLeader) call.lead(true);
    else call.wait(restMs);
    return settled;
  }

  /** The caller of a call has an error already: another leads in its stead, or it waits no more. */
  #undo(key, { id, call }) {
    if (id === undefined) return;
    call?.drop();
    this.leave(id);
    native.leaveHub(this.handle, key, id);
  }

  /** In the background: the caller has its answer before it begins. */
  #refresh(key, id, init, options) {
    const call = new HubCall(this, key, id, init, options);
    queueMicrotask(() => call.lead());
  }

  /** From now on calls of this thread reject with the same object. */
  rememberFailure(key, version, error) {
    this.#failures.delete(key);
    if (this.#failures.size >= MOST_FAILURES) this.#failures.delete(this.#failures.keys().next().value);
    this.#failures.set(key, { version, error });
  }

  #failureOf(key, version, bytes) {
    const known = this.#failures.get(key);
    if (known?.version === version) return known.error;
    const error = unpackError(bytes);
    this.rememberFailure(key, version, error);
    return error;
  }

  enter(id, call) {
    this.#calls.set(id, call);
  }

  leave(id) {
    this.#calls.delete(id);
    this.#unsubscribeIfIdle();
  }

  /** A value was made: these calls have it, those of them that are still under way. */
  made(ids, version, bytes) {
    let made;
    this.each(ids, (call) => {
      try {
        made ??= this.#entryOf(call.key, version, bytes);
      } catch (error) {
        call.failed(undecodable(`ClientHub "${this.name}": the value`, error));
        return;
      }
      call.made(made);
    });
  }

  /** Runs `tell` for those of these calls that are still under way. */
  each(ids, tell) {
    for (const id of ids) {
      const call = this.#calls.get(id);
      if (call !== undefined) tell(call);
    }
  }

  #tell({ kind, calls, version, bytes }) {
    if (kind === 'lead') this.each(calls, (call) => call.turn());
    else if (kind === 'replaced') this.each(calls, (call) => call.replaced());
    else if (kind === 'abandoned') this.each(calls, (call) => call.abandoned());
    else if (kind === 'made') this.made(calls, version, bytes);
    else if (kind === 'failed') this.each(calls, (call) => call.failed(unpackError(bytes)));
    else this.each(calls, (call) => call.giveUp(this.closedError(call)));
  }

  /** The entry of a value that was made. This thread keeps it where the hub does. */
  #entryOf(key, version, bytes) {
    const known = this.#known(key, version);
    if (known !== undefined) return known;
    return this.isCurrent(key, version) ? this.#keep(key, version, bytes) : entry(version, bytes);
  }

  closedError({ isReset }) {
    if (isReset) return new SluiceError('CLOSED', `"${this.name}" was reset before the value was there`);
    return new SluiceError('CLOSED', `"${this.name}" was destroyed; create it anew to use it`);
  }

  #unsubscribeIfIdle() {
    if (this.#calls.size > 0 || this.#subscription === undefined) return;
    unsubscribe(this.#subscription);
    this.#subscription = undefined;
  }

  /** This thread's first look at a version; undefined where that is gone by now. */
  #fetch(key) {
    const found = native.hubValue(this.handle, key);
    return found === null ? undefined : this.#keep(key, found.version, found.bytes);
  }

  /** What this thread has decoded of a version: the same object for all who read it. */
  #known(key, version) {
    const known = this.#values.get(key);
    return known?.version === version ? known : undefined;
  }

  #keep(key, version, bytes) {
    if (this.#values.size >= this.#pruneAt) this.#prune();
    const kept = entry(version, bytes);
    this.#values.set(key, kept);
    return kept;
  }

  /** Drops what the hub has no more. Done when that may be the half, it costs little per key. */
  #prune() {
    for (const [key, { version }] of this.#values) {
      if (!this.isCurrent(key, version)) this.#values.delete(key);
    }
    this.#pruneAt = Math.max(LEAST_PRUNED, 2 * this.#values.size);
  }
}

function entry(version, bytes) {
  return { version, value: decode(bytes) };
}

module.exports = { ThreadHub };
