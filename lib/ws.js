'use strict';

const { SocketGuard } = require('./websocket/socket-guard');
const { wsServer } = require('./websocket/ws-server');

/** Creates the guard of this name or attaches to it, before servers of `ws` 8. */
function sluice(options) {
  return wsServer(new SocketGuard('sluice/ws', options));
}

module.exports = sluice;
