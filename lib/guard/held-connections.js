'use strict';

const { acceptedSocket } = require('../http/remote-address');

/** The open connections of one server: what their requests are read from is known when the server closes. */
class HeldConnections {
  /** Where a socket has its entry: http2 shows sockets through proxies, which have other identities. */
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

  /** It speaks HTTP/2. */
  speak(session) {
    const connection = acceptedSocket(session.socket)?.[this.#entry];
    if (connection !== undefined) connection.session = session;
  }
}

module.exports = { HeldConnections };
