'use strict';

// Clients of a server whose thread is suspended, in another thread or process. Each connects and sends one request: over TLS
// at the end of its handshake. Creates the file `connected` once the system has accepted all of them; reports the outcomes at
// the end.

const { writeFileSync } = require('node:fs');
const http2 = require('node:http2');
const net = require('node:net');
const { Duplex } = require('node:stream');
const tls = require('node:tls');
const { isMainThread, parentPort, workerData } = require('node:worker_threads');

const { port, count, protocol, connected } = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const where = { port, host: '127.0.0.1', rejectUnauthorized: false };
const REQUEST = 'GET /asked HTTP/1.1\r\nHost: a\r\n\r\n';

const CLIENTS = {
  http: () => overHttp1(net.connect(where)),
  https: () => overHttp1(tls.connect(where)),
  h2c: () => overHttp2(net.connect(where), 'http'),
  h2: () => overHttp2(tls.connect({ ...where, ALPNProtocols: ['h2'] }), 'https'),
};

let open = 0;
/** A TCP connection has been established. Each has sent its first bytes by the end of the turn. */
function onConnected() {
  open += 1;
  if (open === count) setImmediate(() => writeFileSync(connected, ''));
}

/** Resolves with the status of the answer, or the code of the error. */
function overHttp1(socket) {
  return new Promise((resolve) => {
    let text = '';
    socket.once('connect', onConnected);
    socket.write(REQUEST);
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', (error) => resolve(error.code));
    socket.on('close', () => resolve(/^HTTP\/1\.1 (\d+) [\s\S]*\r\n\r\n./.exec(text)?.[1] ?? 'no answer'));
  });
}

function overHttp2(socket, scheme) {
  return new Promise((resolve) => {
    socket.once('connect', onConnected);
    // A stream of its own: a session would begin to write only after the handshake, and a server closes idle connections.
    const stream = Duplex.from({ readable: socket, writable: socket });
    const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { createConnection: () => stream });
    session.on('error', (error) => resolve(error.code));
    const request = session.request({ ':path': '/asked' });
    request.on('response', (headers) => {
      request.resume().on('end', () => resolve(String(headers[':status'])));
    });
    request.on('error', (error) => resolve(error.code));
    request.on('close', () => resolve('no answer'));
  });
}

function countOutcomes(outcomes) {
  const counts = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

Promise.all(Array.from({ length: count }, CLIENTS[protocol])).then((outcomes) => {
  const counts = countOutcomes(outcomes);
  if (isMainThread) process.stdout.write(JSON.stringify(counts), () => process.exit());
  else parentPort.postMessage(counts);
});
