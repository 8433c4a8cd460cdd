'use strict';

const http = require('node:http');
const { PROBLEM_MEDIA_TYPE, banProblem, connectionProblem, seconds } = require('./problem');
const { DEFAULT_REFUSED_BODY, drain, endWhenQuiet } = require('./refused-body');
const { RequestEnd } = require('./request-end');
const { NONE } = require('../runtime/none');

/**
 * Ends a socket that was refused at accept. `onRefused(socket, refusal)`, which never throws, may answer in the protocol
 * of the server. Otherwise plain HTTP gets a 503, or a 403 for a banned client, and every other socket is closed without an
 * answer. `refusedBody` bounds what is read of the request meanwhile.
 */
function refuseSocket(
  server,
  socket,
  refusal,
  { onRefused = undefined, refusedBody = DEFAULT_REFUSED_BODY } = NONE,
) {
  socket.on('error', () => {});
  onRefused?.(socket, refusal);
  const isAnswered = socket.writableEnded || socket.destroyed;
  const speaksHttp = server instanceof http.Server && !socket.encrypted && !isTls(server);
  if (isAnswered || !speaksHttp) {
    endAndClose(socket, refusedBody);
    return;
  }
  const problem = refusal.reason === 'banned' ? banProblem(refusal) : connectionProblem(refusal);
  answerRequest(socket, problem, refusedBody);
}

/** Ends a socket of HTTP with a problem, and gives its client time to read it. */
function answerSocket(socket, problem, refusedBody = DEFAULT_REFUSED_BODY) {
  socket.end(response(problem));
  linger(socket, refusedBody);
}

/** Ends a socket whose client asked for another protocol, with an answer of HTTP. */
function answerUpgrade(socket, { status, headers, body }) {
  const fields = { ...headers, Connection: 'close' };
  socket.end(
    [
      statusLine(status),
      ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
      '',
      body,
    ].join('\r\n'),
  );
  linger(socket, DEFAULT_REFUSED_BODY);
}

/** As `answerSocket`, before a byte of the request was read: the socket ends when the request has arrived. */
function answerRequest(socket, problem, refusedBody) {
  if (comesWithRequest(socket)) {
    socket.end(response(problem));
    return;
  }
  const request = new RequestEnd();
  socket.write(response(problem));
  endWhenQuiet(socket);
  const endWithRequest = (chunk) => {
    if (!socket.writableEnded && request.isCompletedBy(chunk)) socket.end();
  };
  drainAndClose(socket, refusedBody, endWithRequest);
}

/**
 * Bun's own HTTP servers emit `'connection'` once they have read the first request, and serve it unless the socket has ended
 * by then. Such a socket has no handle: its bytes are read elsewhere.
 */
function comesWithRequest(socket) {
  return process.versions.bun !== undefined && !socket.destroyed && socket._handle === null;
}

function isTls(server) {
  return typeof server.setSecureContext === 'function';
}

function endAndClose(socket, refusedBody) {
  if (socket.writableEnded) linger(socket, refusedBody);
  else socket.destroySoon();
}

/** A socket that closes with unread bytes resets the connection, and its client would not see the answer. */
function linger(socket, refusedBody) {
  drainAndClose(socket, refusedBody);
}

function drainAndClose(socket, refusedBody, onData) {
  const isDraining = drain(socket, refusedBody, { onData, done: () => socket.destroy() });
  if (!isDraining) socket.destroySoon();
}

function response(problem) {
  const body = JSON.stringify(problem);
  const { status, retryAfterMs } = problem;
  return [
    statusLine(status),
    `Content-Type: ${PROBLEM_MEDIA_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(retryAfterMs === null ? [] : [`Retry-After: ${seconds(retryAfterMs)}`]),
    'Cache-Control: no-store',
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

function statusLine(status) {
  return `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`;
}

module.exports = { answerSocket, answerUpgrade, refuseSocket };
