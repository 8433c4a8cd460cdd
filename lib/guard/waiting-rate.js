'use strict';

const { SluiceError, invalidOption } = require('../runtime/errors');
const { kAcquire, kSharedBy } = require('../rate-limiter/symbols');
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
  const scope = limiter[kSharedBy];
  if (scope !== undefined) {
    const message = `wait: the limiter ${JSON.stringify(limiter.name)} has the scope ${scope}, where no request waits`;
    throw new SluiceError('UNSUPPORTED', `${message}; accepted: a limiter of scope "process"`);
  }
  return wait;
}

/**
 * Codes of a call that is not to wait, as its moment is too late or the line is full, and of invalid arguments: what the
 * limiter decides at once is the answer.
 */
const DECIDED_AT_ONCE = new Set([
  'ERR_SLUICE_TIMEOUT',
  'ERR_SLUICE_BACKPRESSURE',
  'ERR_SLUICE_INVALID_KEY',
  'ERR_SLUICE_INVALID_COST',
]);

/**
 * Charges a request, which waits for its moment where it is beyond the quota: a promise of the decision then. Throws or
 * rejects where it charges nothing.
 */
function chargeOrWait(rule, incoming, { key, cost, guard }) {
  const signal = () => clientGone(incoming);
  return rule.limiter[kAcquire](key, { cost, timeout: rule.wait, signal }, guard);
}

/** What becomes of a request that `chargeOrWait` did not charge: 'gone', as its client left; 'decide' at once; or 'fault'. */
function outcomeOf(error, incoming) {
  if (clientGone(incoming)?.aborted) return 'gone';
  return DECIDED_AT_ONCE.has(error?.code) ? 'decide' : 'fault';
}

/** The refusal of a request whose client left while it waited. It charged nothing. */
function goneDecision(limiter, key) {
  return { ...limiter.peek(key), allowed: false, moreAfterMs: 0 };
}

module.exports = { chargeOrWait, goneDecision, outcomeOf, waitOf };
