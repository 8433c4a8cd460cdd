'use strict';

const { destroyConnectionOf } = require('../http/remote-address');
const { addressLost, connectionsExhausted } = require('./refusal');
const { LOST, UNKNOWN } = require('./request-client');

/** Decides about a request's client and its connection, before its rate is decided. */
class Admission {
  #client;
  #bans;
  #connections;
  #serverGate;
  #counts;
  #dryRun;

  /** `bans` and `connections` may be null. */
  constructor({ client, bans, connections, serverGate, counts, dryRun }) {
    this.#client = client;
    this.#bans = bans;
    this.#connections = connections;
    this.#serverGate = serverGate;
    this.#counts = counts;
    this.#dryRun = dryRun;
  }

  /** Finds the clients of requests by `client` from now on. */
  findBy(client) {
    client.continuesLate = this.#client.continuesLate;
    this.#client = client;
    if (this.#bans !== null) this.#bans.client = client;
  }

  /** Servers whose requests are seen from now on send `100 Continue` late: see `continueLate`. */
  continueLate() {
    this.#client.continuesLate = true;
  }

  /** The client behind a request; null after an internal error. `isNeeded` says that a decision depends on it. */
  see(incoming, isNeeded = true) {
    try {
      return this.#client.see(incoming, isNeeded);
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  /** The client as users read it: `{ address, key }`. */
  clientOf(incoming) {
    return (this.see(incoming) ?? UNKNOWN).client;
  }

  /** The address that failures are recorded for; `undefined` where there is none. */
  judgedOf(incoming) {
    return this.see(incoming)?.judged;
  }

  /** The refusal of a request for its client's ban or its connection, or null when it is admitted; a promise where a server is asked. */
  refusal(incoming, seen) {
    if (seen === LOST) return this.#refuseLost(incoming);
    if (this.#bans === null && this.#connections === null) return null;
    try {
      this.#serverGate.meet(incoming.socket?.server);
      const ban = this.#bans?.refuses(incoming, seen) ?? null;
      if (ban !== null) return this.#counted(ban, 'refusedByBan', seen);
      const cap = this.#connections?.refuses(incoming, seen) ?? null;
      if (cap === null) return null;
      return typeof cap.then === 'function' ? this.#cappedLater(cap, seen) : this.#capped(cap, seen);
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  #capped(cap, seen) {
    return this.#counted(connectionsExhausted(cap), 'refusedByConnections', seen);
  }

  /** A server was asked for the cap. */
  async #cappedLater(asked, seen) {
    try {
      const cap = await asked;
      return cap === null ? null : this.#capped(cap, seen);
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  /** The refusal of the client's ban; null where there is none. */
  banOf(incoming) {
    const seen = this.see(incoming);
    if (seen === null) return null;
    try {
      const ban = this.#bans?.refuses(incoming, seen) ?? null;
      return ban === null ? null : this.#counted(ban, 'refusedByBan', seen);
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  /** The refusal of a session that a tracker refused; null in a dry run. */
  refuseSession(incoming, refused) {
    const seen = this.see(incoming) ?? UNKNOWN;
    return this.#counted(connectionsExhausted(refused), 'refusedByConnections', seen);
  }

  /** Serves nothing on a connection whose client has no address: it would escape every limit. */
  #refuseLost(incoming) {
    const refusal = this.#counted(addressLost(), 'refusedByConnections', LOST);
    if (refusal !== null) destroyConnectionOf(incoming);
    return refusal;
  }

  /** null in a dry run, which only counts. */
  #counted(refusal, counter, { client }) {
    this.#counts.count(this.#dryRun ? 'dryRefused' : counter, client.key);
    this.#counts.publish(refusal, client, this.#dryRun);
    return this.#dryRun ? null : refusal;
  }
}

module.exports = { Admission };
