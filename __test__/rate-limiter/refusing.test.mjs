// stats().refusing: how many clients are refused now. An estimate, made at most once a second.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sluice from '../../index.js';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { RateLimiter, createGuard } = sluice;

const freshName = freshNames('refusing');
const clock = stopClock();

function use(limiter, keys, calls) {
  for (let n = 0; n < keys; n++) for (let call = 0; call < calls; call++) limiter.tryConsume(`key-${n}`);
}

describe('one limit', () => {
  for (const algorithm of ['gcra', 'fixed-window', 'sliding-window']) {
    test(`${algorithm}: the keys without quota, until they have some`, () => {
      const limiter = new RateLimiter(freshName(), { limit: 2, window: '10s', algorithm });
      assert.equal(limiter.stats().refusing, 0);
      clock.advance('1s');
      use(limiter, 30, 2);
      limiter.tryConsume('half');
      const { refusing, size } = limiter.stats();
      assert.deepEqual([refusing, size], [30, 31]);
      assert.equal(limiter.peek('key-7').allowed, false);
      clock.advance('20s');
      assert.deepEqual([limiter.stats().refusing, limiter.peek('key-7').allowed], [0, true]);
    });
  }
});

test('several limits: a key counts when any of them refuses it', () => {
  const limits = [
    { name: 'short', limit: 1, window: '1s' },
    { name: 'long', limit: 3, window: '1h', algorithm: 'fixed-window' },
  ];
  const limiter = new RateLimiter(freshName(), { limits });
  use(limiter, 5, 1);
  assert.equal(limiter.stats().refusing, 5);
  clock.advance('2s');
  assert.equal(limiter.stats().refusing, 0);
  use(limiter, 5, 1);
  clock.advance('2s');
  use(limiter, 5, 1);
  clock.advance('2s');
  assert.equal(limiter.stats().refusing, 5);
});

test('blocked keys count, until the block ends', () => {
  const limiter = new RateLimiter(freshName(), { limit: 10, window: '1s' });
  limiter.block('new', '1m');
  limiter.tryConsume('known');
  limiter.block('known', '2m');
  assert.equal(limiter.stats().refusing, 2);
  clock.advance('1m');
  assert.equal(limiter.stats().refusing, 1);
  limiter.reset('known');
  clock.advance('1s');
  assert.equal(limiter.stats().refusing, 0);
});

test('dryRun: those that a live limiter would refuse', () => {
  const limiter = new RateLimiter(freshName(), { limit: 1, window: '1m', dryRun: true });
  use(limiter, 3, 2);
  assert.deepEqual([limiter.stats().refusing, limiter.stats().refused], [3, 0]);
});

test('the table is read at most once a second', () => {
  const limiter = new RateLimiter(freshName(), { limit: 1, window: '1m' });
  use(limiter, 3, 1);
  assert.equal(limiter.stats().refusing, 3);
  use(limiter, 9, 1);
  clock.advance(999);
  assert.deepEqual([limiter.stats().refusing, limiter.stats().size], [3, 9]);
  clock.advance(1);
  assert.equal(limiter.stats().refusing, 9);
});

test('other options and clear() make it anew', () => {
  const limiter = new RateLimiter(freshName(), { limit: 2, window: '1m', algorithm: 'fixed-window' });
  use(limiter, 4, 2);
  assert.equal(limiter.stats().refusing, 4);
  limiter.reconfigure({ limit: 10 });
  assert.equal(limiter.stats().refusing, 0);
  use(limiter, 4, 8);
  clock.advance('1s');
  assert.equal(limiter.stats().refusing, 4);
  limiter.clear();
  assert.equal(limiter.stats().refusing, 0);
});

test('a guard has it in its stats and metrics', () => {
  const guard = createGuard(freshName(), { rateLimit: { limit: 1, window: '1m' } });
  guard.limiter.tryConsume('a');
  assert.equal(guard.stats().rateLimit.refusing, 1);
  assert.match(guard.metrics(), /^sluice_limiter_refusing\{[^}]*\} 1$/m);
});
