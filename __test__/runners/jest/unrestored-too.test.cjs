// A file that leaves the clock following: the next one in this process has another `Date`.
/* global jest, expect, test */
const { RateLimiter } = require('../../..');
const { manualClock, reset } = require('../../../lib/testing');

for (const round of [1, 2]) {
  test(`file after file: ${round}`, () => {
    jest.useFakeTimers({ now: round });
    reset();
    manualClock({ follow: 'timers' });
    const limiter = new RateLimiter('unrestored', { limit: 1, window: '1m' });
    expect([limiter.tryConsume('ada'), limiter.tryConsume('ada')]).toEqual([true, false]);
    jest.advanceTimersByTime(60_000);
    expect(limiter.tryConsume('ada')).toBe(true);
  });
}
