'use strict';

const { Reputation } = require('../reputation');
const { banned } = require('./refusal');

/** Says which clients of a guard are banned, when they connect and with each request. */
class BanGate {
  client;

  /** `options` of the reputation, or its name where there is one already. */
  constructor(name, options, client) {
    this.reputation = typeof options === 'string' ? new Reputation(options) : new Reputation(name, options);
    this.client = client;
  }

  /** The refusal of a request; null when it may go on, or its client has no address. */
  refuses(incoming, { judged, isForwarded }) {
    const verdict = this.#verdictOn(judged);
    if (verdict === null) return null;
    // A proxy's connection carries others as well; HTTP/2 has another way to say so.
    const closesConnection = !isForwarded && incoming.httpVersionMajor < 2;
    return banned(verdict, { policy: this.reputation.name, closesConnection });
  }

  /** Why a socket is refused at accept, or null. */
  refusesSocket(socket) {
    const client = this.client.openerOf(socket);
    const verdict = this.#verdictOn(client);
    if (verdict === null) return null;
    const { retryAfterMs } = verdict;
    return { reason: 'banned', client, retryAfterMs, policy: this.reputation.name };
  }

  /** null for who is not banned. */
  #verdictOn(address) {
    if (address === undefined || !this.reputation.isBanned(address)) return null;
    const verdict = this.reputation.check(address);
    // The ban may have ended between the two questions.
    return verdict.banned ? verdict : null;
  }
}

module.exports = { BanGate };
