// Connections in the middle of a request head, a handshake, an HTTP/2 stream or an upload when a shutdown begins. The
// shutdown waits for them as for requests; those that never complete are answered after a limit and counted as forced.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { test as nodeTest } from 'node:test';
import tls from 'node:tls';
import sluice from '../../index.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { heldBack } from '../helpers/held-back.mjs';
import { keepAliveAgent, read } from '../helpers/http.mjs';
import { getRequest, opening, postBody, postHead, readFrames } from '../helpers/http2-bytes.mjs';
import { closeAsAnswered } from '../helpers/resets.mjs';
import { unreportedBytes } from '../helpers/runtimes.mjs';
import { freshNames, manualClock } from '../helpers/setup.mjs';
import { connect, listening, readAll, until } from '../helpers/sockets.mjs';

const { ConnectionTracker, Lifecycle, createGuard } = sluice;

const test = (title, run) => nodeTest(title, { skip: unreportedBytes }, run);
const freshName = freshNames('lifecycle-heads');
const host = '127.0.0.1';
const certificate = selfSigned();
const HEAD = 'GET /asked HTTP/1.1\r\nHost: a\r\n\r\n';
const [BEGIN, END] = [HEAD.slice(0, 12), HEAD.slice(12)];

/** The ways to close a server. Each resolves with `drained` and `forced`. */
const CLOSERS = {
  Lifecycle: (server) => {
    const lifecycle = new Lifecycle(freshName()).ready();
    lifecycle.attach(server);
    return (options) => lifecycle.shutdown(options).then(({ drained, forced }) => ({ drained, forced }));
  },
  'guard.shutdown()': (server) => {
    const guard = createGuard(freshName());
    guard.attach(server);
    return (options) => guard.shutdown(options);
  },
  'guard.shutdown() with bans': (server) => {
    const reputation = { maxFailures: 5, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
    const guard = createGuard(freshName(), { reputation });
    guard.attach(server);
    return (options) => guard.shutdown(options);
  },
};

const DRAINED = { drained: true, forced: 0 };
const FORCED = { drained: false, forced: 1 };

/**
 * A server and its closer. `bytesRead()` is the number of bytes read from all its connections. The clock stands still, so
 * that a slow client is not too late.
 */
async function startServer(
  t,
  closer,
  create = () => http.createServer((req, res) => res.end(`served ${req.url}`)),
) {
  const clock = manualClock(t);
  const server = create();
  const sockets = [];
  server.prependListener('connection', (socket) => sockets.push(socket));
  const close = CLOSERS[closer](server);
  const port = await listening(t, server);
  const bytesRead = () => sockets.reduce((sum, socket) => sum + (socket.bytesRead ?? 0), 0);
  return { clock, server, close, port, bytesRead };
}

/** Opens an idle connection. The returned function resolves when the shutdown has closed it. */
async function openIdle(t, port) {
  const idle = await connect(t, { port, host });
  idle.resume();
  return () => idle.gone;
}

for (const closer of Object.keys(CLOSERS)) {
  test(`${closer}: a partially received head is waited for and its request served`, async (t) => {
    const { close, port, bytesRead } = await startServer(t, closer);
    const fresh = await connect(t, { port, host });
    const used = await connect(t, { port, host });
    used.write(HEAD);
    await once(used, 'data');
    const pipelined = await connect(t, { port, host });
    pipelined.write(HEAD + BEGIN);
    await once(pipelined, 'data');
    const idleClosed = await openIdle(t, port);
    fresh.write(BEGIN);
    used.write(BEGIN);
    await until(bytesRead, 2 * HEAD.length + 3 * BEGIN.length);
    const down = close({ timeout: '20s' });
    await idleClosed();
    const answers = [fresh, used].map(readAll);
    // The beginning of its second head was read together with the first request, so it counts as idle.
    const last = readAll(pipelined);
    for (const socket of [fresh, used, pipelined]) socket.write(END);
    for (const answer of await Promise.all(answers)) {
      assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n[\s\S]*served \/asked$/i);
    }
    assert.match(await last, /^HTTP\/1\.1 (200|503) /);
    assert.deepEqual(await down, DRAINED);
  });

  test(`${closer}: a head that never completes gets 408 after five seconds and counts as forced`, async (t) => {
    const { clock, close, port, bytesRead } = await startServer(t, closer);
    const idleClosed = await openIdle(t, port);
    const socket = await connect(t, { port, host });
    socket.write(BEGIN);
    await until(bytesRead, BEGIN.length);
    const answer = readAll(socket);
    const down = close({ timeout: '20s' });
    await idleClosed();
    clock.advance(4_999);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(socket.destroyed, false);
    clock.advance(1);
    const text = await answer;
    assert.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*Connection: close\r\n/);
    assert.equal(JSON.parse(text.split('\r\n\r\n')[1]).status, 408);
    assert.deepEqual(await down, FORCED);
  });

  test(`${closer}: a head that never completes gets 408 at the deadline or after headersTimeout, if earlier`, async (t) => {
    for (const [headersTimeout, timeout] of [
      [60_000, '2s'],
      [2_000, '20s'],
    ]) {
      const { clock, close, port, bytesRead } = await startServer(t, closer, () =>
        http.createServer({ headersTimeout }),
      );
      const socket = await connect(t, { port, host });
      socket.write(BEGIN);
      await until(bytesRead, BEGIN.length);
      const idleClosed = await openIdle(t, port);
      const down = close({ timeout });
      await idleClosed();
      clock.advance('2s');
      assert.match(await readAll(socket), /^HTTP\/1\.1 408 /);
      assert.deepEqual(await down, FORCED);
    }
  });

  test(`${closer}: a TLS handshake in progress is waited for`, async (t) => {
    const create = () => https.createServer(certificate, (_req, res) => res.end('served'));
    const { close, port, bytesRead } = await startServer(t, closer, create);
    const relay = await heldBack(t, { port, bytes: 100 });
    const agent = new https.Agent({ rejectUnauthorized: false });
    const answer = read(https.get({ port: relay.port, host, agent }));
    await relay.arrived;
    await until(bytesRead, 100);
    const idleClosed = await openIdle(t, port);
    const down = close({ timeout: '20s' });
    await idleClosed();
    relay.release();
    assert.equal((await answer).status, closer === 'Lifecycle' ? 503 : 200);
    assert.deepEqual(await down, DRAINED);
  });

  test(`${closer}: a head over TLS is waited for, and answered when it never completes`, async (t) => {
    const create = () => https.createServer(certificate, (_req, res) => res.end('served'));
    const { clock, server, close, port } = await startServer(t, closer, create);
    const streams = [];
    server.on('secureConnection', (stream) => streams.push(stream));
    const open = async () => {
      const socket = tls.connect({ port, host, rejectUnauthorized: false });
      t.after(() => socket.destroy());
      await once(socket, 'secureConnect');
      socket.write(BEGIN);
      return socket;
    };
    const [completed, incomplete] = [await open(), await open()];
    await until(() => streams.reduce((sum, { bytesRead }) => sum + bytesRead, 0), 2 * BEGIN.length);
    const idleClosed = await openIdle(t, port);
    const down = close({ timeout: '20s' });
    await idleClosed();
    completed.write(END);
    assert.match(await readAll(completed), /^HTTP\/1\.1 200 /);
    clock.advance('5s');
    assert.match(await readAll(incomplete), /^HTTP\/1\.1 408 /);
    assert.deepEqual(await down, FORCED);
  });

  for (const create of [
    () => https.createServer(certificate),
    () => http2.createSecureServer(certificate),
    () => tls.createServer(certificate),
  ]) {
    test(`${closer}: a handshake that never completes is forced: ${create}`, async (t) => {
      const { clock, close, port, bytesRead } = await startServer(t, closer, create);
      const socket = await connect(t, { port, host });
      socket.write(Buffer.from([22, 3, 1]));
      await until(bytesRead, 3);
      const idleClosed = await openIdle(t, port);
      const down = close({ timeout: '20s' });
      await idleClosed();
      assert.equal(socket.destroyed, false);
      clock.advance('5s');
      assert.deepEqual(await down, FORCED);
      await socket.gone;
    });
  }

  test(`${closer}: an HTTP/2 stream with a partially received head or body is answered`, async (t) => {
    const create = () =>
      http2.createServer((req, res) => {
        req.resume().on('end', () => res.end('served'));
      });
    const { close, port, bytesRead } = await startServer(t, closer, create);
    const [head, body] = [await connect(t, { port, host }), await connect(t, { port, host })];
    head.write(Buffer.concat([opening, getRequest.subarray(0, 10)]));
    body.write(Buffer.concat([opening, postHead]));
    await until(bytesRead, 2 * opening.length + 10 + postHead.length);
    const idleClosed = await openIdle(t, port);
    const down = close({ timeout: '20s' });
    await idleClosed();
    const answers = [head, body].map(async (socket) => Buffer.concat(await socket.toArray()));
    head.write(getRequest.subarray(10));
    body.write(postBody);
    // Neither client answers a PING, so each closes the connection itself once it has its answer.
    for (const socket of [head, body]) socket.on('data', (chunk) => chunk.includes('served') && socket.end());
    for (const answer of await Promise.all(answers)) {
      const { isOk, text } = readFrames(answer);
      assert.deepEqual({ isOk, text }, { isOk: true, text: 'served' });
    }
    assert.deepEqual(await down, DRAINED);
  });

  test(`${closer}: an HTTP/2 head that never completes gets GOAWAY and counts as forced`, async (t) => {
    const { clock, close, port, bytesRead } = await startServer(t, closer, () => http2.createServer());
    const socket = await connect(t, { port, host });
    socket.write(Buffer.concat([opening, getRequest.subarray(0, 10)]));
    await until(bytesRead, opening.length + 10);
    const idleClosed = await openIdle(t, port);
    const down = close({ timeout: '20s' });
    await idleClosed();
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    clock.advance('5s');
    await until(() => readFrames(Buffer.concat(chunks)).isGoaway, true);
    // A guard does not know whether other streams are open, and waits until the deadline.
    clock.advance('15s');
    assert.deepEqual(await down, FORCED);
    await socket.gone;
  });

  test(`${closer}: an HTTP/2 head that never completes gets GOAWAY at the deadline, if earlier`, async (t) => {
    const { clock, close, port, bytesRead } = await startServer(t, closer, () => http2.createServer());
    const socket = await connect(t, { port, host });
    socket.write(Buffer.concat([opening, getRequest.subarray(0, 10)]));
    await until(bytesRead, opening.length + 10);
    const received = socket.toArray();
    const down = close({ timeout: '2s' });
    clock.advance('2s');
    assert.deepEqual(await down, FORCED);
    assert.equal(readFrames(Buffer.concat(await received)).isGoaway, true);
  });

  test(`${closer}: a request that arrives on an idle connection just after the shutdown began is answered`, async (t) => {
    const { server, close, port } = await startServer(t, closer);
    const agent = keepAliveAgent(t);
    await read(http.get({ port, host, agent }));
    const down = close({ timeout: '20s' });
    await until(() => server.listening, false);
    const { status, headers } = await read(http.get({ port, host, agent }));
    assert.deepEqual([status, headers.connection], [closer === 'Lifecycle' ? 503 : 200, 'close']);
    assert.deepEqual(await down, DRAINED);
  });

  test(`${closer}: an idle HTTP/2 session ends, and answers requests that arrive just after the shutdown began`, async (t) => {
    const { server, close, port } = await startServer(t, closer, () =>
      http2.createServer((_req, res) => res.end('served')),
    );
    const sessions = [http2.connect(`http://${host}:${port}`), http2.connect(`http://${host}:${port}`)];
    t.after(() => sessions.map((session) => session.destroy()));
    const ended = sessions.map((session) => once(session, 'close'));
    const status = async (session) => {
      const [headers] = await once(session.request({ ':path': '/' }).resume(), 'response');
      return headers[':status'];
    };
    for (const session of sessions) assert.equal(await status(session), 200);
    const down = close({ timeout: '20s' });
    await until(() => server.listening, false);
    assert.ok([200, 503].includes(await status(sessions[0])));
    await Promise.all(ended);
    assert.deepEqual(await down, DRAINED);
  });

  test(`${closer}: a stream that its client closed just as it was answered is not waited for`, async (t) => {
    const { server, close, port } = await startServer(t, closer, () => http2.createServer());
    const session = http2.connect(`http://${host}:${port}`);
    t.after(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {}).resume();
    const [, res] = await once(server, 'request');
    await closeAsAnswered(stream, () => res.end('served'));
    assert.deepEqual(await close({ timeout: '20s' }), DRAINED);
  });
}

test('requests and upgrades whose head completes after the server has stopped get 503', async (t) => {
  const { server, close, port, bytesRead } = await startServer(t, 'Lifecycle');
  server.on('upgrade', assert.fail);
  const [late, upgrade] = [await connect(t, { port, host }), await connect(t, { port, host })];
  const handshake = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
  upgrade.write(handshake.slice(0, 30));
  await until(bytesRead, 30);
  const down = close({ timeout: '20s' });
  await until(() => server.listening, false);
  late.write(BEGIN);
  await until(bytesRead, 30 + BEGIN.length);
  late.write(END);
  upgrade.write(handshake.slice(30));
  for (const answer of await Promise.all([late, upgrade].map(readAll)))
    assert.match(answer, /^HTTP\/1\.1 503 /);
  assert.deepEqual(await down, DRAINED);
});

test('an upload that has been answered counts as idle', async (t) => {
  const create = () => http.createServer((_req, res) => res.end('enough'));
  const { close, port, bytesRead } = await startServer(t, 'Lifecycle', create);
  const socket = await connect(t, { port, host });
  const upload = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf';
  socket.write(upload);
  await once(socket, 'data');
  socket.write('more');
  await until(bytesRead, upload.length + 4);
  const down = close({ timeout: '20s' });
  await socket.gone;
  assert.deepEqual(await down, DRAINED);
});

test('on a TLS server the connection belongs to the application once the handshake is complete', async (t) => {
  const { clock, server, close, port } = await startServer(t, 'Lifecycle', () =>
    tls.createServer(certificate),
  );
  const streams = [];
  server.on('secureConnection', (stream) => streams.push(stream));
  const socket = tls.connect({ port, host, rejectUnauthorized: false });
  t.after(() => socket.destroy());
  await until(() => streams.length, 1);
  const idleClosed = await openIdle(t, port);
  const down = close({ timeout: '20s' });
  await idleClosed();
  clock.advance('19s');
  streams[0].write('still here');
  assert.equal(String((await once(socket, 'data'))[0]), 'still here');
  clock.advance('1s');
  assert.deepEqual(await down, FORCED);
});

for (const [title, create, open] of [
  ['http', () => http.createServer(), (port) => net.connect(port, host)],
  [
    'https',
    () => https.createServer(certificate),
    (port) => tls.connect({ port, host, rejectUnauthorized: false }),
  ],
]) {
  test(`closeIdle, ${title}: a connection is busy from the first byte of a request`, async (t) => {
    const clock = manualClock(t);
    const tracker = new ConnectionTracker(freshName(), {});
    const server = create().on('request', (_req, res) => res.end('served'));
    const streams = [];
    server.on(title === 'http' ? 'connection' : 'secureConnection', (stream) => streams.push(stream));
    tracker.attach(server);
    const port = await listening(t, server);
    const socket = open(port);
    t.after(() => socket.destroy());
    socket.write(HEAD);
    await once(socket, 'data');
    socket.write(BEGIN);
    await until(() => streams[0].bytesRead, HEAD.length + BEGIN.length);
    for (let i = 0; i < 2; i++) {
      clock.advance('1h');
      tracker.closeIdle('30m');
      tracker.closeIdle();
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
    socket.write(END);
    assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /);
    const gone = once(socket, 'close');
    clock.advance('1h');
    tracker.closeIdle('30m');
    await gone;
    assert.equal(tracker.count, 0);
  });
}
