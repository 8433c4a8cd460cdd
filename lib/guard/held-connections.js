'use strict';

const { endWithClient } = require('../http/closed-stream');
const { acceptedSocket } = require('../http/remote-address');

/** The open connections of one server, with what their requests are read from, for when the server closes. */
class HeldConnections {
  /** The property of a socket that holds its entry. Not a map: http2 wraps sockets in proxies of other identity. */
  #entry = Symbol('sluice.held');
  #connections = new Set();

  /** `{ socket, stream?, session? }` of each. */
  get connections() {
    return this.#connections;
  }

  add(socket) {
    const connection = { socket, stream: undefined, session: undefined };
    socket[this.#entry] = connection;
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }

  /** The handshake of TLS has ended. */
  secure(stream) {
    const connection = acceptedSocket(stream)?.[this.#entry];
    if (connection !== undefined) connection.stream = stream;
  }

  /** It speaks HTTP/2. The server would wait for a stream that stays open. */
  speak(session) {
    session.on('stream', endWithClient);
    const connection = acceptedSocket(session.socket)?.[this.#entry];
    if (connection !== undefined) connection.session = session;
  }
}

module.exports = { HeldConnections };
