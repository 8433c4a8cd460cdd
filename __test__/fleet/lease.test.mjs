// Calls that are decided by units which the server has granted ahead: what they cost the server, and what goes back to it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import express from 'express';
import sluice from '../../index.js';
import { ask, serve } from '../helpers/http.mjs';
import { call, held, until, used } from '../helpers/leases.mjs';
import { freshName } from '../helpers/peer.mjs';
import { freePort, startRedis, withRedis } from '../helpers/redis.mjs';

const { RateLimiter, createGuard } = sluice;

/** A unit returns after four minutes, so counts are exact. */
const QUOTA = { limit: 10_000, window: '30d' };

function open(redis, { scope, name = freshName(), ...options } = {}) {
  const given = { redis: redis.url, mode: 'lease', timeout: '20s', onError: 'deny', ...scope };
  return new RateLimiter(name, { ...QUOTA, ...options, scope: given });
}

for (const algorithm of ['gcra', 'fixed-window', 'sliding-window']) {
  test(
    `${algorithm}: most calls of a busy client ask nothing, and what is not used goes back`,
    withRedis,
    async (t) => {
      const limiter = open(await startRedis(t), { algorithm });
      const { lease, redis } = await call(limiter, 2000);
      assert.ok(lease > 1500 && redis >= 1, `${lease} by leases, ${redis} by the server`);
      assert.ok(limiter.stats().fleet.commands < 400);
      assert.equal(limiter.stats().allowed, 2000);
      await until(async () => (await used(limiter)) === 2000);
      assert.equal(held(limiter), 0);
      assert.ok(limiter.stats().fleet.givenBack > 0);
    },
  );
}

test('synchronous calls are admitted by what is held, and refused where nothing is', withRedis, async (t) => {
  const limiter = open(await startRedis(t));
  assert.equal(limiter.tryConsume('a'), false);
  const { allowed, source, degraded, retryAfterMs } = limiter.consume('a');
  assert.deepEqual([allowed, source, degraded], [false, 'lease', false]);
  assert.ok(retryAfterMs >= 1);
  assert.equal(limiter.stats().fleet.missed, 2);
  await until(() => held(limiter) > 0);
  const { limit, remaining, ...admitted } = limiter.consume('a');
  assert.deepEqual([admitted.allowed, admitted.source, admitted.degraded], [true, 'lease', false]);
  // One more was granted than is used: its time began at once.
  assert.deepEqual([limit, remaining], [10_000, 9_998]);
  await call(limiter, 200);
  let admittedInARow = 0;
  while (limiter.tryConsume('a')) admittedInARow += 1;
  assert.ok(admittedInARow > 0);
  const { allowed: all, refused } = limiter.stats();
  assert.deepEqual([all, refused], [201 + admittedInARow, 3]);
});

test('several keys and handles of keys are decided by what is held', withRedis, async (t) => {
  const limiter = open(await startRedis(t));
  await call(limiter, 100);
  assert.deepEqual(limiter.consumeMany(['a', 'b']), [true, false]);
  const handle = limiter.handle('a');
  assert.deepEqual([handle.limiter, handle.tryConsume(), handle.consume().source], [limiter, true, 'lease']);
  assert.throws(() => handle.peek(), { code: 'ERR_SLUICE_UNSUPPORTED' });
  assert.throws(() => limiter.consumeMany(['a', '']), { code: 'ERR_SLUICE_INVALID_KEY' });
  for (const method of ['refund', 'penalize', 'reset', 'peek']) {
    assert.throws(() => limiter[method]('a'), { code: 'ERR_SLUICE_UNSUPPORTED' }, method);
  }
});

test('a spent quota is refused without asking', withRedis, async (t) => {
  const limiter = open(await startRedis(t), { limit: 50 });
  await call(limiter, 50);
  // A refusal is known for a second: that of units asked for ahead may come before the first call, and end before the last.
  let [rounds, first, last, commands] = [0];
  do {
    await turn();
    first = await limiter.consumeAsync('a');
    // More may still be asked for ahead.
    await until(() => limiter.stats().fleet.pending === 0);
    commands = limiter.stats().fleet.commands;
    for (let n = 0; n < 100; n++) assert.equal(limiter.tryConsume('a'), false);
    last = await limiter.consumeAsync('a');
    assert.deepEqual([first.allowed, last.allowed], [false, false]);
    rounds += 1;
  } while (first.source !== 'redis' || last.source !== 'lease');
  assert.ok(last.retryAfterMs > 3_600_000, 'when a unit returns, and not when the server is asked again');
  assert.equal(limiter.stats().fleet.commands, commands);
  assert.equal(limiter.stats().refused, 102 * rounds);
});

test('a larger cost than is held asks, and a dry run admits all', withRedis, async (t) => {
  const redis = await startRedis(t);
  const limiter = open(redis);
  await call(limiter, 20);
  const { allowed, source } = await limiter.consumeAsync('a', 5000);
  assert.deepEqual([allowed, source], [true, 'redis']);
  assert.equal((await limiter.consumeAsync('a', 20_000)).retryAfterMs, Number.POSITIVE_INFINITY);
  const dry = open(redis, { limit: 1, dryRun: true });
  assert.equal((await dry.consumeAsync('a')).wouldRefuse, false);
  assert.equal((await dry.consumeAsync('a')).wouldRefuse, true);
  assert.equal(dry.tryConsume('a'), true);
  assert.equal(dry.stats().dryRefused, 2);
});

test('a block and a reset end what is held', withRedis, async (t) => {
  const limiter = open(await startRedis(t));
  await call(limiter, 100);
  assert.ok(held(limiter) > 0);
  await limiter.blockAsync('a', '1h');
  assert.equal(held(limiter), 0);
  assert.equal((await limiter.consumeAsync('a')).allowed, false);
  assert.equal(await limiter.resetAsync('a'), true);
  assert.equal((await limiter.consumeAsync('a')).allowed, true);
  assert.equal(await used(limiter), 1);
});

/** Whether a limiter that is destroyed gives back what it holds. */
async function givesBack(redis) {
  const name = freshName();
  const limiter = open(redis, { name });
  await call(limiter, 100);
  assert.ok(held(limiter) > 0);
  assert.equal(RateLimiter.destroy(name), true);
  assert.throws(() => limiter.tryConsume('a'), { code: 'ERR_SLUICE_CLOSED' });
  const exact = open(redis, { name, scope: { mode: 'exact' } });
  // What was asked for before goes back once it has come.
  for (let n = 0; n < 50; n++) if ((await used(exact)) === 100) return true;
  return false;
}

/** Units lapse where the server has charged another call since it granted them, as one that came while more was asked for. */
test('a destroyed limiter gives back what it holds', withRedis, async (t) => {
  const redis = await startRedis(t);
  await open(redis).ready();
  let givenBack = 0;
  for (let n = 0; n < 20; n++) givenBack += Number(await givesBack(redis));
  assert.ok(givenBack >= 3, `${givenBack} of 20`);
});

test('other options hold anew what they hold', withRedis, async (t) => {
  const limiter = open(await startRedis(t));
  await call(limiter, 100);
  limiter.reconfigure({ limit: 20_000 });
  assert.equal((await limiter.consumeAsync('a')).limit, 20_000);
  await call(limiter, 100);
  assert.equal(limiter.consume('a').limit, 20_000);
});

test('while the server is away, what is held is used, and then onError decides', withRedis, async (t) => {
  const redis = await startRedis(t, { persists: true });
  const limiter = open(redis);
  await call(limiter, 300);
  await redis.kill();
  await until(() => limiter.stats().fleet.state === 'away');
  const sources = new Set();
  for (let n = 0; n < 10_000 && !sources.has('deny'); n++) sources.add(limiter.consume('a').source);
  assert.ok(sources.has('deny'));
  assert.deepEqual([limiter.consume('a').degraded, (await limiter.consumeAsync('a')).source], [true, 'deny']);
});

test('without a server, onError decides synchronous calls too', async () => {
  const url = `redis://127.0.0.1:${await freePort()}`;
  for (const [onError, admits] of [
    ['allow', true],
    ['deny', false],
    ['local', true],
  ]) {
    const limiter = open({ url }, { scope: { onError } });
    await limiter.consumeAsync('a');
    await until(() => limiter.stats().fleet.state === 'away');
    assert.equal(limiter.tryConsume('a'), admits, onError);
    assert.equal(limiter.consume('a').source, onError);
  }
});

test('a guard decides at once by what is held', withRedis, async (t) => {
  const redis = await startRedis(t);
  const scope = { redis: redis.url, mode: 'lease', timeout: '20s', onError: 'deny' };
  const guard = createGuard(freshName(), { rateLimit: QUOTA, scope });
  await guard.limiter.ready({ timeout: '30s' });
  const request = { method: 'GET', url: '/', headers: {}, socket: { remoteAddress: '203.0.113.7' } };
  let checked = guard.check(request);
  assert.ok(checked instanceof Promise);
  for (let n = 0; n < 50; n++) checked = guard.check(request);
  for (let n = 0; n < 200 && checked instanceof Promise; n++) {
    await checked;
    checked = guard.check(request);
  }
  assert.deepEqual([checked.allowed, checked.decision.source], [true, 'lease']);
  assert.match(checked.headers.RateLimit, /;r=\d+/);
});

test('countOnly holds charges again, and what is not used then goes back', withRedis, async (t) => {
  const redis = await startRedis(t);
  const scope = { redis: redis.url, mode: 'lease', timeout: '20s', onError: 'deny' };
  const rateLimit = { ...QUOTA, algorithm: 'fixed-window' };
  const guard = createGuard(freshName(), { rateLimit, scope, countOnly: 'failures' });
  const app = express();
  app.use(guard.express());
  app.get('/:status', (req, res) => res.sendStatus(Number(req.params.status)));
  const port = await serve(t, app);
  for (let n = 0; n < 30; n++) await ask(port, { path: '/200' });
  for (let n = 0; n < 5; n++) await ask(port, { path: '/401' });
  await until(() => guard.stats().refunded === 30);
  const { key } = guard.clientOf({
    method: 'GET',
    url: '/',
    headers: {},
    socket: { remoteAddress: '127.0.0.1' },
  });
  while ((await used(guard.limiter, key)) !== 5) await turn();
  assert.equal(guard.stats().allowed, 35);
});

test('a server that evicts keys is warned of, once', withRedis, async (t) => {
  const redis = await startRedis(t, { args: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'] });
  const warnings = [];
  const note = (warning) => warning.code === 'SLUICE_REDIS_EVICTS' && warnings.push(warning);
  process.on('warning', note);
  t.after(() => process.off('warning', note));
  for (const mode of ['exact', 'lease']) await call(open(redis, { scope: { mode } }), 2);
  await until(() => warnings.length > 0);
  await turn();
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0].message,
    /127\.0\.0\.1:\d+\/0 has maxmemory-policy allkeys-lru.*accepted: noeviction/,
  );
});
