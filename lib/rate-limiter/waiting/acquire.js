'use strict';

const { throwIfAborted } = require('../../runtime/abort-listeners');
const { DECISION, REFUSED } = require('../../runtime/layouts');
const { integers } = require('../../runtime/native');
const { readDecision } = require('../decision');
const { kCharge, kHasWaited, kPolicyNames, kSharedBy } = require('../symbols');
const { acquireOptions, notWaited } = require('./options');
const { WaitingCall, waitInLine } = require('./waiting-call');

const { ANSWER } = DECISION;

/**
 * Charges a key, or has the call wait. A promise of the decision: invalid arguments reject. `caller` is the limiter or the
 * handle of a key: `kCharge` charges a key at once, where that can be, and `kJoin` has a call wait and returns a code of
 * JOIN. After a call that has waited the next one does too, in most cases, so it joins the line at once.
 */
function acquireBy(limiter, caller, key, options) {
  try {
    const scope = limiter[kSharedBy];
    if (scope !== undefined) throw notWaited('acquire', limiter.name, scope);
    const asked = acquireOptions(options);
    if (asked.signal !== undefined) throwIfAborted(asked.signal);
    if (!caller[kHasWaited]) {
      caller[kCharge](key, asked.cost);
      if (integers[ANSWER] !== REFUSED) return Promise.resolve(readAtOnce(limiter));
    }
    const waiting = waitInLine(new WaitingCall(limiter, asked), caller, key);
    caller[kHasWaited] = waiting !== null;
    return waiting ?? Promise.resolve(readAtOnce(limiter));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** The decision of a call that was charged at once, as native code has just left it. */
function readAtOnce(limiter) {
  const decision = readDecision(limiter[kPolicyNames]());
  decision.waitedMs = 0;
  return decision;
}

module.exports = { acquireBy };
