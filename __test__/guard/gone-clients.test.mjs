// Clients that disconnect before their answer: a failure is still a failure, for limits and for bans.
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, test } from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import sluice from '../../index.js';
import { closeAsAnswered, settled } from '../helpers/resets.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { listening, until } from '../helpers/sockets.mjs';

const { createGuard } = sluice;
const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants;

const FIVE = { limit: 5, window: '1m', algorithm: 'fixed-window' };
const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const CREDENTIALS = { authorization: 'Basic YWRhOng=' };
const GUESSES = 15;

const freshName = freshNames('guard-gone-clients');
stopClock();

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** HTTP/2 servers that check a password with `verify`, which takes some milliseconds, and answer 401. */
const LOGINS = {
  'plain http2': async (guard, verify) => {
    const server = http2.createServer(async (req, res) => {
      const decision = await guard.check(req);
      if (!decision.allowed) return res.writeHead(decision.status, decision.headers).end(decision.body);
      await verify();
      res.statusCode = 401;
      res.end('wrong');
    });
    guard.attach(server);
    return server;
  },
  'Fastify over HTTP/2': async (guard, verify) => {
    const app = Fastify({ http2: true });
    await app.register(guard.fastify);
    app.get('/', async (_request, reply) => {
      await verify();
      return reply.code(401).send('wrong');
    });
    await app.ready();
    return app.server;
  },
};

/** The ways in which an HTTP/2 client disconnects. */
const WAYS = {
  'cancels its stream': (stream) => stream.close(NGHTTP2_CANCEL),
  'closes its stream without an error': (stream) => stream.close(NGHTTP2_NO_ERROR),
  'resets its connection': (_stream, session) => session.destroy(),
};

for (const [framework, start] of Object.entries(LOGINS)) {
  for (const [way, leave] of Object.entries(WAYS)) {
    describe(`${framework}: a client that ${way}`, () => {
      async function guess(t, options, count = GUESSES) {
        const guard = createGuard(freshName(), options);
        let checked = 0;
        const server = await start(guard, async () => {
          checked += 1;
          await pause(10);
        });
        const port = await listening(t, server);
        for (let guessed = 0; guessed < count; guessed++) {
          const session = http2.connect(`http://127.0.0.1:${port}`);
          session.on('error', () => {});
          const stream = session.request({ ':path': '/', ...CREDENTIALS });
          stream.on('error', () => {});
          stream.resume();
          const before = checked;
          await until(() => checked > before || stream.closed, true);
          leave(stream, session);
          await pause(1);
          session.destroy();
        }
        return { guard, checked };
      }

      test("counts as a failure with countOnly: 'failures'", async (t) => {
        const { guard, checked } = await guess(t, { rateLimit: FIVE, countOnly: 'failures' });
        assert.equal(checked, 5);
        await settled();
        assert.equal(guard.stats().refunded, 0);
      });

      test("counts as no success with countOnly: 'successes'", async (t) => {
        const { guard } = await guess(t, { rateLimit: FIVE, countOnly: 'successes' }, 3);
        await until(() => guard.stats().refunded, 3);
        assert.equal(guard.limiter.peek('127.0.0.1').remaining, 5);
      });

      test('is banned for the answers that it would have received', async (t) => {
        const { guard, checked } = await guess(t, { rateLimit: false, reputation: BANS });
        assert.ok(checked < GUESSES, `${checked} passwords were checked at`);
        await until(() => guard.stats().recorded, checked);
        assert.equal(guard.stats().reputation.bans, 1);
        assert.equal(guard.reputation.check('127.0.0.1').reason, 'unauthorized');
      });
    });
  }
}

for (const [framework, start] of Object.entries(LOGINS)) {
  test(`${framework}: a client that closes its stream just as it is answered has failed, and leaves`, async (t) => {
    const options = { rateLimit: FIVE, countOnly: 'successes', concurrency: { max: 1 } };
    const guard = createGuard(freshName(), options);
    const requests = new EventEmitter();
    const server = await start(guard, () => new Promise((answer) => requests.emit('request', answer)));
    const port = await listening(t, server);
    const session = http2.connect(`http://127.0.0.1:${port}`);
    t.after(() => session.destroy());
    for (let guessed = 1; guessed <= 3; guessed++) {
      const stream = session.request({ ':path': '/', ...CREDENTIALS });
      stream.on('error', () => {}).resume();
      const [answer] = await once(requests, 'request');
      await closeAsAnswered(stream, answer);
      await until(() => guard.stats().refunded, guessed);
      await until(() => guard.stats().concurrency.inFlight, 0);
    }
  });
}

test('HTTP/2: a complete answer below 400 is a success, a cancelled one is not', async (t) => {
  const guard = createGuard(freshName(), { rateLimit: FIVE, countOnly: 'failures' });
  const server = http2.createServer((req, res) => {
    guard.check(req);
    if (req.url === '/large') res.end(Buffer.alloc(5_000_000));
    else if (req.url === '/empty') res.writeHead(204).end();
    else res.end('welcome');
  });
  guard.attach(server);
  const session = http2.connect(`http://127.0.0.1:${await listening(t, server)}`);
  t.after(() => session.destroy());
  for (const [path, refunded] of [
    ['/', 1],
    ['/empty', 2],
  ]) {
    const stream = session.request({ ':path': path });
    stream.resume();
    await once(stream, 'close');
    await until(() => guard.stats().refunded, refunded);
  }
  const cut = session.request({ ':path': '/large' });
  cut.on('error', () => {});
  await once(cut, 'response');
  cut.close(NGHTTP2_CANCEL);
  await once(cut, 'close');
  await settled();
  assert.equal(guard.stats().refunded, 2);
});

test('HTTP/2: an answer sent on the stream itself is recorded', async (t) => {
  const guard = createGuard(freshName(), { reputation: BANS });
  const server = http2.createServer((req, res) => {
    guard.check(req);
    res.stream.respond({ ':status': 403 });
    res.stream.end();
  });
  guard.attach(server);
  const session = http2.connect(`http://127.0.0.1:${await listening(t, server)}`);
  t.after(() => session.destroy());
  session.request({ ':path': '/', ...CREDENTIALS }).resume();
  await until(() => guard.stats().recorded, 1);
  assert.equal(guard.reputation.check('127.0.0.1').failures, 1);
});

test('HTTP/2: a ban applies before the answer that causes it is sent', async (t) => {
  const guard = createGuard(freshName(), { reputation: { ...BANS, maxFailures: 1 } });
  const banned = [];
  const server = http2.createServer((req, res) => {
    guard.check(req);
    res.writeHead(401);
    banned.push(guard.reputation.isBanned('127.0.0.1'));
    res.end();
  });
  guard.attach(server);
  const session = http2.connect(`http://127.0.0.1:${await listening(t, server)}`);
  t.after(() => session.destroy());
  session.request({ ':path': '/', ...CREDENTIALS }).resume();
  await until(() => banned.length, 1);
  assert.deepEqual(banned, [true]);
});

// HTTP/1.1: once the client has disconnected, Node does not write the head of an answer with a body.
for (const [framework, serve] of [
  ['plain http', (answer) => answer],
  [
    'Express',
    (answer) =>
      express().use((_req, res) => answer(_req, { end: (text) => res.status(401).send(text) }, res)),
  ],
]) {
  test(`HTTP/1.1, ${framework}: a client that disconnects before a 401 with a body has failed`, async (t) => {
    const guard = createGuard(freshName(), { reputation: BANS, rateLimit: false });
    const answer = async (req, res, raw = res) => {
      guard.check(req, raw);
      await once(raw, 'close');
      raw.statusCode = 401;
      res.end('wrong password');
    };
    const server = http.createServer(serve(answer));
    guard.attach(server);
    const port = await listening(t, server);
    for (let failures = 1; failures <= 3; failures++) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWRhOng=\r\n\r\n');
      await once(server, 'request');
      socket.resetAndDestroy();
      await until(() => guard.stats().reputation.failures, failures);
    }
    assert.equal(guard.reputation.isBanned('127.0.0.1'), true);
  });
}

test("HTTP/1.1: pipelined requests whose client disconnects count as no success with countOnly: 'successes'", async (t) => {
  const guard = createGuard(freshName(), { rateLimit: FIVE, countOnly: 'successes' });
  const answers = [];
  const listener = guard.http()((_req, res) => answers.push(res));
  const port = await listening(t, http.createServer(listener));
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3));
  await until(() => answers.length, 3);
  answers[0].end('done');
  await once(answers[0], 'finish');
  socket.destroy();
  await until(() => guard.stats().refunded, 2);
  assert.equal(guard.limiter.peek('127.0.0.1').remaining, 4);
});
