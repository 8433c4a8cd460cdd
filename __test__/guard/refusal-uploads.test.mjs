// A client that is refused while it sends a body receives the answer; the server reads a bounded part of the body.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { describe, test } from 'node:test';
import { getRequestListener } from '@hono/node-server';
import express5 from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import sluice from '../../index.js';
import { selfSigned } from '../helpers/certificate.mjs';
import { openStreams } from '../helpers/runtimes.mjs';
import { freshNames } from '../helpers/setup.mjs';
import { listening, until } from '../helpers/sockets.mjs';

const { ConnectionTracker, createGuard } = sluice;

const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const ONCE = { limit: 1, window: '1h' };
const BODY = Buffer.alloc(5_000_000, 'x');
/** Bodies are written in chunks, so that most writes come after the refusal. */
const CHUNK = 100_000;
const UPLOADS = 12;
/** A busy machine may stop this process for longer than the 2 s of the default. */
const PATIENT = { timeout: '1m' };

const freshName = freshNames('refusal-uploads');

/** A guarded listener in each framework. None of them reads the body. */
const LISTENERS = {
  'plain http': async (guard) => (req, res) => {
    const decision = guard.check(req, res);
    if (decision.allowed) res.end('served');
    else res.writeHead(decision.status, decision.headers).end(decision.body);
  },
  'Express 4': async (guard) => express4().use(guard.express(), (_req, res) => res.end('served')),
  'Express 5': async (guard) => express5().use(guard.express(), (_req, res) => res.end('served')),
  'a listener of http': async (guard) => guard.http()((_req, res) => res.end('served')),
  'Koa 3': async (guard) => {
    const app = new Koa();
    // A client that has disconnected is no error of the application.
    app.silent = true;
    app.use(guard.koa());
    app.use((ctx) => {
      ctx.body = 'served';
    });
    return app.callback();
  },
  'Hono 4': async (guard) => {
    const app = new Hono();
    app.use(guard.hono());
    app.all('/', (c) => c.text('served'));
    return getRequestListener(app.fetch);
  },
};

async function serveFastify(t, guard) {
  const app = Fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  await app.register(guard.fastify);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.all('/', async () => 'served');
  await app.listen({ port: 0, host: '127.0.0.1' });
  return { server: app.server, port: app.server.address().port };
}

async function serveListener(t, listener, createServer = http.createServer) {
  const server = createServer(listener);
  return { server, port: await listening(t, server) };
}

const FRAMEWORKS = {
  ...Object.fromEntries(
    Object.entries(LISTENERS).map(([name, make]) => [
      name,
      async (t, guard) => serveListener(t, await make(guard)),
    ]),
  ),
  'Fastify 5': serveFastify,
};

/** Writes the complete body before it reads the answer. Resolves with the status line, or the code of the error. */
function upload(port, { body = BODY, headers = ['Connection: close'], from = '127.0.0.1' } = {}) {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: from });
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', (error) => resolve(error.code));
    socket.on('close', () => resolve(text.split('\r\n', 1)[0]));
    const head = ['POST / HTTP/1.1', 'Host: localhost', `Content-Length: ${body.length}`, ...headers];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    let sent = 0;
    const write = () => {
      while (sent < body.length && !socket.destroyed && socket.write(body.subarray(sent, sent + CHUNK)))
        sent += CHUNK;
      sent += CHUNK;
    };
    socket.on('drain', write);
    write();
  });
}

/** Like `upload`, with http.request. Resolves with the status and all error codes. */
async function uploadByRequest(port) {
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false });
  const seen = [];
  const gone = closed(request);
  request.on('error', ({ code }) => seen.push(code));
  request.on('response', (response) => seen.push(response.resume().statusCode));
  request.setHeader('Content-Length', BODY.length);
  for (let sent = 0; sent < BODY.length && !request.destroyed; sent += CHUNK) {
    request.write(BODY.subarray(sent, sent + CHUNK));
    await new Promise(setImmediate);
  }
  request.end();
  await gone;
  return seen.join(' ');
}

async function uploads(count, port, options, send = upload) {
  const answers = [];
  for (let i = 0; i < count; i++) answers.push(await send(port, options));
  return answers;
}

function repeat(line, count = UPLOADS) {
  return Array(count).fill(line);
}

for (const [framework, start] of Object.entries(FRAMEWORKS)) {
  describe(framework, () => {
    test('every uploading client receives its 429', async (t) => {
      const guard = createGuard(freshName(), { rateLimit: ONCE, refusedBody: PATIENT });
      const { port } = await start(t, guard);
      guard.limiter.penalize('127.0.0.1');
      assert.deepEqual(await uploads(UPLOADS, port), repeat('HTTP/1.1 429 Too Many Requests'));
      assert.deepEqual(await uploads(UPLOADS, port, {}, uploadByRequest), repeat('429'));
    });

    test('every uploading client receives its 403, on a connection accepted before the ban', async (t) => {
      const guard = createGuard(freshName(), { reputation: BANS, refusedBody: PATIENT });
      const { server, port } = await start(t, guard);
      server.on('connection', () => guard.reputation.ban('127.0.0.1', { duration: '1h' }));
      for (let i = 0; i < UPLOADS; i++) {
        guard.reputation.unban('127.0.0.1');
        assert.equal(await upload(port), 'HTTP/1.1 403 Forbidden');
      }
      assert.equal(guard.stats().refusedBy.ban, UPLOADS);
    });

    test('every uploading client receives its 403 or 503 at accept', async (t) => {
      const options = { reputation: BANS, connections: { max: 1 }, refusedBody: PATIENT };
      const guard = createGuard(freshName(), options);
      const { server, port } = await start(t, guard);
      guard.attach(server);
      const held = guard.tracker.tryOpen('192.0.2.1');
      assert.deepEqual(await uploads(UPLOADS, port), repeat('HTTP/1.1 503 Service Unavailable'));
      assert.deepEqual(await uploads(UPLOADS, port, {}, uploadByRequest), repeat('503'));
      held.close();
      guard.reputation.ban('127.0.0.1', { duration: '1h' });
      assert.deepEqual(await uploads(UPLOADS, port), repeat('HTTP/1.1 403 Forbidden'));
      assert.deepEqual(await uploads(UPLOADS, port, {}, uploadByRequest), repeat('403'));
      assert.equal(guard.stats().connections.opened, 1);
    });

    test('a request with Expect: 100-continue gets the refusal without 100 Continue', async (t) => {
      const guard = createGuard(freshName(), {
        rateLimit: { limit: 2, window: '1h' },
        refusedBody: PATIENT,
      });
      const { server, port } = await start(t, guard);
      guard.attach(server);
      assert.deepEqual(await expectContinue(port, ''), ['HTTP/1.1 200 OK']);
      guard.limiter.penalize('127.0.0.1');
      assert.deepEqual(await expectContinue(port, ''), ['HTTP/1.1 429 Too Many Requests']);
      assert.deepEqual(await uploads(3, port, { headers: ['Expect: 100-continue'] }), [
        ...repeat('HTTP/1.1 429 Too Many Requests', 3),
      ]);
    });
  });
}

/** The status lines of all answers to a request with Expect: 100-continue. Sends `body` after 100 Continue. */
async function expectContinue(port, body, length = 10) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
    if (text === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write(body);
  });
  socket.write(
    `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`,
  );
  await once(socket, 'close');
  return text.match(/HTTP\/1\.1 \d+ [\w ]+/g);
}

describe('Expect: 100-continue', () => {
  test('is answered with 100 Continue once the body is read', async (t) => {
    const guard = createGuard(freshName(), {});
    const app = express5();
    app.use(guard.express(), express5.raw({ type: () => true }), (req, res) => res.send(req.body));
    const { server, port } = await serveListener(t, app);
    guard.attach(server);
    assert.deepEqual(await expectContinue(port, '0123456789'), ['HTTP/1.1 100 Continue', 'HTTP/1.1 200 OK']);
  });

  test('is left to a checkContinue listener of the application', async (t) => {
    const guard = createGuard(freshName(), {});
    const { server, port } = await serveListener(t, (_req, res) => res.end('request'));
    guard.attach(server);
    server.on('checkContinue', (_req, res) => res.writeHead(417).end());
    assert.deepEqual(await expectContinue(port, ''), ['HTTP/1.1 417 Expectation Failed']);
  });

  test('is handled on an Express server after its first request, without attach', async (t) => {
    const guard = createGuard(freshName(), { rateLimit: ONCE });
    const { port } = await FRAMEWORKS['Express 5'](t, guard);
    assert.equal((await upload(port, { body: Buffer.alloc(1) })).slice(0, 12), 'HTTP/1.1 200');
    assert.deepEqual(await expectContinue(port, ''), ['HTTP/1.1 429 Too Many Requests']);
  });
});

/** Resolves on close, also after an error. */
function closed(socket) {
  return new Promise((resolve) => socket.once('close', resolve));
}

describe('bounds', () => {
  /** Sends until the connection closes. Resolves with the number of bytes that the server read, and the status line. */
  async function sendForever(server, port) {
    const [[accepted], socket] = await Promise.all([
      once(server, 'connection'),
      net.connect({ port, host: '127.0.0.1' }),
    ]);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000), Buffer.from('\r\n')]);
    const write = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', write);
    write();
    if (!accepted.destroyed) await once(accepted, 'close');
    return { bytes: accepted.bytesRead, line: text.split('\r\n', 1)[0] };
  }

  const refusing = async (t, refusedBody) => {
    const guard = createGuard(freshName(), {
      rateLimit: ONCE,
      connections: { max: 50 },
      refusedBody,
    });
    const served = await FRAMEWORKS['Express 5'](t, guard);
    guard.attach(served.server);
    guard.limiter.penalize('127.0.0.1');
    return { guard, ...served };
  };

  test('at most bytes are read, also on a keep-alive connection', async (t) => {
    const { server, port } = await refusing(t, { bytes: 1_000_000, timeout: '1m' });
    const { bytes, line } = await sendForever(server, port);
    assert.equal(line, 'HTTP/1.1 429 Too Many Requests');
    assert.ok(bytes > 1_000_000 && bytes < 3_000_000, `${bytes} bytes`);
  });

  test('the connection is closed after timeout', async (t) => {
    const { port, guard } = await refusing(t, { timeout: 100 });
    const socket = net.connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.resume();
    socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf');
    await closed(socket);
    await until(() => guard.tracker.count, 0);
  });

  test('a connection counts towards max while its body is read', async (t) => {
    const { port, guard } = await refusing(t, { timeout: '1m' });
    const socket = net.connect({ port, host: '127.0.0.1' });
    t.after(() => socket.destroy());
    socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhalf');
    const [answer] = await once(socket, 'data');
    assert.match(String(answer), /^HTTP\/1\.1 429 /);
    await new Promise(setImmediate);
    assert.equal(guard.tracker.count, 1);
    socket.write('thing!');
    await once(socket, 'close');
    await until(() => guard.tracker.count, 0);
  });

  for (const refusedBody of [false, { connections: 0 }]) {
    test(`${JSON.stringify(refusedBody)} reads nothing: the socket is closed after the answer`, async (t) => {
      const { server, port } = await refusing(t, refusedBody);
      const { bytes } = await sendForever(server, port);
      assert.ok(bytes < 1_000_000, `${bytes} bytes`);
      assert.equal(await upload(port, { body: Buffer.alloc(10) }), 'HTTP/1.1 429 Too Many Requests');
    });
  }

  test('connections beyond the option connections are closed after the answer', async (t) => {
    const { port } = await refusing(t, { connections: 2, timeout: '1m' });
    const sockets = [1, 2, 3].map(() => net.connect({ port, host: '127.0.0.1' }));
    t.after(() => sockets.map((socket) => socket.destroy()));
    for (const socket of sockets) {
      socket.on('error', () => {});
      socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf');
      await once(socket, 'data');
    }
    await closed(sockets[2]);
    assert.deepEqual(
      sockets.map((socket) => socket.destroyed),
      [false, false, true],
    );
  });

  test('at accept the bounds of attach apply', async (t) => {
    const tracker = new ConnectionTracker(freshName(), { max: 1 });
    tracker.tryOpen('192.0.2.1');
    const server = http.createServer((_req, res) => res.end());
    tracker.attach(server, { refusedBody: { bytes: 100_000, timeout: '1m' } });
    const port = await listening(t, server);
    const socket = net.connect({ port, host: '127.0.0.1' });
    let sent = 0;
    socket.on('error', () => {});
    socket.resume();
    socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n');
    const write = () => {
      while (!socket.destroyed && socket.write(Buffer.alloc(10_000))) sent += 10_000;
    };
    socket.on('drain', write);
    write();
    await closed(socket);
    assert.ok(sent < 50_000_000, `${sent} bytes`);
  });

  test('a client that is refused at accept and sends nothing is disconnected', async (t) => {
    const tracker = new ConnectionTracker(freshName(), { max: 1 });
    tracker.tryOpen('192.0.2.1');
    const server = http.createServer((_req, res) => res.end());
    tracker.attach(server, { refusedBody: { timeout: '1m' } });
    const socket = net.connect({ port: await listening(t, server), host: '127.0.0.1' });
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    await once(socket, 'close');
    assert.match(text, /^HTTP\/1\.1 503 /);
  });

  for (const [refusedBody, message] of [
    [true, /refusedBody is true; accepted: false, or an object/],
    [{ bytes: -1 }, /refusedBody bytes is -1/],
    [{ timeout: 'soon' }, /refusedBody timeout is "soon"/],
    [{ timeout: '2h' }, /refusedBody timeout is "2h"; accepted: at most "1h"/],
    [{ sockets: 3 }, /refusedBody has no option "sockets"/],
  ]) {
    test(`${JSON.stringify(refusedBody)} is rejected`, () => {
      const invalid = { code: 'ERR_SLUICE_INVALID_OPTION', message };
      assert.throws(() => createGuard(freshName(), { refusedBody }), invalid);
      const tracker = new ConnectionTracker(freshName(), {});
      assert.throws(() => tracker.attach(http.createServer(), { refusedBody }), invalid);
    });
  }
});

test('over TLS every uploading client receives its refusal', async (t) => {
  const guard = createGuard(freshName(), { rateLimit: ONCE, refusedBody: PATIENT });
  const listener = await LISTENERS['plain http'](guard);
  const { port } = await serveListener(t, listener, (listener) => https.createServer(selfSigned(), listener));
  guard.limiter.penalize('127.0.0.1');
  for (let i = 0; i < UPLOADS; i++) {
    const request = https.request({
      port,
      host: '127.0.0.1',
      method: 'POST',
      agent: false,
      rejectUnauthorized: false,
    });
    const answered = once(request, 'response');
    const gone = closed(request);
    const failed = [];
    request.on('error', ({ code }) => failed.push(code));
    request.end(BODY);
    const [response] = await answered;
    response.resume();
    await gone;
    assert.deepEqual([response.statusCode, failed], [429, []]);
  }
});

test('HTTP/2: an uploading client receives the refusal, then its stream is reset without an error', {
  skip: openStreams,
}, async (t) => {
  const guard = createGuard(freshName(), { rateLimit: ONCE });
  const listener = await LISTENERS['plain http'](guard);
  const reading = (req, res) => req.once('data', () => listener(req, res));
  // More than a flow-control window, and less than the client of Node buffers.
  const body = Buffer.alloc(1_000_000);
  for (const served of [listener, reading]) {
    const { server, port } = await serveListener(t, served, http2.createServer);
    guard.attach(server);
    guard.limiter.penalize('127.0.0.1');
    const session = http2.connect(`http://127.0.0.1:${port}`);
    t.after(() => session.destroy());
    for (let i = 0; i < 3; i++) {
      const stream = session.request({ ':method': 'POST', ':path': '/' });
      let text = '';
      stream.on('data', (chunk) => {
        text += chunk;
      });
      stream.write(body);
      const [[headers]] = await Promise.all([once(stream, 'response'), once(stream, 'close')]);
      assert.equal(headers[':status'], 429);
      assert.deepEqual([stream.rstCode, JSON.parse(text).status], [0, 429]);
    }
    assert.equal(session.destroyed, false);
  }
});
