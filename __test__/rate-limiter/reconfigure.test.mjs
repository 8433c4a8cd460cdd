// RateLimiter.reconfigure: what may change, what stays, and what it makes of what clients have used. Time is set by
// hand. The single limit by GCRA is in rate-limiter-block.test.mjs.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { meet } from '../helpers/gate.cjs';
import { freshName, gate, runInAll, startPeers } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;

const clock = testing.manualClock();
// Each test begins with an hour.
test.beforeEach(() => clock.set(Math.ceil(clock.now / 3_600_000) * 3_600_000));
test.after(() => clock.restore());

const DAY = 86_400_000;
const fresh = (options) => new RateLimiter(freshName(), options);
const of = (algorithm, limit, window) => fresh({ algorithm, limit, window });
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** What remains, and how long the next unit takes. */
const rest = (limiter) => {
  const { remaining, retryAfterMs } = limiter.peek('a');
  return [remaining, retryAfterMs];
};

const invalid = (message) => ({ code: 'ERR_SLUICE_INVALID_OPTION', message });

test('windows: what is given replaces, the rest stays', () => {
  const limiter = of('fixed-window', 10, '1m');
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
  test(`${algorithm}: what was used stays used under another limit, up and down`, () => {
    const limiter = of(algorithm, 10, '1h');
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

test('a fixed window that is made shorter ends no later than one that starts now', () => {
  for (const [from, to, ms] of [
    ['2m', '1m', 60_000],
    ['1h', '1s', 1000],
    ['30d', '1s', 1000],
    ['30d', 10, 10],
  ]) {
    const limiter = of('fixed-window', 5, from);
    limiter.tryConsume('a', 5);
    clock.advance(3);
    limiter.reconfigure({ window: to });
    assert.deepEqual(rest(limiter), [0, ms], `${from} to ${to}`);
    clock.advance(ms - 1);
    assert.equal(limiter.tryConsume('a'), false);
    clock.advance(1);
    assert.equal(limiter.tryConsume('a', 5), true);
    clock.advance(ms);
    // Nothing of the long window comes back, not even shortly before its end.
    clock.advance(from === '2m' ? 0 : '59m');
    assert.deepEqual(rest(limiter), [5, 0]);
  }
});

test('a fixed window that runs keeps its end when it is made longer', () => {
  const limiter = of('fixed-window', 5, '1s');
  limiter.tryConsume('a', 5);
  limiter.reconfigure({ window: '30d' });
  assert.deepEqual(rest(limiter), [0, 1000]);
  clock.advance(1000);
  assert.equal(limiter.consume('a').resetAfterMs, 30 * DAY);
});

test('a sliding window that gets a smaller limit has faded to it by the end of its next one', () => {
  const limiter = of('sliding-window', 100, '1h');
  limiter.tryConsume('a', 100);
  limiter.reconfigure({ limit: 10 });
  // By the formula: 100 × (1 − f) + 1 = 10 in the next window.
  assert.deepEqual(rest(limiter), [0, 3_600_000 + 0.91 * 3_600_000]);
  clock.advance(3_600_000 + 0.91 * 3_600_000 - 1);
  assert.equal(limiter.tryConsume('a'), false);
  clock.advance(1);
  assert.equal(limiter.tryConsume('a'), true);
});

test('several limits: their numbers change, each client keeps what it used of each', () => {
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

test('number, names and algorithms of the limits are fixed; a mistake changes nothing', () => {
  const one = { name: 'one', limit: 5, window: '1s' };
  const two = { name: 'two', limit: 8, window: '1m', algorithm: 'fixed-window' };
  const limiter = fresh({ limits: [one, two] });
  const fixed =
    /^reconfigure limits is .*; accepted: one by "gcra", two by "fixed-window": it is fixed at creation$/;
  const mistakes = [
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
  for (const [limits, message] of mistakes) {
    assert.throws(() => limiter.reconfigure({ limits }), invalid(message));
  }
  assert.equal(limiter.consume('a', 5).remaining, 0);
  assert.throws(
    () => of('fixed-window', 5, '1s').reconfigure({ algorithm: 'gcra' }),
    invalid(/by "gcra"; acc/),
  );
  assert.throws(
    () => of('fixed-window', 5, '1s').reconfigure({ burst: 5 }),
    invalid(/a window has no burst/),
  );
});

test('a sliding window keeps its length, and each count its width', () => {
  const sliding = of('sliding-window', 5, '1m');
  sliding.reconfigure({ window: 60_000, limit: 6 });
  assert.throws(
    () => sliding.reconfigure({ window: '2m' }),
    invalid(/window is 120000 ms; accepted: 60000 ms: a sl/),
  );
  for (const limiter of [sliding, of('fixed-window', 5, '1m')]) {
    limiter.reconfigure({ limit: 2 ** 20 - 1 });
    assert.throws(
      () => limiter.reconfigure({ limit: 2 ** 20 }),
      invalid(/limit is 1048576; accepted: at most 1048575/),
    );
    assert.equal(limiter.tryConsume('a', 2 ** 20 - 1), true);
  }
  const wide = of('fixed-window', 2 ** 31, '1s');
  assert.throws(
    () => wide.reconfigure({ window: '1d' }),
    invalid(/window is 86400000 ms; accepted: .* at most 16777215 ms/),
  );
  wide.reconfigure({ window: '1h' });
  assert.equal(wide.consume('a').resetAfterMs, 3_600_000);
});

test('the options of creation still attach, the new ones are a mismatch, and what is new stays', () => {
  const created = { limits: [{ name: 'all', limit: 5, window: '1s' }], maxKeys: 50 };
  const changed = { ...created, limits: [{ name: 'all', limit: 9, window: '1m' }] };
  const limiter = fresh(created);
  limiter.reconfigure(changed);
  assert.equal(new RateLimiter(limiter.name, created).peek('a').limit, 9);
  assert.throws(() => new RateLimiter(limiter.name, changed), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
  assert.equal(new RateLimiter(limiter.name).peek('a').limit, 9);
});

test('four threads that change one option each lose none of the changes', async (t) => {
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

/** What four threads get of one client, at one moment, while `change` runs so many times. */
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
  for (let time = 0; time < times; time++) limiter.reconfigure(change(time));
  const under = sum(await admitted);
  let rest = 0;
  limiter.reconfigure({ limit: 20_000 });
  while (limiter.tryConsume('a')) rest++;
  return under + rest;
}

for (const algorithm of ['fixed-window', 'sliding-window']) {
  test(`${algorithm}: the limit goes up and down under load, and the larger one is never exceeded`, async (t) => {
    const limiter = of(algorithm, 20_000, '1h');
    const change = (time) => ({ limit: time % 2 ? 20_000 : 10_000 });
    assert.equal(await admittedUnderLoad(t, limiter, 2000, change), 20_000);
  });
}

test('gcra: a burst that grows under load is spent once, and not one unit more', async (t) => {
  const limiter = fresh({ limit: 20_000, window: '1h', burst: 10_000 });
  assert.equal(await admittedUnderLoad(t, limiter, 1000, (time) => ({ burst: 10_001 + time })), 11_000);
});

test('gcra: each cut of the burst under load gives back what the smaller one cannot owe, and no more', async (t) => {
  const limiter = fresh({ limit: 20_000, window: '1h', burst: 10_000 });
  const cuts = 100;
  const total = await admittedUnderLoad(t, limiter, 2 * cuts, (time) => ({
    burst: time % 2 ? 10_000 : 9990,
  }));
  assert.ok(total >= 10_000 && total <= 10_000 + 10 * cuts, String(total));
});
