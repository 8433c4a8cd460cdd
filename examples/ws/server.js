'use strict';

// One worker thread with a WebSocket server. Handshakes, open sockets, messages and bytes are limited over all threads by
// the one line with `protect`.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const { listen } = require('sluice');
const sluice = require('sluice/ws');
const { WebSocketServer } = require('ws');

const protect = sluice({
  name: 'chat',
  connections: { max: 40, maxPerClient: 5 },
  messages: { limit: 20, window: '10s', algorithm: 'fixed-window' },
  bytes: { limit: 2_000, window: '10s', algorithm: 'fixed-window' },
  trustedProxies: ['127.0.0.100'],
});

const server = http.createServer();
const sockets = protect(new WebSocketServer({ server, maxPayload: 16_384 }));

sockets.on('connection', (ws, request) => {
  ws.on('error', () => {});
  ws.on('message', (data) => ws.send(`echo ${data}`));
  ws.send(`welcome, ${request.sluice.client.address}`);
});

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
