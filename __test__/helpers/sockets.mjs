// Servers and sockets that close with their test, and waiting for a condition.
import { once } from 'node:events';
import net from 'node:net';

/** Listens on the loopback interface; the server and its sockets close with the test. */
export async function listening(t, server, where = { port: 0, host: '127.0.0.1' }) {
  const sockets = new Set();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(where);
  await once(server, 'listening');
  return server.address().port;
}

/** A connected socket. `socket.gone` resolves when it has closed. */
export async function connect(t, where) {
  const socket = net.connect(where);
  socket.on('error', () => {});
  socket.gone = new Promise((resolve) => socket.once('close', resolve));
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** All data until the remote side ends. */
export async function readAll(socket) {
  const chunks = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Long, since a busy machine is slow. */
const MOST_MS = 120_000;

/** Waits until `look()` returns `expected`. Throws after two minutes. */
export async function until(look, expected) {
  const deadline = Date.now() + MOST_MS;
  while (look() !== expected) {
    if (Date.now() > deadline) throw new Error(`still ${look()}, expected ${expected}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
