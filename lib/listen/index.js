'use strict';

const { lookup } = require('node:dns/promises');
const { isIP } = require('node:net');
const { constants } = require('node:os');
const { getSystemErrorMap } = require('node:util');
const { invalidOption, SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { closeWithCluster, leavesPortToPrimary, listenOnDescriptor } = require('./cluster-worker');
const { leases } = require('./leases');
const { acceptorFor, explain, ignoresDescriptors } = require('./http-acceptor');
const { checkOptions, integer, owned, requireOptions } = require('../runtime/schema');

const DEFAULT_BACKLOG = 511;
const checkHost = (value, option) => {
  if (typeof value === 'string' && value !== '') return value;
  throw invalidOption(option, value, 'an address or a host name');
};
const SCHEMA = { port: integer(0, 65_535), host: checkHost, backlog: integer(1, 2 ** 31 - 1) };

/** An application of Express has all but `close`, a Fastify instance all but `once`. */
const SERVER_METHODS = ['listen', 'once', 'close'];
const ACCEPTED_SERVERS =
  'a server of net, tls, http, https or http2, such as http.createServer(app) for Express, or app.server of Fastify';

/**
 * Listens on a port together with all threads that ask for it. They accept from one queue, so a connection that is pending
 * when a thread ends is served by another. The port closes with the last server.
 */
async function listen(server, options) {
  const { port, host, backlog = DEFAULT_BACKLOG } = checkListenOptions(server, options);
  if (leavesPortToPrimary()) {
    await listening(server, () => server.listen({ port, host, backlog }));
    return { port: server.address().port };
  }
  const listener = await acquire(host, port, backlog);
  try {
    const acceptor = ignoresDescriptors(server) ? acceptorFor(server) : server;
    await listening(acceptor, () => listenOnDescriptor(acceptor, listener.fd, backlog));
    checkPort(server, listener.port);
  } catch (error) {
    native.releaseListener(listener.lease);
    throw explain(error);
  }
  native.listenerIsTaken(listener.lease);
  giveBackWithClose(server, listener.lease);
  closeWithCluster(server);
  return { port: listener.port };
}

/** Fails where a runtime has ignored the descriptor and opened a port of its own. */
function checkPort(server, port) {
  const actual = server.address?.()?.port;
  if (!server.listening || actual === undefined || actual === port) return;
  server.close();
  throw new SluiceError(
    'UNSUPPORTED',
    `listen: the server was to listen on port ${port}, and this runtime made it listen on ${actual}; ` +
      'accepted: a server of net, tls, http, https or http2 that listens on descriptors',
  );
}

/**
 * Gives the lease back when `server.close` is called: the server no longer accepts, though its last connection may end much
 * later. With the port still open, clients would connect and never be served.
 */
function giveBackWithClose(server, lease) {
  const isKnown = leases.has(server);
  leases.set(server, lease);
  // The server may have been closed since it began to listen.
  if (!server.listening) giveBack(server);
  if (isKnown) return;
  const { close } = server;
  server.close = function (...args) {
    const result = close.apply(this, args);
    giveBack(server);
    return result;
  };
  server.on('close', () => giveBack(server));
}

function giveBack(server) {
  const lease = leases.get(server);
  if (lease !== undefined) native.releaseListener(lease);
  leases.set(server, undefined);
}

function checkListenOptions(server, options) {
  if (!SERVER_METHODS.every((method) => typeof server?.[method] === 'function')) {
    throw invalidOption('listen server', server, ACCEPTED_SERVERS);
  }
  const checked = checkOptions('listen', options, SCHEMA);
  requireOptions('listen', checked, ['port']);
  if (process.platform === 'win32') {
    throw new SluiceError(
      'UNSUPPORTED',
      'listen: Node cannot share a listening socket on Windows; accepted: Linux, macOS, BSD',
    );
  }
  return checked;
}

async function acquire(host, port, backlog) {
  for (const address of await addressesOf(host)) {
    const listener = owned(native.acquireListener(address, port, backlog));
    if (listener.kind === 'leased') return listener;
    const error = systemError(listener.errno, address, port);
    // Without a host, the wildcard address of IPv6 is tried first. A system may have no IPv6.
    if (host !== undefined || !['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(error.code)) throw error;
  }
  throw systemError(constants.errno.EAFNOSUPPORT, '::', port);
}

async function addressesOf(host) {
  if (host === undefined) return ['::', '0.0.0.0'];
  return [isIP(host) ? host : (await lookup(host)).address];
}

/** The error that `server.listen` would report. */
function systemError(errno, address, port) {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  const error = new Error(`listen ${code}: ${text} ${address}:${port}`);
  return Object.assign(error, { errno: -errno, code, syscall: 'listen', address, port });
}

/** Settles with the `'listening'` or `'error'` event that `start` leads to. */
function listening(server, start) {
  return new Promise((resolve, reject) => {
    const onError = (error) => {
      server.off('listening', onListening);
      reject(error);
    };
    const onListening = () => {
      server.off('error', onError);
      resolve(undefined);
    };
    server.once('error', onError);
    server.once('listening', onListening);
    try {
      start();
    } catch (error) {
      // The server did not take the descriptor: it listens already, or rejects its arguments.
      server.off('listening', onListening);
      server.off('error', onError);
      reject(error);
    }
  });
}

module.exports = { listen };
