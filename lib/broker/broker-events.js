'use strict';

const { MESSAGE_HEADER } = require('../runtime/layouts');
const { MAX_DURATION_MS } = require('../runtime/schema');
const { CHANNELS, publish } = require('../observation/channels');
const { KIND, incoming } = require('./headers');

/** Handles events of the broker itself: peers that join and leave, `'drain'`, requests to leave, the end of the broker. */
class BrokerEvents {
  #directory;
  #queue;
  #inFlight;
  #service;
  #listeners;
  #departure;
  #broker;

  constructor({ membership, directory, queue, inFlight, service, listeners, departure }) {
    this.#broker = membership.brokerName;
    this.#directory = directory;
    this.#queue = queue;
    this.#inFlight = inFlight;
    this.#service = service;
    this.#listeners = listeners;
    this.#departure = departure;
  }

  /** `at` is where the header begins in `incoming`; of a peer that joined, `values` are its id and its metadata. */
  handle(kind, at, values) {
    const number = incoming[at + MESSAGE_HEADER.SENDER];
    switch (kind) {
      case KIND.joined:
        this.#peerJoined(number, incoming[at + MESSAGE_HEADER.SEQUENCE], values);
        break;
      case KIND.left:
        this.#peerLeft(number);
        break;
      case KIND.drained:
        this.#emit('drain', { id: this.#directory.get(number)?.id });
        break;
      case KIND.leaveRequested:
        // Without a limit of its own: the group that asks terminates the thread when it takes too long.
        this.#departure.close(MAX_DURATION_MS);
        break;
      case KIND.destroyed:
        this.#departure.leave();
        break;
      default:
        throw new Error(`sluice: ${kind} is not a kind of message`);
    }
  }

  /** A peer that joined before this one and was announced later is known already. */
  #peerJoined(number, threadId, [id, metadata]) {
    if (this.#directory.get(number) !== undefined) return;
    this.#emit('peerJoin', this.#directory.add(number, id, threadId, metadata));
  }

  #peerLeft(number) {
    const { id, event } = this.#directory.get(number);
    this.#directory.remove(number);
    this.#queue.forget(number);
    this.#inFlight.peerLeft(number, id);
    this.#service.peerLeft(number, id);
    this.#emit('peerLeave', event);
  }

  #emit(event, change) {
    publish(CHANNELS.Broker[event], () => ({ broker: this.#broker, ...change }));
    this.#listeners.emit(event, change);
  }
}

module.exports = { BrokerEvents };
