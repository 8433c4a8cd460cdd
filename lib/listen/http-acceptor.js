'use strict';

const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const { SluiceError } = require('../runtime/errors');
const { HttpTimeouts } = require('./http-timeouts');

/** How often connections that became idle are closed while a server closes, as Bun does not do it. */
const LOOK_MS = 50;

const DELEGATED = ['address', 'getConnections', 'ref', 'unref'];

/** The server that accepts for an HTTP server; its value is `undefined` while that does not listen. */
const acceptors = new WeakMap();
const timeouts = new WeakMap();

/** The HTTP servers of Bun are none of `net`, and ignore descriptors: they would listen on a random port. */
function ignoresDescriptors(server) {
  return (
    process.versions.bun !== undefined && server instanceof http.Server && !(server instanceof net.Server)
  );
}

/**
 * A server of `net` that accepts connections and hands them to `server`, which looks from then on as if it listened
 * itself.
 */
function acceptorFor(server) {
  // Older versions know one class for both.
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
  const forget = () => {
    if (acceptors.get(server) === acceptor) acceptors.set(server, undefined);
  };
  acceptor.once('close', forget).once('error', forget);
  return acceptor;
}

/** What listening on a descriptor failed with: older versions of Bun reject each, with an error of the system. */
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

/** What asks the server about its port asks its acceptor, while it has one. */
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

/** As `server.close` of Node: idle connections are closed at once, others after their answer. */
function closeAcceptor(server, acceptor, callback) {
  // Set aside for the length of this call by what looks after connections itself.
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
