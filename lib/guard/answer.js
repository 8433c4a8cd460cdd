'use strict';

/** From here on an answer says that the request failed. */
const FIRST_FAILURE = 400;

/**
 * Tells a `decision` that awaits it what became of its request, once: it succeeded when an answer below 400 went out whole. A
 * client that goes away before has no answer, which counts as a failure: hanging up must not hide one.
 */
function tellAnswer(response, decision) {
  // A decision that took its time may come after the answer, or after the client has gone.
  if (response.writableFinished || response.destroyed) {
    decision.answered(response.writableFinished && response.statusCode < FIRST_FAILURE);
    return;
  }
  let isTold = false;
  const tell = (succeeded) => {
    if (!isTold) decision.answered(succeeded);
    isTold = true;
  };
  response.once('finish', () => tell(response.statusCode < FIRST_FAILURE));
  response.once('close', () => tell(false));
}

/**
 * Calls `listener(status)` once, before the first byte of an answer is written: what the client is refused
 * for next holds before it can know this answer. HTTP/2 writes its heads out of our sight, so there it is
 * when the answer ends.
 */
function beforeAnswer(response, listener) {
  if (response.headersSent) return listener(response.statusCode);
  let isTold = false;
  const tell = (status) => {
    if (!isTold) listener(status);
    isTold = true;
  };
  if (response.stream !== undefined) return response.once('close', () => tell(response.statusCode));
  const { writeHead } = response;
  response.writeHead = function (status, ...rest) {
    tell(status);
    return writeHead.call(this, status, ...rest);
  };
}

module.exports = { beforeAnswer, tellAnswer };
