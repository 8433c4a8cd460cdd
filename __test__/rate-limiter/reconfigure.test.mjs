// RateLimiter.reconfigure: what may change, what stays, and what becomes of charged units. Uses a manual clock. A
// single GCRA limit is tested in block.test.mjs.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { meet } from '../helpers/gate.cjs';
import { freshName, gate, runInAll, startPeers } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;

const clock = testing.manualClock();
// Each test starts on a full hour.
test.beforeEach(() => clock.set(Math.ceil(clock.now / 3_600_000) * 3_600_000));
test.after(() => clock.restore());

const DAY = 86_400_000;
const fresh = (options) => new RateLimiter(freshName(), options);
const create = (algorithm, limit, window) => fresh({ algorithm, limit, window });
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** The remaining units, and the time until the next call is admitted. */
const remainingAndRetry = (limiter) => {
  const { remaining, retryAfterMs } = limiter.peek('a');
  return [remaining, retryAfterMs];
};

const invalid = (message) => ({ code: 'ERR_SLUICE_INVALID_OPTION', message });

test('fixed-window: the given options change, the others stay', () => {
  const limiter = create('fixed-window', 10, '1m');
  limiter.reconfigure({ limit: 20 });
  assert.deepEqual([limiter.peek('a').limit, limiter.consume('a').resetAfterMs], [20, 60_000]);
  limiter.reconfigure({ window: '1h' });
  limiter.reset('a');
  assert.deepEqual([limiter.peek('a').limit, limiter.consume('a').resetAfterMs], [20, 3_600_000]);
  limiter.reconfigure({ dryRun: true });
  assert.equal(limiter.consume('a', 20).wouldRefuse, true);
  limiter.reconfigure({});
  assert.equal(limiter.consume('a', 20).wouldRefuse, true);
});

for (const algorithm of ['fixed-window', 'sliding-window']) {
  test(`${algorithm}: consumed units stay consumed when the limit goes up or down`, () => {
    const limiter = create(algorithm, 10, '1h');
    limiter.tryConsume('a', 6);
    for (const [limit, remaining] of [
      [20, 14],
      [7, 1],
      [3, 0],
      [1, 0],
      [10, 4],
    ]) {
      limiter.reconfigure({ limit });
      assert.deepEqual([limiter.peek('a').limit, limiter.peek('a').remaining], [limit, remaining]);
    }
  });
}

test('shortening a fixed window ends running windows no later than one that starts now', () => {
  for (const [from, to, ms] of [
    ['2m', '1m', 60_000],
    ['1h', '1s', 1000],
    ['30d', '1s', 1000],
    ['30d', 10, 10],
  ]) {
    const limiter = create('fixed-window', 5, from);
    limiter.tryConsume('a', 5);
    clock.advance(3);
    limiter.reconfigure({ window: to });
    assert.deepEqual(remainingAndRetry(limiter), [0, ms], `${from} to ${to}`);
    clock.advance(ms - 1);
    assert.equal(limiter.tryConsume('a'), false);
    clock.advance(1);
    assert.equal(limiter.tryConsume('a', 5), true);
    clock.advance(ms);
    // The long window has no effect any more, not even shortly before its end.
    clock.advance(from === '2m' ? 0 : '59m');
    assert.deepEqual(remainingAndRetry(limiter), [5, 0]);
  }
});

test('lengthening a fixed window leaves the end of running windows unchanged', () => {
  const limiter = create('fixed-window', 5, '1s');
  limiter.tryConsume('a', 5);
  limiter.reconfigure({ window: '30d' });
  assert.deepEqual(remainingAndRetry(limiter), [0, 1000]);
  clock.advance(1000);
  assert.equal(limiter.consume('a').resetAfterMs, 30 * DAY);
});

test('lowering the limit of a sliding window takes full effect by the end of the next window', () => {
  const limiter = create('sliding-window', 100, '1h');
  limiter.tryConsume('a', 100);
  limiter.reconfigure({ limit: 10 });
  // In the next window 100 × (1 − f) + 1 = 10, so f = 0.91.
  assert.deepEqual(remainingAndRetry(limiter), [0, 3_600_000 + 0.91 * 3_600_000]);
  clock.advance(3_600_000 + 0.91 * 3_600_000 - 1);
  assert.equal(limiter.tryConsume('a'), false);
  clock.advance(1);
  assert.equal(limiter.tryConsume('a'), true);
});

test('several limits: quotas change, and keys keep what they consumed of each', () => {
  const limits = (second, minute) => ({
    limits: [
      { name: 'second', limit: second, window: '1s' },
      { name: 'minute', limit: minute, window: '1m', algorithm: 'fixed-window' },
    ],
  });
  const limiter = fresh(limits(5, 8));
  limiter.tryConsume('a', 5);
  limiter.reconfigure(limits(5, 6));
  clock.advance(1000);
  const { policy, remaining, limit } = limiter.consume('a');
  assert.deepEqual([policy, remaining, limit], ['minute', 0, 6]);
  limiter.reconfigure({ dryRun: true });
  assert.equal(limiter.consume('a').wouldRefuse, true);
  for (const options of [{ limit: 5 }, { window: '1s' }, { burst: 2 }, { algorithm: 'gcra' }]) {
    const [[option, given]] = Object.entries(options);
    const message = new RegExp(
      `^reconfigure ${option} is .*${given === '1s' ? 1000 : given}.*several limits`,
    );
    assert.throws(() => limiter.reconfigure(options), invalid(message));
  }
});

test('number, names and algorithms of limits are fixed; a rejected reconfigure changes nothing', () => {
  const one = { name: 'one', limit: 5, window: '1s' };
  const two = { name: 'two', limit: 8, window: '1m', algorithm: 'fixed-window' };
  const limiter = fresh({ limits: [one, two] });
  const fixed =
    /^reconfigure limits is .*; accepted: one by "gcra", two by "fixed-window": it is fixed at creation$/;
  const invalidLimits = [
    [[one], fixed],
    [[two, one], fixed],
    [[one, two, { limit: 1, window: '1s' }], fixed],
    [[{ ...one, name: 'uno' }, two], fixed],
    [[{ limit: 6, window: '1s' }, two], fixed],
    [[one, { ...two, algorithm: 'sliding-window' }], fixed],
    [[one, { ...two, limit: 0 }], /^reconfigure limits\[1\] limit is 0/],
    [[one, { ...two, burst: 8 }], /limits\[1\] burst is 8; accepted: nothing: a window has no burst/],
    [
      [one, { ...two, limit: 2 ** 20 }],
      /limits\[1\] limit is 1048576; accepted: at most 1048575 .* this limiter$/,
    ],
    [[], fixed],
  ];
  for (const [limits, message] of invalidLimits) {
    assert.throws(() => limiter.reconfigure({ limits }), invalid(message));
  }
  assert.equal(limiter.consume('a', 5).remaining, 0);
  assert.throws(
    () => create('fixed-window', 5, '1s').reconfigure({ algorithm: 'gcra' }),
    invalid(/by "gcra"; acc/),
  );
  assert.throws(
    () => create('fixed-window', 5, '1s').reconfigure({ burst: 5 }),
    invalid(/a window has no burst/),
  );
});

test('the length of a sliding window and the width of each counter are fixed', () => {
  const sliding = create('sliding-window', 5, '1m');
  sliding.reconfigure({ window: 60_000, limit: 6 });
  assert.throws(
    () => sliding.reconfigure({ window: '2m' }),
    invalid(/window is 120000 ms; accepted: 60000 ms: a sl/),
  );
  for (const limiter of [sliding, create('fixed-window', 5, '1m')]) {
    limiter.reconfigure({ limit: 2 ** 20 - 1 });
    assert.throws(
      () => limiter.reconfigure({ limit: 2 ** 20 }),
      invalid(/limit is 1048576; accepted: at most 1048575/),
    );
    assert.equal(limiter.tryConsume('a', 2 ** 20 - 1), true);
  }
  const wide = create('fixed-window', 2 ** 31, '1s');
  assert.throws(
    () => wide.reconfigure({ window: '1d' }),
    invalid(/window is 86400000 ms; accepted: .* at most 16777215 ms/),
  );
  wide.reconfigure({ window: '1h' });
  assert.equal(wide.consume('a').resetAfterMs, 3_600_000);
});

test('attaching compares with the options of creation, and keeps the reconfigured limit', () => {
  const created = { limits: [{ name: 'all', limit: 5, window: '1s' }], maxKeys: 50 };
  const changed = { ...created, limits: [{ name: 'all', limit: 9, window: '1m' }] };
  const limiter = fresh(created);
  limiter.reconfigure(changed);
  assert.equal(new RateLimiter(limiter.name, created).peek('a').limit, 9);
  assert.throws(() => new RateLimiter(limiter.name, changed), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
  assert.equal(new RateLimiter(limiter.name).peek('a').limit, 9);
});

test('four threads that each change one option lose no change', async (t) => {
  const limiter = fresh({ limit: 10, window: '10s', burst: 10 });
  const start = gate(4);
  const change = ({ load, meet }, { name, option, start }) => {
    const limiter = new (load().RateLimiter)(name);
    meet(start);
    for (let turn = 1; turn <= 500; turn++) {
      limiter.reconfigure({ [option]: option === 'dryRun' ? turn % 2 === 0 : 20_000 + turn });
    }
  };
  const options = ['limit', 'window', 'burst', 'dryRun'];
  const { name } = limiter;
  await Promise.all(startPeers(t, 4).map((peer, i) => peer.run(change, { name, option: options[i], start })));
  const { limit, remaining, resetAfterMs, wouldRefuse } = limiter.consume('a');
  assert.deepEqual([limit, remaining, resetAfterMs, wouldRefuse], [20_500, 20_499, 1, false]);
});

/** The units that four threads consume of one key, at one frozen moment, during `times` reconfigurations. */
async function admittedUnderLoad(t, limiter, times, change) {
  const start = gate(5);
  const admitted = runInAll(
    startPeers(t, 4),
    ({ load, meet }, { name, start }) => {
      const limiter = new (load().RateLimiter)(name);
      let count = 0;
      meet(start);
      for (let call = 0; call < 20_000; call++) if (limiter.tryConsume('a')) count++;
      return count;
    },
    { name: limiter.name, start },
  );
  meet(start);
  for (let turn = 0; turn < times; turn++) limiter.reconfigure(change(turn));
  const during = sum(await admitted);
  let after = 0;
  limiter.reconfigure({ limit: 20_000 });
  while (limiter.tryConsume('a')) after++;
  return during + after;
}

for (const algorithm of ['fixed-window', 'sliding-window']) {
  test(`${algorithm}: raising and lowering the limit under load never admits more than the larger one`, async (t) => {
    const limiter = create(algorithm, 20_000, '1h');
    const change = (turn) => ({ limit: turn % 2 ? 20_000 : 10_000 });
    assert.equal(await admittedUnderLoad(t, limiter, 2000, change), 20_000);
  });
}

test('gcra: a burst raised under load is admitted exactly once', async (t) => {
  const limiter = fresh({ limit: 20_000, window: '1h', burst: 10_000 });
  assert.equal(await admittedUnderLoad(t, limiter, 1000, (turn) => ({ burst: 10_001 + turn })), 11_000);
});

test('gcra: each cut of the burst under load refunds at most the difference', async (t) => {
  const limiter = fresh({ limit: 20_000, window: '1h', burst: 10_000 });
  const cuts = 100;
  const total = await admittedUnderLoad(t, limiter, 2 * cuts, (turn) => ({
    burst: turn % 2 ? 10_000 : 9990,
  }));
  assert.ok(total >= 10_000 && total <= 10_000 + 10 * cuts, String(total));
});
