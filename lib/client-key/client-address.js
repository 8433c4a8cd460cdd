'use strict';

const { DEFAULT_IPV6_PREFIX, HEADER_FORMATS, RESOLVED_CLIENT } = require('../runtime/layouts');
const { handlesOf, native, numbers } = require('../runtime/native');
const { owned } = require('../runtime/schema');

const collected = handlesOf(native.releaseClientAddress);

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

module.exports = { ClientAddress };
