'use strict';

const { invalidOption } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { decode } = require('../runtime/value');

/** An open connection, as one thread sees it. It counts until any thread closes it, or its own thread ends. */
class Connection {
  #tracker;
  #handle;
  #serial;

  /** Holds `tracker`, so that its handle stays in use. */
  constructor(tracker, handle, { serial, id, client, openedAt }, detail) {
    this.#tracker = tracker;
    this.#handle = handle;
    this.#serial = serial;
    this.id = id;
    this.client = client ?? null;
    this.openedAt = openedAt;
    this.detail = detail;
    Object.freeze(this);
  }

  /** A connection that was found by its id, or in a list. */
  static found(tracker, handle, connection) {
    const { detail } = owned(connection);
    return new Connection(tracker, handle, connection, detail ? decode(detail) : undefined);
  }

  touch() {
    native.touchConnection(this.#handle, this.#serial);
  }

  tryMessage(bytes = 0) {
    if (!Number.isInteger(bytes) || bytes < 0 || bytes > Number.MAX_SAFE_INTEGER) {
      throw invalidOption('message bytes', bytes, `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    return native.tryMessage(this.#handle, this.#serial, bytes) === 1;
  }

  close() {
    return native.closeConnection(this.#handle, this.#serial, false);
  }

  [Symbol.dispose]() {
    this.close();
  }

  get tracker() {
    return this.#tracker.name;
  }
}

module.exports = { Connection };
