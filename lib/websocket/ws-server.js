'use strict';

const { invalid } = require('../runtime/errors');
const { POLICY_VIOLATION } = require('./options');
const { decideUpgrade } = require('./handshake');
const { bytesOf } = require('./message-bytes');
const { closeReason, refuseMessage } = require('./refused-message');

/** "Going away" of RFC 6455: the server ended the session. */
const GOING_AWAY = 1001;

/** Events that stand for a frame of the peer. Pongs answer pings of the server, and are not charged. */
const CHARGED = new Set(['message', 'ping']);

/**
 * Quotas before the server of `ws`: `protect(server)` decides on its handshakes from now on, and returns it. `.guard`,
 * `.sessions`, `.messages` and `.bytes` are what decides.
 */
function wsServer(sockets) {
  const protectedServers = new WeakSet();

  function protect(server) {
    checkServer(server);
    if (protectedServers.has(server)) return server;
    protectedServers.add(server);
    const { handleUpgrade } = server;
    server.handleUpgrade = function (req, socket, head, done) {
      const admitted = (session) =>
        handleUpgrade.call(this, req, socket, head, (ws, ...rest) => {
          guardSocket(sockets, ws, session);
          done(ws, ...rest);
        });
      decideUpgrade(sockets, req, { socket, admitted });
    };
    return server;
  }

  const { guard, sessions, messages, bytes } = sockets;
  return Object.assign(protect, { guard, sessions, messages, bytes });
}

function checkServer(server) {
  if (typeof server?.handleUpgrade === 'function' && typeof server.on === 'function') return;
  throw invalid('INVALID_VALUE', 'server', server, 'a WebSocketServer of ws');
}

/** Charges what arrives before any listener sees it. Listeners cannot keep a message from each other, so `emit` is replaced. */
function guardSocket(sockets, ws, session) {
  session.onEnded = () => ws.close(GOING_AWAY, 'ended by the server');
  if (session.isReleased) session.onEnded();
  const { emit } = ws;
  ws.emit = function (event, ...args) {
    const passes = !CHARGED.has(event) || receive(sockets, ws, session, args[0]);
    return passes && emit.call(this, event, ...args);
  };
}

/** Whether a message of the peer passes. */
function receive(sockets, ws, session, data) {
  if (session.isOver) return false;
  const refusal = session.receive(bytesOf(data));
  if (refusal === null) return true;
  refuseMessage(sockets, refusal, {
    close: () => close(sockets, ws, session, refusal),
    tell: (onLimit) => onLimit(ws, refusal, session.request),
  });
  return false;
}

function close({ options }, ws, session, refusal) {
  session.isOver = true;
  const code = refusal.reason === 'ban' ? POLICY_VIOLATION : options.closeCode;
  ws.close(code, closeReason(refusal));
}

module.exports = { wsServer };
