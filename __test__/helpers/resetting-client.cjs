'use strict';

// A worker that sends requests and resets their connections at once, while the serving thread is blocked. With `tls` it
// completes the handshakes first and waits for the signal GO.

const net = require('node:net');
const tls = require('node:tls');
const { parentPort, workerData } = require('node:worker_threads');

const { port, count, payload, from, flags, tls: isTls } = workerData;
const [GO, DONE] = [0, 1];

const signals = new Int32Array(flags);
const target = { port, host: '127.0.0.1', localAddress: from };
/** Connections whose handshake is complete: the stream to send on, and the socket to reset. */
const secured = [];
let open = count;

function onClose() {
  open -= 1;
  if (open > 0) return;
  Atomics.store(signals, DONE, 1);
  Atomics.notify(signals, DONE);
}

function connect() {
  const socket = net.connect(target);
  socket.on('error', () => {}).on('close', onClose);
  if (!isTls) return socket.once('connect', () => send(socket, socket));
  const secure = tls.connect({ socket, rejectUnauthorized: false });
  secure.on('error', () => {});
  secure.once('secureConnect', () => {
    secured.push([secure, socket]);
    if (secured.length === count) sendTogether();
  });
}

/** Once all are ready: a thread that waits for the signal completes no handshake. */
function sendTogether() {
  parentPort.postMessage('ready');
  setTimeout(() => {
    Atomics.wait(signals, GO, 0);
    for (const [stream, socket] of secured) send(stream, socket);
  }, 50);
}

function send(stream, socket) {
  stream.write(payload, () => socket.resetAndDestroy());
}

for (let i = 0; i < count; i++) connect();
