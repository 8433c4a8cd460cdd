'use strict';

const { SluiceError } = require('../runtime/errors');
const { REFUSED_SEND, SEND_REFUSALS } = require('../runtime/layouts');
const { native, numbers } = require('../runtime/native');

/** The errors of calls and messages for which no capacity was reserved. */
class Refusals {
  #membership;
  #counts;

  constructor({ membership, counts }) {
    this.#membership = membership;
    this.#counts = counts;
  }

  /** The error for a call whose reservation native code has just refused; `to` is the id of the one receiver. */
  ofCall(endpoint, to) {
    return this.#errorOf(`the call of ${JSON.stringify(endpoint)}`, endpoint, to);
  }

  ofMessage(to) {
    return this.#errorOf('the message', undefined, to);
  }

  #errorOf(what, endpoint, to) {
    const reason = numbers[REFUSED_SEND.REASON];
    const { title, inbox } = this.#membership;
    switch (reason) {
      case SEND_REFUSALS.noEndpoint: {
        const message = `${title}: no peer serves ${JSON.stringify(endpoint)}; served now: ${this.#served() || 'none'}`;
        return new SluiceError('NO_ENDPOINT', message);
      }
      case SEND_REFUSALS.full: {
        this.#counts.refused += 1;
        const receiver = to === undefined ? 'every peer that serves it' : `peer "${to}"`;
        const message = `${title}: ${what} was refused: the inbox of ${receiver} is full (${inbox} pending or being worked on); wait for "drain"`;
        return new SluiceError('BACKPRESSURE', message);
      }
      case SEND_REFUSALS.gone:
        return new SluiceError('PEER_GONE', `${title}: there is no peer "${to}" for ${what}`);
      default:
        return closedError(title);
    }
  }

  #served() {
    this.#membership.checkAlive();
    const names = native.brokerEndpoints(this.#membership.handle).map(({ name }) => name);
    return names
      .sort()
      .map((name) => JSON.stringify(name))
      .join(', ');
  }
}

function closedError(title) {
  return new SluiceError('CLOSED', `${title}: this thread has left it; make a new Broker to join again`);
}

module.exports = { Refusals, closedError };
