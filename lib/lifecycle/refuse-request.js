'use strict';

const { headTimeoutProblem, PROBLEM_MEDIA_TYPE, seconds, shutdownProblem } = require('../http/problem');
const { answerSocket } = require('../http/refuse-socket');
const { hasBody } = require('./served-socket');

/** How long the body of a refused request is read. */
const LINGER_MS = 1000;

/**
 * Refuses a request that arrived after its server stopped. A body that is still being sent is read before the connection
 * closes: with unread bytes it would be reset, and the client would not see the answer.
 */
function refuseRequest(req, res, { mayHaveBody }) {
  const problem = shutdownProblem();
  const body = JSON.stringify(problem);
  res.writeHead(problem.status, {
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Retry-After': seconds(problem.retryAfterMs),
    'Cache-Control': 'no-store',
    Connection: 'close',
  });
  const text = req.method === 'HEAD' ? '' : body;
  if (!mayHaveBody || !hasBody(req)) {
    res.end(text);
    return;
  }
  res.write(text);
  const timer = setTimeout(() => res.end(), LINGER_MS).unref();
  req.once('close', () => {
    clearTimeout(timer);
    res.end();
  });
  req.resume();
}

/** As `refuseRequest`, for a stream of HTTP/2. Node resets it once its answer has ended. */
function refuseStream(stream, headers) {
  const problem = shutdownProblem();
  const body = JSON.stringify(problem);
  stream.on('error', () => {});
  stream.respond({
    ':status': problem.status,
    'content-type': PROBLEM_MEDIA_TYPE,
    'content-length': Buffer.byteLength(body),
    'retry-after': seconds(problem.retryAfterMs),
  });
  stream.end(headers[':method'] === 'HEAD' ? undefined : body);
}

/** Ends a connection on which the head of a request did not arrive whole in time. */
function refuseLate(socket) {
  socket.on('error', () => {});
  answerSocket(socket, headTimeoutProblem());
}

function refuseUpgrade(socket) {
  socket.on('error', () => {});
  answerSocket(socket, shutdownProblem());
}

module.exports = { refuseLate, refuseRequest, refuseStream, refuseUpgrade };
