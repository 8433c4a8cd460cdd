'use strict';

const { shadow } = require('../http/server-closing');

/** Whether `closeIdleConnections` calls `destroy` of each socket, as that of Node and of Deno 2.9. */
const canAsk = process.versions.bun === undefined;

/**
 * The `sockets` that the server counts as idle: a request was served, and no byte of the next one was parsed. Only the parser
 * knows that, and only `closeIdleConnections` asks it, so `destroy` of these sockets has no effect during the call. Other
 * idle sockets of the server are closed. `undefined` where the server cannot be asked.
 */
function idleSockets(server, sockets) {
  if (!canAsk || typeof server.closeIdleConnections !== 'function') return undefined;
  const idle = new Set();
  const restore = sockets.map((socket) => shadow(socket, 'destroy', () => idle.add(socket)));
  try {
    server.closeIdleConnections();
  } finally {
    for (const undo of restore) undo();
  }
  return idle;
}

module.exports = { idleSockets };
