/*
 * A longer run of the storm in `__test__/broker/storm.test.mjs`: threads call each other while threads end at random.
 *
 *   npm run storm                      a million calls, and 100 000 with slow wakers
 *   npm run storm -- 5000000 <seed>    that many calls, with the seed of a failed run
 */
import { slowWakerEnv } from '../__test__/helpers/slow-waker.mjs';
import { storm } from '../__test__/helpers/storm.mjs';

const [calls = 1_000_000, seed = Math.floor(Math.random() * 2 ** 32)] = process.argv.slice(2).map(Number);
const timeoutMs = 60_000 + calls;

const STORMS = {
  'a storm': { calls, endEvery: 5000 },
  'a storm with slow wakers': {
    calls: Math.ceil(calls / 10),
    lanes: 12,
    endEvery: 500,
    env: slowWakerEnv(),
  },
};

for (const [title, options] of Object.entries(STORMS)) {
  console.log(`${title}: ${options.calls} calls, seed ${seed}`);
  const totals = await storm({ ...options, seed, timeoutMs });
  const { answered, failed, lostWithTheirThread, messages, threads, seconds } = totals;
  console.log(
    `  ${answered} answered, ${failed} failed as expected, ${lostWithTheirThread} ended with their thread, ` +
      `${messages} messages, ${threads} threads, ${seconds} s; no call lost, nothing pending`,
  );
}
