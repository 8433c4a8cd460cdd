'use strict';

const { throwIfAborted } = require('../runtime/abort-listeners');
const { ROUTE } = require('../runtime/layouts');
const { measured, time } = require('../runtime/measured');
const { native, numbers } = require('../runtime/native');
const { Call } = require('./call');
const { encode } = require('./codec');

/**
 * The calling side of a peer. A call is encoded, reserves capacity at a receiver, is added to the in-flight calls, and
 * goes into the outgoing queue. Its answer arrives in the inbox and settles it.
 */
class Caller {
  #membership;
  #directory;
  #queue;
  #inFlight;
  #refusals;
  #counts;
  /** Calls that failed after capacity was reserved: a linked list. */
  #unsent;

  constructor({ membership, directory, queue, inFlight, refusals, counts }) {
    this.#membership = membership;
    this.#directory = directory;
    this.#queue = queue;
    this.#inFlight = inFlight;
    this.#refusals = refusals;
    this.#counts = counts;
  }

  /** The answer of the least loaded peer that serves the endpoint, or of the peer with the id `to`. */
  call(endpoint, payload, timeout, signal, to) {
    // First: a getter of the payload may do anything.
    const encoded = encode(payload, 'payload');
    this.#membership.checkOpen();
    if (signal !== undefined) throwIfAborted(signal);
    const { handle } = this.#membership;
    const number = this.#directory.endpoint(endpoint);
    const only = to === undefined ? 0 : this.#directory.numberOf(to);
    const call = new Call(endpoint, timeout, signal);
    // Undefined only if the stack ended in the constructor of the promise, which has rejected then.
    if (call.reject === undefined) return call.answer;
    this.#queue.prepare();
    try {
      const receiver =
        to === undefined ? native.routeRequest(handle, number) : native.routeRequestTo(handle, only);
      if (receiver !== 0) {
        const due = numbers[ROUTE.NOW] + timeout;
        call.receiver = receiver;
        call.sequence = numbers[ROUTE.SEQUENCE];
        if (measured.calls) call.sentAt = time();
        this.#inFlight.add(call, due);
        this.#queue.sendRequest(call, number, due, encoded);
        this.#counts.calls += 1;
        return call.answer;
      }
    } catch (error) {
      // A stack overflow. A function called here would overflow too; the next flush undoes what was done.
      call.reject = call.resolve = ignore;
      call.nextUnsent = this.#unsent;
      this.#unsent = call;
      this.#queue.hasUnusedCapacity = true;
      throw error;
    }
    throw this.#refusals.ofCall(endpoint, to);
  }

  /** Removes calls that failed after capacity was reserved. */
  dropUnsent() {
    for (let call = this.#unsent; call !== undefined; call = call.nextUnsent) this.#inFlight.drop(call);
    this.#unsent = undefined;
  }
}

/** Settles a call whose promise was never handed out. */
const ignore = () => {};

module.exports = { Caller };
