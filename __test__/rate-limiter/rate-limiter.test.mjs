// RateLimiter: what a call is told, to the unit and to the millisecond. Time is set by hand.
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

/** The calls of `count` that are admitted. */
const admitted = (count, call) => Array.from({ length: count }, call).filter(Boolean).length;

/** Every field that one call or more tells, in one number or text each. */
const told = ({ allowed, limit, remaining, resetAfterMs, retryAfterMs }) => [
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

test('admits at most burst + w / T in any interval of length w: twice the limit in the first window', () => {
  const limiter = fresh({ limit: 10, window: '1s' });
  let count = 0;
  for (let ms = 0; ms < 1000; ms++) {
    count += admitted(2, () => limiter.tryConsume('a'));
    clock.advance(1);
  }
  assert.equal(count, 19);
});

test('`burst` says how much may come at once', () => {
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
  test(`a refused call is admitted after retryAfterMs and not a millisecond before: window ${window}`, () => {
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

test('where T is no whole number of milliseconds, the wait is rounded up', () => {
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

test('a refused call of any cost is admitted after its own wait', () => {
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

test('a decision tells limit, remaining, reset and wait', () => {
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
  assert.deepEqual(told(limiter.consume('a', 3)), [true, 4, 0, 4 * T, 0]);
  assert.deepEqual(told(limiter.consume('a')), [false, 4, 0, 4 * T, T]);
  clock.advance(T / 2);
  assert.deepEqual(told(limiter.consume('a')), [false, 4, 0, 4 * T - T / 2, T / 2]);
  clock.advance(4 * T - T / 2);
  assert.deepEqual(told(limiter.peek('a')), [true, 4, 4, 0, 0]);
});

test('a refused call consumes nothing', () => {
  const limiter = fresh({ limit: 5, window: '1h' });
  limiter.tryConsume('a', 3);
  for (let i = 0; i < 10; i++) assert.equal(limiter.tryConsume('a', 3), false);
  assert.equal(limiter.tryConsume('a', 2), true);
});

test('a cost above the burst is refused for ever, with what truly remains, and takes no place', () => {
  const limiter = fresh({ limit: 5, window: '1h' });
  limiter.tryConsume('a', 2);
  assert.deepEqual(told(limiter.consume('a', 6)).slice(2), [3, 2 * 720_000, Infinity]);
  assert.deepEqual(told(limiter.consume('never seen', 6)), [false, 5, 5, 0, Infinity]);
  assert.equal(limiter.tryConsume('a', Number.MAX_SAFE_INTEGER), false);
  assert.equal(limiter.size, 1);
});

test('peek charges nothing and counts nothing', () => {
  const limiter = fresh({ limit: 2, window: '1h' });
  for (let i = 0; i < 5; i++) assert.deepEqual(told(limiter.peek('a')), [true, 2, 2, 0, 0]);
  limiter.tryConsume('a', 2);
  for (let i = 0; i < 5; i++) assert.equal(limiter.peek('a').allowed, false);
  const { allowed, refused, size } = limiter.stats();
  assert.deepEqual([allowed, refused, size], [1, 0, 1]);
});

test('refund gives units back, never above the burst', () => {
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

test('penalize charges without asking and stops at an empty bucket', () => {
  const limiter = fresh({ limit: 10, window: '1s' });
  limiter.penalize('a', 3);
  assert.equal(limiter.peek('a').remaining, 7);
  limiter.penalize('a', 1_000_000);
  limiter.penalize('a');
  assert.deepEqual(told(limiter.consume('a')), [false, 10, 0, 1000, 100]);
  clock.advance(100);
  assert.equal(
    admitted(3, () => limiter.tryConsume('a')),
    1,
  );
});

test('reset forgets a client and says whether there was anything to forget', () => {
  const limiter = fresh({ limit: 1, window: '1h' });
  assert.equal(limiter.reset('a'), false);
  limiter.tryConsume('a');
  limiter.tryConsume('b');
  assert.equal(limiter.reset('a'), true);
  assert.equal(limiter.reset('a'), false);
  assert.deepEqual([limiter.tryConsume('a'), limiter.tryConsume('b')], [true, false]);
  clock.advance('1h');
  assert.equal(limiter.reset('b'), false, 'it has expired by itself');
});

test('clear forgets all clients and their blocks', () => {
  const limiter = fresh({ limit: 1, window: '1h' });
  for (const key of ['a', 'b']) limiter.tryConsume(key);
  limiter.block('c', '1d');
  limiter.clear();
  assert.equal(limiter.size, 0);
  for (const key of ['a', 'b', 'c']) assert.equal(limiter.tryConsume(key), true);
});

test('a handle is the same client as its key', () => {
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

test('consumeMany decides on each key in turn', () => {
  const limiter = fresh({ limit: 2, window: '1h' });
  assert.deepEqual(limiter.consumeMany(['a', 'b', 'a', 'a', 'b']), [true, true, true, false, true]);
  assert.deepEqual(limiter.consumeMany(['c', 'c'], 2), [true, false]);
  assert.deepEqual(limiter.consumeMany([]), []);
});

test('consumeAsync tells what consume tells, and rejects where it throws', async () => {
  const limiter = fresh({ limit: 2, window: '1h' });
  const promise = limiter.consumeAsync('a', 2);
  assert.ok(promise instanceof Promise);
  assert.deepEqual(told(await promise), [true, 2, 0, 3_600_000, 0]);
  assert.equal((await limiter.consumeAsync('a')).allowed, false);
  await assert.rejects(limiter.consumeAsync(''), { code: 'ERR_SLUICE_INVALID_KEY' });
});

test('dryRun decides and charges as if live, and lets everybody pass', () => {
  const limiter = fresh({ limit: 2, window: '1h', dryRun: true });
  assert.deepEqual(told(limiter.consume('a', 2)), [true, 2, 0, 3_600_000, 0]);
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

test('stats count over all calls; size is who is not as if never seen', () => {
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
    size: 3,
  };
  assert.deepEqual(limiter.stats(), { ...expected, capacity: 77 });
  assert.equal(limiter.size, 3);
  clock.advance('1m');
  assert.deepEqual(limiter.stats(), { ...expected, size: 1, capacity: 77 });
  clock.advance('1m');
  assert.deepEqual(limiter.stats(), { ...expected, size: 0, blocked: 0, capacity: 77 });
});
