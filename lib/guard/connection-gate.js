'use strict';

const { ClientAddress } = require('../client-key');
const { ConnectionTracker, kAdmitSocket } = require('../connection-tracker');
const { acceptedSocket } = require('../socket-table');

/**
 * Counts the connections of every server whose requests come by, and says which of them the cap leaves no
 * room for.
 */
class ConnectionGate {
  #attached = new WeakSet();
  #held = new WeakSet();
  #observes;
  #trustedProxies;
  #proxies;

  /** With `observes` nothing is refused at accept: connections are counted with their first request. */
  constructor(name, options, { trustedProxies, observes }) {
    this.tracker = new ConnectionTracker(name, options);
    this.#trustedProxies = trustedProxies;
    this.#proxies = trustedProxies.length > 0 ? new ClientAddress({ trustedProxies }) : null;
    this.#observes = observes;
  }

  /** From now on the cap is kept at accept, before a byte is parsed. Idempotent. */
  attach(server) {
    if (this.#observes || this.#attached.has(server)) return;
    this.tracker.attach(server, { trustedProxies: this.#trustedProxies });
    this.#attached.add(server);
  }

  /**
   * Why the request's connection is not held; null when it is. A socket accepted before its server was
   * attached is admitted here, with its first request. Injected requests have no server, as they never
   * came over a connection.
   */
  refuses({ socket, httpVersionMajor }) {
    if (this.#held.has(socket)) return null;
    const { server } = socket;
    if (server === undefined || server === null) return null;
    this.attach(server);
    return httpVersionMajor > 1 ? null : this.#admit(socket);
  }

  #admit(socket) {
    const accepted = acceptedSocket(socket);
    const checkClient = this.#proxies === null || !this.#proxies.isTrusted(accepted.remoteAddress);
    const { refusal = null } = this.tracker[kAdmitSocket](accepted, { checkClient });
    if (refusal === null) this.#held.add(socket);
    return refusal;
  }
}

module.exports = { ConnectionGate };
