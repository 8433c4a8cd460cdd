'use strict';

const { native } = require('../runtime/native');

/** The leases of servers that listen, to be given back when they stop. */
const leases = new WeakMap();

/**
 * Whether other cluster workers go on accepting from the port of a server that is about to close: what waits in the
 * queue is then served by them.
 */
function otherWorkersAccept(server) {
  const lease = leases.get(server);
  return lease !== undefined && native.otherWorkersAccept(lease);
}

module.exports = { leases, otherWorkersAccept };
