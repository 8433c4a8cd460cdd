// Pairs of cases: what sluice does, and what it is compared with.
import { createRequire } from 'node:module';
import { DAY_MS, PLENTY } from '../plenty.mjs';
import { LOADS, openCase } from './measure.mjs';
import { PEERS } from './peers.mjs';

const require = createRequire(import.meta.url);
const { HitCounter, RateLimiter } = require('../..');

export const COUNTER = 'sluice HitCounter.add(key, 1, window) / RateLimiter.consume(key)';

/** Ratios that hold, by load. */
const OF_STORES = { hot: 1.3, uniform: 1, fresh: 1 };
const OF_NEST = { hot: 0.5, uniform: 0.5, fresh: 0.5 };
const OF_COUNTER = { hot: 1.2, uniform: 1.2 };

const PAIRS = {
  ...Object.fromEntries(
    Object.entries(PEERS).map(([name, pair]) => [
      name,
      { ...pair, atMost: name.startsWith('@nestjs') ? OF_NEST : OF_STORES },
    ]),
  ),
  [COUNTER]: { own: consuming, shared: adding, atMost: OF_COUNTER },
};

/** A pair for each load that has a target. */
export async function openPairs() {
  const pairs = [];
  for (const [name, { own, shared, atMost }] of Object.entries(PAIRS)) {
    for (const load of Object.keys(LOADS).filter((load) => load in atMost)) {
      const opened = { own: await openCase(`${name}, own`, own, load) };
      opened.shared = await openCase(`${name}, sluice`, shared, load);
      pairs.push({ name, load, atMost: atMost[load], ...opened });
    }
  }
  return pairs;
}

let opened = 0;
let last;

/** Keeps the object reachable, as V8 would otherwise not allocate it. */
function kept(answer) {
  last = answer;
  return last;
}

function consuming() {
  const limiter = new RateLimiter(`benchmark of stores ${++opened}`, { limit: PLENTY, window: DAY_MS });
  return { isAsync: false, call: (key) => kept(limiter.consume(key)).allowed };
}

function adding() {
  const counter = new HitCounter(`benchmark of stores ${++opened}`, {});
  return { isAsync: false, call: (key) => kept(counter.add(key, 1, DAY_MS)).count > 0 };
}
