// Starts a server of ws or Socket.IO behind the quotas in workerData, and posts its port. It echoes each message.
import http from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';
import protectSocketIo from '../../lib/socket.io.js';
import protectWs from '../../lib/ws.js';

const { kind, options } = workerData;
const server = http.createServer();

const KINDS = {
  ws: () =>
    protectWs(options)(new WebSocketServer({ server })).on('connection', (socket) => {
      socket.on('error', () => {});
      socket.on('message', (data) => socket.send(String(data)));
      socket.send('welcome');
    }),
  'socket.io': () =>
    protectSocketIo(options)(new Server(server)).on('connection', (socket) =>
      socket.on('message', (text) => socket.emit('message', text)),
    ),
};

KINDS[kind]();
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
