'use strict';

const { SluiceError, invalid } = require('../../runtime/errors');

/** The moment of a call lies beyond its timeout. */
function tooLate(name, timeoutMs, retryAfterMs) {
  const when = Number.isFinite(retryAfterMs) ? `in ${retryAfterMs} ms` : 'never';
  const message = `acquire timeout is ${timeoutMs} ms, and RateLimiter ${JSON.stringify(name)} would charge the call ${when}`;
  const accepted = 'a timeout that reaches so far, at most a year; or another call after retryAfterMs';
  return withRetry(new SluiceError('TIMEOUT', `${message}; accepted: ${accepted}`), retryAfterMs);
}

/** As many calls wait as `maxWaiting` says, or `overflow: 'deny'` found no slot for the key. */
function lineFull(name, retryAfterMs) {
  const message = `acquire: RateLimiter ${JSON.stringify(name)} takes no more calls that wait`;
  const accepted = `fewer calls than its maxWaiting, and keys than its maxKeys; another call after ${retryAfterMs} ms`;
  return withRetry(new SluiceError('BACKPRESSURE', `${message}; accepted: ${accepted}`), retryAfterMs);
}

/** The call asks for more than is ever available at once. */
function neverCharged(cost, capacity) {
  return invalid('INVALID_COST', 'acquire cost', cost, `an integer from 1 to ${capacity}, the most at once`);
}

/** The limiter has ended while the call waited. */
function lineClosed(name) {
  return new SluiceError(
    'CLOSED',
    `RateLimiter ${JSON.stringify(name)} was destroyed, or reset by a test, while the call waited`,
  );
}

function withRetry(error, retryAfterMs) {
  return Object.assign(error, { retryAfterMs });
}

module.exports = { lineClosed, lineFull, neverCharged, tooLate };
