'use strict';

const { Reputation } = require('../reputation');
const { banned } = require('./refusal');

/** Refuses banned clients of a guard, at accept and with each request. */
class BanGate {
  client;

  /** `options` of the reputation, or the name of an existing one. */
  constructor(name, options, client) {
    this.reputation = typeof options === 'string' ? new Reputation(options) : new Reputation(name, options);
    this.client = client;
  }

  /** The refusal of a request; null when its client is not banned or has no address. */
  refuses(incoming, { judged, isForwarded }) {
    const verdict = this.#verdictOn(judged);
    if (verdict === null) return null;
    // A proxy's connection carries other clients as well; HTTP/2 has no Connection header.
    const closesConnection = !isForwarded && incoming.httpVersionMajor < 2;
    return banned(verdict, { policy: this.reputation.name, closesConnection });
  }

  /** The refusal of a socket at accept, or null. */
  refusesSocket(socket) {
    const client = this.client.openerOf(socket);
    const verdict = this.#verdictOn(client);
    if (verdict === null) return null;
    const { retryAfterMs } = verdict;
    return { reason: 'banned', client, retryAfterMs, policy: this.reputation.name };
  }

  /** The verdict on a banned address, else null. */
  #verdictOn(address) {
    if (address === undefined || !this.reputation.isBanned(address)) return null;
    const verdict = this.reputation.check(address);
    // The ban may have ended between the two calls.
    return verdict.banned ? verdict : null;
  }
}

module.exports = { BanGate };
