// Creates components and serves requests after Object.prototype was polluted with the names of all options. Prints the
// polluted values that the package has read.
const path = require('node:path');
const http = require('node:http');
const express = require('express');
const fastify = require('fastify');
const { WebSocket, WebSocketServer } = require('ws');
const sluice = require('../../index.js');
const expressGuard = require('../../lib/express.js');
const fastifyGuard = require('../../lib/fastify.js');
const nest = require('../../lib/nestjs.js');
const protectWs = require('../../lib/ws.js');

/** The names of all options, including those of nested objects. */
const OPTIONS =
  `algorithm allow backlog backoff banFactor burst bytes calls checkClient client clientAddress clients closeCode comments connections cors cost countOnly
  delay deny detail distinct dryRun errorFilter event exit failureRate findTime forever halfOpenCalls handler headers
  history hook hooksTimeout idleTimeout inbox ip ipv6Prefix jitter key keyFallback least limit limits livePath login maxBackoff maxBytes maxClients
  maxEntries maxKeys maxOpenFor maxPeers maxPerClient messages metadata minimumCalls monitor mute name onClose onLimit onMismatch
  onRefused opens overflow rateLimit readyPath record ref refusal refusedBody refuses reputation restart retryAfter revive rules signals skip
  slowCallDuration slowCallRate staleIfError staleWhileRevalidate startTimeout timeout to trustedProxies ttl undo weight
  when window workerData`.split(/\s+/);
/** Only reads by the package count: Node, Express and Fastify read some of these names from their own options. */
const lib = path.dirname(require.resolve('../../lib/express.js')) + path.sep;
const read = new Set();

function pollute() {
  for (const name of OPTIONS) {
    Object.defineProperty(Object.prototype, name, {
      configurable: true,
      get() {
        const [, , line = ''] = new Error().stack.split('\n');
        if (!line.includes(lib)) return undefined;
        read.add(`${name} ${line.trim()}`);
        return () => true;
      },
      set(value) {
        Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
      },
    });
  }
}

function clean() {
  for (const name of OPTIONS) delete Object.prototype[name];
}

const get = (port, url) =>
  new Promise((resolve, reject) => {
    const request = http.get({ port, path: url, host: '127.0.0.1', agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    });
    request.once('error', reject);
  });

async function useComponents() {
  const quota = { limit: 5, window: '1m' };
  const limiter = new sluice.RateLimiter('polluted', quota);
  limiter.reconfigure({ limit: 6 });
  new sluice.RateLimiter('several', { limits: [quota, { limit: 50, window: '1h' }] }).consume('a');
  sluice.clientKey('::1', { ipv6Prefix: 64 });
  const tracker = new sluice.ConnectionTracker('polluted', { max: 10, opens: quota });
  tracker.tryOpen('192.0.2.1', { id: 'one' });
  tracker.tryOpen('192.0.2.1').close();
  tracker.list();
  await tracker.drain({ timeout: 0 });
  new sluice.Registry('polluted').set('a', { b: 1 });
  const bans = { maxFailures: 2, findTime: '1m', banTime: '1m', maxBanTime: '1d' };
  const reputation = new sluice.Reputation('polluted', bans);
  reputation.recordFailure('192.0.2.1');
  reputation.ban('192.0.2.2', { duration: '1s' });
  reputation.setLists({});
  const rule = { event: 'scan', count: 5, window: '1m', action: 'alert' };
  const monitor = new sluice.SecurityMonitor('polluted', { rules: [rule] });
  monitor.on('alert', () => {}).record('scan', '192.0.2.1');
  monitor.history();
  monitor.top();
  const breaker = new sluice.CircuitBreaker('polluted', { openFor: '1s' });
  await breaker.fire('target', async () => 1);
  const broker = new sluice.Broker('polluted');
  broker.handle('echo', (payload) => payload);
  await broker.call('echo', { a: 1 }, {});
  await broker.close();
  const hub = new sluice.ClientHub('polluted');
  await hub.getOrInit('a', async () => 1, {});
  await hub.client('b', async () => 1, {}).get();
  const lifecycle = new sluice.Lifecycle('polluted').ready();
  lifecycle.onShutdown(() => {}, {});
  lifecycle.handleSignals({})();
  lifecycle.health({});
  await lifecycle.shutdown({});
}

async function useGuards() {
  const rateLimit = { limit: 1, window: '1h' };
  const bans = { maxFailures: 50, findTime: '1m', banTime: '1m', maxBanTime: '1d' };
  const rule = { event: 'scan', count: 5, window: '1m', action: 'ban' };
  const app = express();
  app.use(
    expressGuard({ name: 'x', rateLimit, connections: {}, reputation: bans, monitor: { rules: [rule] } }),
  );
  app.get('/', (_req, res) => res.send('ok'));
  const server = http.createServer(app);
  const { port } = await sluice.listen(server, { port: 0, host: '127.0.0.1' });
  const statuses = [await get(port, '/'), await get(port, '/')];
  server.close();

  const api = fastify();
  await api.register(fastifyGuard, { name: 'f', rateLimit });
  api.get('/', async () => 'ok');
  api.get('/own', { config: { sluice: { rateLimit } } }, async () => 'ok');
  for (const url of ['/', '/', '/own', '/own']) statuses.push((await api.inject(url)).statusCode);
  const guard = sluice.createGuard('g', { rateLimit });
  const incoming = { socket: { remoteAddress: '192.0.2.1' }, headers: {} };
  statuses.push(guard.check(incoming).outcome, guard.check(incoming).outcome);
  guard.record(incoming, 'scan');
  sluice.createGuard('g');
  await guard.shutdown({});
  return statuses;
}

/** What a socket receives whose second message is refused, and the status of a second handshake. */
async function useWebSockets() {
  const quota = { limit: 1, window: '1h' };
  const protect = protectWs({
    name: 'w',
    rateLimit: quota,
    connections: { max: 5 },
    messages: quota,
    bytes: quota,
  });
  const sockets = protect(new WebSocketServer({ noServer: true }));
  const server = http.createServer();
  server.on('upgrade', (req, socket, head) => sockets.handleUpgrade(req, socket, head, () => {}));
  const { port } = await sluice.listen(server, { port: 0, host: '127.0.0.1' });
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.once('open', () => ['a', 'b'].map((message) => socket.send(message)));
  const refused = new Promise((resolve) => {
    closed.then(() => {
      const second = new WebSocket(`ws://127.0.0.1:${port}`);
      second.on('error', () => {});
      second.once('unexpected-response', (_request, { statusCode }) => resolve(statusCode));
    });
  });
  const answers = [await closed, await refused];
  server.close();
  return answers;
}

/** What two requests to a route of Nest get: true, and the status of a refusal. */
async function useNest() {
  class Site {
    page() {}
  }
  const route = nest.Sluice({ cost: 1, rateLimit: { limit: 1, window: '1h' } });
  route(Site.prototype, 'page', Object.getOwnPropertyDescriptor(Site.prototype, 'page'));
  const guard = new nest.SluiceGuard(new nest.SluiceApplication({ name: 'n', rateLimit: false }));
  const admit = () => {
    const request = { socket: { remoteAddress: '192.0.2.1' }, headers: {} };
    return guard.canActivate({
      getType: () => 'http',
      getClass: () => Site,
      getHandler: () => Site.prototype.page,
      switchToHttp: () => ({ getRequest: () => request, getResponse: () => undefined }),
    });
  };
  return [await admit(), await admit().catch((error) => error.getStatus())];
}

pollute();
useComponents()
  .then(useGuards)
  .then(async (statuses) => [...statuses, ...(await useWebSockets()), ...(await useNest())])
  .then(
    (statuses) => {
      clean();
      console.log(JSON.stringify({ statuses, read: [...read] }));
      process.exit(0);
    },
    (error) => {
      clean();
      console.log(JSON.stringify({ error: error.stack, read: [...read] }));
      process.exit(0);
    },
  );
