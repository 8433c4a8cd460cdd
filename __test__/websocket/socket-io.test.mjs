// sluice/socket.io: handshakes over both transports, and what clients may send.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';
import { test } from 'node:test';
import { Server } from 'socket.io';
import protectSocketIo from '../../lib/socket.io.js';
import { ask } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { attempt, open, serveSocketIo } from '../helpers/socket-io.mjs';
import { until } from '../helpers/sockets.mjs';

const clock = stopClock();
const freshName = freshNames('socket-io');
const protecting = (options) => protectSocketIo({ name: freshName(), ...options });

const HANDSHAKE = '/socket.io/?EIO=4&transport=polling';
const polling = { transports: ['polling'] };

test('a handshake above the rate gets 429 over polling and over WebSockets', async (t) => {
  const protect = protecting({ rateLimit: { limit: 1, window: '10s' } });
  const { port } = await serveSocketIo(t, protect);
  await open(t, port);
  const { status, headers, json } = await ask(port, { path: HANDSHAKE });
  assert.deepEqual([status, headers['retry-after'], json.title], [429, '10', 'Quota Exceeded']);
  assert.equal(headers.ratelimit, `"${protect.guard.name}";r=0;t=10`);
  assert.equal(headers['content-type'], 'application/problem+json');
  assert.equal((await attempt(t, port)).refused, 'Unexpected server response: 429');
  await open(t, port, { from: '127.0.0.2' });
});

test('a connection counts once over both of its transports, until it ends', async (t) => {
  const protect = protecting({ connections: { maxPerClient: 2 } });
  const { port, io } = await serveSocketIo(t, protect);
  const upgraded = await open(t, port, { transports: ['polling', 'websocket'] });
  const polls = await open(t, port, polling);
  await until(() => upgraded.io.engine.transport.name, 'websocket');
  assert.equal(protect.sessions.count, 2);
  assert.equal((await attempt(t, port)).refused, 'Unexpected server response: 503');
  assert.equal(JSON.parse((await attempt(t, port, polling)).refused).status, 503);
  polls.disconnect();
  await until(() => protect.sessions.count, 1);
  upgraded.io.engine.close();
  await until(() => protect.sessions.count, 0);
  const [one] = [await open(t, port)];
  io.disconnectSockets(true);
  assert.equal(await one.ended, 'io server disconnect');
  await until(() => protect.sessions.count, 0);
});

test('only requests of an open session are no handshakes', async (t) => {
  const protect = protecting({ rateLimit: { limit: 3, window: '1h' }, connections: { max: 9 } });
  const { port, seen } = await serveSocketIo(t, protect);
  const client = await open(t, port, polling);
  for (let i = 0; i < 5; i++) client.send(String(i));
  await until(() => seen.length, 5);
  assert.equal(protect.guard.limiter.peek('127.0.0.1').remaining, 2);
  const { id } = client.io.engine;
  const pretended = [`${HANDSHAKE}&sid=none`, `${HANDSHAKE}&sid=${id}&sid=`, `${HANDSHAKE}&sid=none`];
  const statuses = [];
  for (const path of pretended) statuses.push((await ask(port, { path })).status);
  assert.deepEqual(statuses, [400, 200, 429]);
  assert.equal(protect.guard.limiter.peek('127.0.0.1').remaining, 0);
});

test('a handshake that the server itself refuses holds no session', async (t) => {
  const protect = protecting({ connections: { max: 9 } });
  const allowRequest = (_request, done) => done('not today', false);
  const { port } = await serveSocketIo(t, protect, { allowRequest });
  assert.match((await attempt(t, port, polling)).refused, /not today/);
  assert.equal((await attempt(t, port)).refused, 'Unexpected server response: 400');
  await until(() => protect.sessions.count, 0);
  assert.equal(protect.sessions.stats().opened, 2);
});

test('beyond the messages a client is told why, and disconnected; admitted ones are handled first', async (t) => {
  // Each connection begins with a message that connects it to its namespace.
  const protect = protecting({ messages: { limit: 3, window: '30s' } });
  const { port, seen } = await serveSocketIo(t, protect);
  const client = await open(t, port, polling);
  const acknowledged = client.emitWithAck('message', 'a');
  for (const text of ['b', 'c', 'd']) client.send(text);
  assert.equal(await acknowledged, 'done');
  assert.equal(await client.ended, 'io server disconnect');
  assert.deepEqual(seen, ['a', 'b']);
  assert.equal(client.told.length, 1);
  const [{ reason, retryAfterMs, problem }] = client.told;
  assert.deepEqual(
    [reason, retryAfterMs, problem.status, problem['violated-policies']],
    ['quota-exceeded; retry-after=10', 10_000, 429, [protect.messages.name]],
  );
  assert.deepEqual([protect.messages.stats().allowed, protect.messages.stats().refused], [3, 1]);
  clock.advance('20s');
  const again = await open(t, port);
  again.send('e');
  await until(() => seen.at(-1), 'e');
});

test('the namespaces of a connection share its quota, and a function is given their sockets', async (t) => {
  const given = [];
  const onLimit = (sockets, { reason }, connection) => {
    given.push([sockets.map(({ nsp }) => nsp.name).sort(), reason, connection.readyState]);
    for (const socket of sockets) socket.emit('message', 'slow down');
  };
  const protect = protecting({ messages: { limit: 3, window: '30s' }, onLimit });
  const { port, io, seen } = await serveSocketIo(t, protect);
  io.of('/admin').on('connection', (socket) => socket.on('message', (text) => seen.push(`admin ${text}`)));
  const client = await open(t, port);
  const admin = client.io.socket('/admin');
  await new Promise((resolve) => admin.once('connect', resolve));
  const told = new Promise((resolve) => admin.once('message', resolve));
  client.send('a');
  admin.send('b');
  assert.equal(await told, 'slow down');
  await until(() => client.received.length, 2);
  assert.deepEqual(client.received.sort(), ['a', 'slow down']);
  assert.deepEqual(given, [[['/', '/admin'], 'quota', 'open']]);
  assert.deepEqual(seen, ['a']);
  assert.equal(client.connected, true);
});

test('a message with attachments is one message, which passes or is dropped as a whole', async (t) => {
  const protect = protecting({ messages: { limit: 4, window: '10s' }, onLimit: 'drop' });
  const { port, seen } = await serveSocketIo(t, protect);
  const client = await open(t, port);
  const parts = (text) => ({ parts: [Buffer.from(text), Buffer.from(text)], text });
  for (const text of ['a', 'b', 'c', 'd', 'e']) client.send(parts(text));
  await until(() => protect.messages.stats().refused, 2);
  clock.advance('10s');
  client.send('f');
  await until(() => seen.length, 4);
  assert.deepEqual(seen, [...['a', 'b', 'c'].map(parts), 'f']);
  assert.equal(client.connected, true);
});

test('a message is dropped as a whole where the bytes of its attachments are too many', async (t) => {
  const protect = protecting({ bytes: { limit: 1_000, window: '1h' }, onLimit: 'drop' });
  const { port, seen } = await serveSocketIo(t, protect);
  const client = await open(t, port);
  const left = () => protect.bytes.peek('127.0.0.1').remaining;
  const head = '451-["message",{"_placeholder":true,"num":0}]'.length - 1;
  const before = left();
  client.send(Buffer.alloc(100));
  await until(() => seen.length, 1);
  assert.equal(left(), before - head - 100);
  client.send([Buffer.alloc(300), Buffer.alloc(900), Buffer.alloc(5)]);
  client.send('ok');
  await until(() => seen.length, 2);
  assert.deepEqual([seen[1], client.connected], ['ok', true]);
  assert.equal(protect.bytes.stats().refused, 1);
});

test('too many attachments are left to the decoder of Socket.IO, which disconnects', async (t) => {
  const protect = protecting({ messages: { limit: 100, window: '1h' } });
  const { port, io } = await serveSocketIo(t, protect);
  const client = await open(t, port);
  const gone = new Promise((resolve) => [...io.sockets.sockets.values()][0].once('disconnect', resolve));
  client.io.engine.send('5999999-["message"]');
  assert.equal(await gone, 'forced close');
});

test('bans refuse handshakes and polls, and close open connections with their next message', async (t) => {
  const reputation = { maxFailures: 1, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
  const protect = protecting({ reputation, trustedProxies: ['127.0.0.100'], onLimit: 'drop' });
  const { port, seen } = await serveSocketIo(t, protect);
  const by = (client) => ({ from: '127.0.0.100', headers: { 'x-forwarded-for': client } });
  const [client, other] = [await open(t, port, by('203.0.113.1')), await open(t, port, by('203.0.113.2'))];
  protect.guard.reputation.ban('203.0.113.1', { duration: '30s' });
  client.send('a');
  assert.equal(await client.ended, 'io server disconnect');
  assert.equal(client.told[0].reason, 'abnormal-usage-detected; retry-after=30');
  const sid = `&sid=${other.io.engine.id}`;
  for (const path of [HANDSHAKE, HANDSHAKE + sid]) {
    const { status, headers } = await ask(port, { path, ...by('203.0.113.1') });
    assert.deepEqual([status, headers['retry-after']], [403, '30']);
  }
  other.send('b');
  await until(() => other.received.length, 1);
  assert.deepEqual(seen, ['b']);
});

test('key, caps per user, and the decision on the request of the handshake', async (t) => {
  const key = async ({ headers }) => headers['x-user'];
  const protect = protecting({ key, connections: { maxPerClient: 1 } });
  const { port, io } = await serveSocketIo(t, protect);
  const as = (user) => ({ headers: { 'x-user': user } });
  await open(t, port, as('ada'));
  assert.equal((await attempt(t, port, as('ada'))).refused, 'Unexpected server response: 503');
  await open(t, port, as('bob'));
  const outcomes = [...io.sockets.sockets.values()].map(({ request }) => request.sluice.outcome);
  assert.deepEqual(outcomes, ['allowed', 'allowed']);
});

for (const transports of [['polling'], ['websocket']]) {
  test(`an asynchronous context survives the handshake over ${transports}`, async (t) => {
    const storage = new AsyncLocalStorage();
    const seen = [];
    const protect = protecting({ key: async () => 'k' });
    const { port, io } = await serveSocketIo(t, protect);
    const { httpServer: server, engine } = io;
    const { emit } = server;
    server.emit = (...args) => storage.run('request', () => emit.apply(server, args));
    engine.use((_request, _response, next) => {
      seen.push(storage.getStore());
      next();
    });
    engine.on('connection', () => seen.push(storage.getStore()));
    await open(t, port, { transports });
    assert.deepEqual(seen.slice(0, 2), ['request', 'request']);
  });
}

test('a server that is not attached, or none, is an error', () => {
  for (const server of [undefined, {}, new Server(), http.createServer()])
    assert.throws(() => protecting()(server), {
      code: 'ERR_SLUICE_INVALID_VALUE',
      message: /; accepted: a Server of socket\.io 4\.6 or later that is attached, or listens$/,
    });
  assert.throws(() => protecting({ closeCode: 1013 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
});
