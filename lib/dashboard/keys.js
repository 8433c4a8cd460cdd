'use strict';

const net = require('node:net');
const { clientKey } = require('../client-key');
const { attached } = require('../observation/attached');
const { open } = require('../observation/opaque-ids');
const { SluiceError } = require('../runtime/errors');

/**
 * The key of a client that the page names by an id, or that an operator has typed: `{ key }`. `names` are those of the scope.
 */
function keyOf(client, names) {
  const typed = client?.key;
  if (typeof typed === 'string' && typed !== '') return keyOfTyped(typed, names);
  const opened = open(client);
  if (opened?.kind === 'client') return opened.key;
  throw unknown('client');
}

/**
 * Guards count an IPv6 client by its network, and an IPv4 address as such however it is written. An operator has the address
 * from a log. Where a limiter has been asked for the address as it is, that is the key.
 */
function keyOfTyped(typed, names) {
  if (net.isIP(typed) === 0) return typed;
  const isKey = (names.RateLimiter ?? []).some((name) => hasState(name, typed));
  return isKey ? typed : clientKey(typed);
}

/** A limiter on another machine cannot be asked here. */
function hasState(name, key) {
  try {
    const { allowed, resetAfterMs } = attached('RateLimiter', name).peek(key);
    return !allowed || resetAfterMs > 0;
  } catch {
    return false;
  }
}

/** The breaker and the target of a circuit that the page names by an id. */
function circuitOf(id) {
  const opened = open(id);
  if (opened?.kind === 'circuit') return opened;
  throw unknown('circuit');
}

/** The name of a limiter that the page names by an id. */
function limiterOf(id) {
  const opened = open(id);
  if (opened?.kind === 'limiter') return opened.name;
  throw unknown('limiter');
}

function unknown(what) {
  const why = `The ${what} is not known: the server may have been started anew. Reload the page.`;
  return new SluiceError('NOT_FOUND', why);
}

module.exports = { circuitOf, keyOf, limiterOf };
