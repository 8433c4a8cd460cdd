'use strict';

// Clients of a server whose thread is suspended, in another thread or process. Each connects and sends one request.
// Creates the file `connected` once the system has accepted all of them; reports the outcomes at the end.

const { writeFileSync } = require('node:fs');
const http2 = require('node:http2');
const net = require('node:net');
const tls = require('node:tls');
const { isMainThread, parentPort, workerData } = require('node:worker_threads');

const { port, count, protocol, connected } = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const where = { port, host: '127.0.0.1', rejectUnauthorized: false };
const REQUEST = 'GET /asked HTTP/1.1\r\nHost: a\r\n\r\n';

const CLIENTS = {
  http: () => overHttp1(net.connect(where)),
  https: () => overHttp1(tls.connect(where), 'secureConnect'),
  h2c: () => overHttp2(net.connect(where), 'http'),
  h2: () => overHttp2(tls.connect({ ...where, ALPNProtocols: ['h2'] }), 'https'),
};

let open = 0;
/** A TCP connection has been established. */
function onConnected() {
  open += 1;
  if (open === count) writeFileSync(connected, '');
}

/** Resolves with the status of the answer, or the code of the error. */
function overHttp1(socket, ready = 'connect') {
  return new Promise((resolve) => {
    let text = '';
    socket.once('connect', onConnected);
    socket.once(ready, () => socket.write(REQUEST));
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
    const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { createConnection: () => socket });
    session.on('error', (error) => resolve(error.code));
    const stream = session.request({ ':path': '/asked' });
    stream.on('response', (headers) => {
      stream.resume().on('end', () => resolve(String(headers[':status'])));
    });
    stream.on('error', (error) => resolve(error.code));
    stream.on('close', () => resolve('no answer'));
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
