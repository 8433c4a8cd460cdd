// What a limit may depend on, in both frameworks: the request, its answer, several limits at once.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import express5 from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import express from '../../lib/express.js';
import fastifyPlugin from '../../lib/fastify.js';
import { ask, serve, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const clock = stopClock();
const freshName = freshNames('middleware-limits');

/** A server that answers /200 with 200 and so on; `answer` may do so in another way. Its port and guard. */
const FRAMEWORKS = {
  'Express 4': (t, options, answer) => serveExpress(express4, t, options, answer),
  'Express 5': (t, options, answer) => serveExpress(express5, t, options, answer),
  'Fastify 5': serveFastify,
};

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

/** Until what follows an answer has happened as well. */
async function until(condition) {
  for (let turns = 0; !condition(); turns++) {
    assert.ok(turns < 1000, 'waited too long');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const FIVE = { limit: 5, window: '1m', algorithm: 'fixed-window' };

for (const [framework, start] of Object.entries(FRAMEWORKS)) {
  describe(framework, () => {
    test("countOnly: 'failures' stops who fails, however often others succeed", async (t) => {
      const { port, guard } = await start(t, { rateLimit: FIVE, countOnly: 'failures' });
      for (let i = 0; i < 20; i++) {
        assert.equal((await ask(port, { path: '/200', from: '127.0.0.5' })).status, 200);
        await until(() => guard.stats().refunded === i + 1);
      }
      assert.deepEqual(await statuses(7, port, { path: '/401' }), [401, 401, 401, 401, 401, 429, 429]);
      assert.equal((await ask(port, { path: '/200' })).status, 429, 'the right password comes too late');
      assert.equal((await ask(port, { path: '/200', from: '127.0.0.5' })).status, 200);
    });

    test("countOnly: 'successes' leaves room for what failed", async (t) => {
      const { port, guard } = await start(t, { rateLimit: FIVE, countOnly: 'successes' });
      for (let i = 0; i < 9; i++) {
        assert.equal((await ask(port, { path: '/503' })).status, 503);
        await until(() => guard.stats().refunded === i + 1);
      }
      assert.deepEqual(await statuses(6, port, { path: '/201' }), [201, 201, 201, 201, 201, 429]);
    });

    for (const [countOnly, remaining] of [
      ['failures', 4],
      ['successes', 5],
    ]) {
      test(`a client that goes away has failed, where ${countOnly} count`, async (t) => {
        let gone;
        const answer = (res) => {
          res.write('wait…');
          gone = once(res, 'close');
        };
        const { port, guard } = await start(t, { rateLimit: FIVE, countOnly }, answer);
        const request = http.get({ port, host: '127.0.0.1', path: '/200', agent: false });
        const [response] = await once(request, 'response');
        response.on('error', () => {});
        request.destroy();
        await until(() => gone !== undefined);
        await gone;
        await new Promise(setImmediate);
        assert.equal(guard.limiter.peek('127.0.0.1').remaining, remaining);
      });
    }

    test('who has gone before an async decision has failed as well', async (t) => {
      let decide;
      const key = () =>
        new Promise((resolve) => {
          decide = () => resolve('k');
        });
      const { port, guard } = await start(t, { rateLimit: FIVE, countOnly: 'successes', key });
      const request = http.get({ port, host: '127.0.0.1', path: '/200', agent: false });
      request.on('error', () => {});
      await until(() => decide !== undefined);
      request.destroy();
      await new Promise((resolve) => setTimeout(resolve, 50));
      decide();
      await until(() => guard.stats().refunded === 1);
      assert.equal(guard.limiter.peek('k').remaining, 5);
    });

    test('a charge of a window that has ended is not given to the next', async (t) => {
      const waiting = [];
      const { port, guard } = await start(t, { rateLimit: FIVE, countOnly: 'failures' }, (res) =>
        waiting.push(res),
      );
      const slow = ask(port, { path: '/200' });
      await until(() => waiting.length === 1);
      clock.advance('2m');
      for (let i = 0; i < 5; i++) assert.ok(guard.limiter.tryConsume('127.0.0.1'));
      waiting[0].end('at last');
      await slow;
      await until(() => guard.stats().refunded === 1);
      assert.equal(guard.limiter.peek('127.0.0.1').remaining, 0);
    });

    test('limit is a function of the request, and headers tell the one decided by', async (t) => {
      const plans = { free: 2, paid: 4 };
      const limit = (request) => plans[request.headers['x-plan']];
      for (const asked of [limit, async (request) => limit(request)]) {
        const { port } = await start(t, { rateLimit: { ...FIVE, limit: asked } });
        const by = (plan, from) => ({ path: '/200', from, headers: { 'x-plan': plan } });
        assert.deepEqual(await statuses(3, port, by('free', '127.0.0.2')), [200, 200, 429]);
        assert.deepEqual(await statuses(5, port, by('paid', '127.0.0.3')), [200, 200, 200, 200, 429]);
        const upgraded = await ask(port, by('paid', '127.0.0.2'));
        assert.equal(upgraded.status, 200, 'what was used stays used, under the larger limit');
        assert.match(upgraded.headers['ratelimit-policy'], /^"middleware-limits-\d+";q=4;w=60$/);
        assert.match(upgraded.headers.ratelimit, /;r=1;t=60$/);
      }
    });

    test('a limit that is none goes to the error handler', async (t) => {
      const { port, guard } = await start(t, { rateLimit: { ...FIVE, limit: () => 0 } });
      const { status, json } = await ask(port, { path: '/200' });
      assert.equal(status, 500);
      assert.equal(json.code, 'ERR_SLUICE_INVALID_OPTION');
      assert.match(json.message, /what rateLimit.limit returned is 0; accepted: an integer from 1/);
      assert.equal(guard.stats().faults, 0);
    });

    test('several limits are one decision, and all are told', async (t) => {
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

test('what cannot be is a mistake, told at the start', () => {
  const wrong = [
    [{ countOnly: 'errors' }, /countOnly is "errors"; accepted: "failures", "successes"/],
    [
      { rateLimit: { ...FIVE, limit: () => 1, burst: 2, algorithm: 'gcra' } },
      /burst is 2; accepted: nothing/,
    ],
    [{ rateLimit: { limits: [{ limit: () => 1, window: '1s' }] } }, /limits\[0\] limit is a function/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => express({ name: freshName(), ...options }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message,
    });
  }
});
