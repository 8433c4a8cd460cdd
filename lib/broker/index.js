'use strict';

const { threadId } = require('node:worker_threads');
const { Peer, DEFAULT_CLOSE_MS } = require('./peer');
const { invalidOption, SluiceError } = require('../runtime/errors');
const { native, onProcess } = require('../runtime/native');
const { onMismatch, openNamed } = require('../runtime/on-mismatch');
const {
  ACCEPTED_NAME,
  abortSignal,
  checkName,
  checkOptions,
  integer,
  isName,
  parseDuration,
} = require('../runtime/schema');
const { encode } = require('../runtime/value');

const SCHEMA = { id: name, metadata: (value) => value, inbox: integer(1, 2 ** 31 - 1), onMismatch };
const CALL_SCHEMA = {
  timeout: (value, option) => parseDuration(value, option),
  signal: abortSignal,
  to: name,
};
const CLOSE_SCHEMA = { timeout: (value, option) => parseDuration(value, option, { least: 0 }) };

const DEFAULT_CALL_MS = 30_000;
const NO_OPTIONS = Object.freeze({});

/** The parts that this thread has in brokers, by name. */
const peers = new Map();

onProcess('reset', () => {
  for (const peer of [...peers.values()]) peer.followReset();
});

/** Threads that find each other by name, call each other, and send each other messages. */
class Broker {
  #name;
  #peer;

  constructor(name, options = NO_OPTIONS) {
    checkName('Broker', name);
    const checked = checkOptions('Broker', options, SCHEMA);
    this.#name = name;
    const open = (reconfigures) => peerOf(name, checked, reconfigures);
    this.#peer = openNamed('Broker', name, checked, open);
  }

  /** Every thread leaves; what they await is rejected. */
  static destroy(name) {
    checkName('Broker', name);
    const isDestroyed = native.destroyBroker(name);
    if (isDestroyed) peers.get(name)?.leave();
    return isDestroyed;
  }

  get name() {
    return this.#name;
  }

  get id() {
    return this.#peer.id;
  }

  handle(endpoint, handler) {
    checkName('Broker endpoint', endpoint);
    if (typeof handler !== 'function') throw invalidOption('Broker handler', handler, 'a function');
    this.#peer.handle(endpoint, handler);
    return this;
  }

  unhandle(endpoint) {
    checkName('Broker endpoint', endpoint);
    return this.#peer.unhandle(endpoint);
  }

  /** Mistakes reject, as everything else that keeps a call from its answer. */
  call(endpoint, payload, options) {
    try {
      checkName('Broker endpoint', endpoint);
      if (options === undefined) return this.#peer.call(endpoint, payload, DEFAULT_CALL_MS);
      const { timeout = DEFAULT_CALL_MS, signal, to } = checkOptions('Broker call', options, CALL_SCHEMA);
      return this.#peer.call(endpoint, payload, timeout, signal, to);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  send(peerId, payload) {
    checkName('Broker peer', peerId);
    this.#peer.send(peerId, payload);
  }

  broadcast(payload) {
    return this.#peer.broadcast(payload);
  }

  on(event, listener) {
    this.#peer.on(event, listener, false);
    return this;
  }

  once(event, listener) {
    this.#peer.on(event, listener, true);
    return this;
  }

  off(event, listener) {
    this.#peer.off(event, listener);
    return this;
  }

  peers() {
    return this.#peer.peers();
  }

  endpoints() {
    return this.#peer.endpoints();
  }

  /** Mistakes reject as well. */
  async spawn(file, options) {
    return this.#peer.spawn(file, options);
  }

  get pendingCount() {
    return this.#peer.pendingCount;
  }

  ref() {
    this.#peer.setRef(true);
    return this;
  }

  unref() {
    this.#peer.setRef(false);
    return this;
  }

  close(options = NO_OPTIONS) {
    const { timeout = DEFAULT_CLOSE_MS } = checkOptions('Broker close', options, CLOSE_SCHEMA);
    return this.#peer.close(timeout);
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }

  stats() {
    return this.#peer.stats();
  }
}

/** A thread has one part in a broker, however many objects stand for it. */
function peerOf(name, { id, metadata, inbox }, reconfigures) {
  const bytes = metadata === undefined ? undefined : encode(metadata, 'metadata');
  const existing = peers.get(name);
  if (existing?.isDestroyed) existing.leave();
  if (!peers.has(name)) {
    const peer = new Peer(name, { id, metadata: bytes, inbox, reconfigures }, threadId, () =>
      peers.delete(name),
    );
    peers.set(name, peer);
    return peer;
  }
  checkSame(name, 'id', existing.id, id);
  native.attachToBroker(name, inbox, reconfigures);
  return existing;
}

function checkSame(name, option, existing, given) {
  if (given === undefined || given === existing) return;
  const message = `"${name}" was joined by this thread with ${option} = ${existing}; given: ${given}. A thread is one peer: close it first`;
  throw new SluiceError('CONFIG_MISMATCH', message);
}

function name(value, option) {
  if (isName(value)) return value;
  throw invalidOption(option, value, ACCEPTED_NAME);
}

module.exports = { Broker };
