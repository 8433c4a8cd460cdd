// The guard's option wait: requests beyond the quota wait for their moment. Uses a manual clock.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import sluice from '../../index.js';
import { native } from '../../lib/runtime/native.js';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { listening, until } from '../helpers/sockets.mjs';

const { createGuard, RateLimiter } = sluice;

const freshName = freshNames('guard-wait');
const clock = stopClock();

/** One at once, then one each 100 ms. */
const SPACED = { limit: 10, window: '1s', burst: 1 };

/** Servers that answer "served" to what `guard` admits; `bodies` counts the requests whose body was read. */
const SERVERS = {
  Express: async (guard, bodies) => {
    const app = express();
    app.use(guard.express());
    app.use(express.text());
    app.use((_req, res) => {
      bodies.push('read');
      res.send('served');
    });
    return http.createServer(app);
  },
  Fastify: async (guard, bodies) => {
    const app = Fastify();
    await app.register(guard.fastify);
    app.all('/', async () => {
      bodies.push('read');
      return 'served';
    });
    await app.ready();
    return app.server;
  },
  'node:http': async (guard, bodies) =>
    http.createServer(
      guard.http()((_req, res) => {
        bodies.push('read');
        res.end('served');
      }),
    ),
};

async function serve(t, start, options) {
  const guard = createGuard(freshName(), { rateLimit: SPACED, wait: '1s', ...options });
  const bodies = [];
  const server = await start(guard, bodies);
  const port = await listening(t, server);
  return { guard, bodies, port };
}

/** Sends a request; its response, once there is one. */
function send(port, { method = 'POST', body = 'body' } = {}) {
  const headers = { 'content-type': 'text/plain' };
  const request = http.request({ host: '127.0.0.1', port, method, headers, agent: false });
  const answered = once(request, 'response').then(([response]) => {
    response.resume();
    return response;
  });
  answered.catch(() => {});
  request.on('error', () => {});
  request.end(method === 'POST' ? body : undefined);
  return { request, answered };
}

const status = async ({ answered }) => (await answered).statusCode;

for (const [framework, start] of Object.entries(SERVERS)) {
  describe(framework, () => {
    test('requests beyond the quota wait for their moments, before their bodies are read', async (t) => {
      const { guard, bodies, port } = await serve(t, start);
      assert.equal(await status(send(port)), 200);
      const first = send(port);
      await until(() => guard.limiter.stats().waiting, 1);
      const second = send(port);
      await until(() => guard.limiter.stats().waiting, 2);
      assert.equal(bodies.length, 1);
      clock.advance(100);
      assert.equal(await status(first), 200);
      assert.equal(guard.limiter.stats().waiting, 1);
      clock.advance(100);
      const { statusCode, headers } = await second.answered;
      assert.deepEqual([statusCode, bodies.length], [200, 3]);
      assert.match(headers.ratelimit, /;r=0;/);
      const { allowed, refused } = guard.stats();
      assert.deepEqual([allowed, refused], [3, 0]);
    });

    test('a request whose moment is too far away is refused at once', async (t) => {
      const { guard, port } = await serve(t, start, { wait: '150ms' });
      assert.equal(await status(send(port)), 200);
      const waits = send(port);
      await until(() => guard.limiter.stats().waiting, 1);
      const { statusCode, headers } = await send(port).answered;
      assert.deepEqual([statusCode, headers['retry-after']], [429, '1']);
      clock.advance(100);
      assert.equal(await status(waits), 200);
      assert.equal(guard.stats().refusedBy.quota, 1);
      assert.equal(guard.limiter.stats().refused, 1, 'counted once');
    });

    test('a request stops waiting when its client disconnects', async (t) => {
      const { guard, bodies, port } = await serve(t, start);
      assert.equal(await status(send(port)), 200);
      const gone = send(port);
      await until(() => guard.limiter.stats().waiting, 1);
      const behind = send(port);
      await until(() => guard.limiter.stats().waiting, 2);
      gone.request.destroy();
      await until(() => guard.limiter.stats().waiting, 1);
      clock.advance(100);
      assert.equal(await status(behind), 200);
      assert.equal(bodies.length, 2, 'the handler does not run for a client that has gone');
      await until(() => guard.stats().refusedBy.quota, 1);
    });
  });
}

test('a request that waited gets its charge back where it does not count', async (t) => {
  const { guard, port } = await serve(t, SERVERS.Express, { countOnly: 'failures' });
  assert.equal(await status(send(port)), 200);
  await until(() => guard.stats().refunded, 1);
  guard.limiter.penalize('127.0.0.1');
  const waits = send(port);
  await until(() => guard.limiter.stats().waiting, 1);
  clock.advance(100);
  assert.equal(await status(waits), 200);
  await until(() => guard.stats().refunded, 2);
  assert.equal(guard.limiter.peek('127.0.0.1').remaining, 1);
});

test('a route may wait where its guard does not, or not where it does', async (t) => {
  const app = Fastify();
  const rateLimit = SPACED;
  await app.register(createGuard(freshName(), { rateLimit, wait: '1s' }).fastify);
  app.get('/', async () => 'served');
  app.get('/now', { config: { sluice: { rateLimit, wait: false } } }, async () => 'served');
  t.after(() => app.close());
  const ask = async (url) => (await app.inject(url)).statusCode;
  assert.deepEqual([await ask('/now'), await ask('/now')], [200, 429]);
  assert.equal(await ask('/'), 200);
  const waits = ask('/');
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(100);
  assert.equal(await waits, 200);
});

test('a dry run waits for nothing', async (t) => {
  const { guard, port } = await serve(t, SERVERS.Express, { dryRun: true });
  assert.equal(await status(send(port)), 200);
  assert.equal(await status(send(port)), 200);
  assert.deepEqual([guard.stats().dryRefused, guard.limiter.stats().waiting], [1, 0]);
});

test('a full line refuses', async (t) => {
  const { guard, port } = await serve(t, SERVERS.Express, { rateLimit: { ...SPACED, maxWaiting: 1 } });
  assert.equal(await status(send(port)), 200);
  const waits = send(port);
  await until(() => guard.limiter.stats().waiting, 1);
  assert.equal(await status(send(port)), 429);
  clock.advance(100);
  assert.equal(await status(waits), 200);
});

test('an internal error lets the request pass', async (t) => {
  const { guard, port } = await serve(t, SERVERS.Express);
  assert.equal(await status(send(port)), 200);
  const waits = send(port);
  await until(() => guard.limiter.stats().waiting, 1);
  RateLimiter.destroy(guard.limiter.name);
  assert.equal(await status(waits), 200);
  assert.equal(guard.stats().faults, 1);
});

test('an internal error before a request waits lets it pass, and charges nothing', async (t) => {
  const { guard, port } = await serve(t, SERVERS.Express);
  // The line is joined by a call that fails, after the limiter refused to charge at once.
  assert.equal(await status(send(port)), 200);
  t.mock.method(native, 'join', () => {
    throw new Error('internal');
  });
  assert.equal(await status(send(port)), 200);
  const { allowed, refused, faults } = guard.stats();
  assert.deepEqual([allowed, refused, faults], [1, 0, 1]);
});

test('what cannot wait is an error at the start', () => {
  const make = (options) => () => createGuard(freshName(), options);
  const invalid = { code: 'ERR_SLUICE_INVALID_OPTION', message: /wait/ };
  assert.throws(make({ wait: 0 }), invalid);
  assert.throws(make({ wait: 'soon' }), invalid);
  assert.throws(make({ wait: true }), invalid);
  assert.throws(make({ wait: '2s', rateLimit: { limit: () => 1, window: '1s' } }), invalid);
  const scope = { redis: 'redis://127.0.0.1:1' };
  assert.throws(make({ wait: '2s', rateLimit: { ...SPACED, scope } }), {
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /scope \{ redis \}/,
  });
});
