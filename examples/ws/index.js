'use strict';

// WebSockets in four worker threads: at most five sockets and twenty messages in ten seconds of one client, whichever
// threads have its sockets. A client behind a proxy, a flood of messages, and a thread that dies.

const { ConnectionTracker } = require('sluice');
const { WebSocket } = require('ws');
const { check, repeat, startWorkers, tally, until } = require('../stage');

const PROXY = '127.0.0.100';

/** An open socket that was greeted, or the status and the headers of the refusal. */
function connect(port, from, behind) {
  const headers = behind === undefined ? {} : { 'x-forwarded-for': behind };
  const ws = new WebSocket(`ws://127.0.0.1:${port}`, { localAddress: from, headers });
  ws.echoes = 0;
  ws.closed = new Promise((resolve) => {
    ws.once('close', (code, reason) => resolve(`${code} ${reason}`));
  });
  return new Promise((resolve, reject) => {
    ws.on('error', reject);
    ws.once('unexpected-response', (request, { statusCode, headers: sent }) => {
      request.destroy();
      resolve({ status: statusCode, retryAfter: sent['retry-after'] });
    });
    ws.once('message', () => {
      ws.on('message', () => {
        ws.echoes += 1;
      });
      resolve({ status: 101, ws });
    });
  });
}

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const sessions = new ConnectionTracker('chat:sockets');
  const statuses = (answers) => tally(answers.map(({ status }) => status).sort());

  const first = await repeat(12, 6, () => connect(port, '127.0.0.2'));
  check('12 handshakes of one client', statuses(first), '101 × 5, 503 × 7');
  check('Retry-After', first.find(({ status }) => status === 503).retryAfter, 1);
  const behindProxy = [];
  for (const client of ['203.0.113.1', '203.0.113.2']) {
    const proxied = await repeat(7, 4, () => connect(port, PROXY, client));
    behindProxy.push(...proxied.filter(({ ws }) => ws !== undefined).map(({ ws }) => ws));
    check(`7 handshakes of ${client} behind a proxy`, statuses(proxied), '101 × 5, 503 × 2');
  }

  const open = first.filter(({ ws }) => ws !== undefined).map(({ ws }) => ws);
  for (const ws of open) for (let i = 0; i < 6; i++) ws.send('hello');
  await until(() => open.some((ws) => ws.readyState === WebSocket.CLOSED));
  const flooded = await Promise.race(open.map((ws) => ws.closed));
  check(
    '30 messages over its five sockets',
    flooded.replace(/=\d+/, '=…'),
    '1008 quota-exceeded; retry-after=…',
  );
  await until(() => open.reduce((sum, { echoes }) => sum + echoes, 0) === 20);
  check(
    'of which were echoed',
    open.reduce((sum, { echoes }) => sum + echoes, 0),
    20,
  );

  const { ws: large } = await connect(port, '127.0.0.3');
  large.send('x'.repeat(2_001));
  check('a message above the quota of bytes', await large.closed, '1008 quota-exceeded');

  // Each socket has its six echoes, or was closed; and its thread has counted that.
  const isClosed = (ws) => ws.readyState === WebSocket.CLOSED;
  await until(() => open.every((ws) => ws.echoes === 6 || isClosed(ws)));
  const all = [...open, ...behindProxy];
  await until(() => sessions.count === all.filter((ws) => !isClosed(ws)).length);

  const { perThread } = sessions.stats();
  const [doomed] = workers.filter(({ threadId }) => perThread[threadId] > 0);
  const left = sessions.count - perThread[doomed.threadId];
  await doomed.terminate();
  await until(() => sessions.count === left);
  check('sockets that are counted once a thread has died', sessions.count, left);

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
