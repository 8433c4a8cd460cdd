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

/** Remembered errors that a thread keeps as objects. Others are decoded anew for each call. */
const MOST_FAILURES = 64;

/** By handle. All `ClientHub` objects of this thread with one name share it. */
const hubs = new Map();

/** A handle is released when its `ThreadHub` is collected. */
const collected = handlesOf(native.releaseClientHub);
const forgotten = new FinalizationRegistry((handle) => {
  if (hubs.get(handle)?.deref() === undefined) hubs.delete(handle);
});

/** A hub as one thread sees it: decoded values, live objects, calls that lead or wait. */
class ThreadHub {
  live = new LiveObjects(this);
  /** Decoded values by key: `{ version, value }`. Current while the hub has that version. */
  #values = new Map();
  #pruneAt = LEAST_PRUNED;
  /** Decoded remembered errors, by key: `{ version, error }`. */
  #failures = new Map();
  #calls = new Map();
  #subscription;

  constructor(name, handle) {
    this.name = name;
    this.handle = handle;
  }

  static open(name, options) {
    const open = (reconfigures) => native.openClientHub(name, options, reconfigures);
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

  /** The entry of a fresh value. One native call and a look-up, where this thread has decoded the version. */
  fresh(key) {
    const version = native.readHub(this.handle, key);
    if (version === 0) return undefined;
    return this.#known(key, version) ?? this.#fetch(key);
  }

  /** The entry of the value that a call would receive now, where this thread has decoded it. */
  current(key) {
    const entry = this.#values.get(key);
    return entry !== undefined && this.isCurrent(key, entry.version) ? entry : undefined;
  }

  isCurrent(key, version) {
    return native.hubVersion(this.handle, key) === version;
  }

  /** A promise for the result of `take` on the entry: fresh, stale, or made by this call or another. */
  call(key, init, options, take) {
    this.#subscription ??= subscribe(({ hub }) => this.#settle(hub));
    try {
      return this.#join(key, init, options, take);
    } finally {
      this.#unsubscribeIfIdle();
    }
  }

  #join(key, init, options, take) {
    // The stack may overflow anywhere below. The call is then undone once the stack has unwound, as others may wait for
    // it.
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

  /** Removes a call whose caller already has an error. Where it leads, another call takes over. */
  #undo(key, { id, call }) {
    if (id === undefined) return;
    call?.drop();
    this.leave(id);
    native.leaveHub(this.handle, key, id);
  }

  /** Makes a value anew in the background. The caller has its answer before the initialiser begins. */
  #refresh(key, id, init, options) {
    const call = new HubCall(this, key, id, init, options);
    queueMicrotask(() => call.lead());
  }

  /** From now on, calls of this thread reject with this error object. */
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

  /** Settles those of these calls that still wait, with a value that was made. */
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

  /** Runs `settle` for those of these calls that still lead or wait. */
  each(ids, settle) {
    for (const id of ids) {
      const call = this.#calls.get(id);
      if (call !== undefined) settle(call);
    }
  }

  #settle(event) {
    switch (event.kind) {
      case 'lead':
        return this.each([event.call], (call) => call.beginTurn());
      case 'replaced':
        return this.each([event.call], (call) => call.replaced());
      case 'abandoned':
        return this.each([event.call], (call) => call.abandoned());
      case 'made':
        return this.made(event.calls, event.version, event.bytes);
      case 'failed':
        return this.each(event.calls, (call) => call.failed(unpackError(event.bytes)));
      case 'closed':
        return this.each(event.calls, (call) => call.giveUp(this.closedError(call)));
      default:
        throw new TypeError(`sluice: ${event.kind} is not an event of a hub`);
    }
  }

  /** The entry of a value that was made. This thread keeps it if the hub does. */
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

  /** Decodes a version that this thread has not read yet. Undefined where it is gone by now. */
  #fetch(key) {
    const found = native.hubValue(this.handle, key);
    return found === null ? undefined : this.#keep(key, found.version, found.bytes);
  }

  /** The decoded entry of a version: the same object for all callers of this thread. */
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

  /** Drops values that the hub has no more. Runs each time the map has doubled, so its cost per key is constant. */
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
