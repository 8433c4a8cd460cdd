// Servers of ws and Socket.IO in four threads share one state.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { freshNames } from '../helpers/setup.mjs';
import * as socketIo from '../helpers/socket-io.mjs';
import { until } from '../helpers/sockets.mjs';
import * as ws from '../helpers/websockets.mjs';

const freshName = freshNames('sockets-threads');

const URL_OF_WORKER = new URL('../helpers/sockets-worker.mjs', import.meta.url);

async function startWorkers(t, kinds, options) {
  const workers = kinds.map((kind) => new Worker(URL_OF_WORKER, { workerData: { kind, options } }));
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  return { workers, ports };
}

/** `count` handshakes with each port at once; the admitted clients. */
async function openAll(ports, count, attempt) {
  const attempts = ports.flatMap((port) => Array.from({ length: count }, () => attempt(port)));
  return (await Promise.all(attempts)).map(({ socket, client }) => socket ?? client).filter(Boolean);
}

const ATTEMPTS = {
  ws: () => (port) => ws.attempt(port),
  'socket.io': (t) => (port) => socketIo.attempt(t, port),
};

for (const kind of Object.keys(ATTEMPTS)) {
  test(`${kind}: four threads admit exactly maxPerClient sockets, and exactly the messages and bytes`, async (t) => {
    const name = freshName();
    const fixed = { window: '1h', algorithm: 'fixed-window' };
    const options = {
      name,
      rateLimit: false,
      connections: { maxPerClient: 10 },
      messages: { limit: 110, ...fixed },
      bytes: { limit: 1_000_000, ...fixed },
      onLimit: 'drop',
    };
    const { workers, ports } = await startWorkers(t, Array(4).fill(kind), options);
    const sessions = new sluice.ConnectionTracker(`${name}:sockets`);
    const messages = new sluice.RateLimiter(`${name}:messages`);
    const bytes = new sluice.RateLimiter(`${name}:bytes`);
    const open = await openAll(ports, 6, ATTEMPTS[kind](t));
    assert.deepEqual([open.length, sessions.count], [10, 10]);
    assert.equal(sessions.stats().refused.maxPerClient, 14);

    // Socket.IO's clients have sent one message each by which they connect to the namespace.
    const before = messages.stats().allowed;
    for (const socket of open) for (let i = 0; i < 20; i++) socket.send('x'.repeat(10));
    const all = () => messages.stats().allowed + messages.stats().refused;
    await until(all, before + 200);
    assert.equal(messages.stats().allowed, 110);
    const echoed = () =>
      open.reduce((sum, { received }) => sum + received.filter((text) => /^x/.test(text)).length, 0);
    await until(echoed, 110 - before);
    assert.equal(bytes.stats().allowed, 110);

    const { perThread } = sessions.stats();
    const doomed = workers.find(({ threadId }) => perThread[threadId] > 0);
    const left = 10 - perThread[doomed.threadId];
    await doomed.terminate();
    await until(() => sessions.count, left);
    for (const socket of open) (socket.terminate ?? socket.disconnect).call(socket);
    await until(() => sessions.count, 0);
  });
}

test('ws and Socket.IO of one name share their caps', async (t) => {
  const name = freshName();
  const options = { name, connections: { max: 4 }, rateLimit: false };
  const { ports } = await startWorkers(t, ['ws', 'ws', 'socket.io', 'socket.io'], options);
  const attemptFor = (port) => (ports.indexOf(port) < 2 ? ATTEMPTS.ws : ATTEMPTS['socket.io'])(t)(port);
  const open = await openAll(ports, 4, attemptFor);
  assert.equal(open.length, 4);
  for (const socket of open) (socket.terminate ?? socket.disconnect).call(socket);
});
