'use strict';

const { constants } = require('node:http2');
const { endWithClient } = require('../http/closed-stream');

/** The lowest status of a failed request. */
const FIRST_FAILURE = 400;

/** By socket: what to call when it closes. One listener, however many requests the socket carries. */
const calledAtClose = new WeakMap();

/**
 * Reports to a `decision` once whether its request succeeded: an answer below 400 was sent completely. A client that
 * disconnects before has failed: disconnecting must not hide a failure.
 */
function reportAnswer(response, decision) {
  // A late decision may come after the answer, or after the client has disconnected.
  if (hasEnded(response)) {
    decision.answered(hasSucceeded(response));
    return;
  }
  const { stream } = response;
  let isReported = false;
  const report = (succeeded) => {
    if (isReported) return;
    isReported = true;
    forget();
    decision.answered(succeeded);
  };
  const forget = atSocketClose(response, () => report(false));
  if (stream === undefined) response.once('finish', () => report(response.statusCode < FIRST_FAILURE));
  // HTTP/2 emits 'finish' for every stream that closes, also for one that its client has cancelled.
  response.once('close', () => report(stream !== undefined && hasSucceeded(response)));
}

/** Releases the places of a `decision` once the answer has ended, or its client has disconnected. */
function releaseAtEnd(response, decision) {
  if (hasEnded(response)) {
    decision.releasePlaces();
    return;
  }
  const release = () => {
    forget();
    decision.releasePlaces();
  };
  const forget = atSocketClose(response, release);
  response.once('finish', release);
  response.once('close', release);
}

/** Whether the answer has ended, or its client has disconnected. Otherwise the response will emit 'close'. */
function hasEnded(response) {
  const { stream } = response;
  if (stream !== undefined) {
    endWithClient(stream);
    return stream.destroyed;
  }
  return response.writableFinished || response.destroyed || response.req?.socket?.destroyed === true;
}

/**
 * Calls `listener` when the socket of an HTTP/1 request closes, until the returned function is called. Node gives a response
 * to a pipelined request no socket before the previous one has ended: if the client disconnects first, the response emits
 * neither 'finish' nor 'close'.
 */
function atSocketClose(response, listener) {
  const socket = response.stream === undefined ? response.req?.socket : undefined;
  if (typeof socket?.once !== 'function') return () => {};
  let listeners = calledAtClose.get(socket);
  if (listeners === undefined) {
    const added = new Set();
    socket.once('close', () => {
      for (const each of added) each();
    });
    calledAtClose.set(socket, added);
    listeners = added;
  }
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function hasSucceeded(response) {
  return wasSent(response) && statusOf(response) < FIRST_FAILURE;
}

/** Whether the answer was sent completely. */
function wasSent({ stream, writableFinished }) {
  if (stream === undefined) return writableFinished;
  const isWhole = stream.headersSent && stream.writableFinished;
  return isWhole && !stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR;
}

/** The status that was sent: over HTTP/2 an application may answer on the stream itself. */
function statusOf({ stream, statusCode }) {
  return stream?.sentHeaders?.[constants.HTTP2_HEADER_STATUS] ?? statusCode;
}

/**
 * Calls `listener(status)` once, before the first byte of an answer is written, so that a ban takes effect before the
 * client can see the answer. Also called for a client that has disconnected: disconnecting must not hide a failure.
 */
function beforeAnswer(response, listener) {
  if (response.headersSent) return listener(statusOf(response));
  let isReported = false;
  const report = (status) => {
    if (!isReported) listener(status);
    isReported = true;
  };
  const { writeHead, end } = response;
  response.writeHead = function (status, ...rest) {
    report(status);
    return writeHead.call(this, status, ...rest);
  };
  // For a disconnected client Node discards the body without writing a head.
  response.end = function (...body) {
    report(this.statusCode);
    return end.apply(this, body);
  };
  const { stream } = response;
  if (stream === undefined) return;
  endWithClient(stream);
  // An application may answer on the stream itself.
  stream.once('close', () => {
    if (response.headersSent) report(statusOf(response));
  });
}

module.exports = { beforeAnswer, releaseAtEnd, reportAnswer };
