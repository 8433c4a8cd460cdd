'use strict';

const { SluiceError, invalidOption } = require('../runtime/errors');
const { kAcquire, kIsAwaited } = require('../rate-limiter/symbols');
const { clientGone } = require('./client-gone');

/**
 * The option `wait` of a rule, checked against its limiter: milliseconds, or undefined where requests do not wait.
 * `limited` is as `RateGate.limited` returns it.
 */
function waitOf({ limiter, limit }, wait) {
  if (wait === undefined || wait === false || limiter === null) return undefined;
  if (limit !== undefined) {
    throw invalidOption('wait', wait, 'a rateLimit whose limit is a number: a line has one limit for all');
  }
  if (limiter[kIsAwaited]) {
    const message = `wait: the limiter ${JSON.stringify(limiter.name)} has the scope { redis }, where no request waits`;
    throw new SluiceError('UNSUPPORTED', `${message}; accepted: a limiter of scope "process"`);
  }
  return wait;
}

/**
 * Charges a request, which waits for its moment where it is beyond the quota. A promise then, of an object: `decision`, or
 * null where the request is to be decided at once after all; `isGone` where its client left.
 */
function chargeOrWait(rule, incoming, { key, cost, guard }) {
  const signal = () => clientGone(incoming);
  const charged = rule.limiter[kAcquire](key, guard, { cost, timeout: rule.wait, signal });
  if (!(charged instanceof Promise)) return charged;
  return charged.then(
    (decision) => ({ decision, isGone: false }),
    // A later moment, a line that is full: what the limiter decides at once is the answer.
    () => ({ decision: null, isGone: signal()?.aborted === true }),
  );
}

/** The refusal of a request whose client left while it waited. It charged nothing. */
function goneDecision(limiter, key) {
  return { ...limiter.peek(key), allowed: false, moreAfterMs: 0 };
}

module.exports = { chargeOrWait, goneDecision, waitOf };
