'use strict';

const { native } = require('../runtime/native');
const { decode } = require('../runtime/value');

/** The number that no peer has. */
const NOBODY = 0;

/** The number that no endpoint has. */
const NOBODYS = 2 ** 32 - 1;

/** Whom a peer knows, itself included, and the numbers by which native code knows them. */
class Neighbours {
  #handle;
  #byNumber = new Map();
  #numbers = new Map();
  /** Numbers of endpoints that are or were served. They stay. */
  #endpoints = new Map();

  constructor(handle) {
    this.#handle = handle;
  }

  /** Somebody has come; as events tell of him. */
  add(number, id, threadId, metadata) {
    const event = { id, threadId, metadata: metadata ? decode(metadata) : undefined };
    this.#byNumber.set(number, { number, id, event });
    this.#numbers.set(id, number);
    return event;
  }

  remove(number) {
    const { id } = this.#byNumber.get(number);
    this.#byNumber.delete(number);
    // Another may have the id by now.
    if (this.#numbers.get(id) === number) this.#numbers.delete(id);
  }

  get(number) {
    return this.#byNumber.get(number);
  }

  /** The number of a peer. Who joined a moment ago may not have been told of yet. */
  numberOf(id) {
    return (
      this.#numbers.get(id) ??
      native.brokerPeers(this.#handle).find((peer) => peer.id === id)?.number ??
      NOBODY
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
    if (number === null) return NOBODYS;
    this.#endpoints.set(name, number);
    return number;
  }
}

module.exports = { Neighbours };
