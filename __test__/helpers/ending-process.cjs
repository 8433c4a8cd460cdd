'use strict';

// Starts many threads that all end in one way, prints what they left behind, and exits by itself.

const { once } = require('node:events');
const net = require('node:net');
const { setTimeout: pause } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const { random } = require('./random.cjs');
const {
  Broker,
  CircuitBreaker,
  ClientHub,
  ConnectionTracker,
  Lifecycle,
  RateLimiter,
  Registry,
  Semaphore,
} = require('../..');

const FILE = require.resolve('./ending-worker.cjs');
const TOGETHER = 8;
const TRIALS = 100;

const [way, count, seed] = JSON.parse(process.argv[2]);
const next = random(seed);
const name = 'threads that end';
const tracker = new ConnectionTracker(name, { max: 1000, maxPerClient: 500, clients: 'opaque' });
const limiter = new RateLimiter(name, { limit: 1000, window: '1s', maxKeys: 50 });
const spaced = new RateLimiter(`${name}, in line`, { limit: 1000, window: '1s', burst: 1 });
const registry = new Registry(name);
const breaker = new CircuitBreaker(name, { openFor: 1, timeout: '1h', halfOpenCalls: TRIALS });
const hub = new ClientHub(name);
const semaphore = new Semaphore(name, { permits: 3 });
const broker = new Broker(name, { id: 'main' }).unref();
let changes = 0;
registry.on('change', () => changes++);
broker.handle('echo', (payload) => payload);
broker.handle('later', (payload) => pause(1, payload));
broker.on('message', (_payload, { from }) => answer(from));

async function startAndEnd(port) {
  const workerData = { name, way, port, seed: Math.floor(next() * 2 ** 32) };
  const resourceLimits = way === 'memory' ? { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 4 } : {};
  const worker = new Worker(FILE, { workerData, resourceLimits, stdout: true, stderr: true });
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  let error;
  worker.once('error', (thrown) => (error = thrown));
  if (way === 'terminate') {
    // Sometimes before it has loaded anything, sometimes during its work.
    if (next() < 0.7) await once(worker, 'message');
    await pause(next() * 30);
    worker.terminate();
  }
  const code = await exited;
  return `${code} ${error?.code ?? error?.message ?? ''}`.trim();
}

/** Replies to a peer, which may have ended. */
function answer(peer) {
  try {
    broker.send(peer, 'received');
  } catch (error) {
    if (error.code !== 'ERR_SLUICE_PEER_GONE') throw error;
  }
}

/** Leaves a half-open circuit for the threads. They never report an outcome, so it stays half-open. */
async function halfOpen() {
  for (let i = 0; i < 10; i++) breaker.tryAcquire('target').failure();
  await pause(10);
  breaker.tryAcquire('target').release();
}

/** A free port below the ephemeral range, so that no concurrent test is assigned it between two uses. */
async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = net.createServer().listen(port, '127.0.0.1');
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

async function main() {
  await halfOpen();
  const port = await freePort();
  const ends = {};
  let started = 0;
  const lane = async () => {
    while (started++ < count) {
      const end = await startAndEnd(port);
      ends[end] = (ends[end] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, lane));
  // No subscriber is left, and the port is free.
  for (let i = 0; i < 10; i++) registry.set('last', i);
  const server = net.createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  const { count: open, opened, closed, perThread } = tracker.stats();
  const clients = [0, 1, 2, 3, 4].map((n) => tracker.countFor(`client ${n}`));
  const drained = await tracker.drain({ timeout: 0 });
  const { perThread: members } = await new Lifecycle(name).shutdown();
  let trials = 0;
  while (breaker.tryAcquire('target') !== null) trials += 1;
  const permits = semaphore.stats();
  const line = spaced.stats();
  const { waiting, initialising, initialisations } = hub.stats();
  // Handlers of the last calls may still be running, and the last messages unread.
  const isBusy = ({ running, waiting }) => running > 0 || waiting > 0;
  for (let turns = 0; turns < 10_000 && isBusy(broker.stats()); turns++) await pause(1);
  const { peers, waiting: unread, inFlight, pending } = broker.stats();
  const served = broker.stats().thread.served;
  const worked =
    limiter.stats().allowed > 0 &&
    line.allowed > 0 &&
    registry.get('count') > 0 &&
    changes > 0 &&
    initialisations > 0 &&
    served > 0 &&
    permits.acquired > 0;
  console.log(
    JSON.stringify({
      ends,
      open,
      perThread,
      clients,
      drained,
      left: opened - closed,
      trials: trials - TRIALS,
      line: line.waiting,
      waiting,
      initialising,
      permits: [permits.held, permits.waiting, permits.keys],
      members: Object.keys(members),
      broker: [peers, unread, inFlight, pending],
      opened,
      worked,
    }),
  );
}

main();
