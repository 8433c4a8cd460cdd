'use strict';

const { answerUpgrade } = require('../http/refuse-socket');
const { mixedCase } = require('../guard/headers');
const { NodeHeaders } = require('../guard/node-headers');
const { sendProblem } = require('../guard/send-problem');
const { invalid } = require('../runtime/errors');
const { guardConnection } = require('./engine-connection');
const { decideHandshake, decideUpgrade, failed, thrownOutside } = require('./handshake');
const { NamespaceSockets } = require('./namespace-sockets');

const noop = () => {};

/** On a request: the session that it opens, until its connection claims it. */
const kSession = Symbol('sluice.session');

/**
 * Quotas before a server of Socket.IO: `protect(io)` decides on its handshakes from now on, over HTTP polling and
 * WebSockets, and returns it. `.guard`, `.sessions`, `.messages` and `.bytes` are what decides.
 */
function socketIoServer(sockets) {
  const protectedServers = new WeakSet();

  function protect(io) {
    const engine = engineOf(io);
    if (protectedServers.has(io)) return io;
    protectedServers.add(io);
    const namespaceSockets = new NamespaceSockets(io);
    engine.use((req, res, next) => decide(sockets, engine, { req, res, next }));
    engine.on('connection', (connection) => claim(sockets, connection, namespaceSockets));
    return io;
  }

  const { guard, sessions, messages, bytes } = sockets;
  return Object.assign(protect, { guard, sessions, messages, bytes });
}

/** The server of Engine.IO, which exists once Socket.IO is attached to a server of HTTP. */
function engineOf(io) {
  const { engine } = io ?? {};
  if (typeof engine?.use === 'function' && typeof io.of === 'function') return engine;
  throw invalid(
    'INVALID_VALUE',
    'server',
    io,
    'a Server of socket.io 4.6 or later that is attached, or listens',
  );
}

/** Requests of an open session are its messages, which are charged one by one. All others are handshakes, or pretend to be. */
function decide(sockets, engine, { req, res, next }) {
  // Engine.IO passes a stand-in for the response to an upgrade.
  const isUpgrade = typeof res.writableEnded !== 'boolean';
  if (isOfSession(engine, req)) return decideRequest(sockets, { req, res, next, isUpgrade });
  const admitted = (session) => {
    req[kSession] = session;
    thrownOutside(next);
  };
  if (isUpgrade) decideUpgrade(sockets, req, { socket: req.socket, admitted });
  else decidePolling(sockets, { req, res, admitted });
}

/** By what Engine.IO itself takes for the query: of two ids in a URL another would be the one that counts. */
function isOfSession({ clients }, { _query: { sid } }) {
  return Boolean(sid) && Object.hasOwn(clients, sid);
}

/**
 * A client that was banned meanwhile sends nothing more. While a server is asked, an error of a socket that is being upgraded
 * is no uncaught exception.
 */
function decideRequest(sockets, { req, res, next, isUpgrade }) {
  const { guard } = sockets;
  const conclude = (decision, pass) => {
    if (decision === null) return pass();
    if (isUpgrade) answerUpgrade(req.socket, decision);
    else refuse(guard, decision, req, res);
  };
  const decision = guard.admit(req, guard.rule);
  if (typeof decision?.then !== 'function') return conclude(decision, next);
  const { socket } = req;
  if (isUpgrade) socket.on('error', noop);
  const concludeLater = (decision) => {
    if (isUpgrade && socket.destroyed) return;
    if (isUpgrade) socket.off('error', noop);
    conclude(decision, () => thrownOutside(next));
  };
  decision.then(concludeLater, (error) => concludeLater(failed(sockets, error)));
}

/** A handshake over polling keeps its session only if a connection has claimed it when its answer ends. */
async function decidePolling(sockets, { req, res, admitted }) {
  const { session, answer } = await decideHandshake(sockets, req);
  if (session === null) return res.headersSent ? undefined : refuse(sockets.guard, answer, req, res);
  const releaseUnclaimed = () => {
    if (req[kSession] !== undefined) session.release();
  };
  if (res.destroyed) return session.release();
  res.once('close', releaseUnclaimed);
  admitted(session);
}

function refuse(guard, answer, req, res) {
  res.statusCode = answer.status;
  if (answer.refusal === null) return sendProblem(answer.body, req, res);
  guard.watch(answer, req, res);
  guard.writeHeaders(answer, new NodeHeaders(res), mixedCase(false));
  sendProblem(answer.body, req, res);
}

/** From now on the session lasts as long as the connection. */
function claim(sockets, connection, namespaceSockets) {
  const { request } = connection;
  const session = request?.[kSession];
  // Its handshake began before the server was protected.
  if (session === undefined) return connection.close();
  request[kSession] = undefined;
  connection.once('close', () => session.release());
  guardConnection(sockets, connection, { session, sockets: namespaceSockets.of(connection) });
}

module.exports = { socketIoServer };
