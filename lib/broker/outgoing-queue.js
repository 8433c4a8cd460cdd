'use strict';

const { MESSAGE_HEADER, RESERVED } = require('../runtime/layouts');
const { native, numbers } = require('../runtime/native');
const { CODEC } = require('./codec');
const { lengthOf } = require('./cloned');
const { CODEC_UNIT, HEADER, outgoing } = require('./frame');

/**
 * Messages that go out together at most. More would let the receiver idle while the sender still encodes; fewer cost more
 * crossings.
 */
const MOST_TOGETHER = 8;

/** Characters after which nothing more joins: joining large texts saves nothing, and a string has an end. */
const MOST_CHARACTERS = 2 ** 16;

const { KIND, SENDER, SEQUENCE, PLACE, ENDPOINT, DEADLINE } = MESSAGE_HEADER;
const { MESSAGES, REQUESTS } = RESERVED;

/** What is told of a delivery to a receiver that has left. */
const GONE = 0;

const microtask = Promise.resolve();

/** Messages for one receiver, or for all, that wait for the end of the running piece of JavaScript. */
class Outbox {
  receiver;
  count = 0;
  text = '';
  messages = 0;
  requests = 0;
  /** How many go together: few while the receiver waits for them, many while it has others to look at. */
  most = MOST_TOGETHER;
  /** Whether it stands among those to be flushed. */
  isDirty = false;
  headers = new Float64Array(MOST_TOGETHER * HEADER);

  constructor(receiver) {
    this.receiver = receiver;
  }

  /** Adds all of it or, on a stack overflow, nothing: what may fail comes first. */
  add(kind, sender, sequence, place, endpoint, deadline, json, messages, requests) {
    const { headers } = this;
    const at = this.count * HEADER;
    const text = this.count === 0 ? json : `${this.text},${json}`;
    headers[at + KIND] = kind;
    headers[at + SENDER] = sender;
    headers[at + SEQUENCE] = sequence;
    headers[at + PLACE] = place;
    headers[at + ENDPOINT] = endpoint;
    headers[at + DEADLINE] = deadline;
    this.text = text;
    this.messages += messages;
    this.requests += requests;
    this.count += 1;
  }

  /** Leaves the numbers of what is to be sent where native code reads them. */
  expose() {
    outgoing.set(this.headers);
    numbers[MESSAGES] = this.messages;
    numbers[REQUESTS] = this.requests;
  }
}

/** The sending side of a peer. First in, first out for each receiver. */
class OutgoingQueue {
  #handle;
  #sender;
  #outboxes = new Map();
  #recent = new Outbox(0);
  #toAll = new Outbox(0);
  /** Outboxes that are not empty, or were a moment ago. */
  #dirty = [];
  #isScheduled = false;
  #added = 0;
  #addedBefore = 0;
  #answered = 0;
  /** Told whenever everything has gone out. */
  #onFlushed;
  #onMicrotask = () => this.#flushSoon();
  /** Set where a place was reserved for a message that failed before it was added. The next flush gives it back. */
  hasUnusedPlaces = false;

  constructor(handle, sender, onFlushed) {
    this.#handle = handle;
    this.#sender = sender;
    this.#onFlushed = onFlushed;
  }

  /** Schedules a flush. Called before a place is reserved, so that a place that stays unused is given back. */
  prepare() {
    if (!this.#isScheduled) this.#schedule();
  }

  /** A message that was promised a place: a request where `isRequest`. */
  sendReserved(receiver, kind, payload, isRequest, sequence = 0, place = 0, endpoint = 0, deadline = 0) {
    const requests = isRequest ? 1 : 0;
    if (payload.codec > CODEC.nothing) {
      this.#sendAlone(receiver, kind, payload, 1, requests, sequence, place, endpoint, deadline);
    } else {
      const outbox = this.#outboxOf(receiver);
      this.#append(outbox, kind, payload, sequence, place, endpoint, deadline, 1, requests);
    }
  }

  /** A reply, or something like it: it needs no place. */
  send(receiver, kind, payload, sequence = 0, place = 0, endpoint = 0) {
    if (payload.codec > CODEC.nothing) {
      this.#sendAlone(receiver, kind, payload, 0, 0, sequence, place, endpoint, 0);
    } else {
      this.#append(this.#outboxOf(receiver), kind, payload, sequence, place, endpoint, 0, 0, 0);
    }
  }

  /** A message for every other peer; how many have a place for it. */
  sendToAll(kind, payload) {
    this.#flushEach();
    if (payload.codec <= CODEC.nothing) {
      const receivers = this.#reserveForAll();
      if (receivers === 0) return 0;
      if (receivers > 0) {
        this.#append(this.#toAll, kind, payload, 0, 0, 0, 0, 0, 0);
        return receivers;
      }
    }
    this.#flushToAll();
    return this.#deliverAlone(0, kind, payload, 0, 0, 0, 0, 0, 0);
  }

  /** One request of others was answered, or never will be. */
  answered() {
    this.#answered += 1;
    this.prepare();
  }

  /** A receiver is gone. What is answered to it later must not be collected for ever. */
  forget(receiver) {
    this.#outboxes.delete(receiver);
  }

  /** Everything goes out now. */
  flush() {
    this.#flushToAll();
    this.#flushEach();
    if (this.hasUnusedPlaces) this.#giveBackUnused();
    if (this.#answered > 0) {
      native.answeredRequests(this.#handle, this.#answered);
      this.#answered = 0;
    }
    this.#onFlushed();
  }

  #outboxOf(receiver) {
    // What was sent to all before is to arrive before.
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

  #append(outbox, kind, { codec, data }, sequence, place, endpoint, deadline, messages, requests) {
    this.prepare();
    if (outbox.count === MOST_TOGETHER) this.#deliverFull(outbox);
    if (!outbox.isDirty && outbox !== this.#toAll) this.#touch(outbox);
    const numbered = kind + codec * CODEC_UNIT;
    outbox.add(numbered, this.#sender, sequence, place, endpoint, deadline, data, messages, requests);
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

  #sendAlone(receiver, kind, payload, messages, requests, sequence, place, endpoint, deadline) {
    this.#deliver(this.#outboxOf(receiver));
    this.#deliverAlone(receiver, kind, payload, messages, requests, sequence, place, endpoint, deadline);
  }

  #deliverAlone(receiver, kind, payload, messages, requests, sequence, place, endpoint, deadline) {
    outgoing[KIND] = kind + payload.codec * CODEC_UNIT;
    outgoing[SENDER] = this.#sender;
    outgoing[SEQUENCE] = sequence;
    outgoing[PLACE] = place;
    outgoing[ENDPOINT] = endpoint;
    outgoing[DEADLINE] = deadline;
    numbers[MESSAGES] = messages;
    numbers[REQUESTS] = requests;
    const delivered = deliverOne(this.#handle, receiver, payload);
    if (delivered === GONE) this.forget(receiver);
    return delivered;
  }

  #deliver(outbox) {
    const { count, receiver, text } = outbox;
    if (count === 0) return;
    outbox.expose();
    const waiting = native.deliverJson(this.#handle, receiver, count, text, text.length);
    outbox.count = 0;
    outbox.messages = 0;
    outbox.requests = 0;
    outbox.text = '';
    if (waiting === GONE) this.forget(receiver);
    if (waiting > 1) outbox.most = Math.min(MOST_TOGETHER, outbox.most * 2);
    else outbox.most = Math.max(1, outbox.most >> 1);
  }

  #reserveForAll() {
    const receivers = native.reserveForAll(this.#handle);
    if (receivers >= 0 || this.#toAll.count === 0) return receivers;
    // Others are there than before.
    this.#flushToAll();
    return native.reserveForAll(this.#handle);
  }

  #flushToAll() {
    const outbox = this.#toAll;
    const { count, text } = outbox;
    if (count === 0) return;
    outbox.expose();
    native.deliverJsonToAll(this.#handle, count, text, text.length);
    outbox.count = 0;
    outbox.text = '';
  }

  #flushEach() {
    for (const outbox of this.#dirty) {
      outbox.isDirty = false;
      this.#deliver(outbox);
    }
    this.#dirty.length = 0;
  }

  #giveBackUnused() {
    native.giveBackUnusedInBroker(this.#handle);
    this.hasUnusedPlaces = false;
  }

  /** Is called before the message is added. */
  #schedule() {
    microtask.then(this.#onMicrotask);
    this.#isScheduled = true;
    this.#addedBefore = this.#added + 1;
  }

  /** Waits once more where more has come since: what handlers answer after awaiting joins the rest. */
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
  if (codec <= CODEC.nothing) return native.deliverJson(handle, receiver, 1, data, data.length);
  return native.deliverBytes(handle, receiver, data, lengthOf(data));
}

module.exports = { OutgoingQueue };
