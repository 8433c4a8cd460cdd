'use strict';

const { throwIfAborted } = require('../../runtime/abort-listeners');
const { DECISION, REFUSED } = require('../../runtime/layouts');
const { integers } = require('../../runtime/native');
const { readDecision } = require('../decision');
const { kPolicyNames, kSharedBy } = require('../symbols');
const { acquireOptions, notWaited } = require('./options');
const { waitInLine } = require('./waiting-call');

const { ANSWER } = DECISION;

/**
 * Charges a key of a limiter by `charge(cost)`, or has the call wait by `join(waits, request)`, which returns a code of
 * JOIN. A promise of the decision: invalid arguments reject.
 */
function acquireBy(limiter, options, charge, join) {
  try {
    const scope = limiter[kSharedBy];
    if (scope !== undefined) throw notWaited('acquire', limiter.name, scope);
    const request = acquireOptions(options);
    if (request.signal !== undefined) throwIfAborted(request.signal);
    charge(request.cost);
    const read = () => Promise.resolve(readAtOnce(limiter));
    return integers[ANSWER] === REFUSED ? joinFor(limiter, request, join, read) : read();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Has a call wait. `read` returns the decision where it was charged at once after all. */
function joinFor(limiter, { cost, timeout, signal, isForMiddleware = false }, join, read) {
  return waitInLine({ limiter, cost, timeout, signal, isForMiddleware }, join, read);
}

/** The decision of a call that was charged at once, as native code has just left it. */
function readAtOnce(limiter) {
  const decision = readDecision(limiter[kPolicyNames]());
  decision.waitedMs = 0;
  return decision;
}

module.exports = { acquireBy, joinFor };
