// The limiter of sluice/rate-limiter-flexible within the wrappers of the package.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import flexible from 'rate-limiter-flexible';
import stores from '../../lib/stores/rate-limiter-flexible.js';
import { freshNames } from '../helpers/setup.mjs';

const { RateLimiterMemory } = stores;
const { BurstyRateLimiter, RateLimiterQueue, RateLimiterRes, RateLimiterUnion } = flexible;
const freshName = freshNames('rlfw');
const limiterOf = (options) =>
  new RateLimiterMemory({ name: freshName(), maxKeys: 1000, points: 2, duration: 60, ...options });

/** How many of these calls, one after the other, are resolved. */
async function resolvedOf(count, call) {
  let resolved = 0;
  for (let i = 0; i < count; i++) {
    await call().then(
      () => (resolved += 1),
      (rejection) => assert.ok(!(rejection instanceof Error), String(rejection)),
    );
  }
  return resolved;
}

test('a union', async () => {
  const union = new RateLimiterUnion(
    limiterOf({ keyPrefix: 'short', points: 2 }),
    limiterOf({ keyPrefix: 'long', points: 3 }),
  );
  const both = await union.consume('ada');
  assert.deepEqual([both.short.remainingPoints, both.long.remainingPoints], [1, 2]);
  await union.consume('ada');
  await assert.rejects(union.consume('ada'), ({ short, long }) => short.consumedPoints === 3 && !long);
  await assert.rejects(union.consume('ada'), ({ long }) => long.consumedPoints === 4);
});

test('a queue serves the calls beyond the points in the next window', async (t) => {
  t.mock.timers.enable({ apis: ['Date', 'setTimeout'], now: 1_700_000_000_000 });
  const queue = new RateLimiterQueue(limiterOf({ points: 2, duration: 1 }), { maxQueueSize: 2 });
  const calls = Array.from({ length: 5 }, () => queue.removeTokens(1));
  let isServed = false;
  calls[3].then(() => {
    isServed = true;
  });
  // No time passes until each call is served, queued or refused.
  await Promise.allSettled([...calls.slice(0, 2), calls[4]]);
  t.mock.timers.tick(999);
  await new Promise(setImmediate);
  assert.equal(isServed, false);
  t.mock.timers.tick(1);
  const settled = await Promise.allSettled(calls);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'rejected'],
  );
  assert.match(settled[4].reason.message, /reached it's maximum 2/);
  await assert.rejects(queue.removeTokens(3), /exceeds maximum 2 tokens/);
});

test('a bursty limiter', async () => {
  const bursty = new BurstyRateLimiter(
    limiterOf({ points: 2 }),
    limiterOf({ keyPrefix: 'burst', points: 3 }),
  );
  assert.equal(await resolvedOf(8, () => bursty.consume('ada')), 5);
  assert.equal((await bursty.get('ada')).consumedPoints, 8);
});

test('black and white lists', async () => {
  const limiter = limiterOf({ keyPrefix: 'lists' });
  const lists = new flexible.RLWrapperBlackAndWhite({
    limiter,
    whiteList: ['friend'],
    isBlackListed: (key) => key === 'foe',
  });
  assert.equal(await resolvedOf(4, () => lists.consume('ada')), 2);
  assert.equal(await resolvedOf(4, () => lists.consume('friend')), 4);
  assert.equal(await resolvedOf(4, () => lists.consume('foe')), 0);
  assert.equal(await limiter.get('friend'), null);
  lists.blockDuration = 600;
  assert.equal(limiter.blockDuration, 600);
});

test('insurance of a limiter whose server is away', async () => {
  const insurance = limiterOf({ keyPrefix: 'insurance' });
  const insured = new flexible.RateLimiterRedis({
    storeClient: { rlflxIncr: fails, get: fails, multi: fails, defineCommand() {}, status: 'ready' },
    points: 5,
    duration: 60,
    blockDuration: 600,
    insuranceLimiter: insurance,
  });
  assert.equal(insurance.blockDuration, 600, 'the insured limiter sets it');
  assert.equal(await resolvedOf(4, () => insured.consume('ada')), 2);
  const blocked = await insurance.get('ada');
  assert.equal(blocked.consumedPoints, 4);
  assert.ok(blocked.msBeforeNext > 60_000);
});

async function fails() {
  throw new Error('the server is away');
}

test('a time limit', async () => {
  const limited = new flexible.RLWrapperTimeouts({ limiter: limiterOf(), timeoutMs: 60_000 });
  assert.ok((await limited.consume('ada')) instanceof RateLimiterRes);
  assert.equal(await resolvedOf(3, () => limited.consume('ada')), 1);
});
