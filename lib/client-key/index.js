'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { DEFAULT_IPV6_PREFIX, HEADER_FORMATS, RESOLVED_CLIENT } = require('../runtime/layouts');
const { handlesOf, native, numbers } = require('../runtime/native');
const { checkOptions, owned } = require('../runtime/schema');

const SCHEMA = schemaOf('clientKey');
const { ipv6Prefix: checkPrefix } = SCHEMA;

const collected = handlesOf(native.releaseClientAddress);

/** The canonical text of the client behind an address. Its own client key again. */
function clientKey(ip, options) {
  if (options === undefined) return native.clientKey(ip, DEFAULT_IPV6_PREFIX);
  const { ipv6Prefix = DEFAULT_IPV6_PREFIX } = checkOptions('clientKey', options, SCHEMA);
  return native.clientKey(ip, ipv6Prefix);
}

/** How each header of a proxy names clients. Every other header holds one address. */
const FORMAT_OF_HEADER = { 'x-forwarded-for': 'list', forwarded: 'forwarded' };

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

  /** The key of an address; throws `INVALID_ADDRESS` for what is none. */
  keyOf(address) {
    return native.keyOfAddress(this.#handle, address);
  }

  /**
   * The client that the header of a trusted proxy names: `address` is its key, `isProxy` says that it is trusted as well.
   * `undefined` where the header cannot be read.
   */
  resolve(name, header) {
    const address = native.resolveClient(
      this.#handle,
      HEADER_FORMATS[FORMAT_OF_HEADER[name] ?? 'single'],
      header,
    );
    return address === undefined ? undefined : { address, isProxy: numbers[RESOLVED_CLIENT.IS_PROXY] === 1 };
  }
}

module.exports = { ClientAddress, DEFAULT_IPV6_PREFIX, checkPrefix, clientKey };
