// The clock follows vitest's fake timers.
import { createRequire } from 'node:module';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

// As vitest loads what lies in node_modules: by Node itself.
const require = createRequire(import.meta.url);
const { CircuitBreaker, RateLimiter, Reputation } = require('../../..');
const { manualClock, reset } = require('../../../lib/testing');

const START = Date.UTC(2035, 0, 1);

let clock;
beforeEach(() => {
  vi.useFakeTimers({ now: START });
  reset();
  clock = manualClock({ follow: 'timers' });
});
afterEach(() => {
  clock.restore();
  vi.useRealTimers();
});

test('limits and bans follow the fake date', () => {
  const limiter = new RateLimiter('follow', { limit: 1, window: '1m' });
  expect([limiter.tryConsume('ada'), limiter.tryConsume('ada')]).toEqual([true, false]);
  vi.advanceTimersByTime(59_999);
  expect(limiter.peek('ada').retryAfterMs).toBe(1);
  vi.advanceTimersByTime(1);
  expect(limiter.tryConsume('ada')).toBe(true);
  const rules = { maxFailures: 1, findTime: '1m', banTime: '1h', maxBanTime: '1h' };
  const { until } = new Reputation('follow', rules).recordFailure('203.0.113.7');
  expect(until).toBe(Date.now() + 3_600_000);
  vi.setSystemTime(until);
  expect(new Reputation('follow').isBanned('203.0.113.7')).toBe(false);
});

test('a timer that fires in between decides by its own time', () => {
  const limiter = new RateLimiter('between', { limit: 1, window: '10s' });
  const admitted = [];
  setInterval(() => limiter.tryConsume('ada') && admitted.push(Date.now() - START), 1_000);
  vi.advanceTimersByTime(35_000);
  expect(admitted).toEqual([1_000, 11_000, 21_000, 31_000]);
});

test('a timeout fires with the fake timers', async () => {
  const breaker = new CircuitBreaker('follow', { openFor: '10s', timeout: '5s' });
  const call = breaker.fire('upstream', () => new Promise(() => {}));
  const rejected = expect(call).rejects.toMatchObject({ code: 'ERR_SLUICE_TIMEOUT' });
  await vi.advanceTimersByTimeAsync(5_000);
  await rejected;
});

test('a date that goes back is followed; real timers are followed too', () => {
  vi.setSystemTime(START - 86_400_000);
  expect(clock.now).toBe(START - 86_400_000);
  vi.useRealTimers();
  const before = Date.now();
  const { now } = clock;
  expect(before <= now && now <= Date.now()).toBe(true);
});
