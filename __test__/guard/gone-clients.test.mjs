// Clients that go away before their answer: a failure stays a failure, for limits and for bans.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, test } from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import sluice from '../../index.js';
import { settled } from '../helpers/resets.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { listening, until } from '../helpers/sockets.mjs';

const { createGuard } = sluice;
const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants;

const FIVE = { limit: 5, window: '1m', algorithm: 'fixed-window' };
const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const CREDENTIALS = { authorization: 'Basic YWRhOng=' };
const PASSWORDS = 40;

const freshName = freshNames('guard-gone-clients');
stopClock();

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Servers of HTTP/2 that look at a password for some milliseconds. `looked()` tells at how many. */
const LOGINS = {
  'plain http2': async (guard, look) => {
    const server = http2.createServer(async (req, res) => {
      const decision = await guard.check(req);
      if (!decision.allowed) return res.writeHead(decision.status, decision.headers).end(decision.body);
      await look();
      res.statusCode = 401;
      res.end('wrong');
    });
    guard.attach(server);
    return server;
  },
  'Fastify over HTTP/2': async (guard, look) => {
    const app = Fastify({ http2: true });
    await app.register(guard.fastify);
    app.get('/', async (_request, reply) => {
      await look();
      return reply.code(401).send('wrong');
    });
    await app.ready();
    return app.server;
  },
};

/** How a client of HTTP/2 goes away. */
const WAYS = {
  'cancels its stream': (stream) => stream.close(NGHTTP2_CANCEL),
  'closes its stream without an error': (stream) => stream.close(NGHTTP2_NO_ERROR),
  'resets its connection': (_stream, session) => session.destroy(),
};

for (const [framework, start] of Object.entries(LOGINS)) {
  for (const [way, leave] of Object.entries(WAYS)) {
    describe(`${framework}: a client that ${way}`, () => {
      async function guess(t, options, count = PASSWORDS) {
        const guard = createGuard(freshName(), options);
        let looked = 0;
        const server = await start(guard, async () => {
          looked += 1;
          await pause(10);
        });
        const port = await listening(t, server);
        for (let guessed = 0; guessed < count; guessed++) {
          const session = http2.connect(`http://127.0.0.1:${port}`);
          session.on('error', () => {});
          const stream = session.request({ ':path': '/', ...CREDENTIALS });
          stream.on('error', () => {});
          stream.resume();
          const before = looked;
          await until(() => looked > before || stream.closed, true);
          leave(stream, session);
          await pause(1);
          session.destroy();
        }
        await settled();
        return { guard, looked };
      }

      test("hides no failure from countOnly: 'failures'", async (t) => {
        const { guard, looked } = await guess(t, { rateLimit: FIVE, countOnly: 'failures' });
        assert.equal(looked, 5);
        assert.equal(guard.stats().refunded, 0);
      });

      test("is no success for countOnly: 'successes'", async (t) => {
        const { guard } = await guess(t, { rateLimit: FIVE, countOnly: 'successes' }, 3);
        await until(() => guard.stats().refunded, 3);
        assert.equal(guard.limiter.peek('127.0.0.1').remaining, 5);
      });

      test('is banned for what it would have been answered', async (t) => {
        const { guard, looked } = await guess(t, { rateLimit: false, reputation: BANS });
        assert.ok(looked < PASSWORDS, `${looked} passwords were looked at`);
        assert.equal(guard.stats().recorded, looked);
        assert.equal(guard.stats().reputation.bans, 1);
        assert.equal(guard.reputation.check('127.0.0.1').reason, 'unauthorized');
      });
    });
  }
}

test('HTTP/2: a whole answer below 400 is a success, one that was cut is none', async (t) => {
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

test('HTTP/2: an answer that the application gives on its stream is recorded', async (t) => {
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

test('HTTP/2: a ban holds before the answer that leads to it is sent', async (t) => {
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

/** HTTP/1.1: Node writes no head of an answer with a body once the client has gone. */
for (const [framework, serve] of [
  ['plain http', (answer) => answer],
  [
    'Express',
    (answer) =>
      express().use((_req, res) => answer(_req, { end: (text) => res.status(401).send(text) }, res)),
  ],
]) {
  test(`HTTP/1.1, ${framework}: who hangs up before a 401 with a body has failed`, async (t) => {
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
