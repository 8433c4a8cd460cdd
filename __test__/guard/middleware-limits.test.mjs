// Limits in each framework that depend on the request or its answer, and several limits at once.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import nodeHttp from 'node:http';
import { describe, test } from 'node:test';
import { getRequestListener } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import express5 from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import express from '../../lib/express.js';
import fastifyPlugin from '../../lib/fastify.js';
import hono from '../../lib/hono.js';
import koa from '../../lib/koa.js';
import http from '../../lib/node-http.js';
import { ask, serve, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const clock = stopClock();
const freshName = freshNames('middleware-limits');

/** A guarded server that answers /200 with 200 and so on, or with `answer`. Returns port and guard. */
const FRAMEWORKS = {
  'Express 4': (t, options, answer) => serveExpress(express4, t, options, answer),
  'Express 5': (t, options, answer) => serveExpress(express5, t, options, answer),
  'Fastify 5': serveFastify,
  'Koa 3': serveKoa,
  'Hono 4': serveHono,
  'a listener of http': serveListener,
};

async function serveKoa(t, options, answer) {
  const middleware = koa({ name: freshName(), ...options });
  const app = new Koa();
  app.use(async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      ctx.status = 500;
      ctx.body = { code: error.code, message: error.message };
    }
  });
  app.use(middleware);
  app.use((ctx) => {
    if (answer === undefined) {
      ctx.status = Number(ctx.path.slice(1));
      ctx.body = 'answer';
      return;
    }
    // Koa begins with 404.
    ctx.status = 200;
    ctx.respond = false;
    answer(ctx.res);
  });
  return { port: await serve(t, app.callback()), guard: middleware.guard };
}

async function serveHono(t, options, answer) {
  const middleware = hono({ name: freshName(), ...options });
  const app = new Hono();
  app.use(middleware);
  app.get('/:status', (c) => {
    if (answer === undefined) return c.text('answer', Number(c.req.param('status')));
    answer(c.env.outgoing);
    return RESPONSE_ALREADY_SENT;
  });
  app.onError((error, c) => c.json({ code: error.code, message: error.message }, 500));
  return { port: await serve(t, getRequestListener(app.fetch)), guard: middleware.guard };
}

async function serveListener(t, options, answer) {
  const protect = http({ name: freshName(), ...options });
  const listener = (req, res) => {
    if (answer !== undefined) return answer(res);
    res.statusCode = Number(req.url.slice(1));
    res.end('answer');
  };
  const guarded = (req, res) =>
    protect(req, res, (error) => {
      if (error === undefined) return listener(req, res);
      res.writeHead(500, { 'Content-Type': 'application/json' });
      res.end(JSON.stringify({ code: error.code, message: error.message }));
    });
  return { port: await serve(t, guarded), guard: protect.guard };
}

async function serveExpress(framework, t, options, answer) {
  const middleware = express({ name: freshName(), ...options });
  const app = framework();
  app.use(middleware);
  app.get('/:status', (req, res) =>
    answer ? answer(res) : res.status(Number(req.params.status)).send('answer'),
  );
  app.use((error, _req, res, _next) => res.status(500).json({ code: error.code, message: error.message }));
  return { port: await serve(t, app), guard: middleware.guard };
}

async function serveFastify(t, options, answer) {
  const app = Fastify();
  t.after(() => app.close());
  await app.register(fastifyPlugin, { name: freshName(), ...options });
  app.get('/:status', (request, reply) => {
    if (answer === undefined) return reply.code(Number(request.params.status)).send('answer');
    reply.hijack();
    return answer(reply.raw);
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return { port: app.server.address().port, guard: app.sluice };
}

/** Node's request behind what a framework gives to functions among the options. */
const nodeRequestOf = (request) => request.env?.incoming ?? request.raw ?? request;

const FIVE = { limit: 5, window: '1m', algorithm: 'fixed-window' };

for (const [framework, start] of Object.entries(FRAMEWORKS)) {
  describe(framework, () => {
    test("countOnly: 'failures' charges failures only, and each client by itself", async (t) => {
      const { port, guard } = await start(t, { rateLimit: FIVE, countOnly: 'failures' });
      for (let i = 0; i < 20; i++) {
        assert.equal((await ask(port, { path: '/200', from: '127.0.0.5' })).status, 200);
        await until(() => guard.stats().refunded, i + 1);
      }
      assert.deepEqual(await statuses(7, port, { path: '/401' }), [401, 401, 401, 401, 401, 429, 429]);
      assert.equal((await ask(port, { path: '/200' })).status, 429, 'success does not lift the limit');
      assert.equal((await ask(port, { path: '/200', from: '127.0.0.5' })).status, 200);
    });

    test("countOnly: 'successes' charges successes only", async (t) => {
      const { port, guard } = await start(t, { rateLimit: FIVE, countOnly: 'successes' });
      for (let i = 0; i < 9; i++) {
        assert.equal((await ask(port, { path: '/503' })).status, 503);
        await until(() => guard.stats().refunded, i + 1);
      }
      assert.deepEqual(await statuses(6, port, { path: '/201' }), [201, 201, 201, 201, 201, 429]);
    });

    for (const [countOnly, remaining] of [
      ['failures', 4],
      ['successes', 5],
    ]) {
      test(`a client that disconnects counts as a failure, with countOnly: ${countOnly}`, async (t) => {
        let gone;
        const answer = (res) => {
          res.write('wait…');
          gone = once(res, 'close');
        };
        const { port, guard } = await start(t, { rateLimit: FIVE, countOnly }, answer);
        const request = nodeHttp.get({ port, host: '127.0.0.1', path: '/200', agent: false });
        const [response] = await once(request, 'response');
        response.on('error', () => {});
        request.destroy();
        await until(() => gone !== undefined, true);
        await gone;
        await new Promise(setImmediate);
        assert.equal(guard.limiter.peek('127.0.0.1').remaining, remaining);
      });
    }

    test('a client that disconnects before an async decision counts as a failure', async (t) => {
      let decide;
      let socket;
      const key = (request) => {
        socket = nodeRequestOf(request).socket;
        return new Promise((resolve) => {
          decide = () => resolve('k');
        });
      };
      const { port, guard } = await start(t, { rateLimit: FIVE, countOnly: 'successes', key });
      const request = nodeHttp.get({ port, host: '127.0.0.1', path: '/200', agent: false });
      request.on('error', () => {});
      await until(() => decide !== undefined, true);
      request.destroy();
      await until(() => socket.destroyed, true);
      decide();
      await until(() => guard.stats().refunded, 1);
      assert.equal(guard.limiter.peek('k').remaining, 5);
    });

    test('a refund of an ended window does not apply to the next window', async (t) => {
      const pending = [];
      const { port, guard } = await start(t, { rateLimit: FIVE, countOnly: 'failures' }, (res) =>
        pending.push(res),
      );
      const slow = ask(port, { path: '/200' });
      await until(() => pending.length, 1);
      clock.advance('2m');
      for (let i = 0; i < 5; i++) assert.ok(guard.limiter.tryConsume('127.0.0.1'));
      pending[0].end('at last');
      await slow;
      await until(() => guard.stats().refunded, 1);
      assert.equal(guard.limiter.peek('127.0.0.1').remaining, 0);
    });

    test('limit may be a function of the request, and the headers have its result', async (t) => {
      const plans = { free: 2, paid: 4 };
      const limit = (request) => plans[nodeRequestOf(request).headers['x-plan']];
      for (const asked of [limit, async (request) => limit(request)]) {
        const { port } = await start(t, { rateLimit: { ...FIVE, limit: asked } });
        const by = (plan, from) => ({ path: '/200', from, headers: { 'x-plan': plan } });
        assert.deepEqual(await statuses(3, port, by('free', '127.0.0.2')), [200, 200, 429]);
        assert.deepEqual(await statuses(5, port, by('paid', '127.0.0.3')), [200, 200, 200, 200, 429]);
        const upgraded = await ask(port, by('paid', '127.0.0.2'));
        assert.equal(upgraded.status, 200, 'consumed units stay consumed under the larger limit');
        assert.match(upgraded.headers['ratelimit-policy'], /^"middleware-limits-\d+";q=4;w=60$/);
        assert.match(upgraded.headers.ratelimit, /;r=1;t=60$/);
      }
    });

    test('an invalid limit goes to the error handler', async (t) => {
      const { port, guard } = await start(t, { rateLimit: { ...FIVE, limit: () => 0 } });
      const { status, json } = await ask(port, { path: '/200' });
      assert.equal(status, 500);
      assert.equal(json.code, 'ERR_SLUICE_INVALID_OPTION');
      assert.match(json.message, /what rateLimit.limit returned is 0; accepted: an integer from 1/);
      assert.equal(guard.stats().faults, 0);
    });

    test('several limits are one decision, and the policy lists all of them', async (t) => {
      const limits = [
        { limit: 3, window: '1s' },
        { name: 'daily', limit: 4, window: '1d', algorithm: 'fixed-window' },
      ];
      const { port } = await start(t, { rateLimit: { limits } });
      const first = await ask(port, { path: '/200' });
      assert.equal(first.headers['ratelimit-policy'], '"3-per-1s";q=3;w=1, "daily";q=4;w=86400');
      assert.equal(first.headers.ratelimit, '"3-per-1s";r=2;t=1');
      assert.deepEqual(await statuses(3, port, { path: '/200' }), [200, 200, 429]);
      clock.advance('10s');
      assert.equal((await ask(port, { path: '/200' })).headers.ratelimit, '"daily";r=0;t=86390');
      const refused = await ask(port, { path: '/200' });
      assert.deepEqual([refused.status, refused.json['violated-policies']], [429, ['daily']]);
      assert.equal(refused.headers['retry-after'], '86390');
    });
  });
}

test('invalid options are rejected at creation', () => {
  const invalidOptions = [
    [{ countOnly: 'errors' }, /countOnly is "errors"; accepted: "failures", "successes"/],
    [
      { rateLimit: { ...FIVE, limit: () => 1, burst: 2, algorithm: 'gcra' } },
      /burst is 2; accepted: nothing/,
    ],
    [{ rateLimit: { limits: [{ limit: () => 1, window: '1s' }] } }, /limits\[0\] limit is a function/],
  ];
  for (const [options, message] of invalidOptions) {
    assert.throws(() => express({ name: freshName(), ...options }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message,
    });
  }
});
