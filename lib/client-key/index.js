'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { DEFAULT_IPV6_PREFIX, HEADER_FORMATS, RESOLVED_CLIENT } = require('../runtime/layouts');
const { handlesOf, native, numbers } = require('../runtime/native');
const { checkOptions, owned } = require('../runtime/schema');

const SCHEMA = schemaOf('clientKey');

const collected = handlesOf(native.releaseClientAddress);

/** The canonical text of the client behind an address. It is its own client key. */
function clientKey(ip, options) {
  if (options === undefined) return native.clientKey(ip, DEFAULT_IPV6_PREFIX);
  const { ipv6Prefix = DEFAULT_IPV6_PREFIX } = checkOptions('clientKey', options, SCHEMA);
  return native.clientKey(ip, ipv6Prefix);
}

/** How each header of a proxy names clients. Every other header holds one address. */
const FORMAT_OF_HEADER = { 'x-forwarded-for': 'list', forwarded: 'forwarded' };

/** Finds the client of a request behind trusted proxies. */
class ClientAddress {
  #handle;

  constructor(options) {
    const { trustedProxies, ipv6Prefix = DEFAULT_IPV6_PREFIX } = owned(options);
    this.#handle = native.openClientAddress(trustedProxies, ipv6Prefix);
    collected.register(this, this.#handle);
  }

  /** Whether the address is that of a trusted proxy. */
  isTrusted(address) {
    return native.isTrustedProxy(this.#handle, address) === 1;
  }

  /** The key of an address; throws `INVALID_ADDRESS` for any other value. */
  keyOf(address) {
    return native.keyOfAddress(this.#handle, address);
  }

  /**
   * The client that the header of a trusted proxy names: `address` is its key; `isProxy`: it is a trusted proxy as well.
   * `undefined` where the header is unreadable.
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

module.exports = { ClientAddress, clientKey };
