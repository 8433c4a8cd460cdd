'use strict';

const { ClientAddress } = require('../client-key');
const {
  addressOfRequest,
  hasRequestLostAddress,
  keepAddresses,
  remoteAddressOf,
} = require('../http/remote-address');
const { promiseOf } = require('../runtime/promise-of');
const warnings = require('./client-warnings');

/** The key of all requests whose client is not known: no address, so no other client's. */
const UNKNOWN_KEY = 'unknown';
const LIKE_UNKNOWN = /^unknown\0*$/;

/** A socket of a proxy: each of its requests names another client. */
const PROXY = Symbol('sluice.proxy');

const WHOLE_ADDRESS = 128;

/** One client, as a guard sees it. */
class Seen {
  /**
   * `client` is what users are given. `judged` is the address that failures and bans are for: `undefined` for a client
   * that is not known, and for a trusted proxy.
   */
  constructor(client, judged, isForwarded) {
    this.client = client;
    this.judged = judged;
    this.isForwarded = isForwarded;
  }
}

const NOBODY = Object.freeze({ address: null, key: UNKNOWN_KEY });
const UNKNOWN = new Seen(NOBODY, undefined, false);
const UNKNOWN_BEHIND_PROXY = new Seen(NOBODY, undefined, true);
/** A TCP client that has reset its connection before anything could look. */
const LOST = new Seen(NOBODY, undefined, false);

/**
 * The client that sent a request. The proxy settings of Express and Fastify are ignored.
 *
 * A client that speaks for itself is looked up once for each socket. Only a trusted proxy's requests are asked for
 * their headers, which Node parses when they are first read; a server that never reads them should not pay for ours.
 */
class RequestClient {
  #trustsNobody;
  #proxies;
  /** Where a whole address is asked for: lists and bans of ranges look at all of its bits. */
  #whole;
  #header;
  #ask;
  #kSeen = Symbol('sluice.client');

  /** `clientAddress` is the header that is believed from trusted proxies, or a function of the request. */
  constructor({ trustedProxies, clientAddress }) {
    this.#trustsNobody = trustedProxies.length === 0;
    this.#proxies = new ClientAddress({ trustedProxies });
    this.#whole = new ClientAddress({ trustedProxies, ipv6Prefix: WHOLE_ADDRESS });
    this.#ask = typeof clientAddress === 'function' ? clientAddress : null;
    this.#header = this.#ask === null ? clientAddress : null;
  }

  /**
   * The client of `incoming`, which is Node's own request; always the same for one request. `isNeeded` says that
   * something is decided by it: then a client that cannot be named is warned of.
   */
  see(incoming, isNeeded) {
    const known = incoming.socket?.[this.#kSeen];
    if (known !== undefined && known !== PROXY) {
      // A request of HTTP/2 loses its socket when its stream closes.
      if (incoming.stream !== undefined) incoming[this.#kSeen] = known;
      return known;
    }
    return incoming[this.#kSeen] ?? this.#meet(incoming, known === PROXY, isNeeded);
  }

  /** The client that opened a socket; `undefined` when that is a proxy, or has no address. */
  openerOf(socket) {
    const address = remoteAddressOf(socket);
    return address === undefined || this.#proxies.isTrusted(address) ? undefined : address;
  }

  #meet(incoming, isProxy, isNeeded) {
    const client = isProxy ? this.#named(incoming, isNeeded) : this.#newcomer(incoming, isNeeded);
    incoming[this.#kSeen] = client;
    return client;
  }

  /** The client of the first request over a socket; of each where the application names clients. */
  #newcomer(incoming, isNeeded) {
    const { socket, headers } = incoming;
    keepAddresses(socket?.server);
    const remote = addressOfRequest(incoming);
    if (remote === undefined && hasRequestLostAddress(incoming)) return LOST;
    if (this.#ask !== null) return this.#asked(incoming, remote, isNeeded);
    if (remote === undefined) {
      if (isNeeded) warnings.missingAddress(socket);
      return UNKNOWN;
    }
    if (this.#proxies.isTrusted(remote)) {
      if (socket) socket[this.#kSeen] = PROXY;
      return this.#named(incoming, isNeeded);
    }
    if (this.#trustsNobody && isNeeded && headers['x-forwarded-for'] !== undefined) {
      warnings.untrustedForwarding();
    }
    const seen = this.#ofAddress(this.#whole.keyOf(remote), { isJudged: true, isForwarded: false });
    // All requests of the socket share it.
    Object.freeze(seen.client);
    if (socket) socket[this.#kSeen] = seen;
    return seen;
  }

  /** The client that a trusted proxy names. */
  #named(incoming, isNeeded) {
    const header = incoming.headers[this.#header];
    if (header === undefined) return this.#unnamed(incoming, isNeeded);
    const named = this.#whole.resolve(this.#header, header);
    if (named !== undefined) {
      return this.#ofAddress(named.address, { isJudged: !named.isProxy, isForwarded: true });
    }
    if (isNeeded) warnings.unreadable(addressOfRequest(incoming), this.#header, header);
    return UNKNOWN_BEHIND_PROXY;
  }

  /** A proxy that names no client speaks for itself, as health checks do, unless it sends another header. */
  #unnamed(incoming, isNeeded) {
    const proxy = addressOfRequest(incoming);
    const other = warnings.otherHeader(incoming.headers);
    if (isNeeded) warnings.unnamed(proxy, this.#header, other);
    if (other !== undefined) return UNKNOWN_BEHIND_PROXY;
    return this.#ofAddress(this.#whole.keyOf(proxy), { isJudged: false, isForwarded: true });
  }

  /** The client that the application names. */
  #asked(incoming, remote, isNeeded) {
    try {
      const answer = this.#ask(incoming);
      // No address either, but one that rejects must not end the thread.
      if (typeof answer?.then === 'function') promiseOf(answer).catch(() => {});
      const address = this.#whole.keyOf(answer);
      const isForwarded = remote === undefined || address !== this.#whole.keyOf(remote);
      return this.#ofAddress(address, { isJudged: !this.#proxies.isTrusted(address), isForwarded });
    } catch (error) {
      if (isNeeded) warnings.unanswered(error);
      return UNKNOWN_BEHIND_PROXY;
    }
  }

  /** `address` in its canonical form. */
  #ofAddress(address, { isJudged, isForwarded }) {
    // Only IPv6 is cut.
    const key = address.includes(':') ? this.#proxies.keyOf(address) : address;
    return new Seen({ address, key }, isJudged ? address : undefined, isForwarded);
  }
}

/** The key that `key` returned, so that it is never the one of requests without a client. */
function ownKey(key) {
  return typeof key === 'string' && LIKE_UNKNOWN.test(key) ? `${key}\0` : key;
}

module.exports = { LOST, RequestClient, UNKNOWN, ownKey };
