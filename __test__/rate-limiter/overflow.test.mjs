// A full limiter, which holds maxKeys keys, reuses expired entries first; then overflow decides.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;

const clock = testing.manualClock();
test.after(() => clock.restore());

const full = (overflow, keys) => {
  const limiter = new RateLimiter(freshName(), { limit: 10, window: '10s', maxKeys: keys.length, overflow });
  for (const key of keys) assert.equal(limiter.tryConsume(key, 10), true);
  return limiter;
};

test('deny: a new key is refused until an entry expires, and no live key is evicted', () => {
  const limiter = full('deny', ['a', 'b', 'c']);
  const { allowed, remaining, retryAfterMs } = limiter.consume('d');
  assert.deepEqual([allowed, remaining, retryAfterMs], [false, 0, 10_000]);
  assert.equal(limiter.tryConsume('d'), false);
  for (const key of ['a', 'b', 'c']) assert.equal(limiter.tryConsume(key), false);
  const { untracked, refused, liveEvictions, size } = limiter.stats();
  assert.deepEqual([untracked, refused, liveEvictions, size], [2, 5, 0, 3]);
  clock.advance(9999);
  assert.equal(limiter.tryConsume('d'), false);
  clock.advance(1);
  assert.equal(limiter.tryConsume('d'), true);
});

test('allow: a new key is admitted uncounted', () => {
  const limiter = full('allow', ['a', 'b']);
  for (let i = 0; i < 25; i++) assert.equal(limiter.tryConsume('c'), true);
  const { allowed, untracked, size, liveEvictions } = limiter.stats();
  assert.deepEqual([allowed, untracked, size, liveEvictions], [27, 25, 2, 0]);
  assert.equal(limiter.tryConsume('a'), false);
});

test('evict: the key closest to a full bucket is evicted, and counted in liveEvictions', () => {
  const limiter = full('evict', ['a', 'b', 'c']);
  limiter.refund('b', 5);
  for (let unit = 0; unit < 10; unit++) assert.equal(limiter.tryConsume('d'), true);
  assert.equal(limiter.tryConsume('d'), false, 'the new key is charged from its first call');
  assert.deepEqual([limiter.tryConsume('a'), limiter.tryConsume('c')], [false, false]);
  assert.equal(limiter.peek('b').remaining, 10);
  const { liveEvictions, untracked, size } = limiter.stats();
  assert.deepEqual([liveEvictions, untracked, size], [1, 0, 3]);
});

test('an expired entry is reused before a live key is evicted', () => {
  const limiter = full('evict', ['a', 'b']);
  clock.advance('5s');
  limiter.penalize('b', 10);
  clock.advance('5s');
  assert.equal(limiter.tryConsume('c'), true);
  assert.equal(limiter.peek('b').remaining, 5);
  assert.equal(limiter.stats().liveEvictions, 0);
});

test('blocked keys are never evicted; when all are blocked a new key is admitted untracked', () => {
  const limiter = full('evict', ['a', 'b']);
  for (const key of ['a', 'b']) assert.equal(limiter.block(key, '1h'), true);
  for (let i = 0; i < 25; i++) assert.equal(limiter.tryConsume('c'), true);
  assert.equal(limiter.block('c', '1h'), false, 'a block needs an entry too');
  assert.deepEqual(
    [limiter.stats().untracked, limiter.stats().blocked, limiter.stats().liveEvictions],
    [26, 2, 0],
  );
  for (const key of ['a', 'b']) assert.equal(limiter.tryConsume(key), false);
});

test('a flood of new keys never exceeds maxKeys', () => {
  const limiter = new RateLimiter(freshName(), { limit: 10, window: '1h', maxKeys: 1000 });
  for (let i = 0; i < 100_000; i++) limiter.tryConsume(`key ${i}`);
  const { size, capacity, allowed, liveEvictions } = limiter.stats();
  assert.deepEqual([size, capacity, allowed, liveEvictions], [1000, 1000, 100_000, 99_000]);
});

test('a limiter with maxKeys 1 tracks one key', () => {
  const limiter = new RateLimiter(freshName(), { limit: 2, window: '1h', maxKeys: 1, overflow: 'deny' });
  assert.deepEqual(
    ['a', 'b', 'a', 'a'].map((key) => limiter.tryConsume(key)),
    [true, false, true, false],
  );
  limiter.reset('a');
  assert.equal(limiter.tryConsume('b'), true, 'reset frees the entry');
});
