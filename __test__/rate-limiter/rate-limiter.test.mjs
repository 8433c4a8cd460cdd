// RateLimiter with one GCRA limit: what each method returns, exact to the unit and the millisecond. Uses a manual
// clock.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;

const clock = testing.manualClock();
test.after(() => clock.restore());

const DAY = 86_400_000;
const fresh = (options) => new RateLimiter(freshName(), options);

/** How many of `count` calls are admitted. */
const admitted = (count, call) => Array.from({ length: count }, call).filter(Boolean).length;

/** The numeric fields of a decision. */
const fields = ({ allowed, limit, remaining, resetAfterMs, retryAfterMs }) => [
  allowed,
  limit,
  remaining,
  resetAfterMs,
  retryAfterMs,
];

test('admits the burst at once, then one unit for each T = window / limit', () => {
  const limiter = fresh({ limit: 10, window: '1s' });
  assert.equal(
    admitted(15, () => limiter.tryConsume('a')),
    10,
  );
  clock.advance(99);
  assert.equal(limiter.tryConsume('a'), false);
  clock.advance(1);
  assert.equal(
    admitted(2, () => limiter.tryConsume('a')),
    1,
  );
  clock.advance('1s');
  assert.equal(
    admitted(15, () => limiter.tryConsume('a')),
    10,
  );
});

test('admits at most burst + w / T in an interval of length w: 19 for a limit of 10 in the first window', () => {
  const limiter = fresh({ limit: 10, window: '1s' });
  let count = 0;
  for (let ms = 0; ms < 1000; ms++) {
    count += admitted(2, () => limiter.tryConsume('a'));
    clock.advance(1);
  }
  assert.equal(count, 19);
});

test('burst is the number of units admitted at once', () => {
  const limiter = fresh({ limit: 10, window: '1s', burst: 1 });
  assert.equal(
    admitted(5, () => limiter.tryConsume('a')),
    1,
  );
  clock.advance(100);
  assert.equal(
    admitted(5, () => limiter.tryConsume('a')),
    1,
  );
  const wide = fresh({ limit: 10, window: '1s', burst: 25 });
  assert.equal(
    admitted(30, () => wide.tryConsume('a')),
    25,
  );
});

for (const [window, ms] of [
  ['30d', 30 * DAY],
  ['1s', 1000],
  [10, 10],
  ['90m', 90 * 60_000],
]) {
  test(`a refused call is admitted after retryAfterMs and not a millisecond earlier: window ${window}`, () => {
    for (const limit of [1, 2, 5, 10]) {
      const limiter = fresh({ limit, window });
      assert.equal(
        admitted(limit + 3, () => limiter.tryConsume('a')),
        limit,
      );
      for (let round = 0; round < 3; round++) {
        const { allowed, retryAfterMs } = limiter.consume('a');
        assert.deepEqual([allowed, retryAfterMs], [false, ms / limit]);
        clock.advance(retryAfterMs - 1);
        assert.deepEqual([limiter.tryConsume('a'), limiter.peek('a').retryAfterMs], [false, 1]);
        clock.advance(1);
        assert.equal(limiter.tryConsume('a'), true);
      }
    }
  });
}

test('retryAfterMs is rounded up when T is not a whole number of milliseconds', () => {
  const limiter = fresh({ limit: 3, window: '1s' });
  assert.equal(
    admitted(4, () => limiter.tryConsume('a')),
    3,
  );
  assert.equal(limiter.consume('a').retryAfterMs, 334);
  clock.advance(333);
  assert.equal(limiter.tryConsume('a'), false);
  clock.advance(1);
  assert.equal(limiter.tryConsume('a'), true);
});

test('retryAfterMs takes the cost into account', () => {
  const limiter = fresh({ limit: 100, window: '10s' });
  limiter.tryConsume('a', 100);
  const { retryAfterMs } = limiter.consume('a', 37);
  assert.equal(retryAfterMs, 3700);
  clock.advance(3699);
  assert.equal(limiter.tryConsume('a', 37), false);
  clock.advance(1);
  assert.equal(limiter.tryConsume('a', 37), true);
  assert.equal(limiter.peek('a').remaining, 0);
});

test('a decision has limit, remaining, resetAfterMs, retryAfterMs and policy', () => {
  const limiter = fresh({ limit: 4, window: '1m' });
  const T = 15_000;
  assert.deepEqual(limiter.consume('a'), {
    allowed: true,
    limit: 4,
    remaining: 3,
    resetAfterMs: T,
    retryAfterMs: 0,
    policy: limiter.name,
  });
  assert.deepEqual(fields(limiter.consume('a', 3)), [true, 4, 0, 4 * T, 0]);
  assert.deepEqual(fields(limiter.consume('a')), [false, 4, 0, 4 * T, T]);
  clock.advance(T / 2);
  assert.deepEqual(fields(limiter.consume('a')), [false, 4, 0, 4 * T - T / 2, T / 2]);
  clock.advance(4 * T - T / 2);
  assert.deepEqual(fields(limiter.peek('a')), [true, 4, 4, 0, 0]);
});

test('a refused call consumes nothing', () => {
  const limiter = fresh({ limit: 5, window: '1h' });
  limiter.tryConsume('a', 3);
  for (let i = 0; i < 10; i++) assert.equal(limiter.tryConsume('a', 3), false);
  assert.equal(limiter.tryConsume('a', 2), true);
});

test('a cost above the burst is refused with retryAfterMs Infinity and the true remaining units, and adds no entry', () => {
  const limiter = fresh({ limit: 5, window: '1h' });
  limiter.tryConsume('a', 2);
  assert.deepEqual(fields(limiter.consume('a', 6)).slice(2), [3, 2 * 720_000, Infinity]);
  assert.deepEqual(fields(limiter.consume('never seen', 6)), [false, 5, 5, 0, Infinity]);
  assert.equal(limiter.tryConsume('a', Number.MAX_SAFE_INTEGER), false);
  assert.equal(limiter.size, 1);
});

test('peek charges nothing and counts nothing', () => {
  const limiter = fresh({ limit: 2, window: '1h' });
  for (let i = 0; i < 5; i++) assert.deepEqual(fields(limiter.peek('a')), [true, 2, 2, 0, 0]);
  limiter.tryConsume('a', 2);
  for (let i = 0; i < 5; i++) assert.equal(limiter.peek('a').allowed, false);
  const { allowed, refused, size } = limiter.stats();
  assert.deepEqual([allowed, refused, size], [1, 0, 1]);
});

test('refund returns units, up to the burst', () => {
  const limiter = fresh({ limit: 10, window: '1h' });
  limiter.tryConsume('a', 6);
  limiter.refund('a', 4);
  assert.equal(limiter.peek('a').remaining, 8);
  limiter.refund('a', Number.MAX_SAFE_INTEGER);
  limiter.refund('a');
  assert.equal(limiter.peek('a').remaining, 10);
  assert.equal(
    admitted(15, () => limiter.tryConsume('a')),
    10,
  );
  limiter.refund('never seen', 5);
  assert.equal(
    admitted(15, () => limiter.tryConsume('never seen')),
    10,
  );
});

test('penalize charges unconditionally, down to an empty bucket', () => {
  const limiter = fresh({ limit: 10, window: '1s' });
  limiter.penalize('a', 3);
  assert.equal(limiter.peek('a').remaining, 7);
  limiter.penalize('a', 1_000_000);
  limiter.penalize('a');
  assert.deepEqual(fields(limiter.consume('a')), [false, 10, 0, 1000, 100]);
  clock.advance(100);
  assert.equal(
    admitted(3, () => limiter.tryConsume('a')),
    1,
  );
});

test('reset removes a key and returns whether it had state', () => {
  const limiter = fresh({ limit: 1, window: '1h' });
  assert.equal(limiter.reset('a'), false);
  limiter.tryConsume('a');
  limiter.tryConsume('b');
  assert.equal(limiter.reset('a'), true);
  assert.equal(limiter.reset('a'), false);
  assert.deepEqual([limiter.tryConsume('a'), limiter.tryConsume('b')], [true, false]);
  clock.advance('1h');
  assert.equal(limiter.reset('b'), false, 'it has expired');
});

test('clear removes all keys and their blocks', () => {
  const limiter = fresh({ limit: 1, window: '1h' });
  for (const key of ['a', 'b']) limiter.tryConsume(key);
  limiter.block('c', '1d');
  limiter.clear();
  assert.equal(limiter.size, 0);
  for (const key of ['a', 'b', 'c']) assert.equal(limiter.tryConsume(key), true);
});

test('a handle shares the quota of its key', () => {
  const limiter = fresh({ limit: 5, window: '1h' });
  const handle = limiter.handle('a');
  assert.equal(handle.tryConsume(), true);
  assert.deepEqual(handle.consume(2), { ...limiter.peek('a'), allowed: true, retryAfterMs: 0 });
  assert.equal(limiter.tryConsume('a', 2), true);
  assert.deepEqual(
    [handle.tryConsume(), handle.consume().allowed, handle.peek().allowed],
    [false, false, false],
  );
  assert.deepEqual(handle.peek(), limiter.peek('a'));
  assert.equal(limiter.handle('b').tryConsume(5), true);
  limiter.clear();
  assert.equal(handle.tryConsume(5), true);
});

test('consumeMany decides each key in order', () => {
  const limiter = fresh({ limit: 2, window: '1h' });
  assert.deepEqual(limiter.consumeMany(['a', 'b', 'a', 'a', 'b']), [true, true, true, false, true]);
  assert.deepEqual(limiter.consumeMany(['c', 'c'], 2), [true, false]);
  assert.deepEqual(limiter.consumeMany([]), []);
});

test('consumeAsync resolves with what consume returns, and rejects where consume throws', async () => {
  const limiter = fresh({ limit: 2, window: '1h' });
  const promise = limiter.consumeAsync('a', 2);
  assert.ok(promise instanceof Promise);
  assert.deepEqual(fields(await promise), [true, 2, 0, 3_600_000, 0]);
  assert.equal((await limiter.consumeAsync('a')).allowed, false);
  await assert.rejects(limiter.consumeAsync(''), { code: 'ERR_SLUICE_INVALID_KEY' });
});

test('dryRun decides and charges as usual, and admits every call', () => {
  const limiter = fresh({ limit: 2, window: '1h', dryRun: true });
  assert.deepEqual(fields(limiter.consume('a', 2)), [true, 2, 0, 3_600_000, 0]);
  assert.equal(limiter.peek('a').wouldRefuse, true);
  assert.equal(limiter.tryConsume('a'), true);
  const passed = limiter.consume('a');
  assert.deepEqual(
    [passed.allowed, passed.wouldRefuse, passed.remaining, passed.retryAfterMs],
    [true, true, 0, 0],
  );
  assert.deepEqual([limiter.consume('b').wouldRefuse, limiter.consume('b', 3).wouldRefuse], [false, true]);
  const { allowed, refused, dryRefused } = limiter.stats();
  assert.deepEqual([allowed, refused, dryRefused], [2, 0, 3]);
  assert.equal('wouldRefuse' in fresh({ limit: 1, window: 1 }).consume('a'), false);
});

test('stats count all calls; size counts the keys that are not fully replenished', () => {
  const limiter = fresh({ limit: 2, window: '1m', maxKeys: 77 });
  for (let i = 0; i < 3; i++) limiter.tryConsume('a');
  limiter.consume('b');
  limiter.block('c', '2m');
  const expected = {
    allowed: 3,
    refused: 1,
    dryRefused: 0,
    untracked: 0,
    liveEvictions: 0,
    blocked: 1,
    refusing: 2,
    waiting: 0,
    waited: 0,
    size: 3,
  };
  assert.deepEqual(limiter.stats(), { ...expected, capacity: 77 });
  assert.equal(limiter.size, 3);
  clock.advance('1m');
  assert.deepEqual(limiter.stats(), { ...expected, refusing: 1, size: 1, capacity: 77 });
  clock.advance('1m');
  assert.deepEqual(limiter.stats(), { ...expected, refusing: 0, size: 0, blocked: 0, capacity: 77 });
});
