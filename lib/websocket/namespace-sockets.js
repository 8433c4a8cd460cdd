'use strict';

/** The sockets of Socket.IO by their connection, of which each namespace has one. */
class NamespaceSockets {
  #byConnection = new WeakMap();

  constructor(io) {
    const watch = (namespace) => namespace.on('connection', (socket) => this.#add(socket));
    watch(io.of('/'));
    // Socket.IO has no public list of the namespaces that exist.
    for (const namespace of io._nsps?.values() ?? []) if (namespace.name !== '/') watch(namespace);
    io.on('new_namespace', watch);
  }

  /** The open sockets of a connection; the same set with each call. */
  of(connection) {
    let sockets = this.#byConnection.get(connection);
    if (sockets === undefined) {
      sockets = new Set();
      this.#byConnection.set(connection, sockets);
    }
    return sockets;
  }

  #add(socket) {
    const sockets = this.of(socket.conn);
    sockets.add(socket);
    socket.once('disconnect', () => sockets.delete(socket));
  }
}

module.exports = { NamespaceSockets };
