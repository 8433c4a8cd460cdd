'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { DEFAULT_IPV6_PREFIX } = require('../runtime/layouts');
const { native } = require('../runtime/native');
const { checkOptions } = require('../runtime/schema');

const SCHEMA = schemaOf('clientKey');

/** The canonical text of the client behind an address. It is its own client key. */
function clientKey(ip, options) {
  if (options === undefined) return native.clientKey(ip, DEFAULT_IPV6_PREFIX);
  const { ipv6Prefix = DEFAULT_IPV6_PREFIX } = checkOptions('clientKey', options, SCHEMA);
  return native.clientKey(ip, ipv6Prefix);
}

module.exports = { clientKey };
