// Guards and middleware whose limits a server keeps: decisions are awaited, and a refusal without the server is a 503.
import assert from 'node:assert/strict';
import test from 'node:test';
import express from 'express';
import fastify from 'fastify';
import sluice from '../../index.js';
import sluiceExpress from '../../lib/express.js';
import sluiceFastify from '../../lib/fastify.js';
import { ask, serve } from '../helpers/http.mjs';
import { freshName } from '../helpers/peer.mjs';
import { freePort, startRedis, withRedis } from '../helpers/redis.mjs';

const { RateLimiter, createGuard } = sluice;

const request = (remoteAddress = '203.0.113.7') => ({
  method: 'GET',
  url: '/',
  headers: {},
  socket: { remoteAddress },
});

/** A server that limiters of this process are connected to: while it is connected to, a slow one counts as away. */
async function connected(t) {
  const redis = await startRedis(t);
  await new RateLimiter(freshName(), { limit: 1, window: '1h', scope: scopeOf(redis) }).ready({
    timeout: '30s',
  });
  return redis;
}

const scopeOf = (redis, scope) => ({ redis: redis.url, timeout: '20s', ...scope });

/** Nothing listens there. */
const nowhere = async (onError) => ({ redis: `redis://127.0.0.1:${await freePort()}`, onError });

test('check returns a promise, and counts in every process that shares the name', withRedis, async (t) => {
  const redis = await connected(t);
  const guard = createGuard(freshName(), { rateLimit: { limit: 2, window: '1h' }, scope: scopeOf(redis) });
  const checked = guard.check(request());
  assert.ok(checked instanceof Promise);
  assert.equal((await checked).allowed, true);
  await guard.check(request());
  const refused = await guard.check(request());
  assert.deepEqual([refused.allowed, refused.status], [false, 429]);
  assert.equal(refused.decision.source, 'redis');
  assert.match(refused.headers.RateLimit, /;r=0;t=\d+/);
  assert.deepEqual([guard.stats().allowed, guard.stats().refusedBy.quota], [2, 1]);
});

test('a degraded refusal is 503, not 429', async () => {
  const guard = createGuard(freshName(), {
    rateLimit: { limit: 2, window: '1h', scope: await nowhere('deny') },
  });
  const { status, headers, body, decision } = await guard.check(request());
  assert.equal(status, 503);
  assert.equal(headers['Retry-After'], '1');
  const problem = JSON.parse(body);
  assert.match(problem.type, /#temporary-reduced-capacity$/);
  assert.equal(problem.detail, 'The quota cannot be checked at the moment.');
  assert.deepEqual([decision.source, decision.degraded], ['deny', true]);
});

test('countOnly takes charges back on the server', withRedis, async (t) => {
  const redis = await connected(t);
  const rateLimit = { limit: 10, window: '30d' };
  const guard = createGuard(freshName(), { rateLimit, scope: scopeOf(redis), countOnly: 'failures' });
  const app = express();
  app.use(guard.express());
  app.get('/', (_, res) => res.send('ok'));
  const port = await serve(t, app);
  for (let n = 0; n < 5; n++) assert.equal((await ask(port)).status, 200);
  const key = guard.clientOf(request('127.0.0.1')).key;
  for (;;) {
    const { remaining } = await guard.limiter.peekAsync(key);
    if (remaining === 10 && guard.stats().refunded === 5) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

test('a limit that is a function of the request is the one of each call', withRedis, async (t) => {
  const redis = await connected(t);
  const limit = (req) => Number(req.headers.limit);
  const rateLimit = { limit, window: '1h', algorithm: 'fixed-window' };
  const guard = createGuard(freshName(), { rateLimit, scope: scopeOf(redis) });
  const by = async (limit) => (await guard.check({ ...request(), headers: { limit } })).decision;
  assert.deepEqual([(await by('5')).remaining, (await by('5')).remaining], [4, 3]);
  assert.equal((await by('2')).allowed, false);
  assert.equal((await by('9')).limit, 9);
});

test('Express: admitted, refused, and degraded', withRedis, async (t) => {
  const redis = await connected(t);
  const served = async (scope) => {
    const app = express();
    app.use(sluiceExpress({ name: freshName(), rateLimit: { limit: 1, window: '1h' }, scope }));
    app.get('/', (req, res) => res.json(req.sluice.decision.source));
    return serve(t, app);
  };
  const port = await served(scopeOf(redis));
  const first = await ask(port);
  assert.deepEqual([first.status, first.json], [200, 'redis']);
  assert.match(first.headers.ratelimit, /;r=0;/);
  assert.equal((await ask(port)).status, 429);
  const degraded = await served(await nowhere('deny'));
  assert.equal((await ask(degraded)).status, 503);
  const local = await served(await nowhere('local'));
  assert.deepEqual([(await ask(local)).status, (await ask(local)).status], [200, 503]);
});

test('Fastify: admitted, refused, and degraded', withRedis, async (t) => {
  const redis = await connected(t);
  const served = async (scope) => {
    const app = fastify();
    t.after(() => app.close());
    await app.register(sluiceFastify, { name: freshName(), rateLimit: { limit: 1, window: '1h' }, scope });
    app.get('/', (request) => ({ source: request.sluice.decision.source }));
    await app.listen({ port: 0, host: '127.0.0.1' });
    return app.server.address().port;
  };
  const port = await served(scopeOf(redis));
  const first = await ask(port);
  assert.deepEqual([first.status, first.json.source], [200, 'redis']);
  assert.equal((await ask(port)).status, 429);
  assert.equal((await ask(await served(await nowhere('deny')))).status, 503);
});

test(
  'metrics say what limiters of the fleet count, and nothing of those of the process',
  withRedis,
  async (t) => {
    const redis = await connected(t);
    const name = freshName();
    const rateLimit = { limit: 1000, window: '30d' };
    const guard = createGuard(name, { rateLimit, scope: scopeOf(redis, { mode: 'lease', onError: 'deny' }) });
    for (let n = 0; n < 100; n++) await guard.check(request());
    const text = guard.metrics();
    const labels = `guard="${name}",limiter="${name}"`;
    const value = (family, more = '') => {
      const sample = `${family}{${labels}${more}} `;
      const line = text.split('\n').find((each) => each.startsWith(sample));
      assert.ok(line, `${sample} of ${text}`);
      return Number(line.slice(sample.length));
    };
    const { fleet } = guard.limiter.stats();
    assert.equal(value('sluice_fleet_decisions_total'), fleet.decisions);
    assert.equal(value('sluice_fleet_local_total'), 0);
    assert.equal(value('sluice_fleet_failures_total', ',reason="timeout"'), 0);
    assert.equal(value('sluice_fleet_state', ',state="ready"'), 1);
    assert.equal(value('sluice_fleet_state', ',state="away"'), 0);
    assert.ok(value('sluice_fleet_latency_seconds') > 0);
    assert.ok(value('sluice_fleet_commands_total') > 0);
    assert.ok(value('sluice_fleet_held') >= 0);
    assert.equal(value('sluice_fleet_missed_total'), 0);
    const local = createGuard(freshName(), { rateLimit });
    assert.doesNotMatch(local.metrics(), /sluice_fleet/);
  },
);
