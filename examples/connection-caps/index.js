'use strict';

// At most 30 concurrent connections, 10 per client, across a web server, a chat server and four worker threads.
// Then one of the threads is terminated while it holds connections.

const net = require('node:net');
const { ConnectionTracker } = require('sluice');
const { check, repeat, startWorkers, until } = require('../stage');

const HELLO = 'GET / HTTP/1.1\r\nHost: example.com\r\n\r\n';

/** Connects from a loopback address, which stands for a client. Resolves with null when the server refuses. */
function connect(port, from, hello = '') {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: from });
    socket.once('connect', () => socket.write(hello));
    socket.once('data', (data) => resolve(/200 OK|welcome/.test(data) ? socket : null));
    // Closed without an answer, or by the end of its thread.
    socket.on('error', () => {}).once('close', () => resolve(null));
  });
}

async function main() {
  const tracker = new ConnectionTracker('caps', { max: 30, maxPerClient: 10 });
  const { workers, webPort, chatPort } = await startWorkers(require.resolve('./server'), 4);

  const open = [];
  /** Opens `count` connections, every other one to the web server, and returns how many are admitted. */
  const tryOpen = async (count, from) => {
    const sockets = await repeat(count, 4, (turn) =>
      turn % 2 === 0 ? connect(webPort, from, HELLO) : connect(chatPort, from),
    );
    const admitted = sockets.filter((socket) => socket !== null);
    open.push(...admitted);
    return admitted.length;
  };

  console.log('At most 10 per client');
  check('16 connections of a first client', await tryOpen(16, '127.0.0.2'), 10);
  check('16 connections of a second client', await tryOpen(16, '127.0.0.3'), 10);
  console.log('At most 30 in all');
  check('8 connections of a third client', await tryOpen(8, '127.0.0.4'), 8);
  check('8 connections of a fourth client', await tryOpen(8, '127.0.0.5'), 2);
  check('open', tracker.count, 30);
  const { maxPerClient, max } = tracker.stats().refused;
  check('refused by maxPerClient, and by max', [maxPerClient, max], [12, 6]);

  const { perThread } = tracker.stats();
  console.log('A thread is terminated, which closes its connections; open by thread before:', perThread);
  const [doomed] = workers.filter(({ threadId }) => perThread[threadId] > 0);
  const held = perThread[doomed.threadId];
  await doomed.terminate();
  await until(() => tracker.count === 30 - held);
  check('open', tracker.count, 30 - held);
  check('a new client is admitted in place of one of them', await tryOpen(1, '127.0.0.6'), 1);

  console.log('All clients disconnect');
  for (const socket of open) socket.destroy();
  check('drained', await tracker.drain({ timeout: '5s' }), true);
  const { opened, closed } = tracker.stats();
  check('opened but not closed', opened - closed, 0);

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
