'use strict';

const { native } = require('./native');
const { checkOptions, integer, owned } = require('./options');

const DEFAULT_IPV6_PREFIX = 64;
const checkPrefix = integer(1, 128);
const SCHEMA = { ipv6Prefix: checkPrefix };

const collected = new FinalizationRegistry((handle) => native.releaseClientAddress(handle));

/** The canonical text of the client behind an address. Its own client key again. */
function clientKey(ip, options) {
  if (options === undefined) return native.clientKey(ip, DEFAULT_IPV6_PREFIX);
  const { ipv6Prefix = DEFAULT_IPV6_PREFIX } = checkOptions('clientKey', options, SCHEMA);
  return native.clientKey(ip, ipv6Prefix);
}

/** Which client a request comes from, when the proxies in front of the server are known. */
class ClientAddress {
  #handle;

  constructor(options) {
    const { trustedProxies, ipv6Prefix = DEFAULT_IPV6_PREFIX } = owned(options);
    this.#handle = native.openClientAddress(trustedProxies, ipv6Prefix);
    collected.register(this, this.#handle);
  }

  isTrusted(peer) {
    return native.isTrustedProxy(this.#handle, peer) === 1;
  }

  resolve(peer, forwardedFor) {
    return native.resolveClient(this.#handle, peer, forwardedFor);
  }
}

module.exports = { ClientAddress, DEFAULT_IPV6_PREFIX, checkPrefix, clientKey };
