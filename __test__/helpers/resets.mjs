import { once } from 'node:events';
import { constants } from 'node:http2';
import { Worker } from 'node:worker_threads';

const REQUEST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n';
const [GO, DONE] = [0, 1];

function startClients(port, { count, payload = REQUEST, from = '127.0.0.1', tls = false }) {
  const flags = new SharedArrayBuffer(8);
  const workerData = { port, count, payload, from, flags, tls };
  const worker = new Worker(new URL('./resetting-client.cjs', import.meta.url), { workerData });
  return { worker, signals: new Int32Array(flags) };
}

/** Blocks this thread until all clients have reset their connections. */
async function block({ worker, signals }) {
  const result = Atomics.wait(signals, DONE, 0, 20_000);
  await worker.terminate();
  if (result === 'timed-out') throw new Error('the clients did not reset their connections in time');
}

/**
 * `count` clients connect, send a request and reset their connections while this thread is blocked. When it accepts
 * them, the system no longer knows their addresses.
 */
export async function resetWhileBusy(port, options) {
  await block(startClients(port, options));
}

/** The same over established TLS connections. `before` runs once all are established, before any request is sent. */
export async function resetTlsWhileBusy(port, { before, ...options }) {
  const clients = startClients(port, { ...options, tls: true });
  await once(clients.worker, 'message');
  await before();
  Atomics.store(clients.signals, GO, 1);
  Atomics.notify(clients.signals, GO);
  await block(clients);
}

/**
 * A client of this thread closes its stream without an error, and `answer()` answers it just before that is read. Resolves
 * once it has answered. Before Node.js 24 such a stream stays open by itself.
 */
export async function closeAsAnswered(stream, answer) {
  // Sent at the end of this turn of the event loop. The next one begins with timers, of which this one is due by then.
  stream.close(constants.NGHTTP2_NO_ERROR);
  const due = new Promise((resolve) => setTimeout(resolve, 1));
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3));
  await due;
  answer();
}

/** Gives this thread 20 turns of 2 ms each. Use it only to assert that something does not happen. */
export async function settled() {
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve, 2));
}
