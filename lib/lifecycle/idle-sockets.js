'use strict';

const { shadow } = require('../http/server-closing');

/** Whether `closeIdleConnections` is Node's own, which destroys one socket after the other. */
const isNode = process.versions.bun === undefined && process.versions.deno === undefined;

/**
 * Which of `sockets` Node counts as idle: a request was served, and of the next no byte was parsed. Only the parser
 * knows that, and only `closeIdleConnections` asks it; so the sockets are kept from being destroyed by it. `undefined`
 * where the server cannot be asked. Other idle sockets of the server are closed.
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
