// sluice/ws: which handshakes are admitted, and what is answered to the others.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import protectWs from '../../lib/ws.js';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';
import { attempt, badHandshake, open, serveWebSockets, statuses } from '../helpers/websockets.mjs';

const clock = stopClock();
const freshName = freshNames('ws');
const protecting = (options) => protectWs({ name: freshName(), ...options });

test('a handshake above the rate is answered with 429 and a problem', async (t) => {
  const protect = protecting({ rateLimit: { limit: 1, window: '10s' } });
  const { port, sockets } = await serveWebSockets(t, protect);
  await open(port);
  const { status, headers, json } = await attempt(port);
  assert.equal(status, 429);
  assert.equal(headers['retry-after'], '10');
  assert.equal(headers.ratelimit, `"${protect.guard.name}";r=0;t=10`);
  assert.equal(headers['content-type'], 'application/problem+json');
  assert.equal(json.title, 'Quota Exceeded');
  assert.equal(sockets.clients.size, 1);
  assert.deepEqual(await statuses(1, port, { from: '127.0.0.2' }), [101]);
});

test('a handshake above a cap is answered with 503, and a socket that closes makes room', async (t) => {
  const protect = protecting({ connections: { max: 3, maxPerClient: 2 } });
  const { port, sockets } = await serveWebSockets(t, protect);
  const first = await open(port);
  await open(port);
  const { status, headers, json } = await attempt(port);
  assert.deepEqual([status, headers['retry-after']], [503, '1']);
  assert.deepEqual(json['violated-policies'], ['maxPerClient']);
  assert.deepEqual(await statuses(2, port, { from: '127.0.0.2' }), [101, 503]);
  first.close();
  await until(() => protect.sessions.count, 2);
  assert.deepEqual(await statuses(2, port), [101, 503]);
  [...sockets.clients][0].terminate();
  await until(() => protect.sessions.count, 2);
  assert.deepEqual(await statuses(1, port), [101]);
  const { refusedBy } = protect.guard.stats();
  assert.deepEqual(refusedBy, { quota: 0, connections: 3, ban: 0 });
});

test('opens limits how often a client opens, and Retry-After says when it may again', async (t) => {
  const protect = protecting({ connections: { opens: { limit: 2, window: '10s' } } });
  const { port } = await serveWebSockets(t, protect);
  assert.deepEqual(await statuses(3, port), [101, 101, 503]);
  assert.equal((await attempt(port)).headers['retry-after'], '5');
  clock.advance('5s');
  assert.deepEqual(await statuses(2, port), [101, 503]);
});

test('a handshake that a cap refuses is not charged to the rate', async (t) => {
  const protect = protecting({ connections: { maxPerClient: 1 }, rateLimit: { limit: 5, window: '1h' } });
  const { port } = await serveWebSockets(t, protect);
  assert.deepEqual(await statuses(3, port), [101, 503, 503]);
  assert.equal(protect.guard.limiter.peek('127.0.0.1').remaining, 4);
});

test('a handshake that the rate refuses, that fails or whose server refuses it holds no session', async (t) => {
  const protect = protecting({ connections: { max: 9 }, rateLimit: { limit: 2, window: '1h' } });
  const { port } = await serveWebSockets(t, protect);
  assert.equal(await badHandshake(port), 400);
  await until(() => protect.sessions.count, 0);
  assert.deepEqual(await statuses(2, port), [101, 429]);
  assert.equal(protect.sessions.count, 1);
});

test('behind a proxy each client has its own caps, and a proxy that names none has no cap per client', async (t) => {
  const protect = protecting({ connections: { maxPerClient: 1 }, trustedProxies: ['127.0.0.100'] });
  const { port } = await serveWebSockets(t, protect);
  const by = (client) => ({ from: '127.0.0.100', headers: { 'x-forwarded-for': client } });
  assert.deepEqual(await statuses(2, port, by('203.0.113.1')), [101, 503]);
  assert.deepEqual(await statuses(1, port, by('203.0.113.2')), [101]);
  // One /64 network is one client.
  assert.deepEqual(await statuses(1, port, by('2001:db8::1')), [101]);
  assert.deepEqual(await statuses(1, port, by('2001:db8::2')), [503]);
  assert.deepEqual(await statuses(2, port, { from: '127.0.0.100' }), [101, 101]);
  // Not a proxy: its header is not read.
  assert.deepEqual(await statuses(2, port, { ...by('203.0.113.9'), from: '127.0.0.2' }), [101, 503]);
});

test('key names the client, from the request of the handshake', async (t) => {
  let calls = 0;
  const key = async ({ headers }) => {
    calls += 1;
    return headers['x-user'];
  };
  const protect = protecting({ key, connections: { maxPerClient: 1 } });
  const { port } = await serveWebSockets(t, protect);
  const as = (user, from) => ({ from, headers: { 'x-user': user } });
  assert.deepEqual(await statuses(1, port, as('ada', '127.0.0.1')), [101]);
  assert.deepEqual(await statuses(1, port, as('ada', '127.0.0.2')), [503]);
  assert.deepEqual(await statuses(1, port, as('bob', '127.0.0.1')), [101]);
  assert.deepEqual([calls, protect.sessions.countFor('ada')], [3, 1]);
  assert.deepEqual(await statuses(2, port, { from: '127.0.0.3' }), [101, 503]);
});

test('a banned client is answered with 403', async (t) => {
  const reputation = { maxFailures: 1, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
  const protect = protecting({ reputation, trustedProxies: ['127.0.0.100'] });
  const { port } = await serveWebSockets(t, protect);
  protect.guard.reputation.ban('203.0.113.1', { duration: '30s' });
  const by = (client) => ({ from: '127.0.0.100', headers: { 'x-forwarded-for': client } });
  const { status, headers } = await attempt(port, by('203.0.113.1'));
  assert.deepEqual([status, headers['retry-after']], [403, '30']);
  assert.deepEqual(await statuses(1, port, by('203.0.113.2')), [101]);
});

test('a guard of the same name in another adapter shares the rate and the metrics', async (t) => {
  const name = freshName();
  const guard = sluice.createGuard(name, { rateLimit: { limit: 3, window: '1h' } });
  const protect = protectWs({ name, messages: { limit: 5, window: '1h' } });
  const { port } = await serveWebSockets(t, protect);
  await guard.check({ socket: { remoteAddress: '127.0.0.1' }, headers: {} });
  assert.deepEqual(await statuses(3, port), [101, 101, 429]);
  const socket = await open(port, { from: '127.0.0.2' });
  socket.send('a');
  await until(() => socket.received.length, 2);
  assert.equal(protect.guard.stats().routes[`${name}:messages`].allowed, 1);
  assert.match(sluice.metrics({ guards: [guard] }), new RegExp(`"${name}:messages"`));
});

test('after a reset everything begins anew', async (t) => {
  const protect = protecting({
    rateLimit: { limit: 1, window: '1h' },
    connections: { max: 2 },
    messages: { limit: 2, window: '1h' },
    onLimit: 'drop',
  });
  const { port, seen } = await serveWebSockets(t, protect);
  const socket = await open(port);
  for (const message of ['a', 'b', 'c']) socket.send(message);
  await until(() => protect.messages.stats().refused, 1);
  testing.reset();
  assert.deepEqual(await statuses(2, port), [101, 429]);
  assert.equal(protect.sessions.count, 1);
  const again = await open(port, { from: '127.0.0.2' });
  again.send('d');
  await until(() => again.received.length, 2);
  assert.deepEqual([seen, protect.guard.stats().faults], [['a', 'b', 'd'], 0]);
});

test('skip exempts a handshake from the rate', async (t) => {
  const protect = protecting({ skip: ({ url }) => url === '/free', rateLimit: { limit: 1, window: '1h' } });
  const { port } = await serveWebSockets(t, protect);
  assert.deepEqual(await statuses(2, port, { path: '/free' }), [101, 101]);
  assert.deepEqual(await statuses(2, port), [101, 429]);
});

test('a dry run refuses nothing, and counts', async (t) => {
  const protect = protecting({
    dryRun: true,
    rateLimit: { limit: 1, window: '1h' },
    connections: { maxPerClient: 2 },
    messages: { limit: 1, window: '1h' },
  });
  const { port } = await serveWebSockets(t, protect);
  assert.deepEqual(await statuses(3, port), [101, 101, 101]);
  assert.equal(protect.guard.stats().dryRefused, 3);
  const socket = await open(port, { from: '127.0.0.2' });
  socket.send('a');
  socket.send('b');
  await until(() => socket.received.length, 3);
  assert.equal(protect.messages.stats().dryRefused, 1);
});

for (const [how, key] of [
  ['at once', () => 'k'],
  ['later', async () => 'k'],
]) {
  test(`an asynchronous context survives a decision that is made ${how}`, async (t) => {
    const storage = new AsyncLocalStorage();
    const sockets = protecting({ key })(new WebSocketServer({ noServer: true }));
    const server = http.createServer();
    const seen = [];
    server.on('upgrade', (req, socket, head) => {
      storage.run(req.url, () =>
        sockets.handleUpgrade(req, socket, head, (ws) => {
          seen.push(storage.getStore());
          ws.on(
            'message',
            AsyncLocalStorage.bind(() => seen.push(storage.getStore())),
          );
          ws.send('welcome');
        }),
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const socket = await open(server.address().port, { path: '/a' });
    socket.send('hello');
    await until(() => seen.length, 2);
    assert.deepEqual(seen, ['/a', '/a']);
    socket.close();
    await socket.closed;
  });
}

test('the request of a connection has the decision, and a server is protected once', async (t) => {
  const protect = protecting({ rateLimit: { limit: 5, window: '10s' } });
  const { port, sockets } = await serveWebSockets(t, protect);
  assert.equal(protect(sockets), sockets);
  const decided = once(sockets, 'connection');
  await open(port);
  const [, { sluice: decision }] = await decided;
  assert.deepEqual([decision.outcome, decision.decision.remaining], ['allowed', 4]);
});

test('a function that throws is answered with 500 and a warning, and holds no session', async (t) => {
  const warned = once(process, 'warning');
  const key = () => {
    throw new Error('no user');
  };
  const protect = protecting({ connections: { max: 9 }, key });
  const { port } = await serveWebSockets(t, protect);
  const { status, json } = await attempt(port);
  assert.deepEqual([status, json.title], [500, 'Internal Server Error']);
  const [{ code, message }] = await warned;
  assert.equal(code, 'SLUICE_FUNCTION_THREW');
  assert.match(message, /^A function given to sluice\/ws "ws-\d+" failed; .*: no user$/);
  assert.equal(protect.sessions.count, 0);
});

test('a destroyed part admits, and is counted as an internal error', async (t) => {
  const protect = protecting({ connections: { max: 1 } });
  const { port } = await serveWebSockets(t, protect);
  sluice.ConnectionTracker.destroy(`${protect.guard.name}:sockets`);
  assert.deepEqual(await statuses(2, port), [101, 101]);
  assert.equal(protect.guard.stats().faults, 2);
});

test('invalid options and servers', () => {
  const invalid = (options, message) =>
    assert.throws(() => protecting(options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
  invalid({ onLimit: 'wait' }, 'sluice/ws onLimit is "wait"; accepted: "close", "drop", or a function');
  const codes = '1008, 1013, or an integer from 4000 to 4999';
  for (const closeCode of [1000, 3999, 5000, 4000.5, '1008'])
    invalid({ closeCode }, new RegExp(`^sluice/ws closeCode is .*; accepted: ${codes}$`));
  invalid(
    { messages: 5 },
    'sluice/ws messages is 5; accepted: an object of options of a RateLimiter, or false',
  );
  invalid({ messages: { limit: 0, window: '1s' } }, /limit is 0/);
  invalid(
    { connections: { messages: { limit: 5, window: '1s' } } },
    'sluice/ws connections has no option "messages"; accepted: max, maxPerClient, opens, idleTimeout, scope, onMismatch',
  );
  invalid({ handler: () => {} }, /^sluice\/ws has no option "handler"; accepted: .*onLimit, closeCode$/);
  for (const server of [undefined, {}, http.createServer()])
    assert.throws(() => protecting()(server), {
      code: 'ERR_SLUICE_INVALID_VALUE',
      message: /; accepted: a WebSocketServer of ws$/,
    });
});
