// What the function key may return, and what keyFallback does without a key.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import express5 from 'express';
import Fastify from 'fastify';
import sluice from '../../index.js';
import { ask, serve } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { createGuard } = sluice;

const ONCE = { limit: 1, window: '10s' };

stopClock();
const freshName = freshNames('request-keys');

/** A guarded server in each framework. */
const FRAMEWORKS = {
  Express: async (t, guard) => {
    const app = express5();
    app.use(guard.express(), (_req, res) => res.send('served'));
    app.use((error, _req, res, _next) => res.status(500).json({ code: error.code, message: error.message }));
    return serve(t, app);
  },
  Fastify: async (t, guard) => {
    const app = Fastify({ forceCloseConnections: true });
    t.after(() => app.close());
    await app.register(guard.fastify);
    app.get('/*', async () => 'served');
    await app.listen({ port: 0, host: '127.0.0.1' });
    return app.server.address().port;
  },
};

const incoming = (key, remoteAddress = '192.0.2.1') => ({
  headers: {},
  socket: { remoteAddress },
  url: '/',
  key,
});
const NONE = [undefined, null, '', Number.NaN];

describe('key', () => {
  test('numbers and bigints are keys, converted to text', () => {
    const guard = createGuard(freshName(), { rateLimit: ONCE, key: ({ key }) => key });
    for (const [one, same] of [
      [7, '7'],
      [2n ** 70n, String(2n ** 70n)],
      [-0, '0'],
      [Number.POSITIVE_INFINITY, 'Infinity'],
      [1.5, '1.5'],
    ]) {
      assert.equal(guard.check(incoming(one)).allowed, true, `${one}`);
      assert.equal(guard.check(incoming(same)).allowed, false, `"${same}" is the same key as ${one}`);
    }
  });

  for (const value of NONE) {
    test(`${String(value) || "''"} is no key: the address of the client is charged`, async () => {
      for (const key of [({ key }) => key, async ({ key }) => key]) {
        const guard = createGuard(freshName(), { rateLimit: ONCE, key });
        const statuses = [];
        for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.2']) {
          statuses.push((await guard.check(incoming(value, address))).status);
        }
        assert.deepEqual(statuses, [undefined, 429, undefined]);
        assert.equal(guard.limiter.peek('192.0.2.1').remaining, 0);
        assert.equal(guard.stats().faults, 0);
      }
    });
  }

  for (const value of [{}, true, Symbol('key'), ['a'], () => 'a']) {
    test(`a value of type ${typeof value} is rejected`, () => {
      for (const keyFallback of ['client', 'refuse', 'error']) {
        const guard = createGuard(freshName(), { key: () => value, keyFallback });
        assert.throws(() => guard.check(incoming()), {
          code: 'ERR_SLUICE_INVALID_KEY',
          message: /^what key returned is .*; accepted: a non-empty string, a number or a bigint/,
        });
      }
    });
  }
});

describe('keyFallback', () => {
  for (const value of NONE) {
    test(`'error' throws for ${String(value) || "''"}`, () => {
      const guard = createGuard(freshName(), { key: () => value, keyFallback: 'error' });
      assert.throws(() => guard.check(incoming()), {
        code: 'ERR_SLUICE_INVALID_KEY',
        message:
          /^what key returned is (undefined|null|""|NaN); accepted: a non-empty string, a number or a bigint$/,
      });
    });
  }

  for (const [framework, start] of Object.entries(FRAMEWORKS)) {
    test(`'refuse' answers 400 in ${framework} and charges no key`, async (t) => {
      const key = ({ headers }) => headers['x-api-key'];
      const guard = createGuard(freshName(), { rateLimit: ONCE, key, keyFallback: 'refuse' });
      const port = await start(t, guard);
      const { status, headers, json } = await ask(port);
      assert.equal(status, 400);
      assert.deepEqual([headers['retry-after'], headers['cache-control']], [undefined, 'no-store']);
      assert.equal(headers['content-type'], 'application/problem+json');
      assert.deepEqual(json, {
        type: 'about:blank',
        title: 'Bad Request',
        status: 400,
        detail: 'The request does not say whose quota it is charged to.',
        retryAfterMs: null,
        'violated-policies': [guard.name],
      });
      const { refused, rateLimit } = guard.stats();
      assert.deepEqual([refused, rateLimit.allowed + rateLimit.refused], [1, 0]);
      assert.equal((await ask(port, { headers: { 'x-api-key': 'a' } })).status, 200);
    });

    test(`'error' reaches the error handler of ${framework}`, async (t) => {
      const guard = createGuard(freshName(), { key: () => null, keyFallback: 'error' });
      const { status, json } = await ask(await start(t, guard));
      assert.deepEqual([status, json.code], [500, 'ERR_SLUICE_INVALID_KEY']);
    });
  }

  test("'refuse' calls handler with the reason 'key'", async (t) => {
    const app = express5();
    const handler = (_req, res, _next, { reason, status }) => res.json({ reason, status });
    const options = { rateLimit: ONCE, key: () => undefined, keyFallback: 'refuse', handler };
    app.use(createGuard(freshName(), options).express());
    const { status, json } = await ask(await serve(t, app));
    assert.deepEqual([status, json], [400, { reason: 'key', status: 400 }]);
  });

  test("'refuse' calls neither cost nor limit", () => {
    const never = () => assert.fail('called');
    const rateLimit = { limit: never, window: '1s' };
    const guard = createGuard(freshName(), {
      rateLimit,
      key: () => null,
      cost: never,
      keyFallback: 'refuse',
    });
    assert.equal(guard.check(incoming()).status, 400);
  });

  test("'refuse' with dryRun admits the request and counts dryRefused", () => {
    const guard = createGuard(freshName(), { key: () => null, keyFallback: 'refuse', dryRun: true });
    assert.equal(guard.check(incoming()).allowed, true);
    const { allowed, refused, dryRefused } = guard.stats();
    assert.deepEqual([allowed, refused, dryRefused], [1, 0, 1]);
  });

  test('accepts three values', () => {
    assert.throws(() => createGuard(freshName(), { keyFallback: 'ip' }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /keyFallback is "ip"; accepted: "client", "refuse", "error"/,
    });
  });

  test('of a route overrides that of the plugin', async (t) => {
    const app = Fastify();
    t.after(() => app.close());
    await app.register(createGuard(freshName(), { rateLimit: ONCE, key: () => null }).fastify);
    app.get('/', async () => 'served');
    app.get('/strict', { config: { sluice: { keyFallback: 'refuse' } } }, async () => 'served');
    const statuses = [];
    for (const url of ['/', '/', '/strict']) statuses.push((await app.inject(url)).statusCode);
    assert.deepEqual(statuses, [200, 429, 400]);
  });
});
