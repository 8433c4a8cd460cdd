'use strict';

const { ClientAddress } = require('../client-key');
const {
  ConnectionTracker,
  kAdmitSocket,
  kAssignSocket,
  kCountBanned,
  kCountWithoutAddress,
} = require('../connection-tracker');
const { acceptedSocket, remoteAddressOf } = require('../http/remote-address');

/** Counts the connections of a guard's servers, and says which of them the caps leave no room for. */
class ConnectionGate {
  #held = new WeakSet();
  #observes;
  #refusedBody;
  #trustedProxies;
  #proxies;

  /**
   * Without `options` it attaches to the tracker that there is. With `observes` nothing is refused at accept:
   * connections are counted with their first request.
   */
  constructor(name, options, { trustedProxies, observes, refusedBody }) {
    this.tracker = new ConnectionTracker(name, options);
    this.#observes = observes;
    this.#refusedBody = refusedBody;
    this.trust(trustedProxies);
  }

  /** For sockets and requests that come from now on; of attached servers, once they are attached again. */
  trust(trustedProxies) {
    this.#trustedProxies = trustedProxies;
    this.#proxies = trustedProxies.length > 0 ? new ClientAddress({ trustedProxies }) : null;
  }

  /** From now on the caps are kept at accept, before a byte is parsed. */
  attach(server) {
    const options = { trustedProxies: this.#trustedProxies, refusedBody: this.#refusedBody };
    if (!this.#observes) this.tracker.attach(server, options);
  }

  /** A socket was refused at accept: its client is banned, or it has no address. */
  countRefused({ reason }) {
    this.tracker[reason === 'banned' ? kCountBanned : kCountWithoutAddress]();
  }

  /**
   * Why the request's connection is not held; null when it is. A socket accepted before its server was
   * attached is admitted here, with its first request. Injected requests have no server, as they never
   * came over a connection.
   *
   * The connection of a proxy that changes to another protocol carries one client from then on, and counts for it.
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
