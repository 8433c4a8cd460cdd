// Asking servers that share a port, and waiting for what other processes do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { freePortIn } from './free-port.mjs';
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

const PORTS = { first: 10_000, count: 1_000 };

export const freePort = () => freePortIn(PORTS);

/** Waits until `look()` resolves with a truthy value. */
export async function eventually(look) {
  const deadline = Date.now() + 120_000;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`still not: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
