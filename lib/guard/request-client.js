'use strict';

const { ClientAddress } = require('../client-key');
const { warnOnce } = require('./warn-once');

/**
 * All requests whose socket has no address share this key; being no address, it is no other client's. They
 * must be counted: a client that hangs up at once has no address either, and would otherwise be served
 * without any limit.
 */
const NO_ADDRESS = 'unknown';

const READ_MORE = 'See docs/middleware.md#who-the-client-is in the package.';

/**
 * Who sent a request: the key of its client's address. What Express and Fastify were told about proxies is
 * not asked.
 *
 * Peer and trust are looked up once for each socket. Only a trusted peer's requests are asked for their
 * headers, which Node parses when they are first read; a server that never reads them should not pay for
 * ours.
 */
class RequestClient {
  #address;
  /** Where a whole address is asked for: lists and bans of ranges look at all of its bits. */
  #wholeAddress;
  #trustsNobody;
  #kPeer = Symbol('sluice.peer');

  constructor(trustedProxies) {
    this.#address = new ClientAddress({ trustedProxies });
    this.#wholeAddress = new ClientAddress({ trustedProxies, ipv6Prefix: 128 });
    this.#trustsNobody = trustedProxies.length === 0;
  }

  /** `incoming` is Node's own request. */
  of(incoming) {
    const { address, client } = incoming.socket[this.#kPeer] ?? this.#meet(incoming);
    return client ?? this.#address.resolve(address, incoming.headers['x-forwarded-for']);
  }

  /** The client's address, not cut; `undefined` for a socket without one. */
  addressOf(incoming) {
    const { address, client } = incoming.socket[this.#kPeer] ?? this.#meet(incoming);
    return client === null
      ? this.#wholeAddress.resolve(address, incoming.headers['x-forwarded-for'])
      : address;
  }

  /** Whether the request came through a proxy, whose connection carries other clients as well. */
  isForwarded(incoming) {
    return (incoming.socket[this.#kPeer] ?? this.#meet(incoming)).client === null;
  }

  /** The client that opened a socket; `undefined` when that is a proxy, or has no address. */
  openerOf({ remoteAddress }) {
    const isClient = remoteAddress !== undefined && !this.#address.isTrusted(remoteAddress);
    return isClient ? remoteAddress : undefined;
  }

  #meet(incoming) {
    const peer = this.#peerOf(incoming);
    incoming.socket[this.#kPeer] = peer;
    return peer;
  }

  /** `client` is null for a proxy, which speaks for others. */
  #peerOf({ socket, headers }) {
    const address = socket.remoteAddress;
    if (address === undefined) return { address, client: withoutAddress(socket) };
    if (this.#trustsNobody && headers['x-forwarded-for'] !== undefined) warnOfUntrustedForwarding();
    return { address, client: this.#address.isTrusted(address) ? null : this.#address.resolve(address) };
  }
}

function withoutAddress(socket) {
  if (!socket.destroyed) warnOfMissingAddress();
  return NO_ADDRESS;
}

function warnOfUntrustedForwarding() {
  warnOnce(
    'SLUICE_UNTRUSTED_FORWARDED_FOR',
    'A request carries X-Forwarded-For but `trustedProxies` is empty: the header is ignored, the client is ' +
      "the socket's address. Behind a proxy all clients share one quota until `trustedProxies` names it.",
    READ_MORE,
  );
}

function warnOfMissingAddress() {
  warnOnce(
    'SLUICE_NO_CLIENT_ADDRESS',
    'A request came over a socket without an address, as Unix sockets are: all such requests share one ' +
      'quota. Give `key` to tell their clients apart.',
    READ_MORE,
  );
}

module.exports = { RequestClient };
