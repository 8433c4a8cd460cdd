'use strict';

const { shadow } = require('../http/server-closing');

/** Whether `closeIdleConnections` is that of Node, which calls `destroy` of each socket. */
const isNode = process.versions.bun === undefined && process.versions.deno === undefined;

/**
 * The `sockets` that Node counts as idle: a request was served, and no byte of the next one was parsed. Only the parser
 * knows that, and only `closeIdleConnections` asks it, so `destroy` of these sockets has no effect during the call. Other
 * idle sockets of the server are closed. `undefined` where the server cannot be asked.
 */
function idleSockets(server, sockets) {
  if (!isNode || typeof server.closeIdleConnections !== 'function') return undefined;
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
