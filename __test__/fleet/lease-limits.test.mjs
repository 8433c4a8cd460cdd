// Several limits whose calls are decided by units which the server has granted ahead.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import express from 'express';
import sluice from '../../index.js';
import { ask, serve } from '../helpers/http.mjs';
import { call, held, until, used } from '../helpers/leases.mjs';
import { freshName } from '../helpers/peer.mjs';
import { startRedis, withRedis } from '../helpers/redis.mjs';

const { RateLimiter, createGuard } = sluice;

const ALGORITHMS = ['gcra', 'fixed-window', 'sliding-window'];

/** Limits of each algorithm, of which one has fewer units than the others. None returns while a test runs. */
const limitsWith = (tightest, limit) =>
  ALGORITHMS.map((algorithm) => ({
    name: algorithm,
    algorithm,
    limit: algorithm === tightest ? limit : 100 * limit,
    window: '30d',
  }));

const scopeOf = (redis) => ({ redis: redis.url, mode: 'lease', timeout: '20s', onError: 'deny' });

const open = (redis, limits, name = freshName()) => new RateLimiter(name, { limits, scope: scopeOf(redis) });

for (const tightest of ALGORITHMS) {
  test(
    `${tightest} among others: most calls ask nothing, and what is not used goes back to it`,
    withRedis,
    async (t) => {
      const limiter = open(await startRedis(t), limitsWith(tightest, 10_000));
      const { lease, redis } = await call(limiter, 2000);
      assert.ok(lease > 1500 && redis >= 1, `${lease} by leases, ${redis} by the server`);
      assert.equal((await limiter.peekAsync('a')).policy, tightest);
      assert.equal(limiter.stats().allowed, 2000);
      await until(async () => (await used(limiter)) === 2000);
      assert.equal(held(limiter), 0);
      assert.ok(limiter.stats().fleet.givenBack > 0);
    },
  );

  test(`${tightest} among others admits its quota, and its refusals have its name`, withRedis, async (t) => {
    const limiter = open(await startRedis(t), limitsWith(tightest, 50));
    await call(limiter, 50);
    const { allowed, policy, limit, remaining, source } = await limiter.consumeAsync('a');
    assert.deepEqual([allowed, policy, limit, remaining, source], [false, tightest, 50, 0, 'redis']);
    await until(() => limiter.stats().fleet.pending === 0);
    const { commands } = limiter.stats().fleet;
    const refused = limiter.consume('a');
    assert.deepEqual([refused.allowed, refused.policy, refused.source], [false, tightest, 'lease']);
    assert.ok(refused.retryAfterMs > 60_000);
    assert.equal(limiter.tryConsume('a'), false);
    assert.equal(limiter.stats().fleet.commands, commands);
    for (let n = 0; n < 20; n += 1) assert.equal((await limiter.consumeAsync('a', 2)).allowed, false);
    assert.ok(limiter.stats().fleet.commands - commands < 5, 'refusals of a cost are remembered too');
  });
}

/** Fails when units that are held of one limit alone are charged again, or used without a charge. */
for (const algorithm of ['fixed-window', 'sliding-window']) {
  test(`units of a ${algorithm} outlast those of a short one, and are used once`, withRedis, async (t) => {
    const limiter = open(await startRedis(t), [
      { name: 'short', algorithm: 'fixed-window', limit: 100_000, window: '20ms' },
      { name: 'long', algorithm, limit: 1_000_000, window: '30d' },
    ]);
    const endsAt = performance.now() + 800;
    let calls = 0;
    // A burst in each turn: many find that what was held has lapsed.
    for (; performance.now() < endsAt; calls += 20) {
      await call(limiter, 20);
      await turn();
    }
    await until(async () => (await used(limiter)) === calls);
    assert.equal((await limiter.peekAsync('a')).policy, 'long');
    assert.equal(held(limiter), 0);
  });
}

test('a synchronous refusal has the name of the limit once the server has refused', withRedis, async (t) => {
  const limits = [
    { name: 'day', limit: 1000, window: '1d' },
    { name: 'hour', limit: 1, window: '1h' },
  ];
  const redis = await startRedis(t);
  const name = freshName();
  const other = new RateLimiter(name, { limits, scope: { ...scopeOf(redis), mode: 'exact' } });
  assert.equal((await other.consumeAsync('a')).allowed, true);
  RateLimiter.destroy(name);
  const limiter = open(redis, limits, name);
  assert.equal(limiter.tryConsume('a'), false, 'the server is asked for the next');
  await until(() => limiter.stats().fleet.remembers === 1);
  const { allowed, policy, limit, source } = limiter.consume('a');
  assert.deepEqual([allowed, policy, limit, source], [false, 'hour', 1, 'lease']);
});

test('synchronous calls and handles take units of all limits', withRedis, async (t) => {
  const limiter = open(await startRedis(t), limitsWith('gcra', 10_000));
  await call(limiter, 200);
  const before = held(limiter);
  assert.ok(before > 3);
  const { allowed, source, policy, remaining } = limiter.consume('a');
  assert.deepEqual([allowed, source], [true, 'lease']);
  assert.ok(ALGORITHMS.includes(policy) && remaining > 0);
  assert.deepEqual([limiter.handle('a').tryConsume(), limiter.tryConsume('a')], [true, true]);
  assert.deepEqual(limiter.consumeMany(['b']), [false]);
});

test('costs, refunds, penalties, blocks and resets count for each limit', withRedis, async (t) => {
  const limiter = open(await startRedis(t), limitsWith('sliding-window', 10_000));
  await call(limiter, 20);
  assert.equal((await limiter.consumeAsync('a', 5000)).source, 'redis');
  await until(async () => (await used(limiter)) === 5020);
  await limiter.refundAsync('a', 1000);
  await limiter.penalizeAsync('a', 30);
  assert.equal(await used(limiter), 4050);
  const never = await limiter.consumeAsync('a', 20_000);
  assert.deepEqual([never.allowed, never.policy], [false, 'sliding-window']);
  assert.equal(never.retryAfterMs, Number.POSITIVE_INFINITY);
  await call(limiter, 100);
  assert.ok(held(limiter) > 0);
  await limiter.blockAsync('a', '1h');
  assert.deepEqual([held(limiter), (await limiter.consumeAsync('a')).allowed], [0, false]);
  assert.equal(await limiter.resetAsync('a'), true);
  assert.equal((await limiter.consumeAsync('a')).allowed, true);
  assert.equal(await used(limiter), 1);
});

test('countOnly holds charges of several limits again, and they go back', withRedis, async (t) => {
  const redis = await startRedis(t);
  for (const tightest of ['fixed-window', 'sliding-window']) {
    const limits = limitsWith(tightest, 10_000).filter(({ algorithm }) => algorithm !== 'gcra');
    const options = { rateLimit: { limits }, scope: scopeOf(redis), countOnly: 'failures' };
    const guard = createGuard(freshName(), options);
    const app = express();
    app.use(guard.express());
    app.get('/:status', (req, res) => res.sendStatus(Number(req.params.status)));
    const port = await serve(t, app);
    for (let n = 0; n < 30; n++) await ask(port, { path: '/200' });
    for (let n = 0; n < 5; n++) await ask(port, { path: '/401' });
    await until(() => guard.stats().refunded === 30);
    const socket = { remoteAddress: '127.0.0.1' };
    const { key } = guard.clientOf({ method: 'GET', url: '/', headers: {}, socket });
    await until(async () => (await used(guard.limiter, key)) === 5);
    assert.equal(guard.stats().allowed, 35);
  }
});

test('other options hold anew what they hold of each limit', withRedis, async (t) => {
  const limiter = open(await startRedis(t), limitsWith('gcra', 1000));
  await call(limiter, 100);
  limiter.reconfigure({ limits: limitsWith('gcra', 2000) });
  assert.equal((await limiter.consumeAsync('a')).limit, 2000);
  await call(limiter, 100);
  const { source, limit } = limiter.consume('a');
  assert.equal(source, 'lease');
  assert.ok([2000, 200_000].includes(limit), `${limit} is a limit of the new options`);
});
