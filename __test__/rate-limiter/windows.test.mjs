// The fixed-window and sliding-window algorithms: when windows start and end, and what the weighted count admits, exact
// to the unit and the millisecond. Uses a manual clock.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;

const clock = testing.manualClock();
test.after(() => clock.restore());

const DAY = 86_400_000;
const ALGORITHMS = ['fixed-window', 'sliding-window'];
const WINDOWS = [
  [10, 10],
  ['1s', 1000],
  ['30d', 30 * DAY],
];

const fresh = (algorithm, options) => new RateLimiter(freshName(), { algorithm, ...options });

/** How many of `count` calls are admitted. */
const admitted = (count, call) => Array.from({ length: count }, call).filter(Boolean).length;

const fields = ({ allowed, limit, remaining, resetAfterMs, retryAfterMs }) => [
  allowed,
  limit,
  remaining,
  resetAfterMs,
  retryAfterMs,
];

/** Moves the clock to `ms` after the next window boundary, common to all windows used here. */
const moveIntoWindow = (ms = 0) => clock.set(Math.ceil((clock.now + 1) / (30 * DAY)) * 30 * DAY + ms);

for (const [window, ms] of WINDOWS) {
  test(`a fixed window starts at the first call and ends exactly after its length: ${window}`, () => {
    const limiter = fresh('fixed-window', { limit: 5, window });
    moveIntoWindow(7);
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(fields(limiter.consume('a', 2)), [true, 5, 3, ms, 0]);
      clock.advance(ms - 1);
      assert.deepEqual(fields(limiter.consume('a', 4)), [false, 5, 3, 1, 1]);
      assert.deepEqual(fields(limiter.consume('a', 3)), [true, 5, 0, 1, 0]);
      assert.equal(limiter.tryConsume('a'), false);
      clock.advance(1);
      assert.deepEqual(fields(limiter.peek('a')), [true, 5, 5, 0, 0]);
      clock.advance(Math.floor(ms / 3));
    }
  });

  test(`a sliding window weights the previous window by the share that still overlaps: ${window}`, () => {
    const limiter = fresh('sliding-window', { limit: 10, window });
    moveIntoWindow(ms - 1);
    assert.equal(
      admitted(12, () => limiter.tryConsume('a')),
      10,
    );
    clock.advance(1);
    // The ten calls of the previous window fade, one in each tenth of this one.
    for (let tenth = 0; tenth < 10; tenth++) {
      assert.equal(limiter.peek('a').remaining, tenth && 1);
      assert.equal(limiter.tryConsume('a'), tenth > 0);
      assert.deepEqual([limiter.peek('a').remaining, limiter.peek('a').retryAfterMs], [0, ms / 10]);
      clock.advance(ms / 10);
    }
    assert.equal(limiter.peek('a').remaining, 1);
    clock.advance(ms);
    assert.deepEqual(fields(limiter.peek('a')), [true, 10, 10, 0, 0]);
  });

  for (const algorithm of ALGORITHMS) {
    test(`${algorithm}: a refused call is admitted after retryAfterMs, and not a millisecond earlier: ${window}`, () => {
      for (const limit of [1, 2, 7, 1000]) {
        for (const cost of [1, Math.ceil(limit / 3), limit]) {
          const limiter = fresh(algorithm, { limit, window });
          moveIntoWindow(3);
          assert.equal(limiter.tryConsume('a', limit), true);
          for (let round = 0; round < 4; round++) {
            const { allowed, retryAfterMs } = limiter.consume('a', cost);
            assert.ok(!allowed && retryAfterMs > 0 && retryAfterMs <= 2 * ms);
            clock.advance(retryAfterMs - 1);
            assert.equal(limiter.tryConsume('a', cost), false, '1 ms early');
            clock.advance(1);
            assert.equal(limiter.tryConsume('a', cost), true);
            limiter.penalize('a', limit);
          }
        }
      }
    });

    test(`${algorithm}: a key is fully replenished after resetAfterMs, and not a millisecond earlier: ${window}`, () => {
      const limiter = fresh(algorithm, { limit: 4, window });
      for (const offset of [0, 3, ms - 1]) {
        moveIntoWindow(offset);
        const { resetAfterMs } = limiter.consume('a');
        assert.equal(resetAfterMs, algorithm === 'fixed-window' ? ms : 2 * ms - offset);
        clock.advance(resetAfterMs - 1);
        assert.deepEqual([limiter.peek('a').resetAfterMs, limiter.size], [1, 1]);
        clock.advance(1);
        assert.deepEqual(fields(limiter.peek('a')), [true, 4, 4, 0, 0]);
        assert.equal(limiter.size, 0);
      }
    });
  }
}

test('around the end of a fixed window up to twice its limit is admitted', () => {
  const limiter = fresh('fixed-window', { limit: 10, window: '1m' });
  limiter.tryConsume('a');
  clock.advance(59_999);
  assert.equal(limiter.tryConsume('a', 9), true);
  clock.advance(1);
  assert.equal(limiter.tryConsume('a', 10), true);
});

test('the published example: 42 in the previous minute, 18 in this one, a quarter of which has passed', () => {
  const limiter = fresh('sliding-window', { limit: 50, window: '1m' });
  moveIntoWindow(20_000);
  limiter.tryConsume('a', 42);
  clock.advance(40_000 + 15_000);
  // 42 × 0.75 + 18 = 49.5; the next makes 50.5, and is admitted once 42 × (1 − f) ≤ 31, so f = 11 / 42.
  assert.deepEqual(fields(limiter.consume('a', 18)), [true, 50, 0, 105_000, 0]);
  assert.equal(limiter.consume('a').retryAfterMs, Math.ceil((60_000 * 11) / 42) - 15_000);
});

test('a sliding window with limit 1 admits again once the previous call has faded completely', () => {
  const limiter = fresh('sliding-window', { limit: 1, window: '1s' });
  moveIntoWindow(250);
  assert.deepEqual(fields(limiter.consume('a')), [true, 1, 0, 1750, 0]);
  assert.equal(limiter.consume('a').retryAfterMs, 1750);
  clock.advance(1749);
  assert.equal(limiter.tryConsume('a'), false);
  clock.advance(1);
  assert.equal(limiter.tryConsume('a'), true);
});

for (const algorithm of ALGORITHMS) {
  const title = (text) => `${algorithm}: ${text}`;
  const start = (options) => {
    moveIntoWindow();
    return fresh(algorithm, { limit: 10, window: '1m', ...options });
  };
  const SPENT = algorithm === 'fixed-window' ? 60_000 : 120_000;

  test(title('a cost is charged whole or not at all; a cost above the limit is never admitted'), () => {
    const limiter = start();
    assert.equal(limiter.tryConsume('a', 8), true);
    for (let call = 0; call < 5; call++) assert.equal(limiter.tryConsume('a', 3), false);
    assert.deepEqual(fields(limiter.consume('a', 11)), [false, 10, 2, SPENT, Infinity]);
    assert.equal(limiter.tryConsume('a', Number.MAX_SAFE_INTEGER), false);
    assert.equal(limiter.tryConsume('a', 2), true);
    assert.equal(limiter.tryConsume('never seen', 11), false);
    assert.equal(limiter.size, 1);
  });

  test(title('peek charges nothing and counts nothing'), () => {
    const limiter = start();
    for (let call = 0; call < 12; call++) assert.deepEqual(fields(limiter.peek('a')), [true, 10, 10, 0, 0]);
    const { allowed, refused, size } = limiter.stats();
    assert.deepEqual([allowed, refused, size], [0, 0, 0]);
    limiter.tryConsume('a', 10);
    assert.deepEqual(fields(limiter.peek('a')).slice(0, 4), [false, 10, 0, SPENT]);
  });

  test(title('refund returns units, up to the limit'), () => {
    const limiter = start();
    limiter.tryConsume('a', 10);
    limiter.refund('a', 4);
    assert.equal(limiter.peek('a').remaining, 4);
    limiter.refund('a', Number.MAX_SAFE_INTEGER);
    limiter.refund('a');
    limiter.refund('never seen');
    assert.deepEqual([fields(limiter.peek('a')), limiter.size], [[true, 10, 10, 0, 0], 0]);
    assert.equal(
      admitted(15, () => limiter.tryConsume('a')),
      10,
    );
  });

  test(title('penalize charges unconditionally, until nothing remains'), () => {
    const limiter = start();
    limiter.penalize('a', 3);
    assert.deepEqual(fields(limiter.peek('a')), [true, 10, 7, SPENT, 0]);
    limiter.penalize('a', 1_000_000);
    limiter.penalize('a');
    assert.deepEqual(fields(limiter.peek('a')).slice(0, 4), [false, 10, 0, SPENT]);
    limiter.refund('a', 2);
    assert.equal(limiter.peek('a').remaining, 2, 'the penalties came to 10 units');
  });

  test(title('a block is independent of the count'), () => {
    const limiter = start();
    limiter.tryConsume('a', 10);
    const wait = limiter.peek('a').retryAfterMs;
    assert.equal(limiter.block('a', '10s'), true);
    limiter.refund('a', 10);
    limiter.penalize('a', 10);
    assert.equal(limiter.peek('a').retryAfterMs, wait, 'the limit refuses for longer than the block');
    limiter.block('a', '1h');
    assert.deepEqual(fields(limiter.consume('a')), [false, 10, 0, 3_600_000, 3_600_000]);
    assert.equal(limiter.stats().blocked, 1);
    clock.advance(3_599_999);
    assert.equal(limiter.tryConsume('a'), false);
    clock.advance(1);
    assert.equal(limiter.tryConsume('a', 10), true);
  });

  test(title('reset and clear remove count and block'), () => {
    const limiter = start();
    for (const remove of [() => limiter.reset('a'), () => limiter.clear()]) {
      limiter.tryConsume('a', 10);
      limiter.block('a', '1d');
      remove();
      assert.deepEqual(fields(limiter.peek('a')), [true, 10, 10, 0, 0]);
    }
    assert.equal(limiter.reset('a'), false);
    limiter.tryConsume('a');
    clock.advance(2 * 60_000);
    assert.equal(limiter.reset('a'), false, 'its window had ended');
  });

  test(title('a handle shares the quota of its key'), () => {
    const limiter = start();
    const handle = limiter.handle('a');
    assert.deepEqual(
      [handle.tryConsume(4), limiter.tryConsume('a', 4), handle.tryConsume(3)],
      [true, true, false],
    );
    assert.deepEqual(handle.peek(), limiter.peek('a'));
    assert.deepEqual(fields(handle.consume(2)), [true, 10, 0, SPENT, 0]);
  });

  test(title('dryRun decides and charges as usual, and admits every call'), () => {
    const limiter = start({ dryRun: true });
    assert.equal(limiter.consume('a', 10).wouldRefuse, false);
    const passed = limiter.consume('a');
    assert.deepEqual([fields(passed), passed.wouldRefuse], [[true, 10, 0, SPENT, 0], true]);
    assert.equal(limiter.tryConsume('a'), true);
    const { allowed, refused, dryRefused } = limiter.stats();
    assert.deepEqual([allowed, refused, dryRefused], [1, 0, 2]);
  });

  test(title('stats count calls, and keys whose windows still count'), () => {
    const limiter = start({ maxKeys: 2, overflow: 'deny' });
    for (const key of ['a', 'a', 'b', 'c']) limiter.tryConsume(key, 6);
    const calls = { allowed: 2, refused: 2, dryRefused: 0, untracked: 1, waiting: 0, waited: 0 };
    const expected = { ...calls, liveEvictions: 0 };
    assert.deepEqual(limiter.stats(), { ...expected, blocked: 0, refusing: 0, size: 2, capacity: 2 });
    assert.deepEqual(fields(limiter.consume('c')), [false, 10, 0, SPENT, SPENT]);
    clock.advance(SPENT - 1);
    assert.equal(limiter.tryConsume('c'), false);
    clock.advance(1);
    assert.deepEqual([limiter.size, limiter.tryConsume('c')], [0, true]);
  });

  test(title('a burst, and a limit that the counter cannot hold, are rejected'), () => {
    const most = algorithm === 'fixed-window' ? 2 ** 32 - 1 : 2 ** 23 - 1;
    const invalidOptions = [
      [{ burst: 10 }, /^RateLimiter burst is 10; accepted: nothing: a window has no burst/],
      [{ limit: most + 1 }, new RegExp(`^RateLimiter limit is ${most + 1}; accepted: at most ${most} for a`)],
      [{ limit: 2 ** 53 - 1 }, /^RateLimiter limit is 9007199254740991; accepted: at most/],
    ];
    for (const [options, message] of invalidOptions) {
      assert.throws(() => start(options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
    }
    const widest = start({ limit: most, window: '30d' });
    assert.deepEqual([widest.tryConsume('a', most), widest.tryConsume('a')], [true, false]);
    widest.refund('a', 1);
    assert.deepEqual([widest.tryConsume('a'), widest.peek('a').remaining], [true, 0]);
  });
}

test('a fixed window lasts at least 10 ms', () => {
  const invalid = {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /window is 9 ms; accepted: .* at least 10 ms$/,
  };
  assert.throws(() => fresh('fixed-window', { limit: 1, window: 9 }), invalid);
  const limiter = fresh('sliding-window', { limit: 1, window: 1 });
  moveIntoWindow();
  assert.deepEqual([limiter.tryConsume('a'), limiter.consume('a').retryAfterMs], [true, 2]);
});
