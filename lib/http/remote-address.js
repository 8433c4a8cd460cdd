'use strict';

const net = require('node:net');

/** On a socket, and on a stream of HTTP/2: the address that was read at accept. */
const kAddress = Symbol('sluice.remoteAddress');

const kept = new WeakSet();

/**
 * The accepted socket. Over TLS it is not the socket of the request. Node has no public name for it. If a version of
 * Node removes the private one, such sockets are active by their bytes only.
 */
function acceptedSocket(socket) {
  return socket?._parent ?? socket;
}

/**
 * The remote address of a socket, kept on it from the first call: the system drops the address when the client resets the
 * connection. `undefined` for a socket that has none.
 */
function remoteAddressOf(socket) {
  const accepted = acceptedSocket(socket);
  if (accepted === undefined || accepted === null) return undefined;
  const known = accepted[kAddress];
  if (known !== undefined) return known;
  const address = accepted.remoteAddress ?? socket.remoteAddress;
  if (address !== undefined) accepted[kAddress] = address;
  return address;
}

/**
 * The remote address of a request. A request of HTTP/2 loses its socket when its stream closes, so the stream has the
 * address too.
 */
function addressOfRequest({ socket, stream }) {
  return stream?.[kAddress] ?? remoteAddressOf(socket);
}

/** From now on each connection of the server keeps its address. Idempotent. */
function keepAddresses(server) {
  if (kept.has(server) || typeof server?.prependListener !== 'function') return;
  kept.add(server);
  server.prependListener('connection', remoteAddressOf);
  server.prependListener('session', keepAddressOfStreams);
}

function keepAddressOfStreams(session) {
  // A lifecycle may have closed the session already. Then its socket must not be used.
  if (session.destroyed) return;
  const address = remoteAddressOf(session.socket);
  session.prependListener('stream', (stream) => {
    stream[kAddress] = address;
  });
}

/**
 * Whether a socket without an address is a TCP connection that its client has reset before the address was read. Other
 * sockets never have one: Unix sockets, and streams that are not sockets.
 */
function hasLostAddress(socket) {
  const accepted = acceptedSocket(socket);
  if (!(accepted instanceof net.Socket)) return false;
  /** @type {any} The types of Node.js lack `_handle` and `server`. */
  const fields = accepted;
  const { _handle: handle, server } = fields;
  // Handles of Bun have no methods. Only a TCP socket has a local address.
  if (typeof handle?.getpeername === 'function' || accepted.localAddress !== undefined) return true;
  if (handle) return false;
  // A closed socket has no handle any more. The address of its server shows what it accepts.
  return typeof server?.address === 'function' && typeof server.address() !== 'string';
}

/** The same for a request. One of HTTP/2 whose stream has closed counts as lost. */
function hasRequestLostAddress({ socket, stream }) {
  if (stream !== undefined && stream.session === undefined) return true;
  return hasLostAddress(socket);
}

/** Ends the connection of a request, with all its streams. */
function destroyConnectionOf({ socket, stream }) {
  if (stream === undefined) socket.destroy();
  else stream.session?.destroy();
}

module.exports = {
  acceptedSocket,
  addressOfRequest,
  destroyConnectionOf,
  hasLostAddress,
  hasRequestLostAddress,
  keepAddresses,
  remoteAddressOf,
};
