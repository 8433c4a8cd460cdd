// Many threads, one limiter: totals are exact in any interleaving.
//
// Planted bugs, each tried on two cores. Load, compare, store instead of the compare-and-swap of a limiter's cell:
// 100 016 of 100 000 admitted in the first run. The lock of several limits released between deciding and charging:
// 124 694 of 100 000 in the sixth run. Each limit charged by itself, and refunded when another refuses: 254 766 of
// 300 000 in the first run.
import assert from 'node:assert/strict';
import test from 'node:test';
import { freshName, gate, runInAll, startPeers } from '../helpers/peer.mjs';

const THREADS = 8;
const RUNS = 20;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

const window = '30d';
/** Options that admit `limit` units: of each algorithm, and of several limits, the last of which is the lowest. */
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
  test(`${title}: eight threads share one quota: of 8 × 50 000 calls exactly 100 000 are admitted`, async (t) => {
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

  test(`${title}: a cost is charged as a whole or not at all, in every thread`, async (t) => {
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
      // Every thread also makes calls of cost 1, so the quota is used up exactly.
      assert.equal(sum(admitted), 10_007, `run ${run}: ${admitted}`);
    }
  });
}

test('a cost refused by one of several limits is never charged to another, not even briefly', async (t) => {
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
        // A cost of 6 fits the wide limit and never the narrow one; 5 fits both if nothing else is charged.
        { name, start, calls, cost: thread === 0 ? 5 : 6 },
      ),
    ),
  );
  assert.deepEqual(admitted, [calls, 0, 0, 0, 0, 0, 0, 0]);
});

test('each of many keys has one quota across all threads', async (t) => {
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
