// Options of other libraries are rejected with the name that they have here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CircuitBreaker, ConnectionTracker, createGuard, RateLimiter, Reputation } from '../../index.js';
import express from '../../lib/express.js';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('foreign-options');

const limiter = (options) => new RateLimiter(freshName(), options);
const middleware = (options) => express({ name: freshName(), ...options });
const guard = (options) => createGuard(freshName(), options);
const rateLimit = (options) => middleware({ rateLimit: options });

const WINDOW = 'window here, in milliseconds, or a text such as "1m"';

for (const [make, options, hints] of [
  [limiter, { windowMs: 60_000, max: 5 }, ['"windowMs" is called window here', '"max" is called limit here']],
  [
    limiter,
    { max: 5, timeWindow: '1 minute' },
    ['"max" is called limit here', `"timeWindow" is called ${WINDOW}`],
  ],
  [limiter, { points: 5, duration: 1 }, ['"points" is called limit here', `"duration" is called ${WINDOW}`]],
  [limiter, { limit: 5, ttl: 1000 }, [`"ttl" is called ${WINDOW}`]],
  [
    limiter,
    { tokensPerInterval: 5, interval: 'minute' },
    ['"tokensPerInterval" is called limit', '"interval" is called window'],
  ],
  [
    rateLimit,
    { windowMs: 60_000, max: 5 },
    ['"windowMs" is called window here', '"max" is called limit here'],
  ],
  [
    middleware,
    { windowMs: 60_000, max: 5 },
    ['"windowMs" is called rateLimit.window here', '"max" is called rateLimit.limit here'],
  ],
  [
    middleware,
    { max: 5, timeWindow: 1000 },
    ['"max" is called rateLimit.limit', '"timeWindow" is called rateLimit.window'],
  ],
  [
    middleware,
    { limit: 5, window: '1m' },
    ['"limit" is called rateLimit.limit', '"window" is called rateLimit.window'],
  ],
  [
    guard,
    { points: 5, duration: 1 },
    ['"points" is called rateLimit.limit', '"duration" is called rateLimit.window'],
  ],
  [guard, { keyGenerator: () => 'a' }, ['"keyGenerator" is called key here']],
  [
    guard,
    { skipSuccessfulRequests: true },
    ['"skipSuccessfulRequests" is called countOnly here, with the value "failures"'],
  ],
  [
    guard,
    { standardHeaders: true, legacyHeaders: false },
    ['"standardHeaders" is called headers', '"legacyHeaders" is called headers'],
  ],
  [guard, { allowList: [] }, ['"allowList" is called skip here, a function of the request']],
  [guard, { errorResponseBuilder: () => ({}) }, ['"errorResponseBuilder" is called handler here']],
  [guard, { maxPerClient: 3 }, ['"maxPerClient" is called connections.maxPerClient here']],
  [
    (o) => new Reputation(freshName(), o),
    { maxretry: 3, bantime: 10 },
    ['"maxretry" is called maxFailures', '"bantime" is called banTime'],
  ],
  [
    (o) => new CircuitBreaker(freshName(), o),
    { resetTimeout: 10 },
    ['"resetTimeout" is called openFor here'],
  ],
]) {
  test(`${JSON.stringify(options)} is rejected with a hint: ${make.name || 'another component'}`, () => {
    assert.throws(
      () => make(options),
      (error) => {
        assert.equal(error.code, 'ERR_SLUICE_INVALID_OPTION');
        assert.match(error.message, /has no option "\w+"; accepted: \w+/);
        for (const hint of hints) assert.ok(error.message.includes(hint), `${error.message} has no ${hint}`);
        return true;
      },
    );
  });
}

test('an unknown option of no other library is rejected without a hint', () => {
  assert.throws(() => limiter({ limits_: [] }), { message: /^[^;]*; accepted: [^;]*$/ });
  assert.throws(() => new ConnectionTracker(freshName(), { constructor: 1 }), {
    message: /^[^;]*; accepted: [^;]*$/,
  });
  assert.throws(() => limiter({ limit: 5, window: '1s', toString: 1 }), {
    message: /^[^;]*; accepted: [^;]*$/,
  });
});
