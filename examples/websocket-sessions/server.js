'use strict';

// One worker thread with a WebSocket server. Sessions are counted, limited and ended over all threads.

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

// The guard knows the client behind the proxy, so the caps per client hold there as well.
const guard = createGuard('chat', { rateLimit: false, trustedProxies: ['127.0.0.100'] });

const server = http.createServer();
const sockets = new WebSocketServer({ noServer: true, maxPayload: 4096 });

// Asked before the handshake, so who is refused gets an answer of HTTP.
server.on('upgrade', (req, socket, head) => {
  let end = () => socket.destroy();
  const { address } = guard.clientOf(req);
  // A proxy that names no client: there is nothing to hold a cap per client against.
  if (address === null) return socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  const session = sessions.tryOpen(address, { onClose: () => end() });
  if (session === null) return socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n');
  // Whoever hangs up, before the handshake or after it, gives its place back.
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
