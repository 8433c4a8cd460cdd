'use strict';

const net = require('node:net');

/** Where a socket, and a stream of HTTP/2, has the address that was taken at its accept. */
const kAddress = Symbol('sluice.remoteAddress');

const kept = new WeakSet();

/**
 * The socket that was accepted: below TLS it is another one than that of the request. Node has no public
 * name for it; where the private one should go, such sockets are idle as their bytes tell.
 */
function acceptedSocket(socket) {
  return socket?._parent ?? socket;
}

/**
 * The remote address of a socket, kept with it from the first look: the system forgets the address when the client
 * resets the connection. `undefined` for a socket that has none.
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
 * The remote address behind a request of Node's. A request of HTTP/2 loses its socket when its stream closes, so the
 * stream has the address too.
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
  // A lifecycle may have closed it already; then its socket must not be touched.
  if (session.destroyed) return;
  const address = remoteAddressOf(session.socket);
  session.prependListener('stream', (stream) => {
    stream[kAddress] = address;
  });
}

/**
 * Whether a socket without an address is a TCP connection, which its client has reset before anything could look. All
 * other sockets never have one: Unix sockets, and streams that are no sockets.
 */
function hasLostAddress(socket) {
  const accepted = acceptedSocket(socket);
  if (!(accepted instanceof net.Socket)) return false;
  const { _handle: handle, server } = accepted;
  if (handle) return typeof handle.getpeername === 'function';
  // A closed socket has no handle any more; its server still tells what it accepts.
  return typeof server?.address === 'function' && typeof server.address() !== 'string';
}

/** The same for a request: one of HTTP/2 whose stream has closed cannot be asked any more. */
function hasRequestLostAddress({ socket, stream }) {
  if (stream !== undefined && stream.session === undefined) return true;
  return hasLostAddress(socket);
}

/** Ends the connection of a request, with all of its streams. */
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
