// The calls whose instructions are counted. Each returns a function that makes one call.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { CircuitBreaker, RateLimiter, Reputation, SecurityMonitor } = require('../..');

const DAY_MS = 86_400_000;
const CLIENT = '203.0.113.7';
const LIVE = { limit: 1e9, window: 3650 * DAY_MS };

export const CASES = {
  'limiter.tryConsume(key)': () => {
    const limiter = new RateLimiter('live', LIVE);
    return () => limiter.tryConsume(CLIENT);
  },
  'limiter.tryConsume(key), refused': () => {
    const limiter = new RateLimiter('refusing', { limit: 1, window: 3650 * DAY_MS });
    return () => limiter.tryConsume(CLIENT);
  },
  'limiter.consume(key)': () => {
    const limiter = new RateLimiter('live', LIVE);
    return () => limiter.consume(CLIENT);
  },
  'reputation.isBanned(ip)': () => {
    const reputation = new Reputation('bans', {
      maxFailures: 1_000,
      findTime: DAY_MS,
      banTime: DAY_MS,
      maxBanTime: DAY_MS,
    });
    reputation.recordFailure(CLIENT);
    return () => reputation.isBanned(CLIENT);
  },
  'breaker.tryAcquire(peer), permit.success()': () => {
    const breaker = new CircuitBreaker('permits', { openFor: DAY_MS });
    return () => breaker.tryAcquire('https://peer.example').success();
  },
  'monitor.record(event, ip, detail)': () => {
    const rules = [
      { name: 'many', event: 'login-failed', count: 5, window: '1m', mute: DAY_MS, action: 'alert' },
    ];
    const monitor = new SecurityMonitor('events', { rules });
    return () => monitor.record('login-failed', CLIENT, 'anna');
  },
};
