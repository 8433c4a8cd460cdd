// Sockets that are held while a server is asked: clients that reset them, trackers that are destroyed, shutdowns.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';
import sluice from '../../index.js';
import protectSocketIo from '../../lib/socket.io.js';
import { CLIENT, fleet, open, until } from '../helpers/connecting.mjs';
import { freshName } from '../helpers/peer.mjs';
import { startRedis, withRedis } from '../helpers/redis.mjs';

const { ConnectionTracker, Lifecycle, createGuard } = sluice;
const host = '127.0.0.1';

async function listening(t, server) {
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => server.close());
  return server.address().port;
}

/** A client that is connected, and reads nothing yet. */
async function connect(t, port) {
  const socket = net.connect(port, host).on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** The head of an upgrade through a proxy. */
function upgradeOf(path) {
  const headers = ['Host: a', `X-Forwarded-For: ${CLIENT}`, 'Upgrade: websocket', 'Connection: Upgrade'];
  const handshake = ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='];
  return [`GET ${path} HTTP/1.1`, ...headers, ...handshake, '', ''].join('\r\n');
}

/** A guard whose connections a fleet counts, those of a proxy once they are upgraded. */
async function guarded(t, redis) {
  const name = freshName();
  const guard = createGuard(name, {
    rateLimit: false,
    connections: { max: 9, maxPerClient: 5 },
    trustedProxies: [host],
    scope: fleet(redis.url),
  });
  t.after(() => ConnectionTracker.destroy(name));
  await guard.tracker.ready();
  return guard;
}

/** A client sends an upgrade, and resets its connection before the server of the fleet answers. */
async function resetWhileAsked(t, { redis, guard, port, path }) {
  const client = await connect(t, port);
  await until(() => guard.tracker.count === 1 && guard.tracker.stats().fleet.held >= 1);
  redis.pause();
  client.write(upgradeOf(path));
  await until(() => guard.tracker.stats().fleet.pending > 0);
  // What arrives after the head: a socket that is not read would not notice the reset.
  client.write('more');
  await delay(50);
  client.resetAndDestroy();
  await delay(100);
  redis.resume();
  await until(() => guard.tracker.count === 0 && guard.tracker.stats().fleet.pending === 0);
}

test(
  'a client that resets an upgrade while a server is asked does not end the process',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const guard = await guarded(t, redis);
    const server = http.createServer();
    const sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', async (req, socket, head) => {
      const { allowed } = await guard.check(req);
      if (allowed) sockets.handleUpgrade(req, socket, head, (ws) => ws.send('welcome'));
      else socket.destroy();
    });
    guard.attach(server);
    const port = await listening(t, server);
    await resetWhileAsked(t, { redis, guard, port, path: '/' });
  },
);

/** The id of a session over polling. */
async function pollingSession(port) {
  const headers = { 'x-forwarded-for': CLIENT, connection: 'close' };
  const answer = await fetch(`http://${host}:${port}/socket.io/?EIO=4&transport=polling`, { headers });
  return JSON.parse((await answer.text()).slice(1)).sid;
}

test('nor does one that resets the upgrade of a session of Socket.IO', withRedis, async (t) => {
  const redis = await startRedis(t);
  const guard = await guarded(t, redis);
  const server = http.createServer();
  guard.attach(server);
  const io = protectSocketIo({ name: guard.name })(new Server(server));
  t.after(() => io.close());
  const port = await listening(t, server);
  const sid = await pollingSession(port);
  await until(() => guard.tracker.count === 0);
  const path = `/socket.io/?EIO=4&transport=websocket&sid=${sid}`;
  await resetWhileAsked(t, { redis, guard, port, path });
});

/** A tracker with `count` sockets that are held until the server goes on. `served` are those that a net server sees. */
async function holding(t, count, parts = () => {}) {
  const redis = await startRedis(t);
  const tracker = await open(t, { max: 9, scope: fleet(redis.url) });
  const served = [];
  const server = net.createServer((socket) => served.push(socket.on('error', () => {})));
  parts(server, redis);
  tracker.attach(server);
  const port = await listening(t, server);
  redis.pause();
  t.after(() => redis.resume());
  const clients = await Promise.all(Array.from({ length: count }, () => connect(t, port)));
  await until(() => tracker.stats().fleet.pending === count);
  return { redis, tracker, server, clients, served };
}

test(
  'a tracker that is destroyed passes the sockets that are held, but none of a client that has left',
  withRedis,
  async (t) => {
    const { tracker, server, clients, served } = await holding(t, 5);
    const warnings = [];
    const warned = ({ code }) => warnings.push(code);
    process.on('warning', warned);
    t.after(() => process.off('warning', warned));
    for (const client of clients.slice(0, 3)) client.resetAndDestroy();
    const openSockets = promisify(server.getConnections.bind(server));
    await until(async () => (await openSockets()) === 2);
    ConnectionTracker.destroy(tracker.name);
    await until(() => served.length >= 2);
    await delay(50);
    assert.deepEqual(
      served.map(({ destroyed }) => destroyed),
      [false, false],
    );
    assert.deepEqual(warnings, ['ERR_SLUICE_CLOSED']);
  },
);

test('a shutdown counts sockets that are held as open', withRedis, async (t) => {
  const lifecycle = new Lifecycle(freshName()).ready();
  const { clients, served } = await holding(t, 2, (server) => lifecycle.attach(server));
  const { drained, forced } = await lifecycle.shutdown({ timeout: 100 });
  assert.deepEqual({ drained, forced }, { drained: false, forced: 2 });
  await Promise.all(clients.map((client) => client.destroyed || once(client.resume(), 'close')));
  assert.equal(served.length, 0);
});

for (const reputation of [undefined, { maxFailures: 5, findTime: '1m', banTime: '1m', maxBanTime: '1h' }]) {
  test(`so does that of a guard with${reputation ? '' : 'out'} bans`, withRedis, async (t) => {
    const guard = createGuard(freshName(), { rateLimit: false, ...(reputation && { reputation }) });
    const { served } = await holding(t, 2, (server) => guard.attach(server));
    assert.deepEqual(await guard.shutdown({ timeout: '600ms' }), { drained: false, forced: 2 });
    assert.equal(served.length, 0);
  });
}

test('a shutdown serves sockets that were held once the server answers', withRedis, async (t) => {
  const guard = createGuard(freshName(), {
    rateLimit: false,
    reputation: { maxFailures: 5, findTime: '1m', banTime: '1m', maxBanTime: '1h' },
  });
  const redis = await startRedis(t);
  const tracker = await open(t, { max: 9, scope: fleet(redis.url) });
  const server = http.createServer((_req, res) => res.end('hello'));
  guard.attach(server);
  tracker.attach(server);
  const port = await listening(t, server);
  redis.pause();
  const answer = fetch(`http://${host}:${port}`).then((response) => response.text());
  await until(() => tracker.stats().fleet.pending === 1);
  const down = guard.shutdown({ timeout: '20s' });
  await delay(400);
  redis.resume();
  assert.equal(await answer, 'hello');
  assert.deepEqual(await down, { drained: true, forced: 0 });
});
