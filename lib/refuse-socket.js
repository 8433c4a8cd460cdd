'use strict';

const http = require('node:http');
const { PROBLEM_MEDIA_TYPE, banProblem, connectionProblem, seconds } = require('./problem');

/** How long a refused client may take to read why, and how many may do so at once. */
const LINGER_MS = 1000;
const MOST_LINGERING = 256;

let lingering = 0;

/**
 * Ends a socket that was refused at accept. `onRefused(socket, refusal)`, which never throws, may answer in its own
 * protocol; otherwise plain HTTP gets a 503, or a 403 where the client is banned, and everything else is closed without a word.
 */
function refuseSocket(server, socket, refusal, onRefused) {
  socket.on('error', () => {});
  onRefused?.(socket, refusal);
  const isAnswered = socket.writableEnded || socket.destroyed;
  const speaksHttp = server instanceof http.Server && !socket.encrypted && !isTls(server);
  if (isAnswered || !speaksHttp || lingering >= MOST_LINGERING) {
    endAndClose(socket);
    return;
  }
  answerSocket(socket, refusal.reason === 'banned' ? banProblem(refusal) : connectionProblem(refusal));
}

/** Ends a socket, whose client speaks HTTP, with a problem, and gives the client time to read it. */
function answerSocket(socket, problem) {
  socket.end(response(problem));
  linger(socket);
}

function isTls(server) {
  return typeof server.setSecureContext === 'function';
}

function endAndClose(socket) {
  if (socket.writableEnded) linger(socket);
  else socket.destroySoon();
}

/** A socket closed with unread bytes resets the connection, and its client would not see the answer. */
function linger(socket) {
  lingering += 1;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => {
    lingering -= 1;
    clearTimeout(timer);
  });
  socket.resume();
  socket.once('end', () => socket.destroy());
}

function response(problem) {
  const body = JSON.stringify(problem);
  const { status, retryAfterMs } = problem;
  return [
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`,
    `Content-Type: ${PROBLEM_MEDIA_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(retryAfterMs === null ? [] : [`Retry-After: ${seconds(retryAfterMs)}`]),
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

module.exports = { answerSocket, refuseSocket };
