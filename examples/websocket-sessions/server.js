'use strict';

// One worker thread with a WebSocket server. Sessions are counted, limited and closed across all threads.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const { ConnectionTracker, createGuard, listen } = require('sluice');
const { WebSocketServer } = require('ws');

const sessions = new ConnectionTracker('chat', {
  max: 20,
  maxPerClient: 6,
  opens: { limit: 10, window: '1m' },
  messages: { limit: 5, window: '1s' },
  bytes: { limit: 1000, window: '1s' },
});

// The guard finds the client behind the proxy, so that caps per client apply there too.
const guard = createGuard('chat', { rateLimit: false, trustedProxies: ['127.0.0.100'] });

const server = http.createServer();
const sockets = new WebSocketServer({ noServer: true, maxPayload: 4096 });

// Runs before the handshake, so that a refusal is a plain HTTP response.
server.on('upgrade', (req, socket, head) => {
  let end = () => socket.destroy();
  const { address } = guard.clientOf(req);
  // The proxy names no client, so no cap per client can be applied.
  if (address === null) return socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  const session = sessions.tryOpen(address, { onClose: () => end() });
  if (session === null) return socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n');
  // Closes the session when the socket closes, before the handshake or after it.
  socket.once('close', () => session.close());
  sockets.handleUpgrade(req, socket, head, (ws) => {
    end = () => ws.close(1001, 'ended by the server');
    serve(ws, session);
  });
});

function serve(ws, session) {
  ws.send(session.id);
  ws.on('error', () => {});
  ws.on('message', (data) => ws.send(session.tryMessage(data.length) ? `echo ${data}` : 'too much'));
}

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
