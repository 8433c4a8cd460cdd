// Many threads, one state: totals that are exact, whichever thread comes first.
//
// Planted bugs, each tried on two cores. Load, compare, store in place of the compare-and-swap of a limiter's cell:
// 100 016 of 100 000 in the first run. The lock of several limits given up between judging and charging: 124 694 of
// 100 000 in the sixth run; each of them charged by itself, and given back when another refuses: 254 766 of 300 000 in
// the first.
import assert from 'node:assert/strict';
import test from 'node:test';
import { freshName, gate, runInAll, startPeers } from '../helpers/peer.mjs';

const THREADS = 8;
const RUNS = 20;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** A limiter whose client gets so many units: by each algorithm, and by several limits of which the last decides. */
const window = '30d';
const QUOTAS = {
  gcra: (limit) => ({ limit, window }),
  'fixed-window': (limit) => ({ limit, window, algorithm: 'fixed-window' }),
  'sliding-window': (limit) => ({ limit, window, algorithm: 'sliding-window' }),
  'several limits': (limit) => ({
    limits: [
      { limit: limit + 2, window },
      { limit: limit + 1, window, algorithm: 'fixed-window' },
      { limit, window, algorithm: 'sliding-window' },
    ],
  }),
};

for (const [title, quota] of Object.entries(QUOTAS)) {
  test(`${title}: eight workers share one quota: of 8 × 50 000 calls exactly 100 000 are admitted`, async (t) => {
    const peers = startPeers(t, THREADS);
    for (let run = 1; run <= RUNS; run++) {
      const admitted = await runInAll(
        peers,
        ({ load, meet }, { name, options, start }) => {
          const { RateLimiter } = load();
          const limiter = new RateLimiter(name, options);
          let count = 0;
          meet(start);
          for (let call = 0; call < 50_000; call++) if (limiter.tryConsume('one client')) count++;
          return count;
        },
        { name: freshName(), options: quota(100_000), start: gate(THREADS) },
      );
      assert.equal(sum(admitted), 100_000, `run ${run}: ${admitted}`);
    }
  });

  test(`${title}: each cost is charged whole or not at all, whichever thread asks`, async (t) => {
    const peers = startPeers(t, THREADS);
    for (let run = 1; run <= RUNS; run++) {
      const admitted = await runInAll(
        peers,
        ({ load, meet }, { name, options, start }) => {
          const { RateLimiter } = load();
          const limiter = new RateLimiter(name, options);
          let units = 0;
          meet(start);
          for (let call = 0; call < 5000; call++) {
            const cost = 1 + (call % 7);
            if (limiter.consume('one client', cost).allowed) units += cost;
          }
          return units;
        },
        { name: freshName(), options: quota(10_007), start: gate(THREADS) },
      );
      // All of them go on asking for one unit until none is left.
      assert.equal(sum(admitted), 10_007, `run ${run}: ${admitted}`);
    }
  });
}

test('what one of several limits refuses is charged to no other, not for a moment', async (t) => {
  const peers = startPeers(t, THREADS);
  const calls = 300_000;
  const name = freshName();
  const start = gate(THREADS);
  const admitted = await Promise.all(
    peers.map((peer, thread) =>
      peer.run(
        ({ load, meet }, { name, cost, calls, start }) => {
          const { RateLimiter } = load();
          const wide = { limit: 10, window: '30d', algorithm: 'fixed-window' };
          const narrow = { limit: 5, window: '30d' };
          const limiter = new RateLimiter(name, { limits: [wide, narrow] });
          let count = 0;
          meet(start);
          for (let call = 0; call < calls; call++) {
            if (!limiter.tryConsume('one client', cost)) continue;
            count++;
            limiter.refund('one client', cost);
          }
          return count;
        },
        // Six fit the wide limit and never the narrow one; five fit both whenever nobody else has any.
        { name, start, calls, cost: thread === 0 ? 5 : 6 },
      ),
    ),
  );
  assert.deepEqual(admitted, [calls, 0, 0, 0, 0, 0, 0, 0]);
});

test('of many keys, each has its own quota in all threads together', async (t) => {
  const peers = startPeers(t, THREADS);
  const admitted = await runInAll(
    peers,
    ({ load, meet }, { name, start }) => {
      const { RateLimiter } = load();
      const limiter = new RateLimiter(name, { limit: 3, window: '30d', maxKeys: 10_000 });
      const counts = new Uint32Array(5000);
      meet(start);
      for (let round = 0; round < 2; round++) {
        for (let key = 0; key < 5000; key++) if (limiter.tryConsume(`client ${key}`)) counts[key]++;
      }
      return counts;
    },
    { name: freshName(), start: gate(THREADS) },
  );
  for (let key = 0; key < 5000; key++) {
    assert.equal(sum(admitted.map((counts) => counts[key])), 3, `client ${key}`);
  }
});
