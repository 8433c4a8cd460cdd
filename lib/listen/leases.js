'use strict';

const { native } = require('../runtime/native');

/** By server that listens: its lease, given back when the server stops. */
const leases = new WeakMap();

/**
 * Whether other cluster workers go on accepting from the port of a server that is about to close. They then serve what is
 * in the queue.
 */
function otherWorkersAccept(server) {
  const lease = leases.get(server);
  return lease !== undefined && native.otherWorkersAccept(lease);
}

module.exports = { leases, otherWorkersAccept };
