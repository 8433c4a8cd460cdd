// Reported times never exceed their window, on the real clock.
import assert from 'node:assert/strict';
import test from 'node:test';
import fastify from 'fastify';
import sluice from '../../index.js';
import plugin from '../../lib/fastify.js';
import { freshName } from '../helpers/peer.mjs';

const { CircuitBreaker, RateLimiter, Reputation } = sluice;

const WINDOW_MS = 60_000;
/** Enough calls to fall on every fraction of a millisecond. */
const KEYS = Array.from({ length: 2_000 }, (_, i) => `client ${i}`);
const most = (values) => values.reduce((a, b) => Math.max(a, b), 0);

test('a fixed window reports at most its length, for the first call and for refusals', () => {
  const limiter = new RateLimiter(freshName(), { algorithm: 'fixed-window', limit: 1, window: WINDOW_MS });
  const admitted = KEYS.map((key) => limiter.consume(key));
  const refused = KEYS.map((key) => limiter.consume(key));
  assert.ok(most(admitted.map((decision) => decision.resetAfterMs)) <= WINDOW_MS);
  assert.ok(most(refused.map((decision) => decision.retryAfterMs)) <= WINDOW_MS);
  // Nor less than that: each of these calls starts its window.
  assert.ok(admitted.every((decision) => decision.resetAfterMs === WINDOW_MS));
});

test('a fixed window whose end is stored in coarser units reports at most its length', () => {
  const hours = 12 * 3_600_000;
  const limiter = new RateLimiter(freshName(), {
    algorithm: 'fixed-window',
    limit: 2 ** 32 - 1,
    window: hours,
  });
  assert.ok(most(KEYS.map((key) => limiter.consume(key).resetAfterMs)) <= hours);
});

test('the headers of a fixed window never report t above w', async (t) => {
  const app = fastify();
  t.after(() => app.close());
  await app.register(plugin, {
    name: freshName(),
    rateLimit: { algorithm: 'fixed-window', limit: 1, window: WINDOW_MS },
    key: (request) => request.headers['x-key'],
  });
  app.get('/', async () => 'served');
  const parameter = (field, name) => Number(new RegExp(`;${name}=(\\d+)`).exec(field)[1]);
  for (const key of KEYS.slice(0, 300)) {
    const { headers } = await app.inject({ url: '/', headers: { 'x-key': key } });
    const [reset, window] = [parameter(headers.ratelimit, 't'), parameter(headers['ratelimit-policy'], 'w')];
    assert.ok(reset <= window, `${headers.ratelimit} beside ${headers['ratelimit-policy']}`);
  }
});

test('a GCRA limit of 1, a block, a ban and an open circuit report at most their duration', () => {
  const gcra = new RateLimiter(freshName(), { limit: 1, window: WINDOW_MS });
  assert.ok(most(KEYS.map((key) => gcra.consume(key).resetAfterMs)) <= WINDOW_MS);
  assert.ok(most(KEYS.map((key) => gcra.consume(key).retryAfterMs)) <= WINDOW_MS);
  const blocked = KEYS.map((key) => {
    gcra.block(`blocked ${key}`, WINDOW_MS);
    return gcra.consume(`blocked ${key}`).retryAfterMs;
  });
  assert.ok(most(blocked) <= WINDOW_MS);

  const times = { maxFailures: 1, findTime: '1m', banTime: WINDOW_MS, maxBanTime: '7d' };
  const reputation = new Reputation(freshName(), times);
  const bans = KEYS.map((_, i) => reputation.recordFailure(`203.0.${i >> 8}.${i & 255}`).retryAfterMs);
  assert.ok(most(bans) <= WINDOW_MS);

  const breaker = new CircuitBreaker(freshName(), {
    window: { calls: 1 },
    minimumCalls: 1,
    openFor: WINDOW_MS,
  });
  const open = KEYS.map((target) => {
    breaker.tryAcquire(target).failure(new Error('down'));
    return breaker.stats(target).retryAfterMs;
  });
  assert.ok(most(open) <= WINDOW_MS);
});
