// Four worker threads, one port, one limit: requests admitted, beside the limit configured.
//
//   npm run demo               prints its tables, and exits with code 1 if a total is wrong
//   npm run demo -- --keep     then keeps the server running with its dashboard, to try it with a browser and with curl
//   npm run demo -- --cluster  four processes of a cluster in place of threads, one of which is killed on the way
//   npm run demo -- --fleet    three processes as three machines on one Redis server, in place of threads

import { createRequire } from 'node:module';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import { demoCluster } from './cluster.mjs';
import { demoFleet } from './fleet.mjs';
import { keepSending, sendLoad } from './load.mjs';
import { printTable, progressLine } from './screen.mjs';

const { ConnectionTracker } = createRequire(import.meta.url)('../../index.js');

const WORKERS = 4;
const LIMIT = 100;
const WINDOW = '1h';
/** Time in which one unit is replenished; the load takes a small part of it. */
const REFILL_MS = 3_600_000 / LIMIT;
const REQUESTS = 600;
const CLIENTS = Array.from({ length: 8 }, (_, index) => `127.0.0.${11 + index}`);
const IDLE_CONNECTIONS = 40;

/** Requests per second of each client while the server is kept running; one sends more than all others. */
const RATES = new Map(CLIENTS.map((client, index) => [client, index === 2 ? 20 : 1]));

const isKept = process.argv.includes('--keep');
const failures = [];

function expect(what, found, wanted) {
  if (found !== wanted) failures.push(`${what}: ${found}, expected ${wanted}`);
}

/** Each worker listens on port 0 of `host`; all get the port of the first one. */
async function startWorkers(limiter, host) {
  const start = () => {
    const workerData = { limiter, limit: LIMIT, window: WINDOW, host, hasDashboard: isKept };
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

/** Each client is admitted exactly the limit, plus what was replenished meanwhile. */
function checkTotals({ byClient, elapsedMs }) {
  const refilled = Math.floor(elapsedMs / REFILL_MS);
  for (const [client, { ok, refused, other }] of byClient) {
    if (refilled === 0) expect(`admitted to ${client}`, ok, LIMIT);
    else
      expect(
        `admitted to ${client} within the limit and what was replenished`,
        ok >= LIMIT && ok <= LIMIT + refilled,
        true,
      );
    expect(`answers to ${client}`, ok + refused, REQUESTS);
    expect(`other answers to ${client}`, other, 0);
  }
}

/** Opens connections, terminates a worker that holds some of them, and shows how the count falls. */
async function endOneWorker(workers, port) {
  const tracker = new ConnectionTracker('demo');
  const sockets = [];
  // One after another, as the first thread that wakes often accepts a whole burst.
  while (sockets.length < IDLE_CONNECTIONS) sockets.push(await connect(port));
  await until(() => tracker.count === IDLE_CONNECTIONS, 'connections to be counted');
  const before = tracker.stats().perThread;
  const [doomed] = workers.filter((worker) => before[worker.threadId] > 0);
  const doomedId = doomed.threadId;
  await doomed.terminate();
  await until(() => tracker.count === IDLE_CONNECTIONS - before[doomedId], 'the count to fall');
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
  console.log(`  After all clients have disconnected: ${tracker.count}.\n`);
  return workers.filter((worker) => worker !== doomed);
}

function connect(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(socket));
    // Also emitted when the worker that serves it is terminated, which is expected.
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
  keepSending({ host: '127.0.0.1', port, rates: RATES });
  console.log(`
The server is running with a limit of ${LIMIT} per ${WINDOW} and client. The clients of the demo go on sending: one of them
far too much. Find it, see why it is refused, and let it in:

  http://127.0.0.1:${port}/sluice/

Or in the terminal:

  npx sluice top ${process.pid}
  npx sluice admit ${CLIENTS[2]}

Or try:

  curl -i http://127.0.0.1:${port}/                           a new client: see the headers RateLimit and x-worker
  curl -i --interface ${CLIENTS[0]} http://127.0.0.1:${port}/    a client of the demo, whose quota is used up
  for i in $(seq 120); do curl -s -o /dev/null -w '%{http_code} ' http://127.0.0.1:${port}/; done

Ctrl-C stops it.`);
}

async function demoThreads() {
  console.log(`
sluice: ${WORKERS} worker threads with Fastify on one port; ${CLIENTS.length} clients send ${REQUESTS} requests each;
the limit is ${LIMIT} requests per ${WINDOW} and client.

1. sluice: all threads share one count
`);
  const shared = await startWorkers('sluice', '127.0.0.1');
  const exact = await measure(shared, 'with sluice');
  checkTotals(exact);

  console.log(
    '2. The same load with @fastify/rate-limit, whose memory store counts in each thread separately\n',
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

  console.log(`3. ${IDLE_CONNECTIONS} open connections; one of the workers is terminated\n`);
  const left = await endOneWorker(shared.workers, shared.port);

  reportAndExit();
  if (isKept) {
    keepRunning(shared.port);
  } else {
    await Promise.all(left.map((worker) => worker.terminate()));
  }
}

if (process.argv.includes('--cluster')) process.exitCode = (await demoCluster()) ? 0 : 1;
else if (process.argv.includes('--fleet')) process.exitCode = (await demoFleet()) ? 0 : 1;
else await demoThreads();
