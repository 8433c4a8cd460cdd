'use strict';

// A thread that uses and holds resources of all components, and ends at a random moment in the given way.

const http = require('node:http');
const { parentPort, workerData } = require('node:worker_threads');
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
  listen,
} = require('../..');

const { name, way, seed, port } = workerData;
const next = random(seed);
const tracker = new ConnectionTracker(name, { max: 1000, maxPerClient: 500, clients: 'opaque' });
const limiter = new RateLimiter(name, { limit: 1000, window: '1s', maxKeys: 50 });
const spaced = new RateLimiter(`${name}, in line`, { limit: 1000, window: '1s', burst: 1 });
const registry = new Registry(name);
const breaker = new CircuitBreaker(name, { openFor: 1, timeout: '1h', halfOpenCalls: 100 });
const hub = new ClientHub(name);
const lifecycle = new Lifecycle(name);
const semaphore = new Semaphore(name, { permits: 3 });
const broker = new Broker(name).unref();
broker.on('message', () => limiter.tryConsume('message'));
const held = [];
const permits = [];

const steps = [
  () => held.push(tracker.tryOpen(`client ${Math.floor(next() * 5)}`, { detail: { seed } })),
  () => held.at(-1)?.tryMessage(100),
  () => limiter.consume(`client ${Math.floor(next() * 100)}`),
  () => waitInLine(),
  () => limiter.block(`client ${Math.floor(next() * 100)}`, '10ms'),
  () => registry.on('change', () => limiter.tryConsume('change')),
  () => registry.update('count', (count = 0) => count + 1),
  () => permits.push(breaker.tryAcquire('target')),
  () => semaphore.tryAcquire({ key: `key ${Math.floor(next() * 3)}` }),
  () => acquireAndWork(),
  () => breaker.on('open', () => {}),
  () => void hub.getOrInit(`key ${Math.floor(next() * 5)}`, soonOrNever, { ttl: 1 }),
  () => lifecycle.on('change', () => {}).track(new Promise(() => {})),
  () => lifecycle.child('work').signal.addEventListener('abort', () => {}),
  () => void broker.call('echo', { seed, text: 'x'.repeat(next() * 1000) }, { timeout: 20 }).catch(() => {}),
  () => void broker.call('later', Buffer.alloc(next() * 1000)).catch(() => {}),
  () => broker.peers().some(({ id }) => id === 'main') && broker.send('main', { seed }),
  () => broker.broadcast(seed),
  () => listenWithoutStaying(),
  // A pending drain keeps a thread alive, so a thread that ends by returning must not start one.
  () => way !== 'return' && tracker.drain({ timeout: '1h' }),
];

const ends = {
  return: () => {},
  exit: () => process.exit(0),
  error: () => {
    throw new Error('the thread ends with this');
  },
  memory: () => {
    for (const kept = []; ; ) kept.push(new Array(10_000).fill(next()));
  },
  // The main thread terminates it at any point.
  terminate: () => {
    parentPort.postMessage('working');
    rest = Infinity;
    setImmediate(work);
  },
};

let rest = Math.floor(next() * 12);

/** A call that waits keeps a thread alive, so one of a thread that ends by returning does not wait for long. */
function waitInLine() {
  spaced.acquire('client', { timeout: way === 'return' ? 5 : '1h' }).catch(() => {});
}

/** A call that waits keeps a thread alive, so a thread that ends by returning takes what is free. */
function acquireAndWork() {
  const key = `key ${Math.floor(next() * 3)}`;
  if (way === 'return') return semaphore.tryAcquire({ key })?.release();
  semaphore.run(soonOrNever, { key, permits: 1 + Math.floor(next() * 3) }).catch(() => {});
}

function listenWithoutStaying() {
  const server = http.createServer((_req, res) => res.end());
  tracker.attach(server);
  lifecycle.attach(server);
  const listening = listen(server, { port, host: '127.0.0.1' });
  // Rejects when the thread is listening already.
  listening.then(() => next() < 0.5 && server.close()).catch(() => {});
  server.unref();
}

/** A pending initialisation keeps a thread alive, so one that ends by returning always settles it. */
function soonOrNever() {
  return new Promise((resolve) => {
    if (way === 'return' || next() < 0.5) setImmediate(resolve, 'made');
  });
}

/** Runs five random steps per turn until the thread ends. */
function work() {
  for (let i = 0; i < 5; i++) steps[Math.floor(next() * steps.length)]();
  if (rest-- > 0) setImmediate(work);
  else ends[way]();
}

work();
