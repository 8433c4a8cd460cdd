// sluice/ws: what the sockets of a client may send.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import sluice from '../../index.js';
import protectWs from '../../lib/ws.js';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';
import { open, serveWebSockets } from '../helpers/websockets.mjs';

const clock = stopClock();
const freshName = freshNames('ws-messages');
const protecting = (options) => protectWs({ name: freshName(), ...options });

test('the sockets of a client share its messages; beyond them a socket is closed with 1008', async (t) => {
  const protect = protecting({ messages: { limit: 3, window: '30s' } });
  const { port, seen } = await serveWebSockets(t, protect);
  const [first, second, other] = [
    await open(port),
    await open(port),
    await open(port, { from: '127.0.0.2' }),
  ];
  first.send('a');
  first.send('b');
  await until(() => seen.length, 2);
  second.send('c');
  second.send('d');
  second.send('e');
  assert.deepEqual(await second.closed, { code: 1008, reason: 'quota-exceeded; retry-after=10' });
  other.send('f');
  await until(() => seen.length, 4);
  assert.deepEqual(seen, ['a', 'b', 'c', 'f']);
  // What follows a refused message is not charged.
  const { allowed, refused } = protect.messages.stats();
  assert.deepEqual([allowed, refused], [4, 1]);
  clock.advance('10s');
  first.send('g');
  await until(() => seen.at(-1), 'g');
});

test('bytes are counted as they arrive: of UTF-8, of binary messages, and of every binaryType', async (t) => {
  const protect = protecting({ bytes: { limit: 1_000, window: '1h' } });
  const { port, sockets, seen } = await serveWebSockets(t, protect);
  const left = () => protect.bytes.peek('127.0.0.1').remaining;
  let expected = 1_000;
  for (const binaryType of ['nodebuffer', 'arraybuffer', 'fragments']) {
    const connected = once(sockets, 'connection');
    const socket = await open(port);
    (await connected)[0].binaryType = binaryType;
    for (const [message, bytes] of [
      ['ä€', 5],
      [Buffer.alloc(100), 100],
      ['', 0],
    ]) {
      const before = seen.length;
      socket.send(message);
      await until(() => seen.length, before + 1);
      expected -= bytes;
      assert.equal(left(), expected, `${binaryType}: ${bytes} bytes`);
    }
    socket.close();
  }
});

test('a message that is larger than the quota can ever hold is refused without a time to wait', async (t) => {
  const protect = protecting({ bytes: { limit: 10, window: '1m' } });
  const { port, seen } = await serveWebSockets(t, protect);
  const socket = await open(port);
  socket.send('x'.repeat(11));
  assert.deepEqual(await socket.closed, { code: 1008, reason: 'quota-exceeded' });
  assert.deepEqual(seen, []);
  assert.equal(protect.bytes.peek('127.0.0.1').remaining, 10);
});

test('a message is charged to both quotas or to neither', async (t) => {
  const quotas = { messages: { limit: 5, window: '1h' }, bytes: { limit: 10, window: '1h' } };
  const protect = protecting({ ...quotas, onLimit: 'drop' });
  const { port, seen } = await serveWebSockets(t, protect);
  const socket = await open(port);
  const left = () => [protect.messages, protect.bytes].map((limiter) => limiter.peek('127.0.0.1').remaining);
  for (const message of ['12345', 'too large', '123', '123']) socket.send(message);
  await until(() => protect.bytes.stats().refused, 2);
  assert.deepEqual(
    [seen, left()],
    [
      ['12345', '123'],
      [3, 2],
    ],
  );
  for (const message of ['', '', '', '', 'a']) socket.send(message);
  await until(() => protect.messages.stats().refused, 2);
  assert.deepEqual([seen.length, left()], [5, [0, 2]]);
});

test('drop leaves the socket open', async (t) => {
  const protect = protecting({ messages: { limit: 1, window: '10s' }, onLimit: 'drop' });
  const { port, seen } = await serveWebSockets(t, protect);
  const socket = await open(port);
  for (const message of ['a', 'b', 'c']) socket.send(message);
  await until(() => protect.messages.stats().refused, 2);
  clock.advance('10s');
  socket.send('d');
  await until(() => socket.received.length, 3);
  assert.deepEqual(seen, ['a', 'd']);
});

test('a function is given the socket, the refusal and the request, and may answer', async (t) => {
  const given = [];
  const onLimit = (socket, { reason, retryAfterMs, problem }, request) => {
    given.push([reason, retryAfterMs, problem.status, request.url]);
    socket.send('slow down');
  };
  const protect = protecting({ messages: { limit: 1, window: '10s' }, onLimit });
  const { port, seen } = await serveWebSockets(t, protect);
  const socket = await open(port, { path: '/chat' });
  for (const message of ['a', 'b']) socket.send(message);
  await until(() => socket.received.length, 3);
  assert.deepEqual(socket.received, ['welcome', 'a', 'slow down']);
  assert.deepEqual([given, seen], [[['quota', 10_000, 429, '/chat']], ['a']]);
});

for (const [how, onLimit] of [
  [
    'throws',
    () => {
      throw new Error('no answer');
    },
  ],
  ['rejects', async () => Promise.reject(new Error('no answer'))],
]) {
  test(`where the function ${how} the socket is closed, with a warning`, async (t) => {
    const protect = protecting({ messages: { limit: 1, window: '10s' }, onLimit });
    const { port } = await serveWebSockets(t, protect);
    const socket = await open(port);
    const warned = once(process, 'warning');
    for (const message of ['a', 'b']) socket.send(message);
    assert.equal((await socket.closed).code, 1008);
    const [{ code, message }] = await warned;
    assert.equal(code, 'SLUICE_ON_LIMIT');
    assert.match(
      message,
      /^onLimit of sluice\/ws "ws-messages-\d+" failed; such sockets are closed: no answer$/,
    );
  });
}

test('closeCode is sent for quotas', async (t) => {
  for (const closeCode of [1013, 4029]) {
    const protect = protecting({ messages: { limit: 1, window: '10s' }, closeCode });
    const { port } = await serveWebSockets(t, protect);
    const socket = await open(port);
    for (const message of ['a', 'b']) socket.send(message);
    assert.equal((await socket.closed).code, closeCode);
  }
});

test('the limit may be a function of the handshake, called once', async (t) => {
  let calls = 0;
  const limit = async ({ headers }) => {
    calls += 1;
    return Number(headers['x-plan']);
  };
  const protect = protecting({ messages: { limit, window: '1h' }, onLimit: 'drop' });
  const { port, seen } = await serveWebSockets(t, protect);
  for (const [from, plan] of [
    ['127.0.0.1', 2],
    ['127.0.0.2', 4],
  ]) {
    const socket = await open(port, { from, headers: { 'x-plan': String(plan) } });
    const refused = protect.messages.stats().refused + 6 - plan;
    for (let i = 0; i < 6; i++) socket.send('a');
    await until(() => protect.messages.stats().refused, refused);
  }
  assert.deepEqual([seen.length, calls], [6, 2]);
});

test('key names whose messages they are, and a skipped handshake is exempt', async (t) => {
  const protect = protecting({
    key: ({ headers }) => headers['x-user'],
    skip: ({ url }) => url === '/free',
    messages: { limit: 2, window: '1h' },
    onLimit: 'drop',
  });
  const { port, seen } = await serveWebSockets(t, protect);
  const as = { headers: { 'x-user': 'ada' } };
  const sockets = [await open(port, as), await open(port, { ...as, from: '127.0.0.2' })];
  for (const socket of sockets) for (const message of ['a', 'b']) socket.send(message);
  await until(() => protect.messages.stats().refused, 2);
  assert.equal(seen.length, 2);
  const free = await open(port, { ...as, path: '/free' });
  for (let i = 0; i < 5; i++) free.send('c');
  await until(() => seen.length, 7);
});

test('pings are charged as messages', async (t) => {
  const protect = protecting({ messages: { limit: 2, window: '10s' } });
  const { port } = await serveWebSockets(t, protect);
  const socket = await open(port);
  for (let i = 0; i < 3; i++) socket.ping();
  assert.equal((await socket.closed).code, 1008);
});

test('an open socket of a banned client is closed with its next message, whatever onLimit says', async (t) => {
  const reputation = { maxFailures: 1, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
  const protect = protecting({ reputation, onLimit: 'drop' });
  const { port, seen } = await serveWebSockets(t, protect);
  const [socket, other] = [await open(port), await open(port, { from: '127.0.0.2' })];
  protect.guard.reputation.ban('127.0.0.1', { duration: '30s' });
  socket.send('a');
  assert.deepEqual(await socket.closed, { code: 1008, reason: 'abnormal-usage-detected; retry-after=30' });
  other.send('b');
  await until(() => other.received.length, 2);
  assert.deepEqual(seen, ['b']);
  assert.equal(protect.guard.stats().refusedBy.ban, 1);
});

test('a session that any thread closes, or that is idle, closes its socket with 1001', async (t) => {
  const protect = protecting({ connections: { max: 9, idleTimeout: '10s' } });
  const { port } = await serveWebSockets(t, protect);
  const [closed, idle, busy] = [await open(port), await open(port), await open(port)];
  const [{ id }] = protect.sessions.list();
  assert.equal(new sluice.ConnectionTracker(protect.sessions.name).close(id), true);
  assert.deepEqual(await closed.closed, { code: 1001, reason: 'ended by the server' });
  clock.advance('6s');
  busy.send('a');
  await until(() => busy.received.length, 2);
  clock.advance('6s');
  assert.equal((await idle.closed).code, 1001);
  assert.equal(protect.sessions.count, 1);
  assert.equal(busy.readyState, busy.OPEN);
});

test('a destroyed quota admits, and is counted as an internal error', async (t) => {
  const protect = protecting({ messages: { limit: 1, window: '1h' } });
  const { port } = await serveWebSockets(t, protect);
  const socket = await open(port);
  sluice.RateLimiter.destroy(protect.messages.name);
  for (const message of ['a', 'b']) socket.send(message);
  await until(() => socket.received.length, 3);
  assert.equal(protect.guard.stats().faults, 2);
});
