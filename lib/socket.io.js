'use strict';

const { SocketGuard } = require('./websocket/socket-guard');
const { socketIoServer } = require('./websocket/socket-io-server');

/** Creates the guard of this name or attaches to it, before servers of Socket.IO 4. */
function sluice(options) {
  return socketIoServer(new SocketGuard('sluice/socket.io', options));
}

module.exports = sluice;
