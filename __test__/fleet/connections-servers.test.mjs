// Servers whose sockets a fleet counts: they are held until the answer, and refused at accept. Guards in such a scope.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import sluice from '../../index.js';
import wsServer from '../../lib/ws.js';
import { CLIENT, fleet, OTHER, open, rowsOf, startProcess, until } from '../helpers/connecting.mjs';
import { lateness } from '../helpers/fleet-lateness.mjs';
import { freshName } from '../helpers/peer.mjs';
import { startProxy, startRedis, withRedis } from '../helpers/redis.mjs';

const { ConnectionTracker, createGuard } = sluice;

/** The status of a request on a connection of its own that stays open; of a refused one, 503. */
function request(port, agent) {
  return new Promise((resolve, reject) => {
    const req = http.get({ port, host: '127.0.0.1', agent }, (res) => {
      res.resume().on('end', () => resolve(res.statusCode));
    });
    req.on('error', reject);
  });
}

test('servers of two processes share the cap of a client at accept', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const options = { maxPerClient: 5, scope: fleet(redis.url) };
  const processes = await Promise.all([1, 2].map(() => startProcess(t, { name, options })));
  const ports = await Promise.all(processes.map((process) => process.call('serve')));
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const statuses = await Promise.all(Array.from({ length: 12 }, (_, n) => request(ports[n % 2], agent)));
  assert.equal(statuses.filter((status) => status === 200).length, 5, `${statuses}`);
  assert.equal(statuses.filter((status) => status === 503).length, 7);
  agent.destroy();
  await until(async () => (await rowsOf(redis, name)) === 0);
  assert.equal(await request(ports[1], new http.Agent()), 200);
});

test(
  'a socket waits for the server no longer than the timeout, and then onError decides',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const statusOf = async (onError) => {
      const tracker = await open(t, { max: 5, scope: fleet(redis.url, { onError, timeout: 80 }) });
      const server = http.createServer((_req, res) => res.end('hello'));
      tracker.attach(server);
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      t.after(() => server.close());
      redis.pause();
      const [started, late] = [performance.now(), lateness()];
      const response = await fetch(`http://127.0.0.1:${server.address().port}`, {
        headers: { connection: 'close' },
      });
      const [took, most] = [performance.now() - started, 2000 + late.end()];
      const text = await response.text();
      redis.resume();
      await until(() => tracker.stats().fleet.state === 'ready');
      assert.ok(took < most, `${took} ms`);
      return { status: response.status, text };
    };
    assert.deepEqual(await statusOf('allow'), { status: 200, text: 'hello' });
    assert.deepEqual(await statusOf('local'), { status: 200, text: 'hello' });
    const denied = await statusOf('deny');
    assert.equal(denied.status, 503);
    assert.match(denied.text, /cannot be counted at the moment/);
  },
);

/** A net server sees the bytes that came while the socket was held. */
test('what a client sends while its socket is held is not lost', withRedis, async (t) => {
  const redis = await startRedis(t);
  const proxy = await startProxy(t, redis.port);
  const tracker = await open(t, { max: 9, scope: fleet(proxy.url) });
  const server = net.createServer((socket) => socket.on('error', () => {}).pipe(socket));
  tracker.attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  proxy.delayMs = 150;
  const talk = async () => {
    const socket = net.connect(server.address().port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write('hello');
    const [data] = await once(socket, 'data');
    return [socket, String(data)];
  };
  const [first, text] = await talk();
  assert.equal(text, 'hello');
  // One that leaves while it is held has nothing to do with the server, and holds nothing.
  const leaving = net.connect(server.address().port, '127.0.0.1');
  await once(leaving, 'connect');
  leaving.resetAndDestroy();
  const [second] = await talk();
  await until(() => tracker.count === 2);
  first.destroy();
  second.destroy();
  proxy.delayMs = 0;
  await until(async () => (await rowsOf(redis, tracker.name)) === 0);
});

test(
  'the connections of a guard are counted in its scope, and those of a proxy once they are upgraded',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const name = freshName();
    const connections = { maxPerClient: 2 };
    const guard = createGuard(name, {
      rateLimit: false,
      connections,
      trustedProxies: ['127.0.0.1'],
      scope: fleet(redis.url),
    });
    t.after(() => ConnectionTracker.destroy(name));
    await guard.tracker.ready({ timeout: '30s' });
    const other = await startProcess(t, { name, options: { ...connections, scope: fleet(redis.url) } });
    const server = http.createServer((_req, res) => res.end('hello'));
    const sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', async (req, socket, head) => {
      const decision = await guard.check(req);
      if (!decision.allowed)
        return socket.end(`HTTP/1.1 ${decision.status} Refused\r\nConnection: close\r\n\r\n`);
      sockets.handleUpgrade(req, socket, head, (ws) => ws.send('welcome'));
    });
    guard.attach(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const statusOf = async (client) => {
      const ws = new WebSocket(`ws://127.0.0.1:${server.address().port}`, {
        headers: { 'x-forwarded-for': client },
      });
      t.after(() => ws.terminate());
      ws.on('error', () => {});
      const refused = once(ws, 'unexpected-response').then(([, { statusCode }]) => statusCode);
      return { ws, status: await Promise.race([once(ws, 'message').then(() => 101), refused]) };
    };
    assert.deepEqual(await other.call('open', 1, CLIENT), [1]);
    const first = await statusOf(CLIENT);
    assert.deepEqual(
      [first.status, (await statusOf(CLIENT)).status, (await statusOf(OTHER)).status],
      [101, 503, 101],
    );
    assert.deepEqual(await other.call('open', 2, CLIENT, OTHER), [0, 1]);
    assert.equal(guard.tracker.stats().refused.maxPerClient, 1);
    first.ws.terminate();
    await until(async () => (await rowsOf(redis, name, `c:${CLIENT}`)) === 24);
    assert.deepEqual(await other.call('open', 2, CLIENT), [1]);
  },
);

test('the sockets of WebSocket servers are counted in the scope of their guard', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const scope = fleet(redis.url);
  const protect = wsServer({ name, rateLimit: false, connections: { maxPerClient: 2 }, scope });
  t.after(() => ConnectionTracker.destroy(`${name}:sockets`));
  await new ConnectionTracker(`${name}:sockets`).ready({ timeout: '30s' });
  const sessions = { maxPerClient: 2, clients: 'opaque', scope };
  const other = await startProcess(t, { name: `${name}:sockets`, options: sessions });
  const server = http.createServer();
  protect(new WebSocketServer({ server })).on('connection', (ws) => ws.send('welcome'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const statusOf = async () => {
    const ws = new WebSocket(`ws://127.0.0.1:${server.address().port}`);
    t.after(() => ws.terminate());
    ws.on('error', () => {});
    const refused = once(ws, 'unexpected-response').then(([, { statusCode }]) => statusCode);
    return Promise.race([once(ws, 'message').then(() => 101), refused]);
  };
  assert.deepEqual(await other.call('open', 1, '127.0.0.1'), [1]);
  assert.deepEqual([await statusOf(), await statusOf()], [101, 503]);
  await other.call('closeAll');
  await until(async () => (await rowsOf(redis, `${name}:sockets`)) === 24);
  assert.equal(await statusOf(), 101);
});
