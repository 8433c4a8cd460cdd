/** What {@link clientKey} takes. */
export interface ClientKeyOptions {
  /**
   * Leading bits of an IPv6 address that stand for one client, 1 to 128.
   * @default 64
   */
  ipv6Prefix?: number;
}

/**
 * The canonical text of the client behind an address, to be used as a key. IPv4 stays; IPv4 inside
 * `::ffff:0:0/96` or `64:ff9b::/96` becomes that IPv4; any other IPv6 address is cut to its prefix. Zone id,
 * brackets and port are removed. A client key is its own client key.
 *
 * @throws {SluiceError} `INVALID_ADDRESS` for a value that is no address, `INVALID_OPTION` for the prefix.
 */
export function clientKey(ip: string, options?: ClientKeyOptions): string;
