'use strict';

const http = require('node:http');

/** How long a refused client may take to read why, and how many may do so at once. */
const LINGER_MS = 1000;
const MOST_LINGERING = 256;

const DETAILS = {
  max: 'The server has as many connections as it takes.',
  maxPerClient: 'This client has as many connections as it may.',
  opens: 'This client opens connections too often.',
};

let lingering = 0;

/**
 * Ends a socket that was refused at accept. The user's `onRefused(socket, refusal)` may answer in its own
 * protocol; otherwise plain HTTP gets a 503, and everything else is closed without a word.
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
  socket.end(response(refusal));
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

function response({ reason, retryAfterMs }) {
  const body = JSON.stringify({
    type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
    title: 'Temporary Reduced Capacity',
    status: 503,
    detail: DETAILS[reason],
    retryAfterMs,
    'violated-policies': [reason],
  });
  const retryAfter = retryAfterMs > 0 ? [`Retry-After: ${Math.ceil(retryAfterMs / 1000)}`] : [];
  return [
    'HTTP/1.1 503 Service Unavailable',
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...retryAfter,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

module.exports = { refuseSocket };
