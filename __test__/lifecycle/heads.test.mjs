// What is under way when a shutdown begins: heads of requests that are half received, handshakes, streams, uploads. They are
// waited for as requests are; what never comes to its end is answered in time, and counted.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { heldBack } from '../helpers/held-back.mjs';
import { read } from '../helpers/http.mjs';
import { getRequest, opening, postBody, postHead, readFrames } from '../helpers/http2-bytes.mjs';
import { freshNames } from '../helpers/setup.mjs';
import { connect, listening, readAll, until } from '../helpers/sockets.mjs';

const { ConnectionTracker, Lifecycle, createGuard } = sluice;

const freshName = freshNames('lifecycle-heads');
const host = '127.0.0.1';
const certificate = selfSigned();
const HEAD = 'GET /asked HTTP/1.1\r\nHost: a\r\n\r\n';
const [BEGIN, END] = [HEAD.slice(0, 12), HEAD.slice(12)];

/** What closes a server: `report` has `drained` and `forced`. */
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

function stoppedClock(t) {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  return clock;
}

/** A server and its closer; `seen()` is how many bytes it has read of its connections. */
async function stage(
  t,
  closer,
  create = () => http.createServer((req, res) => res.end(`served ${req.url}`)),
) {
  const server = create();
  const sockets = [];
  server.prependListener('connection', (socket) => sockets.push(socket));
  const close = CLOSERS[closer](server);
  const port = await listening(t, server);
  const seen = () => sockets.reduce((sum, { bytesRead }) => sum + (bytesRead ?? 0), 0);
  return { server, close, port, seen };
}

/** Settles when connections that sent nothing have been closed. */
async function idleClosed(t, port) {
  const silent = await connect(t, { port, host });
  silent.resume();
  return () => silent.gone;
}

for (const closer of Object.keys(CLOSERS)) {
  test(`${closer}: a head that is half received is waited for, and the request served`, async (t) => {
    const { close, port, seen } = await stage(t, closer);
    const fresh = await connect(t, { port, host });
    const used = await connect(t, { port, host });
    used.write(HEAD);
    await once(used, 'data');
    const pipelined = await connect(t, { port, host });
    pipelined.write(HEAD + BEGIN);
    await once(pipelined, 'data');
    const others = await idleClosed(t, port);
    fresh.write(BEGIN);
    used.write(BEGIN);
    await until(seen, 2 * HEAD.length + 3 * BEGIN.length);
    const down = close({ timeout: '20s' });
    await others();
    const answers = [fresh, used].map(readAll);
    // What it came with was read as a whole; by its bytes it is idle.
    const last = readAll(pipelined);
    for (const socket of [fresh, used, pipelined]) socket.write(END);
    for (const answer of await Promise.all(answers)) {
      assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n[\s\S]*served \/asked$/i);
    }
    assert.match(await last, /^HTTP\/1\.1 (200|503) /);
    assert.deepEqual(await down, DRAINED);
  });

  test(`${closer}: a head that never ends gets 408 after five seconds, and is forced`, async (t) => {
    const clock = stoppedClock(t);
    const { close, port, seen } = await stage(t, closer);
    const others = await idleClosed(t, port);
    const socket = await connect(t, { port, host });
    socket.write(BEGIN);
    await until(seen, BEGIN.length);
    const answer = readAll(socket);
    const down = close({ timeout: '20s' });
    await others();
    clock.advance(4_999);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(socket.destroyed, false);
    clock.advance(1);
    const text = await answer;
    assert.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*Connection: close\r\n/);
    assert.equal(JSON.parse(text.split('\r\n\r\n')[1]).status, 408);
    assert.deepEqual(await down, FORCED);
  });

  test(`${closer}: or at the deadline, or as long as the server waits for heads`, async (t) => {
    const clock = stoppedClock(t);
    for (const [headersTimeout, timeout] of [
      [60_000, '2s'],
      [2_000, '20s'],
    ]) {
      const { close, port, seen } = await stage(t, closer, () => http.createServer({ headersTimeout }));
      const socket = await connect(t, { port, host });
      socket.write(BEGIN);
      await until(seen, BEGIN.length);
      const down = close({ timeout });
      // The look that finds it comes before the clock is moved.
      await new Promise((resolve) => setTimeout(resolve, 30));
      clock.advance('2s');
      assert.match(await readAll(socket), /^HTTP\/1\.1 408 /);
      assert.deepEqual(await down, FORCED);
    }
  });

  test(`${closer}: a TLS handshake under way is waited for`, async (t) => {
    const create = () => https.createServer(certificate, (_req, res) => res.end('served'));
    const { close, port, seen } = await stage(t, closer, create);
    const relay = await heldBack(t, { port, bytes: 100 });
    const agent = new https.Agent({ rejectUnauthorized: false });
    const answer = read(https.get({ port: relay.port, host, agent }));
    await relay.arrived;
    await until(seen, 100);
    const others = await idleClosed(t, port);
    const down = close({ timeout: '20s' });
    await others();
    relay.release();
    assert.equal((await answer).status, closer === 'Lifecycle' ? 503 : 200);
    assert.deepEqual(await down, DRAINED);
  });

  test(`${closer}: a head within TLS is waited for, and answered when it never ends`, async (t) => {
    const clock = stoppedClock(t);
    const create = () => https.createServer(certificate, (_req, res) => res.end('served'));
    const { server, close, port } = await stage(t, closer, create);
    const streams = [];
    server.on('secureConnection', (stream) => streams.push(stream));
    const open = async () => {
      const socket = tls.connect({ port, host, rejectUnauthorized: false });
      t.after(() => socket.destroy());
      await once(socket, 'secureConnect');
      socket.write(BEGIN);
      return socket;
    };
    const [ends, never] = [await open(), await open()];
    await until(() => streams.reduce((sum, { bytesRead }) => sum + bytesRead, 0), 2 * BEGIN.length);
    const others = await idleClosed(t, port);
    const down = close({ timeout: '20s' });
    await others();
    ends.write(END);
    assert.match(await readAll(ends), /^HTTP\/1\.1 200 /);
    clock.advance('5s');
    assert.match(await readAll(never), /^HTTP\/1\.1 408 /);
    assert.deepEqual(await down, FORCED);
  });

  for (const create of [
    () => https.createServer(certificate),
    () => http2.createSecureServer(certificate),
    () => tls.createServer(certificate),
  ]) {
    test(`${closer}: a handshake that never ends is forced: ${create}`, async (t) => {
      const clock = stoppedClock(t);
      const { close, port, seen } = await stage(t, closer, create);
      const socket = await connect(t, { port, host });
      socket.write(Buffer.from([22, 3, 1]));
      await until(seen, 3);
      const others = await idleClosed(t, port);
      const down = close({ timeout: '20s' });
      await others();
      assert.equal(socket.destroyed, false);
      clock.advance('5s');
      assert.deepEqual(await down, FORCED);
      await socket.gone;
    });
  }

  test(`${closer}: a stream of HTTP/2 whose head or body is half received is answered`, async (t) => {
    const create = () =>
      http2.createServer((req, res) => {
        req.resume().on('end', () => res.end('served'));
      });
    const { close, port, seen } = await stage(t, closer, create);
    const [head, body] = [await connect(t, { port, host }), await connect(t, { port, host })];
    head.write(Buffer.concat([opening, getRequest.subarray(0, 10)]));
    body.write(Buffer.concat([opening, postHead]));
    await until(seen, 2 * opening.length + 10 + postHead.length);
    const others = await idleClosed(t, port);
    const down = close({ timeout: '20s' });
    await others();
    const answers = [head, body].map(async (socket) => Buffer.concat(await socket.toArray()));
    head.write(getRequest.subarray(10));
    body.write(postBody);
    // Neither answers a PING, so they are told at the end of their patience, and end the connection themselves.
    for (const socket of [head, body]) socket.on('data', (chunk) => chunk.includes('served') && socket.end());
    for (const answer of await Promise.all(answers)) {
      const { isOk, text } = readFrames(answer);
      assert.deepEqual({ isOk, text }, { isOk: true, text: 'served' });
    }
    assert.deepEqual(await down, DRAINED);
  });

  test(`${closer}: a head of HTTP/2 that never ends gets GOAWAY, and is forced`, async (t) => {
    const clock = stoppedClock(t);
    const { close, port, seen } = await stage(t, closer, () => http2.createServer());
    const socket = await connect(t, { port, host });
    socket.write(Buffer.concat([opening, getRequest.subarray(0, 10)]));
    await until(seen, opening.length + 10);
    const others = await idleClosed(t, port);
    const down = close({ timeout: '20s' });
    await others();
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    clock.advance('5s');
    await until(() => readFrames(Buffer.concat(chunks)).isGoodbye, true);
    // Whether other streams of it are open, a guard does not know: it waits for them.
    clock.advance('15s');
    assert.deepEqual(await down, FORCED);
    await socket.gone;
  });

  test(`${closer}: and at the deadline, where that comes first`, async (t) => {
    const clock = stoppedClock(t);
    const { close, port, seen } = await stage(t, closer, () => http2.createServer());
    const socket = await connect(t, { port, host });
    socket.write(Buffer.concat([opening, getRequest.subarray(0, 10)]));
    await until(seen, opening.length + 10);
    const everything = socket.toArray();
    const down = close({ timeout: '2s' });
    clock.advance('2s');
    assert.deepEqual(await down, FORCED);
    assert.equal(readFrames(Buffer.concat(await everything)).isGoodbye, true);
  });

  test(`${closer}: requests on idle connections are answered that come just after`, async (t) => {
    const { server, close, port } = await stage(t, closer);
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    await read(http.get({ port, host, agent }));
    const down = close({ timeout: '20s' });
    await until(() => server.listening, false);
    const { status, headers } = await read(http.get({ port, host, agent }));
    assert.deepEqual([status, headers.connection], [closer === 'Lifecycle' ? 503 : 200, 'close']);
    assert.deepEqual(await down, DRAINED);
  });

  test(`${closer}: a session of HTTP/2 that is idle ends, and answers what comes just after`, async (t) => {
    const { server, close, port } = await stage(t, closer, () =>
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
}

test('a head that begins after the server has stopped is refused, one of an upgrade too', async (t) => {
  const { server, close, port, seen } = await stage(t, 'Lifecycle');
  server.on('upgrade', assert.fail);
  const [late, upgrade] = [await connect(t, { port, host }), await connect(t, { port, host })];
  const handshake = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
  upgrade.write(handshake.slice(0, 30));
  await until(seen, 30);
  const down = close({ timeout: '20s' });
  await until(() => server.listening, false);
  late.write(BEGIN);
  await until(seen, 30 + BEGIN.length);
  late.write(END);
  upgrade.write(handshake.slice(30));
  for (const answer of await Promise.all([late, upgrade].map(readAll)))
    assert.match(answer, /^HTTP\/1\.1 503 /);
  assert.deepEqual(await down, DRAINED);
});

test('an upload whose answer has come is no head, and ends as what is idle', async (t) => {
  const create = () => http.createServer((_req, res) => res.end('enough'));
  const { close, port, seen } = await stage(t, 'Lifecycle', create);
  const socket = await connect(t, { port, host });
  const upload = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf';
  socket.write(upload);
  await once(socket, 'data');
  socket.write('more');
  await until(seen, upload.length + 4);
  const down = close({ timeout: '20s' });
  await socket.gone;
  assert.deepEqual(await down, DRAINED);
});

test('a handshake of an application`s own protocol is ours, what follows is the application`s', async (t) => {
  const clock = stoppedClock(t);
  const { server, close, port } = await stage(t, 'Lifecycle', () => tls.createServer(certificate));
  const streams = [];
  server.on('secureConnection', (stream) => streams.push(stream));
  const socket = tls.connect({ port, host, rejectUnauthorized: false });
  t.after(() => socket.destroy());
  await until(() => streams.length, 1);
  const others = await idleClosed(t, port);
  const down = close({ timeout: '20s' });
  await others();
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
    const clock = stoppedClock(t);
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
    for (let look = 0; look < 2; look++) {
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
