'use strict';

const { ClientAddress } = require('../client-key/client-address');
const {
  addressOfRequest,
  hasRequestLostAddress,
  keepAddresses,
  remoteAddressOf,
} = require('../http/remote-address');
const { continueLate } = require('../http/late-continue');
const { promiseOf } = require('../runtime/promise-of');
const warnings = require('./client-warnings');

/** The key of all requests whose client is unknown. It is no address, so no other client has it. */
const UNKNOWN_KEY = 'unknown';
const LIKE_UNKNOWN = /^unknown\0*$/;

/** Marks a socket of a proxy: each of its requests names its own client. */
const PROXY = Symbol('sluice.proxy');

const WHOLE_ADDRESS = 128;

/** A client, as a guard sees it. */
class Seen {
  /** Whether the connection is one of HTTP/2. */
  isOfHttp2 = false;

  /**
   * `client` is what users read. `judged` is the address that failures and bans are for: `undefined` for an unknown client
   * and for a trusted proxy. `isForwarded`: a proxy named the client.
   */
  constructor(client, judged, isForwarded) {
    this.client = client;
    this.judged = judged;
    this.isForwarded = isForwarded;
  }
}

const NO_CLIENT = Object.freeze({ address: null, key: UNKNOWN_KEY });
const UNKNOWN = new Seen(NO_CLIENT, undefined, false);
const UNKNOWN_BEHIND_PROXY = new Seen(NO_CLIENT, undefined, true);
/** A TCP client that has reset its connection before its address was read. */
const LOST = new Seen(NO_CLIENT, undefined, false);

/**
 * The client that sent a request. The proxy settings of Express and Fastify are ignored.
 *
 * A direct client is looked up once for each socket. Headers are read only of a trusted proxy's requests: Node parses them
 * when they are first read, which a server that never reads them need not pay for.
 */
class RequestClient {
  /** Whether the servers of the clients send `100 Continue` late. */
  continuesLate = false;
  #hasNoProxies;
  #proxies;
  /** For whole addresses: lists and bans of ranges look at all bits. */
  #whole;
  #header;
  #addressOf;
  #kSeen = Symbol('sluice.client');

  /** `clientAddress` is the header in which trusted proxies name the client, or a function of the request. */
  constructor({ trustedProxies, clientAddress }) {
    this.#hasNoProxies = trustedProxies.length === 0;
    this.#proxies = new ClientAddress({ trustedProxies });
    this.#whole = new ClientAddress({ trustedProxies, ipv6Prefix: WHOLE_ADDRESS });
    this.#addressOf = typeof clientAddress === 'function' ? clientAddress : null;
    this.#header = this.#addressOf === null ? clientAddress : null;
  }

  /**
   * The client of `incoming`, which is Node's own request; always the same for one request. `isNeeded`: a decision depends
   * on it, so a client that cannot be named is warned of.
   */
  see(incoming, isNeeded) {
    const known = incoming.socket?.[this.#kSeen];
    if (known !== undefined && known !== PROXY) {
      // Such a request loses its socket when its stream closes.
      if (known.isOfHttp2) incoming[this.#kSeen] = known;
      return known;
    }
    return incoming[this.#kSeen] ?? this.#meet(incoming, known === PROXY, isNeeded);
  }

  /** The client that opened a socket; `undefined` for a trusted proxy, or without an address. */
  openerOf(socket) {
    const address = remoteAddressOf(socket);
    return address === undefined || this.#proxies.isTrusted(address) ? undefined : address;
  }

  #meet(incoming, isProxy, isNeeded) {
    const client = isProxy ? this.#named(incoming, isNeeded) : this.#first(incoming, isNeeded);
    incoming[this.#kSeen] = client;
    return client;
  }

  /** The client of the first request on a socket; of each request where a function names clients. */
  #first(incoming, isNeeded) {
    const { socket, headers, stream } = incoming;
    keepAddresses(socket?.server);
    if (this.continuesLate) continueLate(socket?.server);
    const remote = addressOfRequest(incoming);
    if (remote === undefined && hasRequestLostAddress(incoming)) return LOST;
    if (this.#addressOf !== null) return this.#namedByUser(incoming, remote, isNeeded);
    if (remote === undefined) {
      if (isNeeded) warnings.missingAddress(socket);
      return UNKNOWN;
    }
    if (this.#proxies.isTrusted(remote)) {
      if (socket) socket[this.#kSeen] = PROXY;
      return this.#named(incoming, isNeeded);
    }
    if (this.#hasNoProxies && isNeeded && headers['x-forwarded-for'] !== undefined) {
      warnings.untrustedForwarding();
    }
    const seen = this.#ofAddress(this.#whole.keyOf(remote), { isJudged: true, isForwarded: false });
    // All requests of the socket share it.
    Object.freeze(seen.client);
    seen.isOfHttp2 = stream !== undefined;
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

  /** A proxy that names no client is the client itself, as in health checks, unless it sends another known header. */
  #unnamed(incoming, isNeeded) {
    const proxy = addressOfRequest(incoming);
    const other = warnings.otherHeader(incoming.headers);
    if (isNeeded) warnings.unnamed(proxy, this.#header, other);
    if (other !== undefined) return UNKNOWN_BEHIND_PROXY;
    return this.#ofAddress(this.#whole.keyOf(proxy), { isJudged: false, isForwarded: true });
  }

  /** The client that the user's function names. */
  #namedByUser(incoming, remote, isNeeded) {
    try {
      const answer = this.#addressOf(incoming);
      // A promise is no address, but its rejection must not end the process.
      if (typeof answer?.then === 'function') promiseOf(answer).catch(() => {});
      const address = this.#whole.keyOf(answer);
      const isForwarded = remote === undefined || address !== this.#whole.keyOf(remote);
      return this.#ofAddress(address, { isJudged: !this.#proxies.isTrusted(address), isForwarded });
    } catch (error) {
      if (isNeeded) warnings.unanswered(error);
      return UNKNOWN_BEHIND_PROXY;
    }
  }

  /** A client by its address, in canonical form. */
  #ofAddress(address, { isJudged, isForwarded }) {
    // Only IPv6 addresses are cut to a prefix.
    const key = address.includes(':') ? this.#proxies.keyOf(address) : address;
    return new Seen({ address, key }, isJudged ? address : undefined, isForwarded);
  }
}

/** The key that `key` returned, made different from the key of unknown clients. */
function ownKey(key) {
  return typeof key === 'string' && LIKE_UNKNOWN.test(key) ? `${key}\0` : key;
}

module.exports = { LOST, RequestClient, UNKNOWN, ownKey };
