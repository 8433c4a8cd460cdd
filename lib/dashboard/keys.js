'use strict';

const { open } = require('../observation/opaque-ids');
const { SluiceError } = require('../runtime/errors');

/** The key of a client that the page names by an id, or that an operator has typed: `{ key }`. */
function keyOf(client) {
  const typed = client?.key;
  if (typeof typed === 'string' && typed !== '') return typed;
  const opened = open(client);
  if (opened?.kind === 'client') return opened.key;
  throw unknown('client');
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
