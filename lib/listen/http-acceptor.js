'use strict';

const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const { SluiceError } = require('../runtime/errors');
const { HttpTimeouts } = require('./http-timeouts');

/** The pause between two closings of idle connections while a server closes. Bun does not close them itself. */
const LOOK_MS = 50;

const DELEGATED = ['address', 'getConnections', 'ref', 'unref'];

/** By HTTP server: the server that accepts for it; `undefined` while it does not listen. */
const acceptors = new WeakMap();
const timeouts = new WeakMap();

/** HTTP servers of Bun are not servers of `net`, and ignore descriptors: they would listen on a random port. */
function ignoresDescriptors(server) {
  return (
    process.versions.bun !== undefined && server instanceof http.Server && !(server instanceof net.Server)
  );
}

/**
 * A server of `net` that accepts connections and hands them to `server`, which from then on behaves as if it listened
 * itself.
 */
function acceptorFor(server) {
  // Older versions of Bun have one class for http and https.
  if (server.listenerCount('connection') === 0) throw unsupported('an http server', LEAST_BUN);
  if (server instanceof https.Server) throw unsupported('an https server', REMEDY_HTTPS);
  if (server.listening) throw alreadyListens();
  const acceptor = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    timeouts.get(server).watch(socket);
    server.emit('connection', socket);
  });
  if (!acceptors.has(server)) {
    delegate(server);
    timeouts.set(server, new HttpTimeouts(server));
  }
  acceptors.set(server, acceptor);
  acceptor.once('listening', () => server.emit('listening'));
  const clear = () => {
    if (acceptors.get(server) === acceptor) acceptors.set(server, undefined);
  };
  acceptor.once('close', clear).once('error', clear);
  return acceptor;
}

/** The error of listening on a descriptor. Older versions of Bun reject every descriptor with an error of the system. */
function explain(error) {
  const isTooOld = process.versions.bun !== undefined && error.code === 'EINVAL';
  return isTooOld ? unsupported('a server', LEAST_BUN) : error;
}

const LEAST_BUN = 'Bun 1.4 or newer';
const REMEDY_HTTPS =
  "listen(tls.createServer(options, (socket) => server.emit('connection', socket)), …) with the server of http.createServer";

function unsupported(what, accepted) {
  const message = `listen: Bun ${process.versions.bun} cannot share the port of ${what} between threads`;
  return new SluiceError('UNSUPPORTED', `${message}; accepted: ${accepted}`);
}

function alreadyListens() {
  const error = new Error('Listen method has been called more than once without closing.');
  return Object.assign(error, { code: 'ERR_SERVER_ALREADY_LISTEN' });
}

/** Methods of the server that concern its port are those of its acceptor, while it has one. */
function delegate(server) {
  for (const name of DELEGATED) {
    const method = server[name];
    server[name] = function (...args) {
      const acceptor = acceptors.get(server);
      const result = acceptor === undefined ? method?.apply(this, args) : acceptor[name](...args);
      return result === acceptor ? this : result;
    };
  }
  delegateListening(server);
  delegateClose(server);
}

function delegateListening(server) {
  const own = Object.getOwnPropertyDescriptor(server, 'listening');
  let listening = server.listening;
  Object.defineProperty(server, 'listening', {
    configurable: true,
    enumerable: own?.enumerable ?? true,
    get: () => acceptors.get(server)?.listening ?? listening,
    set: (value) => {
      listening = value;
    },
  });
}

function delegateClose(server) {
  const { close } = server;
  server.close = function (callback) {
    const acceptor = acceptors.get(server);
    if (acceptor === undefined) return close.call(this, callback);
    closeAcceptor(server, acceptor, callback);
    return this;
  };
}

/** Closes as `server.close` of Node: idle connections at once, others after their answer. */
function closeAcceptor(server, acceptor, callback) {
  // A lifecycle or a guard that shuts down overrides the method during this call, and ends connections itself.
  const isOverridden = Object.hasOwn(server, 'closeIdleConnections');
  const looking = isOverridden ? undefined : setInterval(() => server.closeIdleConnections(), LOOK_MS);
  looking?.unref();
  server.closeIdleConnections();
  acceptor.close((error) => {
    clearInterval(looking);
    if (error === undefined || error === null) server.emit('close');
    callback?.(error ?? undefined);
  });
}

module.exports = { acceptorFor, explain, ignoresDescriptors };
