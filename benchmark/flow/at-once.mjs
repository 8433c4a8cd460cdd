// Calls that never have to wait, in batches that are awaited one after the other.
import { createRequire } from 'node:module';
import pThrottle from 'p-throttle';
import { DAY_MS, PLENTY } from '../plenty.mjs';

const require = createRequire(import.meta.url);
const { RateLimiter } = require('../..');

export const AT_ONCE = {
  consumeAsync: 'sluice RateLimiter.consumeAsync(key)',
  acquire: 'sluice RateLimiter.acquire(key)',
  throttle: 'p-throttle, throttled()',
};

const CALLS = 2_000;

/** The cases: `batch()` resolves with nanoseconds per call. */
export function openAtOnce() {
  const limiter = new RateLimiter('benchmark of waiting', { limit: PLENTY, window: DAY_MS });
  const throttled = pThrottle({ limit: PLENTY, interval: DAY_MS })(async () => true);
  const calls = {
    consumeAsync: () => limiter.consumeAsync('client'),
    acquire: () => limiter.acquire('client'),
    throttle: () => throttled(),
  };
  return Object.entries(calls).map(([name, call]) => ({ name: AT_ONCE[name], batch: () => batch(call) }));
}

async function batch(call) {
  const from = process.hrtime.bigint();
  for (let done = 0; done < CALLS; done++) await call();
  return Number(process.hrtime.bigint() - from) / CALLS;
}
