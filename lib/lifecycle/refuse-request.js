'use strict';

const { PROBLEM_MEDIA_TYPE, seconds, shutdownProblem } = require('../problem');
const { answerSocket } = require('../refuse-socket');

/** How long a refused client may go on sending. */
const LINGER_MS = 1000;

/**
 * Answers a request that came after its server stopped. A body that is still being sent is read before the connection
 * closes: closed with unread bytes it would be reset, and the client would not see the answer.
 */
function refuseRequest(req, res, { hasBody }) {
  const problem = shutdownProblem();
  const body = JSON.stringify(problem);
  res.writeHead(problem.status, {
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Retry-After': seconds(problem.retryAfterMs),
    Connection: 'close',
  });
  if (req.method !== 'HEAD') res.write(body);
  if (!hasBody) {
    res.end();
    return;
  }
  const timer = setTimeout(() => res.end(), LINGER_MS).unref();
  req.once('close', () => {
    clearTimeout(timer);
    res.end();
  });
  req.resume();
}

function refuseUpgrade(socket) {
  socket.on('error', () => {});
  answerSocket(socket, shutdownProblem());
}

module.exports = { refuseRequest, refuseUpgrade };
