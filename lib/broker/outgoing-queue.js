'use strict';

const { EVERY_PEER } = require('../runtime/layouts');
const { native } = require('../runtime/native');
const { CODEC, isInText } = require('./codec');
const { lengthOf } = require('./cloned');
const { CODEC_UNIT, KIND } = require('./headers');
const { Outbox, exposeAlone, writeEndpoint, writeHeader } = require('./outbox');

/** Characters after which no message joins: joining large texts saves nothing, and a string has a maximum length. */
const MOST_CHARACTERS = 2 ** 16;

/** The payload of a message without one. */
const EMPTY = { codec: CODEC.nothing, data: 'null' };

const microtask = Promise.resolve();

/**
 * The sending side of a peer: first in, first out for each receiver. Messages go out in batches, at the latest when the
 * running JavaScript has ended.
 */
class OutgoingQueue {
  #handle;
  #sender;
  #outboxes = new Map();
  /** The outbox used last: the next message most often has the same receiver. */
  #recent = new Outbox(0);
  #toAll = new Outbox(EVERY_PEER);
  /** Outboxes that were not empty since the last flush. */
  #dirty = [];
  #isScheduled = false;
  #added = 0;
  #addedBefore = 0;
  /** Requests of others that were answered since the last flush. */
  #answered = 0;
  #onFlushed;
  #onMicrotask = () => this.#flushSoon();
  /** Set if capacity was reserved for a message that then failed. The next flush releases it. */
  hasUnusedCapacity = false;

  /** Calls `onFlushed` whenever everything has gone out. */
  constructor({ handle, number }, onFlushed) {
    this.#handle = handle;
    this.#sender = number;
    this.#onFlushed = onFlushed;
  }

  /** Schedules a flush. Called before capacity is reserved, so that capacity left unused is released. */
  prepare() {
    if (!this.#isScheduled) this.#schedule();
  }

  /** Sends a request for which capacity was reserved. */
  sendRequest(call, endpoint, due, payload) {
    this.#writeHeader(KIND.request, payload, call.sequence, call.slot);
    writeEndpoint(endpoint, due);
    this.#send(call.receiver, payload, 1, 1);
  }

  /** Sends a message for which capacity was reserved. */
  sendMessage(receiver, payload) {
    this.#writeHeader(KIND.message, payload, 0, 0);
    this.#send(receiver, payload, 1, 0);
  }

  /** Answers a request, by `kind` with its result or its error. Needs no capacity. */
  sendReply(request, kind, payload) {
    this.#writeHeader(kind, payload, request.sequence, request.slot);
    this.#send(request.receiver, payload, 0, 0);
  }

  /** Notifies the receiver of a call that it is no longer awaited, and why. Needs no capacity. */
  sendCancel(call, reason) {
    this.#writeHeader(KIND.cancel, EMPTY, call.sequence, 0);
    writeEndpoint(reason, 0);
    this.#send(call.receiver, EMPTY, 0, 0);
  }

  /** Sends a message to every other peer that is not full. Returns to how many. */
  broadcast(payload) {
    this.#flushEach();
    this.#writeHeader(KIND.message, payload, 0, 0);
    if (isInText(payload.codec)) {
      const receivers = this.#reserveForAll();
      if (receivers === 0) return 0;
      if (receivers !== undefined) {
        this.#append(this.#toAll, payload.data, 0, 0);
        return receivers;
      }
    }
    this.#flushToAll();
    return this.#deliverAlone(EVERY_PEER, payload, 0, 0);
  }

  /** One request of another peer was answered, or never will be. */
  requestAnswered() {
    this.#answered += 1;
    this.prepare();
  }

  /** Drops the outbox of a receiver that is gone. */
  forget(receiver) {
    this.#outboxes.delete(receiver);
  }

  /** Delivers everything now. */
  flush() {
    this.#flushToAll();
    this.#flushEach();
    if (this.hasUnusedCapacity) this.#releaseUnused();
    if (this.#answered > 0) {
      native.requestsAnswered(this.#handle, this.#answered);
      this.#answered = 0;
    }
    this.#onFlushed();
  }

  #writeHeader(kind, { codec }, sequence, slot) {
    writeHeader(kind + codec * CODEC_UNIT, this.#sender, sequence, slot);
  }

  /** Queues the message whose header was written, or delivers it by itself if its payload is not JSON. */
  #send(receiver, payload, messages, requests) {
    const outbox = this.#outboxOf(receiver);
    if (isInText(payload.codec)) {
      this.#append(outbox, payload.data, messages, requests);
      return;
    }
    this.#deliver(outbox);
    const pending = this.#deliverAlone(receiver, payload, messages, requests);
    if (pending === 0) this.forget(receiver);
  }

  #outboxOf(receiver) {
    // Broadcasts sent before arrive before.
    if (this.#toAll.count > 0) this.#flushToAll();
    if (this.#recent.receiver === receiver) return this.#recent;
    let outbox = this.#outboxes.get(receiver);
    if (outbox === undefined) {
      outbox = new Outbox(receiver);
      this.#outboxes.set(receiver, outbox);
    }
    this.#recent = outbox;
    return outbox;
  }

  #append(outbox, json, messages, requests) {
    this.prepare();
    if (outbox.isFull) this.#deliverFull(outbox);
    if (!outbox.isDirty && outbox !== this.#toAll) this.#touch(outbox);
    outbox.add(json, messages, requests);
    this.#added += 1;
    if (outbox.count < outbox.most && outbox.text.length < MOST_CHARACTERS) return;
    try {
      this.#deliverFull(outbox);
    } catch {
      // A stack overflow. The scheduled flush delivers it.
    }
  }

  #deliverFull(outbox) {
    if (outbox === this.#toAll) this.#flushToAll();
    else this.#deliver(outbox);
  }

  #touch(outbox) {
    this.#dirty.push(outbox);
    outbox.isDirty = true;
  }

  #deliver(outbox) {
    const { count, receiver, text } = outbox;
    if (count === 0) return;
    outbox.expose();
    const pending = native.deliverJson(this.#handle, receiver, count, text, text.length);
    outbox.clear();
    outbox.adapt(pending);
    if (pending === 0) this.forget(receiver);
  }

  /** Delivers the message whose header was written. Returns what `deliver` in src/broker/delivery.rs does. */
  #deliverAlone(receiver, payload, messages, requests) {
    exposeAlone(messages, requests);
    return deliverOne(this.#handle, receiver, payload);
  }

  #reserveForAll() {
    const receivers = native.reserveForAll(this.#handle);
    if (receivers !== undefined || this.#toAll.count === 0) return receivers;
    // Peers have come or gone since the broadcasts before.
    this.#flushToAll();
    return native.reserveForAll(this.#handle);
  }

  #flushToAll() {
    const outbox = this.#toAll;
    const { count, text } = outbox;
    if (count === 0) return;
    outbox.expose();
    native.deliverJsonToAll(this.#handle, count, text, text.length);
    outbox.clear();
  }

  #flushEach() {
    for (const outbox of this.#dirty) {
      outbox.isDirty = false;
      this.#deliver(outbox);
    }
    this.#dirty.length = 0;
  }

  #releaseUnused() {
    native.releaseUnusedInBroker(this.#handle);
    this.hasUnusedCapacity = false;
  }

  /** Called before the message is added. */
  #schedule() {
    microtask.then(this.#onMicrotask);
    this.#isScheduled = true;
    this.#addedBefore = this.#added + 1;
  }

  /** Waits once more if messages were added since, so that replies of handlers that await go out with the rest. */
  #flushSoon() {
    if (this.#added !== this.#addedBefore) {
      this.#addedBefore = this.#added;
      microtask.then(() => this.#flushNow());
    } else {
      this.#flushNow();
    }
  }

  #flushNow() {
    this.#isScheduled = false;
    this.flush();
  }
}

function deliverOne(handle, receiver, { codec, data }) {
  if (codec === CODEC.text) return native.deliverText(handle, receiver, data, data.length);
  if (isInText(codec)) return native.deliverJson(handle, receiver, 1, data, data.length);
  return native.deliverBytes(handle, receiver, data, lengthOf(data));
}

module.exports = { OutgoingQueue };
