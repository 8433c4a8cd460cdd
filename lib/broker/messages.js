'use strict';

const { undecodable } = require('../runtime/carried-error');
const { native } = require('../runtime/native');
const { warn } = require('../runtime/warn');
const { encode } = require('./codec');

/** Messages that are not answered: sent to one peer or to all, and received as the `'message'` event. */
class Messages {
  #membership;
  #directory;
  #queue;
  #listeners;
  #refusals;
  #counts;
  #hasWarned = false;

  constructor({ membership, directory, queue, listeners, refusals, counts }) {
    this.#membership = membership;
    this.#directory = directory;
    this.#queue = queue;
    this.#listeners = listeners;
    this.#refusals = refusals;
    this.#counts = counts;
  }

  send(to, payload) {
    const encoded = encode(payload, 'payload');
    this.#membership.checkOpen();
    const receiver = this.#directory.numberOf(to);
    this.#queue.prepare();
    try {
      if (native.reserveMessage(this.#membership.handle, receiver) !== 0) {
        this.#queue.sendMessage(receiver, encoded);
        this.#counts.sent += 1;
        return;
      }
    } catch (error) {
      // A stack overflow. The next flush releases the capacity.
      this.#queue.hasUnusedCapacity = true;
      throw error;
    }
    throw this.#refusals.ofMessage(to);
  }

  /** Returns how many peers had room. */
  broadcast(payload) {
    const encoded = encode(payload, 'payload');
    this.#membership.checkAlive();
    this.#queue.prepare();
    try {
      const receivers = this.#queue.broadcast(encoded);
      this.#counts.sent += receivers;
      return receivers;
    } catch (error) {
      this.#queue.hasUnusedCapacity = true;
      throw error;
    }
  }

  receive({ id }, payload) {
    this.#counts.received += 1;
    if (this.#listeners.count('message') > 0) this.#listeners.emit('message', payload, { from: id });
    else this.#counts.unheard += 1;
  }

  /** Drops and counts a message that cannot be decoded; warns of the first one. */
  dropUndecodable(sender, error) {
    native.countUndecodableInBroker(this.#membership.handle);
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const what = `${this.#membership.title}: a message of peer "${this.#directory.get(sender)?.id}"`;
    warn(
      'SLUICE_UNDECODABLE',
      undecodable(what, error).message,
      'It was dropped. Those that follow are only counted, in stats().undecodable.',
    );
  }
}

module.exports = { Messages };
