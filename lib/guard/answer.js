'use strict';

const { constants } = require('node:http2');

/** From here on an answer says that the request failed. */
const FIRST_FAILURE = 400;

/**
 * Tells a `decision` that awaits it what became of its request, once: it succeeded when an answer below 400 went out whole. A
 * client that goes away before has no answer, which counts as a failure: hanging up must not hide one.
 */
function tellAnswer(response, decision) {
  const { stream } = response;
  // A decision that took its time may come after the answer, or after the client has gone.
  if (stream === undefined ? response.writableFinished || response.destroyed : stream.destroyed) {
    decision.answered(hasSucceeded(response));
    return;
  }
  let isTold = false;
  const tell = (succeeded) => {
    if (!isTold) decision.answered(succeeded);
    isTold = true;
  };
  if (stream === undefined) response.once('finish', () => tell(response.statusCode < FIRST_FAILURE));
  // HTTP/2 emits 'finish' for every stream that closes, also for one that its client has cancelled.
  response.once('close', () => tell(stream !== undefined && hasSucceeded(response)));
}

function hasSucceeded(response) {
  return wentOut(response) && statusOf(response) < FIRST_FAILURE;
}

/** Whether the whole answer was sent. */
function wentOut({ stream, writableFinished }) {
  if (stream === undefined) return writableFinished;
  const isWhole = stream.headersSent && stream.writableFinished;
  return isWhole && !stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR;
}

/** The status that was sent: over HTTP/2 an application may do so behind the response's back. */
function statusOf({ stream, statusCode }) {
  return stream?.sentHeaders?.[constants.HTTP2_HEADER_STATUS] ?? statusCode;
}

/**
 * Calls `listener(status)` once, before the first byte of an answer is written: what the client is refused
 * for next holds before it can know this answer. It hears of an answer to a client that has gone as well: going away
 * must not hide what the answer would have been.
 */
function beforeAnswer(response, listener) {
  if (response.headersSent) return listener(statusOf(response));
  let isTold = false;
  const tell = (status) => {
    if (!isTold) listener(status);
    isTold = true;
  };
  const { writeHead, end } = response;
  response.writeHead = function (status, ...rest) {
    tell(status);
    return writeHead.call(this, status, ...rest);
  };
  // Where the client has gone, Node discards a body without asking for a head.
  response.end = function (...body) {
    tell(this.statusCode);
    return end.apply(this, body);
  };
  // An application may answer on the stream itself.
  response.stream?.once('close', () => {
    if (response.headersSent) tell(statusOf(response));
  });
}

module.exports = { beforeAnswer, tellAnswer };
