'use strict';

const { MESSAGE_HEADER, TAKEN } = require('../runtime/layouts');
const { native, numbers } = require('../runtime/native');
const { KIND, incoming } = require('./headers');
const { throwLater, unpack } = require('./unpack');

/** The receiving side of a peer: takes what is pending and passes each message to the part that handles it. */
class Inbox {
  #membership;
  #directory;
  #inFlight;
  #service;
  #messages;
  #events;
  #departure;
  /** When the messages being handled were taken, in milliseconds of the clock. */
  #now = 0;

  constructor({ membership, directory, inFlight, service, messages, events, departure }) {
    this.#membership = membership;
    this.#directory = directory;
    this.#inFlight = inFlight;
    this.#service = service;
    this.#messages = messages;
    this.#events = events;
    this.#departure = departure;
  }

  /** For the poller: takes and handles some of what is pending. False if nothing was. */
  take(whenEmpty) {
    if (this.#membership.hasLeft) return false;
    const taken = native.takeMessages(this.#membership.handle, whenEmpty);
    if (taken === undefined) return false;
    this.#now = numbers[TAKEN.NOW];
    this.#departure.isHandlingMessages = true;
    try {
      unpack(taken, numbers[TAKEN.HEADERS], this);
    } catch (error) {
      // Reports internal errors and keeps polling.
      throwLater(error);
    }
    this.#departure.isHandlingMessages = false;
    this.#departure.finishIfIdle();
    return true;
  }

  // For `unpack`. `at` is where the header begins in `incoming`; the result is false once this peer has left.

  onMessage(kind, at, value) {
    this.#handle(kind, at, value);
    return !this.#membership.hasLeft;
  }

  onUndecodable(kind, at, error) {
    this.#handleUndecodable(kind, at, error);
    return !this.#membership.hasLeft;
  }

  onEvent(kind, at, values) {
    this.#events.handle(kind, at, values);
    return !this.#membership.hasLeft;
  }

  #handle(kind, at, value) {
    switch (kind) {
      case KIND.request: {
        const from = this.#senderOf(at);
        if (from === undefined) this.#service.ignore();
        else this.#service.serve(from, at, this.#now, value);
        break;
      }
      case KIND.reply:
        this.#inFlight.resolve(slotOf(at), sequenceOf(at), value);
        break;
      case KIND.failure:
        this.#inFlight.fail(slotOf(at), sequenceOf(at), value);
        break;
      case KIND.message: {
        const from = this.#senderOf(at);
        if (from !== undefined) this.#messages.receive(from, value);
        break;
      }
      case KIND.cancel:
        this.#service.cancel(sequenceOf(at), incoming[at + MESSAGE_HEADER.ENDPOINT]);
        break;
      default:
        throw new Error(`sluice: ${kind} is not a kind of message`);
    }
  }

  /** Only this message is lost. A call of it rejects. */
  #handleUndecodable(kind, at, error) {
    if (kind === KIND.request) this.#service.refuse(at, error);
    else if (kind === KIND.message)
      this.#messages.dropUndecodable(incoming[at + MESSAGE_HEADER.SENDER], error);
    else this.#inFlight.undecodable(slotOf(at), sequenceOf(at), error);
  }

  /**
   * `undefined` for a peer that has left: a runtime may report the end of a thread while it still runs a little (Deno, after
   * `terminate`). What such a thread sends is ignored.
   */
  #senderOf(at) {
    return this.#directory.get(incoming[at + MESSAGE_HEADER.SENDER]);
  }
}

const slotOf = (at) => incoming[at + MESSAGE_HEADER.SLOT];
const sequenceOf = (at) => incoming[at + MESSAGE_HEADER.SEQUENCE];

module.exports = { Inbox };
