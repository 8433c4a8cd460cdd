'use strict';

const { constants } = require('node:http2');

/** The lowest status of a failed request. */
const FIRST_FAILURE = 400;

/**
 * Reports to a `decision` once whether its request succeeded: an answer below 400 was sent completely. A client that
 * disconnects before has failed: disconnecting must not hide a failure.
 */
function reportAnswer(response, decision) {
  const { stream } = response;
  // A late decision may come after the answer, or after the client has disconnected.
  if (stream === undefined ? response.writableFinished || response.destroyed : stream.destroyed) {
    decision.answered(hasSucceeded(response));
    return;
  }
  let isReported = false;
  const report = (succeeded) => {
    if (!isReported) decision.answered(succeeded);
    isReported = true;
  };
  if (stream === undefined) response.once('finish', () => report(response.statusCode < FIRST_FAILURE));
  // HTTP/2 emits 'finish' for every stream that closes, also for one that its client has cancelled.
  response.once('close', () => report(stream !== undefined && hasSucceeded(response)));
}

/** Releases the places of a `decision` once the answer has ended, or its client has disconnected. */
function releaseAtEnd(response, decision) {
  const { stream } = response;
  if (stream === undefined ? response.writableFinished || response.destroyed : stream.destroyed) {
    decision.releasePlaces();
    return;
  }
  const release = () => decision.releasePlaces();
  response.once('finish', release);
  response.once('close', release);
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
  // An application may answer on the stream itself.
  response.stream?.once('close', () => {
    if (response.headersSent) report(statusOf(response));
  });
}

module.exports = { beforeAnswer, releaseAtEnd, reportAnswer };
