// Connections in the listen queue when a shutdown begins. The system resets them with the listening socket unless they
// are accepted first: all of them get an answer, and those that are reset are counted.
import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import sluice from '../../index.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { crowd } from '../helpers/crowd.mjs';
import { freshName, runInAll, startPeers } from '../helpers/peer.mjs';
import { manualClock } from '../helpers/setup.mjs';
import { connect, listening, readAll, until } from '../helpers/sockets.mjs';

const { Lifecycle, createGuard } = sluice;

const host = '127.0.0.1';
const certificate = selfSigned();
const serve = (_req, res) => res.end('served');

/** In tests with handshakes the clock stands still, since a server waits for those in progress for five seconds only. */
const SERVERS = {
  http: () => http.createServer(serve),
  https: () => https.createServer(certificate, serve),
  h2c: () => http2.createServer(serve),
  h2: () => http2.createSecureServer(certificate, serve),
};

for (const [protocol, create] of Object.entries(SERVERS)) {
  const count = protocol === 'http' ? 200 : 60;

  test(`${protocol}: every connection in the listen queue gets an answer`, async (t) => {
    manualClock(t);
    const lifecycle = new Lifecycle(freshName()).ready();
    const server = create();
    lifecycle.attach(server);
    const port = await listening(t, server);
    const outcomes = crowd(t, { count, protocol, port });
    const { drained, forced, connectionsReset, connectionsClosed } = await lifecycle.shutdown();
    assert.deepEqual(await outcomes, { 503: count });
    assert.deepEqual(
      { drained, forced, connectionsReset, connectionsClosed },
      { drained: true, forced: 0, connectionsReset: 0, connectionsClosed: count },
    );
  });

  test(`${protocol}: guard.shutdown() serves every connection in the listen queue`, async (t) => {
    manualClock(t);
    const guard = createGuard(freshName(), { rateLimit: { limit: 1000, window: '1h' } });
    const server = create();
    guard.attach(server);
    const port = await listening(t, server);
    const outcomes = crowd(t, { count, protocol, port });
    assert.deepEqual(await guard.shutdown(), { drained: true, forced: 0 });
    assert.deepEqual(await outcomes, { 200: count });
  });
}

test('with a delay queued connections are served, and those that arrive at its end get 503', async (t) => {
  const clock = manualClock(t);
  const lifecycle = new Lifecycle(freshName()).ready();
  const server = http.createServer(serve);
  lifecycle.attach(server);
  const port = await listening(t, server);
  const early = crowd(t, { count: 100, port, as: 'thread' });
  const down = lifecycle.shutdown({ delay: '5s', timeout: '10s' });
  assert.deepEqual(await early, { 200: 100 });
  const late = crowd(t, { count: 100, port, as: 'thread' });
  clock.advance('5s');
  assert.deepEqual(await late, { 503: 100 });
  const { drained, connectionsReset } = await down;
  assert.deepEqual({ drained, connectionsReset }, { drained: true, connectionsReset: 0 });
});

test('threads that share a port answer every connection in its queue', async (t) => {
  const name = freshName();
  const lifecycle = new Lifecycle(name).ready();
  const peers = startPeers(t, 3);
  const open = async ({ load, require, state }, { name, port }) => {
    const { Lifecycle, listen } = load();
    state.lifecycle = new Lifecycle(name);
    state.server = require('node:http').createServer((_req, res) => res.end('served'));
    state.lifecycle.attach(state.server);
    return (await listen(state.server, { port, host: '127.0.0.1' })).port;
  };
  const port = await peers[0].run(open, { name, port: 0 });
  await runInAll(peers.slice(1), open, { name, port });
  const words = new Int32Array(new SharedArrayBuffer(8));
  const suspended = runInAll(
    peers,
    (_, words) => {
      Atomics.add(words, 0, 1);
      Atomics.wait(words, 1, 0);
    },
    words,
  );
  await until(() => words[0], 3);
  const outcomes = crowd(t, { count: 200, port, as: 'thread' });
  const down = lifecycle.shutdown();
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  await suspended;
  assert.deepEqual(await outcomes, { 503: 200 });
  const { drained, connectionsReset, connectionsClosed } = await down;
  assert.deepEqual(
    { drained, connectionsReset, connectionsClosed },
    { drained: true, connectionsReset: 0, connectionsClosed: 200 },
  );
});

/** Runs `during` after the last accept of Node and before the listening socket closes. */
function runDuringClose(server, during) {
  const { close } = server;
  server.close = function (...args) {
    server.close = close;
    during();
    return close.apply(this, args);
  };
}

for (const [protocol, create] of Object.entries(SERVERS)) {
  test(`${protocol}: every client that connects while the server closes gets an answer`, async (t) => {
    manualClock(t);
    const lifecycle = new Lifecycle(freshName()).ready();
    const server = create();
    lifecycle.attach(server);
    const port = await listening(t, server);
    let outcomes;
    runDuringClose(server, () => {
      outcomes = crowd(t, { count: 80, protocol, port, as: 'thread' });
    });
    const { drained, connectionsReset, connectionsClosed } = await lifecycle.shutdown();
    assert.deepEqual(await outcomes, { 503: 80 });
    assert.deepEqual(
      { drained, connectionsReset, connectionsClosed },
      { drained: true, connectionsReset: 0, connectionsClosed: 80 },
    );
    await assert.rejects(connect(t, { port, host }), { code: 'ECONNREFUSED' });
  });
}

test('connections in the listen queue at the deadline are reset and counted, and drained is false', async (t) => {
  const lifecycle = new Lifecycle(freshName()).ready();
  const server = http.createServer(serve);
  lifecycle.attach(server);
  const port = await listening(t, server);
  const outcomes = crowd(t, { count: 40, port });
  const report = await lifecycle.shutdown({ timeout: 0 });
  assert.deepEqual(await outcomes, { ECONNRESET: 40 });
  const { drained, forced, connectionsReset, perThread } = report;
  const expected = process.platform === 'linux' ? 40 : 1;
  assert.deepEqual(
    { drained, forced, connectionsReset },
    { drained: false, forced: 0, connectionsReset: expected },
  );
  assert.deepEqual([perThread[0].drained, perThread[0].connectionsReset], [false, expected]);
});

test('the last thread to close a shared port counts the connections that are reset', async (t) => {
  const name = freshName();
  const lifecycle = new Lifecycle(name).ready();
  const [peer] = startPeers(t, 1);
  const server = http.createServer(serve);
  lifecycle.attach(server);
  const { port } = await sluice.listen(server, { port: 0, host });
  const words = new Int32Array(new SharedArrayBuffer(8));
  await peer.run(
    async ({ load, require, state }, { name, port }) => {
      const { Lifecycle, listen } = load();
      state.lifecycle = new Lifecycle(name);
      state.server = require('node:http').createServer();
      state.lifecycle.attach(state.server);
      await listen(state.server, { port, host: '127.0.0.1' });
    },
    { name, port },
  );
  const suspended = peer.run((_, words) => {
    Atomics.store(words, 0, 1);
    Atomics.wait(words, 1, 0);
  }, words);
  await until(() => words[0], 1);
  const outcomes = crowd(t, { count: 40, port });
  const down = lifecycle.shutdown({ timeout: 0 });
  await until(() => server.listening, false);
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  await suspended;
  const { drained, connectionsReset, perThread } = await down;
  assert.deepEqual(await outcomes, { ECONNRESET: 40 });
  assert.deepEqual(
    [drained, perThread[0].connectionsReset],
    [false, 0],
    'another thread was still listening',
  );
  // A resumed thread may accept one connection before it handles the shutdown.
  const expected = process.platform === 'linux' ? [39, 40] : [1];
  assert.ok(expected.includes(connectionsReset), `${connectionsReset} reset`);
});

test('guard.shutdown() counts reset connections as forced', async (t) => {
  const guard = createGuard(freshName());
  const server = http.createServer(serve);
  guard.attach(server);
  const port = await listening(t, server);
  const outcomes = crowd(t, { count: 40, port });
  const expected = process.platform === 'linux' ? 40 : 1;
  assert.deepEqual(await guard.shutdown({ timeout: 0 }), { drained: false, forced: expected });
  assert.deepEqual(await outcomes, { ECONNRESET: 40 });
});

test('queued connections over a Unix socket, or with another protocol, are answered too', async (t) => {
  const lifecycle = new Lifecycle(freshName());
  const path = `/tmp/sluice-queue-${process.pid}.sock`;
  const server = http.createServer(serve);
  const echo = net.createServer((socket) => socket.resume().end('bye'));
  lifecycle.attach(server).attach(echo);
  await listening(t, server, { path });
  const port = await listening(t, echo);
  const clients = [];
  // The system accepts them before the next turn of this thread.
  for (let i = 0; i < 80; i++) clients.push(net.connect(path), net.connect(port, host));
  for (const client of clients) client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const down = lifecycle.shutdown();
  const texts = await Promise.all(clients.map(readAll));
  assert.equal(texts.filter((text) => text.startsWith('HTTP/1.1 503')).length, 80);
  assert.equal(texts.filter((text) => text === 'bye').length, 80);
  assert.equal((await down).drained, true);
});
