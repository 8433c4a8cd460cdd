/*
 * Longer runs of random tests.
 *
 *   npm run storm                      the storm of `__test__/broker/storm.test.mjs`: threads call each other while
 *                                      threads end at random. A million calls, and 100 000 with slow wakers
 *   npm run storm -- 5000000 <seed>    that many calls, with the seed of a failed run
 *   npm run storm -- quick             2^32 random calls of rate limiters by the quick path and in full, whose answers and
 *                                      words must be equal. About twenty minutes on two idle cores
 *   npm run storm -- quick 2^30 <seed> that many calls; the numbers of a progress line continue a run
 *   npm run storm -- deaths            a thousand threads that die while their calls wait for a rate limiter
 *   npm run storm -- deaths 10000      as many
 */
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import { slowWakerEnv } from '../__test__/helpers/slow-waker.mjs';
import { storm } from '../__test__/helpers/storm.mjs';
import { root } from './addon.mjs';
import { fail } from './requirements.mjs';

const [first, ...rest] = process.argv.slice(2);
if (first === 'quick') compareQuickPath(...rest);
else if (first === 'deaths') dieWaiting(...rest);
else await stormOfCalls(first, ...rest);

/** `2^30` or a number. */
function count(text, what) {
  const [base, exponent = 1] = text.split('^').map(Number);
  const number = base ** exponent;
  if (!Number.isSafeInteger(number) || number < 0)
    fail(`${what} is ${text}; accepted: a number, such as 2^30`);
  return String(number);
}

function compareQuickPath(calls = '2^32', seed) {
  const test = 'rate_limiter::quick::differential::soak::soak';
  const cargo = 'test --release --package sluice-core --lib --quiet --'.split(' ');
  const env = { ...process.env, SLUICE_STORM_CALLS: count(calls, 'the number of calls') };
  if (seed !== undefined) env.SLUICE_STORM_SEED = count(seed, 'the seed');
  console.log(`${calls} calls by both paths, on ${os.availableParallelism()} processors`);
  const args = [...cargo, test, '--exact', '--ignored', '--nocapture'];
  const { status } = spawnSync('cargo', args, { cwd: root, stdio: 'inherit', env });
  process.exitCode = status ?? 1;
}

function dieWaiting(deaths = '1000') {
  const env = { ...process.env, SLUICE_STORM_DEATHS: count(deaths, 'the number of deaths') };
  const args = ['--test', '__test__/rate-limiter/acquire-threads.test.mjs'];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env });
  process.exitCode = status ?? 1;
}

async function stormOfCalls(calls = 1_000_000, seed = Math.floor(Math.random() * 2 ** 32)) {
  const timeoutMs = 60_000 + Number(calls);
  const storms = {
    'a storm': { calls: Number(calls), endEvery: 5000 },
    'a storm with slow wakers': {
      calls: Math.ceil(calls / 10),
      lanes: 12,
      endEvery: 500,
      env: slowWakerEnv(),
    },
  };
  for (const [title, options] of Object.entries(storms)) {
    console.log(`${title}: ${options.calls} calls, seed ${seed}`);
    const totals = await storm({ ...options, seed: Number(seed), timeoutMs });
    const { answered, failed, lostWithTheirThread, messages, threads, seconds } = totals;
    console.log(
      `  ${answered} answered, ${failed} failed as expected, ${lostWithTheirThread} ended with their thread, ` +
        `${messages} messages, ${threads} threads, ${seconds} s; no call lost, nothing pending`,
    );
  }
}
