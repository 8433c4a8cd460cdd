'use strict';

const { describe } = require('../runtime/errors');
const { warnOnce } = require('./warn-once');

const READ_MORE = 'See docs/middleware.md#the-client-of-a-request in the package.';

/** Headers in which proxies name clients. */
const FORWARDING_HEADERS = [
  'x-forwarded-for',
  'forwarded',
  'x-real-ip',
  'cf-connecting-ip',
  'true-client-ip',
  'fastly-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
];

const CONSEQUENCE = 'Such requests share the key "unknown", and are never banned.';

function untrustedForwarding() {
  warnOnce(
    'SLUICE_UNTRUSTED_FORWARDED_FOR',
    'A request carries X-Forwarded-For but `trustedProxies` is empty: the header is ignored, the client is ' +
      "the socket's address. Behind a proxy all clients share one quota until `trustedProxies` names it.",
    READ_MORE,
  );
}

/** For a Unix socket, which has no address. Other sockets without one belong to injected requests. */
function missingAddress(socket) {
  if (!isUnixSocket(socket)) return;
  warnOnce(
    'SLUICE_NO_CLIENT_ADDRESS',
    'A request came over a Unix socket, which has no address: all such requests share one quota. Give `key` to ' +
      'tell their clients apart.',
    READ_MORE,
  );
}

function isUnixSocket(socket) {
  return typeof socket?.server?.address === 'function' && typeof socket.server.address() === 'string';
}

/** For a trusted proxy whose header names no address. */
function unreadable(proxy, name, value) {
  warnOnce(
    'SLUICE_UNREADABLE_CLIENT_ADDRESS',
    `The trusted proxy ${proxy} sent ${name}: ${describe(value)}, which names no client address. ${CONSEQUENCE}`,
    READ_MORE,
  );
}

/** Name and value of the first header in which a proxy names a client; `undefined` where there is none. */
function otherHeader(headers) {
  const name = FORWARDING_HEADERS.find((header) => headers[header] !== undefined);
  return name === undefined ? undefined : { name, value: headers[name] };
}

/** For a trusted proxy that did not send the configured header, but perhaps an `other`. */
function unnamed(proxy, name, other) {
  if (other === undefined) {
    warnOnce(
      'SLUICE_MISSING_CLIENT_ADDRESS',
      `The trusted proxy ${proxy} sent a request without ${name}, or any other header that names a client: the ` +
        "request counts for the proxy's own quota, and is never banned. Health checks may do so; a proxy that " +
        'forwards requests must set the header.',
      READ_MORE,
    );
    return;
  }
  warnOnce(
    'SLUICE_UNREADABLE_CLIENT_ADDRESS',
    `The trusted proxy ${proxy} sent no ${name} but ${other.name}: ${describe(other.value)}. \`clientAddress\` ` +
      `says which header is believed. ${CONSEQUENCE}`,
    READ_MORE,
  );
}

/** For a function `clientAddress` that has thrown, or returned no address. */
function unanswered(error) {
  warnOnce(
    'SLUICE_UNREADABLE_CLIENT_ADDRESS',
    `\`clientAddress\` failed: ${error?.message ?? describe(error)}; accepted: a function that returns an IPv4 or ` +
      `IPv6 address. ${CONSEQUENCE}`,
    READ_MORE,
  );
}

module.exports = { missingAddress, otherHeader, unanswered, unnamed, unreadable, untrustedForwarding };
