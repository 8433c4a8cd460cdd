'use strict';

const { ClientAddress } = require('../client-key/client-address');
const { ConnectionTracker } = require('../connection-tracker');
const {
  kAdmitSocket,
  kAssignSocket,
  kCountBanned,
  kCountWithoutAddress,
} = require('../connection-tracker/symbols');
const { acceptedSocket, remoteAddressOf } = require('../http/remote-address');

/** Counts the connections of a guard's servers, and refuses those beyond its caps. */
class ConnectionGate {
  #held = new WeakSet();
  #observes;
  #refusedBody;
  #trustedProxies;
  #proxies;

  /**
   * Without `options` it attaches to the existing tracker. With `observes` nothing is refused at accept: connections are
   * counted with their first request.
   */
  constructor(name, options, { trustedProxies, observes, refusedBody }) {
    this.tracker = new ConnectionTracker(name, options);
    this.#observes = observes;
    this.#refusedBody = refusedBody;
    this.trust(trustedProxies);
  }

  /** Trusts these proxies for sockets and requests from now on; for attached servers, once they are attached again. */
  trust(trustedProxies) {
    this.#trustedProxies = trustedProxies;
    this.#proxies = trustedProxies.length > 0 ? new ClientAddress({ trustedProxies }) : null;
  }

  /** Enforces the caps at accept from now on, before a byte is parsed. */
  attach(server) {
    const options = { trustedProxies: this.#trustedProxies, refusedBody: this.#refusedBody };
    if (!this.#observes) this.tracker.attach(server, options);
  }

  /** Counts a socket that was refused at accept: its client is banned, or it has no address. */
  countRefused({ reason }) {
    this.tracker[reason === 'banned' ? kCountBanned : kCountWithoutAddress]();
  }

  /**
   * The refusal of the request's connection; null when it is counted. A socket that was accepted before its server was
   * attached is admitted here, with its first request. Injected requests have no server and no connection.
   *
   * A proxy's connection that is upgraded carries one client from then on, and is counted for that client.
   */
  refuses({ socket, httpVersionMajor, upgrade }, { judged, isForwarded }) {
    const server = socket?.server;
    if (server === undefined || server === null || httpVersionMajor > 1) return null;
    const refusal = this.#held.has(socket) ? null : this.#admit(socket);
    if (refusal !== null || upgrade !== true || !isForwarded || judged === undefined) return refusal;
    return this.tracker[kAssignSocket](socket, judged);
  }

  #admit(socket) {
    const accepted = acceptedSocket(socket);
    const checkClient = this.#proxies === null || !this.#proxies.isTrusted(remoteAddressOf(socket));
    const { refusal = null } = this.tracker[kAdmitSocket](accepted, { checkClient });
    if (refusal === null) this.#held.add(socket);
    return refusal;
  }
}

module.exports = { ConnectionGate };
