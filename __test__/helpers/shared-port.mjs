// Asking servers that share a port, and waiting for what other processes do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { readAll } from './sockets.mjs';

export const host = '127.0.0.1';

/** The body of the answer to one request; rejects with the code of the system. */
export async function ask(port, path = '/') {
  const socket = net.connect(port, host);
  // The server ends the connection: when the client ended first, it would not wait for the answer.
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await once(socket, 'connect');
  return (await readAll(socket)).split('\r\n\r\n')[1];
}

/** No server listens on the port. */
export const assertRefused = (port) => assert.rejects(ask(port), { code: 'ECONNREFUSED' });

/** The different answers to requests on a port, until there are `count` of them or after 10 000 requests. */
export async function distinctAnswers(count, ask) {
  const seen = new Set();
  for (let i = 0; i < 500 && seen.size < count; i++) {
    for (const answer of await Promise.all(Array.from({ length: 20 }, ask))) seen.add(answer);
  }
  return seen;
}

/** A free port below the ephemeral range, so that the system gives it to no other process between two uses. */
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = net.createServer().listen(port, host);
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Waits until `look()` resolves with a truthy value. */
export async function eventually(look) {
  const deadline = Date.now() + 120_000;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`still not: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
