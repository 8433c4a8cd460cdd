'use strict';

const { hasLostAddress, remoteAddressOf } = require('../http/remote-address');
const { native } = require('../runtime/native');
const { GuardedServers } = require('./guarded-servers');

/** Attaches a guard to servers of this thread: refuses sockets at accept, and closes the servers. */
class ServerGate {
  #connections;
  #bans;
  #counts;
  #servers;
  #shutdown;
  /** How often everything had been reset when the shutdown began. */
  #shutdownResets;

  /** `bans` and `connections` may be null. With `readsAnswers`, requests know their responses. */
  constructor({ bans, connections, counts, options, readsAnswers }) {
    const { dryRun, refusedBody } = options;
    this.#connections = connections;
    this.#bans = bans;
    this.#counts = counts;
    this.#servers = new GuardedServers({
      refuses: (socket) => (dryRun ? null : this.#refuses(socket)),
      onRefused: (refusal) => this.#refused(refusal),
      onFault: (error) => counts.fault(error),
      isGated: readsAnswers,
      refusedBody,
    });
  }

  /** Decides on the server's connections at accept from now on. Idempotent. */
  attach(server) {
    if (this.#servers.isAttached(server)) return;
    this.#connections?.attach(server);
    // The hook of the server runs bans before caps, whichever attached first.
    this.#servers.attach(server);
  }

  /** Attaches to the server of a request, which Express does not know before. Injected requests have none. */
  meet(server) {
    if (server !== undefined && server !== null) this.attach(server);
  }

  /** Trusts other proxies from now on. */
  trust(trustedProxies) {
    this.#connections?.trust(trustedProxies);
    for (const server of this.#servers.servers) this.#connections?.attach(server);
  }

  /** Closes the servers. Pending requests are decided as before. A second call returns the same promise. */
  close(timeout) {
    // A guard that was shut down before a reset may have begun anew.
    if (this.#shutdownResets !== native.resets()) this.#shutdown = undefined;
    this.#shutdownResets = native.resets();
    this.#shutdown ??= this.#servers.close(timeout).then((forced) => ({ drained: forced === 0, forced }));
    return this.#shutdown;
  }

  /** The refusal of a socket at accept, or null. */
  #refuses(socket) {
    if (remoteAddressOf(socket) === undefined && hasLostAddress(socket)) return { reason: 'address' };
    return this.#bans?.refusesSocket(socket) ?? null;
  }

  #refused(refusal) {
    this.#counts.count('refusedAtAccept', refusal.client);
    this.#counts.publish(...published(refusal));
    try {
      this.#connections?.countRefused(refusal);
    } catch (error) {
      this.#counts.fault(error);
    }
  }
}

/** What subscribers are told of a refusal at accept. It has no status: no request was read. */
function published({ reason, client = null, retryAfterMs = Number.POSITIVE_INFINITY }) {
  const refusal = { reason: reason === 'banned' ? 'ban' : reason, status: null, retryAfterMs };
  return /** @type {const} */ ([refusal, { address: client, key: client ?? 'unknown' }, false]);
}

module.exports = { ServerGate };
