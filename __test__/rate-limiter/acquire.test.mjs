// RateLimiter.acquire in one thread: order, moments, what ends the waiting. Uses a manual clock.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { RateLimiter } = sluice;

const freshName = freshNames('acquire');
const clock = stopClock();

/** One at once, then one each 100 ms. */
const SPACED = { limit: 10, window: '1s', burst: 1 };

const fresh = (options = SPACED) => new RateLimiter(freshName(), options);

/** Lets promises settle that depend on nothing but the clock. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A limiter with nothing left, and calls that wait: `log` gets the numbers of those that are charged. */
function line(count, options, acquire = {}) {
  const limiter = fresh(options);
  while (limiter.tryConsume('a'));
  const log = [];
  const calls = Array.from({ length: count }, (_, index) => {
    const call = limiter.acquire('a', acquire);
    call.then(
      () => log.push(index),
      () => {},
    );
    return call;
  });
  return { limiter, log, calls };
}

const code = (name) => ({ code: `ERR_SLUICE_${name}` });

test('a call is charged at once where the units are there', async () => {
  const limiter = fresh({ limit: 5, window: '1s' });
  assert.deepEqual(await limiter.acquire('a', { cost: 2 }), {
    allowed: true,
    limit: 5,
    remaining: 3,
    resetAfterMs: 400,
    retryAfterMs: 0,
    policy: limiter.name,
    waitedMs: 0,
  });
  const { allowed, waiting, waited } = limiter.stats();
  assert.deepEqual([allowed, waiting, waited], [1, 0, 0]);
});

test('calls are charged one after the other, each at its moment and not a millisecond before', async () => {
  const { limiter, log, calls } = line(3);
  assert.equal(limiter.stats().waiting, 3);
  clock.advance(99);
  await settled();
  assert.deepEqual(log, []);
  clock.advance(1);
  await settled();
  assert.deepEqual(log, [0]);
  clock.advance(100);
  await settled();
  assert.deepEqual(log, [0, 1]);
  clock.advance(150);
  const { waitedMs, allowed, remaining, policy } = await calls[2];
  assert.deepEqual([waitedMs, allowed, remaining, policy], [350, true, 0, limiter.name]);
  const { waiting, waited, refused } = limiter.stats();
  assert.deepEqual([waiting, waited, refused], [0, 3, 1], 'the refusal emptied the bucket');
});

for (const [algorithm, limits] of Object.entries({
  'a fixed window': { limit: 2, window: 100, algorithm: 'fixed-window' },
  'several limits': {
    limits: [
      { limit: 2, window: 100, algorithm: 'fixed-window' },
      { limit: 50, window: 100 },
    ],
  },
})) {
  test(`${algorithm} serves as many in a window as it has room for`, async () => {
    const { limiter, log } = line(5, limits);
    for (const [ms, expected] of [
      [99, []],
      [1, [0, 1]],
      [99, [0, 1]],
      [1, [0, 1, 2, 3]],
      [100, [0, 1, 2, 3, 4]],
    ]) {
      clock.advance(ms);
      await settled();
      assert.deepEqual(log, expected);
      const isEnd = expected.length === 5;
      assert.equal(limiter.tryConsume('a'), isEnd, 'refused while a call waits');
    }
    assert.equal(limiter.tryConsume('a'), false, 'the window is full');
    assert.equal(limiter.stats().blocked, 0);
  });
}

test('a sliding window serves each call once it has room', async () => {
  const { limiter, calls } = line(4, { limit: 2, window: 100, algorithm: 'sliding-window' });
  const waited = [];
  for (const call of calls) call.then(({ waitedMs }) => waited.push(waitedMs));
  const charged = [];
  for (let ms = 0; ms < 500; ms++) {
    clock.advance(1);
    await settled();
    if (limiter.tryConsume('a')) charged.push(ms);
  }
  assert.equal(waited.length, 4);
  assert.deepEqual(
    waited,
    waited.toSorted((a, b) => a - b),
  );
  assert.ok(charged.every((ms) => ms >= waited[3] - 1));
});

test('first in, first out, whatever the cost', async () => {
  const limiter = fresh({ limit: 10, window: '1s', burst: 3 });
  limiter.tryConsume('a', 3);
  const order = [];
  limiter.acquire('a', { cost: 3 }).then(() => order.push('dear'));
  limiter.acquire('a', { cost: 1 }).then(() => order.push('cheap'));
  clock.advance(299);
  await settled();
  assert.deepEqual(order, [], 'the cheap call does not pass the dear one');
  clock.advance(1);
  await settled();
  assert.deepEqual(order, ['dear']);
  assert.equal(limiter.consume('a').retryAfterMs, 200, 'counts the call that waits');
  clock.advance(100);
  await settled();
  assert.deepEqual(order, ['dear', 'cheap']);
});

test('each key has a line of its own', async () => {
  const limiter = fresh();
  await Promise.all([limiter.acquire('a'), limiter.acquire('b')]);
  const calls = [limiter.acquire('a'), limiter.acquire('b'), limiter.handle('a').acquire()];
  clock.advance(100);
  await Promise.all(calls.slice(0, 2));
  assert.equal(limiter.stats().waiting, 1);
  clock.advance(100);
  assert.equal((await calls[2]).waitedMs, 200);
});

describe('a call that stops waiting', () => {
  test('gives its units back, and those behind move ahead', async () => {
    const { limiter, log } = line(1);
    const controller = new AbortController();
    const aborted = limiter.acquire('a', { signal: controller.signal });
    const behind = limiter.acquire('a');
    controller.abort(new Error('no more'));
    await assert.rejects(aborted, { message: 'no more' });
    clock.advance(200);
    await behind;
    assert.deepEqual(log, [0]);
    assert.deepEqual([limiter.stats().waited, limiter.stats().waiting], [2, 0]);
  });

  test('charges nothing where its signal is aborted before', async () => {
    const limiter = fresh();
    await assert.rejects(limiter.acquire('a', { signal: AbortSignal.abort() }), { name: 'AbortError' });
    assert.equal(limiter.tryConsume('a'), true);
  });

  test('ten thousand calls of one signal leave at once', async () => {
    const { limiter } = line(0, { ...SPACED, maxWaiting: 20_000 });
    const controller = new AbortController();
    const first = limiter.acquire('a');
    const aborted = Array.from({ length: 10_000 }, () =>
      limiter.acquire('a', { signal: controller.signal, timeout: Infinity }),
    );
    const last = limiter.acquire('a', { timeout: Infinity });
    controller.abort();
    const outcomes = await Promise.allSettled(aborted);
    assert.ok(outcomes.every(({ reason }) => reason === controller.signal.reason));
    clock.advance(100);
    await first;
    clock.advance(100);
    assert.equal((await last).waitedMs, 200, 'it is the second in line');
    assert.equal(limiter.stats().waiting, 0);
  });
});

describe('a call that is not to wait', () => {
  test('is judged at once by its timeout', async () => {
    const { limiter } = line(1);
    const late = limiter.acquire('a', { timeout: 199 });
    await assert.rejects(late, { ...code('TIMEOUT'), retryAfterMs: 200 });
    assert.equal(limiter.stats().refused, 2, 'and counts as refused');
    const call = limiter.acquire('a', { timeout: 200 });
    clock.advance(200);
    assert.equal((await call).waitedMs, 200);
  });

  test('is one too many', async () => {
    const { limiter, calls } = line(2, { ...SPACED, maxWaiting: 2 });
    await assert.rejects(limiter.acquire('a'), { ...code('BACKPRESSURE'), retryAfterMs: 300 });
    assert.equal((await limiter.acquire('b')).waitedMs, 0, 'one that need not wait');
    limiter.reconfigure({ maxWaiting: 3 });
    const call = limiter.acquire('a');
    clock.advance(300);
    await Promise.all([...calls, call]);
  });

  test('finds no slot', async () => {
    const limiter = fresh({ ...SPACED, maxKeys: 1, overflow: 'deny' });
    await limiter.acquire('a');
    await assert.rejects(limiter.acquire('b'), { ...code('BACKPRESSURE'), retryAfterMs: 100 });
  });

  test('asks for more than there ever is', async () => {
    const limiter = fresh({ limit: 10, window: '1s', burst: 3 });
    await assert.rejects(limiter.acquire('a', { cost: 4 }), code('INVALID_COST'));
    assert.equal(limiter.peek('a').remaining, 3);
  });

  test('has invalid arguments', async () => {
    const limiter = fresh();
    const mistakes = [
      [['']],
      [[7]],
      [['a', { cost: 0 }], 'INVALID_COST'],
      [['a', { cost: 1.5 }], 'INVALID_COST'],
      [['a', { timeout: 0 }], 'INVALID_OPTION'],
      [['a', { timeout: -1 }], 'INVALID_OPTION'],
      [['a', { timeout: 'soon' }], 'INVALID_OPTION'],
      [['a', { signal: {} }], 'INVALID_OPTION'],
      [['a', { limit: 2 }], 'INVALID_OPTION'],
      [['a', null], 'INVALID_OPTION'],
      [['a', 2], 'INVALID_OPTION'],
    ];
    for (const [args, expected = 'INVALID_KEY'] of mistakes) {
      await assert.rejects(limiter.acquire(...args), code(expected), JSON.stringify(args));
    }
    for (const maxWaiting of [0, 1_000_001, 1.5, '5']) {
      assert.throws(() => fresh({ ...SPACED, maxWaiting }), code('INVALID_OPTION'));
    }
    assert.equal(limiter.tryConsume('a'), true, 'none has charged anything');
  });

  test('is beyond the scope of lines', async () => {
    const limiter = fresh({ ...SPACED, scope: { redis: 'redis://127.0.0.1:1' } });
    await assert.rejects(limiter.acquire('a'), { ...code('UNSUPPORTED'), message: /scope \{ redis \}/ });
  });
});

test('a thread sets one timer for all its calls, and another once it has looked', async (t) => {
  // This thread has heard of earlier moves of the clock.
  for (let turn = 0; turn < 2; turn++) await settled();
  const { mock } = t.mock.method(globalThis, 'setTimeout');
  const { calls } = line(100);
  assert.equal(mock.callCount(), 1);
  clock.advance(100);
  await calls[0];
  assert.equal(mock.callCount(), 2);
});

test('a dry run waits for nothing', async () => {
  const limiter = fresh({ ...SPACED, dryRun: true });
  assert.equal((await limiter.acquire('a')).wouldRefuse, false);
  const { allowed, wouldRefuse, waitedMs } = await limiter.acquire('a');
  assert.deepEqual([allowed, wouldRefuse, waitedMs], [true, true, 0]);
});

test('a call after one that has waited is charged at once where it can be, as every other', async () => {
  const { limiter, calls } = line(1);
  clock.advance(100);
  assert.equal((await calls[0]).waitedMs, 100);
  clock.advance(100);
  assert.deepEqual(await limiter.acquire('a'), {
    allowed: true,
    limit: 10,
    remaining: 0,
    resetAfterMs: 100,
    retryAfterMs: 0,
    policy: limiter.name,
    waitedMs: 0,
  });
  const handle = limiter.handle('b');
  const of = () => handle.acquire();
  await of();
  const waits = of();
  clock.advance(100);
  assert.equal((await waits).waitedMs, 100);
  clock.advance(100);
  assert.equal((await of()).waitedMs, 0);
  const { allowed, waited, waiting } = limiter.stats();
  assert.deepEqual([allowed, waited, waiting], [6, 2, 0]);
});

test('a call after one that has waited does not wait once a dry run has begun', async () => {
  const { limiter, calls } = line(1);
  limiter.reconfigure({ dryRun: true });
  const { wouldRefuse, waitedMs } = await limiter.acquire('a');
  assert.deepEqual([wouldRefuse, waitedMs], [true, 0]);
  clock.advance(100);
  assert.equal((await calls[0]).waitedMs, 100, 'the call that waited keeps its place');
});

describe('what changes the key', () => {
  test('a block moves the line to its end', async () => {
    const { limiter, log, calls } = line(1);
    const impatient = limiter.acquire('a', { timeout: 300 });
    limiter.block('a', 500);
    await assert.rejects(impatient, { ...code('TIMEOUT'), retryAfterMs: 600 });
    clock.advance(499);
    await settled();
    assert.deepEqual(log, []);
    clock.advance(1);
    assert.equal((await calls[0]).waitedMs, 500);
  });

  test('a refund, a penalty and a reset change what is before the line', async () => {
    const { limiter, log } = line(3);
    limiter.refund('a');
    await settled();
    assert.deepEqual(log, [0]);
    limiter.penalize('a');
    clock.advance(99);
    await settled();
    assert.deepEqual(log, [0]);
    limiter.reset('a');
    await settled();
    assert.deepEqual(log, [0, 1]);
    clock.advance(100);
    await settled();
    assert.deepEqual(log, [0, 1, 2]);
  });

  test('clear lets the first call pass', async () => {
    const { limiter, log } = line(2);
    limiter.clear();
    await settled();
    assert.deepEqual(log, [0]);
    clock.advance(100);
    await settled();
    assert.deepEqual(log, [0, 1]);
  });

  test('other options lay the line anew', async () => {
    const { limiter, log, calls } = line(2);
    limiter.reconfigure({ limit: 100 });
    clock.advance(10);
    await settled();
    assert.deepEqual(log, [0]);
    clock.advance(10);
    assert.equal((await calls[1]).waitedMs, 20);
  });
});

test('a clock that is set back leaves as much to wait', async () => {
  const { calls } = line(1);
  const before = testing.manualClock().now;
  clock.advance(40);
  clock.set(before - 500_000);
  let isCharged = false;
  calls[0].then(() => (isCharged = true));
  clock.advance(59);
  await settled();
  assert.equal(isCharged, false);
  clock.advance(1);
  assert.equal((await calls[0]).waitedMs, 100);
  clock.set(before + 10_000);
});

test('destroy ends the waiting', async () => {
  const { limiter, calls } = line(3);
  RateLimiter.destroy(limiter.name);
  for (const call of calls) await assert.rejects(call, code('CLOSED'));
  await assert.rejects(limiter.acquire('a'), code('CLOSED'));
});

test('reset of sluice/testing ends the waiting, and the limiter works on', async () => {
  const { limiter, calls } = line(3);
  testing.reset();
  for (const call of calls) await assert.rejects(call, code('CLOSED'));
  assert.equal((await limiter.acquire('a')).waitedMs, 0);
  assert.equal(limiter.stats().waiting, 0);
});

test('by the clock of the system, the calls of a second are spread over it', async () => {
  clock.restore();
  try {
    const limiter = fresh({ limit: 1000, window: '1s', burst: 1 });
    const from = performance.now();
    const calls = Array.from({ length: 101 }, () => limiter.acquire('a'));
    const joined = performance.now() - from;
    const decisions = await Promise.all(calls);
    const took = performance.now() - from;
    assert.ok(took >= 99, `100 intervals of a millisecond took ${took} ms`);
    // A busy machine may suspend this thread before the last call joins, which then waits for the rest.
    const { waitedMs } = decisions.at(-1);
    assert.ok(waitedMs >= 99 - joined, `the last call joined after ${joined} ms and waited ${waitedMs} ms`);
  } finally {
    Object.assign(clock, testing.manualClock());
  }
});
