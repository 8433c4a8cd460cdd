// RateLimiter.block, and RateLimiter.reconfigure of a single GCRA limit. Uses a manual clock.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;

const clock = testing.manualClock();
test.after(() => clock.restore());

const fresh = (options) => new RateLimiter(freshName(), options);
const retryAfter = (limiter, key, cost) => limiter.consume(key, cost).retryAfterMs;

test('a block refuses every call until it ends', () => {
  const limiter = fresh({ limit: 5, window: '1s' });
  assert.equal(limiter.block('a', '10m'), true);
  const { allowed, remaining, retryAfterMs, resetAfterMs } = limiter.consume('a');
  assert.deepEqual([allowed, remaining, retryAfterMs, resetAfterMs], [false, 0, 600_000, 600_000]);
  assert.equal(limiter.peek('a').allowed, false);
  clock.advance(599_999);
  assert.equal(limiter.tryConsume('a'), false);
  clock.advance(1);
  assert.equal(limiter.consume('a', 5).remaining, 0);
  assert.equal(limiter.tryConsume('b'), true, 'no other key is blocked');
});

test('of two blocks the later end applies', () => {
  const limiter = fresh({ limit: 5, window: '1s' });
  limiter.block('a', '10m');
  limiter.block('a', '1m');
  assert.equal(retryAfter(limiter, 'a'), 600_000);
  limiter.block('a', '20m');
  assert.equal(retryAfter(limiter, 'a'), 1_200_000);
});

test('consume, refund, penalize and reconfigure leave a block unchanged', () => {
  const limiter = fresh({ limit: 5, window: '1s' });
  limiter.block('a', '10m');
  limiter.tryConsume('a');
  limiter.refund('a', 100);
  limiter.penalize('a', 100);
  limiter.reconfigure({ limit: 1000 });
  assert.equal(retryAfter(limiter, 'a'), 600_000);
});

test('charges made before a block still apply after it', () => {
  const limiter = fresh({ limit: 6, window: '1m' });
  limiter.tryConsume('a', 6);
  limiter.block('a', '10s');
  assert.equal(retryAfter(limiter, 'a', 3), 30_000, 'the limit refuses for longer than the block');
  clock.advance('10s');
  assert.deepEqual([limiter.peek('a').remaining, retryAfter(limiter, 'a', 3)], [1, 20_000]);
});

test('retryAfterMs is Infinity for a blocked key when the cost exceeds the burst', () => {
  const limiter = fresh({ limit: 5, window: '1s' });
  limiter.block('a', '10m');
  assert.equal(retryAfter(limiter, 'a', 6), Infinity);
});

test('reset ends a block', () => {
  const limiter = fresh({ limit: 5, window: '1s' });
  limiter.block('a', '10m');
  assert.equal(limiter.reset('a'), true);
  assert.equal(limiter.tryConsume('a', 5), true);
});

test('a block may last a hundred years', () => {
  const limiter = fresh({ limit: 5, window: '1s' });
  assert.equal(limiter.block('a', '36525d'), true);
  assert.equal(retryAfter(limiter, 'a'), 36_525 * 86_400_000);
});

test('block rejects a missing or invalid duration and blocks no key', () => {
  const limiter = fresh({ limit: 5, window: '1s' });
  for (const duration of [
    0,
    -1,
    1.5,
    NaN,
    Infinity,
    '36526d',
    '',
    '10',
    '1w',
    '-1s',
    ' 1s',
    undefined,
    null,
    {},
    1n,
  ]) {
    const invalid = {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /^block duration is .*; accepted: milliseconds/,
    };
    assert.throws(() => limiter.block('a', duration), invalid);
  }
  assert.equal(limiter.tryConsume('a', 5), true);
});

test('reconfigure changes the given options and keeps the others', () => {
  const limiter = fresh({ limit: 10, window: '1m' });
  limiter.reconfigure({ limit: 20 });
  assert.deepEqual(
    [limiter.peek('a').limit, limiter.peek('a').remaining],
    [20, 20],
    'the burst follows the limit',
  );
  limiter.reconfigure({ burst: 5 });
  assert.deepEqual([limiter.peek('a').limit, limiter.peek('a').remaining], [20, 5]);
  limiter.reconfigure({ limit: 60, window: '1h' });
  assert.deepEqual(
    [limiter.peek('a').limit, limiter.peek('a').remaining],
    [60, 5],
    'an explicit burst stays',
  );
  limiter.reconfigure({ dryRun: true });
  assert.equal(limiter.consume('a', 6).wouldRefuse, true);
});

test('reconfigure keeps what keys have consumed', () => {
  const limiter = fresh({ limit: 10, window: '10s' });
  limiter.tryConsume('a', 6);
  limiter.reconfigure({ limit: 20, window: '20s' });
  assert.equal(limiter.peek('a').remaining, 14);
});

test('a lower limit refuses no key for longer than its own window', () => {
  const limiter = fresh({ limit: 100, window: '30d' });
  limiter.tryConsume('a', 100);
  limiter.reconfigure({ limit: 10, window: '1s' });
  assert.deepEqual([limiter.peek('a').resetAfterMs, retryAfter(limiter, 'a')], [1000, 100]);
});

test('maxKeys and overflow are fixed; a rejected reconfigure changes nothing', () => {
  const limiter = fresh({ limit: 10, window: '1m', maxKeys: 5, overflow: 'deny' });
  const invalidOptions = [
    [{ maxKeys: 6 }, /maxKeys is 6; accepted: 5/],
    [{ overflow: 'evict' }, /overflow is "evict"; accepted: "deny"/],
    [{ limit: 0 }, /limit is 0; accepted: an integer from 1/],
    [{ window: 'soon' }, /window is "soon"; accepted: milliseconds/],
    [{ limit: 3_000_000, window: '1s' }, /0\.1 %/],
    [{ lmit: 5 }, /has no option "lmit"/],
    [7, /options is 7; accepted: an object/],
  ];
  for (const [options, message] of invalidOptions) {
    assert.throws(() => limiter.reconfigure(options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
  }
  limiter.reconfigure({ maxKeys: 5, overflow: 'deny' });
  assert.equal(limiter.peek('a').limit, 10);
});
