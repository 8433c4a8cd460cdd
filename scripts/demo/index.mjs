// Four worker threads, one port, one limit: what is admitted against what was configured.
//
//   npm run demo             runs, prints its tables, and ends with 1 if a total is wrong
//   npm run demo -- --keep   leaves the server running to be tried with curl

import { createRequire } from 'node:module';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import { sendLoad } from './load.mjs';
import { printTable, progressLine } from './screen.mjs';

const { ConnectionTracker } = createRequire(import.meta.url)('../../index.js');

const WORKERS = 4;
const LIMIT = 100;
const WINDOW = '1h';
/** One unit comes back after this long; the load takes a small part of it. */
const REFILL_MS = 3_600_000 / LIMIT;
const REQUESTS = 600;
const CLIENTS = Array.from({ length: 8 }, (_, index) => `127.0.0.${11 + index}`);
const IDLE_CONNECTIONS = 40;

const failures = [];

function expect(what, found, wanted) {
  if (found !== wanted) failures.push(`${what}: ${found}, expected ${wanted}`);
}

/** Each worker asks for port 0 of `host`, and is given the port that the first of them got. */
async function startWorkers(limiter, host) {
  const start = () => {
    const workerData = { limiter, limit: LIMIT, window: WINDOW, host };
    const worker = new Worker(new URL('./server.mjs', import.meta.url), { workerData });
    return new Promise((resolve, reject) => {
      worker.once('message', ({ port }) => resolve({ worker, port }));
      worker.once('error', reject);
    });
  };
  const started = await Promise.all(Array.from({ length: WORKERS }, start));
  const ports = new Set(started.map(({ port }) => port));
  expect('ports of the workers', ports.size, 1);
  return { workers: started.map(({ worker }) => worker), host, port: started[0].port };
}

async function measure({ host, port }, label) {
  const load = await sendLoad({
    host,
    port,
    clients: CLIENTS,
    requests: REQUESTS,
    onProgress: progressLine(label),
  });
  console.log();
  printTable(
    ['client', 'requests', '200', '429', 'limit', 'admitted'],
    CLIENTS.map((client) => {
      const { requests, ok, refused } = load.byClient.get(client);
      return [client, requests, ok, refused, LIMIT, `${Math.round((100 * ok) / LIMIT)} %`];
    }),
  );
  printTable(
    ['worker thread', 'requests', '200', '429'],
    [...load.byWorker].sort(([a], [b]) => a - b).map(([id, row]) => [id, row.requests, row.ok, row.refused]),
  );
  const admitted = [...load.byClient.values()].reduce((sum, row) => sum + row.ok, 0);
  return { ...load, admitted };
}

/** Exactly the limit, for each client; more only for time in which quota came back. */
function checkTotals({ byClient, elapsedMs }) {
  const refilled = Math.floor(elapsedMs / REFILL_MS);
  for (const [client, { ok, refused, other }] of byClient) {
    if (refilled === 0) expect(`admitted to ${client}`, ok, LIMIT);
    else expect(`admitted to ${client} within what came back`, ok >= LIMIT && ok <= LIMIT + refilled, true);
    expect(`answers to ${client}`, ok + refused, REQUESTS);
    expect(`other answers to ${client}`, other, 0);
  }
}

/** Opens connections, ends a worker that holds some of them, and shows the count come back. */
async function endOneWorker(workers, port) {
  const tracker = new ConnectionTracker('demo');
  const sockets = [];
  // One after the other: a burst is often accepted by the first thread that wakes.
  while (sockets.length < IDLE_CONNECTIONS) sockets.push(await connect(port));
  await until(() => tracker.count === IDLE_CONNECTIONS, 'connections to be counted');
  const before = tracker.stats().perThread;
  const [doomed] = workers.filter((worker) => before[worker.threadId] > 0);
  const doomedId = doomed.threadId;
  await doomed.terminate();
  await until(() => tracker.count === IDLE_CONNECTIONS - before[doomedId], 'the count to return');
  const after = tracker.stats().perThread;

  printTable(
    ['worker thread', 'open before', 'open after'],
    [
      ...Object.keys(before).map((id) => [
        id,
        before[id],
        id === String(doomedId) ? 'terminated' : (after[id] ?? 0),
      ]),
      ['all', IDLE_CONNECTIONS, tracker.count],
    ],
  );
  expect('connections of the terminated worker', after[doomedId] ?? 0, 0);
  for (const socket of sockets) socket.destroy();
  await until(() => tracker.count === 0, 'the count to reach zero');
  console.log(`  After the other clients hung up: ${tracker.count}.\n`);
  return workers.filter((worker) => worker !== doomed);
}

function connect(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(socket));
    // The worker that served it may have been terminated: that is what is shown.
    socket.on('error', reject);
  });
}

async function until(condition, what) {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 10_000) {
      failures.push(`waited 10 s for ${what}`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function reportAndExit() {
  if (failures.length > 0) {
    console.error(`WRONG:\n  ${failures.join('\n  ')}`);
    process.exitCode = 1;
    return;
  }
  console.log('Every total is exact.');
}

function keepRunning(port) {
  console.log(`
The server is up, limited to ${LIMIT} per ${WINDOW} and client. Try:

  curl -i http://127.0.0.1:${port}/                           a new client: see RateLimit and x-worker
  curl -i --interface ${CLIENTS[0]} http://127.0.0.1:${port}/    a client of the demo: its quota is used up
  for i in $(seq 120); do curl -s -o /dev/null -w '%{http_code} ' http://127.0.0.1:${port}/; done

Ctrl-C ends it.`);
}

console.log(`
sluice: ${WORKERS} worker threads with Fastify on one port, ${CLIENTS.length} clients with ${REQUESTS} requests each,
${LIMIT} requests per ${WINDOW} and client.

1. sluice: one count for all threads
`);
const shared = await startWorkers('sluice', '127.0.0.1');
const exact = await measure(shared, 'with sluice');
checkTotals(exact);

console.log(
  '2. The same load with @fastify/rate-limit, whose memory store counts in each thread for itself\n',
);
const separate = await startWorkers('@fastify/rate-limit', '127.0.0.2');
const inflated = await measure(separate, 'with @fastify/rate-limit');
await Promise.all(separate.workers.map((worker) => worker.terminate()));
const configured = LIMIT * CLIENTS.length;
printTable(
  ['', 'configured', 'admitted', 'ratio'],
  [
    ['sluice', configured, exact.admitted, (exact.admitted / configured).toFixed(2)],
    ['@fastify/rate-limit', configured, inflated.admitted, (inflated.admitted / configured).toFixed(2)],
  ],
);

console.log(`3. ${IDLE_CONNECTIONS} open connections, and one of the workers is terminated\n`);
const left = await endOneWorker(shared.workers, shared.port);

reportAndExit();
if (process.argv.includes('--keep')) {
  keepRunning(shared.port);
} else {
  await Promise.all(left.map((worker) => worker.terminate()));
}
