// Calls of limiters in mode 'lease', and what they hold.
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';

export async function until(holds) {
  while (!(await holds())) await turn();
}

/** Calls one after the other, all admitted; how many each source decided. */
export async function call(limiter, calls, key = 'a') {
  // A server that takes long to connect to counts as away.
  await limiter.ready({ timeout: '30s' });
  const sources = {};
  for (let n = 0; n < calls; n++) {
    const { allowed, source, degraded } = await limiter.consumeAsync(key);
    assert.deepEqual([allowed, degraded], [true, false]);
    sources[source] = (sources[source] ?? 0) + 1;
  }
  return sources;
}

export const held = (limiter) => limiter.stats().fleet.held;

/** Units that the server has counted, of several limits by the one with the least left. */
export async function used(limiter, key = 'a') {
  const { limit, remaining } = await limiter.peekAsync(key);
  return limit - remaining;
}
