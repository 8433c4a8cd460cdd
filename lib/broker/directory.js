'use strict';

const { native } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { decode } = require('../runtime/value');

/** The number that no peer has. */
const NO_PEER = 0;

/** A number that no endpoint has. */
const NO_ENDPOINT = 2 ** 32 - 1;

/** The peers that this one knows, itself included, and the numbers by which native code knows peers and endpoints. */
class Directory {
  #handle;
  #byNumber = new Map();
  #numbers = new Map();
  /** Numbers of endpoints that are or were served. They never change. */
  #endpoints = new Map();

  constructor({ handle, others }) {
    this.#handle = handle;
    for (const other of others) {
      const { number, id, threadId, metadata } = owned(other);
      this.add(number, id, threadId, metadata);
    }
  }

  /** Adds a peer. Returns it as events report it. */
  add(number, id, threadId, metadata) {
    const event = { id, threadId, metadata: metadata ? decode(metadata) : undefined };
    this.#byNumber.set(number, { number, id, event });
    this.#numbers.set(id, number);
    return event;
  }

  remove(number) {
    const { id } = this.#byNumber.get(number);
    this.#byNumber.delete(number);
    // A new peer may have the id by now.
    if (this.#numbers.get(id) === number) this.#numbers.delete(id);
  }

  get(number) {
    return this.#byNumber.get(number);
  }

  /** The number of a peer. Asks native code for an unknown id: the join event may not have arrived yet. */
  numberOf(id) {
    return (
      this.#numbers.get(id) ??
      native.brokerPeers(this.#handle).find((peer) => peer.id === id)?.number ??
      NO_PEER
    );
  }

  endpoint(name) {
    return this.#endpoints.get(name) ?? this.#findEndpoint(name);
  }

  addEndpoint(name, number) {
    this.#endpoints.set(name, number);
  }

  #findEndpoint(name) {
    const number = native.endpointNumber(this.#handle, name);
    if (number === null) return NO_ENDPOINT;
    this.#endpoints.set(name, number);
    return number;
  }
}

module.exports = { Directory };
