'use strict';

const { drain, endWhenQuiet } = require('./refused-body');

/** HTTP/2's code for a stream that ends without an error. */
const NO_ERROR = 0;

/**
 * How long after its answer a stream is reset. Node's client never closes a stream if the reset arrives before it has read
 * the whole answer.
 */
const RESET_AFTER_MS = 50;

/** On a request whose `100 Continue` was not sent: its client may wait for that, and send no body. */
const kAwaitsContinue = Symbol('sluice.awaitsContinue');

/**
 * Lets the client of a refused request read its answer. A connection that closes with unread bytes is reset, and the
 * answer is lost. So once the answer is sent, the body is read and discarded within `bounds`. Only then the connection
 * closes, if the answer says so or a bound was reached. A stream of HTTP/2 is reset without an error after its answer.
 */
function drainRequest(req, res, bounds) {
  if (req.httpVersionMajor > 1) closeStream(req.stream);
  else if (isArriving(req)) drainAfterAnswer(req, res, bounds);
}

/** Whether more of the body is to arrive, on a socket of Node. */
function isArriving({ complete, headers, socket }) {
  if (complete || typeof socket?.destroySoon !== 'function' || socket.destroyed) return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Node closes a connection by `destroySoon` as soon as the answer is sent; here it waits for the body. */
function drainAfterAnswer(req, res, bounds) {
  const { socket } = req;
  const { destroySoon } = socket;
  let isClosing = false;
  let isSettled = false;
  socket.destroySoon = () => {
    isClosing = true;
  };
  const close = (isWhole) => {
    socket.destroySoon = destroySoon;
    if (!isWhole) socket.destroy();
    else if (isClosing) socket.destroySoon();
  };
  if (awaitsContinue(req) && !res.headersSent) res.setHeader('Connection', 'close');
  // When the answer is sent, Node discards a body of which nothing was read, without a bound. So something is read before.
  res.prependOnceListener('finish', () => {
    if (!req.complete && !socket.destroyed) req._read(0);
  });
  res.once('finish', () => {
    isSettled = true;
    if (req.complete || socket.destroyed) return close(true);
    discardBody(req, bounds, close);
  });
  res.once('close', () => {
    if (!isSettled) close(true);
  });
}

function discardBody(req, bounds, done) {
  // The client need not send the body. It closes when it sees the end of the answer.
  if (awaitsContinue(req)) endWhenQuiet(req.socket);
  if (!drain(req, bounds, { socket: req.socket, done })) done(false);
}

function awaitsContinue(req) {
  return req[kAwaitsContinue] === true;
}

/** Node itself closes the stream of a request without a body. */
function closeStream(stream) {
  const close = () => {
    if (!stream.readableEnded && !stream.closed) stream.close(NO_ERROR);
  };
  stream?.once('finish', () => setTimeout(close, RESET_AFTER_MS).unref());
}

module.exports = { drainRequest, kAwaitsContinue };
