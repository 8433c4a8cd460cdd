'use strict';

// One worker thread with Socket.IO over WebSockets. Handshakes, connections and messages are limited over all threads by
// the one line with `protect`.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const { listen } = require('sluice');
const sluice = require('sluice/socket.io');
const { Server } = require('socket.io');

const protect = sluice({
  name: 'rooms',
  connections: { maxPerClient: 4 },
  messages: { limit: 24, window: '1m', algorithm: 'fixed-window' },
  // Users count apart, also behind one address.
  key: ({ headers }) => headers['x-user'],
  onLimit: ([socket], refusal) => socket?.emit('slow down', refusal.problem.retryAfterMs),
});

const server = http.createServer();
// Requests of one client over polling would reach different threads, which do not share sessions of Engine.IO.
const io = protect(new Server(server, { transports: ['websocket'] }));

io.on('connection', (socket) => {
  socket.on('say', (text, answer) => answer(`echo ${text}`));
});

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
