'use strict';

const { MESSAGE_HEADER, RESERVED } = require('../runtime/layouts');
const { numbers } = require('../runtime/native');
const { HEADER, outgoing } = require('./headers');

/**
 * Most messages that go out together. More would let the receiver idle while the sender still encodes; fewer cost more
 * crossings.
 */
const MOST_TOGETHER = 8;

const { KIND, SENDER, SEQUENCE, SLOT, ENDPOINT, DEADLINE } = MESSAGE_HEADER;
const { MESSAGES, REQUESTS } = RESERVED;

/** The header of the message that is being sent: written first, then copied. It spares a parameter for each number. */
const header = new Float64Array(HEADER);

/** Begins the header of a message; `numberedKind` is its kind and its codec. */
function writeHeader(numberedKind, sender, sequence, slot) {
  header[KIND] = numberedKind;
  header[SENDER] = sender;
  header[SEQUENCE] = sequence;
  header[SLOT] = slot;
  header[ENDPOINT] = 0;
  header[DEADLINE] = 0;
}

/** Adds the endpoint and the deadline of a request; of a cancelled one, the reason in place of the endpoint. */
function writeEndpoint(endpoint, deadline) {
  header[ENDPOINT] = endpoint;
  header[DEADLINE] = deadline;
}

/** Puts the message of `header` where native code reads it, with the capacity that was reserved for it. */
function exposeAlone(messages, requests) {
  outgoing.set(header);
  numbers[MESSAGES] = messages;
  numbers[REQUESTS] = requests;
}

/** Messages for one receiver, or for all, until they go out. */
class Outbox {
  receiver;
  count = 0;
  text = '';
  /** Capacity that was reserved for them. */
  messages = 0;
  requests = 0;
  /** How many go together: few while the receiver is idle, many while it is busy. */
  most = MOST_TOGETHER;
  /** Whether the next flush delivers it. */
  isDirty = false;
  headers = new Float64Array(MOST_TOGETHER * HEADER);

  constructor(receiver) {
    this.receiver = receiver;
  }

  get isFull() {
    return this.count === MOST_TOGETHER;
  }

  /** Adds the message of `header`; on a stack overflow nothing, since what may fail comes first. */
  add(json, messages, requests) {
    const { headers } = this;
    const at = this.count * HEADER;
    const text = this.count === 0 ? json : `${this.text},${json}`;
    headers[at + KIND] = header[KIND];
    headers[at + SENDER] = header[SENDER];
    headers[at + SEQUENCE] = header[SEQUENCE];
    headers[at + SLOT] = header[SLOT];
    headers[at + ENDPOINT] = header[ENDPOINT];
    headers[at + DEADLINE] = header[DEADLINE];
    this.text = text;
    this.messages += messages;
    this.requests += requests;
    this.count += 1;
  }

  /** Puts the headers where native code reads them, with the capacity that was reserved. */
  expose() {
    outgoing.set(this.headers);
    numbers[MESSAGES] = this.messages;
    numbers[REQUESTS] = this.requests;
  }

  clear() {
    this.count = 0;
    this.messages = 0;
    this.requests = 0;
    this.text = '';
  }

  /** Sends more together next time if the receiver was busy, fewer if it was idle. */
  adapt(pending) {
    this.most = pending > 1 ? Math.min(MOST_TOGETHER, this.most * 2) : Math.max(1, this.most >> 1);
  }
}

module.exports = { Outbox, exposeAlone, writeEndpoint, writeHeader };
