'use strict';

const { bytesOf } = require('./message-bytes');
const { PacketGroup } = require('./packet-group');
const { closeReason, refuseMessage } = require('./refused-message');

/** The event of Socket.IO that tells a client why it is disconnected. */
const CLOSED = 'sluice:closed';

/**
 * Charges what arrives on a connection of Engine.IO before Socket.IO decodes it. `sockets` are those of Socket.IO that it
 * carries. Engine.IO emits each message twice, as 'data' for Socket.IO and as 'message'.
 */
function guardConnection(guarded, connection, { session, sockets }) {
  const { emit } = connection;
  const disconnect = () => {
    session.isOver = true;
    if (sockets.size === 0) return connection.close();
    for (const socket of [...sockets]) socket.disconnect(true);
  };
  const refused = (refusal) =>
    refuseMessage(guarded, refusal, {
      close: () => {
        session.isOver = true;
        // Socket.IO hands events on in the next tick: those that were admitted are handled first.
        setImmediate(() => {
          for (const socket of sockets) socket.emit(CLOSED, told(refusal));
          disconnect();
        });
      },
      tell: (onLimit) => onLimit([...sockets], refusal, connection),
    });
  const group = new PacketGroup((packet) => {
    emit.call(connection, 'data', packet);
    emit.call(connection, 'message', packet);
  });
  session.onEnded = disconnect;
  if (session.isReleased) return disconnect();
  connection.emit = function (event, ...args) {
    if (event === 'message') return false;
    if (event !== 'data') return emit.call(this, event, ...args);
    return receive(session, group, args[0], refused);
  };
}

/** Charges a packet: with the first of a group one message and its bytes, with each later one its bytes. */
function receive(session, group, packet, refused) {
  if (session.isOver || group.skips(packet)) return false;
  const bytes = bytesOf(packet);
  const refusal = group.isOpen ? session.receiveMore(bytes) : session.receive(bytes);
  if (refusal === null) return group.pass(packet);
  group.drop(packet);
  refused(refusal);
  return false;
}

function told(refusal) {
  const { retryAfterMs, problem } = refusal;
  return {
    reason: closeReason(refusal),
    retryAfterMs: problem.retryAfterMs === null ? null : retryAfterMs,
    problem,
  };
}

module.exports = { guardConnection };
