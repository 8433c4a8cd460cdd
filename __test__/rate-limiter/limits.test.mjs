// Several limits in one limiter: one decision, described by the limit that determines it. Uses a manual clock.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import symbols from '../../lib/rate-limiter/symbols.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;
const { kDecide, kReceipt, kUndo } = symbols;

const clock = testing.manualClock();
test.after(() => clock.restore());

// Each test starts on a full hour.
test.beforeEach(() => clock.set(Math.ceil(clock.now / 3_600_000) * 3_600_000));

const fresh = (...limits) => new RateLimiter(freshName(), { limits });
const fields = ({ allowed, limit, remaining, resetAfterMs, retryAfterMs, policy }) => [
  allowed,
  limit,
  remaining,
  resetAfterMs,
  retryAfterMs,
  policy,
];

const SECOND = { name: 'second', limit: 5, window: '1s' };
const MINUTE = { name: 'minute', limit: 8, window: '1m', algorithm: 'fixed-window' };
const HOUR = { name: 'hour', limit: 10, window: '1h', algorithm: 'sliding-window' };

test('a call is charged to all limits, or to none when one of them refuses', () => {
  const limiter = fresh(SECOND, MINUTE, HOUR);
  assert.equal(limiter.tryConsume('a', 5), true);
  for (let call = 0; call < 50; call++) assert.equal(limiter.tryConsume('a'), false, 'second is exhausted');
  clock.advance('1s');
  for (let call = 0; call < 50; call++) assert.equal(limiter.tryConsume('a', 4), false, 'minute has 3 left');
  assert.equal(limiter.tryConsume('a', 3), true);
  clock.advance('1m');
  for (let call = 0; call < 50; call++) assert.equal(limiter.tryConsume('a', 3), false, 'hour has 2 left');
  assert.equal(limiter.tryConsume('a', 2), true);
  assert.deepEqual([limiter.stats().allowed, limiter.stats().refused], [3, 150]);
});

test('a refusal describes the limit with the longest wait', () => {
  const limiter = fresh(SECOND, MINUTE, HOUR);
  limiter.tryConsume('a', 5);
  assert.deepEqual(fields(limiter.consume('a')), [false, 5, 0, 1000, 200, 'second']);
  assert.deepEqual(fields(limiter.consume('a', 4)).slice(3), [60_000, 60_000, 'minute'], 'minute has 3 left');
  clock.advance('1s');
  limiter.tryConsume('a', 3);
  // The 8 of this hour must fade to 7 in the next: 8 × (1 − f) + 3 = 10 at f = 1/8, 450 s.
  assert.deepEqual(fields(limiter.consume('a', 3)), [false, 10, 2, 7_199_000, 4_049_000, 'hour']);
  assert.deepEqual(fields(limiter.consume('a', 1)), [false, 8, 0, 59_000, 59_000, 'minute']);
});

test('an admitted call describes the limit with the smallest remaining share', () => {
  const limiter = fresh(SECOND, MINUTE, HOUR);
  const policy = (cost) => limiter.consume('a', cost).policy;
  // Remaining shares: 4/5, 7/8, 9/10; one second later 5/5, 7/8, 9/10.
  assert.equal(policy(1), 'second');
  clock.advance('1s');
  assert.equal(limiter.peek('a').policy, 'minute');
  clock.advance('1m');
  assert.equal(limiter.peek('a').policy, 'hour');
  assert.deepEqual(
    fresh(MINUTE, { ...MINUTE, name: 'same' }).consume('a').policy,
    'minute',
    'the first of equals',
  );
});

test('a refused call is admitted after retryAfterMs, and not a millisecond earlier', () => {
  for (const cost of [1, 2, 3, 5]) {
    const limiter = fresh(SECOND, MINUTE, HOUR);
    for (let call = 0; call < 40; call++) {
      const { allowed, retryAfterMs } = limiter.consume('a', cost);
      if (allowed) continue;
      clock.advance(retryAfterMs - 1);
      assert.equal(limiter.tryConsume('a', cost), false, '1 ms early');
      clock.advance(1);
      assert.equal(limiter.tryConsume('a', cost), true);
    }
  }
});

test('retryAfterMs is Infinity when the cost exceeds one of the limits, and that limit is described', () => {
  const limiter = fresh(MINUTE, SECOND, HOUR);
  assert.deepEqual(fields(limiter.consume('a', 6)), [false, 5, 5, 0, Infinity, 'second']);
  assert.equal(limiter.size, 0);
});

test('refund, penalize, block and reset apply to all limits', () => {
  const limiter = fresh(SECOND, MINUTE, HOUR);
  limiter.penalize('a', 100);
  assert.equal(limiter.consume('a').policy, 'hour');
  limiter.refund('a', 5);
  assert.deepEqual([limiter.peek('a').policy, limiter.peek('a').remaining], ['hour', 5]);
  assert.equal(limiter.tryConsume('a', 5), true);
  limiter.block('a', '1d');
  assert.equal(limiter.consume('a').retryAfterMs, 86_400_000);
  assert.equal(limiter.reset('a'), true);
  assert.equal(limiter.consume('a', 5).remaining, 0);
});

for (const algorithm of ['gcra', 'fixed-window', 'sliding-window']) {
  test(`${algorithm}: undo refunds a call under the limit that the call was given`, () => {
    const limiter = new RateLimiter(freshName(), { limit: 1, window: '1m', algorithm });
    limiter[kDecide]('a', 5, 10);
    limiter[kDecide]('a', 2, 10);
    const receipt = limiter[kReceipt]('a', 2);
    limiter[kDecide]('b', 1, 3);
    limiter[kUndo](receipt);
    assert.equal(limiter[kDecide]('a', 1, 10).remaining, 4, '5 stay charged');
    assert.equal(limiter[kDecide]('b', 1, 3).remaining, 1);
  });
}

test('an unnamed limit is named by its quota, in the largest whole unit of time', () => {
  const named = [
    [{ limit: 10, window: '1s' }, '10-per-1s'],
    [{ limit: 10, window: 1000 }, '10-per-1s'],
    [{ limit: 3, window: 1500 }, '3-per-1500ms'],
    [{ limit: 100, window: '60s' }, '100-per-1m'],
    [{ limit: 7, window: '90m', algorithm: 'fixed-window' }, '7-per-90m'],
    [{ limit: 1000, window: '48h', algorithm: 'sliding-window' }, '1000-per-2d'],
  ];
  for (const [limit, name] of named) assert.equal(fresh(limit).consume('a').policy, name);
  const limiter = new RateLimiter(freshName(), { limit: 1, window: '1s' });
  assert.equal(limiter.consume('a').policy, limiter.name);
});

test('a limiter takes six limits', () => {
  const limits = [1, 2, 3, 4, 5, 6].map((days) => ({ limit: 7 - days, window: `${days}d` }));
  const limiter = fresh(...limits);
  assert.deepEqual(fields(limiter.consume('a')), [true, 1, 0, 6 * 86_400_000, 0, '1-per-6d']);
  assert.equal(limiter.consume('a').policy, '1-per-6d');
});

test('attaching without options reports the names of the limits', () => {
  const limiter = fresh(SECOND, MINUTE);
  const attached = new RateLimiter(limiter.name);
  assert.equal(attached.consume('a', 5).policy, 'second');
  assert.deepEqual(attached.handle('a').peek(), limiter.peek('a'));
});

test('equal limits attach, however they are written; others are a config mismatch of limits', () => {
  const limits = [{ limit: 10, window: '1s' }, MINUTE];
  const { name } = fresh(...limits);
  const same = { window: 1000, limit: 10, burst: 10, algorithm: 'gcra', name: '10-per-1s' };
  assert.ok(new RateLimiter(name, { limits: [same, MINUTE], maxKeys: 1_000_000 }));
  const differing = [
    { limits: [MINUTE, limits[0]] },
    { limits: [limits[0], HOUR] },
    { limits: [limits[0], { ...MINUTE, limit: 9 }] },
    { limits: [limits[0], { ...MINUTE, name: 'other' }] },
    { limits: [{ ...limits[0], burst: 11 }, MINUTE] },
    { limits: [limits[0]] },
    { limit: 10, window: '1s' },
  ];
  for (const options of differing) {
    assert.throws(() => new RateLimiter(name, options), {
      code: 'ERR_SLUICE_CONFIG_MISMATCH',
      message: /was created with limits = 10-per-1s: 10 per 1000 ms.*; minute: 8 per 60000 ms.*given: /,
    });
  }
});

test('limits with one entry is the same as a single limit, except for its name', () => {
  const { name } = fresh({ name: 'only', limit: 10, window: '1s' });
  assert.ok(new RateLimiter(name, { limits: [{ name: 'only', limit: 10, window: '1s' }] }));
  assert.throws(() => new RateLimiter(name, { limit: 10, window: '1s' }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /limits\[0\]\.name = only; given: test-/,
  });
  const plain = new RateLimiter(freshName(), { limit: 10, window: '1s' });
  assert.ok(new RateLimiter(plain.name, { limits: [{ name: plain.name, limit: 10, window: '1s' }] }));
});

test('an invalid entry of limits is rejected by its index, and nothing is created', () => {
  const valid = { limit: 10, window: '1s' };
  const second = [
    [null, /limits\[1\] options is null; accepted: an object$/],
    ['10/s', /limits\[1\] options is "10\/s"/],
    [{ limit: 10 }, /limits\[1\] window is undefined; .* required: limit, window$/],
    [{ limit: 0, window: '1s' }, /limits\[1\] limit is 0; accepted: an integer from 1/],
    [{ limit: 1, window: 'soon' }, /limits\[1\] window is "soon"/],
    [{ limit: 1, window: '1s', burst: 0 }, /limits\[1\] burst is 0/],
    [
      { limit: 1, window: '1s', algorithm: 'leaky' },
      /limits\[1\] algorithm is "leaky"; accepted: "gcra", "fixed-w/,
    ],
    [
      { limit: 1, window: '1s', max: 1 },
      /limits\[1\] has no option "max"; accepted: name, limit, window, burst/,
    ],
    [{ limit: 1, window: '1s', maxKeys: 1 }, /limits\[1\] has no option "maxKeys"/],
    [{ ...MINUTE, burst: 8 }, /limits\[1\] burst is 8; accepted: nothing: a window has no burst/],
    [{ ...MINUTE, limit: 2 ** 32 }, /limits\[1\] limit is 4294967296; accepted: at most 4294967295/],
    [{ ...HOUR, limit: 2 ** 23 }, /limits\[1\] limit is 8388608; accepted: at most 8388607/],
    [{ ...MINUTE, window: 9 }, /limits\[1\] limit, window is 9 ms; accepted: .* at least 10 ms/],
    [{ limit: 3_000_000, window: '1s' }, /limits\[1\] limit is 3000000 per 1000 ms.*0\.1 %/],
    [{ limit: 10, window: 1000 }, /limits\[1\] name is "10-per-1s"; accepted: a name of its own/],
    [{ limit: 11, window: '1s', name: '10-per-1s' }, /limits\[1\] name is "10-per-1s"; accepted: a name of/],
  ];
  const lists = [
    ...second.map(([limit, message]) => [{ limits: [valid, limit] }, message]),
    [{ limits: [] }, /limits is 0 limits; accepted: 1 to 6 limits$/],
    [{ limits: Array.from({ length: 7 }, (_, i) => ({ limit: i + 1, window: '1s' })) }, /is 7 limits; acc/],
    [
      { limits: valid },
      /limits is an object; accepted: an array of \{ name\?, limit, window, burst\?, algor/,
    ],
    // biome-ignore lint/suspicious/noSparseArray: a sparse array is the input under test
    [{ limits: [valid, , { limit: 9, window: '1s' }] }, /limits\[1\] options is undefined/],
    [{ limits: [valid], limit: 5 }, /^RateLimiter limit is 5; accepted: nothing beside limits/],
    [{ limits: [valid], window: '5s' }, /^RateLimiter window is 5000; accepted: nothing beside limits/],
    [{ limits: [valid], burst: 5 }, /^RateLimiter burst is 5; accepted: nothing beside limits/],
    [
      { limits: [valid], algorithm: 'gcra' },
      /^RateLimiter algorithm is "gcra"; accepted: nothing beside lim/,
    ],
  ];
  for (const [options, message] of lists) {
    const name = freshName();
    assert.throws(() => new RateLimiter(name, options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
    assert.throws(() => new RateLimiter(name), { code: 'ERR_SLUICE_NOT_FOUND' });
  }
  for (const name of ['', 7, 'x'.repeat(129)]) {
    const message = /^RateLimiter limits\[1\] name is .*; accepted: a non-empty string of at most 128/;
    assert.throws(() => fresh(valid, { ...MINUTE, name }), { code: 'ERR_SLUICE_INVALID_NAME', message });
  }
});
