// CORS: preflights that are not charged, and refusals that scripts of other origins can read.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { getRequestListener } from '@hono/node-server';
import express5 from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import sluice from '../../index.js';
import { ask, serve } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { createGuard } = sluice;

const ONCE = { limit: 1, window: '10s' };
const BANS = { maxFailures: 3, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const APP = 'https://app.example';

stopClock();
const freshName = freshNames('cors');

/** Guarded servers that answer every request, including preflights. */
const FRAMEWORKS = {
  'plain http': (t, guard) =>
    serve(t, async (req, res) => {
      const { allowed, status, headers, body } = await guard.check(req, res);
      if (allowed) res.end('served');
      else res.writeHead(status, headers).end(body);
    }),
  Express: (t, guard) =>
    serve(
      t,
      express5().use(guard.express(), (_req, res) => res.send('served')),
    ),
  'a listener of http': (t, guard) =>
    serve(
      t,
      guard.http()((_req, res) => res.end('served')),
    ),
  Koa: (t, guard) => {
    const app = new Koa();
    app.use(guard.koa());
    app.use((ctx) => {
      ctx.body = 'served';
    });
    return serve(t, app.callback());
  },
  Hono: (t, guard) => {
    const app = new Hono();
    app.use(guard.hono());
    app.all('/', (c) => c.text('served'));
    return serve(t, getRequestListener(app.fetch));
  },
  Fastify: async (t, guard) => {
    const app = Fastify({ forceCloseConnections: true });
    t.after(() => app.close());
    await app.register(guard.fastify);
    app.route({ method: ['GET', 'OPTIONS'], url: '/', handler: async () => 'served' });
    await app.listen({ port: 0, host: '127.0.0.1' });
    return app.server.address().port;
  },
};

const preflight = {
  method: 'OPTIONS',
  headers: { origin: APP, 'access-control-request-method': 'POST' },
};
const from = (origin) => ({ headers: { origin } });

for (const [framework, start] of Object.entries(FRAMEWORKS)) {
  describe(framework, () => {
    test('preflights are charged, unless skipPreflight is true', async (t) => {
      const charging = await start(t, createGuard(freshName(), { rateLimit: ONCE }));
      assert.deepEqual([(await ask(charging, preflight)).status, (await ask(charging)).status], [200, 429]);
      const guard = createGuard(freshName(), { rateLimit: ONCE, skipPreflight: true, key: () => 'ada' });
      const port = await start(t, guard);
      const statuses = [];
      for (const request of [preflight, preflight, {}, preflight, {}])
        statuses.push((await ask(port, request)).status);
      assert.deepEqual(statuses, [200, 200, 200, 200, 429]);
      assert.deepEqual([guard.stats().skipped, guard.stats().rateLimit.allowed], [3, 1]);
    });

    test('other OPTIONS requests are charged', async (t) => {
      const port = await start(t, createGuard(freshName(), { rateLimit: ONCE, skipPreflight: true }));
      for (const [headers, status] of [
        [{}, 200],
        [{ origin: APP }, 429],
      ]) {
        assert.equal((await ask(port, { method: 'OPTIONS', headers })).status, status);
      }
    });

    test('refusals can be read by the given origins', async (t) => {
      const cors = { origin: [APP, /\.example\.org$/], credentials: true };
      const guard = createGuard(freshName(), { rateLimit: ONCE, reputation: BANS, cors });
      const port = await start(t, guard);
      const served = await ask(port, from(APP));
      assert.equal(
        served.headers['access-control-allow-origin'],
        undefined,
        'admitted responses are up to the application',
      );
      for (const origin of [APP, 'https://a.example.org']) {
        const { status, headers } = await ask(port, from(origin));
        assert.deepEqual(
          [status, headers['access-control-allow-origin'], headers.vary],
          [429, origin, 'Origin'],
        );
        assert.equal(headers['access-control-allow-credentials'], 'true');
        assert.equal(headers['access-control-expose-headers'], 'Retry-After, RateLimit, RateLimit-Policy');
      }
      for (const origin of ['https://evil.example', 'https://app.example.evil', undefined]) {
        const { headers } = await ask(port, origin === undefined ? {} : from(origin));
        assert.deepEqual([headers['access-control-allow-origin'], headers.vary], [undefined, 'Origin']);
      }
    });

    test('cors: true allows any origin', async (t) => {
      const port = await start(
        t,
        createGuard(freshName(), { rateLimit: ONCE, cors: true, headers: 'legacy' }),
      );
      await ask(port);
      const { headers } = await ask(port, from(APP));
      assert.deepEqual([headers['access-control-allow-origin'], headers.vary], ['*', undefined]);
      assert.match(headers['access-control-expose-headers'], /^Retry-After, X-RateLimit-Limit, /);
    });
  });
}

test('CORS headers of the application are kept', async (t) => {
  const app = express5();
  app.use((_req, res, next) => {
    res.set({ 'Access-Control-Allow-Origin': 'https://own.example', Vary: 'Accept-Encoding' });
    next();
  });
  app.use(createGuard(freshName(), { rateLimit: ONCE, cors: { origin: APP } }).express());
  app.use((_req, res) => res.send('served'));
  const port = await serve(t, app);
  await ask(port);
  const { headers } = await ask(port, from(APP));
  assert.equal(headers['access-control-allow-origin'], 'https://own.example');
});

test('Origin is added to an existing Vary header', async (t) => {
  const app = express5();
  app.use((req, res, next) => {
    res.set('Vary', req.headers['x-vary']);
    next();
  });
  app.use(
    createGuard(freshName(), { rateLimit: ONCE, cors: { origin: APP, exposedHeaders: ['X-A'] } }).express(),
  );
  app.use((_req, res) => res.send('served'));
  const port = await serve(t, app);
  await ask(port);
  for (const [given, expected] of [
    ['Accept-Encoding', 'Accept-Encoding, Origin'],
    ['accept, origin', 'accept, origin'],
    ['*', '*'],
  ]) {
    const { headers } = await ask(port, { headers: { origin: APP, 'x-vary': given } });
    assert.equal(headers.vary, expected);
    assert.equal(headers['access-control-expose-headers'], 'X-A');
  }
});

describe('options', () => {
  for (const [cors, message] of [
    [1, /cors options is 1; accepted: an object/],
    [{}, /cors origin is undefined; accepted: "\*", an origin/],
    [{ origin: 'app.example' }, /cors origin is "app\.example"/],
    [{ origin: [] }, /cors origin is/],
    [{ origin: `${APP}/path` }, /cors origin is/],
    [{ origin: '*', credentials: true }, /cors credentials is true; accepted: false with origin "\*"/],
    [{ origin: APP, exposedHeaders: 'X-A' }, /exposedHeaders is "X-A"; accepted: an array of strings/],
    [{ origin: APP, maxAge: 1 }, /no option "maxAge"/],
  ]) {
    test(`cors: ${JSON.stringify(cors)} is rejected`, () => {
      assert.throws(() => createGuard(freshName(), { cors }), { code: 'ERR_SLUICE_INVALID_OPTION', message });
    });
  }

  test('cors may be false, and skipPreflight must be true or false', () => {
    createGuard(freshName(), { cors: false });
    assert.throws(() => createGuard(freshName(), { skipPreflight: 'yes' }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
    });
  });
});
